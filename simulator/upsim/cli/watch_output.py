"""The output of `serve --watch` about reloaded scenario files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from upsim.engine.reload_diff import OPENING, RESET, RESTART, ScenarioDiff

NAMED = 8
"""Number of places that are named; the other places are counted."""
WAITING = {
    RESET: "a reset of the sandbox, or a restart",
    RESTART: "a restart",
    OPENING: "accounts opened from now on",
}


def reload_lines(edits: Iterable[ScenarioDiff]) -> str:
    """Return lines about changed values, by provider, and about values that change only later."""
    found = list(edits)
    if not found:
        return "scenario files reloaded: nothing in use has changed\n"
    return "".join(f"{line}\n" for edit in found for line in _lines(edit))


def _lines(edit: ScenarioDiff) -> Iterator[str]:
    if not edit.changed:
        yield f"scenario {edit.name} reloaded: nothing in it has changed"
        return
    yield f"scenario {edit.name} reloaded"
    for provider, places in edit.changed.items():
        yield f"  {provider} has new rules ({edit.rules[provider]}): {_some(places)}"
    for sections, what in WAITING.items():
        waiting = edit.waiting(sections)
        if waiting:
            verb = "waits" if len(waiting) == 1 else "wait"
            yield f"  {' and '.join(waiting)} {verb} for {what}"


def _some(places: Sequence[str]) -> str:
    rest = len(places) - NAMED
    return ", ".join(places[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
