"""The only output of commands: it escapes untrusted text, so that a terminal prints it safely.

All output of commands uses this module, including errors, logs and tracebacks. Tables and bars
use `cli.escaped_console`, whose own styles reach the terminal.
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
    """Standard output cannot be written, as on a full disk; the command ends with this message."""


class TextOutput:
    """A text stream that reports its first failure; later text is discarded."""

    def __init__(self, stream: TextIO, name: str) -> None:
        """Write to `stream`. Errors call it `name`; without a name no error is raised."""
        self._stream = stream
        self._name = name
        self.lost = False
        """Whether some text was not written for a reason other than a closed reader."""

    def write(self, text: str) -> int:
        """Write a text. Raises OutputError, or BrokenPipeError if the reader closed the stream."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Flush the stream. Raises as `write` does."""
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of any stream
        """Return any other attribute of the wrapped stream."""
        return getattr(self._stream, name)

    def _give_up(self, error: OSError) -> None:
        """Discard the text that the stream still holds, so that it cannot fail again."""
        with suppress(UnsupportedOperation), Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), self._stream.fileno())
        if isinstance(error, BrokenPipeError):
            raise error
        self.lost = True
        if self._name:
            raise OutputError(f"cannot write to {self._name}: {error.strerror}") from error


class SafeStream:
    """A text stream that accepts every character, and escapes characters that it cannot print."""

    buffer = None
    """The missing binary stream: click looks for it here, and no bytes may bypass the escaping."""

    def __init__(self, stream: TextIO) -> None:
        """Write to another stream."""
        self.unescaped = stream

    def write(self, text: str | bytes) -> int:
        """Write an escaped text, or the bytes of a text; return its length, as streams do."""
        whole = text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")
        if whole:  # click tries what a stream takes with nothing, and hears no error of it
            self.unescaped.write(printable(whole, keep=LINES))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of any stream
        """Return any other attribute of the wrapped stream."""
        return getattr(self.unescaped, name)


@contextmanager
def escaped_output() -> Iterator[None]:
    """Escape standard output and standard error until the block ends.

    The traceback of an unhandled exception in the block is escaped too.
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
    """Return the stream behind a safe stream, for code that escapes its own texts."""
    found: TextIO = getattr(stream, "unescaped", stream)
    return found


def is_output_lost() -> bool:
    """Whether some printed text was not written."""
    return bool(getattr(sys.stdout, "lost", False))


def _safe(stream: Any, name: str) -> Any:  # noqa: ANN401 - a stream, or None where it is closed
    if stream is None or isinstance(stream, SafeStream):
        return stream
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # replaces what the encoding cannot represent
    output: Any = TextOutput(stream, name)
    return SafeStream(output)


def _escaped_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print the traceback of an unhandled error, escaped."""
    text = "".join(traceback.format_exception(kind, error, trace))
    click.echo(printable(text, keep=LINES), nl=False, err=True)
