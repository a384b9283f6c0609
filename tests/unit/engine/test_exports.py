"""The secrets that exports replace in bodies."""

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
    b'"secret" : "',
    b'"key":"\\"',
    b"aGVsbG8" * 9,
)

KEYS = "/__sim/sandboxes/a/accounts/b/keys"


@pytest.mark.parametrize("seed", range(20))
def test_secrets_of_long_bodies_are_found(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fast search for secrets in a long body finds the same as the pattern."""
    draw = random.Random(seed)  # noqa: S311 - a test
    body = b"".join(draw.choices(WORDS, k=400))
    monkeypatch.setattr(exports, "LONG", draw.randint(9, 200))
    for replaced, pattern in (
        (exports._replaced_in_urls(exports._crossed, body), exports._IN_URL),
        (exports._replaced_in_fields(exports._crossed, body, ""), exports._SECRET),
        (exports._replaced_in_fields(exports._crossed, body, KEYS), exports._SECRET_OR_KEY),
    ):
        assert pattern.sub(exports._crossed, body) == replaced != body
