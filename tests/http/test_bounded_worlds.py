"""What callers make in a sandbox by the way is bounded: accounts, and tickets for uploads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from upsim.engine import resolution, sandbox

if TYPE_CHECKING:
    import httpx

    from tests.http.conftest import Admin

TICKET = "/wavespeed/api/v3/media/uploads"
MOST = 20


def ticket(admin: Admin) -> httpx.Response:
    """Ask WaveSpeed for a ticket."""
    asked = {"filename": "a.mp4", "size": 3, "content_type": "video/mp4"}
    return admin.http.post(TICKET, headers={"Authorization": "Bearer k"}, json=asked)


def put(admin: Admin, answer: httpx.Response) -> int:
    """Upload to a ticket; the status of the answer."""
    upload: dict[str, Any] = answer.json()["data"]["upload"]
    return admin.http.put(upload["url"], content=b"abc", headers=upload["headers"]).status_code


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the bounds be low."""
    monkeypatch.setattr(sandbox, "MAX_UPLOADS", MOST)
    monkeypatch.setattr(resolution, "MAX_ACCOUNTS", MOST)


@pytest.mark.usefixtures("few")
def test_the_oldest_tickets_that_nobody_used_give_way(admin: Admin) -> None:
    """What was uploaded stays, and so do newer tickets."""
    used = ticket(admin)
    assert put(admin, used) == 200
    first, *_, last = [ticket(admin) for _ in range(3 * MOST)]
    assert len(admin.sim.sandbox.state.uploads) <= MOST
    assert (404, 200) == (put(admin, first), put(admin, last))
    assert admin.http.get(used.json()["data"]["download_url"]).status_code == 200


@pytest.mark.usefixtures("few")
def test_where_all_tickets_were_used_there_is_no_room(admin: Admin) -> None:
    """No file that somebody uploaded is taken away for another."""
    for _ in range(MOST):
        assert put(admin, ticket(admin)) == 200
    refused = ticket(admin)
    assert (507, {"code": 507, "message": "Insufficient Storage"}) == (
        refused.status_code,
        refused.json(),
    )
    assert len(admin.sim.sandbox.state.uploads) == MOST


@pytest.mark.usefixtures("few")
def test_new_keys_are_unknown_once_there_are_too_many_accounts(admin: Admin) -> None:
    """Accounts that are there go on, with their money."""

    def credits_of(key: int) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return admin.http.get("/vicsee/api/v1/credits", headers=headers).status_code

    statuses = [credits_of(key) for key in range(MOST + 5)]
    assert [200] * MOST + [401] * 5 == statuses
    assert (200, MOST) == (credits_of(0), len(admin.sim.sandbox.state.accounts))
