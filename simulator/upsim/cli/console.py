"""One line for every answer, with the reason of each refusal."""

from __future__ import annotations

import asyncio
import sys

from upsim.core.instants import iso
from upsim.core.webhooks import Outcome
from upsim.engine.journal import Exchange
from upsim.engine.sandbox import Sandbox
from upsim.engine.webhooks import Posting

FLUSH_SECONDS = 0.05
LONGEST_ADDRESS = 200


class Console:
    """Collects answers and prints them in one write shortly after."""

    def __init__(self) -> None:
        """Nothing to print yet."""
        self._waiting: list[tuple[Sandbox, Exchange] | str] = []

    def __call__(self, sandbox: Sandbox, exchange: Exchange) -> None:
        """Take in an answer."""
        self._take((sandbox, exchange))

    def webhook(self, sandbox: Sandbox, posting: Posting, outcome: Outcome) -> None:
        """Take in an attempt to deliver a webhook."""
        where = "" if sandbox.id == "default" else f"[{sandbox.id}] "
        came = outcome.error if outcome.status is None else str(outcome.status)
        address = posting.url.partition("?")[0][:LONGEST_ADDRESS]
        line = (
            f"{iso(sandbox.now, 3)[11:-1]} {where}webhook POST {address!r} job {posting.job} {came}"
        )
        self._take(line + "\n")

    def flush(self) -> None:
        """Print what waits."""
        lines = [item if isinstance(item, str) else line_of(*item) for item in self._waiting]
        self._waiting.clear()
        sys.stdout.write("".join(lines))
        sys.stdout.flush()

    def _take(self, item: tuple[Sandbox, Exchange] | str) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        self._waiting.append(item)


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
    return line + "\n"
