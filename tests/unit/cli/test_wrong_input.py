"""Whatever is typed, the command line answers with a sentence and an exit code of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hosts import ODD_PORTS
from upsim.cli import COMMANDS, main
from upsim.media.clip_names import parse_clip_name
from upsim.media.synthetic import make_clip

ANSWERS = {0, 1, 2}
FILES = ("missing.yaml", "folder", "empty.yaml", "empty.json", "text.txt", "binary.mp4")
TAKERS = (
    ("validate",),
    ("replay",),
    ("quote",),
    ("quote", "--json"),
    ("scenarios", "explain"),
    ("store", "info"),
    ("store", "check"),
    ("upscale", "--model", "venice", "--to", "out.mp4"),
    ("upscale", "x", "--model", "venice", "--to", "out.mp4", "--scenario"),
    ("serve", "--port", "x", "--scenario"),
)
"""What takes a file; `serve` without ever serving."""
NUMBERS = ("-1", "0", "nan", "inf", "1e999", "9" * 400, "0x10", "", "½", "1_000")
COUNTERS = (
    ("serve", "--port", "x", "--pace"),
    ("serve", "--port", "x", "--journal-max"),
    ("demo", "x", "--pace"),
    ("quote", "--size", "2x2", "--duration"),
    ("quote", "--duration", "5", "--size", "2x2", "--fps"),
    ("quote", "--duration", "5", "--size", "2x2", "--bytes"),
    ("quote", "--duration", "5", "--size", "2x2", "--factor"),
    ("quote", "--duration", "5", "--size", "2x2", "--target-height"),
    ("upscale", "x", "--model", "venice", "--to", "o.mp4", "--cap"),
    ("upscale", "x", "--model", "venice", "--to", "o.mp4", "--timeout"),
    ("verify", "--provider", "x", "--cap"),
    ("verify", "--provider", "x", "--patience"),
)


@pytest.mark.parametrize("port", [port for port in ODD_PORTS if port != "0"])
@pytest.mark.parametrize(
    "line",
    [
        "serve --host x --port {}",
        "record --upstream x --to x --port {}",
        "serve --port 0 --public-url http://sim.example:{}",
        "serve --port 0 --allow-host sim.example:{}",
        "serve --port 0 --webhook-allow sim.example:{}",
    ],
)
def test_odd_ports_are_wrong_usage(line: str, port: str) -> None:
    """Every option with a port, or a URL with a port, accepts plain digits only."""
    code, told = answer(*line.format(port).split())
    assert (2, True) == (code, "Invalid value" in told)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that holds what is no video, no scenario and no export."""
    (tmp_path / "folder").mkdir()
    for name in ("empty.yaml", "empty.json"):
        (tmp_path / name).touch()
    (tmp_path / "text.txt").write_text("hello\n", "utf-8")
    (tmp_path / "binary.mp4").write_bytes(bytes(range(256)) * 4)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(*arguments: str) -> tuple[int, str]:
    """Return exit code and messages of a command line; anything but an exit is raised."""
    result = CliRunner().invoke(main, list(arguments), prog_name="upsim")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout + result.stderr


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("taker", TAKERS, ids=" ".join)
@pytest.mark.parametrize("name", FILES, ids=repr)
def test_unusable_files_are_refused(taker: tuple[str, ...], name: str) -> None:
    """A missing, empty or wrong file is refused with an error message and an exit code."""
    code, text = answer(*taker, name)

    assert code in ANSWERS - {0}
    assert text.strip()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("taker", COUNTERS, ids=" ".join)
@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_unusable_numbers_are_refused(taker: tuple[str, ...], number: str) -> None:
    """A huge number, or a text in place of a number, never causes a traceback."""
    code, text = answer(*taker, number)

    assert code in ANSWERS
    assert text.strip()


@pytest.mark.parametrize("name", COMMANDS)
def test_unknown_options(name: str) -> None:
    """Each command refuses an unknown option and names it."""
    code, text = answer(name, "--frobnicate")

    assert 2 == code
    assert "--frobnicate" in text


WORDS = st.sampled_from(
    ["list", "show", "explain", "schema", "bash", "--json", "--help", "--version", "-", "--", ".",
     "--model", "venice", "--provider", "--plan", "--size", "2x2", "--duration", "1e5", "--to",
     "--fps", "\udcff", "=", "--option", "a=b", "", "http://[", "http://127.0.0.1:1/x.mp4"]
)  # fmt: skip
HARMLESS = st.sampled_from([name for name in COMMANDS if name not in ("serve", "demo", "verify")])


