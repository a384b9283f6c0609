"""`upsim verify` after option parsing: choose target and facts, plan, run, report.

The command line finds `run` by an entry point. It passes functions that start a simulator, in
its own process or in another process.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from upsim.client.exceptions import ProtocolError
from upsim.client.http.admin import ask_admin
from upsim.client.http.bounded_responses import BoundedTransport
from upsim.client.http.connections import SyncTransport, sync_connections
from upsim.client.request_guard import is_loopback, scheme_flaw
from upsim.untrusted_connections import NoCookies
from upsim_contracts.accepted_differences import AcceptedDifferences, today
from upsim_contracts.amounts import counted
from upsim_contracts.documents.openapi import further_hosts
from upsim_contracts.exceptions import NoContractError, TargetError, UsageError
from upsim_contracts.facts.fact_files import Book, Fact
from upsim_contracts.facts.fact_runner import Verdict
from upsim_contracts.provider_urls import (
    check_dialect,
    dialect_in,
    dialects_of,
    provider_in,
    provider_url,
)
from upsim_contracts.report_files import check_folders, write_file
from upsim_contracts.spending_guard import GuardedTransport, SpendingBudget
from upsim_contracts.suggestions import hint
from upsim_contracts.target import PATIENCE, REFUND_PATIENCE, Patience, Target, is_simulator
from upsim_contracts.used_fields import read_uses
from upsim_contracts.verify.earlier_run import changes_since, read_earlier
from upsim_contracts.verify.planning import Planned, VerifyPlan, plan
from upsim_contracts.verify.preflight import check as preflight
from upsim_contracts.verify.reports import as_html, as_json, as_junit, as_text
from upsim_contracts.verify.run import VerifyReport, book_of, not_begun, pricer, providers, verify

WELL, FINDING = 0, 1
SECONDS = 60
MAX_LENGTH = 300
"""Characters of a server's note that are printed."""
EVERY = 10
TRUSTED = "UPSIM_TRUSTED_HOSTS"
TIERS = ("free", "refused", "paid", "not run")

Local = Callable[[], AbstractContextManager[tuple[str, httpx.BaseTransport, str]]]
"""A simulator of the caller's own: its root, a transport to it, its admin token."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """The options of the verify command. Amounts are in the provider's unit."""

    providers: Sequence[str] = ()
    model: str | None = None
    pattern: str | None = None
    tier: str | None = None
    target: str = "sim"
    dialect: str = ""
    api_key: str | None = None
    admin_token: str = ""
    cap: Decimal | None = None
    as_live: bool = False
    media: str | None = None
    scenario: str | None = None
    patience: float = PATIENCE
    refund_patience: float = REFUND_PATIENCE
    only_plan: bool = False
    junit: Path | None = None
    json: Path | None = None
    html: Path | None = None
    accept: Path | None = None
    accept_new: str | None = None
    compare: Path | None = None
    uses: Path | None = None

    @property
    def whole(self) -> bool:
        """Return whether the run checks every fact of a provider."""
        return self.model is None and self.pattern is None and self.tier is None


def run(asked: Mapping[str, object], local: Mapping[str, Local], say: Say) -> int:
    """Run the command and return the exit code. Raises UsageError before anything is sent."""
    order = VerifyOptions(**asked)  # type: ignore[arg-type]  # the command line's own options, one for one
    if order.cap is None and (order.target == "live" or order.as_live):
        raise UsageError("a live target costs money: give --cap, the most that may be spent")
    check_folders((order.junit, order.json, order.html, order.accept if order.accept_new else None))
    accepted = AcceptedDifferences("verify", order.accept, order.accept_new, today=today())
    uses = None if order.uses is None else read_uses(order.uses)
    earlier = None if order.compare is None else read_earlier(order.compare)
    reports: list[VerifyReport] = []
    chosen = _chosen(order)
    order = replace(order, providers=order.providers or (chosen if len(chosen) == 1 else ()))
    note = _once(say)
    try:
        with _stopped_by_sigterm():
            for provider in chosen:
                with ExitStack() as stack:
                    report = _one(stack, order, provider, local, say, note)
                if report is None:
                    continue
                report.weigh(uses)
                report.accept(accepted.find)
                reports.append(report)
                say(as_text(report))
                if report.stopped:
                    break
            stopped = any(report.stopped for report in reports)
    except KeyboardInterrupt:
        stopped = True
    if stopped:
        left = (book_of(name) for name in chosen[len(reports) :])
        reports += [not_begun(book, _fitting(order, book), order.target) for book in left]
        say("stopped before the end")
    _write(order, reports)
    whole = [one for one in reports if order.whole and not (one.stopped or one.refused)]
    accepted.end([one.book.provider for one in whole], say)
    if earlier is not None and not order.only_plan:
        for line in changes_since(earlier, reports):
            say(line)
    if len(reports) > 1:
        held = sum(report.held_of()[0] for report in reports)
        facts = sum(report.held_of()[1] for report in reports)
        say(f"{held} of {facts} documented facts hold")
    return FINDING if any(report.broken or report.stopped for report in reports) else WELL


