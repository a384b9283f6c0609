"""What the admin API answers when it cannot do what was asked, and how it reads bodies."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from upsim.web.bodies import encode

MAX_BODY = 8 * 1024 * 1024
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


async def read(request: Request, shape: type[S]) -> S:
    """The body as a struct; everything that is wrong with it is a 400 or 413 that says so."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY:
            raise AdminError(413, "too_large", f"a body may have {MAX_BODY} bytes at the most")
        parts.append(part)
    try:
        return msgspec.json.decode(b"".join(parts) or b"{}", type=shape)
    except msgspec.ValidationError as error:
        raise AdminError(400, "invalid", f"{error}{_hint(str(error), shape)}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AdminError(400, "not_json", f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise AdminError(400, "not_json", "the body is nested too deeply") from error


def whole(request: Request, name: str, default: int, most: int) -> int:
    """A query parameter that is a whole number from 0 to `most`."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal() or not 0 <= int(text[:18]) <= most:
        raise AdminError(400, "invalid", f"{name}={text[:40]!r} is not a number from 0 to {most}")
    return int(text)


def _hint(message: str, shape: type[msgspec.Struct]) -> str:
    known = msgspec.structs.fields(shape)
    names = [field.encode_name for field in known]
    if "unknown field" not in message:
        return ""
    wrong = message.partition("unknown field `")[2].partition("`")[0]
    near = get_close_matches(wrong, names, n=1)
    return f"; did you mean {near[0]}?" if near else f"; allowed: {', '.join(names)}"
