"""An export as a pytest file that a person can read, shorten and keep."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from textwrap import indent
from typing import Any

import msgspec

from upsim.engine.exports import KEYS_CALL
from upsim.web.replay.document import Asked, Document, Entry, ExportError, Pair
from upsim.web.replay.exchange import Exchange
from upsim.web.replay.player import DivergedError, Player, UnplayableError
from upsim.web.replay.report import differences, waits_of
from upsim.web.replay.world import Application

WIDTH = 88
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
        source=source, version=document.upsim, session=_literal(_session(document, player), 0)
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
    at = f"at={_flat(entry.at)}"
    if entry.opened is not None:
        opened = entry.opened
        yield f"session.opened({_flat(opened.provider)}, {_flat(opened.owner)}, {opened.account}, {at})\n"
    elif entry.resumed is not None:
        point = entry.resumed
        yield f"session.goes_on({point.of}, {_flat(point.point)}, {point.index}, {at})\n"
    elif entry.webhook is not None:
        told = entry.webhook
        answer = told.answer.data.decode("utf-8", "replace") if told.answer else ""
        named = {"status": told.status, "error": told.error, "answer": answer}
        kept = [f"{name}={_flat(value)}" for name, value in named.items() if value]
        kept += ["refused=True"] if told.refused else []
        parts = [_flat(told.delivery), str(told.attempt), at, *kept]
        yield _call("session.webhook", parts)
    elif entry.request is not None:
        yield _call("session.request", list(_parts(entry, entry.request, waits)))


def _parts(entry: Entry, asked: Asked, waits: list[Entry]) -> Iterator[str]:
    yield _flat(asked.method)
    yield _flat(asked.target)
    yield f"at={_flat(entry.at)}"
    if waits:
        points = [(w.resumed.point, w.resumed.index) for w in waits if w.resumed]
        found = {
            (w.resumed.point, w.resumed.index): msgspec.to_builtins(w.media)
            for w in waits
            if w.resumed and w.media
        }
        yield f"number={entry.n}"
        yield f"waits={_flat(points)}"
        if found:
            yield f"found={_literal(found, 18)}"
    for name in ("key", "wall", "oversized"):
        value = getattr(entry if name == "wall" else asked, name)
        if value:
            yield f"{name}={_flat(value)}"
    if asked.scheme != "http":
        yield f"scheme={asked.scheme!r}"
    if asked.headers:
        yield f"headers={_literal(_sent(asked.headers), 20)}"
    yield from _body(asked)


def _sent(headers: list[Pair]) -> list[Pair]:
    return [(name, value) for name, value in headers]


def _body(asked: Asked) -> Iterator[str]:
    body = asked.body
    if body is None:
        return
    if body.base64 is not None:
        yield f"base64={_flat(body.base64)}"
    else:
        value = _as_json(body.text or "")
        yield f"text={_flat(body.text)}" if value is None else f"json={_literal(value, 12)}"
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
    yield f"assert answer.status_code == {exchange.status}\n"
    if exchange.cut:
        yield "assert answer.cut\n"
    headers = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in exchange.answer_headers
        if name.decode("latin-1") not in PLAIN
    }
    for name, value in headers.items():
        yield f"assert answer.headers[{_flat(name)}] == {_flat(value)}\n"
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
        yield f"assert answer.json() == {_literal(value, 24)}\n"
    elif exchange.content:
        from hashlib import sha256

        yield f"assert answer.sha256 == {_flat(sha256(exchange.content).hexdigest())}\n"


def _call(name: str, parts: list[str]) -> str:
    line = f"{name}({', '.join(parts)})\n"
    if len(line) <= LINE - 20 and "\n" not in line[:-1]:
        return line
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + ")\n"


def _literal(value: object, column: int) -> str:
    """A value as Python code, as a formatter would write it from this column on."""
    flat = _flat(value)
    if column + len(flat) <= WIDTH or not isinstance(value, dict | list | tuple) or not value:
        return flat
    inner = " " * 4
    if isinstance(value, dict):
        lines = [f"{_flat(k)}: {_literal(v, column + 8 + len(_flat(k)))}" for k, v in value.items()]
        brackets = "{}"
    else:
        lines = [_literal(item, column + 4) for item in value]
        brackets = "[]" if isinstance(value, list) else "()"
    text = "".join(f"{line},\n" for line in lines)
    return f"{brackets[0]}\n{indent(text, inner)}{brackets[1]}"


def _flat(value: object) -> str:
    """A value as Python code in one line, texts in double quotes."""
    if isinstance(value, str):
        quoted = repr(value)
        return quoted if '"' in value or quoted[0] == '"' else f'"{quoted[1:-1]}"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flat(k)}: {_flat(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flat, value)) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_flat, value)) + ")"
    return repr(value)
