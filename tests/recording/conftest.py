"""A simulator as the provider that is recorded, altered where a test wants a change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.receivers import Hosts, Posted, Receiver
from upsim import Simulator
from upsim.cli.verify import LOCAL
from upsim_contracts.drift.command import run as run_drift
from upsim_contracts.record.command import RecordingSession, recording

KEY = "sk-canary-of-the-caller-0123456789"
CLIP = "/media/synthetic/854x480_30fps_4.5s.mp4"
Altered = Callable[[str, httpx.Response], httpx.Response]
Caller = Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]]


class Altering(httpx.AsyncBaseTransport):
    """The way to a provider, on which answers become others."""

    def __init__(self, inner: httpx.AsyncBaseTransport, altered: Altered) -> None:
        """Change what `inner` answers."""
        self._inner = inner
        self._altered = altered

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and change the answer."""
        answer = await self._inner.handle_async_request(request)
        await answer.aread()
        call = f"{request.method} {request.url.path}"
        changed = self._altered(call, answer)
        headers = {k: v for k, v in changed.headers.items() if k != "content-length"}
        stream = httpx.ByteStream(changed.content)
        return httpx.Response(changed.status_code, headers=headers, stream=stream)


@dataclass
class Studio:
    """Records what a caller does at a simulator, and says what the cassette shows."""

    folder: Path
    said: list[str] = field(default_factory=list)
    session: RecordingSession | None = None
    simulator: Simulator | None = None

    def record(
        self,
        provider: str,
        caller: Caller,
        *,
        scenario: str | None = None,
        altered: Altered | None = None,
        dialect: str = "",
        receiver: Receiver | None = None,
        posted: Posted = lambda request: request,
        **options: object,
    ) -> Path:
        """Let a caller speak through a recording; return the cassette.

        Webhooks for 127.0.0.1 reach the `receiver`, as the provider `posted` them.
        """
        file = self.folder / "cassette.jsonl"
        named = self.scenario(scenario) if scenario is not None else None
        posts = Hosts(posted=posted)
        with Simulator(scenario=named, clock="auto", webhook_transport=posts) as simulator:
            self.simulator = simulator
            transport: Any = simulator.transport()
            if altered is not None:
                transport = Altering(transport, altered)
            base = "/".join(filter(None, (simulator.base_url("").rstrip("/"), provider, dialect)))
            if receiver is not None:
                transport = Hosts(transport, {"127.0.0.1": receiver})
                options = {"webhooks": "http://recorder.test", **options}
            order = {"upstream": base, "to": file, **options}
            with recording(order, None, self.said.append, transport) as session:
                self.session = session
                posts.apps["recorder.test"] = session.application
                asyncio.run(self._call(session, provider, caller))
        return file

    def scenario(self, text: str) -> str:
        """Write a scenario and return its path; a name is one already."""
        if "\n" not in text:
            return text
        path = self.folder / "altered.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    def drift(self, cassette: Path, **options: object) -> list[str]:
        """Return the lines of the report: differences, then the headline."""
        lines: list[str] = []
        run_drift({"cassettes": [cassette], **options}, LOCAL["sim"], lines.append)
        return [line for text in lines for line in text.splitlines()]

    async def _call(self, session: RecordingSession, provider: str, caller: Caller) -> None:
        transport = httpx.ASGITransport(session.application)
        base = f"http://recorder.test/{provider}"
        headers = {"Authorization": f"Bearer {KEY}", "x-api-key": KEY}
        async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers) as client:
            await caller(client)


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    """Return a place to record in; the simulator in this process is a host that is trusted."""
    monkeypatch.setenv("UPSIM_TRUSTED_HOSTS", "upsim.test")
    return Studio(tmp_path)


def entries(cassette: Path) -> Sequence[Mapping[str, Any]]:
    """Return the lines of a cassette."""
    return [json.loads(line) for line in cassette.read_text("utf-8").split("\n") if line]
