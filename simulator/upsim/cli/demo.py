"""`upsim demo`: show all models once, over real HTTP, with a real clip."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click
import uvicorn

from upsim.app import App
from upsim.atomic_files import write_whole
from upsim.cli.demo_output import DemoOutput, print_results
from upsim.cli.demo_run import POLLING, DemoClip, DemoRun, note_status, read_clip, upscale
from upsim.cli.escaped_console import EscapedConsole
from upsim.cli.escaped_output import OutputError
from upsim.cli.option_types import WholeNumber
from upsim.cli.request_log import job_of, line_of, today
from upsim.client.adapter_discovery import providers
from upsim.client.clients import connect_async
from upsim.client.results import Progress
from upsim.client.video_input import is_source
from upsim.core.media import Media
from upsim.engine.request_records import Record
from upsim.engine.sandbox import Sandbox
from upsim.engine.seeds import fresh_seed, fresh_token
from upsim.engine.settings import ServerSettings
from upsim.media.clip_names import parse_clip_name
from upsim.media.probe import measure_file
from upsim.media.synthetic import make_clip

DEFAULT_CLIP = "640x360_30fps_4s.mp4"
LOG_HEAD = "# log of upsim demo\n"
FILE_BYTES = 300 * 1024**2
KEY = "sk-demo"
FINDING = 1
INTERRUPTED, UNREAD = 130, 141
"""Exit codes after Ctrl-C, and after the reader of the output left: 128 plus the signal number."""


@click.command("demo")
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--out",
    default="demo-outputs",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the output files.",
)
@click.option(
    "--pace",
    default=30,
    show_default=True,
    type=WholeNumber(min=1),
    help="Speed up jobs by this factor; 1 = documented times.",
)
@click.option(
    "--render",
    type=click.Choice(["synthetic", "resample"]),
    default="synthetic",
    show_default=True,
    help="Output frames: generated (fast), or resampled from the clip.",
)
def command(*, file: Path | None, out: Path, pace: int, render: str) -> None:
    """Upscale a real clip with all models and show the results.

    FILE is your own video; without it, the demo makes a clip of four seconds. If a provider refuses
    FILE, or its job fails, the table shows the reason. This counts as a failure only if no model
    accepts FILE. Exit code 1 if anything else failed, if an output does not have the promised
    size, or if no model accepted the clip.
    """
    try:
        code = _demonstrate(DemoScreen(), file, out, pace=pace, render=render)
    except* KeyboardInterrupt:
        code = INTERRUPTED
    except* UnreadError:
        code = UNREAD
    except* OutputError as errors:
        click.echo(f"upsim: {'; '.join(messages_of(errors))}", err=True)
        code = FINDING
    sys.exit(code)


def messages_of(errors: BaseExceptionGroup[OutputError]) -> Iterator[str]:
    """Yield the message of each error in a group."""
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from messages_of(error)
        else:
            yield error.message


class UnreadError(Exception):
    """The reader of the output has closed it, as after `upsim demo | head`."""


class DemoScreen(EscapedConsole):
    """A console that ends the demo if the reader of its output has closed it."""

    def on_broken_pipe(self) -> None:
        """Discard the remaining output and stop."""
        self.quiet = True
        raise UnreadError


def _demonstrate(
    console: EscapedConsole, file: Path | None, out: Path, *, pace: int, render: str
) -> int:
    """Run the whole demo; return its exit code."""
    path = _prepare(file, out)
    clip = read_clip(path)
    app = _app(pace=pace, render=render)
    runs, log = _runs(app, out), out / "server.log"
    if any(is_source(path, made) for made in (*(run.to for run in runs), log)):
        raise click.UsageError(f"the demo would overwrite {path}: choose another --out")
    if log.exists() and not _is_log(log):
        raise click.UsageError(f"{log} was not written by a demo: choose another --out")
    console.print(
        f"Upscaling {path} with {len(runs)} models, {pace} times faster than documented.",
        soft_wrap=True,
    )
    with _server(app, log) as base, DemoOutput(console, runs) as board:
        asyncio.run(_all(runs, clip, base, board))
    for run in runs:
        run.refunded = app.registry.default.state.refund_of(run.job) is not None
    print_results(console, clip, runs)
    console.print(f"{summary(runs)} Outputs and server.log: {out.resolve()}", soft_wrap=True)
    return exit_code(runs, own_file=file is not None)


def summary(runs: Sequence[DemoRun]) -> str:
    """Return how many models delivered the promised size, and the results of all other models."""
    counted = Counter(run.outcome for run in runs if run.verdict != "done")
    done = len(runs) - counted.total()
    others = "".join(f", {number} {outcome}" for outcome, number in sorted(counted.items()))
    return f"{done} of {len(runs)} models gave an output of the promised size{others}."


def exit_code(runs: Sequence[DemoRun], *, own_file: bool) -> int:
    """Return 0 if a run succeeded and no run failed.

    A refusal of the user's own FILE is no failure. The same applies to a job of FILE that its
    provider ends with an error, because some providers check a video only then.
    """
    verdicts = {run.verdict for run in runs}
    allowed = {"done", "refused", "unsuccessful"} if own_file else {"done"}
    return 0 if "done" in verdicts and verdicts <= allowed else FINDING


def _prepare(file: Path | None, out: Path) -> Path:
    """Create the output folder, remove the clip of an earlier demo, and return the clip's path."""
    if file is not None and file.stat().st_size > FILE_BYTES:
        limit = FILE_BYTES // 1024**2
        raise click.BadParameter(f"{file} is larger than {limit} MiB, more than any provider takes")
    made = out / "input.mp4"
    path = file or made
    try:
        out.mkdir(parents=True, exist_ok=True)
        ours = _is_default_clip(made)
        if file is None:
            if made.exists() and not ours:
                raise click.UsageError(f"{made} was not written by a demo: choose another --out")
            write_whole(path, make_clip(parse_clip_name(DEFAULT_CLIP)))
        elif ours and not made.samefile(file):
            made.unlink()
    except OSError as error:
        click.echo(f"upsim: cannot write to {out}: {error.strerror}", err=True)
        sys.exit(FINDING)
    return path


def _is_default_clip(file: Path) -> bool:
    """Return whether a file is empty, or the clip of an earlier demo of any release."""
    if file.is_file() and not file.stat().st_size:
        return True
    clip = parse_clip_name(DEFAULT_CLIP)
    found = measure_file(file) if file.is_file() else None
    return (
        isinstance(found, Media)
        and (found.width, found.height) == (clip.width, clip.height)
        and (found.frame_rate, found.frames) == (clip.frame_rate, clip.frames)
    )


def _is_log(file: Path) -> bool:
    """Return whether a file is the log of an earlier demo, or empty."""
    with file.open("rb") as opened:
        return opened.read(len(LOG_HEAD)) in (b"", LOG_HEAD.encode("utf-8"))


def _runs(app: App, out: Path) -> list[DemoRun]:
    library = app.registry.library
    return [
        DemoRun(provider, model, out / f"{provider}-{model.id.rpartition('/')[2]}.mp4")
        for provider in providers()
        for model in library.baseline(provider).baseline.models.values()
    ]


async def _all(runs: Sequence[DemoRun], clip: DemoClip, base: str, board: DemoOutput) -> None:
    async with asyncio.TaskGroup() as group:
        for run in runs:
            group.create_task(_one(run, clip, base, board))


async def _one(run: DemoRun, clip: DemoClip, base: str, board: DemoOutput) -> None:
    def told(progress: Progress) -> None:
        note_status(run, progress.status, board.changed)

    async with connect_async(
        f"{run.provider}/{run.model.id}",
        api_key=KEY,
        base_url=f"{base}/{run.provider}",
        polling=POLLING,
        progress=told,
    ) as client:
        await upscale(run, clip, client, board.changed)


def _app(*, pace: int, render: str) -> App:
    return App(
        ServerSettings(pace=pace, render=render, seed=fresh_seed(), admin_token=fresh_token())
    )


@contextmanager
def _server(app: App, log: Path) -> Iterator[str]:
    """Run a real server on a free loopback port, in a thread, until the block ends."""
    listening = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    config = uvicorn.Config(
        app.door(base),
        log_config=None,
        access_log=False,
        date_header=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    with log.open("w", encoding="utf-8") as lines:
        lines.write(LOG_HEAD)
        _write_answers(app, lines)
        thread.start()
        try:
            yield base
        finally:
            server.should_exit = True
            thread.join()


def _write_answers(app: App, log: TextIO) -> None:
    """Write a line for each response, and the server's own error messages, to the log."""
    logger = logging.getLogger("uvicorn")
    logger.handlers, logger.propagate = [logging.StreamHandler(log)], False
    day = today()

    def observe(sandbox: Sandbox, exchange: Record) -> None:
        log.write(line_of(sandbox, exchange, job_of(sandbox, exchange), day=day))

    app.dispatch.observers.append(observe)
