"""Faults in scenario files: every mistake located, and what a good one becomes."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from upsim.core.faults import (
    ACTIONS_AT,
    STAGES,
    Action,
    Corrupt,
    Delay,
    FaultRule,
    Headers,
    Late,
    Patch,
    Respond,
    Stage,
    Trickle,
    Truncate,
    Wait,
    Word,
)
from upsim.core.suggestions import shown
from upsim.providers import kinds
from upsim.scenario.faults.fault_rules import build_fault, fault_mistakes
from upsim.scenario.faults.vocabulary import FaultVocabulary
from upsim.scenario.loader import Library, ScenarioError
from upsim.scenario.model import Scenario

Load = Callable[[str], Scenario]
KNOWN = FaultVocabulary(
    provider="toy",
    operations={"create": "submit", "get": "poll", "credits": "read", "upload": "upload"},
    errors={"overloaded": frozenset(), "too_long": frozenset({"max"})},
    fields=("video", "factor"),
    told=("completed", "failed"),
    signing="shared_secret",
    bodiless=frozenset({"get"}),
    statuses={"waiting": "created", "processing": "created", "failed": "FAILED"},
    options={"factor": ("2", "4"), "audio": ("true", "false")},
)
SECOND = 1_000_000


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that loads a scenario of VicSee with these faults."""

    def write(faults: str) -> Scenario:
        path = tmp_path / "a.yaml"
        path.write_text(f"extends: vicsee/baseline\nfaults:\n{faults}\n", "utf-8")
        return Library(kinds=kinds).load(str(path))

    return write


def mistakes(node: object) -> list[tuple[object, str]]:
    """Return all that is wrong with a fault of the toy provider."""
    return list(fault_mistakes(node, KNOWN))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "  - {at: pol, do: drop_connection}",
            "3:6: faults[0].at: unknown stage 'pol'; did you mean poll?",
        ),
        ("  - {at: poll, do: drop_conection}", "3:16: faults[0].do: unknown action"),
        (
            "  - {at: poll, first: 0, do: drop_connection}",
            "3:16: faults[0].first: 0 is not a whole",
        ),
        ("  - {at: poll, on: tasks/gte, do: corrupt}", "3:16: faults[0].on: unknown operation"),
        ("  - {at: pol, on: polls, do: corrupt}", "3:6: faults[0].at: unknown stage 'pol'"),
        (
            "  - {at: poll, on: polls, do: corrupt}",
            "3:16: faults[0].on: unknown operation 'polls'; did you mean tasks/get (poll)?",
        ),
        (
            "  - {at: poll, on: generate, do: corrupt}",
            "3:16: faults[0].on: generate (submit) never reaches the stage poll",
        ),
        (
            "  - {at: poll, do: {respond: intrenal}}",
            "3:21: faults[0].do.respond: unknown error 'intrenal'; did you mean internal?",
        ),
        ("  - {at: poll, fist: 1, do: corrupt}", "3:16: faults[0].fist: unknown key; did you"),
        (
            "  - {at: upload, do: late}",
            "3:18: faults[0].do: late does not fit upload",
        ),
        ("  - {at: poll}", "3:5: faults[0]: do is missing; use one of respond"),
        (
            "  - {id: a, at: poll, do: corrupt}\n  - {id: a, at: poll, do: corrupt}",
            "4:6: faults[1].id: another fault has the id 'a'",
        ),
    ],
)
def test_a_mistake_has_its_place(load: Load, text: str, expected: str) -> None:
    """A mistake in a fault is reported with file, line, column, path and cause."""
    with pytest.raises(ScenarioError) as caught:
        load(text)
    assert expected in str(caught.value)


