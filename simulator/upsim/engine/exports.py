"""The file of `GET …/export`: one JSON document from which a sandbox can be replayed."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from decimal import Decimal
from typing import Any

import msgspec

from upsim.core.instants import iso
from upsim.core.media import Measured, Media
from upsim.engine.command_log import (
    MAX_BODY_KEPT,
    Command,
    CommandLog,
    Entry,
    LoggedAccount,
    LoggedDelivery,
    LoggedReload,
    Pairs,
    Resumed,
    is_json,
)
from upsim.engine.registry import Registry
from upsim.engine.request_records import LoggedRequest
from upsim.engine.sandbox import Sandbox
from upsim.engine.sandbox_lookup import owner_shown
from upsim.engine.scenario_lookup import ScenarioLookup

FORMAT = "upsim-export"
VERSION = 1
DECIMAL = "$decimal"
"""Key of the one-entry object that a decimal number of a scenario becomes."""
KEYS_CALL = re.compile(r"/__sim/sandboxes/[^/]+/accounts/[^/]+/keys")
_FIELDS = rb"secret|webhook_secret|api_key|access_key"
_SECRET = re.compile(rb'("(?:%s)"\s*:\s*")((?:[^"\\]|\\.)+)(?=")' % _FIELDS, re.IGNORECASE)
_SECRET_OR_KEY = re.compile(rb'("(?:key|%s)"\s*:\s*")((?:[^"\\]|\\.)+)(?=")' % _FIELDS)
_IN_URL = re.compile(
    rb"((?:sig|signature|secret|key|token|credential|password)(?:=|%3D))"
    rb"((?:(?!%26)[^&#\s\"'\\<>])+)"
    rb"|((?:://|%3A%2F%2F))([^/@\s\"'<>\\%]+(?:%3A[^/@\s\"'<>\\%]+)?)(?=@|%40)",
    re.IGNORECASE,
)
"""What opens a door in an address: signed parameters, and a user with a password."""
OURS = "/media/"
"""Below it are files of our own, whose signatures a replay must send again."""

LONG = 64 * 1024
"""Bytes of a body or a document that are handled a piece at a time."""
_NAMES = (b"sig", b"signature", b"secret", b"key", b"token", b"credential", b"password")
_MAX_NAME_LENGTH = 10
_SIGN = re.compile(rb"=|%3D|://|%3A%2F%2F", re.IGNORECASE)
"""What every match of `_IN_URL` has in it, behind a name or in the beginning."""
_MAX_SIGN_LENGTH = 9

Json = dict[str, Any]
_Replace = Callable[[re.Match[bytes]], bytes]
_Find = Callable[[bytes], Iterator[int]]
_encode = msgspec.json.Encoder(decimal_format="number").encode


class SandboxExport(msgspec.Struct, frozen=True):
    """A sandbox at one time: its settings, and all input since its creation."""

    made: Json
    entries: list[Entry]
    incomplete: Json | None

    def parts(self) -> Iterator[bytes]:
        """Yield the JSON document in parts. This is slow for a long history; any thread may do it.

        Each entry is encoded alone, and no long text is copied, so that other threads can run in
        between.
        """
        writer = _Writer()
        yield _encode(self.made)[:-1] + b',"commands":['
        begun = bytearray()
        for number, entry in enumerate(self.entries, 1):
            begun += b"," if number > 1 else b""
            written = _encode(writer.written(number, entry))
            if len(written) > LONG:
                yield bytes(begun)
                yield written
                begun = bytearray()
                continue
            begun += written
            if len(begun) > LONG:
                yield bytes(begun)
                begun = bytearray()
        yield bytes(begun) + b"]," + _encode({"incomplete": self.incomplete})[1:]


def export(registry: Registry, sandbox: Sandbox, *, version: str) -> SandboxExport:
    """Return the export of a sandbox in its present state."""
    log = sandbox.commands
    entries = [copy(entry) if _is_open(entry) else entry for entry in log.entries]
    return SandboxExport(_made(registry, sandbox, version), entries, _incomplete(log))


def _is_open(entry: Entry) -> bool:
    """Return whether a command has no response yet."""
    return isinstance(entry, Command) and entry.status is None


def _made(registry: Registry, sandbox: Sandbox, version: str) -> Json:
    """Return the settings with which the sandbox was created."""
    log = sandbox.commands
    mode, start, pace = log.start
    settings, choices = registry.settings, sandbox.choices
    return {
        "format": FORMAT,
        "version": VERSION,
        "upsim": version,
        "sandbox": {
            "id": sandbox.id,
            "scenario": sandbox.scenario,
            "seed": sandbox.seeds.seed,
            "clock": {"mode": mode, "start": iso(start, 6), "pace": pace},
            "dialects": dict(choices.dialects),
            "knobs": {name: dict(knobs) for name, knobs in choices.knobs.items()},
            "balances": {name: f"{amount:f}" for name, amount in choices.balances.items()},
            "strict_keys": choices.strict_keys,
            "dialect": choices.default_dialect,
            "render": choices.render,
            "jobs_max": choices.jobs_max,
            "webhook_timestamp": choices.webhook_timestamp,
        },
        "server": {
            "hosts": list(settings.hosts),
            "loopback": settings.loopback,
            "fetch": settings.fetch,
            "public_url": settings.public_url,
        },
        "rules": _digests(registry, sandbox),
        "values": _values(sandbox),
        "keys": [
            {
                "name": key.name,
                "provider": key.provider,
                "owner": key.owner,
                "credential": key.credential,
                "prefix": key.prefix,
            }
            for key in log.keys.values()
        ],
        "stamps": list(log.stamps),
    }


def _incomplete(log: CommandLog) -> Json | None:
    """Return the position after which commands may be missing; None if the log is complete."""
    if log.open:
        return None
    return {"after": log.count, "why": log.filled}


def _digests(registry: Registry, sandbox: Sandbox) -> Json:
    """Return the digest of each provider's rules at the start."""
    begun = sandbox.rules.began_with
    return {name: begun(name).baseline.digest for name in registry.providers}


