"""Scenarios that come as documents: read as files are, but for what looks into the machine."""

from __future__ import annotations

import cProfile
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from upsim.core import nearest_names
from upsim.providers import discover
from upsim.scenario.inline import SENT, as_json, load_inline, sent_tree
from upsim.scenario.loader import MAX_REPORTED, Library, ScenarioError
from upsim.scenario.model import Scenario

BASE = {"extends": "vicsee/baseline"}
NO_FILE = "files of the server cannot be used here"


def sent(**document: Any) -> Scenario:  # noqa: ANN401 - a document
    """Return the scenario of a document that extends VicSee's baseline unless it says otherwise."""
    return load_inline(Library(), {**BASE, **document}, discover())


def mistakes(document: object) -> list[str]:
    """Return what is wrong with a document."""
    with pytest.raises(ScenarioError) as caught:
        load_inline(Library(), document, discover())  # type: ignore[arg-type]  # also wrong ones
    return str(caught.value).splitlines()


def test_an_inline_scenario_has_the_rules_of_a_file(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """An inline scenario and a file with the same content have the same rules and hash."""
    file = tmp_path_factory.mktemp("files") / "mine.yaml"
    file.write_text(
        "extends: vicsee/baseline\n"
        "media: [{url: 'https://example.com/*', duration: 12.5, size: 854x480, fps: 60}]\n"
        "account: {opening: '7'}\n"
        "changes: [{after: 10m, set: {refund: {states: []}}}]\n",
        "utf-8",
    )
    clip = {"url": "https://example.com/*", "duration": 12.5, "size": "854x480", "fps": 60}
    changes = [{"after": "10m", "set": {"refund": {"states": []}}}]
    found = sent(media=[clip], account={"opening": "7"}, changes=changes)
    expected = Library().load(str(file))

    assert SENT == found.name
    assert expected.baseline.digest == found.baseline.digest
    assert expected.media == found.media
    assert [c.scenario.baseline.digest for c in expected.changes] == [
        c.scenario.baseline.digest for c in found.changes
    ]


def test_all_mistakes_at_once() -> None:
    """Each mistake of an inline scenario is reported with its path and the nearest name."""
    document = {
        **BASE,
        "falts": [],
        "jobs": [{"lifecycle": [{"faild": "x"}]}],
        "limits": {"max_secondz": {"value": "9"}},
        "changes": [{"after": "1s", "set": {"refund": {"sates": []}}}],
    }

    assert [
        "falts: unknown key; did you mean faults?",
        "jobs[0].lifecycle[0].faild: unknown state 'faild'; did you mean failed?",
        "limits.max_secondz: unknown name; did you mean max_seconds?",
        "changes[0].set.refund.sates: unknown key; did you mean states?",
    ] == mistakes(document)


def test_local_files_are_refused() -> None:
    """An inline scenario with a local media file is refused, also inside its changes."""
    rule = {"url": "*", "file": "/etc/passwd"}
    found = mistakes(
        {**BASE, "media": [rule], "changes": [{"after": "1s", "set": {"media": [rule]}}]}
    )

    assert [f"media[0].file: {NO_FILE}", f"changes[0].set.media[0].file: {NO_FILE}"] == [
        line.partition(";")[0] for line in found
    ]


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ("vicsee/basline", "did you mean vicsee/baseline"),
        ("/etc/passwd", "paths are not allowed here"),
        ("mine.yaml", "paths are not allowed here"),
        ("vicsee/../vicsee/baseline", "paths are not allowed here"),
        (3, "3 is not a scenario's name"),
        (None, "null is not a scenario's name"),
    ],
)
def test_only_shipped_scenarios_can_be_extended(extends: object, message: str) -> None:
    """An inline scenario can extend only shipped scenarios, by name.

    The error does not reveal whether a path exists.
    """
    (line,) = mistakes({"extends": extends})

    assert line.startswith("extends: ")
    assert message in line


