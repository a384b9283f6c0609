"""The one way from a command to its terminal: foreign text becomes harmless on it.

Whatever a command prints passes here, its errors and its logs included. `Screen` of `cli.screen`
is for tables and bars, whose own styles reach the terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Any, TextIO

from upsim.core.printing import LINES, printable


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
    """Let standard output and standard error be safe streams as long as the block lasts."""
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what its encoding cannot hold
    sys.stdout, sys.stderr = (
        one if isinstance(one, SafeStream) else SafeStream(one) for one in before
    )
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def raw(stream: TextIO) -> TextIO:
    """The stream behind a safe one, for what escapes its texts itself."""
    found: TextIO = getattr(stream, "unescaped", stream)
    return found
