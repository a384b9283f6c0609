"""What the demo makes of its runs: verdicts, texts, exit code."""

from __future__ import annotations

import io
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import httpx
import pytest
from msgspec.structs import replace
from rich.console import Console

from upsim.cli.demo import exit_code, summary
from upsim.cli.demo_output import DemoOutput, price_text, print_results, video_text
from upsim.cli.demo_run import DemoClip, DemoRun, Verdict, note_status, upscale
from upsim.client import Polling, Retries, connect_async
from upsim.client.results import Money, Progress
from upsim.core.media import Media, Unmeasurable
from upsim.media.clip_names import parse_clip_name
from upsim.media.synthetic import make_clip
from upsim.scenario.loader import Library

MODEL = Library().baseline("vicsee").baseline.models["topaz-video-upscale"]
MEDIA = Media(2_000_000, Fraction(30), 64, 36, 60, "mp4", audio=True, size=1)
PROMISED = make_clip(parse_clip_name("128x72_30fps_2s.mp4"))
SMALLER = make_clip(parse_clip_name("64x36_30fps_2s.mp4"))
CLIP = DemoClip(SMALLER, MEDIA)
DONE = {"status": "completed", "result": {"url": "http://x.test/file"}}
ANSWERS: dict[str, object] = {
    "/api/v1/upload": {"uploadUrl": "http://x.test/put", "publicUrl": "http://x.test/clip"},
    "/api/v1/tools/upscale-video": {"id": "job", "status": "pending", "creditsUsed": 32},
}
UPLOAD, SUBMIT, POLL = *ANSWERS, "/api/v1/tasks/job"


def run_of(verdict: Verdict, folder: Path = Path()) -> DemoRun:
    """Return a run of one model that came to this."""
    return DemoRun("vicsee", MODEL, folder / "out.mp4", verdict=verdict)


class Take(Protocol):
    """Takes the clip through a model whose output is these bytes."""

    async def __call__(
        self,
        output: bytes = PROMISED,
        *,
        task: Mapping[str, object] = DONE,
        fail: str = "",
        status: int | None = 500,
    ) -> DemoRun:
        """At the path `fail` the server answers with `status`; None: it cannot be reached."""


@pytest.fixture
def take(tmp_path: Path) -> Take:
    """Return a function that takes the clip through a model and returns the run."""

    async def through(
        output: bytes = PROMISED,
        *,
        task: Mapping[str, object] = DONE,
        fail: str = "",
        status: int | None = 500,
    ) -> DemoRun:
        def handle(request: httpx.Request) -> httpx.Response:
            path = request.url.path
            if path == fail and status is None:
                raise httpx.ConnectError("nobody there", request=request)
            if path == fail and status is not None:
                return httpx.Response(status, text="told so")
            if path in ("/put", "/file"):
                return httpx.Response(200, content=output)
            return httpx.Response(200, json={"data": {**ANSWERS, POLL: task}[path]})

        def told(progress: Progress) -> None:
            note_status(run, progress.status, lambda _run: None)

        run = run_of("running", tmp_path)
        run.to.write_bytes(b"of an earlier run")
        async with (
            httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http,
            connect_async(
                "vicsee",
                http=http,
                api_key="k",
                base_url="http://x.test",
                polling=Polling(first=0, settling=0),
                retries=Retries(attempts=1),
                progress=told,
            ) as client,
        ):
            await upscale(run, CLIP, client, lambda _run: None)
        return run

    return through


# -- verdicts


async def test_promised_size_is_done(take: Take) -> None:
    """An output with twice the width and height, as the default factor promises, is `done`."""
    assert (await take()).verdict == "done"


async def test_other_size_is_a_failure(take: Take) -> None:
    """An output with a different size is a failure that names the promised size."""
    run = await take(SMALLER)

    assert (run.verdict, run.problem) == ("failed", "the output should be 128x72")


