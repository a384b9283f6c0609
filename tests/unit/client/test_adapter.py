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
from upsim.client.values import Progress, State

PLAIN = ErrorFormat(texts=(("message",),), code=("code",))


@pytest.mark.parametrize(
    ("status", "ok"), [(199, False), (200, True), (201, True), (299, True), (300, False)]
)
def test_success_is_its_class_of_status(status: int, ok: bool) -> None:  # noqa: FBT001 - a table
    """Every status of the two hundreds is a success, no other is."""
    assert ok == ProviderResponse(status, b"").ok


def test_numbers_stay_exact() -> None:
    """A number with a point is read as a Decimal with exactly its digits."""
    assert Decimal("0.10") == ProviderResponse(200, b'{"price": 0.10}').at("price")


def test_missing_place_names_the_place() -> None:
    """An answer without what is documented says where it was looked for."""
    with pytest.raises(ProtocolError, match=r"response \(200\) has no data\.id"):
        ProviderResponse(200, b'{"data": []}').at("data", "id")


@pytest.mark.parametrize(
    "content", [b"<html>", b"\xff", b"[" * 100_000], ids=["html", "ff", "deep"]
)
def test_no_json_shows_its_start(content: bytes) -> None:
    """An answer that is not JSON is shown by its beginning."""
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
    """The text at a place is found where there is one, and is None in any other document."""
    assert found == ProviderResponse(400, content).text_at("error", "message")


@pytest.mark.parametrize("content", [b'{"id": 7}', b'{"id": ""}', b'{"id": null}'])
def test_word_that_is_none(content: bytes) -> None:
    """Where a text is documented, anything else breaks the contract."""
    with pytest.raises(ProtocolError, match=r"id of the response \(200\) is not text"):
        ProviderResponse(200, content).word_at("id")


@pytest.mark.parametrize("content", [b'{"rows": {}}', b'{"rows": [1]}'])
def test_rows_that_are_none(content: bytes) -> None:
    """Where a list of objects is documented, anything else breaks the contract."""
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
    """A finite number, also as text; nothing else is one."""
    assert number(value) == found


@pytest.mark.parametrize("value", [None, "", 7])
def test_no_link(value: object) -> None:
    """What is no text with something in it is no address."""
    assert link(value) is None


def test_link_shows_no_signature() -> None:
    """The query of a link may sign it, so its text form leaves it out."""
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
def test_status_has_its_kind(status: int, kind: type[ClientError]) -> None:
    """Each status is an error of its kind, unless the provider's words say otherwise."""
    with pytest.raises(kind, match=f"{status} no"):
        PLAIN.accepted(ProviderResponse(status, b'{"message": "no"}'))


def test_words_win_over_the_status() -> None:
    """What a provider is known to mean by a text counts more than its status."""
    reading = ErrorFormat(texts=(("message",),), meanings=(ErrorMeaning("balance", "top up"),))

    with pytest.raises(BalanceError):
        reading.accepted(ProviderResponse(400, b'{"message": "Please top up."}'))


def test_first_place_with_a_text() -> None:
    """Where a provider has two forms of errors, the first place that holds a text counts."""
    reading = ErrorFormat(texts=(("error", "message"), ("error",)))
    error = reading.error(ProviderResponse(402, b'{"error": "Insufficient balance"}'))

    assert isinstance(error, RefusedError)
    assert error.message == "Insufficient balance"


def test_error_in_plain_text() -> None:
    """An error that is not JSON is its own message."""
    assert (
        str(PLAIN.error(ProviderResponse(404, b"404 page not found\n"))) == "404 404 page not found"
    )


def test_error_reads_like_the_answer() -> None:
    """The text of an error is status, code and message, as the provider sent them."""
    answer = ProviderResponse(422, b'{"code": "VIDEO_TOO_LONG", "message": "Too long"}')

    assert str(PLAIN.error(answer)) == "422 VIDEO_TOO_LONG Too long"


def test_error_keeps_the_answer() -> None:
    """The provider's own document can be reached from the error."""
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
    """Seconds or a date, which is compared with the server's own clock where it tells it."""
    error = PLAIN.error(ProviderResponse(429, b"", headers))

    assert isinstance(error, RateLimitError)
    assert error.retry_after == seconds


def test_a_success_passes() -> None:
    """A success is given back as it came."""
    answer = ProviderResponse(200, b"{}")

    assert answer is PLAIN.accepted(answer)


def test_file_of_bytes_and_on_disk(tmp_path: Path) -> None:
    """A file knows its size and content, wherever it is."""
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
def test_what_has_ended(state: State, ended: bool) -> None:  # noqa: FBT001 - a table
    """Completed and failed jobs have ended, the others have not."""
    assert ended == Progress("any", state).ended
