"""No view, event or log line shows a secret that came with a call, of any operation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.http.conftest import SAMPLES
from upsim.cli.request_log import job_of, line_of, webhook_line
from upsim.core.webhooks import AttemptOutcome
from upsim.engine.webhooks import Posting
from upsim.providers import discover

if TYPE_CHECKING:
    from tests.http.conftest import Admin, Start

CANARY = "kanarienvogel"
BOX = "sandboxes/default"
OPERATIONS = [
    (name, operation.name) for name, found in discover().items() for operation in found.operations
]
HOOK = f"https://user:{CANARY}@127.0.0.1:1/hook?token={CANARY}&other={CANARY}"
VIDEO = f"https://user:{CANARY}@clips.example/a.mp4?X-Amz-Signature={CANARY}&Policy={CANARY}"
BODY: dict[str, Any] = {
    "video": VIDEO,
    "video_url": VIDEO,
    "webhook_url": HOOK,
    "webhook_secret": CANARY,
    "api_key": CANARY,
    "model": "Qubico/video-toolkit",
    "task_type": "upscale",
    "input": {"video": VIDEO},
    "config": {"webhook_config": {"endpoint": HOOK, "secret": CANARY}},
}
DEPTHS = (300, 450, 600, 800, 960, 5000)
VIEWS = ("journal", "jobs", "accounts", "ledger", "faults", "webhooks", "")


def shown(admin: Admin, box: str = BOX) -> str:
    """Return all that the admin API shows of a sandbox, and the log lines."""
    views = [admin.call("GET", f"{box}/{view}".rstrip("/")).text for view in VIEWS]
    views.append(admin.call("POST", f"{box}/journal/find", {}).text)
    sandbox = admin.sim.registry.get(box.partition("/")[2])
    views += [
        line_of(sandbox, found, job_of(sandbox, found), day="2026-11-20")
        for found in sandbox.records
        if found.provider
    ]
    return "\n".join(views)


@pytest.mark.parametrize(("provider", "name"), OPERATIONS)
@pytest.mark.parametrize("form", ["whole", "cut", "broken"])
def test_no_operation_shows_its_secrets(admin: Admin, provider: str, name: str, form: str) -> None:
    """Keys, secrets in bodies, signed URLs and passwords appear nowhere."""
    operation = next(o for o in discover()[provider].operations if o.name == name)
    model = "wavespeed-ai/video-upscaler"
    path = operation.path.replace("{id}", "none").replace("{model*}", model)
    filler = {"filler": "x" * 20_000} if form == "cut" else {}
    content = json.dumps({**BODY, **filler}) + ("}" if form == "broken" else "")
    with admin.caller(provider, CANARY) as http:
        http.request(
            operation.method,
            f"{path}?api_key={CANARY}&webhook={HOOK.replace('&', '%26')}",
            content=content,
            headers={"content-type": "application/json", "x-webhook-secret": CANARY},
        )
    (exchange,) = admin.get(f"{BOX}/journal")["exchanges"]
    text = shown(admin)

    assert name == exchange["operation"]
    assert CANARY not in text


@pytest.mark.parametrize("name", ["video-upscaler", "venice", "piapi", "vicsee"])
def test_a_complete_job_shows_no_secret(admin: Admin, name: str) -> None:
    """From the submit to the last webhook attempt, no output repeats a secret."""
    sample = SAMPLES[name]
    caller = admin.caller(sample.provider, CANARY)
    beside: dict[str, Any] = {}
    path = sample.path
    if name == "video-upscaler":
        path += f"?webhook={HOOK.replace('&', '%26')}"
    answer = caller.post(path, json={**sample.body, **beside, **_video(sample.video_at)})
    assert 200 == answer.status_code, answer.text
    (job,) = admin.sim.sandbox.state.jobs
    admin.sim.advance(10_000)
    sample.status(caller, job)
    caller.get("/api/v3/webhook/secret")
    secret = admin.sim.sandbox.state.jobs[job].accepted.webhook

    text = shown(admin)

    assert CANARY not in text
    assert secret is None or not secret.secret or secret.secret not in text


@pytest.mark.parametrize(
    "odd",
    [
        r'"\ud800"',
        r'{"\udfff": "\ud800"}',
        *("[" * depth + "]" * depth for depth in DEPTHS),
        *('{"a":' * depth + "1" + "}" * depth for depth in DEPTHS),
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        "piapi/api/v1/task",
        "vicsee/api/v1/generate",
        "wavespeed/api/v3/wavespeed-ai/video-upscaler",
        "venice/api/v1/video/queue",
    ],
)
def test_a_refused_body_never_makes_the_journal_unreadable(
    admin: Admin, path: str, odd: str
) -> None:
    """Half a surrogate pair and deep nesting are shown, and the secret beside them is not."""
    body = f'{json.dumps(BODY)[:-1]}, "odd": {odd}}}'
    provider, _, rest = path.partition("/")
    with admin.caller(provider, "k") as http:
        reply = http.post(f"/{rest}", content=body, headers={"content-type": "application/json"})
    assert reply.status_code < httpx.codes.INTERNAL_SERVER_ERROR

    for reply in (
        admin.call("GET", f"{BOX}/journal"),
        admin.call("POST", f"{BOX}/journal/find", {}),
    ):
        assert reply.status_code == httpx.codes.OK, reply.text
        assert CANARY not in reply.text
        assert reply.json()["exchanges"]


def test_an_output_of_a_ticket_shows_no_signature(admin: Admin) -> None:
    """The signature of an upload ticket is hidden, because it allows the upload."""
    admin.vicsee().post("/api/v1/upload", json={"contentType": "video/mp4", "sizeBytes": 10})
    (upload,) = admin.sim.sandbox.state.uploads.values()
    assert upload.issued.signature not in shown(admin)


def test_attempts_are_logged_without_secrets(admin: Admin) -> None:
    """The log line of a webhook shows neither the user nor the query of its URL."""
    posting = Posting("d", "j", 1, HOOK, (), b"", 0, 1.0)
    outcome = AttemptOutcome(None, f"not an http or https URL: {HOOK!r}")
    line = webhook_line(admin.sim.sandbox, posting, outcome, day="2026-11-20")
    assert CANARY not in line
    assert "127.0.0.1:1/hook" in line


def test_a_secret_in_a_failure_is_hidden(start_admin: Start) -> None:
    """A failure message that repeats a URL hides its signature."""
    admin = start_admin(scenario="vicsee/url-unreachable")
    admin.vicsee().post("/api/v1/tools/upscale-video", json={"video_url": VIDEO})
    assert CANARY not in shown(admin)


def _video(place: tuple[str, ...]) -> dict[str, Any]:
    if len(place) == 1:
        return {place[0]: VIDEO}
    hook = {"webhook_config": {"endpoint": HOOK, "secret": CANARY}}
    return {place[0]: _video(place[1:]), "config": hook}
