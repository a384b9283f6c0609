"""The load: workers that submit, poll, cancel, upload, move clocks and change sandboxes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from urllib.parse import urlsplit

from .raw_http import LOST, Connection, Request, Response, json_request
from .record import Box, Record, Submit
from .server import admin_headers

CONNECTIONS = 32
KEYS_OF_CALLERS = {"wavespeed": "{}", "venice": "{}", "piapi": "{}", "vicsee": "sk-{}"}
PRICES: Mapping[str, Mapping[str, str]] = {
    "wavespeed": {"720p": "0.06", "1080p": "0.06", "2k": "0.12", "4k": "0.24"},
    "venice": {"1": "0.13", "2": "1", "4": "1"},
    "piapi": {"": "180000"},
    "vicsee": {"1": "144", "2": "144", "4": "252"},
}
"""What the default clip of each provider costs, by option."""
PATHS = {
    "wavespeed": "/wavespeed/api/v3/wavespeed-ai/video-upscaler",
    "venice": "/venice/api/v1/video/queue",
    "piapi": "/piapi/api/v1/task",
    "vicsee": "/vicsee/api/v1/tools/upscale-video",
}
BALANCES = {
    "wavespeed": "/wavespeed/api/v3/balance",
    "venice": "/venice/api/v1/billing/balance",
    "piapi": "/piapi/account/info",
    "vicsee": "/vicsee/api/v1/credits",
}
VENICE = "topaz-video-upscale"
INTERNAL = 500
MAX_UPLOADS = 2
"""Uploads of one worker in one life."""


def key_headers(provider: str, key: str) -> dict[str, str]:
    """Return the headers with a key, in the form of a provider."""
    return {"x-api-key": key} if provider == "piapi" else {"Authorization": f"Bearer {key}"}


@dataclass(slots=True)
class Job:
    """A job that a worker may still poll or end."""

    sandbox: str
    provider: str
    key: str
    id: str


@dataclass(slots=True)
class Worker:
    """One connection that sends requests, one after the other or several at once."""

    number: int
    record: Record
    random: Random
    hook: str
    jobs: list[Job] = field(default_factory=list)
    _own: Box | None = None
    _uploads: int = 0
    _count: int = 0
    _puts: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Signed targets whose file is still to be sent: target, place of the file, content."""

    async def run(self, base_url: str) -> None:
        """Send requests until the server dies."""
        try:
            connection = await Connection.open(base_url)
        except OSError:
            return
        self._uploads = 0
        self._puts.clear()
        try:
            while True:
                pause = self.random.choice((0.0, 0.0, 0.005, 0.02))
                await connection.send(self._next(), pause=pause)
        except LOST:
            connection.close()

    def _next(self) -> list[Request]:
        if self._puts:
            return [self._put(*self._puts.pop())]
        chosen = self.random.choices(
            (self._one, self._pipeline, self._end, self._upload, self._advance, self._admin),
            (40, 35, 12, 4, 4, 5),
        )[0]
        return chosen()

    def _pipeline(self) -> list[Request]:
        return [self._one()[0] for _ in range(self.random.randint(2, 6))]

    def _one(self) -> list[Request]:
        if self.jobs and self.random.random() < 0.4:
            return [self._poll(self.random.choice(self.jobs))]
        return [self._submit()]

    # -- the API of the providers

    def _where(self, provider: str) -> tuple[str, str]:
        """Return a sandbox and a key for it: of this worker's own, or an issued one."""
        made = [box for box in self.record.boxes.values() if box.status == "made" and box.keys]
        shared = [box for box in made if not box.name.startswith("own")]
        own = self._own
        if own is not None and own in made and self.random.random() < 0.2:
            return own.name, own.keys[provider]
        if shared and self.random.random() < 0.5:
            box = self.random.choice(shared)
            issued = [one[2] for one in self.record.keys if one[:2] == (box.name, provider)]
            return box.name, self.random.choice([box.keys[provider], *issued])
        return "default", KEYS_OF_CALLERS[provider].format(f"callers-own-key-{self.number}")

    def _submit(self) -> Request:
        provider = self.random.choice(list(PRICES))
        sandbox, key = self._where(provider)
        option = self.random.choice(list(PRICES[provider]))
        hooked = provider in ("wavespeed", "piapi") and self.random.random() < 0.5
        self._count += 1
        video = (
            f"https://example.com/{self.number}-{self._count}-{self.random.getrandbits(48):x}.mp4"
        )
        price = Decimal(PRICES[provider][option])
        submit = self.record.send(Submit(sandbox, provider, option, price, hooked, video))

        def on_response(response: Response) -> None:
            if self.record.expect(f"submit {provider}", response.status, response.body, 200):
                job, charged = _accepted(provider, response)
                self.record.accepted(submit, job, charged)
                self.record.key_of[sandbox, job] = key
                self.jobs.append(Job(sandbox, provider, key, job))

        path = PATHS[provider]
        if hooked and provider == "wavespeed":
            path = f"{path}?webhook={self.hook}"
        body = _body(provider, option, video, self.hook if hooked else "")
        headers = key_headers(provider, key)
        return json_request("POST", path, body, headers=headers, on_response=on_response)

    def _poll(self, job: Job) -> Request:
        def on_response(response: Response) -> None:
            self.record.expect(f"poll {job}", response.status, response.body, 200)
            if response.status == 200 and job.provider in ("wavespeed", "piapi"):
                status = response.json["data"]["status"]
                if status == "completed":
                    self.record.states[job.sandbox, job.id] = status

        headers = key_headers(job.provider, job.key)
        if job.provider == "venice":  # a poll of a finished job would send the video
            path, body = "/venice/api/v1/video/complete", {"model": VENICE, "queue_id": job.id}
            return json_request("POST", path, body, headers=headers, on_response=self._ended(job))
        paths = {
            "wavespeed": f"/wavespeed/api/v3/predictions/{job.id}/result",
            "piapi": f"/piapi/api/v1/task/{job.id}",
            "vicsee": f"/vicsee/api/v1/tasks/{job.id}",
        }
        return json_request("GET", paths[job.provider], headers=headers, on_response=on_response)

    def _end(self) -> list[Request]:
        """Cancel, delete or complete a job; it is not polled afterwards."""
        if not self.jobs:
            return [self._submit()]
        job = self.jobs.pop(self.random.randrange(len(self.jobs)))
        headers, said = key_headers(job.provider, job.key), self._ended(job)
        if job.provider == "wavespeed":
            path, value = "/wavespeed/api/v3/predictions/delete", {"ids": [job.id]}
            return [json_request("POST", path, value, headers=headers, on_response=said)]
        if job.provider == "piapi":
            path = f"/piapi/api/v1/task/{job.id}"
            return [json_request("DELETE", path, headers=headers, on_response=said)]
        return [self._poll(job)]

    def _ended(self, job: Job) -> Callable[[Response], None]:
        def on_response(response: Response) -> None:
            place = (job.sandbox, job.id)
            late = (400,) if job.provider == "piapi" else ()  # it had ended before
            self.record.expect(f"end {job}", response.status, response.body, 200, *late)
            if response.status != 200:
                return
            if job.provider == "wavespeed" and response.json["data"]["deleted_count"]:
                self.record.states[place] = "deleted"
            elif job.provider == "piapi":
                self.record.states[place] = "cancelled"
            elif job.provider == "venice" and response.json["success"]:
                self.record.marked.add(place)

        return on_response

    # -- uploads

    def _upload(self) -> list[Request]:
        if self._uploads >= MAX_UPLOADS:
            return self._one()
        self._uploads += 1
        data = self.random.randbytes(self.random.randint(1, 30_000))
        provider = self.random.choice(("wavespeed", "piapi", "vicsee"))
        headers = key_headers(provider, self._where(provider)[1])

        def on_response(response: Response) -> None:
            if not self.record.expect(f"upload {provider}", response.status, response.body, 200):
                return
            found = response.json["data"]
            if provider == "vicsee":
                self._puts.append((found["uploadUrl"], found["publicUrl"], data))
            else:
                url = found["download_url"] if provider == "wavespeed" else found["url"]
                self.record.uploads[urlsplit(url).path] = data

        if provider == "wavespeed":
            kind = {"Content-Type": "multipart/form-data; boundary=kills"}
            part = b'--kills\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n'
            body = part + b"Content-Type: video/mp4\r\n\r\n" + data + b"\r\n--kills--\r\n"
            path = "/wavespeed/api/v3/media/upload/binary"
            return [Request("POST", path, {**headers, **kind}, body, on_response)]
        path, value = "/vicsee/api/v1/upload", {"contentType": "video/mp4", "sizeBytes": len(data)}
        if provider == "piapi":
            path = "/piapi/api/ephemeral_resource"
            value = {"file_name": "a.mp4", "file_data": base64.b64encode(data).decode()}
        return [json_request("POST", path, value, headers=headers, on_response=on_response)]

    def _put(self, target: str, place: str, data: bytes) -> Request:
        """Return the request that sends a file to a signed target."""

        def on_response(response: Response) -> None:
            if self.record.expect(f"put {target}", response.status, response.body, 200):
                self.record.uploads[urlsplit(place).path] = data

        found = urlsplit(target)
        headers = {"Content-Type": "video/mp4"}
        return Request("PUT", f"{found.path}?{found.query}", headers, data, on_response)

    # -- the admin API

    def _advance(self) -> list[Request]:
        boxes = [box for box in self.record.boxes.values() if box.clock == "manual"]
        box = self.random.choice([box for box in boxes if box.name.startswith("manual")])
        seconds = self.random.randint(1, 20)
        box.sent += seconds

        def on_response(response: Response) -> None:
            # a graceful stop cancels an advance that takes longer than a second
            is_cut = response.status == INTERNAL and response.body == b"Internal Server Error"
            if not is_cut and self.record.expect("advance", response.status, response.body, 200):
                box.saw(response.json["now"])

        path = f"sandboxes/{box.name}/clock/advance"
        return [_admin("POST", path, {"seconds": seconds}, on_response)]

    def _admin(self) -> list[Request]:
        return [self.random.choice((self._clock, self._issue, self._make_or_delete))()]

    def _clock(self) -> Request:
        box = self.random.choice([self.record.boxes["default"], self.record.boxes["scaled"]])

        def on_response(response: Response) -> None:
            if self.record.expect("clock", response.status, response.body, 200):
                box.saw(response.json["now"])

        return _admin("GET", f"sandboxes/{box.name}/clock", None, on_response)

    def _issue(self) -> Request:
        name, provider = self.random.choice(("manual-1", "manual-2", "scaled")), "wavespeed"

        def on_response(response: Response) -> None:
            if self.record.expect("issue", response.status, response.body, 201):
                self.record.keys.append((name, provider, response.json["key"]))

        return _admin("POST", f"sandboxes/{name}/accounts/{provider}/keys", {}, on_response)

    def _make_or_delete(self) -> Request:
        """Make a sandbox of this worker's own, or delete it."""
        own = self._own
        if own is None or own.status != "made" or not own.keys:
            self._count += 1
            self._own = box = Box(f"own-{self.number}-{self._count}", "manual")
            return make(self.record, box)
        own.status = "deleting"
        self.jobs = [job for job in self.jobs if job.sandbox != own.name]

        def on_response(response: Response) -> None:
            if self.record.expect("delete", response.status, response.body, 200):
                own.status = "deleted"
                self.record.forget(own.name)

        return _admin("DELETE", f"sandboxes/{own.name}", None, on_response)


