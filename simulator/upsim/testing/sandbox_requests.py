"""Turn the arguments of a test's marker into the request body that creates its sandbox."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from upsim.core.suggestions import nearest_to
from upsim.engine.seeds import derived_seed
from upsim.interception.provider_hosts import library
from upsim.providers import discover
from upsim.scenario.inline import as_json, load_inline
from upsim.scenario.loader import ScenarioError, UnknownScenarioError
from upsim.scenario.model import Scenario
from upsim.testing.pytest_marker import MarkError, check

DEFAULT_CLOCK = "auto"
ID_LENGTH = 12


def sandbox_request(
    asked: Mapping[str, Any], *, name: str, seed: int, shared: bool, folder: Path | None = None
) -> dict[str, object]:
    """Return the body of `POST sandboxes` for the test with this name. Raises MarkError.

    A scenario's path is relative to `folder`, or to the current folder if `folder` is None.
    A scenario's own clock and seed apply unless the test sets a different clock or seed.
    On a `shared` server the server chooses the id. Otherwise the id is derived from the name, so
    that responses are the same in every run.
    """
    check(asked, "a sandbox")
    wanted = _named(asked.get("scenario"), folder)
    scenario = scenario_of(wanted)
    body: dict[str, object] = {}
    if not shared:
        body["id"] = "t-" + hashlib.sha256(name.encode()).hexdigest()[:ID_LENGTH]
    if wanted is not None:
        body["scenario"] = as_json(wanted)
    clock, own_seed = asked.get("clock"), asked.get("seed")
    if isinstance(clock, Mapping) and "mode" not in clock:
        clock = {"mode": DEFAULT_CLOCK, **clock}
    if clock is not None or scenario is None or scenario.clock is None:
        body["clock"] = clock or DEFAULT_CLOCK
    if own_seed is not None or scenario is None or scenario.seed is None:
        body["seed"] = derived_seed(seed, name) if own_seed is None else own_seed
    if asked.get("strict_keys") is not None:
        body["strict_keys"] = asked["strict_keys"]
    if asked.get("balance") is not None:
        body["balances"] = _balances(asked["balance"], scenario)
    if asked.get("dialect") is not None:
        body["dialects"] = _dialects(asked["dialect"], scenario)
    return body


def _named(
    wanted: str | Path | Mapping[str, object] | None, folder: Path | None
) -> str | Mapping[str, object] | None:
    """Return a scenario's name or the path of its file; return a mapping unchanged."""
    if wanted is None or isinstance(wanted, Mapping):
        return wanted
    name = str(wanted)
    if folder is None or name in library().names():
        return name
    beside = folder / name
    return str(beside.resolve()) if beside.is_file() else name


def scenario_of(chosen: str | Mapping[str, object] | None) -> Scenario | None:
    """Return the scenario of a name, a path or a mapping. Raises MarkError if it is invalid."""
    if chosen is None:
        return None
    try:
        if isinstance(chosen, Mapping):
            return load_inline(library().renewed(), chosen, discover())
        return library().load(chosen)
    except (ScenarioError, UnknownScenarioError) as error:
        raise MarkError(str(error)) from None


def _balances(balance: Any, scenario: Scenario | None) -> dict[str, str]:  # noqa: ANN401 - any amount
    """Return amounts by provider; a single amount applies to the scenario's provider, or to all."""
    if isinstance(balance, Mapping):
        return {provider: str(amount) for provider, amount in balance.items()}
    return dict.fromkeys(_meant(scenario), str(balance))


def _dialects(dialect: Any, scenario: Scenario | None) -> dict[str, str]:  # noqa: ANN401 - a name or more
    """Return dialects by provider; a single dialect applies to every provider that has it."""
    if isinstance(dialect, Mapping):
        return dict(dialect)
    known = {p: library().baseline(p).baseline.dialects for p in _meant(scenario)}
    found = {provider: dialect for provider, names in known.items() if dialect in names}
    if not found:
        names = sorted({name for names in known.values() for name in names})
        raise MarkError(f"no provider has a dialect {dialect!r}; {nearest_to(dialect, names)}")
    return found


def dialects_of(provider: str, chosen: str | Mapping[str, object] | None) -> tuple[str, ...]:
    """Return the dialects of a provider under a scenario; empty for an unknown provider."""
    if provider not in discover():
        return ()
    scenario = scenario_of(chosen)
    if scenario is None or scenario.baseline.provider != provider:
        scenario = library().baseline(provider)
    return scenario.baseline.dialects


def _meant(scenario: Scenario | None) -> tuple[str, ...]:
    return tuple(discover()) if scenario is None else (scenario.baseline.provider,)
