"""An application that speaks to VicSee by httpx, and knows nothing of any simulator."""

from collections.abc import Iterator
from pathlib import Path

import httpx

API = "https://vicsee.com/api/v1"
TYPE = {"Content-Type": "video/mp4"}


def chunks_of(clip: Path) -> Iterator[bytes]:
    """Yield the file in parts."""
    with clip.open("rb") as file:
        while part := file.read(4096):
            yield part


def upscale(clip: Path, key: str) -> bytes:
    """Upload a file to the address of a ticket, have it upscaled, and stream the result."""
    with httpx.Client(headers={"Authorization": f"Bearer {key}"}) as http:
        wanted = {"contentType": "video/mp4", "sizeBytes": clip.stat().st_size}
        ticket = http.post(f"{API}/upload", json=wanted).raise_for_status().json()["data"]
        httpx.put(ticket["uploadUrl"], content=chunks_of(clip), headers=TYPE).raise_for_status()
        body = {"video_url": ticket["publicUrl"], "upscale_factor": "2"}
        job = http.post(f"{API}/tools/upscale-video", json=body).raise_for_status().json()["data"]
        while True:
            state = http.get(f"{API}/tasks/{job['id']}").raise_for_status().json()["data"]
            if state["status"] == "completed":
                break
            if state["status"] == "failed":
                raise RuntimeError(state["error"]["message"])
    with httpx.stream("GET", state["result"]["url"]) as answer:
        answer.raise_for_status()
        return b"".join(answer.iter_bytes())
