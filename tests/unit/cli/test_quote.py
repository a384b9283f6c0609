"""`upsim quote` says what the simulator does: asked here without the client, by bare requests."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from upsim.app import Simulator
from upsim.cli import main
from upsim.media.clip_names import parse_clip_name
from upsim.media.synthetic import make_clip

LOCAL = "http://127.0.0.1"
SUBMITS: Mapping[str, tuple[str, Mapping[str, Any], str]] = {
    "wavespeed/wavespeed-ai/video-upscaler": (
        "/wavespeed/api/v3/wavespeed-ai/video-upscaler",
        {"video": "{url}"},
        "wavespeed",
    ),
    "wavespeed/runwayml/upscale-v1": (
        "/wavespeed/api/v3/runwayml/upscale-v1",
        {"video": "{url}"},
        "wavespeed",
    ),
    "venice/topaz-video-upscale": (
        "/venice/api/v1/video/queue",
        {"model": "topaz-video-upscale", "video_url": "{url}"},
        "venice",
    ),
    "piapi/Qubico/video-toolkit": (
        "/piapi/api/v1/task",
        {"model": "Qubico/video-toolkit", "task_type": "upscale", "input": {"video": "{url}"}},
        "piapi",
    ),
    "vicsee/topaz-video-upscale": (
        "/vicsee/api/v1/tools/upscale-video",
        {"video_url": "{url}"},
        "vicsee",
    ),
}
"""How each model is submitted to, as its page says."""
EDGES = [
    # size, fps, seconds, container, bytes
    ("64x36", "10", "0.9", "mp4", None),  # PiAPI: 9 frames
    ("64x36", "10", "1", "mp4", None),
    ("64x36", "10", "24", "mp4", None),
    ("64x36", "10", "24.1", "mp4", None),
    ("64x36", "10", "4.9", "mp4", None),  # WaveSpeed: at least five seconds
    ("64x36", "10", "5", "mp4", None),
    ("64x36", "10", "5.1", "mp4", None),
    ("64x36", "10", "60", "mp4", None),  # VicSee: 60 seconds
    ("64x36", "10", "60.1", "mp4", None),
    ("64x36", "10", "300", "mp4", None),  # Venice: 300
    ("64x36", "10", "300.1", "mp4", None),
    ("64x36", "10", "600", "mp4", None),  # WaveSpeed: 600
    ("64x36", "10", "600.1", "mp4", None),
    ("64x360", "48", "2", "mp4", None),  # Venice: tiers and surcharge
    ("64x362", "49", "2", "mp4", None),
    ("64x1080", "30000-1001", "1.001", "mp4", None),
    ("1280x720", "30", "1", "mp4", None),  # PiAPI: its largest size
    ("1282x720", "30", "1", "mp4", None),
    ("1280x722", "30", "1", "mp4", None),
    ("720x1280", "30", "1", "mp4", None),
    ("8192x16", "10", "1", "mp4", None),  # the largest output that is rendered
    ("8194x16", "10", "1", "mp4", None),
    ("64x36", "10", "2", "mov", None),
    ("64x36", "10", "2", "mkv", None),
    ("64x36", "10", "2", "webm", None),
    ("64x36", "10", "2", "mp4", 10_485_760),  # PiAPI: ten mebibytes
    ("64x36", "10", "2", "mp4", 10_485_761),
]


def run(*arguments: str) -> Result:
    """Return what a command line gave."""
    return CliRunner().invoke(main, list(arguments), prog_name="upsim")


def rows_of(*arguments: str) -> dict[str, Any]:
    """Return what `quote --json` says, by model."""
    result = run("quote", *arguments, "--json")
    assert result.exit_code in (0, 1), result.output
    return {row["model"]: row for row in json.loads(result.stdout)["models"]}


def texts_in(value: object) -> Iterator[str]:
    """Return every text of a document."""
    if isinstance(value, str):
        yield value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from texts_in(part)


def done_by_simulator(url: str, model: str, http: httpx.Client) -> tuple[str, Any]:
    """Submit a clip by a bare request: what was charged, or the texts of the refusal."""
    path, body, provider = SUBMITS[model]
    headers = {"Authorization": "Bearer sk-edge", "x-api-key": "sk-edge"}
    filled = json.loads(json.dumps(body).replace("{url}", url))
    answer = http.post(f"{LOCAL}{path}", json=filled, headers=headers)
    if not answer.is_success:
        return "refused", set(texts_in(answer.json()))
    found = http.get(f"{LOCAL}/__sim/sandboxes/default/ledger?provider={provider}").json()
    charges = [entry for entry in found["entries"] if entry["kind"] == "charge"]
    return "priced", (abs(Decimal(charges[-1]["amount"])), charges[-1]["unit"])


@pytest.fixture(autouse=True)
def _no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take no width from outside: workers of pytest-xdist have one in their environment."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """Return a way to a simulator that `quote` knows nothing of."""
    with Simulator(clock="manual") as sim, httpx.Client(transport=sim.transport()) as client:
        for provider in ("wavespeed", "venice", "piapi"):
            path = f"{LOCAL}/__sim/sandboxes/default/accounts/{provider}"
            client.put(path, json={"balance": "100000"})
        yield client


@pytest.mark.parametrize(("size", "fps", "seconds", "container", "length"), EDGES)
def test_quote_agrees_with_the_simulator(
    http: httpx.Client, size: str, fps: str, seconds: str, container: str, length: int | None
) -> None:
    """`quote` gives the price or refusal of the simulator for each model, also near every limit."""
    query = "" if length is None else f"?bytes={length}"
    url = f"{LOCAL}/media/synthetic/{size}_{fps}fps_{seconds}s.{container}{query}"
    described = ["--duration", seconds, "--size", size, "--fps", fps, "--container", container]
    rows = rows_of(*described, *([] if length is None else ["--bytes", str(length)]))

    for model in SUBMITS:
        row, (verdict, told) = rows[model], done_by_simulator(url, model, http)
        assert verdict == row["verdict"], (model, row, told)
        if verdict == "refused":
            assert row["reason"] in told
        else:
            assert told == (Decimal(row["price"]["amount"]), row["price"]["unit"])


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Return a clip of four seconds."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(make_clip(parse_clip_name("640x360_30fps_4s.mp4")))
    return path


def test_a_file_is_measured(clip: Path) -> None:
    """`quote` for a file shows the documented prices and the output sizes of the models."""
    rows = rows_of(str(clip))
    expected = {
        "piapi/Qubico/video-toolkit": ("360000", "point", 1280),
        "venice/topaz-video-upscale": ("0.052", "USD", 1280),
        "vicsee/topaz-video-upscale": ("64", "credit", 1280),
        "wavespeed/wavespeed-ai/video-upscaler": ("0.025", "USD", 1920),
        "wavespeed/runwayml/upscale-v1": ("0.1", "USD", 3840),
    }

    assert expected == {
        model: (row["price"]["amount"], row["price"]["unit"], row["output"]["width"])
        for model, row in rows.items()
        if model in expected
    }


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm", "txt"])
@pytest.mark.parametrize("model", SUBMITS)
def test_quote_agrees_with_upscale(tmp_path: Path, suffix: str, model: str) -> None:
    """`quote` and `upscale` give the same price or reason for the same file."""
    source = tmp_path / f"file.{suffix}"
    made = suffix != "txt"
    name = f"64x36_10fps_2s.{suffix}"
    source.write_bytes(make_clip(parse_clip_name(name)) if made else b"no video at all")
    row = rows_of(str(source), "--model", model)[model]
    result = run(
        "upscale", str(source), "--model", model, "--to", str(tmp_path / "out.mp4"), "--json"
    )
    found = json.loads(result.stdout)

    assert (0 if row["verdict"] == "priced" else 1) == result.exit_code
    if row["verdict"] == "priced":
        assert (row["price"], row["billed"]) == (found["price"], found["billed"])
    else:
        assert row["reason"] in found["error"]["message"]


def test_an_impossible_size_is_reported_per_model() -> None:
    """A model that cannot make the requested size lists its sizes; other models show prices."""
    rows = rows_of("--duration", "5", "--size", "640x360", "--factor", "4")

    assert ("impossible", "priced") == (
        rows["piapi/Qubico/video-toolkit"]["verdict"],
        rows["vicsee/topaz-video-upscale"]["verdict"],
    )
    assert "it makes 720 lines (factor 2)" in rows["piapi/Qubico/video-toolkit"]["reason"]


def test_an_option_affects_only_models_that_have_it() -> None:
    """An option changes the price of the models that have it, and of no other model."""
    rows = rows_of("--duration", "5", "--size", "640x360", "--option", "upscale_factor=4")

    assert ("140", "0.025") == (
        rows["vicsee/topaz-video-upscale"]["price"]["amount"],
        rows["wavespeed/wavespeed-ai/video-upscaler"]["price"]["amount"],
    )


def test_a_job_that_would_fail_is_reported(tmp_path: Path) -> None:
    """`quote` reports that WaveSpeed accepts an empty file, then fails and refunds the job."""
    empty = tmp_path / "empty.mp4"
    empty.touch()
    result = run("quote", str(empty), "--model", "video-upscaler")

    assert 1 == result.exit_code
    assert "the job is accepted and fails; its charge is refunded" in result.stdout


def test_the_table(clip: Path) -> None:
    """Without `--json`, `quote` prints price, quantity, size and formula for each model."""
    result = run("quote", str(clip), "--model", "vicsee")
    lines = result.stdout.splitlines()

    assert f"{clip}: 640x360 30 fps 4 s" == lines[0]
    assert (
        "vicsee/topaz-video-upscale 64 credits 4 seconds 1280x720 4 seconds × 16 = 64 credits"
    ) in [" ".join(line.split()) for line in lines]


def test_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the table does not fit, `quote` prints a block for each model and cuts no word."""
    monkeypatch.setenv("COLUMNS", "60")
    result = run("quote", "--duration", "61", "--size", "1280x720")
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    first = lines.index("vicsee/topaz-video-upscale")

    assert [
        "  refused",
        "  422 VIDEO_TOO_LONG Video exceeds 60-second limit",
        "  video: found a duration of 61 s, expected at most 60 s",
    ] == lines[first + 1 : first + 4]
    assert "…" not in result.stdout
    assert "\x1b" not in result.stdout


