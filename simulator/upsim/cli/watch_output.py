"""What `serve --watch` prints of scenario files that it has read again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from upsim.engine.reload_diff import OPENING, RESET, RESTART, ScenarioDiff

NAMED = 8
"""So many places are named; of more the rest is counted."""
WAITING = {
    RESET: "a reset of the sandbox, or a restart",
    RESTART: "a restart",
    OPENING: "accounts that are opened from now on",
}


def reload_lines(edits: Iterable[ScenarioDiff]) -> str:
    """The lines that say what really changed, provider by provider, and what still waits."""
    found = list(edits)
    if not found:
        return "scenario files read again: nothing in use has changed\n"
    return "".join(f"{line}\n" for edit in found for line in _lines(edit))


def _lines(edit: ScenarioDiff) -> Iterator[str]:
    if not edit.changed:
        yield f"scenario {edit.name} read again: nothing in it has changed"
        return
    yield f"scenario {edit.name} read again"
    for provider, places in edit.changed.items():
        yield f"  {provider} has other rules ({edit.rules[provider]}): {_some(places)}"
    for sections, what in WAITING.items():
        waiting = edit.waiting(sections)
        if waiting:
            verb = "waits" if len(waiting) == 1 else "wait"
            yield f"  {' and '.join(waiting)} {verb} for {what}"


def _some(places: Sequence[str]) -> str:
    rest = len(places) - NAMED
    return ", ".join(places[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
