"""Rules: a baseline with its knobs set."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from msgspec.structs import replace

from tests.unit.core.conftest import BASELINE, error, fact, knob, ruled
from upsim.core.baseline import BaselineError, RateLimit
from upsim.core.instants import DAY, SECOND
from upsim.core.knobs_and_dialects import Rules, rules

KNOBS = {
    "form": knob("form", "long", "short", live="short"),
    "case": knob("case", "lower", "upper"),
}
CHANGED = replace(BASELINE, knobs=KNOBS, dialects=("guide", "live"))
LIMITS = {
    "text": fact("60"),
    "whole": fact(60),
    "exact": fact(Decimal("60.5")),
    "word": fact("many"),
    "endless": fact("Infinity"),
    "nan": fact("NaN"),
    "list": fact(("mp4", "mov")),
    "table": fact({"video/mp4": "mp4"}),
}


def limits() -> Rules:
    """Return rules with one limit of each kind."""
    return ruled(limits=LIMITS, facts={"name": fact("Topaz"), "number": fact(7)})


@pytest.mark.parametrize(
    ("dialect", "chosen", "form"),
    [
        ("guide", {}, "long"),
        ("live", {}, "short"),
        ("live", {"form": "long"}, "long"),
        ("guide", {"case": "upper"}, "long"),
    ],
)
def test_a_knob_overrides_the_dialect(dialect: str, chosen: dict[str, str], form: str) -> None:
    """A single knob setting overrides the value that the dialect sets."""
    assert form == rules(CHANGED, dialect, chosen).knobs["form"]


@pytest.mark.parametrize(
    ("dialect", "chosen", "text"),
    [
        ("lively", {}, "vicsee has no dialect 'lively'; did you mean live? it has guide, live"),
        (
            "guide",
            {"fom": "long"},
            "vicsee has no knob 'fom'; did you mean form? its knobs: case, form",
        ),
        ("guide", {"form": "wide"}, "knob vicsee.form cannot be 'wide'; allowed: long, short"),
    ],
)
def test_unknown_choices_are_refused(dialect: str, chosen: dict[str, str], text: str) -> None:
    """An unknown dialect, knob or value is refused, and the error lists the known ones."""
    with pytest.raises(BaselineError) as caught:
        rules(CHANGED, dialect, chosen)

    assert text == str(caught.value)


def test_a_provider_without_knobs() -> None:
    """The error for an unknown knob says that the provider has no knobs."""
    with pytest.raises(BaselineError, match="its knobs: none"):
        rules(replace(BASELINE, knobs={}), "guide", {"form": "long"})


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({}, "own"),
        ({"form": "short"}, "first"),
        ({"case": "upper"}, "own"),
        ({"form": "short", "case": "upper"}, "first"),
    ],
)
def test_variants_of_an_error(chosen: dict[str, str], message: str) -> None:
    """The first error variant whose knobs all match replaces the catalogue entry."""
    variants = (
        ({"form": "short"}, error("broken", "first")),
        ({"form": "short", "case": "upper"}, error("broken", "never")),
    )
    catalogue = {"broken": error("broken", "own", variants=variants)}
    found = rules(replace(CHANGED, errors=catalogue, failures=catalogue), "guide", chosen)

    assert (message, message) == (found.errors["broken"].message, found.failures["broken"].message)


@pytest.mark.parametrize(("name", "value"), [("text", "60"), ("whole", "60"), ("exact", "60.5")])
def test_a_limit_is_a_number(name: str, value: str) -> None:
    """A limit is read exactly, from a text or from a number."""
    assert Decimal(value) == limits().limits[name]


def test_a_whole_limit() -> None:
    """A limit can be read as a whole number."""
    assert limits().wholes["text"] == 60


def test_a_limit_of_words() -> None:
    """A limit can be a list of words."""
    assert limits().words["list"] == ("mp4", "mov")


def test_a_limit_as_a_table() -> None:
    """A limit can be a table of words."""
    assert limits().table("table") == {"video/mp4": "mp4"}


@pytest.mark.parametrize(
    ("read", "name", "kind"),
    [
        (lambda rules, name: rules.limits[name], "list", "numeric limit"),
        (lambda rules, name: rules.wholes[name], "word", "numeric limit"),
        (lambda rules, name: rules.wholes[name], "endless", "numeric limit"),
        (lambda rules, name: rules.limits[name], "nan", "numeric limit"),
        (lambda rules, name: rules.words[name], "text", "list of words"),
        (lambda rules, name: rules.texts[name], "text", "fact"),
        (lambda rules, name: rules.table(name), "list", "table"),
    ],
)
def test_a_limit_of_another_kind(
    read: Callable[[Rules, str], object], name: str, kind: str
) -> None:
    """A limit that is read as the wrong type raises a baseline error."""
    with pytest.raises(BaselineError, match=f"'{name}' is not a {kind} of this baseline"):
        read(limits(), name)


def test_facts() -> None:
    """A fact can be read as its value or as a text."""
    assert (limits().fact("number"), limits().texts["number"]) == (7, "7")


@pytest.mark.parametrize(
    ("per", "length"), [("half_minute", 30 * SECOND), ("minute", 60 * SECOND), ("day", DAY)]
)
def test_windows(per: str, length: int) -> None:
    """Each kind of rate-limit window has its documented length."""
    limit = RateLimit("plan/0", 1, per, "all")  # type: ignore[arg-type]  # one of its words

    assert length == limit.length
