"""Sample clients of VicSee: a careful one, and six that each make one common mistake."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import httpx

from upsim.testing.sandboxes import SandboxHandle

SUBMIT = "/api/v1/tools/upscale-video"
TASK = "/api/v1/tasks/{}"
TRIES = 5
SERVER_TROUBLE = 500
TOO_MANY = 429


class FailedError(Exception):
    """The job ended without a file, or its end is unknown."""


class Careful:
    """Repeats only free requests, reports failures, waits, and checks the length of files."""

    def __init__(self, http: httpx.Client) -> None:
        """Speak by this client, which has the address and the key."""
        self._http = http

    def upscale(self, source: str, options: Mapping[str, str]) -> bytes:
        """Return the finished file."""
        job = self.submit({"video_url": source, **options})
        return self.download(self.wait(job))

    def submit(self, body: Mapping[str, str]) -> str:
        """Return the id of the job; a request that may have been accepted is never repeated."""
        answer = self._http.post(SUBMIT, json=body)
        answer.raise_for_status()
        return str(answer.json()["data"]["id"])

    def wait(self, job: str) -> str:
        """Return the address of the file, once there is one."""
        pause = 1.0
        for _ in range(400):
            found = self.look(job)
            if found["status"] in ("success", "completed"):
                return str(found["result"]["url"])
            if found["status"] == "failed":
                raise FailedError(found.get("error"))
            time.sleep(pause)
            pause = min(10.0, pause * 1.5)
        raise FailedError(f"{job} does not end")

    def look(self, job: str) -> dict[str, Any]:
        """Return how a job is; this costs nothing and may be repeated."""
        found: dict[str, Any] = self._get(TASK.format(job)).json()["data"]
        return found

    def download(self, url: str) -> bytes:
        """Return a whole file."""
        return self._get(url).content

    def _get(self, url: str) -> httpx.Response:
        for attempt in range(TRIES):
            try:
                answer = self._http.get(url)
                if answer.status_code == TOO_MANY or answer.status_code >= SERVER_TROUBLE:
                    time.sleep(float(answer.headers.get("retry-after", 2**attempt)))
                    continue
                answer.raise_for_status()
                announced = int(answer.headers["content-length"])
                if len(answer.content) == announced:
                    return answer
            except httpx.TransportError:
                pass
            time.sleep(2**attempt)
        raise FailedError(f"no answer from {url}")


class ResubmitsOnTimeout(Careful):
    """Repeats a paid POST that timed out."""

    repeated: tuple[type[Exception], ...] = (httpx.TimeoutException,)

    def submit(self, body: Mapping[str, str]) -> str:
        """Return the id of the job, or of another one."""
        for _ in range(TRIES):
            try:
                return super().submit(body)
            except self.repeated:
                time.sleep(10)
        return super().submit(body)


class ResubmitsOnTransportError(ResubmitsOnTimeout):
    """Repeats a paid POST whose connection broke."""

    repeated = (httpx.NetworkError, httpx.ProtocolError)


class ResubmitsOnServerError(Careful):
    """Repeats a paid POST that was answered with a 5xx."""

    def submit(self, body: Mapping[str, str]) -> str:
        """Return the id of the job, or of another one."""
        for _ in range(TRIES):
            try:
                return super().submit(body)
            except httpx.HTTPStatusError as error:
                if error.response.status_code < SERVER_TROUBLE:
                    raise
                time.sleep(10)
        return super().submit(body)


class SucceedsWithoutFile(Careful):
    """Reports success when the download failed."""

    def download(self, url: str) -> bytes:
        """Return the file, or nothing."""
        try:
            return super().download(url)
        except FailedError:
            return b""


class IgnoresFailure(Careful):
    """Waits for success, and for nothing else."""

    def wait(self, job: str) -> str:
        """Return the address of the file, some day."""
        while True:
            found = self.look(job)
            if found["status"] in ("success", "completed"):
                return str(found["result"]["url"])
            time.sleep(5)


class NeverPauses(Careful):
    """Polls in a loop."""

    def wait(self, job: str) -> str:
        """Return the address of the file."""
        for _ in range(10_000):
            found = self.look(job)
            if found["status"] in ("success", "completed"):
                return str(found["result"]["url"])
            if found["status"] == "failed":
                raise FailedError(found.get("error"))
        raise FailedError(f"{job} does not end")


CARELESS: tuple[type[Careful], ...] = (
    ResubmitsOnTimeout,
    ResubmitsOnServerError,
    ResubmitsOnTransportError,
    NeverPauses,
    IgnoresFailure,
    SucceedsWithoutFile,
)


def call(
    client: type[Careful], sandbox: SandboxHandle, source: str, options: Mapping[str, str]
) -> bytes:
    """Upscale with one of these clients in a sandbox."""
    return client(sandbox.http("vicsee")).upscale(source, options)
