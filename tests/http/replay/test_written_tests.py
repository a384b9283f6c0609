"""What `upsim replay --pytest` writes: only data of the export, all of it, and nothing run."""

from __future__ import annotations

import ast
import asyncio
import builtins
import copy
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.http.replay.conftest import CLIP, VICSEE, Recorded, Start, document_of
from tests.http.replay.test_command import invoke, session, written
from tests.uploads import put_file
from upsim import Simulator
from upsim.app import app_for
from upsim.web.replay import pytest_writer as writing
from upsim.web.replay.export_document import ExportError

CANARY = "upsim_canary_of_an_export"
RUNS = f"__import__('builtins').__dict__.update({CANARY}=1)"
HOSTILE = [
    f'"""\n{RUNS}\n"""',
    f"'''\n{RUNS}\n'''",
    f"\n{RUNS}\n",
    f"\r{RUNS}\r",
    f"\u2028{RUNS}\u2029",
    f"\x0c{RUNS}\x85{RUNS}",
    f'"+{RUNS}+"',
    f"'+{RUNS}+'",
    f"{{{RUNS}}}",
    f"{{0.__class__}}{{source}}${{{RUNS}}}",
    f"\\\n{RUNS}\\",
    f"\\' + {RUNS} + \\'",
    f"# {RUNS}\n{RUNS} #",
    f"\u202e{RUNS}\u2066\x1b]0;x\x07",
]
CONSTRUCTS = (
    *(ast.Module, ast.Expr, ast.Constant, ast.ImportFrom, ast.Import, ast.alias, ast.Assign),
    *(ast.FunctionDef, ast.arguments, ast.With, ast.withitem, ast.Assert, ast.Compare, ast.Eq),
    *(ast.Is, ast.Name, ast.Load, ast.Store, ast.Call, ast.keyword, ast.Attribute, ast.Subscript),
    *(ast.List, ast.Tuple, ast.Dict, ast.UnaryOp, ast.USub, ast.BinOp, ast.Div),
)
NAMES = {"Simulator", "SESSION", "SOURCE", "BODIES", "Path", "pytest", "session", "answer"}
CALLS = {
    *("Simulator.replaying(SESSION)", "Path(__file__)", "answer.json()", "pytest.fail"),
    *("session.request", "session.goes_on", "session.opened", "session.webhook", "session.reread"),
}
TOP = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.FunctionDef)


def text_of(export: dict[str, Any], source: str = "session.json", folder: str | None = "b") -> str:
    """Return the text of the test of an export. Raises ExportError."""
    document = document_of(export)
    app = app_for(document)
    try:
        return asyncio.run(writing.written(app, document, source=source, folder=folder)).text
    finally:
        app.close()


def check(text: str) -> None:
    """Check that a written test holds data and its own few calls, and that its import runs none."""
    tree = ast.parse(text)
    assert {type(node) for node in tree.body} <= set(TOP)
    assert {type(node) for node in ast.walk(tree)} <= set(CONSTRUCTS)
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert names <= NAMES | {"__file__"}
    for node in (one for one in ast.walk(tree) if isinstance(one, ast.Call)):
        assert {ast.unparse(node), ast.unparse(node.func)} & CALLS
    for assigned in (one for one in tree.body if isinstance(one, ast.Assign)):
        if ast.unparse(assigned.targets[0]) != "BODIES":
            ast.literal_eval(assigned.value)
    comments = [line for line in text.splitlines() if line.lstrip().startswith("#")]
    assert not comments
    space: dict[str, Any] = {"__file__": "test_x.py", "__name__": "test_x"}
    exec(compile(tree, "test_x.py", "exec"), space)  # noqa: S102 - what an import does
    assert not hasattr(builtins, CANARY)


