"""A corpus of broken scenario files: each gives located messages and never a traceback."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from upsim.providers import discover
from upsim.scenario.loader import Library, ScenarioError
from upsim.scenario.yaml_tree import read_tree

LIBRARY = Library()
Change = Callable[[str], str]
LOCATED = re.compile(
    r"(?P<file>.+?):(?P<line>[0-9]+):(?P<column>[0-9]+): (?P<message>\S.*)", re.DOTALL
)
BOMB = "\n".join(
    ["x0: &x0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    + [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" for n in range(1, 12)]
)
JOB = "jobs: [{lifecycle: "
MODEL = "models: {topaz-video-upscale: "

WRITTEN = [
    # what YAML refuses
    ("summary: 'open", "not YAML: this ' is not closed"),
    (
        'summary: "open\nseed: 1\nknobs: {x: "y"}',
        'not YAML: this " is closed only in line 4; close',
    ),
    ("summary: 'it's\nx: 'y'", "not YAML"),
    ("media:\n  - url: 'x\n  - url: 'y'\n", "not YAML: this ' is closed only in line 4; close it"),
    ("summary: a: b", 'must be quoted: summary: "a: b"'),
    ("jobs:\n  - summary: x: y: z", 'must be quoted: summary: "x: y: z"'),
    ("summary: only:", 'must be quoted: summary: "only:"'),
    ("\tsummary: x", "a tab; indent with spaces"),
    ("jobs:\n\t- lifecycle: []", "a tab; indent with spaces"),
    ("summary: x\n y: 1", "check that the line is indented"),
    ("summary: `x`", "a text that begins with ` must be quoted"),
    ("summary: [1, 2", "not YAML: this [ is not closed"),
    ("summary: {a: 1", "not YAML: this { is not closed"),
    ("media: [{size: 854}]", "a text is needed here, not 854: Displayed width and height, such as"),
    ("jobs: [{lifecycle: [{processing: {pols: 2}}]}]", "this is {pols: 2}; did you mean polls?"),
    ("jobs: [{lifecycle: [{processing: {polls: two}}]}]", "such as 2, not 'two'"),
    ("jobs: [{lifecycle: [{processing: 3 hours}]}]", "this is '3 hours'; did you mean 3h?"),
    ("media: [{url: '*', duration: '1:30'}]", "a time such as 1m. Did you mean 90s?"),
    ("changes: [{after: 90 sec, set: {refund: {}}}]", "did you mean 90s?"),
    ("dialects: [zz]", "dialects[0]: unknown dialect 'zz'; allowed: guide"),
    ("summary: @x", "a text that begins with @ must be quoted"),
    ("seed: *nowhere", "not YAML"),
    ("summary: %x\n  y: 1", "not YAML"),
    ("- summary", "not YAML"),
    ("summary: x\n   stray: 1", "not YAML"),
    ("summary: \x07", "not YAML"),
    ("---\nsummary: x", "not YAML"),
    ('summary: "\\q"', "not YAML"),
    ("seed: 1\nseed: 2", "this key is repeated"),
    ("accounts: {vicsee: {plan: pro, plan: free}}", "this key is repeated"),
    ("seed: !!int 5", "tags are not supported"),
    ("media: &m [*m]", "an alias may not contain itself"),
    ("? [a]\n: 1", "a key must be a text"),
    (f"summary: {'[' * 90}{']' * 90}", "nested more than 64 levels"),
    (f"summary: {'[' * 50_000}", "nested more than 64 levels"),
    (BOMB, "expands to more than"),
    # variables
    ("seed: ${UPSIM_NEVER_SET}", "UPSIM_NEVER_SET is not set"),
    ("summary: a ${UPSIM_NEVER_SET} b", "UPSIM_NEVER_SET is not set"),
    ("summary: ${", "write a variable as"),
    ("summary: ${A B}", "write a variable as"),
    ("summary: ${A-b}", "write a variable as"),
    ("seed: ${UPSIM_NEVER_SET:-x}", "a whole number is needed here, not 'x'"),
    ("seed: ${UPSIM_NEVER_SET:-}", "a whole number is needed here, not nothing"),
    ("${UPSIM_NEVER_SET}: 1", "unknown key"),
    # top-level keys
    ("sumary: x", "did you mean summary?"),
    ("fautls: []", "unknown key"),
    ("webhooks: {attempts: 2}", "vicsee documents no webhooks, so none is ever sent; remove this"),
    ("webhook_timestamp: virtul", "did you mean virtual?"),
    ("changes: soon", "a list is needed here"),
    ("changes: [{after: 1m}]", "lacks set"),
    ("changes: [{after: 1m, set: 5}]", "say what changes"),
    ("changes: [{after: [1], set: {refund: {}}}]", "is not a duration such as 90s"),
    ("changes: [{at: 99999999-01-01, set: {refund: {}}}]", "is not an ISO 8601 time"),
    ("changes: [{after: 1m, set: {extends: venice/baseline}}]", "is read only at start"),
    ("changes: [{after: 1m, set: {changes: []}}]", "is read only at start"),
    ("changes: [{after: 1m, set: {plans: [1]}}]", "a mapping is needed here"),
    ("changes: [{after: 1m, set: {knobs: {rate_scope: x}}}]", "unknown value 'x'"),
    ("changes: [{after: 1m, set: {jobs: [{lifecycle: [{failed: }]}]}}]", "starts waiting"),
    ("<<: {seed: 1}", "unknown key"),
    ("summary: 5", 'a text is needed here, not 5; write "5"'),
    ("summary: [x]", "a text is needed here"),
    ("summary:", "a text is needed here"),
    ("seed: 1.5", "a whole number is needed here"),
    ("seed: yes", "a whole number is needed here"),
    ("seed: 99999999999999999999999", "is greater than the maximum"),
    ("clock: fast", "does not match"),
    ("clock: scaled:0", "does not match"),
    ("clock: scaled:9999999", "does not match"),
    ("clock: {mode: auto}", "a text is needed here"),
    ("provider: venice", "provider must be vicsee"),
    ("provider: vicse", "provider must be vicsee"),
    ("dialect: lively", "did you mean live?"),
    ("dialects: []", "[] should be non-empty"),
    ("evidence: {grade: rumour, source: x}", "unknown value 'rumour'"),
    ("evidence: {source: x}", "lacks grade"),
    ("evidence: {grade: observed, source: x, date: yesterday}", "does not match"),
    # accounts and plans
    ("accounts: {vicse: {balance: 5}}", "unknown provider; did you mean vicsee?"),
    ("accounts: {vicsee: {balance: much}}", "does not match"),
    ("accounts: {vicsee: {balance: 1e9}}", "does not match"),
    ("accounts: {vicsee: {credit: 5}}", "unknown key"),
    ("accounts: {vicsee: {plan: por}}", "did you mean pro?"),
    ("accounts: {venice: {plan: limitd}}", "did you mean limited?"),
    ("accounts: [vicsee]", "a mapping is needed here"),
    ("account: {plan: por}", "did you mean pro?"),
    ("account: {opening: lots}", "does not match"),
    ("plans: {prow: {access: false}}", "did you mean pro?"),
    ("plans: {pro: {concurrency: -1}}", "is less than the minimum"),
    ("plans: {pro: {concurrency: 1.5}}", "a whole number or nothing is needed here"),
    ("plans: {pro: {rates: [{limit: 5, per: day}]}}", "lacks counts"),
    ("plans: {pro: {rates: [{limit: 5, per: hour, counts: all}]}}", "unknown value 'hour'"),
    ("plans: {pro: {rates: [{limit: 5, per: day, counts: al}]}}", "did you mean all?"),
    # knobs
    ("knobs: {rate_scpe: all}", "did you mean rate_scope?"),
    ("knobs: {rate_scope: al}", "did you mean all?"),
    ("knobs: {rate_scope: 5}", "5 is not a value of this knob; allowed: all, submit"),
    ("knobs: {rate_scope: {guide: al}}", "did you mean all?"),
    ("knobs: [rate_scope]", "a mapping is needed here"),
    ("checks: [has_key, nope]", "checks: a mapping is needed here, not a list"),
    # media
    ("media: {url: x}", "a list is needed here"),
    ("media: [{duration: 5}]", "lacks url"),
    ("media: [{url: x}]", "this one has none"),
    ("media: [{url: x, unreachable: true, not_a_video: true}]", "this one has"),
    ("media: [{url: x, unreachable: false}]", "the value must be true, not false"),
    ("media: [{url: 0.5, unreachable: true}]", "if it is meant as a text"),
    ("media: [{url: x, duration: -5}]", "is less than the minimum"),
    ("media: [{url: x, duration: 5 s}]", "does not match"),
    ("media: [{url: x, duration: 5, size: 640}]", "a text is needed here"),
    ("media: [{url: x, duration: 5, size: 640×360}]", "does not match"),
    ("media: [{url: x, duration: 5, size: 0x360}]", "does not match"),
    ("media: [{url: x, duration: 5, fps: 30/0}]", "does not match"),
    ("media: [{url: x, duration: 5, fps: 0}]", "is less than the minimum"),
    ("media: [{url: x, duration: 5, frames: 0}]", "is less than the minimum"),
    ("media: [{url: x, duration: 5, container: ogg}]", "unknown value 'ogg'"),
    ("media: [{url: x, duration: 5, audio: loud}]", "true or false is needed here"),
    ("media: [{url: x, durration: 5}]", "did you mean duration?"),
    (
        "media: [{url: 'https://a.example/[b.mp4', unreachable: true}]",
        "the [ is not closed; write [[]",
    ),
    (
        "media: [{url: 'a[z-a]', unreachable: true}]",
        "'a[z-a]' is not a valid glob: [z-a] fits no charact",
    ),
    (
        "jobs: [{when: {video_url: 'a[b'}, lifecycle: [{waiting: 1s}, {completed: }]}]",
        "not a valid glob: the",
    ),
    (
        "faults: [{at: after_accept, when: {video_url: 'a[b'}, do: lose}]",
        "is not a valid glob: the [ is",
    ),
    # jobs
    ("jobs: [{when: {}}]", "lacks lifecycle"),
    (f"{JOB}[]}}]", "a list of steps"),
    (f"{JOB}[{{waiting: 90}}, {{failed: }}]}}]", "a step ends after a duration such as 90s"),
    (f"{JOB}[{{waiting: 90 s}}, {{failed: }}]}}]", "a step ends after a duration such as 90s"),
    (f"{JOB}[{{waiting: 90sec}}, {{failed: }}]}}]", "a step ends after a duration such as 90s"),
    (f"{JOB}[{{waiting: -9s}}, {{failed: }}]}}]", "a step ends after a duration such as 90s"),
    (
        f"{JOB}[{{waiting: {{polls: 0}}}}, {{failed: }}]}}]",
        "a step ends after a duration such as 90s",
    ),
    (
        f"{JOB}[{{waiting: {{polls: two}}}}, {{failed: }}]}}]",
        "a step ends after a duration such as 90s",
    ),
    (f"{JOB}[{{waiting: [2]}}, {{failed: }}]}}]", "a step ends after a duration such as"),
    (f"{JOB}[{{waiting: 1s, failed: ~}}]}}]", "a step has one state"),
    (f"{JOB}[waiting]}}]", "a step is {state: how it ends}"),
    (f"{JOB}[{{wating: 1s}}]}}]", "did you mean waiting?"),
    (f"{JOB}[{{deleted: ~}}]}}]", "unknown state 'deleted'"),
    (f"{JOB}[{{pending: 5s}}, {{failed: }}]}}]", "vicsee's `pending` means `waiting`"),
    (f"{JOB}[{{completed: ~}}]}}]", "a job starts waiting or processing"),
    (f"{JOB}[{{processing: 1s}}, {{waiting: command}}]}}]", "cannot become waiting"),
    (f"{JOB}[{{waiting: 1s}}, {{completed: }}, {{failed: }}]}}]", "cannot become failed"),
    (f"{JOB}[{{waiting: 1s}}]}}]", "the last step has no end state"),
    (f"{JOB}[{{waiting: 1s}}, {{completed: 5s}}]}}]", "a job that is completed does not change"),
    (f"{JOB}[{{waiting: 1s}}, {{failed: brokn}}]}}]", "unknown failure 'brokn'"),
    ("jobs: [{when: {factor: 4}, lifecycle: [{waiting: }]}]", "did you mean upscale_factor?"),
    ("jobs: [{when: {upscale_factor: 3}, lifecycle: [{waiting: }]}]", "unknown value '3'"),
    ("jobs: [{when: {upscale_factor: [4]}, lifecycle: [{waiting: }]}]", "a single value"),
    # facts of the baseline
    ("limits: {max_second: {value: 5}}", "did you mean max_seconds?"),
    ("limits: {max_seconds: 5}", "a mapping is needed here, not 5; write {value: 5}"),
    (
        "limits: {max_seconds: {value: 1m}}",
        "must be a number, as in the baseline; write it in seconds, 60",
    ),
    ("limits: {max_seconds: {value: many}}", "'many' must be a number"),
    ("limits: {formats: {value: mp4}}", "'mp4' must be a list"),
    ("limits: {upload_types: {value: [mp4]}}", "must be a table"),
    ("retention: {output: {value: 5}}", "did you mean outputs?"),
    ("retention: {outputs: {value: never}}", "must be a number of seconds"),
    ("retention: {outputs: {value: -1}}", "must be a number of seconds"),
    ("statuses: {done: {value: x}}", "unknown name"),
    ("headers: {limits: {value: x}}", "did you mean limit?"),
    ("refund: {after: 3 hours}", "A time with its unit, such as 250ms"),
    ("refund: {after: -1}", "is less than the minimum"),
    ("refund: {states: failed}", "a list is needed here"),
    ("refund: {states: [broken]}", "unknown value 'broken'"),
    ("errors: {too_log: {status: 400}}", "did you mean too_long?"),
    ("errors: {too_long: {status: 42}}", "is less than the minimum"),
    ("errors: {too_long: {status: '422'}}", "a whole number is needed here"),
    ("errors: {too_long: {sttus: 422}}", "did you mean status?"),
    ("errors: {too_long: {message: 'a {'}}", "write a literal brace twice"),
    ("errors: {too_long: {message: 'a {0}'}}", "write a literal brace twice"),
    ('errors: {too_long: {headers: {X: "a\\r\\nb"}}}', "does not match"),
    ("failures: {timeout: {message: 'after {seconds}'}}", "{seconds} is not a placeholder here"),
    ("failures: {timeut: {message: x}}", "did you mean timeout?"),
    ("failures: {timeut: {message: x}}", "(a new one needs message, evidence)"),
    (
        "failures: {timeout: {status: 422}}",
        "vicsee always reports a failed job with 200, so a status",
    ),
    ("checks: {credit: [has_key]}", "did you mean credits?"),
    ("checks: {credits: [has_ky]}", "did you mean has_key?"),
    ("checks: {credits: has_key}", "a list is needed here"),
    ("checks: {credits: [has_key, has_key]}", "has_key is there twice"),
    ("checks: {credits: [plan_has_access]}", "builds on issued_key, which must come before it"),
    ("checks: {tasks/get: []}", "lacks own_task, on which tasks/get builds"),
    (f"{MODEL}{{billing: {{rate: {{table: {{'1': cheap}}}}}}}}}}", "does not match"),
    (f"{MODEL}{{billing: {{rate: {{by: factor}}}}}}}}", "did you mean upscale_factor?"),
    (f"{MODEL}{{billing: {{rate: {{per: 0}}}}}}}}", "is less than the minimum"),
    (f"{MODEL}{{billing: {{quantity: {{of: minutes}}}}}}}}", "unknown value 'minutes'"),
    (f"{MODEL}{{options: {{upscale_factor: {{default: '3'}}}}}}}}", "unknown value '3'"),
    (f"{MODEL}{{options: {{upscale_factor: {{allowed: ['2', '8']}}}}}}}}", "has no entry for"),
    (f"{MODEL}{{output: {{short_side: {{value: 720}}}}}}}}", "either scale or short_side"),
    (f"{MODEL}{{lifecycle: {{phases: [{{state: done}}]}}}}}}", "unknown value 'done'"),
    (f"{MODEL}{{lifecycle: {{phases: [{{state: completed}}]}}}}}}", "a job starts waiting"),
    ("models: {topaz-video-upscal: {name: x}}", "did you mean topaz-video-upscale?"),
    ("sources: {page: {date: 2026}}", "a text is needed here"),
    ("lifecycle: [{waiting: 5s}, {completed: }]", "unknown key; it belongs in a rule of jobs"),
    ("do: {respond: 503}", "unknown key; it belongs in a fault"),
    ("balance: '5'", "unknown key; it belongs in account, or in accounts.<provider>"),
]

EXTENDS = re.compile(r"^extends: .*$", re.MULTILINE)
SUMMARY = re.compile(r"^summary: .*$", re.MULTILINE)
MUTATIONS: Mapping[str, tuple[Change, str]] = {
    "base renamed": (lambda t: EXTENDS.sub("extends: vicsse/baseline", t), "there is no scenario"),
    "base misspelt": (
        lambda t: EXTENDS.sub("extend: vicsee/baseline", t),
        "unknown key; did you mean extends?",
    ),
    "base dropped": (lambda t: EXTENDS.sub("", t), "extends is missing"),
    "base retyped": (lambda t: EXTENDS.sub("extends: [x]", t), "extends is missing"),
    "key renamed": (lambda t: t.replace("summary:", "sumary:"), "did you mean summary?"),
    "key doubled": (lambda t: t + "summary: again\n", "this key is repeated"),
    "value retyped": (
        lambda t: SUMMARY.sub("summary: {a: b}", t),
        "a text is needed here, not a mapping",
    ),
    "tab": (lambda t: t + "\tseed: 1\n", "not YAML"),
    "indentation": (lambda t: SUMMARY.sub("summary: x\n  y: 1", t), "not YAML"),
    "quote": (lambda t: SUMMARY.sub('summary: "open', t), "not YAML"),
    "bracket": (lambda t: t + "seed: [1\n", "not YAML"),
    "alias": (lambda t: t + "seed: *a\n", "not YAML"),
    "tag": (lambda t: t + "seed: !!int 7\n", "tags are not supported"),
    "variable": (lambda t: t + "seed: ${UPSIM_NEVER_SET}\n", "UPSIM_NEVER_SET is not set"),
    "second document": (lambda t: t + "---\nseed: 1\n", "not YAML"),
    "control character": (lambda t: t + "# \x00\n", "not YAML"),
}
MUTATED = (
    "piapi/plan-free",
    "piapi/wrong-format",
    "venice/just-above-48-fps",
    "venice/older-guide",
    "vicsee/moderation-late",
    "vicsee/insufficient-funds",
    "wavespeed/price-change",
    "wavespeed/stuck-in-queue",
)
UNITS: Mapping[str, str] = {
    "vicsee/fails-and-refunds": "lifecycle[0]",
    "wavespeed/happy-path-fast": "lifecycle[0]",
    "venice/happy-path-slow": "lifecycle[0]",
    "piapi/moderation-late": "lifecycle[0]",
}


def line(pattern: str, by: str) -> Change:
    """Return the change that replaces the first line like this."""
    return lambda text: re.sub(pattern, by, text, count=1, flags=re.MULTILINE)


BASELINES = ("piapi", "venice", "vicsee", "wavespeed")
FACTS: Mapping[str, tuple[Change, str]] = {
    "title dropped": (
        line(r"^title: .*$", ""),
        "lacks title",
    ),
    "provider renamed": (
        line(r"^provider: .*$", "provider: nobody"),
        "unknown provider 'nobody'",
    ),
    "opening retyped": (
        line(r"^  opening: .*$", "  opening: plenty"),
        "does not match",
    ),
    "status renamed": (lambda t: t.replace("{status: 4", "{sttus: 4", 1), "did you mean status?"),
    "grade renamed": (lambda t: t.replace("grade: documented", "grade: sure", 1), "unknown value"),
    "check renamed": (lambda t: t.replace(" affordable", " affordible", 1), "did you mean afford"),
    "limit dropped": (
        line(r"^  own_output_side: .*$", ""),
        "own_output_side is missing",
    ),
    "evidence dropped": (
        line(r"^  plan: (.*)\n  evidence: .*$", r"  plan: \1"),
        "lacks evidence",
    ),
    "unknown section": (lambda t: t + "\nlimit: {}\n", "did you mean limits?"),
    "billed unit dropped": (
        line(r"^      unit: .*\n", ""),
        "lacks unit",
    ),
}


def messages(path: Path) -> list[str]:
    """Return what is wrong in a file: message by message, each of which is located in it."""
    found = LIBRARY.mistakes_in(LIBRARY.resolve(path), discover())
    located = [LOCATED.fullmatch(str(mistake)) for mistake in found]
    assert None not in located, found
    assert {str(path)} == {match["file"] for match in located if match}
    return [match["message"] for match in located if match]


def test_failures_of_venice_have_a_status(tmp_path: Path) -> None:
    """A Venice failure needs a status; at other providers only the status 200 is accepted."""
    entry = "{message: x, %s, evidence: {grade: assumed, source: y}}"
    files = [(tmp_path / f"{name}.yaml", name) for name in ("venice", "vicsee")]
    for path, name in files:
        other = entry % ("code: c" if name == "venice" else "status: 200")
        path.write_text(f"extends: {name}/baseline\nfailures: {{mine: {other}}}\n", "utf-8")

    found = [LIBRARY.mistakes_in(LIBRARY.resolve(path)) for path, _ in files]
    assert [[(one.place, one.message) for one in some] for some in found] == [
        [("failures.mine", "status is missing; each failure of venice has one")],
        [],
    ]


@pytest.mark.parametrize(("text", "message"), WRITTEN)
def test_a_file_with_a_mistake(tmp_path: Path, text: str, message: str) -> None:
    """Each mistake in a file is reported at its place, in a sentence that names it."""
    path = tmp_path / "broken.yaml"
    path.write_text(f"extends: vicsee/baseline\n{text}\n", "utf-8")

    assert [] != [found for found in messages(path) if message in found], messages(path)


def test_a_step_with_wrong_keys_gets_the_correct_form(tmp_path: Path) -> None:
    """The error for a step written with `state` and `for` shows the correct form."""
    path = tmp_path / "broken.yaml"
    steps = "{state: processing, for: 10s}, {state: failed}"
    path.write_text(f"extends: vicsee/baseline\n{JOB}[{steps}]}}]\n", "utf-8")
    found = "\n".join(messages(path))
    assert "write {processing: 10s}" in found
    assert "write {failed: …}" in found


def test_a_missing_quote_or_bracket_is_reported_at_the_opening_one(tmp_path: Path) -> None:
    """A missing closing quote or bracket is reported where the opening one is."""
    path = tmp_path / "broken.yaml"
    path.write_text('extends: vicsee/baseline\nsummary: "open\nseed: 1\n', "utf-8")
    (found,) = LIBRARY.mistakes_in(LIBRARY.resolve(path))
    assert (2, 10) == (found.mark.line, found.mark.column)


@pytest.mark.parametrize("name", MUTATED)
@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_shipped_file_that_was_broken(tmp_path: Path, name: str, mutation: str) -> None:
    """A broken copy of a shipped file reports what is wrong in it."""
    change, message = MUTATIONS[mutation]
    path = tmp_path / "broken.yaml"
    path.write_text(change(LIBRARY.text_of(name)), "utf-8")

    assert [] != [found for found in messages(path) if message in found], messages(path)


@pytest.mark.parametrize("name", UNITS)
@pytest.mark.parametrize("unit", ["sec", "min", "", " s", "S"])
def test_a_shipped_file_with_another_unit(tmp_path: Path, name: str, unit: str) -> None:
    """The error for a time with an unknown unit shows how times are written."""
    path = tmp_path / "broken.yaml"
    text = LIBRARY.text_of(name)
    path.write_text(re.sub(r": ([0-9]+)(ms|s|m)\}", rf": \1{unit}}}", text, count=1), "utf-8")

    (message,) = messages(path)
    assert "a step ends after a duration such as 90s" in message


@pytest.mark.parametrize("provider", BASELINES)
@pytest.mark.parametrize("mutation", FACTS)
def test_a_baseline_that_was_broken(tmp_path: Path, provider: str, mutation: str) -> None:
    """All parts of a user's own baseline are checked."""
    change, message = FACTS[mutation]
    path = tmp_path / "broken.yaml"
    path.write_text(change(LIBRARY.text_of(f"{provider}/baseline")), "utf-8")

    assert [] != [found for found in messages(path) if message in found], messages(path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"extends: \xe9", b"\x00" * 10, b"a" * 5_000_000])