def test_levels_of_shipped_scenarios() -> None:
    """An inline scenario includes all levels of the shipped scenario that it extends."""
    assert sent(extends="vicsee/insufficient-funds").accounts == (
        Library().load("vicsee/insufficient-funds").accounts
    )


def test_the_environment_stays_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """An inline scenario with a variable is refused, so the server's environment stays secret."""
    monkeypatch.setenv("SECRET", "hush")
    (line,) = mistakes({**BASE, "summary": "${SECRET}"})

    assert line.startswith("summary: environment variables cannot be used here")
    assert "${SECRET} for $1" == sent(summary="$${SECRET} for $1").summary


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "extends is missing; write extends: <provider>/baseline"),
        ({**BASE, "seed": 10**40}, "seed: a number has at most 30 digits"),
        ({**BASE, "seed": Decimal("1e99")}, "seed: a number has at most 30 digits"),
        ({**BASE, "seed": float("nan")}, "seed: a number has at most 30 digits"),
        ({**BASE, "summary": b"bytes"}, "summary: a scenario cannot contain a bytes"),
        ({**BASE, "media": {3: 4}}, "media: a key must be a text, not 3"),
        ({**BASE, "jobs": [1] * 4_000}, "the document has more than 4000 values"),
        ({**BASE, "changes": [0] * 101}, "the document has 101 changes; at most 100 are allowed"),
        (
            {**BASE, "jobs": [1] * 500, "changes": [0] * 80},
            "a document of 584 values with 80 changes is too large to validate",
        ),
    ],
)
def test_impossible_values_are_refused(document: dict[str, object], message: str) -> None:
    """A JSON or Python value that no scenario allows is a mistake with its place."""
    assert any(line.startswith(message) for line in mistakes(document))


def test_a_too_deep_document() -> None:
    """An inline scenario that is nested too deeply is refused."""
    deep: dict[str, object] = {}
    for _ in range(100):
        deep = {"a": deep}

    assert ["the document is nested more than 64 levels deep"] == mistakes(deep)


def test_values_are_read_as_from_files() -> None:
    """In an inline scenario, numbers become exact decimals and tuples lists, in the same order."""
    tree = sent_tree({"b": 0.1, "a": (1, True, None), "c": Decimal("2.50")})

    assert "{'b': Decimal('0.1'), 'a': [1, True, None], 'c': Decimal('2.50')}" == str(tree.value)


def test_as_json() -> None:
    """A Python scenario can be sent as JSON: decimals become numbers, and tuples become lists."""
    assert {"a": [0.5, {"b": None}]} == as_json({"a": (Decimal("0.5"), {"b": None})})


def labour(document: dict[str, object]) -> int:
    """Return how many calls of functions it takes to judge a document."""
    nearest_names._near.cache_clear()
    with cProfile.Profile() as profile:
        mistakes(document)
    return sum(entry.callcount for entry in profile.getstats())


def unknown_keys(count: int) -> dict[str, object]:
    """Return a document of keys that no scenario has."""
    return {"extends": "vicsee/baseline", **{f"unknown{number}": 1 for number in range(count)}}


def wrong_limits(count: int) -> dict[str, object]:
    """Return a document of limits that are none."""
    return {"extends": "vicsee/baseline", "limits": {f"max_{n}": 1 for n in range(count)}}


@pytest.mark.parametrize("of", [unknown_keys, wrong_limits])
def test_many_mistakes_take_linear_time(of: Callable[[int], dict[str, object]]) -> None:
    """Four times as many wrong keys take about four times as long to check."""
    labour(of(1))
    assert labour(of(1_200)) < 5.5 * labour(of(300))


def test_a_message_of_many_mistakes_is_cut() -> None:
    """An error with many mistakes lists the first ones and the total number."""
    with pytest.raises(ScenarioError) as caught:
        sent(**unknown_keys(MAX_REPORTED + 10))
    lines = str(caught.value).splitlines()
    assert (MAX_REPORTED + 1, "… and 10 more mistakes") == (len(lines), lines[-1])