def make(record: Record, box: Box) -> Request:
    """Return a request that makes a sandbox."""
    record.boxes[box.name] = box

    def on_response(response: Response) -> None:
        if record.expect("make", response.status, response.body, 201):
            box.status, box.keys = "made", response.json["keys"]
            box.base = box.now = response.json["clock"]["now"]

    return _admin("POST", "sandboxes", {"id": box.name, "clock": box.clock}, on_response)


def _admin(
    method: str, path: str, value: object, on_response: Callable[[Response], None]
) -> Request:
    where = f"/__sim/{path}"
    return json_request(method, where, value, headers=admin_headers(), on_response=on_response)


def _body(provider: str, option: str, video: str, hook: str) -> dict[str, object]:
    if provider == "wavespeed":
        return {"video": video, "target_resolution": option}
    if provider == "venice":
        return {"model": VENICE, "video_url": video, "upscale_factor": int(option)}
    if provider == "vicsee":
        return {"video_url": video, "upscale_factor": option}
    config = {"webhook_config": {"endpoint": hook, "secret": "s"}} if hook else {}
    body = {"model": "Qubico/video-toolkit", "task_type": "upscale", "input": {"video": video}}
    return {**body, "config": config}


def _accepted(provider: str, response: Response) -> tuple[str, object]:
    """Return the id of a job, and its price if the response says it."""
    found = response.json
    if provider == "venice":
        return found["queue_id"], None
    data = found["data"]
    if provider == "piapi":
        return data["task_id"], data["meta"]["usage"]["consume"]
    return data["id"], data.get("creditsUsed")


async def load(workers: list[Worker], base_url: str) -> None:
    """Run all workers until the server dies."""
    await asyncio.gather(*(worker.run(base_url) for worker in workers))