def _chosen(order: VerifyOptions) -> Sequence[str]:
    """Return the providers to check, by --provider, by the URL, or by the model.

    Raises UsageError if a provider is unknown, differs from the URL's provider, or does not have
    the dialect.
    """
    chosen = tuple(order.providers)
    named = provider_in(order.target, providers())
    for provider in chosen:
        _known(provider)
        if named not in ("", provider):
            raise UsageError(f"{order.target} is a URL of {named}, not of {provider}")
    chosen = (
        chosen
        or ((named,) if named else ())
        or tuple(
            name
            for name in providers()
            if order.model is None or order.model in book_of(name).models
        )
    )
    if not chosen:
        models = [model for name in providers() for model in book_of(name).models]
        known = list(dict.fromkeys(models))
        raise UsageError(f"no provider has a model {order.model!r}; {hint(order.model, known)}")
    for provider in chosen:
        check_dialect(provider, order.dialect, "--dialect")
    return chosen


def _one(
    stack: ExitStack,
    order: VerifyOptions,
    provider: str,
    local: Mapping[str, Local],
    say: Say,
    note: Say,
) -> VerifyReport | None:
    book = _known(provider)
    target = open_target(stack, order, book, local, note)
    book = book.under(target.dialect)
    facts = _facts(order, book, target)
    planned = plan(book, facts, target, pricer(provider))
    if order.only_plan or order.cap is not None:
        say(_shown(book, planned, order.cap, target, each=order.only_plan))
    if order.only_plan:
        return None
    if target.simulator:
        return verify(book, facts, target, sleep=_sleep)
    planned.check(order.cap or Decimal(0))
    preflight(book_of(provider), planned, target, pricer(provider), _sleep)
    return verify(
        book, facts, target, sleep=_sleep, on_verdict=ProgressPrinter(len(facts), target.purse, say)
    )


def _known(provider: str) -> Book:
    """Return the book of a provider. Raises UsageError if the provider is unknown."""
    try:
        return book_of(provider)
    except NoContractError as error:
        raise UsageError(str(error)) from error


class ProgressPrinter:
    """Prints the progress of a run: after each job that took time, and after every tenth fact."""

    def __init__(self, facts: int, purse: SpendingBudget, say: Say) -> None:
        """Expect this number of facts; `purse` has the amount that they spent."""
        self._facts = facts
        self._purse = purse
        self._say = say
        self._seen = self._broken = 0

    def __call__(self, verdict: Verdict) -> None:
        """Count a fact."""
        self._seen += 1
        self._broken += verdict.outcome == "broken"
        waited = verdict.outcome != "not run" and any("until" in s for s in verdict.fact.steps)
        if waited or self._seen % EVERY == 0 or self._seen == self._facts:
            spent = f"{counted(self._purse.spent, self._purse.unit)} spent"
            self._say(f"  {self._seen}/{self._facts} facts, {self._broken} broken, {spent}")


def _once(say: Say) -> Say:
    """Return a function that prints each sentence once, even if several providers cause it."""
    said: set[str] = set()

    def once(text: str) -> None:
        if text not in said:
            said.add(text)
            say(text)

    return once