def test_a_file_that_is_no_text(tmp_path: Path, content: bytes) -> None:
    """A file that is no text or is too large is reported as a mistake at its first line."""
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)

    assert 1 == len(messages(path))


def test_loading_a_broken_file_gives_the_same_messages(tmp_path: Path) -> None:
    """Loading a broken file raises one error with every mistake."""
    path = tmp_path / "broken.yaml"
    path.write_text("extends: vicsee/baseline\nseed: x\nclock: y\n", "utf-8")

    with pytest.raises(ScenarioError) as caught:
        LIBRARY.load(str(path))

    assert ["seed", "clock"] == [mistake.place for mistake in caught.value.mistakes]


def test_a_mistake_hides_no_other(tmp_path: Path) -> None:
    """Mistakes of syntax, schema and names are all reported together."""
    path = tmp_path / "broken.yaml"
    lines = [
        "extends: vicsee/baseline",
        "summary: ${UPSIM_NEVER_SET}",
        "seed: x",
        "knobs: {rate_scpe: all}",
        "limits: {max_seconds: {value: many}}",
        "checks: {credits: [has_ky]}",
        "kobs: {}",
    ]
    path.write_text("\n".join(lines), "utf-8")

    found = LIBRARY.mistakes_in(LIBRARY.resolve(path), discover())

    assert [2, 3, 4, 5, 6, 7] == [mistake.mark.line for mistake in found]