def texts(value: object, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every text of an export; the key of a mapping is one, too."""
    if isinstance(value, str):
        yield here
    elif isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from texts(item, (*here, key))
            if isinstance(key, str) and here:
                yield (*here, key, None)


def _kind(place: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what texts at like places have in common: the place without numbers of items."""
    return tuple(step for step in place if not isinstance(step, int))


def changed(export: dict[str, Any], place: tuple[Any, ...], text: str) -> dict[str, Any]:
    """Return a copy with another text at a place, or as the key there."""
    found = copy.deepcopy(export)
    *path, last = place[:-1] if place[-1] is None else place
    inner: Any = found
    for step in path:
        inner = inner[step]
    inner[text if place[-1] is None else last] = inner.pop(last) if place[-1] is None else text
    return found


@pytest.fixture(scope="module")
def unanswered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return an export with an entry of every kind whose answers are unknown: all of it replays."""
    file = tmp_path_factory.mktemp("mine") / "mine.yaml"
    file.write_text(
        "extends: vicsee/baseline\nsummary: Mine.\nfaults:\n"
        "  - {at: poll, every: 3, do: {respond: {status: 502, body: {a: [1]}}}}\n"
    )
    with Simulator(clock="manual", seed=1, scenario=str(file)) as sim:
        http = httpx.Client(transport=sim.transport(), base_url="http://127.0.0.1:4747")
        run = Recorded(sim, http)
        run.call("POST", VICSEE, "k", content=b"\xff\xfe no JSON")
        found = session(run)
        http.close()
    for entry in found["commands"]:
        if "request" in entry:
            entry["answer"] = None
    kinds = {kind for entry in found["commands"] for kind in entry}
    assert {"opened", "request", "webhook"} <= kinds
    return found


def test_no_text_of_an_export_becomes_code(unanswered: dict[str, Any]) -> None:
    """A hostile text at any kind of place in an export never becomes code of the written test."""
    every = [place for place in texts(unanswered) if place[0] != "values"]
    places = [*{_kind(place): place for place in every}.values()]
    replayed = 0
    for number, place in enumerate(places):
        with suppress(ExportError):
            check(text_of(changed(unanswered, place, HOSTILE[number % len(HOSTILE)])))
            replayed += 1
    assert replayed > len(places) // 3 > 20


@pytest.mark.parametrize("text", HOSTILE)
def test_file_names_and_versions_never_become_code(unanswered: dict[str, Any], text: str) -> None:
    """Hostile file, folder and version names are only string literals in the written test."""
    export = {**unanswered, "upsim": text, "incomplete": {"after": 3, "why": text}}
    written = text_of(export, source=text, folder=text)

    check(written)
    assert repr(text)[1:-1] in written


@given(st.integers(0, 10**6), st.text(max_size=30), st.sampled_from(HOSTILE))
@settings(max_examples=30, deadline=None)
def test_random_texts_of_an_export_never_become_code(
    unanswered: dict[str, Any], number: int, text: str, hostile: str
) -> None:
    """A hostile text with random characters around it never becomes code of the written test."""
    places = list(texts(unanswered))
    with suppress(ExportError):
        check(text_of(changed(unanswered, places[number % len(places)], f"{text}{hostile}{text}")))


@pytest.mark.parametrize("body", [b"[NaN]", b"[Infinity, -Infinity]", b"[" * 90 + b"]" * 90])
def test_a_request_body_with_nan_is_sent_as_text(start: Start, tmp_path: Path, body: bytes) -> None:
    """If Python cannot write a JSON body as code, the written test sends it as text and passes."""
    run = start()
    run.call("POST", VICSEE, "k", content=body)
    written_beside(run.export(), tmp_path)

    assert 0 == run_pytest(tmp_path)[0]


def test_a_response_with_nan_is_compared_by_its_digest(start: Start, tmp_path: Path) -> None:
    """If a JSON response contains NaN, the written test compares the SHA-256 of its body."""
    run = start()
    answer = {"status": 200, "body": "[NaN]", "content_type": "application/json"}
    run.admin("POST", "faults", {"provider": "vicsee", "at": "poll", "do": {"respond": answer}})
    job = run.call("POST", VICSEE, "k", json={"video_url": CLIP}).json()["data"]["id"]
    assert run.call("GET", f"/vicsee/api/v1/tasks/{job}", "k").text == "[NaN]"
    text = written_beside(run.export(), tmp_path)

    assert 'assert answer.sha256 == "' in text
    assert 0 == run_pytest(tmp_path)[0]


def test_a_written_test_without_a_cut_request_fails_with_the_reason(
    start: Start, tmp_path: Path
) -> None:
    """If a request with a cut body is left out, the written test fails and prints why."""
    run = start()
    registry = run.sim.app.registry
    registry.settings = replace(registry.settings, commands_bytes=2 * 1024 * 1024)
    registry.reset("default")
    run.call("POST", VICSEE, "k", json={"video_url": CLIP})
    run.call("POST", "/venice/api/v1/video/queue", "k", content=b'{"a": "' + b"x" * 2_000_000)
    done = invoke(written(run.export(), tmp_path), "--pytest", "--to", tmp_path / "test_session.py")
    code, said = run_pytest(tmp_path)

    assert (1, 1) == (done.exit_code, code)
    assert "the test is shorter than the session and fails: entry " in done.stderr
    assert "of 2000007 bytes of its body were kept; skipped, for its answer was a refusal" in said
    assert "delete this line to keep the shorter test" in said


def test_a_written_test_of_an_incomplete_export_fails_with_the_reason(
    start: Start, tmp_path: Path
) -> None:
    """If the command log was full, the written test fails and says what is missing."""
    run = start()
    registry = run.sim.app.registry
    registry.settings = replace(registry.settings, commands_max=3)
    registry.reset("default")
    for _ in range(4):
        run.call("POST", VICSEE, "k", json={"video_url": ""})
    written_beside(run.export(), tmp_path)
    code, said = run_pytest(tmp_path)

    assert 1 == code
    assert "the export ends after entry 3 (3 entries are kept): the rest is missing" in said


def test_long_bodies_are_files_beside_the_written_test(start: Start, tmp_path: Path) -> None:
    """Long bodies are written into a folder beside the test, which sends every byte of them."""
    run = start()
    content = bytes(range(256)) * 8000
    ticket = {"contentType": "video/mp4", "sizeBytes": len(content)}
    target = run.call("POST", "/vicsee/api/v1/upload", "k", json=ticket).json()["data"]["uploadUrl"]
    assert put_file(run.http, target, content).status_code == 200
    run.call("POST", "/venice/api/v1/video/queue", "k", json={"video_url": "data:," + "x" * 5000})
    text = written_beside(run.export(), tmp_path)
    files = sorted((tmp_path / "test_session_bodies").iterdir(), key=lambda f: f.stat().st_size)

    check(text)
    assert len(text) < 10_000
    assert [b'"data:,xxx', content] == [files[0].read_bytes()[13:23], files[1].read_bytes()]
    assert (0, 2) == (run_pytest(tmp_path)[0], len(files))


def test_long_bodies_are_in_a_test_on_standard_output(start: Start, tmp_path: Path) -> None:
    """If the test is printed to standard output, long bodies are part of its text."""
    run = start()
    run.call("POST", "/venice/api/v1/video/queue", "k", json={"video_url": "data:," + "x" * 5000})
    done = invoke(written(run.export(), tmp_path), "--pytest")

    assert (0, True) == (done.exit_code, "x" * 5000 in done.stdout)


def test_the_written_test_has_only_the_changes_of_a_scenario(start: Start, tmp_path: Path) -> None:
    """The written test has the values that the scenario changes, without those of its baseline."""
    file = tmp_path / "mine.yaml"
    file.write_text(
        "extends: vicsee/insufficient-funds\nsummary: Mine.\n"
        "jobs: [{lifecycle: [{processing: 7s}, {completed: null}]}]\n"
        "media: [{url: 'https://x.example/*', duration: 30}]\n"
    )
    run = start(scenario=str(file))
    job = run.call("POST", VICSEE, "k", json={"video_url": "https://x.example/a.mp4"})
    export = run.export()
    file.unlink()
    text = written_beside(export, tmp_path)
    values = ast.literal_eval(text.partition("SESSION = ")[2].partition("\n\n\ndef ")[0])["values"]

    assert job.status_code == 402
    assert values["$over"] == "vicsee"
    assert values["$with"].keys() >= {"accounts", "jobs", "media", "summary"}
    assert "per_second" not in text
    assert len(json.dumps(values)) < len(json.dumps(export["values"])) / 10
    assert 0 == run_pytest(tmp_path)[0]


def written_beside(export: dict[str, Any], folder: Path) -> str:
    """Write the test of an export into a folder by the command, and return its text."""
    file = folder / "test_session.py"
    done = invoke(written(export, folder), "--pytest", "--to", file)
    assert "wrote " in done.stderr, done.output
    return file.read_text("utf-8")


def run_pytest(folder: Path) -> tuple[int, str]:
    """Run the tests of a folder; return the exit code and what was printed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", "."]
    environment = {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "COLUMNS": "400",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # importing those installed here takes a second
    }
    done = subprocess.run(
        [*command, "test_session.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout
