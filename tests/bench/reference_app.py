"""The reference of the benchmarks: a bare Starlette job API with hand-written checks.

Parse, check three fields, charge, insert, answer; look up, tell the state from the time, answer.
"""

import json
import sys
import time
import uuid
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

JOBS: dict[str, dict[str, object]] = {}
WALLET = {"balance": 10**12}
RESOLUTIONS = {"720p": 25, "1080p": 25, "2k": 50, "4k": 100}


async def submit(request: Request) -> Response:
    """`POST /jobs`."""
    body = json.loads(await request.body())
    video = body.get("video")
    if not isinstance(video, str) or not video:
        return JSONResponse({"error": "video"}, 400)
    resolution = body.get("target_resolution", "1080p")
    if resolution not in RESOLUTIONS:
        return JSONResponse({"error": "target_resolution"}, 400)
    fps = body.get("fps", 30)
    if not isinstance(fps, int) or not 1 <= fps <= 120:
        return JSONResponse({"error": "fps"}, 400)
    price = RESOLUTIONS[resolution]
    if WALLET["balance"] < price:
        return JSONResponse({"error": "balance"}, 402)
    WALLET["balance"] -= price
    job = {"id": uuid.uuid4().hex, "video": video, "price": price, "created": time.time()}
    JOBS[str(job["id"])] = job
    return JSONResponse({**job, "status": "created"}, 201)


async def poll(request: Request) -> Response:
    """`GET /jobs/{id}`."""
    job = JOBS.get(request.path_params["id"])
    if job is None:
        return JSONResponse({"error": "unknown"}, 404)
    age = time.time() - float(str(job["created"]))
    return JSONResponse({**job, "status": "completed" if age > 2 else "processing"})


def main() -> None:
    """Serve on a free port and write its base URL to the file that is named."""
    app = Starlette(
        routes=[Route("/jobs", submit, methods=["POST"]), Route("/jobs/{id}", poll)],
    )
    config = uvicorn.Config(app, log_level="warning", access_log=False, port=0)
    listening = config.bind_socket()
    base_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    Path(sys.argv[1]).write_text(json.dumps({"base_url": base_url}), encoding="utf-8")
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
