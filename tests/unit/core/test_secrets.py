"""Secrets: what an operation declares, and what looks like one, is hidden."""

from __future__ import annotations

import random
import re
import time

import pytest

from tests.slowness import slowness
from upsim.core import secrets
from upsim.core.secrets import (
    HIDDEN,
    NONE,
    Secrets,
    hidden,
    hidden_fragment,
    hidden_target,
    hidden_text,
    hidden_url,
)

DECLARED = Secrets(fields=("hook.pass",), urls=("hook.to", "Video"), query=("webhook",))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"hook": {"pass": "p"}}, {"hook": {"pass": HIDDEN}}),
        ({"data": {"hook": {"pass": "p"}}}, {"data": {"hook": {"pass": HIDDEN}}}),
        ({"hook": {"pass": ""}}, {"hook": {"pass": ""}}),
        ({"other": {"pass": "p"}}, {"other": {"pass": "p"}}),
        ({"hook": [{"pass": "p"}, 1]}, {"hook": [{"pass": HIDDEN}, 1]}),
        ({"hook": {"pass": {"deep": 1}}}, {"hook": {"pass": HIDDEN}}),
        ({"video": "https://u:p@h/a?b=c#d"}, {"video": f"https://{HIDDEN}@h/a?b={HIDDEN}"}),
        ({"text": "https://h/a?b=c"}, {"text": f"https://h/a?b={HIDDEN}"}),
        ({"text": "see h/a?b=c"}, {"text": "see h/a?b=c"}),
        ({"text": "https://h/a?sig=c"}, {"text": f"https://h/a?sig={HIDDEN}"}),
        ({"Secret": "x", "api_key": "y"}, {"Secret": HIDDEN, "api_key": HIDDEN}),
        (("a", None, 1.5), ["a", None, 1.5]),
    ],
)
def test_declared_fields_are_redacted(value: object, expected: object) -> None:
    """A declared field is redacted at any depth, also in lists; a URL keeps its host and path."""
    assert expected == hidden(value, DECLARED)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/a", "/a"),
        ("/a?webhook=https://h/?t=1&b=2", f"/a?webhook={HIDDEN}&b=2"),
        ("/a?webhook", "/a?webhook"),
        ("/a?to=https%3A%2F%2Fh%2F%3Fb%3Dc", f"/a?to={HIDDEN}"),
        ("/a?api_key=k&b=2", f"/a?api_key={HIDDEN}&b=2"),
    ],
)
def test_declared_parameters_are_redacted(target: str, expected: str) -> None:
    """A declared query parameter is always redacted, others only if they look secret."""
    assert expected == hidden_target(target, DECLARED)


def test_a_url_keeps_its_public_parts() -> None:
    """A redacted URL keeps scheme, host, path and parameter names."""
    found = hidden_url("https://h.example/a.mp4?Expires=1&X-Amz-Signature=abc")
    assert f"https://h.example/a.mp4?Expires={HIDDEN}&X-Amz-Signature={HIDDEN}" == found


def test_signatures_in_a_text_are_redacted() -> None:
    """A message that repeats a URL is shown without the URL's signature and user."""
    found = hidden_text("cannot read ftp://me:pw@h/a?signature=abc now")
    assert f"cannot read ftp://{HIDDEN}@h/a?{HIDDEN} now" == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"pass": "abc', f'{{"pass": "{HIDDEN}'),
        ('{"secret": "a\\"b", ', f'{{"secret": "{HIDDEN}", '),
        ("see https://h/?q=1&r=2 there", f"see https://h/?{HIDDEN} there"),
    ],
)
def test_a_fragment_is_redacted_by_names(text: str, expected: str) -> None:
    """In an incomplete JSON body, secret field names and URLs are still redacted."""
    assert expected == hidden_fragment(text, DECLARED)


def test_names_are_redacted_without_a_declaration() -> None:
    """If an operation declares no secrets, fields with secret-like names are still redacted."""
    assert {"secret": HIDDEN, "pass": "p"} == hidden({"secret": "s", "pass": "p"}, NONE)


def test_queries_in_texts_are_found_as_by_the_plain_pattern() -> None:
    """The fast search for URL queries finds the same as the plain pattern."""
    plain = re.compile(r"(://[^\s\"'<>\\?]*)\?(?:(?!<redacted>)[^\s\"'\\])+")
    draw = random.Random(1)  # noqa: S311 - a test
    words = ("://", "a", "?", "/", " ", HIDDEN, "'", "<", "&", "\\", "b.c")
    for _ in range(3_000):
        text = "".join(draw.choices(words, k=12))
        assert plain.sub(rf"\1?{HIDDEN}", text) == secrets._IN_TEXT.sub(
            secrets._without_query, text
        ), text


@pytest.mark.parametrize(
    "piece",
    ["://", "a://", "://a", "?a=", "&a", "sig=", '"secret":"', "://?", "%3A%2F", "x@", "\\"],
)
def test_no_text_is_slow_to_redact(piece: str) -> None:
    """Redacting any text of 64 KiB takes milliseconds of CPU time."""
    text = piece * (65_536 // len(piece))
    began = time.thread_time()
    hidden_fragment(text, NONE)
    hidden_target(f"/{text}?{text}", NONE)
    hidden({"a": text}, NONE)
    assert time.thread_time() - began < 0.3 * slowness()


def test_size_of_a_synthetic_file_is_no_secret() -> None:
    """A synthetic clip keeps its size parameter; any other query is redacted."""
    for url, seen in {
        "https://a.example/x.mp4?bytes=5": "https://a.example/x.mp4?bytes=5",
        "https://a.example/x.mp4?bytes=5&sig=a": "https://a.example/x.mp4?bytes=<redacted>",
        "https://a.example/x.mp4?bytes=5a": "https://a.example/x.mp4?bytes=<redacted>",
    }.items():
        assert secrets.hidden_url(url).startswith(seen)
        assert ("?bytes=5" in secrets.hidden_text(url)) is (seen == url)