def _values(sandbox: Sandbox) -> object:
    """Return the resolved values of the scenario at the start, so that its file is not needed."""
    begun = sandbox.rules.began_with
    main = begun.main if isinstance(begun, ScenarioLookup) else None
    return None if main is None else plain(main.values)


def plain(value: object) -> object:
    """Return the values of a scenario as JSON."""
    if isinstance(value, Decimal):
        return {DECIMAL: str(value)}
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def unplain(value: object) -> object:
    """Return the values of a scenario from JSON."""
    if isinstance(value, dict):
        if value.keys() == {DECIMAL}:
            return Decimal(value[DECIMAL])
        return {name: unplain(item) for name, item in value.items()}
    return [unplain(item) for item in value] if isinstance(value, list) else value


def comparable(body: bytes, path: str) -> bytes:
    """Return a response with every secret overwritten; its digest is computed from this."""
    return _replaced_in_urls(_crossed, _replaced_in_fields(_crossed, body, path))


def _crossed(found: re.Match[bytes]) -> bytes:
    before, secret = (group for group in found.groups() if group is not None)
    return before + b"x" * len(secret)


def _replaced_in_fields(replace: _Replace, body: bytes, path: str) -> bytes:
    """Replace the secrets in JSON fields."""
    pattern = _SECRET_OR_KEY if KEYS_CALL.fullmatch(path) else _SECRET
    return _replaced(pattern, _quotes, replace, body)


def _replaced_in_urls(replace: _Replace, body: bytes) -> bytes:
    """Replace the secrets in URLs."""
    return _replaced(_IN_URL, _names_and_users, replace, body)


def _replaced(
    pattern: re.Pattern[bytes], beginnings: _Find, replace: _Replace, body: bytes
) -> bytes:
    """Return `pattern.sub`; in a long body, try only the positions where a match can begin.

    A search through a long body is one step, during which no other thread can run.
    """
    if len(body) <= LONG:
        return pattern.sub(replace, body)
    pieces: list[bytes] = []
    at = 0
    for start in beginnings(body):
        found = pattern.match(body, start) if start >= at else None
        if found is not None:
            pieces += body[at:start], replace(found)
            at = found.end()
    return b"".join((*pieces, body[at:]))


def _quotes(body: bytes) -> Iterator[int]:
    """Yield the positions at which `_SECRET` can match, in order."""
    at = body.find(b'"')
    while at >= 0:
        yield at
        at = body.find(b'"', at + 1)


def _names_and_users(body: bytes) -> Iterator[int]:
    """Yield the positions at which `_IN_URL` can match, in order."""
    for piece in range(0, len(body), LONG):
        end = piece + LONG
        for sign in _SIGN.finditer(body, piece, end + _MAX_SIGN_LENGTH - 1):
            at = sign.start()
            if at >= end:
                break  # of the next piece
            if sign[0][-1:] not in b"=Dd":
                yield at
                continue
            before = body[max(0, at - _MAX_NAME_LENGTH) : at].lower()
            for name in _NAMES:
                if before.endswith(name):
                    yield at - len(name)


def answer_of(status: int | None, head: Pairs, body: bytes, path: str) -> Json:
    """Return a response as it is exported: status, headers, and the digest of the body."""
    compared = comparable(body, path) if is_json(head) else body
    digest = hashlib.sha256(compared).hexdigest()
    return {"status": status, "headers": _pairs(head), "bytes": len(body), "sha256": digest}


