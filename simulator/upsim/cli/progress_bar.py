"""The progress of an upscale: a bar on a terminal, no output in a pipe."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from upsim.cli.escaped_console import EscapedConsole
from upsim.client import results

STEPS = ("waiting", "processing", "completed", "downloaded")
"""The steps of a job, each of which is a part of the bar."""


class _Arrived(TextColumn):
    """The number of downloaded bytes."""

    def __init__(self, part: Path) -> None:
        super().__init__("")
        self._part = part

    def render(self, task: Task) -> Text:  # noqa: ARG002 - rich's signature
        """Return the size of the downloaded part of the file."""
        try:
            return Text(amount_of(self._part.stat().st_size), "dim")
        except OSError:
            return Text("")


class ProgressBar:
    """Shows the progress until the block ends."""

    def __init__(self, to: Path, *, shown: bool) -> None:
        """Show a bar on standard error if it is a terminal and `shown` is true."""
        console = EscapedConsole(stderr=True)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            _Arrived(to.with_name(f".{to.name}.part")),
            console=console,
            transient=True,
            disable=not (shown and console.is_terminal),
        )
        self._task = self._bar.add_task("", total=len(STEPS))

    def __enter__(self) -> Self:
        """Start to show the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Remove the bar."""
        self._bar.stop()

    def show(self, text: str, done: str = "") -> None:
        """Show the current activity, and the last completed step."""
        steps = STEPS.index(done) + 1 if done in STEPS else None
        self._bar.update(self._task, description=text, completed=steps)

    def show_poll(self, progress: results.Progress) -> None:
        """Show the status from a poll, as the provider words it."""
        self.show(progress.status, progress.state)


def amount_of(length: int) -> str:
    """Return a number of bytes in a readable unit."""
    if length < 1000:  # noqa: PLR2004 - where the next unit begins
        return f"{length} bytes"
    if length < 1_000_000:  # noqa: PLR2004 - where the next unit begins
        return f"{length / 1000:.1f} kB"
    return f"{length / 1_000_000:.1f} MB"
