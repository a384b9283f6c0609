"""One line for every answer, with the reason of each refusal."""

from __future__ import annotations

import asyncio
import sys

from upsim.core.instants import iso
from upsim.engine.journal import Exchange
from upsim.engine.sandbox import Sandbox

FLUSH_SECONDS = 0.05


class Console:
    """Collects answers and prints them in one write shortly after."""

    def __init__(self) -> None:
        """Nothing to print yet."""
        self._waiting: list[tuple[Sandbox, Exchange]] = []

    def __call__(self, sandbox: Sandbox, exchange: Exchange) -> None:
        """Take in an answer."""
        if not self._waiting:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        self._waiting.append((sandbox, exchange))

    def flush(self) -> None:
        """Print what waits."""
        lines = [line_of(sandbox, exchange) for sandbox, exchange in self._waiting]
        self._waiting.clear()
        sys.stdout.write("".join(lines))
        sys.stdout.flush()


def line_of(sandbox: Sandbox, exchange: Exchange) -> str:
    """The line of an answer."""
    at = iso(exchange.at, 3)[11:-1]
    where = "" if sandbox.id == "default" else f"[{sandbox.id}] "
    target = exchange.target.partition("?")[0]
    line = f"{at} {where}{exchange.provider} {exchange.method} {target} {exchange.status}"
    if exchange.rule is not None:
        evidence = exchange.rule.evidence
        line += f" refused: {exchange.rule.name} ({evidence.grade}: {evidence.source})"
    elif exchange.job is not None:
        line += f" job {exchange.job}"
    if exchange.assumed is not None:
        media = exchange.assumed
        line += (
            f" media assumed: {media.width}x{media.height}, {media.frame_rate} fps,"
            f" {media.seconds} s"
        )
    if exchange.fault is not None:
        line += f" fault: {exchange.fault}"
    return line + "\n"
