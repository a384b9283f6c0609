"""`upsim demo` as a user runs it: five outputs of the promised sizes, or the reasons why not."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from upsim.media.clip_names import parse_clip_name
from upsim.media.synthetic import make_clip

UPSIM = [sys.executable, "-m", "upsim"]
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name[:6] != "UPSIM_" and name != "COLUMNS"
}
SIZES = {
    "piapi-video-toolkit": (1280, 720),
    "venice-topaz-video-upscale": (1280, 720),
    "vicsee-topaz-video-upscale": (1280, 720),
    "wavespeed-upscale-v1": (3840, 2160),
    "wavespeed-video-upscaler": (1920, 1080),
}
"""Of 640x360: doubled by three providers, 4K by one model, 1080p by the other."""
ROWS = {
    "piapi Qubico/video-toolkit": ("1280x720", "120 frames", "$0.036 (360,000 points)"),
    "venice topaz-video-upscale": ("1280x720", "4 seconds", "$0.052"),
    "vicsee topaz-video-upscale": ("1280x720", "4 seconds", "64 credits"),
    "wavespeed runwayml/upscale-v1": ("3840x2160", "5 seconds", "$0.10"),
    "wavespeed wavespeed-ai/video-upscaler": ("1920x1080", "5 seconds", "$0.025"),
}
STATES = {
    "piapi Qubico/video-toolkit": "pending → processing → completed",
    "venice topaz-video-upscale": "PROCESSING → completed",
    "vicsee topaz-video-upscale": "pending → processing → completed",
    "wavespeed runwayml/upscale-v1": "created → processing → completed",
    "wavespeed wavespeed-ai/video-upscaler": "created → processing → completed",
}


@dataclass(frozen=True, slots=True)
class Demo:
    """A finished demo: what it printed, and the folder of its outputs."""

    code: int
    text: str
    errors: str
    out: Path

    def row(self, label: str) -> str:
        """Return the last line that begins with this label: its row in the table."""
        lines = [line.strip() for line in self.text.splitlines()]
        return [line for line in lines if line.startswith(label)][-1]


def run_demo(out: Path, *arguments: str) -> Demo:
    """Run the command in a folder of its own, its output in a pipe."""
    done = subprocess.run(
        [*UPSIM, "demo", "--out", str(out), *arguments],
        env=ENVIRONMENT,
        cwd=out.parent if out.parent.is_dir() else None,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Demo(done.returncode, done.stdout, done.stderr, out)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Return the demo as it is without any option but the folder."""
    return run_demo(tmp_path_factory.mktemp("demo") / "outputs")


