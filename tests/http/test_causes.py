"""Every refusal names its cause in log line, journal and `why`; clients get the provider's words.

The corpus: the mistakes of the contracts' tables, and the ones below, of all operations.
"""

from __future__ import annotations

import ast
import base64
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings

import upsim
from tests.http.conftest import LOCAL
from upsim import Simulator
from upsim.cli.request_log import job_of, line_of
from upsim.core.baseline import Auth
from upsim.engine.request_records import Record
from upsim.web.admin.exchange_views import MAX_CAUSE_LENGTH, cause_of
from upsim_contracts.clip_properties import ClipProperties
from upsim_contracts.spending_guard import SpendingBudget
from upsim_contracts.suite.checked_account import CheckedAccount
from upsim_contracts.suite.generate_table import Submit
from upsim_contracts.suite.property_runs import AMPLE, SUBMITS, table_of
from upsim_contracts.suite.strategies.clips import clips, short
from upsim_contracts.target import Target, TargetSettings
from upsim_contracts.verify.run import pricer

SECRET = "not-to-be-shown"
PIAPI = {"model": "Qubico/video-toolkit", "task_type": "upscale"}
TOPAZ = {"model": "topaz-video-upscale"}
URL = "https://clips.example/a.mp4"
UPSCALER = "POST wavespeed/api/v3/wavespeed-ai/video-upscaler"
BIG = base64.b64encode(bytes(10 * 1024 * 1024 + 1)).decode()
BOM = b"\xef\xbb\xbf"
DISK = "a file on your own disk"


@dataclass(frozen=True)
class Mistake:
    """A request that is refused (or fails later), and words that its cause must hold."""

    call: str
    body: object = None
    says: tuple[str, ...] = ()
    headers: Mapping[str, str | None] = field(default_factory=dict)

    def __str__(self) -> str:
        """Show it in test ids."""
        return f"{self.call} {' '.join(self.says)}"[:90]


def vicsee(body: object, *says: str, **more: Any) -> Mistake:  # noqa: ANN401 - see Mistake
    """Return a mistake in VicSee's submit."""
    return Mistake("POST vicsee/api/v1/tools/upscale-video", body, says, **more)


def venice(body: object, *says: str, **more: Any) -> Mistake:  # noqa: ANN401 - see Mistake
    """Return a mistake in Venice's queue."""
    return Mistake("POST venice/guide/api/v1/video/queue", body, says, **more)


def piapi(body: object, *says: str, **more: Any) -> Mistake:  # noqa: ANN401 - see Mistake
    """Return a mistake in PiAPI's create."""
    return Mistake("POST piapi/api/v1/task", body, says, **more)


def piapi_video(video: object, *says: str) -> Mistake:
    """Return a mistake in the video of a PiAPI task."""
    return piapi({**PIAPI, "input": {"video": video}}, *says)


def upload(body: object, *says: str, **more: Any) -> Mistake:  # noqa: ANN401 - see Mistake
    """Return a mistake in PiAPI's upload."""
    return Mistake("POST piapi/api/ephemeral_resource", body, says, **more)


def file(data: object, name: object = "a.mp4") -> dict[str, object]:
    """Return the body of an upload."""
    return {"file_name": name, "file_data": data}