def open_target(
    stack: ExitStack,
    order: VerifyOptions,
    book: Book,
    local: Mapping[str, Local],
    note: Say = print,
) -> Target:
    """Open the target, behind the spending guard. `note` prints the notes of the server."""
    token, dialect = order.admin_token, order.dialect
    key = order.api_key or os.environ.get(f"{book.provider.upper()}_API_KEY", "")
    transport: httpx.BaseTransport
    is_near = order.target in local
    if is_near:
        url, transport, token = stack.enter_context(local[order.target]())
        simulator = True
    else:
        url = book.live if order.target == "live" else order.target.rstrip("/")
        _check(url, order.target)
        transport = BoundedTransport(SyncTransport())
        parts = urlsplit(url)
        is_near = is_loopback(parts.hostname or "")
        root = f"{parts.scheme}://{parts.netloc}"
        simulator = order.target != "live" and not order.as_live and _obeys(root, token, note)
        if simulator:
            place = provider_url(url, providers())
            url, dialect = place.root, _agreed(dialect, place.dialect, url)
        elif len(order.providers) != 1 and order.target == "live":
            raise UsageError(f"--target live checks one provider: use --provider, {_one_of()}")
        elif len(order.providers) != 1:
            raise UsageError(
                f"{url} is not a simulator with an admin API: name its provider with --provider"
            )
        else:
            dialect = dialect or _dialect(book, url, is_live=order.target == "live")
    if not simulator and (order.cap is None or not key):
        needed = [] if order.cap is not None else ["--cap, the most that may be spent"]
        needed += [] if key else [f"--api-key (or {book.provider.upper()}_API_KEY)"]
        raise UsageError(f"{url} is not a simulator with an admin API: use {' and '.join(needed)}")
    purse = SpendingBudget(order.cap if order.as_live or not simulator else None, book.unit)
    guarded = GuardedTransport(transport, purse)
    http = httpx.Client(transport=guarded, timeout=SECONDS, trust_env=False, cookies=NoCookies())
    stack.enter_context(http)
    target = Target(
        order.target,
        book.provider,
        url,
        http,
        purse,
        simulator=simulator,
        key=key,
        admin_token=token,
        media=order.media,
        dialect=dialect,
        scenario=order.scenario,
        patience=Patience(order.patience, order.refund_patience, local=is_near),
        hosts=further_hosts(book.provider) if order.target == "live" else {},
    )
    return target.as_stranger() if order.as_live and order.target in local else target


def _dialect(book: Book, url: str, *, is_live: bool) -> str:
    """Return the dialect in a URL; for a provider's own API, `live` if the book has it."""
    if is_live:
        return "live" if "live" in dialects_of(book.provider) else ""
    return dialect_in(url, book.provider)


def _agreed(asked: str, named: str, url: str) -> str:
    """Return the dialect from the option or the URL. Raises UsageError if they differ."""
    if asked and named and asked != named:
        raise UsageError(f"--dialect {asked}: the URL {url} names the dialect {named}")
    return asked or named


def _check(url: str, asked: str) -> None:
    """Check a URL. Raises UsageError if it is invalid, or if its host is not trusted."""
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host:
        flaw = scheme_flaw(asked) or "is not sim, socket, server, live or a URL"
        raise UsageError(f"--target {asked[:200]!r} {flaw}")
    trusted = is_loopback(host) or host in os.environ.get(TRUSTED, "").split(",")
    if asked != "live" and not trusted:
        raise UsageError(
            f"{host} is neither loopback nor in {TRUSTED}; a provider is --target live"
        )


