"""What adapters share: reading answers and refusals."""

from __future__ import annotations

from decimal import Decimal

import pytest

from upsim.client.adapter import Answer, Progress, accepted, refusal
from upsim.client.exceptions import RefusedError, UnreadableError


@pytest.mark.parametrize(
    ("status", "ok"), [(199, False), (200, True), (201, True), (299, True), (300, False)]
)
def test_success_is_its_class_of_status(status: int, ok: bool) -> None:  # noqa: FBT001 - a table
    """Every status of the two hundreds is a success, no other is."""
    assert ok == Answer(status, b"").ok


def test_numbers_stay_exact() -> None:
    """A number with a point is read as a Decimal with exactly its digits."""
    assert Decimal("0.10") == Answer(200, b'{"price": 0.10}').at("price")


def test_missing_place_names_the_place() -> None:
    """An answer without what is documented says where it was looked for."""
    with pytest.raises(UnreadableError, match=r"answer 200 has no data\.id"):
        Answer(200, b'{"data": []}').at("data", "id")


def test_no_json_shows_its_start() -> None:
    """An answer that is not JSON is shown by its beginning."""
    with pytest.raises(UnreadableError, match="answer 502 is not JSON: <html>"):
        Answer(502, b"<html>").json()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b'{"error": {"message": "no"}}', "no"),
        (b'{"error": {"message": 7}}', "7"),
        (b'{"error": {"message": null}}', None),
        (b'{"error": "no"}', None),
        (b"[]", None),
        (b"no", None),
    ],
)
def test_text_at_a_place(content: bytes, found: str | None) -> None:
    """The text at a place is found where there is one, and is None in any other document."""
    assert found == Answer(400, content).text_at("error", "message")


def test_refusal_takes_the_first_place_with_a_text() -> None:
    """Where a provider has two forms of errors, the first place that holds a text counts."""
    answer = Answer(402, b'{"error": "Insufficient balance"}')

    assert refusal(answer, ("error", "message"), ("error",)).message == "Insufficient balance"


def test_refusal_in_plain_text() -> None:
    """A refusal that is not JSON is its own message."""
    assert (
        refusal(Answer(404, b"404 page not found\n"), ("message",)).message == "404 page not found"
    )


def test_refusal_reads_like_the_answer() -> None:
    """The text of a refusal is status, code and message, as the provider sent them."""
    answer = Answer(422, b'{"code": "VIDEO_TOO_LONG", "message": "Too long"}')

    assert str(refusal(answer, ("message",), code=("code",))) == "422 VIDEO_TOO_LONG Too long"


def test_refusal_without_a_code() -> None:
    """A provider without codes gives status and message."""
    assert str(refusal(Answer(400, b'{"message": "no"}'), ("message",))) == "400 no"


def test_an_error_is_raised() -> None:
    """An answer that is no success is raised as the provider's refusal."""
    with pytest.raises(RefusedError, match="400 no"):
        accepted(Answer(400, b"no"))


def test_a_success_passes() -> None:
    """A success is given back as it came."""
    answer = Answer(200, b"{}")

    assert answer is accepted(answer)


@pytest.mark.parametrize(
    ("state", "ended"),
    [("waiting", False), ("processing", False), ("completed", True), ("failed", True)],
)
def test_what_has_ended(state: str, ended: bool) -> None:  # noqa: FBT001 - a table
    """Completed and failed jobs have ended, the others have not."""
    assert ended == Progress("any", state).ended  # type: ignore[arg-type]  # from the table