SCHEMES = {
    "ftp://a.example/a.mp4": 'the URL "ftp://a.example/a.mp4"',
    "rtmp://a.example/live": 'the URL "rtmp://a.example/live"',
    "urn:isbn:1": 'the URL "urn:isbn:1"',
    "blob:https://a.example/1": (
        '"blob:https://a.example/1", an object of a browser\'s page, which only that page can read'
    ),
    "s3://bucket/a.mp4": (
        '"s3://bucket/a.mp4", an object of a bucket, which needs a signed https URL'
    ),
}
ZIPPED = gzip.compress(json.dumps({"video_url": URL}).encode())
GZIP = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
PLAIN = {"Content-Type": "text/plain"}
MISTAKES = [
    # values by type
    vicsee(
        {"video_url": URL, "upscale_factor": 2},
        'upscale_factor: found the number 2, expected the text "2"',
    ),
    vicsee({"video_url": URL, "upscale_factor": None}, "upscale_factor: found null"),
    vicsee({"video_url": 7}, "video_url: found the number 7"),
    vicsee({}, "video_url: found nothing"),
    venice(
        {**TOPAZ, "video_url": URL, "upscale_factor": "2"},
        'upscale_factor: found the text "2", expected the number 2',
    ),
    venice({**TOPAZ, "video_url": URL, "upscale_factor": 3}, "found the number 3", "1, 2 or 4"),
    venice({**TOPAZ, "video_url": ["x"]}, "video_url: found a list of 1"),
    venice({**TOPAZ, "video_url": URL, "resolution": "4k"}, 'resolution: found the text "4k"'),
    venice({**TOPAZ, "video_url": URL, "prompt": "x"}, 'prompt: found the text "x"'),
    venice({"model": 5}, "model: found the number 5"),
    venice({"model": "other"}, 'model: found the text "other"', '"topaz-video-upscale"'),
    venice({}, "model: found nothing"),
    piapi({**PIAPI, "model": 1}, "model: found the number 1"),
    piapi({**PIAPI, "task_type": "up"}, 'task_type: found the text "up"', '"upscale"'),
    piapi({**PIAPI}, "input: found nothing"),
    piapi({**PIAPI, "input": "x"}, 'input: found the text "x"'),
    piapi_video(1, "input.video: found the number 1"),
    piapi(
        {**PIAPI, "input": {"video": URL}, "config": {"service_mode": "fast"}},
        'config.service_mode: found the text "fast"',
    ),
    piapi(
        {**PIAPI, "input": {"video": URL}, "config": {"webhook_config": {"secret": [SECRET]}}},
        "secret: found a list of 1",
    ),
    Mistake(UPSCALER, {"video": 1}, ("video: found the number 1",)),
    Mistake(UPSCALER, {}, ("video: found nothing",)),
    Mistake(
        UPSCALER,
        {"video": URL, "target_resolution": "8k"},
        ('target_resolution: found the text "8k"', '"4k"'),
    ),
    Mistake(UPSCALER, {"video": URL, "enable_sync_mode": "yes"}, ('found the text "yes"',)),
    # content type, encoding, marks, and what is no JSON
    venice({**TOPAZ, "video_url": URL}, 'Content-Type: found "text/plain"', headers=PLAIN),
    piapi(PIAPI, 'Content-Type: found "text/plain"', headers=PLAIN),
    upload(file("AAAA"), 'Content-Type: found "text/plain"', headers=PLAIN),
    vicsee(ZIPPED, 'Content-Encoding: found "gzip"', headers=GZIP),
    venice(ZIPPED, 'Content-Encoding: found "gzip"', headers=GZIP),
    piapi(ZIPPED, 'Content-Encoding: found "gzip"', headers=GZIP),
    upload(ZIPPED, 'Content-Encoding: found "gzip"', headers=GZIP),
    Mistake(UPSCALER, ZIPPED, ('Content-Encoding: found "gzip"',), GZIP),
    vicsee(ZIPPED, "gzip data"),
    vicsee(BOM + b"{}", "UTF-8 byte-order mark (ef bb bf)"),
    venice(BOM + b"{}", "UTF-8 byte-order mark", headers={"Content-Type": "application/json"}),
    piapi(BOM + b"{}", "UTF-8 byte-order mark"),
    upload(BOM + b"{}", "UTF-8 byte-order mark"),
    Mistake(UPSCALER, BOM + b"{}", ("UTF-8 byte-order mark",)),
    vicsee("{}".encode("utf-16"), "UTF-16 byte-order mark (ff fe), expected JSON in UTF-8"),
    piapi("{}".encode("utf-16-le"), "found text in UTF-16, expected JSON in UTF-8"),
    vicsee(b"", "body: found nothing (0 bytes)"),
    vicsee(b"video_url=x", "body: found a form"),
    vicsee(b"--x\r\n", "body: found a multipart form"),
    vicsee(b"{'video_url': 1}", "body: found text that is not JSON", "byte 1", '"\'"'),
    vicsee(b'{"video_url": "\xff"}', "body: found text that is not JSON", "0xff"),
    vicsee(b'{"video_url": 1', "body: found text that is not JSON", "truncated"),
    vicsee(b"[" * 200 + b"]" * 200, "body: ", "nested"),
    vicsee([1], "body: found a list of 1, expected a JSON object"),
    # where the video should come from
    *[
        mistake
        for path in ("/home/me/a.mp4", "FILE:/home/me/a.mp4", r"C:\clips\a.mp4", "a.mp4")
        for mistake in (
            vicsee({"video_url": path}, DISK, "video_url"),
            venice({**TOPAZ, "video_url": path}, DISK, "video_url"),
            piapi_video(path, DISK, "video"),
            Mistake(UPSCALER, {"video": path}, (DISK, "video")),
        )
    ],
    *[
        mistake
        for url, found in SCHEMES.items()
        for mistake in (
            vicsee({"video_url": url}, f"video_url: found {found}, expected an http(s) URL"),
            venice({**TOPAZ, "video_url": url}, f"video_url: found {found}, expected an http(s) U"),
            piapi_video(
                url, f"video: {found}: its scheme is {url.partition(':')[0]}, expected http, https"
            ),
            Mistake(UPSCALER, {"video": url}, (f"video: found {found}, expected an http(s) URL",)),
            upload(file(url), f"file_data: {found}: its scheme is", "expected base64, bare or in"),
        )
    ],
    venice(
        {**TOPAZ, "video_url": "data:video/mp4;base64;codecs=avc1,AAAA"},
        ';base64 is followed by "codecs=avc1"',
    ),
    venice({**TOPAZ, "video_url": "data:image/png;base64,AAAA"}, '"image/png"'),
    *(
        venice(
            {**TOPAZ, "video_url": source}, "or a data URL such as data:video/mp4;base64,<content>"
        )
        for source in ("AAAAIGZ0eXBpc29t", "file:///home/me/a.mp4", "/home/me/a.mp4", "ftp://h/a")
    ),
    piapi_video('data:video/mp4;codecs="avc1,mp4a";base64,AAAA', "a comma inside codecs="),
    piapi_video("data:video/mp4;base64,A*AA", "data URL of 26 characters", '"*"'),
    vicsee({"video_url": "data:video/mp4;base64,AAAA"}, "a data URL", "expected an http(s) URL"),
    vicsee({"video_url": f" {URL}"}, f'the URL "{URL}", with white space before it, expected'),
    Mistake(UPSCALER, {"video": "data:video/mp4;base64,AAAA"}, ("a data URL",)),
    # uploads
    upload(file(BIG), "file_data: found 10485761 bytes when decoded", "at most 10485760"),
    upload(file("A*AA"), "file_data", '"*" at character 2'),
    upload(file("AAAA", "a.exe"), 'file_name: found the text "a.exe"', "mp4"),
    upload(file("AAAA", 1), "file_name: found the number 1"),
    upload({"file_name": "a.mp4"}, "file_data: found nothing"),
    upload(file("AAAA", f"{'a' * 200}.mp4"), "file_name: found 204 characters"),
    upload(file("data:image/png;base64,AAAA"), '"image/png"', "video/mp4", ".mp4"),
    upload([], "body: found an empty list"),
    Mistake(
        "POST vicsee/api/v1/upload",
        {"contentType": "text/html", "sizeBytes": 1},
        ('contentType: found the text "text/html"',),
    ),
    Mistake(
        "POST vicsee/api/v1/upload",
        {"contentType": "video/mp4", "sizeBytes": "9"},
        ('sizeBytes: found the text "9"',),
    ),
    Mistake("POST wavespeed/api/v3/media/upload/binary", b"x", ("Content-Type: found",), PLAIN),
    Mistake(
        "POST wavespeed/api/v3/media/upload/binary",
        b"x",
        ("Content-Type: found", "boundary"),
        {"Content-Type": "multipart/form-data"},
    ),
    Mistake(
        "POST wavespeed/api/v3/media/upload/binary",
        b"x",
        ("no part named file",),
        {"Content-Type": "multipart/form-data; boundary=b"},
    ),
    Mistake(
        "POST wavespeed/api/v3/media/upload/binary",
        b'--b\r\nContent-Disposition: form-data; name="video"\r\n\r\nx\r\n--b--\r\n',
        ('form: found parts named "video", expected a part named file',),
        {"Content-Type": "multipart/form-data; boundary=b"},
    ),
    # headers that an accepted request has
    Mistake(
        "GET piapi/account/info",
        None,
        ("X-Api-Key: the word Bearer is taken as part of the key; send the key alone",),
        {"x-api-key": "Bearer k"},
    ),
    vicsee(
        json.dumps({"video_url": URL}).encode(),
        'Content-Encoding: found "gzip"',
        "the body came uncompressed and was read",
        headers=GZIP,
    ),
    # ids, paths, methods, queries
    Mistake("GET vicsee/api/v1/tasks/none", None, ('found the text "none"',)),
    Mistake("GET piapi/api/v1/task/none", None, ('task_id: found the text "none"',)),
    Mistake("GET wavespeed/api/v3/predictions/none/result", None, ('found the text "none"',)),
    Mistake(
        "POST venice/guide/api/v1/video/retrieve",
        {**TOPAZ, "queue_id": "none"},
        ('queue_id: found the text "none"',),
    ),
    Mistake("GET vicsee/api/v1/nothing", None, ('path: found "/api/v1/nothing"',)),
    Mistake("PATCH vicsee/api/v1/credits", None, ('method: found "PATCH"', "expected GET")),
    Mistake(
        "GET piapi/api/open/tasks/histories?page=x", None, ('query: page: found the text "x"',)
    ),
    Mistake(
        "GET venice/api/v1/billing/usage-history?pageSize=0",
        None,
        ('pageSize: found the text "0"',),
    ),
    # keys
    vicsee({"video_url": URL}, "Authorization: no header came", headers={"Authorization": None}),
    vicsee(
        {"video_url": URL},
        "Authorization: the scheme is Basic",
        "Authorization: Bearer <key>",
        headers={"Authorization": f"Basic {SECRET}"},
    ),
    vicsee(
        {"video_url": URL},
        "there is no scheme Bearer before the key",
        headers={"Authorization": SECRET},
    ),
    vicsee({"video_url": URL}, "no key follows Bearer", headers={"Authorization": "Bearer"}),
    piapi(PIAPI, "X-Api-Key: no header came", headers={"x-api-key": None}),
    piapi(
        PIAPI,
        "X-Api-Key: no header came, but Authorization did",
        headers={"x-api-key": None, "Authorization": f"Bearer {SECRET}"},
    ),
    Mistake(
        "POST venice/liev/api/v1/video/queue",
        {},
        ("; did you mean /live/api/v1/video/queue?",),
    ),
    Mistake("GET venice/liev", None, ("nothing is served; did you mean /live?",)),
    Mistake(
        "GET venice/__sim/health",
        None,
        ("; the admin API is below /__sim at the server's root, not below a provider",),
    ),
    # options of a body whose model is missing or unknown
    *(
        mistake
        for model in ({}, {"model": "other"}, {"model": 5})
        for mistake in (
            Mistake(
                "POST vicsee/api/v1/generate",
                {**model, "upscale_factor": "2"},
                ("; upscale_factor is not read; did you mean input.upscale_factor?",),
            ),
            venice(
                {**model, "upscale_facter": 2},
                "; upscale_facter is not read; did you mean upscale_factor?",
            ),
        )
    ),
    # places and types in full
    Mistake(
        "POST vicsee/api/v1/generate",
        {"model": "topaz-video-upscale", "video_url": URL},
        ("input: found nothing", "; video_url is not read; did you mean input.video_url"),
    ),
    Mistake(
        "POST vicsee/api/v1/generate",
        {"model": "topaz-video-upscale", "input": {"video_url": URL, "upscale_factor": 2}},
        ('input.upscale_factor: found the number 2, expected the text "2"',),
    ),
    Mistake(
        "POST vicsee/api/v1/upload",
        {"contentType": "text/plain", "sizeBytes": 1},
        ('contentType: found the text "text/plain", expected the text ', '"video/mp4"'),
    ),
    Mistake(
        "POST piapi/api/v1/task",
        {**PIAPI, "input": {"video": URL}, "config": {"webhook_config": {"endpoint": 5}}},
        ("config.webhook_config.endpoint: found the number 5, expected a text",),
    ),
    Mistake(
        "POST piapi/api/v1/task",
        {**PIAPI, "input": {"video": URL}, "config": {"webhook_config": []}},
        ("config.webhook_config: found an empty list, expected an object",),
    ),
    Mistake(
        "POST piapi/api/v1/task",
        {**PIAPI, "input": {"video": URL}, "config": {"webhook_config": {"url": URL}}},
        ("config.webhook_config.url is not read; here are read: ", "webhook_config.endpoint"),
    ),
    Mistake(
        "POST wavespeed/api/v3/wavespeed-ai/video-upscaler",
        {"video": ""},
        ("video: found an empty text, expected a string that is not empty",),
    ),
    Mistake(
        "POST wavespeed/api/v3/media/uploads",
        {"filename": "clip.txt", "size": 3, "content_type": "text/plain"},
        ('filename: found content type "text/plain" and name "clip.txt"',),
    ),
    # base URLs that are wrong
    *(
        Mistake(call, None, (f"where nothing is served{hint}",))
        for call, hint in {
            "POST venice/video/queue": "; did you mean /api/v1/video/queue?",
            "POST venice/api/v1/api/v1/video/queue": "; did you mean /api/v1/video/queue?",
            "POST venice/queue": "; did you mean /api/v1/video/queue?",
            "GET venice/live/billing/balance": "; did you mean /api/v1/billing/balance?",
            "POST venice/": "; this is the base URL: requests go to paths below it",
            "GET vicsee": "; this is the base URL: requests go to paths below it",
            "GET venice/api/v1": "; did you mean /api/v1/billing/balance?",
            "POST wavespeed/api": "; did you mean /api/v3/wavespeed-ai/video-upscaler?",
            "GET wavespeed/api/v2": "; did you mean /api/v3/predictions/{id}/result?",
            "POST piapi/api": "; did you mean /api/v1/task?",
            "POST venice/live/api": "; did you mean /api/v1/video/queue?",
            "POST venice/https://api.venice.ai": "; did you mean /api/v1/video/queue?",
            "POST venice/api.venice.ai/api/v1": "; did you mean /api/v1/video/queue?",
            "GET venice/https://api.wavespeed.ai/api/v3/balance": (
                "; did you mean /api/v1/billing/balance?; wavespeed has this path"
            ),
            "POST vicsee/tools/upscale-video": "; did you mean /api/v1/tools/upscale-video?",
            "GET vicsee/api/v1/credits/": "; did you mean /api/v1/credits?",
            "GET vicsee/api/v1//credits": "; did you mean /api/v1/credits?",
            "GET vicsee/auto/api/v1/credits": "; did you mean /api/v1/credits?",
            "GET vicsee/tasks/some-id": "; did you mean /api/v1/tasks/{id}?",
            "GET vicsee/tasks/some-id/download": "; did you mean /api/v1/tasks/{id}/download?",
            "GET vicsee/api/v1/credit": "; did you mean /api/v1/credits?",
            "POST wavespeed/wavespeed-ai/video-upscaler": (
                "; did you mean /api/v3/wavespeed-ai/video-upscaler?"
            ),
            "GET wavespeed/v3/balance": "; did you mean /api/v3/balance?",
            "GET wavespeed/predictions/some-id/result": (
                "; did you mean /api/v3/predictions/{id}/result?"
            ),
            "GET wavespeed/api/v3/balances": "; did you mean /api/v3/balance?",
            "GET wavespeed/api/v2/balances": "; did you mean /api/v3/balance?",
            "GET wavespeed/api/v3/prediction/abc": "; did you mean /api/v3/predictions/{id}?",
            "GET wavespeed/api/v3/api/v3/balance": "; did you mean /api/v3/balance?",
            "GET vicsee/api/v1/tasks": "; did you mean /api/v1/tasks/{id}?",
            "POST piapi/task": "; did you mean /api/v1/task?",
            "GET piapi/task/some-id": "; did you mean /api/v1/task/{id}?",
            "GET piapi/api/v1/account/info": "; did you mean /account/info?",
            "POST venice/api/v1/video": "; did you mean /api/v1/video/retrieve?",
            "POST venice/api/v1/video/queu": "; did you mean /api/v1/video/queue?",
            "POST venice/api/v1/video/status": "; did you mean /api/v1/video/retrieve?",
            "PUT vicsee/api/v3/runwayml/upscale-v1": "; wavespeed has this path",
            "POST venice/api/v1/task": "; piapi has this path",
            "POST venice/live/api/v1/upload": "; vicsee has this path",
            "GET venice/api/v1/task": "; piapi has this path",
            "POST piapi/api/v1/tools/upscale-video": "; vicsee has this path",
            "POST piapi/api/v1/video/queue": "; venice has this path",
            "GET piapi/api/v1/tasks/abc": "; did you mean /api/v1/task/{id}?; vicsee has this path",
            "POST vicsee/api/v1/task": "; did you mean /api/v1/tasks/{id}?; piapi has this path",
            "POST vicsee/api/v3/runwayml/upscale-v1": "; wavespeed has this path",
        }.items()
    ),
    *(
        Mistake(f"POST wavespeed/{path}", {"video": URL}, ("model in the path: ", f"; {hint}"))
        for path, hint in {
            "api/v3/api/v3/wavespeed-ai/video-upscaler": (
                "did you mean /api/v3/wavespeed-ai/video-upscaler?"
            ),
            "api/v2/api/v3/wavespeed-ai/video-upscaler": (
                "did you mean /api/v3/wavespeed-ai/video-upscaler?"
            ),
            "api/v3/media/upload": "did you mean /api/v3/media/upload/binary?",
            "api/v3/wavespeed-ai/video-upscale": (
                "did you mean /api/v3/wavespeed-ai/video-upscaler?"
            ),
        }.items()
    ),
    *(
        Mistake(call, None, (f"method: found {call.split()[0]!a}".replace("'", '"'), said))
        for call, said in {
            "POST piapi/api/v1/tasks": "expected DELETE; did you mean POST /api/v1/task?",
            "GET piapi/api/v1/task": "expected POST; did you mean GET /api/v1/task/{id}?",
            "PUT piapi/api/v1/task": "expected POST",
        }.items()
    ),
    piapi(PIAPI, "X-Api-Key: its value is empty", headers={"x-api-key": " "}),
]


