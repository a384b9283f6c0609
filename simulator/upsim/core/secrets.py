"""The secrets of an operation, and how they are hidden.

Operations declare their secrets. This module filters all data that is shown later
(journal, stream, log line, deliveries).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

HIDDEN = "<redacted>"
_NAMED = frozenset({"secret", "webhook_secret", "api_key", "access_key", "apikey", "authorization"})
"""Fields whose value is always hidden, even if no operation declares them."""
_SIZE = re.compile(r"\?bytes=[0-9]{1,12}", re.ASCII)
"""A query that is the size of a synthetic file, and no secret."""
_QUERY = re.compile(
    r"((?!\?bytes=[0-9]{1,12}(?![^#\s\"'<>\\]))[?&][^=&?#\s\"'<>\\]{1,200}=)[^&#\s\"'<>\\]*"
)
_USER = re.compile(r"(://)[^/@\s\"'<>\\]+@")
_URL = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]{0,20}://")
_ENCODED_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}(?::|%3A)(?:/|%2F)", re.IGNORECASE)
_IN_TEXT = re.compile(r"(://[^\s\"'<>\\?]*)(\?(?:(?!<redacted>)[^\s\"'\\])+)?")
"""A URL with its query, if it has one: each is read once, so that many of them take no longer."""
_SIGNED = re.compile(
    r"((?:sig|signature|secret|key|token|credential|password)(?:=|%3D))(?:(?!%26)[^&\s\"'\\<>])*",
    re.IGNORECASE,
)
_FIELD = r'("(?:{names})"\s*:\s*")(?:[^"\\]|\\.)*'


class Secrets(msgspec.Struct, frozen=True):
    """The secrets in an operation's bodies and query.

    `fields` and `urls` are ends of paths in the JSON of requests, responses and webhooks
    (`webhook_config.secret`). The value of a field is hidden completely. In a URL, the user
    and the values of the query are hidden; other texts that are obviously URLs are treated in
    the same way. `query` are parameters of the operation's own URL. `headers` are webhook
    headers with a secret.
    """

    fields: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


NONE = Secrets()


def hidden_url(text: str) -> str:
    """Return a URL without its user and without the values of its query."""
    return _USER.sub(rf"\1{HIDDEN}@", _QUERY.sub(rf"\1{HIDDEN}", text.partition("#")[0]))


def hidden_text(text: str) -> str:
    """Return a text with the queries of its URLs hidden, and all values named like a secret."""
    text = _IN_TEXT.sub(_without_query, text)
    return _USER.sub(rf"\1{HIDDEN}@", _SIGNED.sub(rf"\1{HIDDEN}", text))


def _without_query(found: re.Match[str]) -> str:
    shown = found[2] is None or _SIZE.fullmatch(found[2])
    return found[0] if shown else f"{found[1]}?{HIDDEN}"


def hidden_target(target: str, secrets: Secrets) -> str:
    """Return path and query of a request; the values of secret parameters are hidden completely."""
    path, mark, query = target.partition("?")
    parts = [_parameter(part, secrets) for part in query.split("&")]
    return hidden_text(path + mark + "&".join(parts))


def hidden(value: object, secrets: Secrets, at: str = "") -> object:
    """Return a JSON value without declared secrets, and without fields named like secrets."""
    if isinstance(value, Mapping):
        return {
            str(k): _of_field(str(k), v, secrets, f"{at}.{k}".lower()) for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [hidden(item, secrets, at) for item in value]
    if not isinstance(value, str):
        return value
    declared = _ends(at, secrets.urls) or _URL.match(value)
    return hidden_url(value) if declared else hidden_text(value)


def hidden_fragment(text: str, secrets: Secrets) -> str:
    """Return a body that is not JSON, or a part of one, with everything like a secret hidden."""
    names = {path.rpartition(".")[2] for path in secrets.fields} | _NAMED
    field = re.compile(_FIELD.format(names="|".join(map(re.escape, sorted(names)))), re.IGNORECASE)
    return hidden_text(field.sub(rf"\1{HIDDEN}", text))


def _of_field(name: str, value: object, secrets: Secrets, at: str) -> object:
    declared = name.lower() in _NAMED or _ends(at, secrets.fields)
    return HIDDEN if declared and value else hidden(value, secrets, at)


def _parameter(part: str, secrets: Secrets) -> str:
    name, mark, value = part.partition("=")
    declared = name in secrets.query or _ENCODED_URL.match(value)
    return f"{name}={HIDDEN}" if mark and declared else part


def _ends(at: str, paths: Iterable[str]) -> bool:
    return any(at.endswith(f".{path}".lower()) for path in paths)
