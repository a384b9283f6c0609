"""An application that speaks to PiAPI by aiohttp, and knows nothing of any simulator."""

import base64

import aiohttp

API = "https://api.piapi.ai/api/v1/task"
UPLOADS = "https://upload.theapi.app/api/ephemeral_resource"


async def upscale(clip: bytes, key: str) -> bytes:
    """Upload a file to the provider's other host, have it upscaled, and stream the result."""
    async with aiohttp.ClientSession(headers={"x-api-key": key}, raise_for_status=True) as http:
        encoded = base64.b64encode(clip).decode("ascii")
        form = {"file_name": "clip.mp4", "file_data": encoded}
        async with http.post(UPLOADS, json=form) as answer:
            url = (await answer.json())["data"]["url"]
        body = {"model": "Qubico/video-toolkit", "task_type": "upscale", "input": {"video": url}}
        async with http.post(API, json=body) as answer:
            job = (await answer.json())["data"]["task_id"]
        while True:
            async with http.get(f"{API}/{job}") as answer:
                state = (await answer.json())["data"]
            if state["status"].lower() == "completed":
                break
            if state["status"].lower() == "failed":
                raise RuntimeError(state["error"]["message"])
        async with http.get(state["output"]["video_url"]) as answer:
            return b"".join([part async for part in answer.content.iter_chunked(8192)])
