"""What the demo makes of its runs: verdicts, texts, exit code."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import httpx
import pytest
from rich.console import Console

from upsim.cli.board import Board, price_text, print_results, video_text
from upsim.cli.demo import exit_code, summary
from upsim.cli.upscaling import Clip, Run, Verdict, read_clip, upscale
from upsim.client.adapter import (
    Adapter,
    File,
    Order,
    Price,
    Progress,
    Request,
    Steps,
    Submitted,
    accepted,
)
from upsim.client.exceptions import UnreadableError
from upsim.client.session import AsyncSession
from upsim.core.media import Media, Unmeasurable
from upsim.media.clip import parse_clip_name
from upsim.media.synthetic import make_clip
from upsim.scenario.loader import Library

MODEL = Library().baseline("vicsee").baseline.models["topaz-video-upscale"]
MEDIA = Media(2_000_000, Fraction(30), 64, 36, 60, "mp4", audio=True, size=1)
CLIP = Clip(File("clip.mp4", "video/mp4", b"bytes"), MEDIA)
PROMISED = make_clip(parse_clip_name("128x72_30fps_2s.mp4"))
SMALLER = make_clip(parse_clip_name("64x36_30fps_2s.mp4"))
DONE = Progress("completed", "completed", "http://storage.test/file")


def run_of(verdict: Verdict, folder: Path = Path()) -> Run:
    """Return a run of one model that came to this."""
    return Run("vicsee", MODEL, folder / "out.mp4", verdict=verdict)


def adapter_of(progress: Progress) -> Adapter:
    """Return an adapter that submits, and whose jobs are at once as told."""

    def upload(_file: File) -> Steps[str]:
        accepted((yield Request("POST", "/upload")))
        return "source"

    def submit(order: Order) -> Steps[Submitted]:
        answer = yield Request("POST", "/submit")
        if not answer.ok:
            raise UnreadableError("no job in the answer")
        return Submitted("job", order.model, "pending", Price(Decimal(32), "credit"))

    def poll(_job: Submitted) -> Steps[Progress]:
        yield Request("GET", "/poll")
        return progress

    return Adapter("vicsee", lambda _key: {}, upload, submit, poll)


class Take(Protocol):
    """Takes the clip through a model whose output is these bytes."""

    async def __call__(
        self,
        output: bytes = PROMISED,
        *,
        progress: Progress = DONE,
        fail: str = "",
        status: int | None = 500,
    ) -> Run:
        """At the path `fail` the server answers with `status`; None: it cannot be reached."""


@pytest.fixture
def take(tmp_path: Path) -> Take:
    """Return a function that takes the clip through a model and returns the run."""

    async def through(
        output: bytes = PROMISED,
        *,
        progress: Progress = DONE,
        fail: str = "",
        status: int | None = 500,
    ) -> Run:
        def handle(request: httpx.Request) -> httpx.Response:
            if request.url.path == fail and status is None:
                raise httpx.ConnectError("nobody there", request=request)
            if request.url.path == fail and status is not None:
                return httpx.Response(status, text="told so")
            return httpx.Response(200, content=output)

        http = httpx.AsyncClient(transport=httpx.MockTransport(handle))
        session = AsyncSession(adapter_of(progress), http=http, base_url="http://x.test", key="k")
        run = run_of("running", tmp_path)
        run.to.write_bytes(b"of an earlier run")
        await upscale(run, CLIP, session, lambda _run: None)
        return run

    return through


# -- verdicts


async def test_promised_size_is_done(take: Take) -> None:
    """An output that has twice the sides, as the model's default factor promises, is done."""
    assert (await take()).verdict == "done"


async def test_other_size_is_a_failure(take: Take) -> None:
    """An output of another size than promised is a failure that names the promised one."""
    run = await take(SMALLER)

    assert (run.verdict, run.problem) == ("failed", "the output should be 128x72")


async def test_output_that_is_no_video_is_a_failure(take: Take) -> None:
    """A download that cannot be measured is a failure."""
    run = await take(b"no video")

    assert (run.verdict, run.problem[:29]) == ("failed", "the output cannot be measured")


@pytest.mark.parametrize(("status", "verdict"), [(413, "refused"), (503, "failed")])
async def test_refused_upload(take: Take, status: int, verdict: str) -> None:
    """Before there is a job, the four hundreds are the clip's fault, the five hundreds not."""
    run = await take(fail="/upload", status=status)

    assert (run.verdict, run.problem) == (verdict, f"{status} told so")


async def test_unreadable_answer_is_a_failure(take: Take) -> None:
    """An answer without what is documented is a failure that says so."""
    run = await take(fail="/submit", status=500)

    assert (run.verdict, run.problem) == ("failed", "UnreadableError: no job in the answer")


