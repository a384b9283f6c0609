"""YAML as version 1.2 means it."""

from __future__ import annotations

from pathlib import Path

import pytest

from upsim_contracts.yaml12 import read


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
    """Words, dates and times of day are texts; numbers are decimal."""
    file = tmp_path / "a.yaml"
    file.write_text(f"a: {text}", "utf-8")

    found = read(file)["a"]
    assert (type(expected), expected) == (type(found), found)
