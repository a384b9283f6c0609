"""One word or name that no document has is one line: the exchanges after it are as documented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.drifts.stand_in import stand_in
from tests.drifts.verify_and_record import drifted
from upsim.cli.verify import LOCAL
from upsim_contracts.drift.command import run as run_drift
from upsim_contracts.expected_responses import at

FIRST = ("created", "pending")
IDS = ("id", "task_id", "queue_id")
Line = dict[str, Any]


@pytest.mark.parametrize("provider", ["wavespeed", "venice", "piapi", "vicsee"])
def test_one_changed_word_or_name_is_one_line(provider: str, tmp_path: Path) -> None:
    """If one status word or the name of the id is changed, the report has one line.

    The caller polls seldom: only the submit shows the first word.
    """
    with stand_in(provider) as made:
        assert drifted(made, tmp_path) == []
    file = tmp_path / "cassette.jsonl"
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    seldom = [one for one in lines if _word(one) not in FIRST or one["method"] != "GET"]

    wrong = {}
    for name, position, altered in _altered(seldom):
        told = _drifts(file, [*seldom[:position], altered, *seldom[position + 1 :]])
        number = f"exchange {altered['number']}"
        if len(told) != 1 or not told[0].partition("; the same in")[0].endswith(number):
            wrong[name, number] = told

    assert wrong == {}


def _altered(lines: list[Line]) -> Iterator[tuple[str, int, Line]]:
    """Yield each change once: what it is, where, and the exchange as it then is."""
    done = set()
    for position, line in enumerate(lines):
        is_made = line.get("method") == "POST"
        for name, old, new in _changes(line):
            if name in IDS or (name, is_made) not in done:
                done.add((name, is_made))
                text = json.dumps(line["answer"]).replace(old, new)
                yield name, position, {**line, "answer": json.loads(text)}


def _changes(line: Line) -> Iterator[tuple[str, str, str]]:
    """Yield what can be changed in an answer, as texts of its JSON."""
    word = _word(line)
    if word:
        yield word, f'"status": "{word}"', '"status": "brewing"'
        yield f"{word} as an object", f'"status": "{word}"', '"status": {"state": "x"}'
    if word in FIRST:
        yield f"{word} skipped", f'"status": "{word}"', '"status": "processing"'
    document = at(line, "answer.body.json")
    places = [document, at(document, "data")] if line.get("status") == 200 else []
    for name in IDS:
        if line.get("method") == "POST" and any(
            isinstance(one, dict) and name in one for one in places
        ):
            yield name, f'"{name}"', '"job_id"'


def _word(line: Line) -> str:
    """Return the status word of a job in an answer; empty for none."""
    document = at(line, "answer.body.json")
    found = [at(document, place) for place in ("data.status", "status")]
    return next((one for one in found if isinstance(one, str)), "")


def _drifts(file: Path, lines: list[Line]) -> list[str]:
    """Return the lines of the drift report of a cassette, without its headline."""
    altered = file.with_name("altered.jsonl")
    altered.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    said: list[str] = []
    run_drift({"cassettes": [altered]}, LOCAL["sim"], said.append)
    return [line for text in said for line in text.splitlines()][:-1]
