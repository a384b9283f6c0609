"""What callers make in a sandbox by the way is bounded: accounts, and tickets for uploads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from upsim.engine import issued_keys, registry, retention, unissued_keys
from upsim.engine.kept_inputs import MAX_INPUTS_KEPT

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
    monkeypatch.setattr(retention, "MAX_UPLOADS", MOST)
    monkeypatch.setattr(unissued_keys, "MAX_ACCOUNTS", MOST)


@pytest.mark.usefixtures("few")
def test_the_oldest_unused_tickets_are_deleted(admin: Admin) -> None:
    """If there are too many uploads, the oldest unused tickets go; files and newer tickets stay."""
    used = ticket(admin)
    assert put(admin, used) == 200
    first, *_, last = [ticket(admin) for _ in range(3 * MOST)]
    assert len(admin.sim.sandbox.state.uploads) <= MOST
    assert (404, 200) == (put(admin, first), put(admin, last))
    assert admin.http.get(used.json()["data"]["download_url"]).status_code == 200


@pytest.mark.usefixtures("few")
def test_used_tickets_leave_no_room(admin: Admin) -> None:
    """If all tickets have files, a new ticket is refused, and no file is deleted."""
    for _ in range(MOST):
        assert put(admin, ticket(admin)) == 200
    refused = ticket(admin)
    assert (507, {"code": 507, "message": "Insufficient Storage"}) == (
        refused.status_code,
        refused.json(),
    )
    assert len(admin.sim.sandbox.state.uploads) == MOST


@pytest.mark.usefixtures("few")
def test_new_keys_are_unknown_above_the_limit_of_accounts(admin: Admin) -> None:
    """Above the limit, a new key is unknown; existing accounts keep their money."""

    def credits_of(key: int) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return admin.http.get("/vicsee/api/v1/credits", headers=headers).status_code

    statuses = [credits_of(key) for key in range(MOST + 5)]
    assert [200] * MOST + [401] * 5 == statuses
    assert (200, MOST) == (credits_of(0), len(admin.sim.sandbox.state.accounts))


LONG = "y" * 300_000


@pytest.mark.parametrize(
    "extra",
    [
        {"x": [LONG, ["y" * 4_000] * 100]},
        {LONG: 1, "y": {"z": LONG}},
        {f"k{number}": "y" * 4_000 for number in range(100)},
    ],
)
def test_a_job_keeps_a_bounded_part_of_a_long_body(admin: Admin, extra: dict[str, Any]) -> None:
    """A job keeps documented fields first, and other fields as far as there is room."""
    body = {**extra, "model": "topaz-video-upscale", "video_url": "https://x.example/a.mp4"}
    answer = admin.caller("venice", "k").post("/api/v1/video/queue", json=body)
    assert answer.status_code == 200
    (job,) = admin.sim.sandbox.state.jobs.values()
    assert len(repr(job.accepted.inputs)) < 2 * MAX_INPUTS_KEPT
    assert body["video_url"] == job.accepted.inputs["video_url"]
    assert "video_url" == [*job.accepted.inputs][-1]


def test_a_job_keeps_a_bounded_webhook(admin: Admin) -> None:
    """A webhook URL above the limit gets no delivery, and the reason is shown."""
    hook = {"endpoint": f"http://127.0.0.1:9/{LONG}", "secret": LONG}
    body = {
        "model": "Qubico/video-toolkit",
        "task_type": "upscale",
        "input": {"video": "https://x.example/a.mp4"},
        "config": {"webhook_config": hook},
    }
    assert admin.caller("piapi", "k").post("/api/v1/task", json=body).status_code == 200
    (job,) = admin.sim.sandbox.state.jobs.values()
    webhook = job.accepted.webhook
    assert webhook
    assert (8_193, 8_192) == (len(webhook.url), len(webhook.secret))
    admin.post("sandboxes/default/clock/advance", {"to": "idle"})
    (delivery,) = admin.get("sandboxes/default/webhooks")["deliveries"]
    assert "refused" == delivery["outcome"]


def test_an_upload_keeps_a_bounded_name(admin: Admin) -> None:
    """The name of a file is cut at a thousand characters."""
    for name in (f"{LONG}.mp4", "a.mp4"):
        asked = {"filename": name, "size": 3, "content_type": "video/mp4"}
        admin.http.post(TICKET, headers={"Authorization": "Bearer k"}, json=asked)
    uploads = admin.sim.sandbox.state.uploads.values()
    assert [1_000, 5] == [len(one.issued.file_name) for one in uploads]


def test_keys_and_scenarios_of_a_server_are_bounded(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys of a sandbox and scenarios of all sandboxes are limited; deleting makes room."""
    monkeypatch.setattr(issued_keys, "MAX_KEYS", MOST)
    monkeypatch.setattr(registry, "MAX_SENT", 1_000)
    keys = "sandboxes/default/accounts/vicsee/keys"
    for _ in range(MOST):
        admin.post(keys, {"key": "mine"})
    for _ in range(MOST - 1):
        admin.post(keys)
    said = "sandbox 'default' has 20 keys, the most that one may have; make another sandbox"
    assert (400, "refused", said) == admin.refusal("POST", keys)
    order = {"scenario": {"extends": "vicsee/baseline", "summary": "x" * 600}}
    admin.post("sandboxes", {"id": "one", **order})
    status, code, message = admin.refusal("POST", "sandboxes", order)
    assert (400, "refused") == (status, code)
    assert message.endswith("at most 1000 in all: delete some sandboxes")
    admin.call("DELETE", "sandboxes/one")
    admin.post("sandboxes", order)
    status, _, message = admin.refusal(
        "POST",
        "sandboxes",
        {"scenario": {"extends": "vicsee/baseline", "summary": "x" * 5_000_001}},
    )
    assert 400 == status
    assert "characters in all; at most 5000000 are allowed" in message
