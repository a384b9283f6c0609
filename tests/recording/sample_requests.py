"""What callers do: a short life of one job at each provider, from balance to end."""

from __future__ import annotations

from typing import Any

import httpx

CLIP = "http://upsim.test/media/synthetic/854x480_30fps_4.5s.mp4"
SHORT = "http://upsim.test/media/synthetic/320x240_10fps_6s.mp4"
POLLS = 4


async def wavespeed(http: httpx.AsyncClient) -> None:
    """Balance, price, both models, polls to the end, a job that nobody has."""
    await http.get("/api/v3/balance")
    body: dict[str, Any] = {"video": SHORT, "target_resolution": "1080p"}
    await http.post(
        "/api/v3/model/price", json={"model_id": "wavespeed-ai/video-upscaler", "inputs": body}
    )
    first = await http.post("/api/v3/wavespeed-ai/video-upscaler", json=body)
    await http.post("/api/v3/runwayml/upscale-v1", json={"video": SHORT})
    for _ in range(POLLS):
        await http.get(f"/api/v3/predictions/{_at(first, 'data', 'id')}/result")
    await http.get("/api/v3/predictions/00000000000000000000000000000000/result")


async def venice(http: httpx.AsyncClient) -> None:
    """Quote, queue, polls to the end, clean up, a refused factor."""
    await http.get("/api/v1/billing/balance")
    model = "topaz-video-upscale"
    await http.post(
        "/api/v1/video/quote", json={"model": model, "duration": "10", "input_height": 480}
    )
    body = {"model": model, "video_url": CLIP, "upscale_factor": 2}
    queued = await http.post("/api/v1/video/queue", json=body)
    for _ in range(POLLS):
        await http.post("/api/v1/video/retrieve", json={"queue_id": _at(queued, "queue_id")})
    await http.post("/api/v1/video/queue", json={**body, "upscale_factor": 3})


async def piapi(http: httpx.AsyncClient) -> None:
    """Account, task, polls to the end, a task that nobody has."""
    await http.get("/account/info")
    body = {"model": "Qubico/video-toolkit", "task_type": "upscale", "input": {"video": SHORT}}
    created = await http.post("/api/v1/task", json=body)
    for _ in range(POLLS):
        await http.get(f"/api/v1/task/{_at(created, 'data', 'task_id')}")
    await http.get("/api/v1/task/00000000-0000-4000-8000-000000000000")


async def vicsee(http: httpx.AsyncClient) -> None:
    """Credits, upscale, polls to the end, a refused factor."""
    await http.get("/api/v1/credits")
    created = await http.post("/api/v1/tools/upscale-video", json={"video_url": CLIP})
    for _ in range(POLLS):
        await http.get(f"/api/v1/tasks/{_at(created, 'data', 'id')}")
    await http.post("/api/v1/tools/upscale-video", json={"video_url": CLIP, "upscale_factor": "3"})


CALLERS = {"wavespeed": wavespeed, "venice": venice, "piapi": piapi, "vicsee": vicsee}


def _at(answer: httpx.Response, *names: str) -> str:
    """Return what stands at a place of an answer, or an id that nobody has."""
    found: Any = answer.json()
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return str(found or "00000000000000000000000000000000")
