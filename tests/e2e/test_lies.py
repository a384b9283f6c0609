"""A planted lie of each kind is noticed, and the command says which is not.

`make mutants` tells all of them; here a few facts are asked about a few lies.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from upsim_contracts.mutants import __main__ as command
from upsim_contracts.mutants.lies import Equivalent, Lie, Lies, lies_about
from upsim_contracts.verify.run import book_of

if TYPE_CHECKING:
    import pytest

FACTS = (
    "credits-at-4.5-s",
    "wording-of-video-too-long",
    "failed-is-refunded",
    "no-access-everywhere",
    "model-by-name",
    "storage-is-open-to-pages",
    "refusal-upload-expired",
)
NOTICED = (
    ("models.topaz-video-upscale.billing.rate.table.2", "17"),
    ("errors.too_long.message", "Video exceeds 60-second limitx"),
    ("plans.free.access", True),
    ("errors.upload_expired.code", "86400"),
    ("refund.states.0", "nothing"),
    ("models.topaz-video-upscale", "topaz-video-upscalex"),
    ("knobs.storage_cors.guide", "none"),
)
"""A place for each kind of lie, and what the lie says there."""


def test_lies_of_each_kind_are_noticed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run fails for an unnoticed lie, and for an exception that is not needed."""
    whole, book = lies_about("vicsee"), book_of("vicsee")
    others = ("knobs.storage_cors.summary", "errors.internal.message")
    planted = [
        one for one in whole.planted if (one.place, one.said) in NOTICED or one.place in others
    ]
    refused = Lie("vicsee", ("checks", "upload"), ["x"], "checks.upload", [], ["x"], "added")
    listed = (
        Equivalent("knobs.storage_cors.summary", "It appears on our own pages alone."),
        Equivalent("knobs.storage_cors.guide", "A wrong reason."),
        Equivalent("gone", "There is no such place."),
    )
    few = Lies((*planted, refused), listed, whole.baseline)
    facts = tuple(one for one in book.facts if one.id in FACTS)
    monkeypatch.setattr(command, "lies_about", lambda _provider: few)
    monkeypatch.setattr(command, "book_of", lambda _provider: replace(book, facts=facts))

    ended = command.main(["--lies", "vicsee"])

    lines = capsys.readouterr().out.splitlines()
    assert (ended, len(facts)) == (1, len(FACTS))
    assert [line.partition(":")[0] for line in lines[:4]] == [
        "missed",
        "listed as equivalent, but noticed by storage-is-open-to-pages",
        "listed, but there is no such lie",
        "vicsee",
    ]
    assert lines[0].startswith("missed: vicsee errors.internal.message: ")
    assert lines[3:] == [
        "vicsee: 7 of 8 lies noticed, 1 equivalent, 1 that no simulator accepts",
        "  flag: 1 of 1 lies noticed, 0 equivalent",
        "  key: 1 of 1 lies noticed, 0 equivalent",
        "  number: 1 of 1 lies noticed, 0 equivalent",
        "  item: 1 of 1 lies noticed, 0 equivalent",
        "  text: 1 of 2 lies noticed, 1 equivalent",
        "  null: 1 of 1 lies noticed, 0 equivalent",
        "  choice: 1 of 1 lies noticed, 0 equivalent",
    ]