@dataclass
class Seen:
    """What a simulator tells its developer of the last request."""

    sim: Simulator
    exchanges: list[tuple[Record, str]]

    @property
    def cause(self) -> str:
        """Return the sentence of the journal."""
        return cause_of(self.exchanges[-1][0]) or ""

    @property
    def line(self) -> str:
        """Return the line of the log."""
        return self.exchanges[-1][1]


@pytest.fixture
def seen() -> Iterator[Seen]:
    """Return a simulator with its log."""
    with Simulator(clock="manual", seed=1) as sim:
        yield watched(sim)


def watched(sim: Simulator) -> Seen:
    """Keep each exchange with its log line."""
    found: list[tuple[Record, str]] = []
    sim.app.dispatch.observers.append(
        lambda box, one: found.append((one, line_of(box, one, job_of(box, one), day="")))
    )
    return Seen(sim, found)


def send(sim: Simulator, mistake: Mistake) -> httpx.Response:
    """Send a mistake with a key."""
    method, _, rest = mistake.call.partition(" ")
    provider, _, path = rest.partition("/")
    auth: Auth = sim.app.registry.library.baseline(provider).baseline.auth
    headers: dict[str, str | None] = {auth.header: f"{auth.scheme} a-key".strip()}
    if isinstance(mistake.body, bytes):
        content = mistake.body
        headers["Content-Type"] = "application/json"
    else:
        content = b"" if mistake.body is None else json.dumps(mistake.body).encode()
        headers["Content-Type"] = "application/json" if content else None
    lowered = {name.lower(): value for name, value in headers.items()}
    lowered |= {name.lower(): value for name, value in mistake.headers.items()}
    sent = {name: value for name, value in lowered.items() if value is not None}
    with httpx.Client(transport=sim.transport()) as http:
        return http.request(
            method, f"{sim.base_url(provider)}/{path}", content=content, headers=sent
        )


