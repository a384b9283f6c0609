"""How far an upscale is: a bar on a terminal, nothing in a pipe."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from upsim.cli.escaped_console import EscapedConsole
from upsim.client import values

STEPS = ("waiting", "processing", "completed", "downloaded")
"""What a job goes through, each a part of the bar."""


class _Arrived(TextColumn):
    """How much of the file has come."""

    def __init__(self, part: Path) -> None:
        super().__init__("")
        self._part = part

    def render(self, task: Task) -> Text:  # noqa: ARG002 - rich's signature
        """The size of the part of the file that is there."""
        try:
            return Text(amount_of(self._part.stat().st_size), "dim")
        except OSError:
            return Text("")


class ProgressBar:
    """Shows how far it is, for as long as it is entered."""

    def __init__(self, to: Path, *, shown: bool) -> None:
        """A bar on standard error, unless that is no terminal or nobody wants it."""
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
        """Begin to show."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        self._bar.stop()

    def show(self, text: str, done: str = "") -> None:
        """What is being done, and the last step that is done."""
        steps = STEPS.index(done) + 1 if done in STEPS else None
        self._bar.update(self._task, description=text, completed=steps)

    def show_poll(self, progress: values.Progress) -> None:
        """A poll's answer, in the provider's word."""
        self.show(progress.status, progress.state)


def amount_of(length: int) -> str:
    """Bytes as people write them."""
    if length < 1000:  # noqa: PLR2004 - where the next unit begins
        return f"{length} bytes"
    if length < 1_000_000:  # noqa: PLR2004 - where the next unit begins
        return f"{length / 1000:.1f} kB"
    return f"{length / 1_000_000:.1f} MB"
