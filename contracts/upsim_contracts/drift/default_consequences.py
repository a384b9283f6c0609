"""Differences that follow from a changed default: the charge, and the size of the output."""

from __future__ import annotations

from collections.abc import Sequence

from upsim_contracts.cassettes.bodies import strings
from upsim_contracts.cassettes.cassette import Cassette
from upsim_contracts.charge_check import CHARGE
from upsim_contracts.drift.exchange_checks import DEFAULT, CheckedExchange
from upsim_contracts.drift.recorded_jobs import jobs_of
from upsim_contracts.request_costs import CostTable

Found = tuple[CheckedExchange, list[int]]


def without_following(found: Sequence[Found], cassette: Cassette, costs: CostTable) -> list[Found]:
    """Return the findings without those that follow from changed defaults.

    If requests that name the option have undocumented charges too, the price changed and not the
    default. The exception is a response that names the new default.
    """
    changed = {number for one, numbers in found if _is_default(one) for number in numbers}
    if not changed:
        return list(found)
    charged = {number for one, numbers in found if one.field == CHARGE for number in numbers}
    if charged - changed:
        found = [pair for pair in found if not (_is_default(pair[0]) and pair[0].vague)]
        changed = {number for one, numbers in found if _is_default(one) for number in numbers}
    following = changed | _outputs(changed, cassette, costs)
    return [
        (one, left)
        for one, numbers in found
        if (left := numbers if not _follows(one) else [n for n in numbers if n not in following])
    ]


def _is_default(one: CheckedExchange) -> bool:
    return one.key[:1] == (DEFAULT,)


def _follows(one: CheckedExchange) -> bool:
    return one.field == CHARGE or one.field.startswith("output.")


def _outputs(made: set[int], cassette: Cassette, costs: CostTable) -> set[int]:
    """Return the exchanges that downloaded the outputs of the jobs made by these exchanges."""
    links = {
        link.partition("?")[0]
        for job in jobs_of(cassette, costs).values()
        if job.made.number in made and job.completed is not None
        for link in strings(job.completed.answer.body.get("json"))
    }
    files = (one for one in cassette.exchanges if one.part == "file")
    return {one.number for one in files if any(link.endswith(one.path) for link in links)}
