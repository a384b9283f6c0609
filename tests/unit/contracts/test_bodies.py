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
def test_a_long_text_makes_a_document_a_file(text: str) -> None:
    """It is neither searched for secrets nor stored, and that takes little time."""
    body = json.dumps({"x": text}, ensure_ascii=False).encode()
    began = time.thread_time()
    found = recorded_body(body, JSON, Redactor())
    files = list(videos_in(body, JSON))
    took = time.thread_time() - began

    assert (["file"], len(body), []) == ([*found], found["file"]["bytes"], files)
    assert took < 1 * slowness()


@pytest.mark.parametrize("text", [VIDEO, f"data:video/mp4;base64,{VIDEO}", VIDEO + "\n"])
def test_a_long_file_in_a_document_is_a_hash(text: str) -> None:
    """As bare base64 or as a data URL."""
    body = json.dumps({"x": text}).encode()

    assert "data:,sha256-" in recorded_body(body, JSON, Redactor())["json"]["x"]
    assert [bytes(LONG // 4 * 3)] == list(videos_in(body, JSON))


@settings(max_examples=100)
@given(st.text(alphabet="Aa0+/= \n\u2003é!", max_size=12))
def test_base64_is_known_by_its_letters(text: str) -> None:
    """As by a pattern, which would take long for a long text."""
    pattern = re.compile(r"[A-Za-z0-9+/\s]*[A-Za-z0-9+/][A-Za-z0-9+/\s]*={0,2}\s*", re.ASCII)
    found = bounded_json._is_base64(text)

    assert found == bool(pattern.fullmatch(text)) or not text.strip(" \n=")
    assert not found or parsed(json.dumps(text).encode()) is not None


@pytest.mark.parametrize("text", ["[" * 50 + "]" * 50, '{"k":' * 50 + "1" + "}" * 50])
def test_a_document_of_very_many_containers_is_a_file(text: str) -> None:
    """Each is a value to be read, whether or not a comma stands behind it."""
    count = 4_100
    assert parsed(b"[" + b",".join([text.encode()] * 10) + b"]") is not None
    assert parsed(b"[" + b",".join([text.encode()] * count) + b"]") is None


def test_files_that_pass_at_once_share_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beyond the bound is counted and hashed alone; room is given back at the end."""
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