@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{n} {m}" for n, m in enumerate(MISTAKES)])
def test_the_cause_is_named(seen: Seen, mistake: Mistake) -> None:
    """The cause has the field or header and the found value, and never a secret."""
    response = send(seen.sim, mistake)
    for words in mistake.says:
        assert words in seen.cause
    shown = seen.line
    assert seen.cause[:200] in shown
    assert SECRET not in seen.cause + shown
    assert seen.cause not in response.text
    assert len(seen.cause) <= MAX_CAUSE_LENGTH
    assert seen.cause.isprintable()


@pytest.mark.parametrize("model", [{}, {"model": "other"}, {"model": 5}], ids=str)
def test_options_of_any_model_are_read_if_the_model_is_unknown(
    seen: Seen, model: Mapping[str, object]
) -> None:
    """A missing, unknown or invalid `model` does not make valid fields unread."""
    fields = {"video_url": URL, "upscale_factor": 2, "resolution": "4k"}
    quoted = {"upscale_factor": 2, "resolution": "4k", "duration": "10s"}
    for mistake in (
        venice({**model, **fields}),
        Mistake("POST venice/guide/api/v1/video/quote", {**model, **quoted}),
        Mistake(
            "POST vicsee/api/v1/generate",
            {**model, "input": {"video_url": URL, "upscale_factor": "2"}},
        ),
    ):
        send(seen.sim, mistake)
        assert seen.cause.startswith("model: found"), mistake
        assert "is not read" not in seen.cause, mistake


