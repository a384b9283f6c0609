"""Bodies that nobody should send get Venice's own errors, never a 500."""

from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.http.venice.conftest import Venice

PATHS = ["queue", "retrieve", "complete", "quote"]
JSON = {"content-type": "application/json"}
MODEL = '"model": "topaz-video-upscale"'


def send(venice: "Venice", path: str, content: bytes, **headers: str) -> httpx.Response:
    """Post raw bytes to a video endpoint."""
    return venice.request("POST", f"video/{path}", content=content, headers={**JSON, **headers})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"nonsense",
        b"{'model': 1}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1,}',
        b"\xff\xfe",
        b'{"a": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda content: repr(content[:12]),
)
def test_invalid_json_is_refused(content: bytes, path: str, venice: "Venice") -> None:
    """Wrong syntax, encoding and depth get the same response."""
    answer = send(venice, path, content)

    assert (answer.status_code, answer.json()) == (400, {"error": "Invalid JSON request"})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"[]", "array"),
        (b"1", "number"),
        (b'"x"', "string"),
        (b"null", "null"),
        (b"true", "boolean"),
    ],
)
def test_the_body_must_be_an_object(
    content: bytes, found: str, path: str, venice: "Venice"
) -> None:
    """Any other JSON is a validation error of the whole body."""
    answer = send(venice, path, content)
    text = f"Expected object, received {found}"

    assert answer.status_code == 400
    assert answer.json() == {
        "error": "Invalid request parameters",
        "details": {"_errors": [text]},
        "issues": [{"code": "invalid_type", "path": [], "message": text}],
    }


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 400),
        ("application/json; charset=utf-8", 400),
        ("APPLICATION/JSON", 400),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonx", 415),
        ("", 415),
    ],
)
def test_the_content_type_must_be_json(content_type: str, status: int, venice: "Venice") -> None:
    """Parameters and letter case are ignored; another type is refused before the body is read."""
    answer = send(venice, "queue", b"{}", **{"content-type": content_type})

    assert answer.status_code == status


@pytest.mark.parametrize("path", PATHS)
def test_a_body_may_have_35_megabytes(path: str, venice: "Venice") -> None:
    """One byte more is a 413 with both keys, before anything else is checked."""
    limit = 35 * 1024 * 1024
    refused = send(venice, path, b" " * (limit + 1), **{"content-type": "text/plain"})
    accepted = send(venice, path, b" " * (limit - 2) + b"{}")

    assert (refused.status_code, refused.json()) == (
        413,
        {
            "code": "PAYLOAD_TOO_LARGE",
            "error": "Request body exceeds the maximum allowed size.",
        },
    )
    assert accepted.status_code == 400


@pytest.mark.parametrize(
    "value",
    [
        "1" + "0" * 400,
        "-1" + "0" * 400,
        "1" + "0" * 5000,
        "1e400",
        "-1e400",
        "1e-400",
        "0." + "1" * 400,
        '"\\ud800"',
        '"\\u0000"',
        '"{url}"',
        '"%s%n"',
        "[[[[]]]]",
        '{"a": {"b": 1}}',
    ],
    ids=lambda value: f"{value[:12]} {len(value)}",
)
@pytest.mark.parametrize(
    "field",
    ["model", "upscale_factor", "video_url", "duration", "input_height", "queue_id", "resolution"],
)
@pytest.mark.parametrize("dialect", ["", "live"])
def test_strange_values_are_refused_in_the_form_of_venice(
    dialect: str, field: str, value: str, venice: "Venice"
) -> None:
    """Any value of a field gets a documented status and a JSON body."""
    venice = venice.under(dialect)
    rest = {
        "model": MODEL,
        "video_url": '"video_url": "https://a.b/c"',
        "duration": '"duration": "10"',
    }
    rest.pop(field, None)
    for path in PATHS:
        body = ", ".join([*rest.values(), f'"{field}": {value}'])
        answer = send(venice, path, f"{{{body}}}".encode())
        shown: dict[str, Any] = answer.json()

        assert answer.status_code in (200, 400, 404)
        assert answer.is_success or isinstance(shown["error"], str)