class _Writer:
    """Writes entries; equal secrets get the same placeholder."""

    def __init__(self) -> None:
        self._secrets: dict[bytes, bytes] = {}

    def written(self, number: int, entry: Entry) -> Json:
        """Return an entry with its number."""
        return {"n": number, **self._entry(entry)}

    def _entry(self, entry: Entry) -> Json:
        if isinstance(entry, Command):
            return self._command(entry)
        if isinstance(entry, Resumed):
            media = None if entry.found is None else _media(entry.found)
            point = {"of": entry.of, "point": entry.name, "index": entry.index}
            return {"at": iso(entry.at, 6), "resumed": point, **({"media": media} if media else {})}
        if isinstance(entry, LoggedAccount):
            owner = owner_shown(entry.owner, entry.account)
            account = {"provider": entry.provider, "owner": owner, "account": entry.account}
            return {"at": iso(entry.at, 6), "opened": account}
        if isinstance(entry, LoggedReload):
            return {"at": iso(entry.at, 6), "reread": plain(entry.scenarios)}
        if isinstance(entry, LoggedDelivery):
            return {"at": iso(entry.at, 6), "webhook": _told(entry)}
        return self._request(entry)

    def _request(self, found: LoggedRequest) -> Json:
        named = ((b"host", found.host), (b"content-type", found.content_type))
        asked = {
            "scheme": found.scheme,
            "method": found.method,
            "path": found.path,
            "query": self._query(found.query, found.path),
            "headers": _pairs((name, value) for name, value in named if value is not None),
            **self._body(found.body, found.path, len(found.body), ""),
        }
        response = found.response
        return {
            "at": iso(found.at, 6),
            "request": _with(asked, key=found.key, oversized=found.oversized),
            "answer": answer_of(
                response.status, response.head["headers"], response.body, found.path
            ),
        }

    def _command(self, found: Command) -> Json:
        asked = {
            "scheme": found.scheme,
            "method": found.method,
            "path": found.path,
            "query": self._query(found.query, found.path),
            "headers": _pairs(found.headers),
            **self._body(found.body, found.path, found.body_size, found.body_digest),
        }
        written: Json = {
            "at": iso(found.at, 6),
            "request": _with(asked, key=found.key, oversized=found.oversized),
            "answer": _answer(found),
        }
        if found.method != "PATCH":  # only a change of the clock looks at the wall clock
            return written
        return {**written, "wall": iso(found.wall, 6)}

    def _body(self, body: bytes, path: str, size: int, digest: str) -> Json:
        if not size:
            return {}
        kept = _replaced_in_fields(self._hidden, body, path)
        if OURS not in path:
            kept = _replaced_in_urls(self._hidden, kept)
        described: Json = {
            "bytes": size,
            "sha256": digest or hashlib.sha256(kept).hexdigest(),
            **readable(kept),
        }
        return {"body": {**described, "cut": True} if size > len(kept) else described}

    def _query(self, query: bytes, path: str) -> str:
        shown = query if OURS in path else _IN_URL.sub(self._hidden, query)
        return shown.decode("latin-1")

    def _hidden(self, found: re.Match[bytes]) -> bytes:
        before, secret = (group for group in found.groups() if group is not None)
        number = len(self._secrets) + 1
        placeholder = self._secrets.get(secret)
        if placeholder is None:
            placeholder = (b"%d-redacted-" % number + b"x" * len(secret))[: len(secret)]
            self._secrets[secret] = placeholder
        return before + placeholder


def readable(body: bytes) -> Json:
    """Return bytes as a text if they are text, else in base64."""
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


def _answer(found: Command) -> Json | None:
    """Return the response that was sent; None if there is none yet."""
    cut = {"connection": "cut"} if found.cut else {}
    if found.status is None:
        return {"status": None, "headers": [], "bytes": 0, "sha256": "", **cut} if cut else None
    body = b"".join(found.parts)
    if len(body) == found.size <= MAX_BODY_KEPT:
        return {**answer_of(found.status, found.head, body, found.path), **cut}
    return {
        "status": found.status,
        "headers": _pairs(found.head),
        "bytes": found.size,
        "sha256": found.digest,
        **cut,
    }


def _told(entry: LoggedDelivery) -> Json:
    outcome = entry.outcome
    said = {"answer": readable(outcome.answer)} if outcome.answer else {}
    return {
        "delivery": entry.delivery,
        "attempt": entry.number,
        "status": outcome.status,
        "error": outcome.error,
        "refused": outcome.refused,
        **said,
    }


def _media(found: Measured) -> Json:
    if not isinstance(found, Media):
        return {"unmeasurable": found.reason, "detail": found.detail}
    return {
        "duration": found.duration,
        "frame_rate": str(found.frame_rate),
        "width": found.width,
        "height": found.height,
        "frames": found.frames,
        "container": found.container,
        "audio": found.audio,
        "size": found.size,
    }


def _pairs(head: Iterable[tuple[bytes, bytes]]) -> list[list[str]]:
    return [[name.decode("latin-1"), value.decode("latin-1")] for name, value in head]


def _with(asked: Mapping[str, object], *, key: str, oversized: bool) -> Json:
    extra: Json = {"key": key} if key else {}
    return {**asked, **extra, "oversized": True} if oversized else {**asked, **extra}
