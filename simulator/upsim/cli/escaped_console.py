"""A rich console for foreign text: its own styles reach the terminal, texts are escaped."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from upsim.cli.terminal import raw
from upsim.core.printable_text import printable


class EscapedConsole(Console):
    """Prints texts as they are: neither markup, nor emoji, nor links, nor control characters."""

    def __init__(self, *, stderr: bool = False) -> None:
        """Print on standard output or on standard error."""
        stream = raw(sys.stderr if stderr else sys.stdout)
        super().__init__(file=stream, highlight=False, markup=False, emoji=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render with escaped texts; what moves the cursor is rich's own."""
        for one in super().render(renderable, options):
            yield one if one.control else Segment(printable(one.text, keep="\n"), one.style)

    def on_broken_pipe(self) -> None:
        """End a command whose output nobody reads any more, as click does."""
        self.quiet = True
        sys.exit(1)