def test_all_mistakes_are_reported_at_once(load: Load) -> None:
    """A wrong fault hides no other fault's mistake; a wrong stage hides none in its own fault."""
    with pytest.raises(ScenarioError) as caught:
        load(
            "  - {at: poll, do: lose, first: 0}\n"
            "  - {at: pol, on: tasks/gte, state: finished, do: {respond: overloded}}\n"
            "  - poll\n"
            "  - {at: poll, do: {truncate: 150%}}\n"
            "  - {at: retrive, id: 7, do: {delay: 5}}\n"
            "  - {do: {respond: 503, delay: 5s}}"
        )
    assert [
        "faults[0].do",
        "faults[0].first",
        "faults[1].at",
        "faults[1].on",
        "faults[1].state",
        "faults[1].do.respond",
        "faults[2]",
        "faults[3].do.truncate",
        "faults[4].at",
        "faults[4].id",
        "faults[4].do.delay",
        "faults[5].at",
        "faults[5].do",
    ] == [mistake.place for mistake in caught.value.mistakes]


@pytest.mark.parametrize("provider", ["vicsee", "venice"])
def test_webhook_faults_need_webhooks(tmp_path: Path, provider: str) -> None:
    """A webhook fault is refused for a provider that documents no webhooks."""
    path = tmp_path / "a.yaml"
    text = f"extends: {provider}/baseline\nfaults:\n  - {{at: webhook, do: lose}}\n"
    path.write_text(text, "utf-8")
    with pytest.raises(ScenarioError, match=rf":3:6: faults\[0\].at: {provider} documents no webh"):
        Library(kinds=kinds).load(str(path))


def test_operations_are_known_without_their_kinds(tmp_path: Path) -> None:
    """A library without provider code still finds a misspelt operation."""
    path = tmp_path / "a.yaml"
    fault = "{at: poll, on: tasks/gte, do: corrupt}"
    path.write_text(f"extends: vicsee/baseline\nfaults: [{fault}]\n", "utf-8")
    with pytest.raises(ScenarioError, match=r"did you mean tasks/get\?"):
        Library().load(str(path))


