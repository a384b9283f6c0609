"""`POST /video/complete`: finalises in the guide's dialect, deletes in the live one."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.http.venice.conftest import Venice

CLIP = "160x90_10fps_1s.mp4"


def test_complete_returns_the_url_repeatedly(venice: "Venice") -> None:
    """In the guide dialect, complete returns the URL of retrieve, and keeps the file."""
    queue_id = venice.finished(venice.clip(CLIP))
    url = venice.retrieve(queue_id).json()["url"]
    answers = [venice.complete(queue_id) for _ in range(2)]

    assert [answer.json() for answer in answers] == [
        {"success": True, "status": "completed", "url": url}
    ] * 2
    assert venice.download(url).status_code == 200
    assert venice.retrieve(queue_id).json()["url"] == url
    assert "finalised" in venice.job(queue_id).marks


def test_live_complete_deletes(live: "Venice") -> None:
    """In the live dialect, complete returns a flag; then retrieve is a 404 and complete a 400."""
    queue_id = live.finished(live.clip(CLIP))
    done, later, again = live.complete(queue_id), live.retrieve(queue_id), live.complete(queue_id)

    assert (done.status_code, done.json()) == (200, {"success": True})
    assert (later.status_code, later.json()["error"]) == (
        404,
        "Media could not be found. Request may be invalid, expired, or deleted.",
    )
    assert (again.status_code, again.json()) == (400, {"error": "Request ID is invalid."})


@pytest.mark.parametrize("dialect", ["", "live"])
def test_complete_does_not_end_an_unfinished_job(dialect: str, venice: "Venice") -> None:
    """The response is no success, nothing is deleted or refunded, and the job continues."""
    venice = venice.under(dialect)
    queue_id = venice.queued()
    answer = venice.complete(queue_id)
    venice.until_done(queue_id)

    assert (answer.status_code, answer.json()) == (200, {"success": False})
    assert venice.retrieve(queue_id).status_code == 200
    assert venice.balance == 99


def test_complete_charges_nothing(venice: "Venice") -> None:
    """Polling and completing are free."""
    queue_id = venice.finished()
    venice.retrieve(queue_id)
    venice.complete(queue_id)

    assert len(venice.entries) == 1
