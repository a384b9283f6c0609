"""The one way from a command to its terminal: foreign text becomes harmless on it.

Everything that a command prints passes here: errors, logs and tracebacks too. Tables and bars use
`cli.escaped_console`, whose own styles reach the terminal.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper, UnsupportedOperation
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import click

from upsim.core.printable_text import LINES, printable


class OutputError(click.ClickException):
    """Standard output takes nothing more, as on a full disk; a command ends with this line."""


class TextOutput:
    """A text stream whose failure is reported once; what follows is written nowhere."""

    def __init__(self, stream: TextIO, name: str) -> None:
        """Write to another stream, which an error calls `name`; without it none is raised."""
        self._stream = stream
        self._name = name
        self.lost = False
        """Whether something was not written, other than because nobody reads it."""

    def write(self, text: str) -> int:
        """Write a text. Raises OutputError, or BrokenPipeError where the reader is gone."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Hand over what was written. Raises as `write` does."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of any stream
        """Whatever else a stream can do."""
        return getattr(self._stream, name)

    def _give_up(self, error: OSError) -> None:
        """Lead the stream nowhere, so that what it still holds fails no second time."""
        with suppress(UnsupportedOperation), Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), self._stream.fileno())
        if isinstance(error, BrokenPipeError):
            raise error
        self.lost = True
        if self._name:
            raise OutputError(f"cannot write to {self._name}: {error.strerror}") from error


class SafeStream:
    """A text stream on which every character is printed or escaped, and none is refused."""

    buffer = None
    """Nobody writes bytes beside the escaped text; click looks for them here."""

    def __init__(self, stream: TextIO) -> None:
        """Write to another stream."""
        self.unescaped = stream

    def write(self, text: str | bytes) -> int:
        """Write a text, escaped, or bytes of a text; returns their length, as streams do."""
        whole = text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")
        if whole:  # click tries what a stream takes with nothing, and hears no error of it
            self.unescaped.write(printable(whole, keep=LINES))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of any stream
        """Whatever else a stream can do."""
        return getattr(self.unescaped, name)


@contextmanager
def escaped_output() -> Iterator[None]:
    """Let standard output and standard error be safe streams as long as the block lasts.

    The traceback of what the block does not handle is escaped, too.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _safe(sys.stdout, "standard output"), _safe(sys.stderr, "")
    try:
        yield
    except Exception:
        sys.excepthook = _escaped_traceback
        raise
    finally:
        sys.stdout, sys.stderr = before


def raw(stream: TextIO) -> TextIO:
    """The stream behind a safe one, for what escapes its texts itself."""
    found: TextIO = getattr(stream, "unescaped", stream)
    return found


def is_output_lost() -> bool:
    """Whether something that a command printed was not written."""
    return bool(getattr(sys.stdout, "lost", False))


def _safe(stream: Any, name: str) -> Any:  # noqa: ANN401 - a stream, or None where it is closed
    if stream is None or isinstance(stream, SafeStream):
        return stream
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # what its encoding cannot hold
    output: Any = TextOutput(stream, name)
    return SafeStream(output)


def _escaped_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print what Python prints of an error that nobody handles."""
    text = "".join(traceback.format_exception(kind, error, trace))
    click.echo(printable(text, keep=LINES), nl=False, err=True)