@pytest.mark.parametrize(
    ("node", "place", "part"),
    [
        ("drop", (), "a fault is a mapping"),
        ({"do": "corrupt"}, ("at",), "at is missing; use one of before_accept"),
        ({"at": 7, "do": "corrupt"}, ("at",), "unknown stage 7"),
        ({"at": "poll"}, (), "do is missing"),
        ({"at": "poll", "do": "corrupt", "evry": 2}, ("evry",), "did you mean every?"),
        ({"at": "poll", "do": "corrupt", "id": "a b"}, ("id",), "letters, digits"),
        ({"at": "poll", "do": "corrupt", "on": 5}, ("on",), "the name of one operation"),
        ({"at": "poll", "do": "corrupt", "on": "create"}, ("on",), "never reaches the stage poll"),
        (
            {"at": "download", "do": "corrupt", "on": "get"},
            ("on",),
            "never reaches the stage download",
        ),
        ({"at": "upload", "do": "drop_connection", "on": "uplod"}, ("on",), "did you mean upload?"),
        (
            {"at": "poll", "do": "corrupt", "account": "x"},
            ("account",),
            "not an account; write it as 1 or toy-1",
        ),
        ({"at": "poll", "do": "corrupt", "account": "b-1"}, ("account",), "not an account"),
        ({"at": "poll", "do": "corrupt", "account": True}, ("account",), "not an account"),
        ({"at": "poll", "do": "corrupt", "state": "done"}, ("state",), "unknown state 'done'"),
        (
            {"at": "poll", "do": "corrupt", "state": "Created"},
            ("state",),
            "toy's `Created` means `waiting` or `processing`: write that",
        ),
        ({"at": "upload", "do": "delay", "state": "failed"}, ("state",), "there is no job yet"),
        ({"at": "download", "do": "corrupt", "state": "failed"}, ("state",), "only completed"),
        ({"at": "download", "do": "corrupt", "when": {"a": 1}}, ("when",), "has no body"),
        ({"at": "poll", "do": "corrupt", "when": {}}, ("when",), "fields of the request body"),
        ({"at": "poll", "do": "corrupt", "when": {"a": [1]}}, ("when", "a"), "a single value"),
        ({"at": "poll", "do": "corrupt", "first": 0}, ("first",), "from 1 to"),
        ({"at": "poll", "do": "corrupt", "first": True}, ("first",), "from 1 to"),
        ({"at": "poll", "do": "corrupt", "every": "2"}, ("every",), "from 1 to"),
        ({"at": "poll", "do": "corrupt", "after": -1}, ("after",), "from 0 to"),
        ({"at": "poll", "do": "corrupt", "probability": 0}, ("probability",), "above 0"),
        ({"at": "poll", "do": "corrupt", "probability": "1.1"}, ("probability",), "up to 1"),
        ({"at": "poll", "do": "corrupt", "probability": "x"}, ("probability",), "up to 1"),
        ({"at": "poll", "do": "corrupt", "probability": True}, ("probability",), "up to 1"),
        ({"at": "poll", "do": "corrupt", "probability": "NaN"}, ("probability",), "up to 1"),
        ({"at": "poll", "do": 5}, ("do",), "exactly one action"),
        (
            {"at": "poll", "do": {"corrupt": 1, "delay": "1s"}},
            ("do",),
            "a fault has exactly one action: {corrupt: …} or {delay: …}; write one fault for each",
        ),
        (
            {"at": "poll", "do": {}},
            ("do",),
            "a fault has exactly one action: a name or {name: argument",
        ),
        ({"at": "poll", "do": "lose"}, ("do",), "lose does not fit poll"),
        ({"at": "poll", "do": "dely"}, ("do",), "unknown action 'dely'; did you mean delay?"),
        (
            {"at": "poll", "do": {"drop_connection": 1}},
            ("do", "drop_connection"),
            "takes no argument",
        ),
        ({"at": "poll", "do": {"delay": "fast"}}, ("do", "delay"), "not a duration such as 90s"),
        ({"at": "poll", "do": {"delay": {"real": "2m"}}}, ("do", "delay"), "not a duration"),
        ({"at": "poll", "do": {"delay": {"wall": "2s"}}}, ("do", "delay"), "not a duration"),
        ({"at": "poll", "do": {"truncate": "100%"}}, ("do", "truncate"), "below 100%"),
        ({"at": "poll", "do": {"truncate": -1}}, ("do", "truncate"), "not a number of bytes"),
        ({"at": "poll", "do": {"corrupt": 0}}, ("do", "corrupt"), "from 1 to"),
        ({"at": "poll", "do": {"trickle": 5}}, ("do", "trickle"), "needs chunk"),
        (
            {"at": "poll", "do": {"trickle": {"chunk": 0, "pause": "1s"}}},
            ("do", "trickle", "chunk"),
            "from 1 to",
        ),
        (
            {"at": "poll", "do": {"trickle": {"chunk": 1, "pause": "x"}}},
            ("do", "trickle", "pause"),
            "not a duration",
        ),
        ({"at": "poll", "do": {"patch": {}}}, ("do", "patch"), "needs the changed fields"),
        ({"at": "poll", "do": {"headers": []}}, ("do", "headers"), "must be {name: text}"),
        ({"at": "poll", "do": {"headers": {"a b": "c"}}}, ("do", "headers", "a b"), "the name"),
        (
            {"at": "poll", "do": {"headers": {"Content-Length": "1"}}},
            ("do", "headers", "Content-Length"),
            "sets this header itself",
        ),
        ({"at": "poll", "do": {"headers": {"a": "b\nc"}}}, ("do", "headers", "a"), "one line"),
        ({"at": "poll", "do": {"respond": 99}}, ("do", "respond"), "from 200 to 599"),
        ({"at": "poll", "do": {"respond": None}}, ("do", "respond"), "respond needs a value"),
        ({"at": "poll", "do": {"respond": "over"}}, ("do", "respond"), "unknown error 'over'"),
        ({"at": "poll", "do": {"respond": "too_long"}}, ("do", "respond"), "its message needs max"),
        (
            {"at": "poll", "do": {"respond": {"error": "too_long", "vals": {}}}},
            ("do", "respond", "vals"),
            "only values may be written beside error",
        ),
        (
            {"at": "poll", "do": {"respond": {"error": "too_long", "values": 3}}},
            ("do", "respond", "values"),
            "values must be",
        ),
        (
            {"at": "poll", "do": {"respond": {"error": "too_long", "values": {"max": 1, "mx": 2}}}},
            ("do", "respond", "values", "mx"),
            "unknown placeholder 'mx'; did you mean max?",
        ),
        (
            {"at": "poll", "do": {"respond": {"error": "overloaded", "values": {"max": 1}}}},
            ("do", "respond", "values", "max"),
            "the message of overloaded has no placeholders; leave values out",
        ),
        (
            {"at": "poll", "do": {"respond": "503"}},
            ("do", "respond"),
            "'503' is not a status from 200 to 599; write 503 without quotes",
        ),
        (
            {"at": "webhook", "do": {"respond": "500"}},
            ("do", "respond"),
            "such as 500, not '500'; write 500 without quotes",
        ),
        (
            {"at": "poll", "do": {"respond": {"stats": 500}}},
            ("do", "respond", "stats"),
            "did you mean status?",
        ),
        (
            {"at": "poll", "do": {"respond": {"status": True}}},
            ("do", "respond", "status"),
            "not a status",
        ),
        (
            {"at": "poll", "do": {"respond": {"headers": {"": ""}}}},
            ("do", "respond", "headers", ""),
            "is not the name of a header",
        ),
        (
            {"at": "poll", "do": {"respond": {"content_type": 5}}},
            ("do", "respond", "content_type"),
            "one line",
        ),
        (
            {"at": "poll", "do": {"respond": {"body": "x" * 1_000_001}}},
            ("do", "respond", "body"),
            "more than",
        ),
        ({"at": "webhook", "do": {"respond": "over"}}, ("do", "respond"), "is a status"),
        ({"at": "webhook", "do": "lose", "state": "waiting"}, ("state",), "never waiting"),
        ({"at": "webhook", "do": "stale_signature"}, ("do",), "toy does not sign a timestamp"),
        (
            {"at": "before_accept", "do": "delay", "when": {"vidoe.url": 1}},
            ("when", "vidoe.url"),
            "a submit body has no field 'vidoe'; did you mean video?",
        ),
        (
            {"at": "after_accept", "do": "corrupt", "when": {"factor": 9}},
            ("when", "factor"),
            "unknown value 9; allowed: 2, 4 (the provider refuses others)",
        ),
        (
            {"at": "webhook", "do": "lose", "when": {"input.audio": "ture"}},
            ("when", "input.audio"),
            "unknown value 'ture'; did you mean true?",
        ),
        (
            {"at": "poll", "do": "corrupt", "when": {"id": 1}},
            ("when",),
            "the requests of toy at poll have no body",
        ),
    ],
)
def test_a_wrong_fault_names_the_mistake(node: object, place: object, part: str) -> None:
    """Each mistake in a fault is reported at its place, with the allowed values."""
    found = mistakes(node)
    assert any(place == where and part in message for where, message in found), found