@pytest.fixture
def clip(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that writes a synthetic clip to a file and returns its path."""

    def write(name: str) -> str:
        path = tmp_path / name
        path.write_bytes(make_clip(parse_clip_name(name)))
        return str(path)

    return write


Probe = Callable[[Path], dict[str, object]]


@pytest.fixture
def look(require_tool: Callable[[str], str]) -> Probe:
    """Return a function that measures a file with ffprobe."""
    ffprobe = require_tool("ffprobe")

    def measure(file: Path) -> dict[str, object]:
        asked = "stream=codec_type,width,height,avg_frame_rate,nb_read_frames:format=duration"
        options = ["-v", "error", "-count_frames", "-show_entries", asked, "-of", "json"]
        done = subprocess.run([ffprobe, *options, str(file)], capture_output=True, check=True)
        found = json.loads(done.stdout)
        streams = {stream["codec_type"]: stream for stream in found["streams"]}
        video = streams["video"]
        return {
            "size": (video["width"], video["height"]),
            "rate": video["avg_frame_rate"],
            "frames": int(video["nb_read_frames"]),
            "seconds": float(found["format"]["duration"]),
            "audio": "audio" in streams,
        }

    return measure


# -- without a file


def test_the_demo_succeeds(demo: Demo) -> None:
    """The demo ends with exit code 0 and prints no warning."""
    assert (demo.code, demo.errors) == (0, "")


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_output_really_has_the_promised_properties(
    demo: Demo, look: Probe, name: str, size: tuple[int, int]
) -> None:
    """Each output decodes to the promised size, with the input's frames, rate, length and audio."""
    expected = {"size": size, "rate": "30/1", "frames": 120, "seconds": 4.0, "audio": True}

    assert look(demo.out / f"{name}.mp4") == expected


def test_input_is_accepted_by_every_provider(demo: Demo, look: Probe) -> None:
    """The generated clip is 640x360 at 30 fps, four seconds with audio."""
    expected = {"size": (640, 360), "rate": "30/1", "frames": 120, "seconds": 4.0, "audio": True}

    assert look(demo.out / "input.mp4") == expected


def test_folder_holds_only_named_files(demo: Demo) -> None:
    """The folder holds the input, one output for each model, and the log of the server."""
    expected = {"input.mp4", "server.log", *(f"{name}.mp4" for name in SIZES)}

    assert {path.name for path in demo.out.iterdir()} == expected


def test_folder_is_named(demo: Demo) -> None:
    """The last line says how many models kept their promise, and where the outputs are."""
    expected = "5 of 5 models gave an output of the promised size. Outputs and server.log: "

    assert demo.text.splitlines()[-1] == f"{expected}{demo.out.resolve()}"


@pytest.mark.parametrize(("label", "parts"), ROWS.items())
def test_table_has_input_output_quantity_and_price(
    demo: Demo, label: str, parts: tuple[str, str, str]
) -> None:
    """The row of a model shows input, measured output, billed quantity and price."""
    size, billed, price = parts
    cells = [label, "640x360 30 fps 4 s", f"{size} 30 fps 4 s", billed, price]

    assert re.split(r"\s{2,}", demo.row(label))[:5] == cells


@pytest.mark.parametrize(("label", "states"), STATES.items())
def test_table_has_the_states_in_the_providers_words(demo: Demo, label: str, states: str) -> None:
    """The row of a model shows each seen state, in order."""
    assert re.split(r"\s{2,}", demo.row(label))[6] == states


def test_progress_in_a_pipe_is_lines(demo: Demo) -> None:
    """In a pipe, each change of a model is a line with the elapsed time."""
    line = r"^ +\d+\.\d\d s  vicsee topaz-video-upscale: processing$"

    assert re.search(line, demo.text, re.MULTILINE)


def test_no_control_characters_in_a_pipe(demo: Demo) -> None:
    """The output in a pipe has neither colours nor cursor movements."""
    assert "\x1b" not in demo.text


def test_log_has_the_responses_of_the_server(demo: Demo) -> None:
    """The log shows each request and response behind the table."""
    assert " venice POST /api/v1/video/queue 200 job " in (demo.out / "server.log").read_text()


def test_a_high_pace_takes_seconds(tmp_path: Path) -> None:
    """At a pace of 1000, two minutes of work take a moment."""
    demo = run_demo(tmp_path / "outputs", "--pace", "1000")

    assert "5 of 5 models gave an output of the promised size." in demo.text


def test_default_folder_is_in_the_current_one(tmp_path: Path) -> None:
    """Without `--out` the outputs are in demo-outputs, below the current folder."""
    command = [*UPSIM, "demo", "--pace", "1000"]
    subprocess.run(
        command, env=ENVIRONMENT, cwd=tmp_path, capture_output=True, timeout=60, check=True
    )

    assert (tmp_path / "demo-outputs" / "venice-topaz-video-upscale.mp4").is_file()


# -- with a file


@pytest.mark.parametrize(
    ("name", "label", "refusal"),
    [
        (
            "1920x1080_30fps_2s.mp4",
            "piapi Qubico/video-toolkit",
            "refused: 400 invalid video: the resolution must not exceed 1280x720",
        ),
        (
            "320x180_10fps_60.1s.mp4",
            "vicsee topaz-video-upscale",
            "refused: 422 VIDEO_TOO_LONG Video exceeds 60-second limit",
        ),
        (
            "320x180_10fps_60.1s.mp4",
            "piapi Qubico/video-toolkit",
            "refused: 400 invalid video: the frame count must be between 10 and 240",
        ),
        (
            "64x64_1fps_301s.mp4",
            "venice topaz-video-upscale",
            "refused: 422 Video duration exceeds the maximum allowed.",
        ),
        (
            "640x360_30fps_2s.mkv",
            "vicsee topaz-video-upscale",
            "refused: 400 INVALID_CONTENT_TYPE contentType is not supported",
        ),
    ],
)
def test_refusal_is_the_providers_own(
    clip: Callable[[str], str], tmp_path: Path, name: str, label: str, refusal: str
) -> None:
    """A file that breaks a rule shows that provider's status, code and message in its row."""
    assert run_demo(tmp_path / "outputs", clip(name), "--pace", "500").row(label).endswith(refusal)


def test_refusal_of_the_users_file_is_no_failure(
    clip: Callable[[str], str], tmp_path: Path
) -> None:
    """If one model accepts the user's file, the exit code is 0, and the refusals are counted."""
    demo = run_demo(tmp_path / "outputs", clip("1920x1080_30fps_2s.mp4"), "--pace", "500")

    counted = "4 of 5 models gave an output of the promised size, 1 refused."
    assert (demo.code, counted in demo.text) == (0, True)


def test_file_that_every_model_refuses(tmp_path: Path) -> None:
    """A file that every model refuses gives exit code 1 and five reasons."""
    file = tmp_path / "notes.txt"
    file.write_text("no video", encoding="utf-8")
    demo = run_demo(tmp_path / "outputs", str(file), "--pace", "500")

    assert (demo.code, demo.text.count("refused: ")) == (1, 5)


def test_outputs_of_an_earlier_run_are_removed(clip: Callable[[str], str], tmp_path: Path) -> None:
    """An output of an earlier run is removed, even if its model refuses the file now."""
    out = tmp_path / "outputs"
    run_demo(out, "--pace", "500")
    run_demo(out, clip("1920x1080_30fps_2s.mp4"), "--pace", "500")

    assert not (out / "piapi-video-toolkit.mp4").exists()


def test_clip_of_an_earlier_run_is_removed(clip: Callable[[str], str], tmp_path: Path) -> None:
    """A run with the user's file removes the generated input of an earlier run."""
    out = tmp_path / "outputs"
    out.mkdir()
    (out / "input.mp4").touch()
    run_demo(out, clip("640x360_30fps_2s.mp4"), "--pace", "500")

    assert not (out / "input.mp4").exists()


def test_clip_of_an_earlier_run_can_be_the_file(tmp_path: Path) -> None:
    """The generated clip of an earlier run can be the user's file, and then stays."""
    out = tmp_path / "outputs"
    out.mkdir()
    own = out / "input.mp4"
    own.write_bytes(make_clip(parse_clip_name("640x360_30fps_2s.mp4")))
    run_demo(out, str(own), "--pace", "500")

    assert own.exists()


def test_portrait_and_fractional_rates_are_kept(
    clip: Callable[[str], str], look: Probe, tmp_path: Path
) -> None:
    """The output of an upright clip with a fractional rate is upright, with exactly this rate."""
    out = tmp_path / "outputs"
    run_demo(out, clip("360x640_30000-1001fps_2.002s.mp4"), "--pace", "500")
    found = look(out / "wavespeed-video-upscaler.mp4")

    assert (found["size"], found["rate"]) == ((1080, 1920), "30000/1001")


@pytest.mark.slow
def test_resampled_output_has_the_promised_size(tmp_path: Path, look: Probe) -> None:
    """With `--render resample`, the output has the promised size too."""
    out = tmp_path / "outputs"
    run_demo(out, "--pace", "500", "--render", "resample")

    assert look(out / "wavespeed-video-upscaler.mp4")["size"] == (1920, 1080)


# -- mistakes


def test_missing_file_is_wrong_usage(tmp_path: Path) -> None:
    """The message names the missing file; the exit code is 2."""
    demo = run_demo(tmp_path / "outputs", "nosuch.mp4")

    assert (demo.code, "File 'nosuch.mp4' does not exist." in demo.errors) == (2, True)


def test_folder_that_cannot_be_made_is_a_message(tmp_path: Path) -> None:
    """An impossible folder gives a message, not a traceback; the exit code is 1."""
    (tmp_path / "file").touch()
    demo = run_demo(tmp_path / "file" / "outputs")

    expected = f"upsim: cannot write to {tmp_path}/file/outputs: Not a directory\n"
    assert (demo.code, demo.errors) == (1, expected)


def test_pace_below_one_is_wrong_usage(tmp_path: Path) -> None:
    """A pace is a whole number of 1 or more."""
    demo = run_demo(tmp_path / "outputs", "--pace", "0")

    assert (demo.code, "'0' is not a whole number of 1 or more" in demo.errors) == (2, True)


def test_ctrl_c_ends_the_demo(tmp_path: Path) -> None:
    """Ctrl-C ends the demo and its server soon, with exit code 130 and without a traceback."""
    process = subprocess.Popen(
        [*UPSIM, "demo", "--out", str(tmp_path / "outputs"), "--pace", "1"],
        env={**ENVIRONMENT, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while "vicsee topaz-video-upscale: pending" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)

    assert (130, "") == (process.returncode, errors)


def test_closed_pipe_ends_the_demo(tmp_path: Path) -> None:
    """If the reader leaves, as after `upsim demo | head`, the demo ends without a message."""
    process = subprocess.Popen(
        [*UPSIM, "demo", "--out", str(tmp_path / "outputs"), "--pace", "1"],
        env={**ENVIRONMENT, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    _, errors = process.communicate(timeout=300)

    assert (141, "") == (process.returncode, errors)


# -- a terminal


def on_terminal(columns: int, out: Path) -> str:
    """Run the demo on a terminal of this width and return everything that it showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        command = [*UPSIM, "demo", "--out", str(out), "--pace", "200"]
        environment = {**ENVIRONMENT, "COLUMNS": str(columns), "TERM": "xterm"}
        os.execve(command[0], command, environment)  # noqa: S606 - the command is our own
    shown = b""
    try:
        while part := os.read(terminal, 65_536):
            shown += part
    except OSError:
        pass  # how a terminal says that the program has ended
    os.close(terminal)
    os.waitpid(pid, 0)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r\n", "\n")


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what a terminal of 60 columns shows."""
    return on_terminal(60, tmp_path_factory.mktemp("narrow"))


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what a terminal of 200 columns shows."""
    return on_terminal(200, tmp_path_factory.mktemp("wide"))


def test_wide_terminal_has_a_table(wide: str) -> None:
    """In a wide terminal, each model is one line."""
    line = r" wavespeed runwayml/upscale-v1 +640x360 30 fps 4 s +3840x2160 30 fps 4 s +5 seconds "

    assert re.search(line, wide)


def test_narrow_terminal_has_blocks(narrow: str) -> None:
    """In a narrow terminal, each model is a block with one line for each value."""
    block = (
        r"\nwavespeed runwayml/upscale-v1 *\n"
        r"  input  640x360 30 fps 4 s *\n"
        r"  output 3840x2160 30 fps 4 s *\n"
        r"  billed 5 seconds *\n"
        r"  price  \$0\.10 *\n"
        r"  time   \d+\.\d s *\n"
        r"  states created → .*completed *\n"
    )

    assert re.search(block, narrow)


def test_narrow_terminal_cuts_nothing_off(narrow: str) -> None:
    """No value of the results is shortened, and only the last line may be too long."""
    results = narrow[narrow.rindex("piapi Qubico/video-toolkit") :].splitlines()

    assert (max(map(len, results[:-1])) <= 60, "…" in "".join(results)) == (True, False)


def test_terminal_shows_progress_in_place(wide: str) -> None:
    """In a terminal, progress is redrawn in place, without a line for each change."""
    assert "s  vicsee topaz-video-upscale: processing" not in wide
