"""The marker `upsim`: what a test asks of its sandbox."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

ALLOWED = ("scenario", "balance", "clock", "seed", "dialect", "strict_keys")
MARKER = (
    "upsim(scenario=…, balance=…, clock=…, seed=…, dialect=…, strict_keys=…): "
    "what the sandbox of this test is like"
)


class MarkError(ValueError):
    """A marker that asks for what there is not."""


def asked(markers: Iterable[Any]) -> dict[str, Any]:
    """The arguments of a test's markers, the nearest first. Raises MarkError."""
    found: dict[str, Any] = {}
    for marker in markers:
        if marker.args:
            raise MarkError(
                f"@pytest.mark.upsim takes no positional argument such as {marker.args[0]!r};"
                f" write {ALLOWED[0]}={marker.args[0]!r}, or one of {', '.join(ALLOWED)}"
            )
        check(marker.kwargs, "@pytest.mark.upsim")
        found = {**marker.kwargs, **found}
    return found


def check(options: Mapping[str, object], what: str) -> None:
    """Raise MarkError for a name that does not exist, with the nearest that does."""
    for name in options:
        if name not in ALLOWED:
            from upsim.core.nearest import closest

            near = closest(name, ALLOWED)
            hint = f"did you mean {near}?" if near else f"allowed: {', '.join(ALLOWED)}"
            raise MarkError(f"{what} has no argument {name!r}; {hint}")