def test_a_compressed_body_has_one_cause(seen: Seen) -> None:
    """The cause of a refused compressed body names the compression alone."""
    for mistake in (vicsee(ZIPPED, headers=GZIP), venice(ZIPPED, headers=GZIP)):
        send(seen.sim, mistake)
        assert "send JSON uncompressed" in seen.cause
        assert "was read" not in seen.line


def test_a_ticket_without_its_file_has_its_own_cause(seen: Seen) -> None:
    """The cause says that the ticket has no file yet; a size in the link is no secret."""
    call, ticket = (
        "POST vicsee/api/v1/tools/upscale-video",
        {"contentType": "video/mp4", "sizeBytes": 4},
    )
    made = send(seen.sim, Mistake("POST vicsee/api/v1/upload", ticket, ())).json()["data"]
    link = next(url for url in made.values() if "/media/uploads/" in str(url) and "sig=" not in url)
    send(seen.sim, Mistake(call, {"video_url": link}, ()))
    assert seen.cause.endswith(
        "ticket was given for this upload, but nothing was PUT to its URL yet"
    )

    odd = f"{LOCAL}/media/synthetic/1x1_30fps_1s.mp4?bytes=5"
    send(seen.sim, Mistake(call, {"video_url": odd}, ()))
    assert "1s.mp4?bytes=5" in seen.cause


