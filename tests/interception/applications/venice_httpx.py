"""An application that speaks to Venice by async httpx, and knows nothing of any simulator."""

import base64

import httpx

API = "https://api.venice.ai/api/v1/video"
MODEL = "topaz-video-upscale"


async def upscale(clip: bytes, key: str) -> bytes:
    """Send a file as a data URL, have it upscaled, and fetch the result."""
    encoded = base64.b64encode(clip).decode("ascii")
    body = {"model": MODEL, "upscale_factor": 2, "video_url": f"data:video/mp4;base64,{encoded}"}
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http:
        job = (await http.post(f"{API}/queue", json=body)).raise_for_status().json()
        asked = {"model": MODEL, "queue_id": job["queue_id"]}
        while True:
            answer = (await http.post(f"{API}/retrieve", json=asked)).raise_for_status()
            if answer.headers["content-type"] == "video/mp4":
                return answer.content
            state = answer.json()
            if state["status"].lower() == "completed":
                async with http.stream("GET", state["url"]) as output:
                    return b"".join([part async for part in output.aiter_bytes()])
