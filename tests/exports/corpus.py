"""The corpus of exports: its files, and the replay that is compared with them.

A member is an export as `GET …/export` wrote it, with the text of every response beside it. Exports
themselves hold a digest of each body. Members were written by earlier versions, like the files that
users keep, and every version must replay them. CONTRIBUTING.md says when one may write them again.

The members have the export format 1. A version that writes format 2 adds members of its own. It
must either replay the members of format 1 with the same responses, or refuse each of them with
an ExportError that names the format; then `test_export_corpus.py` has to say so.
"""

from __future__ import annotations

import asyncio
import json
import lzma
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from starlette.types import Receive, Scope, Send

from upsim.app import App
from upsim.engine.command_log import CURRENT
from upsim.engine.exports import comparable
from upsim.engine.settings import ServerSettings
from upsim.web.connection_cutting import EXTENSION
from upsim.web.replay.export_document import Document, read
from upsim.web.replay.recorded_parts import settings_of
from upsim.web.replay.replayed_exchange import ReplayedExchange
from upsim.web.replay.response_comparison import ReplayDifference, ReplayReport, replay

FOLDER = Path(__file__).with_name("members")
SUFFIX = ".jsonl.xz"
_RULES = re.compile(r'"rules":"[0-9a-f]{12}"')
MAX_TEXT = 256 * 1024
"""Bytes of the longest body that a member holds as text; of a longer body it has the digest."""


@dataclass(frozen=True, slots=True)
class Member:
    """An export, and the bodies of its responses that are text, by the number of the entry.

    Secrets in the bodies are overwritten, as for the digests of the export.
    """

    name: str
    export: dict[str, Any]
    bodies: dict[str, str] = field(default_factory=dict)

    @property
    def document(self) -> Document:
        """Return the export as it is read from a file."""
        return read(json.dumps(self.export).encode(), name=self.name)


def groups() -> list[str]:
    """Return the names of all groups."""
    return sorted(path.name.removesuffix(SUFFIX) for path in FOLDER.glob(f"*{SUFFIX}"))


def read_group(group: str) -> list[Member]:
    """Return the members of a group, by name; a group without a file has none."""
    path = FOLDER / f"{group}{SUFFIX}"
    if not path.exists():
        return []
    lines = lzma.decompress(path.read_bytes()).splitlines()
    return [Member(**json.loads(line)) for line in lines]


def write_group(group: str, members: Iterable[Member]) -> int:
    """Write the file of a group and return its size; equal members give equal bytes."""
    ordered = sorted(members, key=lambda member: member.name)
    lines = [json.dumps(asdict(m), ensure_ascii=False, separators=(",", ":")) for m in ordered]
    packed = lzma.compress("\n".join(lines).encode(), preset=9 | lzma.PRESET_EXTREME)
    FOLDER.mkdir(exist_ok=True)
    return (FOLDER / f"{group}{SUFFIX}").write_bytes(packed)


class KeepingApp(App):
    """An application that keeps the exchanges of a replay, by the number of the entry."""

    def __init__(self, settings: ServerSettings) -> None:
        """Start without exchanges."""
        super().__init__(settings)
        self.exchanges: dict[int, ReplayedExchange] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        exchange = scope.get("extensions", {}).get(EXTENSION)
        command = CURRENT.get()
        if isinstance(exchange, ReplayedExchange) and command is not None:
            self.exchanges[command.number] = exchange
        await super().__call__(scope, receive, send)


def played(document: Document) -> tuple[ReplayReport, Mapping[int, bytes]]:
    """Replay a document and return the product's report, and the comparable bodies."""
    return asyncio.run(_played(document))


async def _played(document: Document) -> tuple[ReplayReport, Mapping[int, bytes]]:
    app = KeepingApp(settings_of(document))
    try:
        report = await replay(app, document)
    finally:
        app.close()
    found = app.exchanges.items()
    return report, {n: comparable(done.content, done.asked.path) for n, done in found}


def texts(bodies: Mapping[int, bytes]) -> dict[str, str]:
    """Return the bodies that are text and not too long."""
    found: dict[str, str] = {}
    for number, body in sorted(bodies.items()):
        if b"\0" not in body and 0 < len(body) <= MAX_TEXT:
            try:
                found[str(number)] = body.decode()
            except UnicodeDecodeError:
                continue
    return found


def changes(member: Member) -> list[str]:
    """Replay a member and return a line for each difference from what it holds."""
    report, bodies = played(member.document)
    ends = [report.stopped, *report.skipped]
    if report.unanswered:
        ends.append(f"{report.unanswered} requests had no response")
    parts = [
        f"entry {found.number} {found.request}: {part} was {recorded!r}, is {now!r}"
        for found in report.differences
        for part, recorded, now in found.differs
        if part != "body"
    ]
    now = texts(bodies)
    wrong = {found.number for found in report.differences if "body" in _parts(found)}
    wrong |= {int(number) for number, text in member.bodies.items() if now.get(number) != text}
    for number in sorted(wrong):
        before, after = member.bodies.get(str(number)), now.get(str(number))
        if report.notes and _differ_in_rules_only(before, after):
            continue
        parts.append(f"entry {number}: the body was {before}, is {after}")
    return [f"{member.name}: {text}" for text in (*filter(None, ends), *parts)]


def _differ_in_rules_only(before: str | None, after: str | None) -> bool:
    """Return whether two bodies differ only in the hash of the rules, as after an edit of facts."""
    if before is None or after is None or before == after:
        return False
    return _RULES.sub("", before) == _RULES.sub("", after)


def _parts(found: ReplayDifference) -> set[str]:
    return {part for part, _, _ in found.differs}