async def test_output_that_is_no_video_is_a_failure(take: Take) -> None:
    """A downloaded output that is no video, or cannot be measured, is a failure."""
    other, broken = await take(b"no video"), await take(b"\0\0\0\x18ftypmp42 and no more")

    assert (other.verdict, "the output is not a video but" in other.problem) == ("failed", True)
    assert (broken.verdict, broken.problem[:29]) == ("failed", "the output cannot be measured")


@pytest.mark.parametrize(("status", "verdict"), [(413, "refused"), (503, "failed")])
async def test_refused_upload(take: Take, status: int, verdict: str) -> None:
    """If the upload fails, a 4xx is blamed on the clip and a 5xx is not."""
    run = await take(fail=UPLOAD, status=status)

    assert (run.verdict, run.problem[-11:]) == (verdict, f"{status} told so")


async def test_lost_response_is_a_failure(take: Take) -> None:
    """A submit without a response is a failure, and its text says that the result is unknown."""
    run = await take(fail=SUBMIT, status=500)

    expected = "OutcomeUnknownError: 500 told so; the job may have been accepted"
    assert (run.verdict, run.problem[: len(expected)]) == ("failed", expected)


async def test_unreachable_server_is_a_failure(take: Take) -> None:
    """A failed connection is a failure of its own row only."""
    run = await take(fail=SUBMIT, status=None)

    assert (run.verdict, "ConnectError: nobody there" in run.problem) == ("failed", True)


async def test_lost_output_is_a_failure(take: Take) -> None:
    """A refusal after the submit is not blamed on the clip, whatever its status."""
    run = await take(fail="/file", status=404)

    expected = "404 http://x.test/file: the link has expired or does not exist"
    assert (run.verdict, run.problem) == ("failed", expected)


async def test_failed_job_shows_its_reason(take: Take) -> None:
    """A job that the provider fails is shown as failed, with the provider's error text."""
    run = await take(task={"status": "failed", "error": {"message": "cannot decode"}})

    assert (run.verdict, run.problem) == ("unsuccessful", "cannot decode")


@pytest.mark.parametrize(
    ("verdict", "refunded", "outcome"),
    [
        ("unsuccessful", True, "failed (refunded)"),
        ("unsuccessful", False, "failed (not refunded)"),
        ("refused", False, "refused"),
        ("failed", False, "failed"),
    ],
)
def test_outcome(verdict: Verdict, refunded: bool, outcome: str) -> None:  # noqa: FBT001
    """The outcome of an accepted but failed job says whether its price was refunded."""
    run = run_of(verdict)
    run.refunded = refunded

    assert outcome == run.outcome


async def test_run_has_the_job_id(take: Take) -> None:
    """A run stores the id of its accepted job, so that a refund can be found."""
    assert (await take()).job == "job"


async def test_completed_without_output_is_a_failure(take: Take) -> None:
    """A completed job without a file is a failure."""
    run = await take(task={"status": "completed"})

    assert (run.verdict, run.problem) == (
        "failed",
        "ProtocolError: job job is 'completed' but has no file",
    )


async def test_old_output_is_removed(take: Take) -> None:
    """If a run fails, the output file of an earlier run is removed."""
    run = await take(fail=SUBMIT, status=None)

    assert run.to.exists() is False


async def test_states_in_order(take: Take) -> None:
    """A run lists the status word of the submit first, then the status words of the polls."""
    assert (await take()).states == ["pending", "completed"]


async def test_quantity_by_the_price_rule(take: Take) -> None:
    """If the provider returns no quantity, the price rule supplies it."""
    assert (await take()).billed == "2 seconds"


# -- the end


@pytest.mark.parametrize(
    ("verdicts", "own_file", "code"),
    [
        (["done", "done"], False, 0),
        (["done", "done"], True, 0),
        (["done", "refused"], True, 0),
        (["done", "unsuccessful"], True, 0),
        (["done", "unsuccessful"], False, 1),
        (["done", "refused"], False, 1),
        (["refused", "refused"], True, 1),
        (["done", "failed"], True, 1),
        (["done", "failed"], False, 1),
        (["done", "running"], True, 1),
    ],
)
def test_exit_code(verdicts: list[Verdict], own_file: bool, code: int) -> None:  # noqa: FBT001
    """A refusal of the user's own file keeps exit code 0 if another model accepted the file."""
    assert exit_code([run_of(verdict) for verdict in verdicts], own_file=own_file) == code