def test_a_pattern_of_any_model_is_no_path(seen: Seen) -> None:
    """WaveSpeed takes any model name, so only an existing model makes a path known.

    An operation that only words a refusal has no path either.
    """
    for call, end in {
        "POST venice/api/v2/video/queue": "; did you mean /api/v1/video/queue?",
        "POST vicsee/api/v3/runwayml/upscale-v2": " is served",
        "GET venice/api/v3/some/thing": " is served",
    }.items():
        send(seen.sim, Mistake(call, None, ()))
        assert seen.cause.endswith(end), call


@pytest.mark.parametrize("submit", SUBMITS)
def test_every_mistake_of_the_contracts_has_a_cause(seen: Seen, submit: Submit) -> None:
    """Each refused mistake in the tables has a cause, for every clip."""
    with httpx.Client(transport=seen.sim.transport()) as http:
        root = LOCAL
        target = Target("sim", submit.provider, root, http, SpendingBudget(None), simulator=True)

        @settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
        @given(clips(short(submit.clips)))
        def prove(clip: ClipProperties) -> None:
            for flaw in submit.flaws:
                with target.world(TargetSettings(balance=AMPLE)) as world:
                    price = pricer(submit.provider)
                    account = CheckedAccount(
                        table_of(submit.provider), target, world=world, price=price
                    )
                    account.wrong(submit, clip, flaw)
                    exchange = seen.exchanges[-1][0]
                    if exchange.status >= 400:
                        assert seen.cause, flaw.name
                        assert ": " in seen.cause, flaw.name

        prove()


def test_the_admin_api_shows_the_cause(seen: Seen) -> None:
    """`why` of a request has the cause beside the compared values."""
    send(seen.sim, vicsee({"video_url": URL, "upscale_factor": 2}))
    with httpx.Client(transport=seen.sim.transport()) as http:
        found = http.get(f"{LOCAL}/__sim/sandboxes/default/journal").json()["exchanges"][-1]
    assert 'upscale_factor: found the number 2, expected the text "2"' == found["why"]["cause"]
    assert {"allowed": "1, 2, 4", "found": "2"} == found["why"]["compared"]


@pytest.fixture
def redirecting() -> Iterator[str]:
    """Return the URL of a server that redirects."""

    class Redirects(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:9/b.mp4?token={SECRET}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Redirects)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/a.mp4"
    server.shutdown()
    thread.join()
    server.server_close()


def test_redirect_is_named(seen: Seen, redirecting: str) -> None:
    """The cause of a redirecting URL has the target without its query; it is not followed."""
    send(seen.sim, piapi_video(redirecting))
    assert "redirected to http://127.0.0.1:9/b.mp4" in seen.cause
    assert "redirects are not followed" in seen.cause
    assert SECRET not in seen.cause + seen.line


FRAMEWORK = {"internal", "unavailable", "retired"}
"""Refusals that are no mistake of a client."""


