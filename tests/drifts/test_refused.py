"""Refusals in a recording: what each line says of how many there were, and in whose words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.drifts.stand_in import stand_in
from tests.drifts.verify_and_record import drifted

UPSCALER = "/api/v3/wavespeed-ai/video-upscaler"
VENICE = {
    "cf-ray": "1-A",
    "x-venice-version": "20261101.000000",
    "x-venice-timestamp": "2026-01-01T00:00:00.000Z",
}
CASES: Mapping[str, tuple[str, Mapping[str, Any], Sequence[str]]] = {
    "every poll, with a status that no document has": (
        "vicsee",
        {"on": "poll", "answer": {"status": 503, "json": {"error": {"code": "DOWN"}}}},
        ["vicsee: GET /api/v1/tasks/{id}: every poll answers 503 DOWN: 8 exchanges ["],
    ),
    "every submit, in other words than those for too little money": (
        "wavespeed",
        {"on": "submit", "answer": {"status": 400, "json": {"code": 400, "message": "retired"}}},
        [f'wavespeed: POST {UPSCALER}: status: expected 200, seen 400 "retired" ['],
    ),
    "some polls, as documented": (
        "venice",
        {
            "on": "poll",
            "where": {"status": "PROCESSING"},
            "answer": {"status": 503, "json": {"error": "at capacity"}, "headers": VENICE},
        },
        ['note: venice: 2 of 9 polls answered 503 "at capacity", which the documents allow'],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_refusals_are_one_line(name: str, tmp_path: Path) -> None:
    """A constant refusal gives one line with the count; a temporary refusal gives a note."""
    provider, alteration, expected = CASES[name]
    with stand_in(provider, [alteration]) as made:
        found = drifted(made, tmp_path)

    assert expected == [line[: len(one)] for line, one in zip(found, expected, strict=True)]