def test_a_local_url_is_fetched(free_tcp_port: int) -> None:
    """If a local URL serves no file, `quote` shows each provider's own error text."""
    rows = rows_of(f"http://127.0.0.1:{free_tcp_port}/clip.mp4")

    assert "Could not read video duration from URL" == rows["vicsee/topaz-video-upscale"]["reason"]


def test_a_refusal_has_its_cause() -> None:
    """Below the provider's error text, `quote` prints the cause, also with `--json`."""
    clip = ("--duration", "5", "--size", "640x360", "--option", "upscale_factor=3")
    cause = "upscale_factor: found the number 3, expected the number 1, 2 or 4"
    rows = rows_of(*clip)
    lines = [line.strip() for line in run("quote", *clip).stdout.splitlines()]

    assert cause == rows["venice/topaz-video-upscale"]["cause"]
    assert rows["piapi/Qubico/video-toolkit"]["cause"] is None
    assert lines[lines.index(cause) - 1].endswith("400 Invalid request parameters")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "name a FILE or URL, or use both --duration and --size"),
        (["--duration", "5"], "name a FILE or URL, or use both --duration and --size"),
        (["nowhere.mp4"], "the file 'nowhere.mp4' does not exist"),
        (["."], "'.' is a folder"),
        (["file:///tmp/a.mp4"], "is a file URL: use the path, /tmp/a.mp4"),
        (["s3://bucket/a.mp4"], "has the scheme s3: give a path, or a URL that begins with http"),
        (["data:video/mp4;base64,AAAA"], "has the scheme data: give a path"),
        (["https:/a.example/a.mp4"], "lacks https://: give https://a.example/a.mp4"),
        (["http:///a.mp4"], "names no host: give http(s)://host/path"),
        (["a\0b"], "does not exist"),
        (["x" * 5000], "does not exist"),
        (["https://example.com/a.mp4"], "--fetch allows its download"),
        (["http://[/a.mp4"], "names no host"),
        (["clip.mp4", "--duration", "5"], "not both"),
        (["--duration", "5", "--size", "5"], "is not a size such as 1920x1080"),
        (["--duration", "5", "--size", "0x5"], "is not a size such as 1920x1080"),
        (["--duration", "1e999999999", "--size", "2x2"], "is not a duration such as"),
        (["--duration", "9999999999", "--size", "2x2"], "to 1,000,000,000 seconds"),
        (["--duration", "nan", "--size", "2x2"], "is not a duration such as 90, 2.5"),
        (["--duration", "1.0000001", "--size", "2x2"], "more than six decimal places"),
        (["--duration", "5", "--size", "2x2", "--fps", "1/0"], "is not a frame rate"),
        (["--duration", "5", "--size", "2x2", "--fps", "1e9"], "is not a frame rate"),
        (["--duration", "5", "--size", "2x2", "--fps", "0"], "must be above 0"),
        (
            ["--duration", "5", "--size", "2x2", "--fps", "0.000001"],
            "a clip with these properties is not supported",
        ),
        (["--duration", "5", "--size", "2x2", "--model", "venic"], "did you mean venice"),
        (["--duration", "5", "--size", "2x2", "--option", "foo=1"], "unknown parameter 'foo'"),
        (["--duration", "5", "--size", "2x2", "--option", "foo"], "is not name=value"),
        (["--duration", "5", "--size", "2x2", "--factor", "2", "--target-height", "9"], "not both"),
        (["--frobnicate"], "No such option"),
    ],
)
def test_wrong_usage(arguments: list[str], reason: str) -> None:
    """Invalid arguments of `quote` give an error message and exit code 2."""
    result = run("quote", *arguments)

    assert (2, None) == (result.exit_code, None if isinstance(result.exception, SystemExit) else 1)
    assert reason in " ".join(result.stderr.split())
