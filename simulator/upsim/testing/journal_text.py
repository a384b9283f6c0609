"""The report about the sandboxes of a failed test: requests, responses, reasons and money."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from upsim.core.numbers import counted
from upsim.testing.sandboxes import SandboxHandle
from upsim.web.admin.exchange_views import reason

SHOWN = 20
"""Number of requests that are shown, the newest ones."""
MAX_LENGTH = 300
"""Number of characters of a body that are shown."""


def journal_text(sandbox: SandboxHandle) -> str:
    """Return the journal of a sandbox as text, oldest request first.

    The text has a limited size, and contains no secrets.
    """
    exchanges = sandbox.journal
    head = f"sandbox {sandbox.id}: scenario {sandbox.scenario}, seed {sandbox.seed}"
    lines = [f"{head}, clock {sandbox.clock.mode} at {sandbox.clock.now:%Y-%m-%d %H:%M:%S} UTC"]
    if len(exchanges) > SHOWN:
        lines.append(f"({len(exchanges) - SHOWN} earlier requests are not shown)")
    for exchange in exchanges[-SHOWN:]:
        lines += _exchange(exchange)
    if not exchanges:
        lines.append("no request was received")
    lines += _money(sandbox)
    return "\n".join(lines)


def _exchange(found: dict[str, Any]) -> Iterator[str]:
    job = f"  job {found['job']}" if found["job"] else ""
    whose = found["provider"] or "inbox"
    where = f"{found['at'][11:23]} {whose} {found['method']} {found['target']}"
    yield f"#{found['number']} {where} → {found['status'] or 'no response'}{job}"
    for name in ("request", "answer"):
        if found[name]["text"]:
            yield f"    {name}: {_cut(found[name]['text'])}"
    if found["refused_by"]:
        evidence = found["evidence"]
        source = f"{evidence['grade']}: {evidence['source']}, {evidence['date']}"
        yield f"    refused by {found['refused_by']} ({source})"
    yield from _why(found)


def _why(found: dict[str, Any]) -> Iterator[str]:
    """Yield the reasons for a response, in the order of the server's log."""
    why = found["why"]
    seen = reason(why["check"], why["cause"], why["compared"])
    if seen:
        yield f"    why: {_cut(seen)}"
    if found["fault"]:
        yield f"    fault: {found['fault']}"
    yield from (f"    {_cut(said)}" for said in why["unfired"])
    if why["hint"]:
        yield f"    hint: {why['hint']}"


def _money(sandbox: SandboxHandle) -> Iterator[str]:
    for entry in sandbox.ledger.entries()[-SHOWN:]:
        formula = f"  ({entry['formula']})" if entry["formula"] else ""
        job = f"  job {entry['job']}" if entry["job"] else ""
        amount = counted(entry["amount"], entry["unit"])
        yield f"{entry['kind']} {amount}{job}{formula}"


def _cut(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= MAX_LENGTH else f"{one_line[:MAX_LENGTH]}…"
