"""Compare the responses of a replay with the recorded responses."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from upsim.engine.exports import answer_of
from upsim.web.media_safety_headers import NAMES
from upsim.web.replay.export_document import Answered, Document, ExportedRequest, ExportEntry
from upsim.web.replay.player import DivergedError, Player, UnplayableError
from upsim.web.replay.recorded_parts import Application, changed_rules
from upsim.web.replay.replayed_exchange import ReplayedExchange

SHOWN = 400


@dataclass(frozen=True, slots=True)
class ReplayDifference:
    """One difference in a response: the part, the recorded value and the new value."""

    number: int
    at: str
    request: str
    differs: tuple[tuple[str, str, str], ...]


@dataclass(slots=True)
class ReplayReport:
    """The result of a replay; if it ended early, `stopped` is the reason.

    `skipped` has a sentence for each refused request that could not be sent again.
    """

    entries: int
    kinds: Counter[str] = field(default_factory=Counter)
    compared: int = 0
    unanswered: int = 0
    differences: list[ReplayDifference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stopped: str = ""
    skipped: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Return whether all entries were replayed with the recorded responses."""
        return not (self.differences or self.stopped or self.skipped)


async def replay(app: Application, document: Document) -> ReplayReport:
    """Replay a whole document. Raises ExportError if its sandbox cannot be created."""
    player = Player(app, document)
    report = ReplayReport(len(document.commands))
    report.notes += [
        f"the rules of {name} are not those of the recording (upsim {document.upsim})"
        for name in changed_rules(player.sandbox, document)
    ]
    if document.incomplete is not None:
        after, why = document.incomplete.after, document.incomplete.why
        report.notes.append(f"the log ends after entry {after} ({why}): later ones are missing")
    asked = {entry.n: entry for entry in document.commands if entry.request is not None}
    waits = waits_of(document)
    answered = 0
    for entry in document.commands:
        report.kinds[kind_of(entry)] += 1
        try:
            done = await player.play(entry, waits[entry.n])
        except (DivergedError, UnplayableError) as error:
            report.stopped = f"entry {entry.n} at {entry.at}: {error}"
            break
        if done is not None:
            answered += 1
            _compare(report, asked[done[0]], done[1])
    report.skipped = list(player.skipped.values())
    asked_for = report.kinds["requests"] + report.kinds["admin calls"]
    report.unanswered = asked_for - answered - len(report.skipped)
    await player.close()
    return report


def waits_of(document: Document) -> defaultdict[int, list[ExportEntry]]:
    """Return the entries in which each command continues, by the command's number."""
    found: defaultdict[int, list[ExportEntry]] = defaultdict(list)
    for entry in document.commands:
        if entry.resumed is not None:
            found[entry.resumed.of].append(entry)
    return found


def kind_of(entry: ExportEntry) -> str:
    """Return the kind of an entry, for the summary."""
    if entry.request is None:
        if entry.reread is not None:
            return "files read again"
        other = "accounts" if entry.opened else "webhook results"
        return "continuations" if entry.resumed else other
    return "admin calls" if entry.request.path.startswith("/__sim/") else "requests"


def _compare(report: ReplayReport, entry: ExportEntry, exchange: ReplayedExchange) -> None:
    if entry.request is None or entry.answer is None:
        return
    report.compared += 1
    if exchange.substituted:
        report.notes.append(f"entry {entry.n}: its file is not compared, for its video is not here")
    found = tuple(differences(entry.request, entry.answer, exchange))
    if found:
        request = f"{entry.request.method} {entry.request.target}"
        report.differences.append(ReplayDifference(entry.n, entry.at, request, found))


def differences(
    asked: ExportedRequest, recorded: Answered, exchange: ReplayedExchange
) -> list[tuple[str, str, str]]:
    """Return each part of a response that differs: its name, the recorded and the new value.

    A replay downloads nothing, so it cannot make the output of a fetched video. For such an output
    only the status is compared.
    """
    if exchange.status is None and recorded.status is None:
        return []
    if exchange.substituted and recorded.status == exchange.status:
        return []
    now = answer_of(exchange.status, exchange.answer_headers, exchange.content, asked.path)
    found = []
    if recorded.status != exchange.status:
        found.append(("status", str(recorded.status), str(exchange.status)))
    padded = asked.body is not None and asked.body.cut
    before = [tuple(pair) for pair in recorded.headers if not padded or pair[0] != "etag"]
    after = [tuple(pair) for pair in now["headers"] if not padded or pair[0] != "etag"]
    after = [pair for pair in after if pair[0] not in NAMES - {name for name, _ in before}]
    found += [(f"header {name}", value, "") for name, value in before if (name, value) not in after]
    found += [(f"header {name}", "", value) for name, value in after if (name, value) not in before]
    if not found and before != after:
        found.append(("headers", "another order", str(after)))
    if (recorded.size, recorded.sha256) != (now["bytes"], now["sha256"]):
        shown = exchange.content[:SHOWN].decode("utf-8", "replace")
        digest = f"{recorded.size} bytes, sha256 {recorded.sha256[:12]}"
        found.append(("body", digest, f"{now['bytes']} bytes: {shown}"))
    if (recorded.connection == "cut") != exchange.cut:
        words = ("whole", "cut")
        found.append(("connection", recorded.connection or words[0], words[exchange.cut]))
    return found
