"""An export as a pytest file that a person can read, shorten and keep."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from textwrap import indent
from typing import Any

import msgspec

from upsim.engine.exports import KEYS_CALL
from upsim.web.replay.document import Asked, Document, Entry, ExportError
from upsim.web.replay.exchange import Exchange
from upsim.web.replay.literals import flat, literal
from upsim.web.replay.player import DivergedError, Player, UnplayableError
from upsim.web.replay.report import differences, waits_of
from upsim.web.replay.world import Application

LINE = 100
PLAIN = frozenset({"content-type", "content-length"})
"""Headers of an answer that are not asserted beside its body."""
HEAD = '''"""The session of {source}: the same requests get the same answers.

`upsim replay --pytest` wrote it from an export of upsim {version}; change it as you like.
"""

from upsim import Simulator

SESSION = {session}


def test_session() -> None:
    """Every answer is the recorded one."""
    with Simulator.replaying(SESSION) as session:
'''


async def written(app: Application, document: Document, *, source: str) -> str:
    """The text of the test. Raises ExportError where the replay gives other answers."""
    player = Player(app, document)
    waits = waits_of(document)
    asked = {entry.n: entry for entry in document.commands}
    text = HEAD.format(
        source=source, version=document.upsim, session=literal(_session(document, player), 0)
    )
    parts: list[str] = []
    for entry in document.commands:
        try:
            done = await player.play(entry, waits[entry.n])
        except UnplayableError as error:
            parts.append(f"# The rest cannot be replayed: {error}\n")
            break
        except DivergedError as error:
            raise ExportError(f"entry {entry.n} does not replay: {error}") from error
        call = "".join(_step(entry, waits[entry.n]))
        if done is None:
            parts.append(call)
            continue
        recorded = asked[done[0]]
        parts.append(f"answer = {call}")
        parts += _assertions(recorded, done[1])
    await player.close()
    return text + indent("".join(parts) or "assert session\n", " " * 8)


def _session(document: Document, player: Player) -> dict[str, Any]:
    """How the sandbox was made: all of the export but its entries."""
    made: dict[str, Any] = msgspec.to_builtins(document)
    made["commands"] = []
    name = document.sandbox.scenario
    library = player.app.registry.library
    provider = name.partition("/")[0]
    shipped = name in library.names() and document.rules.get(provider) == (
        library.load(name).baseline.digest
    )
    if shipped:
        made["values"] = None  # the file that ships holds them
    return made


def _step(entry: Entry, waits: list[Entry]) -> Iterator[str]:
    at = f"at={flat(entry.at)}"
    if entry.opened is not None:
        opened = entry.opened
        parts = [flat(opened.provider), flat(opened.owner), str(opened.account), at]
        yield _call("session.opened", parts)
    elif entry.resumed is not None:
        point = entry.resumed
        yield f"session.goes_on({point.of}, {flat(point.point)}, {point.index}, {at})\n"
    elif entry.reread is not None:
        yield _call("session.reread", [literal(entry.reread, 20), at])
    elif entry.webhook is not None:
        told = entry.webhook
        answer = told.answer.data.decode("utf-8", "replace") if told.answer else ""
        named = {"status": told.status, "error": told.error, "answer": answer}
        kept = [f"{name}={flat(value)}" for name, value in named.items() if value]
        kept += ["refused=True"] if told.refused else []
        parts = [flat(told.delivery), str(told.attempt), at, *kept]
        yield _call("session.webhook", parts)
    elif entry.request is not None:
        yield _call("session.request", list(_parts(entry, entry.request, waits)))


def _parts(entry: Entry, asked: Asked, waits: list[Entry]) -> Iterator[str]:
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
    sent = [pair for pair in asked.headers if pair[0] != "content-length" or asked.method == "PUT"]
    if sent:
        yield f"headers={literal(sent, 20)}"
    yield from _body(asked)


def _body(asked: Asked) -> Iterator[str]:
    body = asked.body
    if body is None:
        return
    if body.base64 is not None:
        yield f"base64={flat(body.base64)}"
    else:
        value = _as_json(body.text or "")
        yield f"text={flat(body.text)}" if value is None else f"json={literal(value, 12)}"
    if body.cut:
        yield f"size={body.size}"


def _as_json(text: str) -> object | None:
    """The document of which this is the plain notation; None for any other text."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return None
    same = json.dumps(value, separators=(",", ":"), ensure_ascii=False) == text
    return value if same else None


def _assertions(entry: Entry, exchange: Exchange) -> Iterator[str]:
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


def _content(exchange: Exchange) -> Iterator[str]:
    kinds: Mapping[bytes, bytes] = dict(exchange.answer_headers)
    value = None
    if kinds.get(b"content-type", b"").startswith(b"application/json"):
        try:
            value = json.loads(exchange.content)
        except ValueError:
            value = None
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
