"""What adapters share: reading answers, and what their errors mean."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from upsim.client.adapter import ErrorFormat, ErrorMeaning, File, ProviderResponse, link, number
from upsim.client.exceptions import (
    AuthenticationError,
    BalanceError,
    ClientError,
    InvalidInputError,
    MediaRefusedError,
    NotFoundError,
    ProtocolError,
    RateLimitError,
    RefusedError,
    TransientError,
)
from upsim.client.results import Progress, State

PLAIN = ErrorFormat(texts=(("message",),), code=("code",))


@pytest.mark.parametrize(
    ("status", "ok"), [(199, False), (200, True), (201, True), (299, True), (300, False)]
)
def test_every_2xx_is_a_success(status: int, ok: bool) -> None:  # noqa: FBT001 - a table
    """Every status from 200 to 299 is a success; all other statuses are failures."""
    assert ok == ProviderResponse(status, b"").ok


def test_numbers_stay_exact() -> None:
    """A JSON number with a decimal point is read as a Decimal, without rounding."""
    assert Decimal("0.10") == ProviderResponse(200, b'{"price": 0.10}').at("price")


def test_missing_field_names_its_place() -> None:
    """The error for a response without a documented field names the place of the field."""
    with pytest.raises(ProtocolError, match=r"response \(200\) has no data\.id"):
        ProviderResponse(200, b'{"data": []}').at("data", "id")


@pytest.mark.parametrize(
    "content", [b"<html>", b"\xff", b"[" * 100_000], ids=["html", "ff", "deep"]
)
def test_no_json_shows_its_start(content: bytes) -> None:
    """The error for a response that is not JSON shows the start of the body."""
    with pytest.raises(ProtocolError, match=r"response \(502\) is not JSON: "):
        ProviderResponse(502, content).json()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b'{"error": {"message": "no"}}', "no"),
        (b'{"error": {"message": 7}}', "7"),
        (b'{"error": {"message": null}}', None),
        (b'{"error": {"message": true}}', None),
        (b'{"error": "no"}', None),
        (b"[]", None),
        (b"no", None),
    ],
)
def test_text_at_a_place(content: bytes, found: str | None) -> None:
    """The text at a path of a document is returned, or None if the path has no text."""
    assert found == ProviderResponse(400, content).text_at("error", "message")


@pytest.mark.parametrize("content", [b'{"id": 7}', b'{"id": ""}', b'{"id": null}'])
def test_a_wrong_type_in_place_of_a_text(content: bytes) -> None:
    """A response with another type in place of a documented text breaks the contract."""
    with pytest.raises(ProtocolError, match=r"id of the response \(200\) is not text"):
        ProviderResponse(200, content).word_at("id")


@pytest.mark.parametrize("content", [b'{"rows": {}}', b'{"rows": [1]}'])
def test_a_wrong_type_in_place_of_a_list(content: bytes) -> None:
    """A response with another type in place of a documented list of objects breaks the contract."""
    with pytest.raises(
        ProtocolError, match=r"rows of the response \(200\) is not a list of objects"
    ):
        ProviderResponse(200, content).rows_at("rows")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("1.50", Decimal("1.50")),
        (7, Decimal(7)),
        (Decimal("0.1"), Decimal("0.1")),
        ("much", None),
        ("NaN", None),
        (True, None),
        (None, None),
    ],
)
def test_number(value: object, found: Decimal | None) -> None:
    """Only a finite number, or a text with one, is accepted as a number."""
    assert number(value) == found


@pytest.mark.parametrize("value", [None, "", 7])
def test_no_link(value: object) -> None:
    """An empty text or a value that is not a text is not accepted as a link."""
    assert link(value) is None


def test_link_shows_no_signature() -> None:
    """The text form of a link omits its query, which may contain a signature."""
    assert repr(link("https://u:p@s.test/a.mp4?sig=1")) == "'https://s.test/a.mp4?…'"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidInputError),
        (401, AuthenticationError),
        (402, BalanceError),
        (403, AuthenticationError),
        (404, NotFoundError),
        (405, InvalidInputError),
        (408, TransientError),
        (410, NotFoundError),
        (413, MediaRefusedError),
        (422, MediaRefusedError),
        (425, TransientError),
        (429, RateLimitError),
        (500, TransientError),
        (502, TransientError),
        (302, TransientError),
    ],
)
def test_status_decides_the_error_class(status: int, kind: type[ClientError]) -> None:
    """Each status has its error class, unless the provider's error text means something else."""
    with pytest.raises(kind, match=f"{status} no"):
        PLAIN.accepted(ProviderResponse(status, b'{"message": "no"}'))