@pytest.mark.parametrize(
    ("verdicts", "text"),
    [
        (["done", "done"], "2 of 2 models gave an output of the promised size."),
        (["done", "refused"], "1 of 2 models gave an output of the promised size, 1 refused."),
        (
            ["failed", "refused", "unsuccessful"],
            (
                "0 of 3 models gave an output of the promised size,"
                " 1 failed, 1 failed (not refunded), 1 refused."
            ),
        ),
    ],
)
def test_summary(verdicts: list[Verdict], text: str) -> None:
    """The last sentence of the summary counts the finished and the unfinished runs."""
    assert summary([run_of(verdict) for verdict in verdicts]) == text


# -- texts


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (None, ""),
        (Money(Decimal("0.1"), "USD"), "$0.10"),
        (Money(Decimal("0.025"), "USD"), "$0.025"),
        (Money(Decimal(3), "USD"), "$3.00"),
        (Money(Decimal("1E+3"), "USD"), "$1,000.00"),
        (Money(Decimal(1), "credit"), "1 credit"),
        (Money(Decimal(0), "credit"), "0 credits"),
        (Money(Decimal(360_000), "point"), "360,000 points"),
    ],
)
def test_price_text(price: Money | None, text: str) -> None:
    """A price in dollars has a sign and at least two decimals; other units are words."""
    assert price_text(price) == text


@pytest.mark.parametrize(
    ("points", "text"),
    [
        ("360000", "$0.036 (360,000 points)"),
        ("1", "$0.0000001 (1 point)"),
        ("10000000", "$1.00 (10,000,000 points)"),
    ],
)
def test_price_in_parts_of_a_dollar(points: str, text: str) -> None:
    """If a price rule defines units per dollar, the dollar amount is printed first."""
    assert text == price_text(Money(Decimal(points), "point"), Decimal(10_000_000))


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (Fraction(30), "64x36 30 fps 2 s"),
        (Fraction(30_000, 1001), "64x36 29.97 fps 2 s"),
        (Fraction(25, 2), "64x36 12.5 fps 2 s"),
    ],
)
def test_video_text(rate: Fraction, text: str) -> None:
    """The text of a video shows its size, its rate to three decimals, and its exact duration."""
    assert video_text(replace(MEDIA, frame_rate=rate)) == text


def test_unmeasured_input_is_left_out() -> None:
    """For a file that is no video, no video properties are shown."""
    clip = DemoClip(CLIP.source, Unmeasurable("not_a_video", "no"))

    assert video_text(clip.media) == ""


def test_results_are_never_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long refusal text is printed completely in a pipe."""
    monkeypatch.delenv("COLUMNS", raising=False)
    run = run_of("refused", tmp_path)
    run.problem = "long " * 100
    shown = io.StringIO()
    print_results(Console(file=shown), CLIP, [run])

    assert run.problem.strip() in shown.getvalue()


@pytest.mark.parametrize(("columns", "block"), [("200", False), ("60", True)])
def test_columns_hold_in_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str, *, block: bool
) -> None:
    """In a pipe, COLUMNS sets the width: a table if it fits, otherwise one block per model."""
    monkeypatch.setenv("COLUMNS", columns)
    shown = io.StringIO()
    print_results(Console(file=shown), CLIP, [run_of("done", tmp_path)])

    assert block == shown.getvalue().startswith("vicsee topaz-video-upscale\n")


def test_board_in_a_pipe_prints_texts_unchanged() -> None:
    """In a pipe, provider texts are printed unchanged, including brackets."""
    run, shown = run_of("running"), io.StringIO()
    run.activity = "[bold] state"
    with DemoOutput(Console(file=shown), [run]) as board:
        board.changed(run)

    assert shown.getvalue().endswith("s  vicsee topaz-video-upscale: [bold] state\n")