@pytest.mark.parametrize(
    "node",
    [
        {"at": "poll", "do": "corrupt", "on": "*"},
        {"at": "poll", "do": "corrupt", "on": "credits"},
        {"at": "poll", "do": {"respond": {"error": "too_long", "values": {"max": 5}}}},
        {"at": "download", "do": "corrupt", "on": "uploads", "state": "completed"},
        {"at": "upload", "do": "drop_connection", "on": "upload*"},
        {"at": "webhook", "do": {"respond": 500}, "first": 2, "state": "failed"},
        {"at": "before_accept", "do": "drop_connection", "when": {"video": "https://x"}},
        {"at": "before_accept", "do": "drop_connection", "on": "create", "when": {"mine": 1}},
        {"at": "poll", "do": "corrupt", "on": "c*", "when": {"id": 1}},
        {"at": "poll", "do": "corrupt", "account": "toy-1", "probability": Decimal("0.5")},
        {"at": "before_accept", "do": {"delay": {"virtual": "1h"}}},
        {"at": "before_accept", "do": "drop_connection", "when": {"factor": 9}},
        {"at": "after_accept", "do": "drop_connection", "when": {"factor": Decimal("4.0")}},
        {"at": "webhook", "do": "lose", "when": {"audio": True}},
    ],
)
def test_a_correct_fault_has_no_mistakes(node: object) -> None:
    """A fault that can match and fits its stage is accepted."""
    assert [] == mistakes(node)