async def test_unreachable_server_is_a_failure(take: Take) -> None:
    """A connection that fails is a failure of this one row."""
    run = await take(fail="/submit", status=None)

    assert (run.verdict, run.problem) == ("failed", "ConnectError: nobody there")


async def test_lost_output_is_a_failure(take: Take) -> None:
    """A refusal once there is a job is not the clip's fault, whatever its status."""
    run = await take(fail="/file", status=404)

    assert (run.verdict, run.problem) == ("failed", "404 told so")


async def test_failed_job_tells_its_reason(take: Take) -> None:
    """A job that the provider ends with an error has failed, in the provider's words."""
    run = await take(progress=Progress("failed", "failed", error="cannot decode"))

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
    """Only a job that was accepted has money to be given back; the outcome says whether it was."""
    run = run_of(verdict)
    run.refunded = refunded

    assert outcome == run.outcome


async def test_run_knows_its_job(take: Take) -> None:
    """The id of the accepted job stands on the run, so that its refund can be found."""
    assert (await take()).job == "job"


async def test_completed_without_output_is_a_failure(take: Take) -> None:
    """A job that is completed and has no file is a failure."""
    run = await take(progress=Progress("completed", "completed"))

    assert (run.verdict, run.problem) == ("failed", "there is no output")


async def test_old_output_is_removed(take: Take) -> None:
    """The output of an earlier run is gone when this one fails."""
    run = await take(fail="/submit", status=None)

    assert run.to.exists() is False


async def test_states_in_order(take: Take) -> None:
    """The word of the submit comes first, then those of the polls."""
    assert (await take()).states == ["pending", "completed"]


async def test_quantity_by_the_price_rule(take: Take) -> None:
    """Where the provider tells no quantity, its price rule says what was counted."""
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
    """A refusal is well only for one's own file, and only if another model took it."""
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
    """The last sentence counts what is done, and what is not."""
    assert summary([run_of(verdict) for verdict in verdicts]) == text


# -- texts


@pytest.mark.parametrize(
    ("price", "text"),
    [
        (None, ""),
        (Price(Decimal("0.1"), "USD"), "$0.10"),
        (Price(Decimal("0.025"), "USD"), "$0.025"),
        (Price(Decimal(3), "USD"), "$3.00"),
        (Price(Decimal("1E+3"), "USD"), "$1,000.00"),
        (Price(Decimal(1), "credit"), "1 credit"),
        (Price(Decimal(0), "credit"), "0 credits"),
        (Price(Decimal(360_000), "point"), "360,000 points"),
    ],
)
def test_price_text(price: Price | None, text: str) -> None:
    """Dollars have a sign and two places at least; other units are words."""
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
    """Where a price rule says how many units a dollar has, the dollars come first."""
    assert text == price_text(Price(Decimal(points), "point"), Decimal(10_000_000))


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (Fraction(30), "64x36 30 fps 2 s"),
        (Fraction(30_000, 1001), "64x36 29.97 fps 2 s"),
        (Fraction(25, 2), "64x36 12.5 fps 2 s"),
    ],
)
def test_video_text(rate: Fraction, text: str) -> None:
    """A video is its size, its rate to three places, and its exact length."""
    assert video_text(replace(MEDIA, frame_rate=rate)) == text


def test_unmeasured_input_is_left_out() -> None:
    """A file that is no video has no properties to be shown."""
    clip = Clip(CLIP.file, Unmeasurable("not_a_video", "no"))

    assert video_text(clip.media) == ""


@pytest.mark.parametrize(
    ("name", "written", "expected"),
    [
        ("a.bin", "64x36_30fps_2s.mp4", "video/mp4"),
        ("a.mp4", "64x36_30fps_2s.mkv", "video/x-matroska"),
        ("a.mp4", None, "video/mp4"),
        ("a", None, "application/octet-stream"),
    ],
)
def test_content_type(tmp_path: Path, name: str, written: str | None, expected: str) -> None:
    """What a file holds decides its type; its name only where it is no video."""
    path = tmp_path / name
    path.write_bytes(make_clip(parse_clip_name(written)) if written else b"no video")

    assert read_clip(path).file.content_type == expected


def test_results_are_never_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal that is longer than any line stays whole in a pipe."""
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
    """With COLUMNS a pipe is as wide as it says: a table where it fits, else a block for each."""
    monkeypatch.setenv("COLUMNS", columns)
    shown = io.StringIO()
    print_results(Console(file=shown), CLIP, [run_of("done", tmp_path)])

    assert block == shown.getvalue().startswith("vicsee topaz-video-upscale\n")


def test_board_in_a_pipe_prints_what_it_is_told() -> None:
    """Texts of a provider are printed as they are, brackets too."""
    run, shown = run_of("running"), io.StringIO()
    run.activity = "[bold] state"
    with Board(Console(file=shown), [run]) as board:
        board.changed(run)

    assert shown.getvalue().endswith("s  vicsee topaz-video-upscale: [bold] state\n")
