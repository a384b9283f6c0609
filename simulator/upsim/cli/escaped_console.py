"""A rich console for untrusted text: only the console's own styles are not escaped."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from upsim.cli.escaped_output import raw
from upsim.core.printable_text import printable


class EscapedConsole(Console):
    """Prints texts literally: no markup, emoji, links or control characters."""

    def __init__(self, *, stderr: bool = False) -> None:
        """Print on standard output or on standard error."""
        stream = raw(sys.stderr if stderr else sys.stdout)
        super().__init__(file=stream, highlight=False, markup=False, emoji=False)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render with escaped texts; only rich itself may move the cursor."""
        for one in super().render(renderable, options):
            yield one if one.control else Segment(printable(one.text, keep="\n"), one.style)

    def on_broken_pipe(self) -> None:
        """End the command, as click does, if the reader of its output has closed it."""
        self.quiet = True
        sys.exit(1)
