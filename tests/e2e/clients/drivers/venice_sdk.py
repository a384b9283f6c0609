"""Run the `venice-py` client: quote, queue, wait, save the video, complete."""

import asyncio
import json
import sys
from typing import Any

from venice_ai import VeniceClient


async def upscale(request: dict[str, Any]) -> dict[str, object]:
    """Take one clip through the whole life of a job, and ask once more after its end."""
    model = request["model"]
    async with VeniceClient(api_key=request["api_key"], base_url=request["base_url"]) as client:
        quote = await client.video.quote(model=model, video_url=request["clip"], upscale_factor=2)
        job = await client.video.run(model=model, video_url=request["clip"], upscale_factor=2)
        first = await job.poll()
        done = await job.wait(poll_interval=0.05, max_polls=20)
        saved = await job.download(request["output"], done)
        completed = await job.cancel()
        return {
            "quote": quote.quote,
            "model": job.model,
            "first_status": first.status,
            "done_status": done.status,
            "inline": done.data is not None,
            "saved": saved.stat().st_size,
            "completed": completed.success,
        }


print(json.dumps(asyncio.run(upscale(json.loads(sys.argv[1])))))