@pytest.mark.parametrize(
    ("do", "expected"),
    [
        ("drop_connection", Word.DROP),
        ("{respond: 503}", Respond(status=503)),
        ("{respond: internal}", Respond(error="internal")),
        (
            "{respond: {error: rate_limited, values: {limit: 60, reset: soon}}}",
            Respond(error="rate_limited", values={"limit": 60, "reset": "soon"}),
        ),
        (
            "{respond: {status: 502, body: oops, headers: {X-A: b}}}",
            Respond(
                status=502,
                body="oops",
                headers=(("content-type", "text/plain; charset=utf-8"), ("x-a", "b")),
            ),
        ),
        (
            "{respond: {body: {a: 1}}}",
            Respond(body={"a": 1}, headers=(("content-type", "application/json"),)),
        ),
        ("{patch: {data.status: odd}}", Patch((("data.status", "odd"),))),
        ("{headers: {Content-Type: text/html}}", Headers((("content-type", "text/html"),))),
        ("{delay: 1.5s}", Delay(Wait(1_500_000))),
        ("{delay: {real: 50ms}}", Delay(Wait(50_000, real=True))),
        ("{truncate: 10}", Truncate(10)),
        ("{truncate: 50%}", Truncate(50, percent=True)),
        ("corrupt", Corrupt(1)),
        ("{corrupt: 3}", Corrupt(3)),
        ("{trickle: {chunk: 4, pause: 1s}}", Trickle(4, Wait(SECOND))),
    ],
)
def test_an_action_is_read(load: Load, do: str, expected: Action) -> None:
    """The action of a fault is read as it is written in the file."""
    assert expected == load(f"  - {{at: poll, do: {do}}}").faults[0].do


def test_a_late_webhook_is_read() -> None:
    """A webhook fault with a delay is read."""
    fault = {"at": "webhook", "do": {"late": "1m"}}
    assert Late(Wait(60 * SECOND)) == build_fault(fault, provider="piapi", name="f1").do


def test_a_selection_is_read(load: Load) -> None:
    """Every part of a fault's selection is read in the form that rules compare."""
    fault = "{at: mid_body, id: x, on: '*', account: 2, when: {a.b: true}, state: completed,"
    fault += " first: 1, every: 2, after: 3, probability: 0.5, do: corrupt}"
    expected = FaultRule(
        id="x",
        provider="vicsee",
        at="mid_body",
        do=Corrupt(),
        on="*",
        account="2",
        when=(("a.b", "true"),),
        state="completed",  # type: ignore[arg-type]  # a state is its word
        first=1,
        every=2,
        after=3,
        probability=Decimal("0.5"),
        written="corrupt",
    )
    assert expected == load(f"  - {fault}").faults[0]


def test_faults_without_a_name_are_numbered(load: Load) -> None:
    """A fault without a name is named after its position, even if that name is already used."""
    found = load(
        "  - {at: poll, first: 1, do: corrupt}\n  - {at: poll, first: 1, do: corrupt}\n"
        "  - {id: f2, at: poll, do: corrupt}"
    )
    assert ["f1", "fault-2", "f2"] == [rule.id for rule in found.faults]


