"""The section `changes`: every mistake located, and what good ones become."""

from __future__ import annotations

from pathlib import Path

import pytest

from upsim.core.instants import SECOND
from upsim.providers import discover
from upsim.scenario import schema_validation
from upsim.scenario.changes import MAX_CHANGES, stages
from upsim.scenario.error_recovery import Broken
from upsim.scenario.explain import as_text, explain
from upsim.scenario.loader import Library
from upsim.scenario.yaml_tree import Value

NEITHER = "3:5: changes[0]: a change needs either after, such as 10m, or at, such as 2026-"
DEAR = 'models: {topaz-video-upscale: {billing: {rate: {table: {"2": "%s"}}}}}'


def told(folder: Path, *lines: str) -> list[str]:
    """Return the mistakes of a file with these changes, without its path."""
    path = folder / "mine.yaml"
    path.write_text("\n".join(("extends: vicsee/baseline", "changes:", *lines)), "utf-8")
    library = Library()
    found = library.mistakes_in(library.resolve(path), discover())
    return [str(mistake).removeprefix(f"{path}:") for mistake in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "  - {set: {refund: {states: []}}}",
            NEITHER,
        ),
        (
            "  - {after: 1m, at: 2026-01-01, set: {refund: {states: []}}}",
            "3:5: changes[0]: a change has both after and at; remove one of them",
        ),
        (
            "  - {after: soon, set: {refund: {states: []}}}",
            "3:6: changes[0].after: 'soon' is not a duration such as 90s, 10m or 2m30s",
        ),
        (
            "  - {at: soon, set: {refund: {states: []}}}",
            "3:6: changes[0].at: 'soon' is not an ISO 8601 time",
        ),
        ("  - {after: 1m}", "3:5: changes[0]: lacks set"),
        ("  - {after: 1m, set: {}}", "3:17: changes[0].set: say what changes: set: {refund: …}"),
        (
            "  - {after: 1m, set: {seed: 5}}",
            "3:23: changes[0].set.seed: seed is read only at start and cannot",
        ),
        (
            "  - {after: 1m, set: {refnd: {states: []}}}",
            "3:23: changes[0].set.refnd: unknown key; did you mean refund?",
        ),
        (
            "  - {after: 1m, set: {errors: {too_lng: {status: 400}}}}",
            "3:32: changes[0].set.errors.too_lng: unknown error; did you mean too_long?",
        ),
        (
            "  - {after: 1m, set: {checks: {credits: [has_kee]}}}",
            "3:42: changes[0].set.checks.credits[0]: unknown check 'has_kee'; did you mean has_key",
        ),
        (
            "  - {after: 1m, set: {faults: [{at: webhook, do: lose}]}}",
            "3:33: changes[0].set.faults[0].at: vicsee documents no webhooks, so none is ever sent",
        ),
        (
            "  - {after: 1m, foo: 1, set: {refund: {states: []}}}",
            "3:17: changes[0].foo: unknown key; allowed: after, at, set",
        ),
    ],
)
def test_a_mistake_has_its_place(tmp_path: Path, line: str, expected: str) -> None:
    """A mistake in a change is reported with line, column, path and cause."""
    assert any(found.startswith(expected) for found in told(tmp_path, line))


def test_changes_are_in_order_of_time(tmp_path: Path) -> None:
    """A change that is earlier than the change above it is a mistake; equal times are allowed."""
    change = "  - {after: %s, set: {refund: {states: []}}}"
    found = told(tmp_path, change % "2m", change % "120s", change % "1m")

    (only,) = found
    assert only == (
        "5:6: changes[2].after: this change is earlier than the one above it; "
        "write changes in order of time"
    )


def test_a_mistake_is_reported_once(tmp_path: Path) -> None:
    """A mistake of one change is not reported again for the later changes."""
    change = "  - {after: %s, set: {%s: {states: []}}}"

    assert 1 == len(told(tmp_path, change % ("1m", "refnd"), change % ("2m", "refund")))


def test_too_many_changes_are_refused_by_their_number(tmp_path: Path) -> None:
    """A file with too many changes is refused with one message, without a check of each change."""
    line = "  - {after: 1s, set: {refnd: {states: []}}}"
    found = told(tmp_path, *[line] * (MAX_CHANGES + 1))
    library = Library()

    assert ["2:1: changes: 101 changes; at most 100 are allowed"] == found
    assert not list(stages(library.resolve(tmp_path / "mine.yaml")))


def test_changes_of_a_wrong_type(tmp_path: Path) -> None:
    """A change that is not a mapping is reported with its type."""
    said = "a mapping is needed here, not 'soon'; write {set: {NAME: VALUE}, after: 10m}"
    assert [f"3:5: changes[0]: {said}"] == told(tmp_path, "  - soon")


def test_each_change_builds_on_the_earlier_ones(tmp_path: Path) -> None:
    """A change keeps all values of the earlier changes that it does not set itself."""
    path = tmp_path / "mine.yaml"
    first = f"  - {{after: 90s, set: {{{DEAR % 20}, refund: {{states: []}}}}}}"
    second = f'  - {{at: "2026-01-01T00:00:00Z", set: {{{DEAR % 30}}}}}'
    path.write_text(f"extends: vicsee/baseline\nchanges:\n{first}\n{second}\n", "utf-8")
    changes = Library().load(str(path)).changes
    rates = [
        dict(c.scenario.baseline.models["topaz-video-upscale"].billing.rate.table)["2"]
        for c in changes
    ]

    assert [20, 30] == rates
    assert [(), ()] == [change.scenario.baseline.refund.states for change in changes]
    assert [5 + 90 * SECOND, 1_767_225_600 * SECOND] == [change.instant(5) for change in changes]


def test_a_later_file_replaces_the_list(tmp_path: Path) -> None:
    """The changes of a file replace those of the file that it extends."""
    path = tmp_path / "mine.yaml"
    path.write_text("extends: vicsee/price-change-in-mid-run\nchanges: []\n", "utf-8")

    assert () == Library().load(str(path)).changes


def test_a_local_file_of_a_change(tmp_path: Path) -> None:
    """A local file in a change is found relative to the file with the change."""
    (tmp_path / "below").mkdir()
    media = "media: [{url: '*', file: clip.mp4}]"
    base = f"extends: vicsee/baseline\nchanges: [{{after: 1s, set: {{{media}}}}}]\n"
    (tmp_path / "below/base.yaml").write_text(base, "utf-8")
    (tmp_path / "mine.yaml").write_text("extends: below/base.yaml\n", "utf-8")
    (change,) = Library().load(str(tmp_path / "mine.yaml")).changes

    assert str(tmp_path / "below/clip.mp4") == str(change.scenario.media[0].found)


def test_a_change_is_explained() -> None:
    """`explain` shows a change with its line, and its value as assumed."""
    text = as_text(explain(Library(), "vicsee/refunds-end-in-mid-run"))
    (when,) = [line for line in text.splitlines() if 'after: "30s"' in line]
    (what,) = [line for line in text.splitlines() if "states: []" in line]

    assert when.endswith("# _common/refunds-end-in-mid-run.yaml:5")
    assert what.endswith("# _common/refunds-end-in-mid-run.yaml:6 assumed")


def test_a_change_is_validated_only_where_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each of a hundred changes, the schema validates only the changed section."""
    judged: list[tuple[str, object]] = []
    real = schema_validation.Sections._validated

    def counted(name: str, section: Value) -> list[Broken]:
        judged.append((name, section))
        return real(name, section)

    monkeypatch.setattr(schema_validation.Sections, "_validated", staticmethod(counted))
    change = "  - {after: 1s, set: {refund: {states: [%s]}}}"

    found = told(tmp_path, *[change % "failed"] * (MAX_CHANGES - 1), change % 5)

    assert ["102:41: changes[99].set.refund.states[0]: 5 "] == [one[:44] for one in found]
    names = [name for name, _ in judged]
    assert MAX_CHANGES + 2 == names.count("refund")  # the broken one also without its mistake
    assert {1} == {names.count(name) for name in names if name != "refund"}
