"""The marker `upsim`, which configures the sandbox of a test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

ALLOWED = ("scenario", "balance", "clock", "seed", "dialect", "strict_keys")
MARKER = (
    "upsim(scenario=…, balance=…, clock=…, seed=…, dialect=…, strict_keys=…): "
    "configures the sandbox of this test"
)


class MarkError(ValueError):
    """A marker with an unknown argument or an invalid value."""


def asked(markers: Iterable[Any]) -> dict[str, Any]:
    """Return the arguments of a test's markers; the nearest marker wins. Raises MarkError."""
    found: dict[str, Any] = {}
    for marker in markers:
        if marker.args:
            raise MarkError(
                f"@pytest.mark.upsim accepts no positional argument such as {marker.args[0]!r};"
                f" write {ALLOWED[0]}={marker.args[0]!r}, or one of {', '.join(ALLOWED)}"
            )
        check(marker.kwargs, "@pytest.mark.upsim")
        found = {**marker.kwargs, **found}
    return found


def check(options: Mapping[str, object], what: str) -> None:
    """Raise MarkError for an unknown argument, with the nearest valid name."""
    for name in options:
        if name not in ALLOWED:
            from upsim.core.nearest_names import closest

            near = closest(name, ALLOWED)
            hint = f"did you mean {near}?" if near else f"allowed: {', '.join(ALLOWED)}"
            raise MarkError(f"{what} has no argument {name!r}; {hint}")
