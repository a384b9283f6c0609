"""A session in a simulator whose export is replayed at the end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from upsim import Simulator
from upsim.app import app_for
from upsim.web.replay.export_document import Document, read
from upsim.web.replay.response_comparison import ReplayReport, replay

LOCAL = "http://127.0.0.1:4747"
CLIP = f"{LOCAL}/media/synthetic/160x120_10fps_2s.mp4"
ASSUMED = "https://clips.example/8.mp4"
WAVESPEED = "/wavespeed/api/v3/runwayml/upscale-v1"
VICSEE = "/vicsee/api/v1/tools/upscale-video"


@dataclass(slots=True)
class Recorded:
    """A simulator, and a caller of it that keeps the statuses of all answers."""

    sim: Simulator
    http: httpx.Client

    def call(self, method: str, path: str, key: str = "", **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx
        """Send a request with this key in the headers of all providers."""
        headers = {"authorization": f"Bearer {key}", "x-api-key": key} if key else {}
        headers |= options.pop("headers", {})
        return self.http.request(method, path, headers=headers, **options)

    def admin(self, method: str, path: str, body: object = None, box: str = "default") -> Any:  # noqa: ANN401 - JSON
        """Call the admin API of a sandbox, which must succeed."""
        answer = self.http.request(method, f"/__sim/sandboxes/{box}/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def export(self, box: str = "default") -> dict[str, Any]:
        """Return the export of a sandbox."""
        found: dict[str, Any] = self.admin("GET", "export", box=box)
        return found

    def replayed(self, box: str = "default") -> ReplayReport:
        """Replay the export of a sandbox and return what came of it."""
        return replayed(self.export(box))


def document_of(export: dict[str, Any]) -> Document:
    """Return an export as it is read from a file."""
    return read(json.dumps(export).encode(), name="export")


def replayed(export: dict[str, Any]) -> ReplayReport:
    """Replay an export in a fresh simulator."""
    return asyncio.run(_replayed(document_of(export)))


async def _replayed(document: Document) -> ReplayReport:
    app = app_for(document)
    try:
        return await replay(app, document)
    finally:
        app.close()


def same(report: ReplayReport, least: int) -> None:
    """Check that a replay gave the recorded answers, and at least so many."""
    assert ([], "", 0) == (report.differences, report.stopped, report.unanswered)
    assert report.compared >= least


Start = Callable[..., Recorded]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a simulator with these options."""
    with ExitStack() as stack:

        def starting(**options: Any) -> Recorded:  # noqa: ANN401 - options of the simulator
            sim = stack.enter_context(Simulator(**{"clock": "manual", "seed": 1, **options}))
            http = httpx.Client(transport=sim.transport(), base_url=LOCAL)
            return Recorded(sim, stack.enter_context(http))

        yield starting
