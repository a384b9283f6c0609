"""What a server fetches depends on who may call it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest

from upsim.app import App
from upsim.engine.settings import ServerSettings
from upsim.transport import Transport


class Site(HTTPServer):
    """A service of this machine that counts who asks it for something."""

    asked = 0


class Handler(BaseHTTPRequestHandler):
    """Answers everything with an empty file."""

    def do_GET(self) -> None:
        """Count, and answer."""
        if isinstance(self.server, Site):
            self.server.asked += 1
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called there
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    """Return a service on loopback."""
    with Site(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({"loopback": True}, 1),
        ({"loopback": True, "fetch": True}, 1),
        ({"loopback": False}, 0),
        ({"loopback": False, "fetch": True}, 0),
    ],
)
def test_loopback_is_fetched_for_local_clients_only(
    site: Site, settings: dict[str, Any], asked: int
) -> None:
    """A server that other machines can reach does not fetch loopback URLs."""
    app = App(ServerSettings(clock="manual", admin_token="t", **settings))
    transport = Transport(app, lambda call: asyncio.run(call()))
    body = {"video_url": f"http://127.0.0.1:{site.server_address[1]}/a.mp4"}
    with httpx.Client(transport=transport, base_url="http://upsim.test/vicsee") as http:
        http.post(
            "/api/v1/tools/upscale-video", json=body, headers={"Authorization": "Bearer sk-any"}
        )
    app.close()

    assert asked == site.asked