def test_error_text_overrides_the_status() -> None:
    """A known error text of the provider decides the error class, not the status."""
    reading = ErrorFormat(texts=(("message",),), meanings=(ErrorMeaning("balance", "top up"),))

    with pytest.raises(BalanceError):
        reading.accepted(ProviderResponse(400, b'{"message": "Please top up."}'))


def test_first_place_with_a_text() -> None:
    """If a provider has two error formats, the first place with a text supplies the message."""
    reading = ErrorFormat(texts=(("error", "message"), ("error",)))
    error = reading.error(ProviderResponse(402, b'{"error": "Insufficient balance"}'))

    assert isinstance(error, RefusedError)
    assert error.message == "Insufficient balance"


def test_error_in_plain_text() -> None:
    """If an error body is not JSON, the whole body is the message."""
    assert (
        str(PLAIN.error(ProviderResponse(404, b"404 page not found\n"))) == "404 404 page not found"
    )


def test_error_text_has_status_code_and_message() -> None:
    """The text of an error has the status, code and message of the response."""
    answer = ProviderResponse(422, b'{"code": "VIDEO_TOO_LONG", "message": "Too long"}')

    assert str(PLAIN.error(answer)) == "422 VIDEO_TOO_LONG Too long"


def test_error_keeps_the_response() -> None:
    """The error object gives access to the provider's original document."""
    error = PLAIN.error(ProviderResponse(400, b'{"message": "no", "hint": 1}'))

    assert isinstance(error, RefusedError)
    assert error.raw == {"message": "no", "hint": 1}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 7 "}, 7.0),
        ({"retry-after": "-7"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "99999999999999999999 Jan"}, None),
        ({}, None),
        (
            {
                "retry-after": "Fri, 20 Nov 2026 10:01:30 GMT",
                "date": "Fri, 20 Nov 2026 10:00:00 GMT",
            },
            90.0,
        ),
        (
            {
                "retry-after": "Fri, 20 Nov 2026 09:00:00 GMT",
                "date": "Fri, 20 Nov 2026 10:00:00 GMT",
            },
            0.0,
        ),
        ({"retry-after": "Mon, 01 Jan 2001 00:00:00 GMT"}, 0.0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """`Retry-After` is read as seconds or as a date, compared with the server's clock if known."""
    error = PLAIN.error(ProviderResponse(429, b"", headers))

    assert isinstance(error, RateLimitError)
    assert error.retry_after == seconds


def test_a_success_passes() -> None:
    """A successful response is returned unchanged."""
    answer = ProviderResponse(200, b"{}")

    assert answer is PLAIN.accepted(answer)


def test_file_of_bytes_and_on_disk(tmp_path: Path) -> None:
    """A file object has its size and content, for bytes and for a file on disk."""
    path = tmp_path / "a.mp4"
    path.write_bytes(b"12345")
    files = [File("a.mp4", "video/mp4", b"12345"), File("a.mp4", "video/mp4", path)]

    assert [(file.size, file.read()) for file in files] == [(5, b"12345")] * 2


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        ("waiting", False),
        ("processing", False),
        ("unknown", False),
        ("completed", True),
        ("failed", True),
    ],
)
def test_job_has_ended(state: State, ended: bool) -> None:  # noqa: FBT001 - a table
    """`ended` is true for completed and failed jobs, and false for all other jobs."""
    assert ended == Progress("any", state).ended
