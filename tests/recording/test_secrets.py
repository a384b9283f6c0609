"""No secret reaches the disk, whatever it stands in."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import httpx
import pytest

from tests.recording.conftest import KEY, Studio, entries
from upsim_contracts.cassettes.redaction import PLACEHOLDER, Redactor

HOOK = "https://hooks.example/services/canary-path-token?secret=canary-hook-query"
SIGNED = (
    "https://store.example/clip.mp4?X-Amz-Signature=canary-signature&X-Amz-Credential=canary-id"
)


def canaries(cassette: Path) -> list[str]:
    """Return what of the caller's secrets is in the file or beside it."""
    files = [path for path in cassette.parent.rglob("*") if path.is_file()]
    found = [re.findall(r"[^\"]*canary[^\"]*", path.read_text("utf-8")) for path in files]
    return [one for texts in found for one in texts]


async def piapi(http: httpx.AsyncClient) -> None:
    """Send a task with a secret for its webhook, and a body that is no JSON."""
    task = {
        "model": "Qubico/video-toolkit",
        "task_type": "upscale",
        "input": {"video": SIGNED},
        "config": {"webhook_config": {"endpoint": HOOK, "secret": "canary-webhook-secret"}},
    }
    await http.post("/api/v1/task", json=task)
    broken = '{"config": {"webhook_config": {"secret": "canary-broken"'
    await http.post("/api/v1/task", content=broken, headers={"content-type": "application/json"})


async def wavespeed(http: httpx.AsyncClient) -> None:
    """Ask for the webhook secret, and submit with a webhook in the query."""
    await http.get("/api/v3/webhook/secret", headers={"Cookie": "session=canary-cookie"})
    await http.post("/api/v3/runwayml/upscale-v1", params={"webhook": HOOK}, json={"video": SIGNED})


async def venice(http: httpx.AsyncClient) -> None:
    """Send an api key where none belongs, and userinfo in a link."""
    body = {
        "model": "topaz-video-upscale",
        "video_url": "https://canary-user:canary-password@store.example/clip.mp4",
        "api_key": "canary-in-body",
    }
    await http.post("/api/v1/video/queue?api_key=canary-in-query", json=body)


CALLERS = {"piapi": piapi, "wavespeed": wavespeed, "venice": venice}


@pytest.mark.parametrize("provider", CALLERS)
def test_no_secret_is_written(
    studio: Studio, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys, webhook secrets, signatures and cookies are written to no file of a recording."""
    monkeypatch.setenv("TMPDIR", str(studio.folder))
    cassette = studio.record(provider, CALLERS[provider])

    assert [] == canaries(cassette)
    assert len(entries(cassette)) > 1
    assert PLACEHOLDER in cassette.read_text("utf-8")
    assert "canary" not in "\n".join(studio.said)


def test_issued_secrets_are_removed_from_responses(studio: Studio) -> None:
    """The client gets the webhook secret of a response, but the cassette does not contain it."""
    shown: list[str] = []

    async def caller(http: httpx.AsyncClient) -> None:
        answer = await http.get("/api/v3/webhook/secret")
        shown.extend(re.findall(r"whsec_[\w=+/-]+", answer.text))

    cassette = studio.record("wavespeed", caller)

    assert 1 == len(shown)
    assert shown[0] not in cassette.read_text("utf-8")


def test_an_echoed_key_is_removed(studio: Studio) -> None:
    """A key that a response repeats, in a text or a header, is not written to the cassette."""

    def echoing(_call: str, _answer: httpx.Response) -> httpx.Response:
        body = {"error": f"the key {KEY} is not known", "header": f"Bearer {KEY}"}
        return httpx.Response(401, headers={"x-seen": KEY}, json=body)

    async def caller(http: httpx.AsyncClient) -> None:
        await http.get("/api/v1/credits")

    cassette = studio.record("vicsee", caller, altered=echoing)
    answer = entries(cassette)[1]["answer"]

    assert {"error": f"the key {PLACEHOLDER} is not known", "header": PLACEHOLDER} == (
        answer["body"]["json"]
    )
    assert PLACEHOLDER == answer["headers"]["x-seen"]


def test_videos_are_kept_as_properties(studio: Studio) -> None:
    """A data URL is recorded as a hash with the properties of the video, and its price is known."""
    sent: list[str] = []

    async def caller(http: httpx.AsyncClient) -> None:
        content = base64.b64decode(sent[0])
        video = f"data:video/mp4;base64,{base64.b64encode(content).decode()}"
        body = {"model": "topaz-video-upscale", "video_url": video, "upscale_factor": 2}
        await http.post("/api/v1/video/queue", json=body)

    sent.append(base64.b64encode(_clip()).decode())
    cassette = studio.record("venice", caller)
    line = entries(cassette)[1]
    name = line["request"]["body"]["json"]["video_url"]

    assert name.startswith("data:,sha256-")
    assert ("320", "240", "2") == tuple(
        str(line["media"][name][key]) for key in ("width", "height", "seconds")
    )
    charge = {"unit": "USD", "documented": "0.026000", "actual": "0.026", "left": "999999.974"}
    assert charge == line["charge"]
    assert sent[0][:200] not in cassette.read_text("utf-8")


def _clip() -> bytes:
    """Return a clip as the simulator makes it."""
    from upsim import Simulator

    with Simulator() as simulator, httpx.Client(transport=simulator.transport()) as http:
        url = simulator.base_url("").rstrip("/") + "/media/synthetic/320x240_10fps_2s.mp4"
        return http.get(url).content


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"secret": "abcdef"}, {"secret": PLACEHOLDER}),
        ({"api_key": 12, "total_tokens": 7}, {"api_key": PLACEHOLDER, "total_tokens": 7}),
        ({"webhook": "https://a.example/x?y=1"}, {"webhook": f"https://a.example/{PLACEHOLDER}"}),
        (
            {"url": "https://a.example/x?y=1&bytes=2"},
            {"url": f"https://a.example/x?y={PLACEHOLDER}&bytes=2"},
        ),
        (["whsec_abc123"], [PLACEHOLDER]),
        ({"key": "generic"}, {"key": "generic"}),
        ({"key": "0123456789abcdef"}, {"key": PLACEHOLDER}),
        ({"by": "write to me@mail.example."}, {"by": f"write to {PLACEHOLDER}."}),
        ({"token": True, "secret": ""}, {"token": True, "secret": ""}),
        ({"url": "https://a.example:99999/"}, {"url": PLACEHOLDER}),
        (None, None),
    ],
)
def test_documents_keep_their_shape(given: object, kept: object) -> None:
    """A redacted text is still a text, and field names and other values are unchanged."""
    assert kept == Redactor().document(given)


def test_a_known_secret_is_redacted_everywhere() -> None:
    """A secret found in one place is redacted in all places, also if percent-encoded."""
    redactor = Redactor()
    redactor.headers({"Authorization": "Bearer a/secret+value"})

    assert f"x {PLACEHOLDER} y {PLACEHOLDER}" == redactor.text(
        "x a/secret+value y a%2Fsecret%2Bvalue"
    )
    assert json.dumps(PLACEHOLDER) == json.dumps(redactor.document("a/secret+value"))
