"""Let an official client speak to its default host, and lead its calls to a simulator.

What the simulator needs is found after what the client needs: its own versions come first.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

REQUEST: dict[str, Any] = json.loads(sys.argv[1])
sys.path += REQUEST["path"]


def wavespeed(clip: str) -> dict[str, object]:
    """Upload a file, run a model on it, fetch the output."""
    import requests
    import wavespeed as sdk

    client = sdk.Client(api_key="not-a-real-key")
    uploaded = client.upload(clip)
    done = client.run("runwayml/upscale-v1", {"video": uploaded}, poll_interval=0.01)
    content = requests.get(done["outputs"][0], timeout=30).content
    return {
        "host": uploaded.split("/")[2],
        "polled": done["outputs"][0].split("/")[2],
        "output": content[4:8].decode("ascii", "replace"),
    }


async def venice(clip: str) -> dict[str, object]:
    """Queue a clip by its address, wait for it, save it."""
    from venice_ai import VeniceClient

    async with VeniceClient(api_key="not-a-real-key") as client:
        job = await client.video.run(model="topaz-video-upscale", video_url=clip, upscale_factor=2)
        done = await job.wait(poll_interval=0.01, max_polls=20)
        saved = await job.download("output.mp4", done)
        completed = await job.cancel()
    output = Path(saved).read_bytes()[4:8].decode("ascii", "replace")  # noqa: ASYNC240 - a script
    return {"status": done.status, "output": output, "completed": completed.success}


def main() -> None:
    """Run the client that is asked for within an interception."""
    import upsim

    with upsim.intercept(dialect=REQUEST["dialect"]) as sandbox:
        provider = REQUEST["provider"]
        if provider == "wavespeed":
            clip = Path("clip.mp4")
            with sandbox.http(provider, keyed=False) as http:
                clip.write_bytes(http.get(sandbox.clip("320x240", "10", "6")).content)
            answer = wavespeed(str(clip))
        else:
            answer = asyncio.run(venice(sandbox.clip("320x240", "10", "2")))
        charges = [str(charge) for charge in sandbox.ledger.charges(provider)]
    print(json.dumps({**answer, "charges": charges}))


main()
