"""The corpus of exports: files that an earlier version wrote replay with the same responses."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from tests.exports.corpus import FOLDER, SUFFIX, Member, changes, groups, read_group
from upsim.engine.seeds import Seeds
from upsim.scenario.loader import Library

MAX_BYTES = 1_500_000
SHORT = 5
"""The short run replays every fifth member of a group; `make nightly` replays all."""
HOW_MANY = [SHORT, pytest.param(1, marks=pytest.mark.nightly)]


@pytest.mark.parametrize("step", HOW_MANY)
@pytest.mark.parametrize("group", groups())
def test_members_replay_with_the_recorded_responses(group: str, step: int) -> None:
    """Every response has the recorded status, headers, body and end of the connection."""
    members = read_group(group)

    assert members
    assert [line for member in members[::step] for line in changes(member)] == []


@pytest.mark.parametrize("group", [name for name in groups() if name.startswith("scenarios-")])
def test_corpus_has_every_shipped_scenario(group: str) -> None:
    """The corpus has a member for every shipped scenario.

    After you add a scenario, run `python -m tests.exports.make`.
    """
    provider = group.removeprefix("scenarios-")
    shipped = {name for name in Library().names() if name.startswith(f"{provider}/")}

    assert shipped - {member.name for member in read_group(group)} == set()


def test_corpus_is_small() -> None:
    """All files together have at most 1.5 MB."""
    assert sum(path.stat().st_size for path in FOLDER.glob(f"*{SUFFIX}")) <= MAX_BYTES


def member(group: str, name: str) -> Member:
    """Return a member that a test may change."""
    return deepcopy(next(found for found in read_group(group) if found.name == name))


def _answer(found: Member) -> tuple[int, dict[str, Any]]:
    """Return the number and the response of the first submit of VicSee."""
    asked = (entry for entry in found.export["commands"] if "request" in entry)
    entry = next(entry for entry in asked if "/tools/" in entry["request"]["path"])
    return entry["n"], entry["answer"]


def _status(found: Member) -> str:
    number, answer = _answer(found)
    answer["status"] = 201
    return f"entry {number} POST /vicsee/api/v1/tools/upscale-video: status was '201', is '200'"


def _header(found: Member) -> str:
    number, answer = _answer(found)
    answer["headers"] = [["x-other", "1"], *answer["headers"]]
    return f"entry {number} POST /vicsee/api/v1/tools/upscale-video: header x-other was '1', is ''"


def _body(found: Member) -> str:
    number, _ = _answer(found)
    found.bodies[str(number)] = "{}"
    return f"entry {number}: the body was {{}}, is "


def _digest(found: Member) -> str:
    number, answer = _answer(found)
    answer["sha256"] = "0" * 64
    return f"entry {number}: the body was "


def _price(found: Member) -> str:
    """Change a value of the scenario, which holds the baseline's price table."""
    billing = found.export["values"]["models"]["topaz-video-upscale"]["billing"]
    billing["rate"]["table"]["2"] = "999"
    return f"entry {_answer(found)[0]}: the body was "


@pytest.mark.parametrize("change", [_status, _header, _body, _digest, _price])
def test_a_changed_response_is_reported(change: Callable[[Member], str]) -> None:
    """One changed part of a recorded response, or one changed price, is a difference."""
    found = member("scenarios-vicsee", "vicsee/happy-path-fast")
    assert changes(found) == []
    line = change(found)

    assert [text for text in changes(found) if line in text] != []


def test_a_changed_draw_of_ids_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a version draws other ids, the members differ."""
    found = member("clocks", "vicsee manual")
    draw = Seeds.draw
    monkeypatch.setattr(
        Seeds, "draw", lambda self, what, count, retry=0: draw(self, what, count + 1, retry)
    )

    assert any("the body was" in line for line in changes(found))
