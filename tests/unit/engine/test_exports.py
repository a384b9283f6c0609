"""What exports cross out in bodies."""

from __future__ import annotations

import random

import pytest

from upsim.engine import exports

WORDS = (
    b"sig=",
    b"SIGNATURE=",
    b"x-amz-credential%3D",
    b"key%3dabc",
    b"://user:pw@host/",
    b"%3A%2F%2fuser%3Apw%40host",
    b"://",
    b"token",
    b"=",
    b"%26",
    b"&",
    b'"',
    b" ",
    b"'",
    b"@",
    b"%",
    b"/",
    b"password=secret=token=",
    b"aGVsbG8" * 9,
)


@pytest.mark.parametrize("seed", range(20))
def test_secrets_in_urls_of_long_bodies_are_found(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking for the places where a URL's secret can begin finds what the pattern finds."""
    draw = random.Random(seed)  # noqa: S311 - a test
    body = b"".join(draw.choices(WORDS, k=400))
    monkeypatch.setattr(exports, "LONG", draw.randint(9, 200))
    found = exports._replaced_in_urls(exports._crossed, body)
    assert exports._IN_URL.sub(exports._crossed, body) == found != body