def test_every_violation_of_the_source_has_a_cause() -> None:
    """Every violation in the source has a cause, except injected and internal errors."""
    root = Path(upsim.__file__).parent
    silent = [
        f"{path.relative_to(root)}:{node.lineno}"
        for path in sorted(root.glob("**/*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Violation"
        if not any(keyword.arg == "cause" for keyword in node.keywords)
        if not (isinstance(node.args[0], ast.Constant) and node.args[0].value in FRAMEWORK)
    ]
    injected = [
        place for place in silent if not place.startswith(("web/faulty_responses.py", OPERATIONS))
    ]
    assert [] == injected


OPERATIONS = "providers/wavespeed/operations.py"
"""A request that was held until its time ran out is no mistake of the client."""


@pytest.mark.parametrize(
    "call", ["GET venice/video/nothing", "GET piapi/some-id", "GET venice//x", "GET vicsee/a/v1"]
)
def test_path_without_a_near_one_gets_no_hint(seen: Seen, call: str) -> None:
    """A segment that resembles a dialect by chance, or a parameter alone, gives no hint."""
    send(seen.sim, Mistake(call))
    assert seen.cause.endswith("where nothing is served")


UNREAD: dict[str, list[tuple[Mapping[str, object], str]]] = {
    UPSCALER: [
        ({"video": URL, "resolution": "4k"}, "resolution is not read; did you mean target_resol"),
        ({"video_url": URL}, "video: found nothing, expected a string; video_url is not read; d"),
        ({"input": {"video": URL}}, "; input.video came, but fields belong at the top: send video"),
        ({"video": URL, "a": 1, "b": 1, "c": 1, "d": 1}, "b is not read; c is not read; …"),
        ({"video": URL, "webhook": URL}, "webhook in the body is not read; give it in the query"),
        (
            {"video": URL, "webhook_url": URL},
            "webhook_url has no effect: give the URL in the query, as ?webhook=…",
        ),
    ],
    "POST wavespeed/api/v3/runwayml/upscale-v1": [
        ({"video": URL, "target_resolution": "4k"}, "target_resolution is not read"),
    ],
    "POST wavespeed/api/v3/model/price": [
        (
            {"model_id": "wavespeed-ai/video-upscaler", "inputs": {"video": URL, "target": "4k"}},
            "inputs.target is not read; did you mean inputs.target_resolution?",
        ),
    ],
    "POST venice/api/v1/video/queue": [
        ({**TOPAZ, "video_url": URL, "factor": 4}, "factor is not read; did you mean upscale_fac"),
        (
            {**TOPAZ, "input": {"video_url": URL, "upscale_factor": 2}},
            "input.video_url, input.upscale_factor came, but fields belong at the top: send video_",
        ),
        ({**TOPAZ, "url": URL}, "url is not read; did you mean video_url?"),
        ({**TOPAZ, "video_url": URL, "scale \u001b[1m": 4}, '"scale \\u001b[1m" is not read'),
    ],
    "POST venice/api/v1/video/quote": [
        ({**TOPAZ, "video_url": URL, "scale": 4}, "scale is not read; did you mean upscale_facto"),
    ],
    "POST vicsee/api/v1/tools/upscale-video": [
        (
            {"input": {"video_url": URL, "upscale_factor": "2"}},
            "; input.video_url, input.upscale_factor came, but fields belong at the top: send vide",
        ),
        ({"video_url": URL, "factor": "4"}, "factor is not read; did you mean upscale_factor?"),
    ],
    "POST vicsee/api/v1/generate": [
        (
            {**TOPAZ, "input": {"video_url": URL, "upscaleFactor": "4"}},
            "input.upscaleFactor is not read; did you mean input.upscale_factor?",
        ),
        ({**TOPAZ, "video_url": URL}, "video_url is not read; did you mean input.video_url?"),
        (
            {**TOPAZ, "input": {"video_url": URL}, "upscale_factor": "4"},
            "upscale_factor is not read; did you mean input.upscale_factor?",
        ),
    ],
    "POST vicsee/api/v1/upload": [
        ({"content_type": "video/mp4", "sizeBytes": 9}, "content_type is not read; did you mean c"),
        ({"contentType": "video/mp4", "sizeBytes": 9, "size": 9}, "size is not read; did you mea"),
    ],
    "POST wavespeed/api/v3/media/uploads": [
        ({"file_name": "a.mp4", "size": 9}, "file_name is not read; did you mean filename?"),
    ],
    "POST wavespeed/api/v3/predictions": [
        ({"page": 1, "page_size": 9, "pagesize": 9}, "pagesize is not read; did you mean page_siz"),
    ],
    "POST wavespeed/api/v3/predictions/delete": [({"id": ["a"]}, "id is not read; did you mean")],
    "POST wavespeed/api/v3/user/usage_stats": [({"start": 1}, "start is not read; did you mean")],
    "POST wavespeed/api/v3/billings/search": [({"sorted": 1}, "sorted is not read; did you mean")],
    "POST piapi/api/ephemeral_resource": [
        ({"filename": "a.mp4", "file_data": "AAAA"}, "filename is not read; did you mean file_na"),
    ],
    f"{UPSCALER}?webhok=https%3A%2F%2Fa.example": [
        ({"video": URL}, "webhok in the query is not read; did you mean webhook?"),
        ({"video": URL, "a": 1}, "a is not read; webhok in the query is not read"),
    ],
    "POST vicsee/api/v1/tools/upscale-video?video_url=x": [
        ({"video_url": URL}, "video_url in the query is not read"),
    ],
    "GET vicsee/api/v1/models?typ=video": [
        ({}, "typ in the query is not read; did you mean type?"),
    ],
    "GET piapi/api/open/tasks/histories?pagesize=3": [
        ({}, "pagesize in the query is not read; did you mean page_size?"),
    ],
    "DELETE piapi/api/v1/tasks?created_befor=3": [
        ({}, "created_befor in the query is not read; did you mean created_before?"),
    ],
    "POST piapi/api/v1/task": [
        ({**PIAPI, "input": None, "video": URL}, "; video is not read; did you mean input.video?"),
        ({**PIAPI, "input": {"video_url": URL}}, "input.video_url is not read; did you mean inp"),
        (
            {**PIAPI, "input": {"video": URL}, "webhook_config": {"endpoint": URL}},
            "webhook_config is not read; did you mean config.webhook_config?",
        ),
    ],
}


@pytest.mark.parametrize("call", UNREAD)
def test_unread_field_is_named_with_the_nearest_field(seen: Seen, call: str) -> None:
    """The log line and the cause name an unread field, also for an accepted request."""
    for body, says in UNREAD[call]:
        response = send(seen.sim, Mistake(call, body))
        assert says in seen.cause, body
        assert seen.cause in seen.line
        assert "not read" not in response.text


@pytest.mark.parametrize(
    ("call", "body"),
    [
        (UPSCALER, {"video": URL, "target_resolution": "4k", "copy_audio": True}),
        ("POST venice/api/v1/video/queue", {**TOPAZ, "video_url": URL, "upscale_factor": 4}),
        ("POST vicsee/api/v1/tools/upscale-video", {"video_url": URL, "upscale_factor": "4"}),
        ("POST vicsee/api/v1/generate", {**TOPAZ, "input": {"video_url": URL}}),
        (
            "POST piapi/api/v1/task",
            {**PIAPI, "input": {"video": URL}, "config": {"webhook_config": {"endpoint": ""}}},
        ),
    ],
)
def test_request_whose_fields_are_all_read_has_no_cause(
    seen: Seen, call: str, body: Mapping[str, object]
) -> None:
    """A body in which every field counts has no cause."""
    assert 200 == send(seen.sim, Mistake(call, body)).status_code
    assert seen.cause == ""


def test_refused_key_has_its_owner_in_the_cause(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cause names the owner of a key of another sandbox or provider, and never the key."""
    admin = httpx.Client(transport=seen.sim.transport(), base_url="http://localhost/__sim")
    keys = {
        name: admin.post("/sandboxes", json={"id": name}).json()["keys"]
        for name in ("gone", "one", "two")
    }
    admin.delete("/sandboxes/gone")
    outside = "/vicsee/api/v1/credits"
    inside = "/sandbox/one/vicsee/api/v1/credits"
    cases = [
        (outside, keys["gone"]["vicsee"], "it is a key of the deleted sandbox 'gone'"),
        (inside, keys["two"]["vicsee"], "it is a key of sandbox 'two'"),
        (inside, keys["one"]["piapi"], "it is a key of piapi of sandbox 'one'"),
        (inside, keys["gone"]["piapi"], "it is a key of piapi of the deleted sandbox 'gone'"),
        (inside, "sk-other", "the key was not issued, and keys are strict"),
    ]
    for path, key, says in cases:
        url = f"http://localhost{path}"
        answer = admin.get(url, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 401
        assert f"Authorization: {says}; expected a key of a sandbox" in seen.cause
        assert seen.cause in seen.line
        assert key not in seen.line

    monkeypatch.setattr("upsim.engine.unissued_keys.MAX_ACCOUNTS", 0)
    admin.get(f"http://localhost{outside}", headers={"Authorization": "Bearer another"})
    assert "sandbox 'default' has its most accounts, 0;" in seen.cause


@pytest.mark.parametrize("operation", ["retrieve", "complete"])
def test_wrong_model_of_an_own_job_is_named(seen: Seen, operation: str) -> None:
    """The cause names the model that was sent and that of the job, not the right `queue_id`."""
    made = send(seen.sim, Mistake("POST venice/api/v1/video/queue", {**TOPAZ, "video_url": URL}))
    job = made.json()["queue_id"]
    body = {"queue_id": job, "model": "topaz-video-upscal"}
    answer = send(seen.sim, Mistake(f"POST venice/api/v1/video/{operation}", body))
    expected = f'expected the text "topaz-video-upscale", the model of job {job}'

    assert answer.status_code == 400
    assert seen.cause == f'model: found the text "topaz-video-upscal", {expected}'
    assert seen.cause in seen.line


SUBMITTED: dict[str, tuple[str, dict[str, object], str]] = {
    "wavespeed": ("/api/v3/wavespeed-ai/video-upscaler", {"video": URL}, "data.id"),
    "venice": ("/api/v1/video/queue", {**TOPAZ, "video_url": URL}, "queue_id"),
    "piapi": ("/api/v1/task", {**PIAPI, "input": {"video": URL}}, "data.task_id"),
    "vicsee": ("/api/v1/tools/upscale-video", {"video_url": URL}, "data.id"),
}
POLLS = {
    "wavespeed": "GET wavespeed/api/v3/predictions/{}/result",
    "venice": "POST venice/api/v1/video/retrieve",
    "piapi": "GET piapi/api/v1/task/{}",
    "vicsee": "GET vicsee/api/v1/tasks/{}",
}


@pytest.mark.parametrize("provider", POLLS)
@pytest.mark.parametrize("owner", SUBMITTED)
def test_poll_of_a_foreign_job_has_its_owner_in_the_cause(
    seen: Seen, provider: str, owner: str
) -> None:
    """Log and cause name the owner of the job; the client gets the response for an unknown id."""
    path, body, place = SUBMITTED[owner]
    auth: Auth = seen.sim.app.registry.library.baseline(owner).baseline.auth
    another = {auth.header: f"{auth.scheme} another-key".strip()}
    made = send(seen.sim, Mistake(f"POST {owner}{path}", body, headers=another)).json()
    for name in place.split("."):
        made = made[name]
    document = {**TOPAZ, "queue_id": made} if provider == "venice" else None
    response = send(seen.sim, Mistake(POLLS[provider].format(made), document))

    expected = f"it is a job of {owner}, not of {provider}"
    if provider == owner:
        expected = "another account" if provider == "vicsee" else "it is a job of another key"
    assert expected in seen.cause
    assert seen.cause not in response.text


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("example.com/clip.mp4", 'has no scheme ("https://example.com/clip.mp4"?)'),
        ("127.0.0.1:4747/media/a.mp4", 'has no scheme ("https://127.0.0.1:4747/media/a.mp4"?)'),
        ("localhost/a.mp4", "has no scheme"),
        ("clips/a.mp4", DISK),
        ("./example.com/a.mp4", DISK),
        ("clip.mp4", DISK),
    ],
)
def test_url_without_a_scheme_is_no_file(seen: Seen, source: str, said: str) -> None:
    """A name with a dot, or an address, before the first slash is a host."""
    send(seen.sim, vicsee({"video_url": source}, said))
    assert said in seen.cause


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("localhost:9/hook", "it lacks http://: give http://localhost:9/hook"),
        (f"hooks.example/a?key={SECRET}", "it lacks https://: give https://hooks.example/a"),
        ("ftp://hooks.example/a", "it is not http(s)://host[:port][/path]"),
        ("http://127.0.0.1:99999/a", "the port '99999' is not a plain number from 1 to 65535"),
        ("http://127.0.0.1:9/hook", ""),
    ],
)
@pytest.mark.parametrize("provider", ["wavespeed", "piapi"])
def test_webhook_url_is_checked_at_the_submit(
    seen: Seen, provider: str, url: str, says: str
) -> None:
    """The job is accepted like at the provider; journal and log say why no webhook will be sent."""
    hook = {"config": {"webhook_config": {"endpoint": url, "secret": "s"}}}
    submit = {
        "wavespeed": Mistake(
            f"{UPSCALER}?webhook={quote(url, safe='')}", {"video": URL, "target_resolution": "4k"}
        ),
        "piapi": piapi({**PIAPI, "input": {"video": URL}, **hook}),
    }[provider]
    assert send(seen.sim, submit).status_code == 200
    assert ("nothing can be posted" in seen.cause) is bool(says)
    assert says in seen.cause
    assert seen.cause in seen.line
    assert SECRET not in seen.cause + seen.line
