"""Write an export as a pytest file that people can read, shorten and keep."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from textwrap import indent
from typing import Any

import msgspec

from upsim.engine.exports import KEYS_CALL
from upsim.web.replay.export_document import Document, ExportedRequest, ExportEntry, ExportError
from upsim.web.replay.player import DivergedError, Player, UnplayableError
from upsim.web.replay.python_literals import flat, literal
from upsim.web.replay.recorded_parts import Application
from upsim.web.replay.replayed_exchange import ReplayedExchange
from upsim.web.replay.response_comparison import differences, waits_of
from upsim.web.replay.scenario_values import depth, shortened

LINE = 100
MAX_INLINE_LENGTH = 4096
"""Maximum bytes of a body inside the test; a longer body is a file beside it."""
MAX_DEPTH = 60
"""Maximum nesting of a value in code: Python reads no more than 200 open brackets."""
PLAIN = frozenset({"content-type", "content-length"})
"""Response headers that are not asserted beside the body."""
HEAD = '''"""A recorded session: the same requests get the same responses.

`upsim replay --pytest` wrote it from an export; change it as you like.
"""

{imports}
SOURCE = {source}
{bodies}SESSION = {session}


def test_session() -> None:
    """Every response is the recorded one."""
    with Simulator.replaying(SESSION) as session:
'''
"""A template; all inserted values are written by `literals`, so text of an export is never code."""


@dataclass(frozen=True, slots=True)
class Written:
    """A test: its text, its additional files by name, and the missing parts of the export."""

    text: str
    files: Mapping[str, bytes]
    missing: tuple[str, ...]
    notes: tuple[str, ...]


async def written(
    app: Application, document: Document, *, source: str, folder: str | None = None
) -> Written:
    """Write the test of an export. Raises ExportError if the replay gives different responses.

    Long bodies become files in `folder` beside the test. Without a folder they become part of the
    test's text.
    """
    return await _Writer(Player(app, document), document, folder is not None).written(
        source, folder or ""
    )


class _Writer:
    def __init__(self, player: Player, document: Document, beside: bool) -> None:  # noqa: FBT001
        self._player = player
        self._document = document
        self._beside = beside
        self._files: dict[str, bytes] = {}
        self._missing: list[str] = []
        self._notes: list[str] = []

    async def written(self, source: str, folder: str) -> Written:
        values = literal(_session(self._document, self._player), 0)
        parts = [part async for part in self._steps()]
        await self._player.close()
        parts += [_failure(reason) for reason in self._missing]
        bodies = f"BODIES = Path(__file__).parent / {flat(folder)}\n" if self._files else ""
        text = HEAD.format(
            imports=_imports(path=bool(self._files), pytest=bool(self._missing)),
            source=flat(source),
            bodies=bodies,
            session=values,
        )
        body = indent("".join(parts) or "assert session\n", " " * 8)
        return Written(text + body, self._files, tuple(self._missing), tuple(self._notes))

    async def _steps(self) -> AsyncIterator[str]:
        document = self._document
        waits = waits_of(document)
        asked = {entry.n: entry for entry in document.commands}
        for entry in document.commands:
            try:
                done = await self._player.play(entry, waits[entry.n])
            except UnplayableError as error:
                left = len(document.commands) - document.commands.index(entry)
                self._missing.append(f"{error}; this entry and those after it ({left}) are missing")
                return
            except DivergedError as error:
                raise ExportError(f"entry {entry.n} does not replay: {error}") from error
            if (entry.resumed.of if entry.resumed else entry.n) in self._player.skipped:
                continue
            call = "".join(self._step(entry, waits[entry.n]))
            if done is None:
                yield call
                continue
            yield f"answer = {call}"
            for line in _assertions(asked[done[0]], done[1]):
                yield line
        self._missing += self._player.skipped.values()
        if document.incomplete is not None:
            last, why = document.incomplete.after, document.incomplete.why
            self._missing.append(f"the export ends after entry {last} ({why}): the rest is missing")

    def _step(self, entry: ExportEntry, waits: list[ExportEntry]) -> Iterator[str]:
        at = f"at={flat(entry.at)}"
        if entry.opened is not None:
            opened = entry.opened
            parts = [flat(opened.provider), flat(opened.owner), str(opened.account), at]
            yield _call("session.opened", parts)
        elif entry.resumed is not None:
            point = entry.resumed
            yield f"session.goes_on({point.of}, {flat(point.point)}, {point.index}, {at})\n"
        elif entry.reread is not None:
            values = _own_values(self._player, entry.reread)
            yield _call("session.reread", [literal(values, 20), at])
        elif entry.webhook is not None:
            told = entry.webhook
            answer = told.answer.data.decode("utf-8", "replace") if told.answer else ""
            named = {"status": told.status, "error": told.error, "answer": answer}
            kept = [f"{name}={flat(value)}" for name, value in named.items() if value]
            kept += ["refused=True"] if told.refused else []
            parts = [flat(told.delivery), str(told.attempt), at, *kept]
            yield _call("session.webhook", parts)
        elif entry.request is not None:
            yield _call("session.request", list(self._parts(entry, entry.request, waits)))

    def _parts(
        self, entry: ExportEntry, asked: ExportedRequest, waits: list[ExportEntry]
    ) -> Iterator[str]:
        yield flat(asked.method)
        yield flat(asked.target)
        yield f"at={flat(entry.at)}"
        if waits:
            points = [(w.resumed.point, w.resumed.index) for w in waits if w.resumed]
            found = {
                (w.resumed.point, w.resumed.index): msgspec.to_builtins(w.media)
                for w in waits
                if w.resumed and w.media
            }
            yield f"number={entry.n}"
            yield f"waits={literal(points, 18)}"
            if found:
                yield f"found={literal(found, 18)}"
        for name in ("key", "wall", "oversized"):
            value = getattr(entry if name == "wall" else asked, name)
            if value:
                yield f"{name}={flat(value)}"
        if asked.scheme != "http":
            yield f"scheme={asked.scheme!r}"
        is_put = asked.method == "PUT"
        sent = [pair for pair in asked.headers if pair[0] != "content-length" or is_put]
        if sent:
            yield f"headers={literal(sent, 20)}"
        yield from self._body(entry.n, asked)

    def _body(self, number: int, asked: ExportedRequest) -> Iterator[str]:
        body = asked.body
        if body is None:
            return
        if self._beside and len(body.data) > MAX_INLINE_LENGTH:
            name = f"{number}.bin"
            self._files[name] = body.data
            yield f"file=BODIES / {flat(name)}"
        elif body.base64 is not None:
            yield f"base64={flat(body.base64)}"
        else:
            value = _as_json(body.text or "")
            yield f"text={flat(body.text)}" if value is None else f"json={literal(value, 12)}"
        if body.cut:
            yield f"size={body.size}"
            kept = f"the first {len(body.data)} of {body.size} bytes of its body were kept"
            what = f"entry {number} ({asked.method} {asked.path})"
            self._notes.append(f"{what}: {kept}; the test sends zeros for the rest")


def _session(document: Document, player: Player) -> dict[str, Any]:
    """Return the data that creates the sandbox: the export without its entries."""
    made: dict[str, Any] = msgspec.to_builtins(document)
    made["commands"] = []
    name = document.sandbox.scenario
    library = player.app.registry.library
    provider = name.partition("/")[0]
    shipped = name in library.names() and document.rules.get(provider) == (
        library.load(name).baseline.digest
    )
    if shipped:
        made["values"] = None  # the built-in file contains them
    elif document.values is not None:
        made["values"] = _own_values(player, {name: document.values})[name]
    if depth(made) > MAX_DEPTH:
        raise ExportError(f"the values of scenario {name!r} are nested too deep for a test")
    return made


def _own_values(player: Player, scenarios: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of scenarios as changes of their baselines."""
    return {name: shortened(player.app.registry.library, v) for name, v in scenarios.items()}


