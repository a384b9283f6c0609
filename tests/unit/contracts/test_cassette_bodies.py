"""Bodies of recorded messages: what is kept as a document, and what as a file."""

from __future__ import annotations

import base64
import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.slowness import slowness
from upsim_contracts.cassettes import bodies, bounded_json
from upsim_contracts.cassettes.bodies import Tee, recorded_body, videos_in
from upsim_contracts.cassettes.bounded_json import parsed
from upsim_contracts.cassettes.redaction import Redactor

JSON = "application/json"
LONG = 15 << 20
VIDEO = base64.b64encode(bytes(LONG // 4 * 3)).decode()
TEXTS = {
    "letters": "A" * LONG + "!",
    "white space": " " * LONG + "!",
    "other letters": "日" * (LONG // 3),
    "base64 of other letters": "data:video/mp4;base64," + "é" * (LONG // 2),
    "a data URL without a head": "data:" + "a" * LONG,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_document_with_a_long_text_is_recorded_as_a_file(text: str) -> None:
    """A document with a long text is recorded only as a file, quickly and without a search."""
    body = json.dumps({"x": text}, ensure_ascii=False).encode()
    began = time.thread_time()
    found = recorded_body(body, JSON, Redactor())
    files = list(videos_in(body, JSON))
    took = time.thread_time() - began

    assert (["file"], len(body), []) == ([*found], found["file"]["bytes"], files)
    assert took < 1 * slowness()


@pytest.mark.parametrize("text", [VIDEO, f"data:video/mp4;base64,{VIDEO}", VIDEO + "\n"])
def test_a_long_file_in_a_document_is_a_hash(text: str) -> None:
    """A long file in a document, as base64 or as a data URL, is recorded as a hash."""
    body = json.dumps({"x": text}).encode()

    assert "data:,sha256-" in recorded_body(body, JSON, Redactor())["json"]["x"]
    assert [bytes(LONG // 4 * 3)] == list(videos_in(body, JSON))


@settings(max_examples=100)
@given(st.text(alphabet="Aa0+/= \n\u2003é!", max_size=12))
def test_base64_is_recognised_as_by_a_pattern(text: str) -> None:
    """The fast base64 check gives the same result as the slow regular expression."""
    pattern = re.compile(r"[A-Za-z0-9+/\s]*[A-Za-z0-9+/][A-Za-z0-9+/\s]*={0,2}\s*", re.ASCII)
    found = bounded_json._is_base64(text)

    assert found == bool(pattern.fullmatch(text)) or not text.strip(" \n=")
    assert not found or parsed(json.dumps(text).encode()) is not None


@pytest.mark.parametrize("text", ["[" * 50 + "]" * 50, '{"k":' * 50 + "1" + "}" * 50])
def test_a_document_of_very_many_containers_is_a_file(text: str) -> None:
    """A document with very many lists or objects is recorded as a file, with or without commas."""
    count = 4_100
    assert parsed(b"[" + b",".join([text.encode()] * 10) + b"]") is not None
    assert parsed(b"[" + b",".join([text.encode()] * count) + b"]") is None


def test_simultaneous_files_share_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simultaneous files share one memory limit, which is free again at their end.

    A file above the limit is only counted and hashed.
    """
    monkeypatch.setattr(bodies, "MAX_VIDEOS", 1_000)

    def passed() -> Tee:
        tee = Tee()
        for _ in range(3):
            tee.feed(b"x" * 200)
        return tee

    first, second = passed(), passed()
    del first
    third = passed()

    assert [0, 600] == [len(second.content), len(third.content)]
    assert [600, 600] == [second.size, third.size]
    assert second.kept("video/mp4")["sha256"] == third.kept("video/mp4")["sha256"]
