"""Error responses of the admin API, and functions that read the bodies of its requests."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from upsim.core.json_bodies import (
    LONG,
    MAX_BESIDE,
    MAX_VALUES,
    has_too_many_values,
    has_too_much_beside_texts,
    repeats_a_key,
)
from upsim.core.nearest_names import closest
from upsim.web.admin import body_mistakes
from upsim.web.admin.body_mistakes import SHOWN, nearest
from upsim.web.request_bodies import encode

MAX_BODY = 8 * 1024 * 1024
MAX_NUMBER_LENGTH = 18
MAX_MESSAGE_LENGTH = 100_000
"""Maximum characters of a message, for any text of a client."""
__all__ = ["SHOWN", "nearest"]
S = TypeVar("S", bound=msgspec.Struct)


class AdminError(Exception):
    """An admin request that cannot be carried out: HTTP status, machine-readable code, message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        """Keep the status, and `{"error": {"code", "message"}}` as the response."""
        beyond = len(message) - MAX_MESSAGE_LENGTH
        if beyond > 0:
            message = f"{message[:MAX_MESSAGE_LENGTH]} … ({beyond} more characters)"
        self.status, self.code, self.message = status, code, message
        super().__init__(message)


def answer(value: object, status: int = 200) -> Response:
    """Return a JSON response; the caller must convert amounts to texts first."""
    return Response(encode(value), status, media_type="application/json")


def problem(status: int, code: str, message: str) -> Response:
    """Return a response in the error shape of the admin API."""
    return answer({"error": {"code": code, "message": message}}, status)


async def on_admin_error(_request: Request, error: Exception) -> Response:
    """Turn an AdminError into its response."""
    if not isinstance(error, AdminError):
        raise error
    return problem(error.status, error.code, error.message)


async def on_http_error(request: Request, error: Exception) -> Response:
    """Convert the router's own errors (unknown path, wrong method) to the admin API's shape."""
    if not isinstance(error, HTTPException):
        raise error
    code = {404: "not_found", 405: "wrong_method"}.get(error.status_code, "refused")
    headers = error.headers or {}
    message = error.detail
    if "Allow" in headers:
        message = f"{request.method[:SHOWN]} is not allowed here; allowed: {headers['Allow']}"
    elif code == "not_found":
        near = _nearest_path(request)
        meant = f"did you mean {near}? " if near else ""
        message = (
            f"there is nothing at {shown(request.url.path)}; {meant}GET /__sim lists every call"
        )
    reply = problem(error.status_code, code, message)
    reply.headers.update(headers)
    return reply


def _nearest_path(request: Request) -> str:
    """Return the path of the call that was probably meant, including ids; else an empty text."""
    path = request.url.path[:SHOWN]
    ours = path.split("/")
    filled: dict[str, str] = {}
    for route in request.app.routes:
        theirs = str(getattr(route, "path", "")).split("/")
        parts = [
            ours[i] if one.startswith("{") and i < len(ours) else one
            for i, one in enumerate(theirs)
        ]
        if len(theirs) > 2 and theirs[1] == ours[1]:  # noqa: PLR2004 - more than the index
            filled["/".join(parts)] = "/".join(theirs)
    return filled.get(closest(path, filled), "")


class NoBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a call without parameters: empty, or an empty JSON object."""


async def read(request: Request, shape: type[S]) -> S:
    """Return the body as a struct. Raises AdminError (400 or 413) with all mistakes in it."""
    parts: list[bytes] = []
    size, share = 0, request.state.share
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise AdminError(413, "too_large", f"a body may have at most {MAX_BODY} bytes")
        share.hold(size)
        parts.append(part)
    request.state.body = b"".join(parts)  # for the command log
    body = request.state.body or b"{}"
    if len(body) > LONG:
        return await asyncio.to_thread(_decoded, body, shape)
    return _decoded(body, shape)


def _mistake(error: msgspec.ValidationError, body: bytes, shape: type[S]) -> str:
    """Return what is wrong in a body, if possible with the value, which another error may hide."""
    try:
        return body_mistakes.of(str(error), body, shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return str(error)[:SHOWN]


def _decoded(body: bytes, shape: type[S]) -> S:
    """Return the document as a struct. Raises AdminError."""
    if has_too_many_values(body):
        raise AdminError(413, "too_large", f"a body may have at most {MAX_VALUES} values")
    if has_too_much_beside_texts(body, 2 * MAX_BESIDE):
        message = f"a body may hold {2 * MAX_BESIDE} bytes that are no part of a text"
        raise AdminError(413, "too_large", message)
    try:
        found = msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise AdminError(400, "invalid", _mistake(error, body, shape)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AdminError(400, "not_json", f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise AdminError(400, "not_json", "the body is nested too deeply") from error
    if repeats_a_key(body):
        raise AdminError(400, "invalid", "an object in the body repeats a key")
    return found


def whole(request: Request, name: str, default: int, most: int) -> int:
    """Return a query parameter that is a whole number from 0 to `most`."""
    text = request.query_params.get(name)
    if text is None:
        return default
    number = text.isascii() and text.isdecimal() and len(text) <= MAX_NUMBER_LENGTH
    if not number or int(text) > most:
        raise AdminError(400, "invalid", f"{name}={text[:40]!r} is not a number from 0 to {most}")
    return int(text)


def shown(text: object) -> str:
    """Return a client's text, quoted and truncated, for a message."""
    quoted = repr(text if not isinstance(text, str) else text[:SHOWN])
    return quoted if len(str(text)) <= SHOWN else f"{quoted}…"
