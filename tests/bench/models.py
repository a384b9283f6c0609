"""The submit and poll of each model, as they go over the wire."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

from .servers import Running, request

VIDEO = "https://example.com/input.mp4"
WAVESPEED = "/wavespeed/api/v3"
BEARER = "Authorization: Bearer sk-bench"


@dataclass(frozen=True, slots=True)
class Case:
    """One model; `{id}` in `poll` and its body is the job's id, found at `id_at` in the answer."""

    name: str
    submit: str
    body: dict[str, object]
    id_at: tuple[str, ...]
    poll: str
    poll_body: dict[str, object] | None = None
    key: str = BEARER

    def submit_request(self, server: Running) -> str:
        """The submit."""
        return request(server.base_url, "POST", self.submit, key=self.key, body=self.body)

    def fund(self, server: Running) -> None:
        """Give the account more money than a measurement can spend."""
        self.submit_once(server)
        provider = self.submit.split("/")[1]
        url = f"{server.base_url}/__sim/sandboxes/default/accounts/{provider}"
        headers = {"Content-Type": "application/json"}
        data = b'{"balance": "1000000000000"}'
        asked = urllib.request.Request(url, data, headers, method="PUT")
        urllib.request.urlopen(asked, timeout=10).close()

    def poll_requests(self, server: Running, ids: list[str]) -> list[str]:
        """A poll of each job."""
        method = "POST" if self.poll_body else "GET"
        return [
            request(
                server.base_url,
                method,
                self.poll.replace("{id}", job),
                key=self.key,
                body=json.loads(json.dumps(self.poll_body).replace("{id}", job)),
            )
            for job in ids
        ]

    def submit_once(self, server: Running) -> str:
        """Submit and return the job's id."""
        name, _, value = self.key.partition(": ")
        headers = {name: value, "Content-Type": "application/json"}
        data = json.dumps(self.body).encode()
        asked = urllib.request.Request(server.base_url + self.submit, data, headers)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            found: Any = json.load(answer)
        for part in self.id_at:
            found = found[part]
        return str(found)


CASES = (
    Case(
        "wavespeed video-upscaler",
        f"{WAVESPEED}/wavespeed-ai/video-upscaler",
        {"video": VIDEO, "target_resolution": "1080p"},
        ("data", "id"),
        f"{WAVESPEED}/predictions/{{id}}/result",
    ),
    Case(
        "wavespeed upscale-v1",
        f"{WAVESPEED}/runwayml/upscale-v1",
        {"video": VIDEO},
        ("data", "id"),
        f"{WAVESPEED}/predictions/{{id}}/result",
    ),
    Case(
        "venice topaz",
        "/venice/api/v1/video/queue",
        {"model": "topaz-video-upscale", "video_url": VIDEO, "upscale_factor": 2},
        ("queue_id",),
        "/venice/api/v1/video/retrieve",
        {"queue_id": "{id}"},
    ),
    Case(
        "piapi video-toolkit",
        "/piapi/api/v1/task",
        {"model": "Qubico/video-toolkit", "task_type": "upscale", "input": {"video": VIDEO}},
        ("task_id",),
        "/piapi/api/v1/task/{id}",
        key="x-api-key: bench",
    ),
    Case(
        "vicsee topaz",
        "/vicsee/api/v1/tools/upscale-video",
        {"video_url": VIDEO, "upscale_factor": "2"},
        ("data", "id"),
        "/vicsee/api/v1/tasks/{id}",
    ),
)
YARDSTICK = Case(
    "bare Starlette",
    "/jobs",
    {"video": VIDEO, "target_resolution": "1080p", "fps": 30},
    ("id",),
    "/jobs/{id}",
    key="X-Client: bench",
)
