"""YAML 1.2 with the line and column of every value."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upsim.scenario.yaml_tree import Mark, Mistake, Place, Tree, dotted, parse_tree, read_tree


def found(text: str) -> list[str]:
    """Return the mistakes in a text, as they are printed."""
    return [str(mistake) for mistake in parse_tree(text, "f.yaml").mistakes]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("off", "off"),
        ("y", "y"),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("tRUE", "tRUE"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'true'", "true"),
        ('"5"', "5"),
        ("5", 5),
        ("-5", -5),
        ("+5", 5),
        ("007", 7),
        ("5.0", Decimal("5.0")),
        (".5", Decimal("0.5")),
        ("5.", Decimal(5)),
        ("0.1", Decimal("0.1")),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("0o17", "0o17"),
        ("1e3", "1e3"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("12:30:45", "12:30:45"),
        ("2026-01-31", "2026-01-31"),
        ("854x480", "854x480"),
        ("90s", "90s"),
        ("١٢", "١٢"),
        ("9" * 31, "9" * 31),
    ],
)
def test_scalars(text: str, value: object) -> None:
    """Words, integers and decimals are read as in YAML 1.2; every other scalar is text."""
    tree = parse_tree(f"key: {text}\n", "f.yaml")

    assert (tree.mistakes, tree.value) == ([], {"key": value})


@given(st.decimals(-(10**9), 10**9, places=6))
def test_numbers_with_a_point_are_exact(number: Decimal) -> None:
    """A decimal number keeps all its digits."""
    tree = parse_tree(f"key: {number:f}\n", "f.yaml")

    assert tree.value == {"key": number}


@pytest.mark.parametrize("key", ["on", "null", "5", "true", "1.5"])
def test_keys_are_texts(key: str) -> None:
    """Each key is read as the text that is written."""
    assert parse_tree(f"{key}: 1\n", "f.yaml").value == {key: 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing\n", None),
        ("[1, [2, x]]", [1, [2, "x"]]),
        ("a: &x {b: 1}\nc: *x\n", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: |\n  one\n  two\n", {"a": "one\ntwo\n"}),
        ("a: >\n  5\n", {"a": "5\n"}),
    ],
)
def test_structures(text: str, value: object) -> None:
    """Lists, mappings, anchors and blocks are read as in standard YAML."""
    tree = parse_tree(text, "f.yaml")

    assert (tree.mistakes, tree.value) == ([], value)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("a: 1\na: 2\n", "f.yaml:2:1: a: this key is repeated; remove one of them"),
        ("a:\n  b: 1\n  b: 2\n", "f.yaml:3:3: a.b: this key is repeated; remove one of them"),
        ("a: &x [*x]\n", "f.yaml:1:4: a[0]: an alias may not contain itself"),
        ("a: &x {b: *x}\n", "f.yaml:1:4: a.b: an alias may not contain itself"),
        ("? [a]\n: 1\n", "f.yaml:1:1: a key must be a text"),
        ("a: !x 1\n", "f.yaml:1:4: a: tags are not supported; quote the value to keep it as text"),
        (
            "a: !!str 5\n",
            "f.yaml:1:4: a: tags are not supported; quote the value to keep it as text",
        ),
        (
            "a: &b !!str 5\n",
            "f.yaml:1:4: a: tags are not supported; quote the value to keep it as text",
        ),
        ("a: !x {}\n", "f.yaml:1:4: a: tags are not supported; quote the value to keep it as text"),
        (
            "- !x '1'\n",
            "f.yaml:1:3: [0]: tags are not supported; quote the value to keep it as text",
        ),
        ("a: [1\n", "f.yaml:1:4: not YAML: this [ is not closed"),
        ("a: @\n", "f.yaml:1:4: not YAML: a text that begins with @ must be quoted"),
        ("--- 1\n--- 2\n", "f.yaml:2:1: not YAML: but found another document"),
        ("\0", "f.yaml:1:1: not YAML: unacceptable character #x0000"),
    ],
)
def test_mistakes_have_a_place(text: str, mistake: str) -> None:
    """Each mistake has file, line, column and path."""
    assert [line[: len(mistake)] for line in found(text)] == [mistake]


def test_all_mistakes_are_found_at_once() -> None:
    """A second syntax mistake is reported together with the first."""
    assert len(found("a: 1\na: 2\nb: !x 3\nb: 4\n")) == 3


@pytest.mark.parametrize(
    ("place", "line", "column"),
    [
        ((), 1, 1),
        (("a",), 1, 1),
        (("b",), 2, 1),
        (("b", "c"), 3, 3),
        (("b", "c", 1), 3, 10),
        (("b", "c", 1, "d"), 3, 11),
        (("b", "none", "deeper"), 2, 1),
        (("none",), 1, 1),
    ],
)
def test_marks(place: Place, line: int, column: int) -> None:
    """Each value has its file position; a missing key has the position of its parent."""
    tree = parse_tree("a: 1\nb:\n  c: [x, {d: 1}]\n", "f.yaml")

    assert Mark("f.yaml", line, column) == tree.mark(place)


def test_a_tree_without_marks() -> None:
    """Mistakes in a tree that was not read from a file have no position."""
    assert str(Tree(None, {}).mark(("a",))) == "<nowhere>:1:1"


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ((), ""),
        (("errors", "too_long", "status"), "errors.too_long.status"),
        (("jobs", 0, "when"), "jobs[0].when"),
        ((0, 1), "[0][1]"),
    ],
)
def test_paths_in_messages(place: Place, text: str) -> None:
    """In a path, keys are joined by points, and list positions are in brackets."""
    assert text == dotted(place)


def test_mistakes_are_in_order_of_place() -> None:
    """Mistakes are sorted numerically by line and column."""
    late, early = (Mistake(Mark("f", line, 1), "", "x") for line in (10, 9))

    assert sorted([late, early]) == [early, late]


def test_a_file(tmp_path: Path) -> None:
    """The positions of values from a file have the file name."""
    path = tmp_path / "a.yaml"
    path.write_text("é: 1\n", "utf-8")

    assert str(read_tree(path).mark(("é",))) == f"{path}:1:1"


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    """The wrong encoding of a file is reported as a mistake."""
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: \xe9\n")

    (mistake,) = read_tree(path).mistakes

    assert str(mistake).startswith(f"{path}:1:1: not UTF-8: ")


def test_a_long_value_is_shown_by_its_ends() -> None:
    """In a message, a long value is shortened to its start and its end."""
    tree = parse_tree("a: 1", "f.yaml")
    told = str(tree.mistake(("a",), f"'{'x' * 5000}' is not a number"))

    assert told.startswith("f.yaml:1:1: a: 'xxx")
    assert told.endswith("xxx' is not a number")
    assert len(told) < 900


def test_a_default_holds_no_variable() -> None:
    """A variable inside the default of another variable is refused."""
    assert found("a: ${A:-${B:-c}}") == [
        "f.yaml:1:4: a: write a variable as ${NAME} or ${NAME:-default}, and $${ for a literal ${"
    ]
