"""What a recording knows of the video behind a link, and for how long."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx

from upsim.media.clip_names import parse_clip_name
from upsim.media.synthetic import make_clip
from upsim_contracts.cassettes.bodies import probe_shape
from upsim_contracts.record.upstream import Upstream
from upsim_contracts.record.video_measuring import VideoMeasuring


def test_a_video_that_was_replaced_is_measured_again() -> None:
    """A linked video is measured again when a HEAD request shows another version.

    An uploaded video is measured again after the next upload.
    """
    target = Upstream("venice", "guide", "http://127.0.0.1:9")
    link = f"{target.base}/v.mp4"
    asked: list[str] = []
    serves: dict[str, Any] = {}

    def upstream(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        if request.method == "HEAD" and serves.get("no HEAD"):
            return httpx.Response(405)
        content = b"" if request.method == "HEAD" else make_clip(parse_clip_name(serves["clip"]))
        return httpx.Response(200, headers=serves["headers"], stream=httpx.ByteStream(content))

    async def run() -> list[str]:
        transport = httpx.MockTransport(upstream)
        async with httpx.AsyncClient(transport=transport) as http:
            looker = VideoMeasuring(target, http, paths=(), say=lambda _: None)

            async def seconds(**now: object) -> str:
                serves.update(now)
                body = json.dumps({"video_url": link}).encode()
                found = await looker.measure(body, "application/json", {})
                calls = "+".join(asked)
                asked.clear()
                return f"{calls} {found.each[0]['seconds']}"

            one, two = "64x36_10fps_1s.mp4", "64x36_10fps_2s.mp4"
            found = [
                await seconds(clip=one, headers={"etag": '"1"'}),
                await seconds(),
                await seconds(clip=two, headers={"etag": '"2"'}),
                await seconds(clip=one, headers={"last-modified": "yesterday"}),
                await seconds(),
                await seconds(clip=two, headers={}),
                await seconds(clip=one),
                await seconds(clip=two, headers={"etag": '"3"'}, **{"no HEAD": True}),
                await seconds(clip=one),
            ]
            looker.answered({}, json.dumps({"url": f"{target.base}/up", "to": link}).encode())
            for name in (two, one):
                looker.uploaded("/up", probe_shape(make_clip(parse_clip_name(name))))
            looker._versions.clear()  # no look: what was uploaded is known
            return [*found, await seconds(clip=two)]

    assert asyncio.run(run()) == [
        "GET 1",
        "HEAD 1",
        "HEAD+GET 2",
        "HEAD+GET 1",
        "HEAD 1",
        "HEAD+GET 2",
        "HEAD+GET 1",
        "HEAD+GET 2",
        "HEAD+GET 1",
        " 1",
    ]