def _obeys(root: str, token: str, note: Say) -> bool:
    """Return whether a simulator at this URL accepts the admin token.

    A simulator on loopback accepts a wrong token too, and returns a note about that.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with sync_connections(SECONDS) as http:
        try:
            if not is_simulator(http, root, token):
                return False
            answer = ask_admin(http, "GET", f"{root}/__sim/sandboxes", headers=headers)
        except TargetError as error:
            raise UsageError(str(error)) from error
        except (httpx.HTTPError, ProtocolError) as error:
            raise UsageError(f"{root}/__sim/sandboxes: {error}") from error
    if not answer.is_success:
        raise UsageError(
            f"{answer.message}; pass --admin-token or set UPSIM_ADMIN_TOKEN, or use --as-live"
        )
    if answer.note:
        note(f"note: {ascii(answer.note[:MAX_LENGTH])[1:-1]} (--admin-token, UPSIM_ADMIN_TOKEN)")
    return True


def _facts(order: VerifyOptions, book: Book, target: Target) -> list[Fact]:
    if order.model is not None and order.model not in book.models:
        meant = hint(order.model, book.models)
        raise UsageError(f"{book.provider} has no model {order.model!r}; {meant}")
    found = _fitting(order, book)
    if order.tier is not None:
        planned = plan(book, found, target, pricer(book.provider)).planned
        found = [one.fact for one in planned if one.tier == order.tier]
    if not found:
        raise UsageError(_without_facts(order, book))
    return found


def _one_of() -> str:
    return f"one of {', '.join(providers())}"


def _without_facts(order: VerifyOptions, book: Book) -> str:
    """Return which option matched no fact: the pattern of names, or the tier."""
    which = f"no fact of {book.provider}"
    if order.pattern is not None and not _fitting(order, book):
        names = [fact.id for fact in book.facts]
        near = get_close_matches(order.pattern.strip("*"), names, n=1, cutoff=0.5)
        near = near or get_close_matches(order.pattern, _groups(names), n=1, cutoff=0.5)
        meant = f"did you mean {near[0]}? " if near else ""
        return f"{which} has a name like {order.pattern!r}; {meant}--plan lists all names"
    return f"{which} fits --tier {order.tier} and the other options; --plan lists all facts"


def _groups(names: Iterable[str]) -> list[str]:
    """Return a pattern such as `rate-*` for each common beginning of the names."""
    found: dict[str, None] = {}
    for name in names:
        words = name.split("-")
        found |= dict.fromkeys(f"{'-'.join(words[:n])}-*" for n in range(1, len(words)))
    return [*found]


def _fitting(order: VerifyOptions, book: Book) -> list[Fact]:
    """Return the facts for the requested model and name pattern."""
    return [
        fact
        for fact in book.facts
        if (order.model is None or fact.model in ("", order.model))
        and (order.pattern is None or fnmatchcase(fact.id, order.pattern))
    ]


def _shown(
    book: Book, planned: VerifyPlan, cap: Decimal | None, target: Target, *, each: bool
) -> str:
    """Return the plan as a short table; with `each`, one line per fact comes first."""
    lines = [f"{book.provider}: what will be done, and what it costs in {book.unit}"]
    lines += [_planned(one) for one in planned.planned if each]
    for tier in TIERS:
        of_tier = [one for one in planned.planned if one.tier == tier]
        charge = sum((one.charge for one in of_tier), Decimal(0))
        cost = f"{charge:>12}" if tier == "paid" else ""
        lines.append(f"  {tier:8}{len(of_tier):5} facts{cost}")
    if not target.simulator:
        lines.append(f"  refunds of failed jobs: {planned.refunds(book.failures)}")
    limit = "" if cap is None else f"; the cap is {cap}"
    risk = planned.worst - planned.charges
    sure, worst = (counted(one, book.unit) for one in (planned.charges, planned.worst))
    likely = f"  likely {sure}: the documented prices of all paid facts"
    more = f"{risk} more, if the provider accepts the most expensive request that it should refuse"
    return "\n".join([*lines, likely, f"  worst case {worst}: {more}{limit}"])


def _planned(one: Planned) -> str:
    """Return a fact of the plan with its cost and risk, or with the reason why it will not run."""
    if one.tier == "paid":
        cost = f"{one.charge}"
    elif one.tier == "refused":
        cost = f"0, or {one.risk} if accepted"
    else:
        cost = one.reason or "0"
    return f"    {one.tier:8}{one.fact.id}: {cost}"


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Make SIGTERM stop a run like Ctrl-C, with all reports."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _write(order: VerifyOptions, reports: Sequence[VerifyReport]) -> None:
    wanted = ((order.junit, as_junit), (order.json, as_json), (order.html, as_html))
    for path, render in wanted:
        if path is not None:
            write_file(path, render(reports))


def _sleep(seconds: float) -> None:
    """Sleep in real time between two polls; Ctrl-C ends the sleep."""
    threading.Event().wait(seconds)
