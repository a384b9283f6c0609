"""Mistakes in a request, in pairs."""

from __future__ import annotations

from upsim_contracts.facts.fact_files import CallForm
from upsim_contracts.suite.generate_table import Flaw, Submit


def pairs(submit: Submit, form: CallForm) -> list[tuple[Flaw, Flaw]]:
    """Return all pairs of mistakes that one request can contain.

    In each pair, the mistake that the provider checks first comes first.
    """
    found = submit.flaws
    return [
        (first, second)
        for number, first in enumerate(found)
        for second in found[number + 1 :]
        if not _exclusive(first, second, form)
    ]


def _exclusive(first: Flaw, second: Flaw, form: CallForm) -> bool:
    one, other = _parts(first, form), _parts(second, form)
    return bool(one & other) or ("raw" in one | other and any("body." in p for p in one | other))


def _parts(flaw: Flaw, form: CallForm) -> frozenset[str]:
    """Return the fields that a mistake touches; the clip is the field that names the video."""
    video = f"body.{place_of_video(form.body)}"
    return frozenset(video if part == "video" else part for part in flaw.touches)


def place_of_video(body: object, path: str = "") -> str:
    """Return the place of the video in an operation's usual body."""
    if isinstance(body, dict):
        for name, inner in body.items():
            found = place_of_video(inner, f"{path}.{name}" if path else name)
            if found:
                return found
    return path if body == "$video" else ""
