"""A cassette that is broken in any way is refused with its place; nothing in it is a traceback."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.mutations import GONE, VALUES, places, replaced
from tests.recording.conftest import Studio, entries
from tests.recording.sample_requests import CALLERS
from upsim.cli import main

WORDS = re.compile(r"\S.*:\d+:(\d+:)? \S")


def changed(lines: Sequence[Any], place: tuple[Any, ...], value: object) -> str:
    """Return a cassette with another value at one place, or with none there."""
    found = replaced(list(lines), place, value)
    return "".join(f"{json.dumps(line)}\n" for line in found)


def drift(file: Path, *options: str) -> Result:
    """Return what came of `upsim drift`."""
    return CliRunner().invoke(main, ["drift", str(file), *options])


def check(done: Result, what: object) -> None:
    """Check that a command ended as commands end, with a place where it refused its file."""
    ended = done.exception is None or isinstance(done.exception, SystemExit)
    assert ended, (what, done.exception)
    assert done.exit_code in (0, 1, 2), what
    if done.exit_code == 2:
        assert WORDS.search(done.stderr) or "could not replay it" in done.stderr, (
            what,
            done.stderr,
        )


@pytest.fixture
def cassette(studio: Studio, request: pytest.FixtureRequest) -> Path:
    """Return a cassette with money, polls, a refusal, and what a video is."""
    return studio.record(request.param, CALLERS[request.param])


def mutations(lines: Sequence[Any], step: int) -> Iterator[tuple[tuple[Any, ...], object]]:
    """Yield each place with a value for it: all values are tried, each place with a few."""
    number = 0
    for place in list(places(lines))[1:]:
        for value in (GONE, *VALUES):
            number += 1
            if value is GONE or number % step == 0:
                yield place, value


@pytest.mark.parametrize("cassette", ["venice"], indirect=True)
def test_no_mutation_is_a_traceback(cassette: Path) -> None:
    """A cassette with one missing or replaced value never causes a traceback in `drift`."""
    lines = entries(cassette)[:5]
    count = 0
    for place, value in mutations(lines, 40):
        cassette.write_text(changed(lines, place, value), "utf-8")
        check(drift(cassette, "--no-simulator"), (place, value))
        count += 1
    assert count > 200


@pytest.mark.parametrize("cassette", [*CALLERS], indirect=True)
def test_no_mutation_breaks_the_simulator(cassette: Path, tmp_path: Path) -> None:
    """A broken cassette is also refused when it is replayed or converted to a scenario."""
    lines = entries(cassette)
    found = list(mutations(lines[:5], 7))
    for number, (place, value) in enumerate(found[:: len(found) // 12]):
        cassette.write_text(changed(lines, place, value), "utf-8")
        options = ["--scenario", str(tmp_path / "told.yaml")] if number % 2 else []
        check(drift(cassette, *options), (place, value))


@pytest.mark.parametrize("cassette", ["vicsee"], indirect=True)
@pytest.mark.parametrize(
    ("line", "place", "value", "told"),
    [
        (1, ("status",), "200", "status: Expected `int`, got `str`"),
        (1, ("answer", "headers", "content-type"), 3, "answer.headers[...]: Expected `str`"),
        (1, ("at",), "x", "at: "),
        (2, ("charge", "actual"), "1e999999999", "charge: 1E+999999999 is no amount"),
        (0, ("recorded",), "9999-99-99", "recorded: month must be in 1..12"),
        (0, ("provider",), "nobody", "provider: there is no contract 'nobody'"),
        (1, ("satus",), 1, "unknown field `satus`; did you mean status?"),
        (1, ("strange",), 1, "Object contains unknown field `strange`"),
    ],
)
def test_a_cassette_error_names_its_place(
    cassette: Path, line: int, place: tuple[str, ...], value: object, told: str
) -> None:
    """An error in a cassette names file, line, column and path before the cause."""
    cassette.write_text(changed(entries(cassette), (line, *place), value), "utf-8")
    done = drift(cassette, "--no-simulator")

    assert 2 == done.exit_code
    assert re.search(rf"{re.escape(str(cassette))}:{line + 1}:", done.stderr)
    assert told in done.stderr


@pytest.mark.parametrize("cassette", ["vicsee"], indirect=True)
def test_a_cassette_error_has_the_column_of_the_value(cassette: Path) -> None:
    """The column in an error is that of the wrong value, so an editor can jump to it."""
    text = changed(entries(cassette), (1, "status"), "200")
    cassette.write_text(text, "utf-8")
    column = text.split("\n")[1].index('"200"') + 1

    assert f"{cassette}:2:{column}: status: " in drift(cassette).stderr


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\n", b"\xff\xfe", b"null", b"[]", b'"x"', b"{", b"{}", b'{"format": []}', b"\0"),
        *(b"[" * 1_000_000, b'{"a": NaN}', b'{"a": 1e99999}', b'{"a": "\\ud800"}', b"1" * 5000),
    ],
    ids=range(15),
)
def test_a_file_that_is_no_cassette_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file that is not a cassette is refused with its name, whatever it contains."""
    file = tmp_path / "x.jsonl"
    file.write_bytes(content)
    done = drift(file)

    assert (2, True) == (done.exit_code, isinstance(done.exception, SystemExit))
    assert "x.jsonl" in done.stderr


@pytest.mark.parametrize("cassette", ["vicsee"], indirect=True)
def test_an_unknown_dialect_in_a_cassette_is_an_error(cassette: Path, tmp_path: Path) -> None:
    """A cassette with a dialect that the provider lacks is refused with the place of the error."""
    head, *rest = cassette.read_text("utf-8").splitlines()
    file = tmp_path / "other.jsonl"
    changed_head = json.dumps({**json.loads(head), "dialect": "liv"})
    file.write_text("\n".join([changed_head, *rest]) + "\n", "utf-8")
    for options in ((), ("--scenario", str(tmp_path / "x.yaml"))):
        done = drift(file, *options)
        assert 2 == done.exit_code
        assert f"{file}:1: dialect: " in done.output
        assert "has no dialect 'liv'" in done.output