def test_the_corpus_is_large() -> None:
    """The corpus has at least 150 broken files, and half of them are modified valid files."""
    mutated = len(MUTATED) * len(MUTATIONS) + len(UNITS) * 5 + len(BASELINES) * len(FACTS)

    assert len(WRITTEN) + mutated >= 150
    assert mutated >= len(WRITTEN)


@pytest.mark.parametrize("piece", ["a, ", "x: 1\n", "- a\r"])
def test_a_file_of_very_many_values_is_refused_unread(tmp_path: Path, piece: str) -> None:
    """A file with very many values is refused before it is parsed, which would take seconds."""
    file = tmp_path / "long.yaml"
    file.write_bytes(b"x: [" + piece.encode() * 100_001)
    (mistake,) = read_tree(file).mistakes
    assert "more than 100000 lines and commas" == mistake.message


def test_a_quote_that_ends_too_late_is_reported_at_its_start(tmp_path: Path) -> None:
    """If a quote is closed only by a later quote, the error has the place of the opening quote."""
    path = tmp_path / "broken.yaml"
    path.write_text('extends: vicsee/baseline\nsummary: "open\nseed: 1\ntitle: "x"\n', "utf-8")
    said = 'not YAML: this " is closed only in line 4; close it here'
    found = LIBRARY.mistakes_in(LIBRARY.resolve(path), discover())
    assert [f"{path}:2:10: {said}"] == [str(mistake) for mistake in found]
