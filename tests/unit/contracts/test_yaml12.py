"""YAML as version 1.2 means it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from upsim_contracts.exceptions import ContractFileError
from upsim_contracts.yaml12 import read, read_exact, read_given


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on", "on"),
        ("no", "no"),
        ("2026-11-01", "2026-11-01"),
        ("12:30", "12:30"),
        ("-12", -12),
        ("true", True),
        ("~", None),
        ("1e3", 1000.0),
        ("1080p", "1080p"),
        ("", None),
    ],
)
def test_scalars(tmp_path: Path, text: str, expected: object) -> None:
    """In YAML files, words, dates and times are read as texts, and numbers as decimals."""
    file = tmp_path / "a.yaml"
    file.write_text(f"a: {text}", "utf-8")

    found = read(file)["a"]
    assert (type(expected), expected) == (type(found), found)


@pytest.mark.parametrize("reading", [read, read_exact, read_given])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: [1", ":2:1: not YAML: did not find expected"),
        (b"a: \x00", ": not YAML: character 4: "),
        (b"a: \xff", ": byte 4 is no UTF-8"),
        (b"a: 1\na: 2", "line 2: 'a' twice"),
        (None, ": No such file or directory"),
    ],
)
def test_broken_files_are_reported_with_their_place(
    tmp_path: Path, reading: Callable[[Path], object], content: bytes | None, said: str
) -> None:
    """The error for an invalid YAML file names file, line and column, in our own words."""
    file = tmp_path / "a.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ContractFileError) as caught:
        reading(file)

    message = str(caught.value)
    assert said in message
    assert 1 == message.count(str(file))
    assert not re.search(r"unicode string|Errno|\n", message)
