"""Limits that moved, as the sentences of refusals and the videos of a recording show them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from upsim_contracts.cassettes.cassette import RecordedExchange, RecordedMessage
from upsim_contracts.drift.cassette_replay import Replayed
from upsim_contracts.drift.video_limits import moved_limit
from upsim_contracts.request_costs import CostTable
from upsim_contracts.verify.run import book_of, pricer

LONG = "Video exceeds 60-second limit"
NO_NUMBER = "Video duration exceeds the maximum allowed."
FRAMES = "the frame count must be between 10 and 240"
CASES = {
    "given in seconds": ("vicsee", 45, "Video exceeds 30-second limit", "", "60 s to 30 s"),
    "given in minutes": ("vicsee", 150, "at most 2 minutes of video", LONG, "60 s to 120 s"),
    "given with the length of the video": (
        "wavespeed",
        45,
        "the video has 45 s, the maximum duration is 40 s",
        "",
        "600 s to 40 s",
    ),
    "given without a number": ("venice", 200, NO_NUMBER, "", "300 s to less than 200 s"),
    "accepted beyond it": ("venice", 301, "", NO_NUMBER, "300 s to at least 301 s"),
    "frames": ("piapi", 3, "frame count must be between 10 and 20", "", "240 frames to 20 frames"),
    "size": ("piapi", 3, "resolution must not exceed 640x360", "", "1280 px to 640 px"),
    "bytes": ("piapi", 3, "video exceeds the 5MB limit", "", "10485760 bytes to 5242880 bytes"),
    "as documented": ("vicsee", 61, LONG, LONG, None),
    "as documented, in other words": ("vicsee", 61, "longer than 60 seconds", LONG, None),
    "refused for something else": (
        "vicsee",
        45,
        "Could not read video duration from URL",
        "",
        None,
    ),
    "accepted where something else is refused": ("vicsee", 45, "", "file type not allowed", None),
}


@pytest.mark.parametrize("name", CASES)
def test_limit_moved_from_documents_to_what_is_seen(name: str) -> None:
    """A sentence's number is the new limit; else the video says on which side of it that is."""
    provider, seconds, recorded, simulated, expected = CASES[name]
    book = book_of(provider)
    form = next(one for one in book.calls.values() if one.job)
    *parents, field = (form.job or "").split(".")
    made: object = {field: "a"}
    for parent in reversed(parents):
        made = {parent: made}
    seen = {"width": 320, "height": 240, "fps": "10", "seconds": Decimal(seconds)}
    exchange = RecordedExchange(
        number=1,
        at=Decimal(0),
        took=Decimal(0),
        method=form.method,
        path=form.path,
        request=RecordedMessage(),
        status=422 if recorded else 200,
        answer=RecordedMessage(
            {}, {"json": {"error": {"message": recorded}} if recorded else made}
        ),
        media={"https://example.com/a.mp4": seen},
    )
    document = {"error": {"message": simulated}}
    replayed = Replayed(exchange, 422 if simulated else 200, document=document)
    found = moved_limit(exchange, replayed, "POST /", CostTable(book, pricer(provider)))
    told = found.says.partition(" moved from ")[2].partition(": ")[0] if found else None

    assert expected == told
