"""Faults: what a rule speaks of, when it fires, and what changes a document or a body."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from upsim.core.faults import (
    DRAW_BITS,
    Action,
    Armed,
    Corrupt,
    FaultRule,
    Late,
    Occasion,
    Stage,
    Truncate,
    Wait,
    Word,
    concerns,
    corrupted,
    fires,
    name_of,
    spoken_of,
)
from upsim.core.json_patches import ABSENT, is_patched, near_path, patched, value_at
from upsim.core.states import JobState

RULE = FaultRule(id="f1", provider="toy", at="poll", do=Word.DROP)
POLL = Occasion(
    "toy", "tasks/get", "poll", ("1", "toy-1"), JobState.WAITING, {"a": {"b": [True, 2]}}
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"provider": "other"}, False),
        ({"at": "mid_body"}, False),
        ({"on": "tasks/get"}, True),
        ({"on": "tasks/*"}, True),
        ({"on": "credits"}, False),
        ({"account": "1"}, True),
        ({"account": "toy-1"}, True),
        ({"account": "toy-2"}, False),
        ({"state": JobState.WAITING}, True),
        ({"state": JobState.COMPLETED}, False),
        ({"when": (("a.b.0", "true"),)}, True),
        ({"when": (("a.b.1", "2"), ("a.b.0", "false"))}, False),
        ({"when": (("a.c", "none"),)}, False),
    ],
)
def test_a_fault_rule_matches_what_it_selects(changes: dict[str, object], expected: object) -> None:
    """A rule matches only if provider, stage, operation, account, state and body all match."""
    assert expected == concerns(replace(RULE, **changes), "poll", POLL)


@pytest.mark.parametrize(
    ("stage", "kind", "expected"),
    [
        ("before_accept", "submit", True),
        ("before_accept", "write", False),
        ("poll", "poll", True),
        ("poll", "read", False),
        ("mid_body", "read", True),
    ],
)
def test_a_rule_without_an_operation_takes_the_usual_ones(
    stage: Stage, kind: str, expected: object
) -> None:
    """A rule without `on` applies to submits at the accepting stages and to polls at `poll`."""
    rule = replace(RULE, at=stage)
    assert expected == concerns(rule, stage, Occasion("toy", "any", kind))


@pytest.mark.parametrize(
    ("stage", "on", "expected"),
    [
        ("poll", None, ("tasks/get",)),
        ("poll", "*", ("tasks/get", "credits")),
        ("poll", "cred*", ("credits",)),
        ("before_accept", None, ("tasks",)),
        ("before_accept", "*", ("tasks", "files")),
        ("mid_body", None, ("tasks", "files", "tasks/get", "credits")),
        ("upload", None, ("files", "uploads")),
        ("download", None, ("outputs", "uploads")),
        ("download", "out*", ("outputs",)),
        ("webhook", None, ("tasks",)),
    ],
)
def test_operations_of_a_fault_rule(
    stage: Stage, on: str | None, expected: tuple[str, ...]
) -> None:
    """The matching operations are listed by name, and file operations by folder."""
    kinds = {"tasks": "submit", "files": "upload", "tasks/get": "poll", "credits": "read"}

    assert expected == spoken_of(replace(RULE, at=stage, on=on), kinds)


def fired(rule: FaultRule, draws: list[int]) -> list[int]:
    """Return the numbers of the matches, from 1, at which the rule fires."""
    armed, found = Armed(rule), []
    for number, draw in enumerate(draws, 1):
        now = fires(armed, draw)
        found += [number] if now else []
        armed = Armed(rule, armed.matched + 1, armed.fired + now)
    return found


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"first": 2}, [1, 2]),
        ({"every": 3}, [3, 6]),
        ({"after": 4}, [5, 6]),
        ({"after": 1, "every": 2, "first": 1}, [3]),
        ({"probability": Decimal(1)}, [1, 2, 3, 4, 5, 6]),
    ],
)
def test_counts_decide_when_a_fault_fires(changes: dict[str, object], expected: list[int]) -> None:
    """`after` skips matches, `every` selects each n-th remaining match, `first` sets a maximum."""
    assert expected == fired(replace(RULE, **changes), [0] * 6)


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (0, True),
        (2 ** (DRAW_BITS - 2) - 1, True),
        (2 ** (DRAW_BITS - 2), False),
        (2**DRAW_BITS - 1, False),
    ],
)
def test_a_fault_fires_by_probability(draw: int, expected: object) -> None:
    """With a probability of 0.25, a quarter of all draws fires."""
    assert expected == fires(Armed(replace(RULE, probability=Decimal("0.25"))), draw)


@given(
    st.integers(1, 5), st.integers(1, 4), st.integers(0, 4), st.integers(min_value=0, max_value=30)
)
def test_a_rule_never_fires_more_often_than_allowed(
    first: int, every: int, after: int, calls: int
) -> None:
    """The number of firings never exceeds the number that the three counts allow."""
    rule = replace(RULE, first=first, every=every, after=after)
    assert min(first, max(0, calls - after) // every) == len(fired(rule, [0] * calls))


@pytest.mark.parametrize(("first", "remaining"), [(None, None), (3, 2)])
def test_remaining_firings(first: int | None, remaining: int | None) -> None:
    """The remaining firings are `first` minus the firings so far, or unlimited without `first`."""
    assert remaining == Armed(replace(RULE, first=first), matched=5, fired=1).remaining


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a", {"b": [1, "text"]}),
        ("a.b.1", "text"),
        ("a.b.2", ABSENT),
        ("a.b.x", ABSENT),
        ("a.b.1.0", ABSENT),
        ("c", ABSENT),
    ],
)
def test_a_path_leads_through_mappings_and_lists(path: str, expected: object) -> None:
    """In a path, names select keys of mappings, and numbers select items of lists."""
    assert expected == value_at({"a": {"b": [1, "text"]}}, path)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.b.0", {"a": {"b": [9, 2]}}),
        ("a.c", {"a": {"b": [1, 2], "c": 9}}),
        ("a", {"a": 9}),
        ("x.y", {"a": {"b": [1, 2]}}),
        ("a.b.7", {"a": {"b": [1, 2]}}),
    ],
)
def test_a_patch_changes_one_place(path: str, expected: object) -> None:
    """A patch changes or adds the field at its path, if the parent of the field exists."""
    assert expected == patched({"a": {"b": [1, 2]}}, [(path, 9)])


def test_a_patch_leaves_the_document_unchanged() -> None:
    """A patch changes a copy of the document."""
    document = {"a": {"b": 1}}
    patched(document, [("a.b", 2)])
    assert {"a": {"b": 1}} == document


def test_a_patch_copies_each_mapping_once() -> None:
    """A patch copies each mapping once, however many fields it changes."""
    copied: list[str] = []

    class Counted(Mapping[str, object]):
        def __init__(self, name: str, held: dict[str, object]) -> None:
            self.name, self.held = name, held

        def __getitem__(self, key: str) -> object:
            return self.held[key]

        def __len__(self) -> int:
            return len(self.held)

        def __iter__(self) -> Iterator[str]:
            copied.append(self.name)
            return iter(self.held)

    inner = Counted("inner", {"b": [1, 2], "c": 1})
    document = Counted("outer", {"a": inner, "z": 0})
    fields = [(f"a.k{number}", number) for number in range(300)]
    found = patched(document, [*fields, ("a.b.1", 3), ("a.c", {"d": 1}), ("a.c.d", 2)])
    assert ["inner", "outer"] == sorted(copied)
    expected = {"b": [1, 3], "c": {"d": 2}, **{f"k{number}": number for number in range(300)}}
    assert {"a": expected, "z": 0} == found
    assert {"b": [1, 2], "c": 1} == inner.held


@given(st.binary(min_size=1, max_size=200), st.integers(1, 300), st.data())
def test_corrupting_in_parts_is_corrupting_the_whole(
    body: bytes, count: int, data: st.DataObject
) -> None:
    """The same bytes are corrupted, however the body is split into parts."""
    cut = data.draw(st.integers(0, len(body)))
    whole = corrupted(body, offset=0, total=len(body), count=count)
    parts = (body[:cut], 0), (body[cut:], cut)
    again = [corrupted(part, offset=at, total=len(body), count=count) for part, at in parts]
    assert whole == b"".join(again)


@given(st.binary(min_size=1, max_size=200), st.integers(1, 300))
def test_the_requested_number_of_bytes_is_corrupted(body: bytes, count: int) -> None:
    """The requested number of bytes is changed, or all bytes of a shorter body."""
    found = corrupted(body, offset=0, total=len(body), count=count)
    differing = sum(a != b for a, b in zip(body, found, strict=True))
    assert min(count, len(body)) == differing


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (Word.RESET, "reset_connection"),
        (Truncate(10), "truncate"),
        (Corrupt(), "corrupt"),
        (Late(Wait(1)), "late"),
    ],
)
def test_an_action_has_the_name_that_scenarios_use(action: Action, expected: str) -> None:
    """Each fault action is registered under its name in scenario files."""
    assert expected == name_of(action)


@pytest.mark.parametrize(
    ("path", "there", "near"),
    [
        ("data.status", True, "data.status"),
        ("data.list.0", True, ""),
        ("data.staus", False, "data.status"),
        ("daat.status", False, "data.status"),
        ("status", False, "data.status"),
        ("data.result.ulr", False, "data.result.url"),
        ("data.status.word", False, ""),
        ("data.list.7", False, ""),
        ("data.xyz", False, ""),
    ],
)
def test_a_patch_needs_an_existing_field(path: str, near: str, *, there: bool) -> None:
    """The error for a patch of a missing field suggests the nearest field of the document."""
    document = {"data": {"status": "a", "result": {"url": None}, "list": [1]}}
    assert there == is_patched(document, [(path, 1)])
    assert near == near_path(document, path)