def _imports(*, path: bool, pytest: bool) -> str:
    parts = ["from pathlib import Path\n\n" if path else "", "import pytest\n" if pytest else ""]
    return f"{''.join(parts)}from upsim import Simulator\n"


def _failure(reason: str) -> str:
    text = f"{reason}; delete this line to keep the shorter test"
    return f"pytest.fail({flat(text)}, pytrace=False)\n"


def _as_json(text: str) -> object | None:
    """Return the JSON document if this text is its compact notation; None for any other text."""
    value = _parsed(text)
    if value is None:
        return None
    same = json.dumps(value, separators=(",", ":"), ensure_ascii=False) == text
    return value if same else None


def _parsed(text: str | bytes) -> object | None:
    """Return a JSON document that can be written as code; None for any other text."""
    try:
        value: object = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return None if depth(value) > MAX_DEPTH else value


def _refuse(word: str) -> object:
    raise ValueError(f"{word} is no JSON")


def _assertions(entry: ExportEntry, exchange: ReplayedExchange) -> Iterator[str]:
    asked = entry.request
    if asked is None:
        return
    if entry.answer is not None and differences(asked, entry.answer, exchange):
        raise ExportError(
            f"entry {entry.n} ({asked.method} {asked.target[:80]}) gets another answer than was"
            " recorded: `upsim replay` without --pytest shows what differs"
        )
    if exchange.status is None:
        yield "assert answer.status_code is None\n"
    else:
        yield f"assert answer.status_code == {exchange.status}\n"
    if exchange.cut:
        yield "assert answer.cut\n"
    headers = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in exchange.answer_headers
        if name.decode("latin-1") not in PLAIN
    }
    for name, value in headers.items():
        yield f"assert answer.headers[{flat(name)}] == {flat(value)}\n"
    if not KEYS_CALL.fullmatch(asked.path):
        yield from _content(exchange)
    yield "\n"


def _content(exchange: ReplayedExchange) -> Iterator[str]:
    kinds: Mapping[bytes, bytes] = dict(exchange.answer_headers)
    value = None
    if kinds.get(b"content-type", b"").startswith(b"application/json"):
        value = _parsed(exchange.content)
    if value is not None:
        yield f"assert answer.json() == {literal(value, 24)}\n"
    elif exchange.content:
        from hashlib import sha256

        yield f"assert answer.sha256 == {flat(sha256(exchange.content).hexdigest())}\n"


def _call(name: str, parts: list[str]) -> str:
    line = f"{name}({', '.join(parts)})\n"
    if len(line) <= LINE - 20 and "\n" not in line[:-1]:
        return line
    return f"{name}(\n" + indent("".join(f"{part},\n" for part in parts), " " * 4) + ")\n"
