"""`upsim drift` after option parsing: read cassettes, compare, report, write a scenario.

The command line finds `run` by an entry point and passes a simulator to compare with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import httpx

from upsim.untrusted_connections import NoCookies
from upsim_contracts.accepted_differences import AcceptedDifferences, today
from upsim_contracts.cassettes.cassette import Cassette, read_cassette
from upsim_contracts.drift.cassette_replay import replay
from upsim_contracts.drift.reports import as_html, as_json, as_text
from upsim_contracts.drift.run import DriftReport, drift
from upsim_contracts.drift.to_scenario import to_scenario
from upsim_contracts.exceptions import ContractFileError, NoContractError, TargetError, UsageError
from upsim_contracts.provider_urls import check_dialect
from upsim_contracts.report_files import check_folders, write_file
from upsim_contracts.request_costs import CostTable
from upsim_contracts.spending_guard import SpendingBudget
from upsim_contracts.target import Target
from upsim_contracts.used_fields import read_uses
from upsim_contracts.verify.command import SECONDS, Local
from upsim_contracts.verify.run import book_of, pricer, providers

WELL, FINDING = 0, 1


@dataclass(frozen=True, slots=True)
class DriftOptions:
    """The options of the drift command."""

    cassettes: Sequence[Path]
    stale_after: int | None = None
    json: Path | None = None
    html: Path | None = None
    scenario: Path | None = None
    simulator: bool = True
    accept: Path | None = None
    accept_new: str | None = None
    uses: Path | None = None


def run(asked: Mapping[str, object], local: Local, say: Callable[[str], None]) -> int:
    """Run the drift command and return the exit code. Raises UsageError."""
    order = DriftOptions(**asked)  # type: ignore[arg-type]  # the command line's own options, one for one
    check_folders(
        (order.json, order.html, order.scenario, order.accept if order.accept_new else None)
    )
    accepted = AcceptedDifferences("drift", order.accept, order.accept_new, today=today())
    uses = None if order.uses is None else read_uses(order.uses)
    try:
        cassettes = [_read(path) for path in order.cassettes]
        costs = {
            one.header.provider: _costs(path, one)
            for path, one in zip(order.cassettes, cassettes, strict=True)
        }
    except ContractFileError as error:
        raise UsageError(str(error)) from error
    for one in cassettes:
        if one.cut:
            say(f"{one.name}:{one.cut}: this last line is incomplete and was left out")
    if order.scenario is not None and len(cassettes) != 1:
        raise UsageError("--scenario is made of one cassette")
    with ExitStack() as stack:
        try:
            if order.scenario is not None:
                return _scenario(order.scenario, cassettes[0], costs, _lent(stack, local), say)
            reports = [_judged(order, one, costs, stack, local, today()) for one in cassettes]
        except TargetError as error:
            raise UsageError(f"the simulator could not replay it: {error}") from error
    for report in reports:
        report.weigh(uses)
        report.accept(accepted.find)
        say(as_text(report))
    for path, render in ((order.json, as_json), (order.html, as_html)):
        if path is not None:
            write_file(path, render(reports))
    accepted.end((), say)
    return FINDING if any(report.broken for report in reports) else WELL


def _read(path: Path) -> Cassette:
    """Return a cassette of a known provider and dialect. Raises ContractFileError, UsageError."""
    found = read_cassette(path)
    if found.header.provider in providers():
        check_dialect(found.header.provider, found.header.dialect, f"{path}:1: dialect")
    return found


def _judged(
    order: DriftOptions,
    cassette: Cassette,
    costs: Mapping[str, CostTable],
    stack: ExitStack,
    local: Local,
    today: date,
) -> DriftReport:
    own = costs[cassette.header.provider]
    found = []
    if order.simulator:
        target = _lent(stack, local)(cassette.header.provider)
        found = replay(cassette, own.book, own, target)
    return drift(cassette, own, found, today=today, stale_after=order.stale_after)


def _scenario(
    file: Path,
    cassette: Cassette,
    costs: Mapping[str, CostTable],
    target: Callable[[str], Target],
    say: Callable[[str], None],
) -> int:
    """Write a scenario under which the cassette's requests get the same responses."""
    provider = cassette.header.provider
    told = to_scenario(cassette, costs[provider], target(provider))
    write_file(file, told.text)
    for line in told.differences:
        say(line)
    say(f"{file}: {told.replayed} exchanges replayed on it, {len(told.differences)} unlike")
    return FINDING if told.differences else WELL


def _lent(stack: ExitStack, local: Local) -> Callable[[str], Target]:
    url, transport, token = stack.enter_context(local())
    http = httpx.Client(transport=transport, timeout=SECONDS, trust_env=False, cookies=NoCookies())
    stack.enter_context(http)

    def target(provider: str) -> Target:
        return Target(
            "sim", provider, url, http, SpendingBudget(None), simulator=True, admin_token=token
        )

    return target


def _costs(path: Path, cassette: Cassette) -> CostTable:
    """Return the price list of a cassette's provider.

    Raises ContractFileError if there is none.
    """
    provider = cassette.header.provider
    try:
        return CostTable(book_of(provider), pricer(provider))
    except NoContractError as error:
        raise ContractFileError(f"{path}:1: provider: {error}") from error