@pytest.mark.usefixtures("folder")
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(name=HARMLESS, words=st.lists(WORDS, max_size=5))
def test_any_arguments(name: str, words: list[str]) -> None:
    """No sequence of arguments causes a traceback."""
    code, _ = answer(name, *words)

    assert code in ANSWERS


def test_upscale_at_a_dead_port_says_how_to_start_a_simulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error for a port without a server says how to start a simulator."""
    monkeypatch.setattr("upsim.client.clocks.sleep", lambda _seconds: None)
    order = ["https://e.example/a.mp4", "--model", "venice", "--to", str(tmp_path / "o.mp4")]
    told = CliRunner().invoke(main, ["upscale", *order, "--target", "http://127.0.0.1:1"])
    assert told.exit_code == 1
    assert "start a simulator with `upsim serve`" in told.stderr


@pytest.mark.parametrize(
    "line",
    [
        "upscale clip.mp4 --model vicsee --to clip.mp4",
        "upscale clip.mp4 --model vicsee --to soft.mp4",
        "upscale soft.mp4 --model vicsee --to clip.mp4",
        "upscale clip.mp4 --model vicsee --to hard.mp4",
        "replay clip.mp4 --pytest --to hard.mp4",
        "upscale --job x --target http://127.0.0.1:9 --model vicsee --to clip.mp4",
        "demo venice-topaz-video-upscale.mp4 --out .",
        "demo --out folder",
        "demo clip.mp4 --out logs",
        "drift clip.mp4 --scenario hard.mp4",
        "drift other.jsonl clip.mp4 --json soft.mp4",
        "drift clip.mp4 --html ./clip.mp4",
        "drift other.jsonl --uses clip.mp4 --accept clip.mp4 --accept-new x",
        "verify --uses clip.mp4 --junit hard.mp4",
        "verify --json both.html --html ./both.html",
        "record --upstream http://127.0.0.1:9 --to new.jsonl --uses new.jsonl",
        "record --upstream http://127.0.0.1:9 --provider vicsee --port 0 --to clip.mp4",
        "record --upstream http://127.0.0.1:9 --to a.jsonl --ready-file hard.mp4",
        "serve --port x --ready-file clip.mp4",
        "serve --port x --ready-file clip.json",
    ],
)
def test_no_command_overwrites_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    """An output path that is the source file or a link to it is a usage error.

    The source file stays unchanged.
    """
    monkeypatch.chdir(tmp_path)
    clip = make_clip(parse_clip_name("320x240_30fps_1s.mp4"))
    Path("clip.mp4").write_bytes(clip)
    Path("soft.mp4").symlink_to("clip.mp4")
    for name in ("folder", "logs"):
        Path(name).mkdir()
    for name in ("hard.mp4", "venice-topaz-video-upscale.mp4", "folder/input.mp4"):
        Path(name).hardlink_to("clip.mp4")
    Path("logs/server.log").write_text("mine", "utf-8")
    Path("clip.json").write_text('{"name": "mine"}', "utf-8")

    def there() -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}

    before = there()
    told = CliRunner().invoke(main, line.split())

    assert told.exit_code == 2, told.output
    assert "choose another" in told.stderr or "move it away first" in told.stderr, told.stderr
    assert before == there()


def test_help_shows_no_bounds_for_a_seed() -> None:
    """The help for `--seed` shows no limits, because any whole number is allowed."""
    text = CliRunner().invoke(main, ["serve", "--help"]).stdout
    assert "None" not in text[text.index("--seed") : text.index("--admin-token")]


def test_usage_errors_name_typed_and_missing_options(tmp_path: Path) -> None:
    """A usage error names typed and missing options, and no URL that was not typed."""
    video = tmp_path / "a.mp4"
    video.write_bytes(b"x")
    for line, said in {
        f"upscale {video} --model venice --to {tmp_path}/b.mp4 --job x": "use either FILE or --job",
        f"quote {tmp_path}": "is a folder: name a video file or a URL",
        f"upscale {tmp_path} --model venice --to o.mp4": "is a folder: name a video file",
        "verify --target live --cap 5": "--target live checks one provider: use --provider, one",
    }.items():
        done = CliRunner().invoke(main, line.split())
        assert (2, True) == (done.exit_code, said in done.stderr), done.stderr
        assert "https://" not in done.stderr