def test_a_fault_without_a_name_takes_no_given_name(load: Load) -> None:
    """No two faults of a file get the same name."""
    found = load(
        "  - {id: f2, at: poll, do: corrupt}\n  - {at: poll, first: 1, do: corrupt}\n"
        "  - {id: fault-2, at: poll, do: corrupt}"
    )
    assert ["f2", "fault-2-2", "fault-2"] == [rule.id for rule in found.faults]


def test_a_fault_may_be_named_none(load: Load) -> None:
    """A fault without a name takes no other fault's name, even if that name is `none`."""
    found = load("  - {at: poll, first: 1, do: corrupt}\n  - {id: None, at: poll, do: corrupt}")
    assert ["f1", "None"] == [rule.id for rule in found.faults]


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("at: poll", "at: poll"),
        ("at: poll", "at: poll, first: 3, every: 2"),
        ("at: poll, probability: 1, every: 1, after: 0", "at: poll, state: completed"),
        ("at: poll, on: '*'", "at: poll"),
        ("at: poll, on: tasks/*", "at: poll, on: tasks/get"),
        ("at: poll", "at: poll, on: tasks/get"),
        ("at: poll, state: completed", "at: poll, state: completed, account: 1"),
        (
            "at: after_accept, when: {model: topaz-video-upscale}",
            "at: after_accept, when: {model: topaz-video-upscale, video_url: y}",
        ),
        ("at: download", "at: download, on: outputs"),
        ("at: mid_body", "at: mid_body, on: credits"),
    ],
)
def test_a_fault_that_never_fires_is_refused(load: Load, above: str, below: str) -> None:
    """A fault is refused if an earlier fault always fires in its place."""
    with pytest.raises(
        ScenarioError, match=r":4:5: faults\[1\]: this fault can never fire: faults\[0\]"
    ):
        load(f"  - {{{above}, do: corrupt}}\n  - {{{below}, do: corrupt}}")


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("at: poll, first: 1", "at: poll"),
        ("at: poll, every: 2", "at: poll"),
        ("at: poll, after: 1", "at: poll"),
        ("at: poll, probability: 0.5", "at: poll"),
        ("at: poll, id: mine", "at: poll"),
        ("at: poll, state: completed", "at: poll"),
        ("at: poll, account: 1", "at: poll, account: 2"),
        ("at: after_accept, when: {video_url: x}", "at: after_accept, when: {video_url: y}"),
        ("at: poll", "at: poll, on: '*'"),
        ("at: poll", "at: poll, on: credits"),
        ("at: poll", "at: mid_body"),
        ("at: download, on: uploads", "at: download"),
    ],
)
def test_a_fault_that_may_fire_is_accepted(load: Load, above: str, below: str) -> None:
    """A fault is accepted if the fault above it lets requests pass or can be disarmed."""
    found = load(f"  - {{{above}, do: corrupt}}\n  - {{{below}, do: corrupt}}").faults

    assert 2 == len(found)


def test_an_early_webhook_does_not_block_later_faults(tmp_path: Path) -> None:
    """A fault `early` does not stop a later webhook fault from firing."""
    path = tmp_path / "a.yaml"
    faults = "[{at: webhook, do: early}, {at: webhook, do: duplicate}]"
    path.write_text(f"extends: piapi/baseline\nfaults: {faults}\n", "utf-8")

    assert 2 == len(Library(kinds=kinds).load(str(path)).faults)


def test_upload_faults_need_uploads(tmp_path: Path) -> None:
    """An upload fault is refused for a provider that accepts no uploads."""
    path = tmp_path / "a.yaml"
    text = "extends: venice/baseline\nfaults:\n  - {at: upload, do: drop_connection}\n"
    path.write_text(text, "utf-8")
    with pytest.raises(ScenarioError, match=r":3:6: faults\[0\].at: venice has no operation for"):
        Library(kinds=kinds).load(str(path))


def test_covered_faults_are_found_without_the_kinds_of_operations(tmp_path: Path) -> None:
    """Without provider code, a library compares faults only by the operations in `on`."""
    path = tmp_path / "a.yaml"
    two = (
        "extends: vicsee/baseline\nfaults: [{{{}do: corrupt, at: poll}}, {{at: poll, do: corrupt}}]"
    )
    path.write_text(two.format("on: tasks/get, "), "utf-8")
    assert 2 == len(Library().load(str(path)).faults)

    path.write_text(two.format("on: '*', "), "utf-8")
    with pytest.raises(ScenarioError, match="this fault can never fire"):
        Library().load(str(path))


def test_faults_and_job_rules_refuse_impossible_values(tmp_path: Path) -> None:
    """A fault or job rule is refused if it selects a value that no accepted job has.

    Before acceptance such a request does arrive, so a fault at that stage may select it.
    """
    never = {
        "venice": {
            'model: "tpaz-*"': "unknown value 'tpaz-*'",
            "model: runway": "unknown value 'runway'",
            "video_url: 5": "5 is not a text",
        },
        "piapi": {"task_type: upscal": "unknown value 'upscal'", "video: true": "true is not a"},
        "vicsee": {"video_url: null": "null is not a text"},
        "wavespeed": {"video: 5": "5 is not a text"},
    }
    path = tmp_path / "a.yaml"
    for provider, cases in never.items():
        for when, told in cases.items():
            fault = f"at: after_accept, when: {{{when}}}, do: {{respond: 503}}"
            inner = f"at: after_accept, when: {{input.{when}}}, do: {{respond: 503}}"
            early = f"at: before_accept, when: {{{when}}}, do: {{respond: 503}}"
            if provider == "piapi" and when.startswith("video"):
                fault, early = inner, early.replace("video", "input.video")
            job = f"when: {{{when}}}, lifecycle: [{{processing: 1s}}, {{completed: }}]"
            for text, wrong in ((fault, told), (job, told), (early, None)):
                section = "jobs" if "lifecycle" in text else "faults"
                path.write_text(f"extends: {provider}/baseline\n{section}: [{{{text}}}]\n", "utf-8")
                library = Library(kinds=kinds)
                found = [str(one) for one in library.mistakes_in(library.resolve(path))]
                if wrong is None:
                    assert found == [], text
                else:
                    assert [wrong in one for one in found] == [True], (text, found)


WRONG_KINDS = (5, "strange", [1], {"strange": 1}, True, None)
"""Values of every kind; each is wrong for most actions and keys."""
KEYS = ("id", "on", "account", "when", "state", "first", "every", "after", "probability", "at")


@pytest.mark.parametrize("stage", STAGES)
def test_each_action_names_a_wrong_value_and_a_form(stage: Stage) -> None:
    """The error for a missing or wrong value of an action shows the value and the correct form."""
    tried = 0
    for name in ACTIONS_AT[stage]:
        for value in WRONG_KINDS:
            for place, message in mistakes({"at": stage, "do": {name: value}}):
                if place != ("do", name) or "does not sign" in message:
                    continue  # of a part of the value, or of the stage
                seen = "needs a value" in message or shown(value) in message
                form = any(
                    word in message for word in ("write", "did you mean", "allowed: ", "such as")
                )
                assert (seen, form) == (True, True), (name, value, message)
                tried += 1
        bare = [m for place, m in mistakes({"at": stage, "do": name}) if place == ("do",)]
        assert all("write {" in m or "does not sign" in m for m in bare), bare
    assert tried > 5


@pytest.mark.parametrize("key", KEYS)
def test_each_key_names_a_wrong_value_and_a_form(key: str) -> None:
    """The error for each key of a fault shows the wrong value and a correct one."""
    for value in WRONG_KINDS:
        node = {"at": "poll", "do": "drop_connection", key: value}
        for place, message in mistakes(node):
            if place == (key,) and "have no body" not in message:
                assert shown(value) in message, message
                assert f"did you mean {value}?" not in message
