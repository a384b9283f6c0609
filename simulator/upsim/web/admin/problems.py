"""What the admin API answers when it cannot do what was asked, and how it reads bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from inspect import isclass
from typing import TypeVar, get_args

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from upsim.core.nearest import closest
from upsim.web.bodies import (
    LONG,
    MOST_BESIDE,
    MOST_VALUES,
    encode,
    has_too_many_values,
    has_too_much_beside_texts,
    repeats_a_key,
)

MAX_BODY = 8 * 1024 * 1024
LONGEST_NUMBER = 18
SHOWN = 300
"""Characters of a message that may hold what a caller sent."""
S = TypeVar("S", bound=msgspec.Struct)


class AdminError(Exception):
    """A call that cannot be carried out: HTTP status, a code for programs, a text for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Answer with this status and `{"error": {"code", "message"}}`."""
        self.status, self.code, self.message = status, code, message
        super().__init__(message)


def answer(value: object, status: int = 200) -> Response:
    """A JSON answer; amounts were already turned into texts."""
    return Response(encode(value), status, media_type="application/json")


def problem(status: int, code: str, message: str) -> Response:
    """The one error shape of the admin API."""
    return answer({"error": {"code": code, "message": message}}, status)


async def on_admin_error(_request: Request, error: Exception) -> Response:
    """Turn an AdminError into its answer."""
    if not isinstance(error, AdminError):
        raise error
    return problem(error.status, error.code, error.message)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Give what the router refuses (an unknown path, a wrong method) the one error shape."""
    if not isinstance(error, HTTPException):
        raise error
    code = {404: "not_found", 405: "wrong_method"}.get(error.status_code, "refused")
    headers = error.headers or {}
    message = error.detail
    if "Allow" in headers:
        message = f"{request.method[:SHOWN]} is not allowed here; allowed: {headers['Allow']}"
    elif code == "not_found":
        message = f"there is nothing at {shown(request.url.path)}; GET /__sim lists every call"
    reply = problem(error.status_code, code, message)
    reply.headers.update(headers)
    return reply


class NoBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a call that takes none: nothing, or an empty object."""


async def read(request: Request, shape: type[S]) -> S:
    """The body as a struct; everything that is wrong with it is a 400 or 413 that says so."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise AdminError(413, "too_large", f"a body may have {MAX_BODY} bytes at the most")
        parts.append(part)
    request.state.body = b"".join(parts)  # for the command log
    body = request.state.body or b"{}"
    if len(body) > LONG:
        return await asyncio.to_thread(_decoded, body, shape)
    return _decoded(body, shape)


def _decoded(body: bytes, shape: type[S]) -> S:
    """The document as a struct. Raises AdminError."""
    if has_too_many_values(body):
        raise AdminError(413, "too_large", f"a body may hold {MOST_VALUES} values at the most")
    if has_too_much_beside_texts(body, 2 * MOST_BESIDE):
        message = f"a body may hold {2 * MOST_BESIDE} bytes that are no part of a text"
        raise AdminError(413, "too_large", message)
    try:
        found = msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        message = f"{str(error)[:SHOWN]}{_hint(str(error), shape)}"
        raise AdminError(400, "invalid", message) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AdminError(400, "not_json", f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise AdminError(400, "not_json", "the body is nested too deeply") from error
    if repeats_a_key(body):
        raise AdminError(400, "invalid", "an object in the body repeats a key")
    return found


def whole(request: Request, name: str, default: int, most: int) -> int:
    """A query parameter that is a whole number from 0 to `most`."""
    text = request.query_params.get(name)
    if text is None:
        return default
    number = text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER
    if not number or int(text) > most:
        raise AdminError(400, "invalid", f"{name}={text[:40]!r} is not a number from 0 to {most}")
    return int(text)


def _hint(message: str, shape: type[msgspec.Struct]) -> str:
    if "unknown field" not in message:
        return ""
    wrong = message.partition("unknown field `")[2].partition("`")[0]
    place = message.rpartition(" - at `$.")[2].rstrip("`") if " - at `$." in message else ""
    known = msgspec.structs.fields(_shape_at(shape, place))
    return f"; {nearest(wrong, [field.encode_name for field in known])}"


def _shape_at(shape: type[msgspec.Struct], place: str) -> type[msgspec.Struct]:
    """The struct of a field such as `clock`, of whose fields a message speaks."""
    for name in filter(None, place.split(".")):
        types = {field.encode_name: field.type for field in msgspec.structs.fields(shape)}
        kinds = get_args(types[name]) or (types[name],)
        shape = next(kind for kind in kinds if isclass(kind) and issubclass(kind, msgspec.Struct))
    return shape


def nearest(wrong: str, allowed: Iterable[str]) -> str:
    """The nearest of what is allowed, or all of it."""
    names = list(allowed)
    near = closest(wrong, names)
    return f"did you mean {near}?" if near else f"allowed: {', '.join(names) or 'nothing'}"


def shown(text: object) -> str:
    """What a caller sent, quoted and cut, for a message."""
    quoted = repr(text if not isinstance(text, str) else text[:SHOWN])
    return quoted if len(str(text)) <= SHOWN else f"{quoted}…"
