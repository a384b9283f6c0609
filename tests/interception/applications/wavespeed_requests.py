"""An application that speaks to WaveSpeed by requests, and knows nothing of any simulator."""

from pathlib import Path

import requests

API = "https://api.wavespeed.ai/api/v3"


def upscale(clip: Path, key: str) -> bytes:
    """Upload a file in a form, have it upscaled, and stream the result."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {key}"
        with clip.open("rb") as file:
            form = {"file": (clip.name, file, "video/mp4")}
            sent = session.post(f"{API}/media/upload/binary", files=form, timeout=30)
        sent.raise_for_status()
        body = {"video": sent.json()["data"]["download_url"], "target_resolution": "2k"}
        job = session.post(f"{API}/wavespeed-ai/video-upscaler", json=body, timeout=30)
        job.raise_for_status()
        while True:
            state = session.get(job.json()["data"]["urls"]["get"], timeout=30).json()["data"]
            if state["status"] == "completed":
                break
            if state["status"] not in ("created", "processing"):
                raise RuntimeError(state["error"])
    with requests.get(state["outputs"][0], stream=True, timeout=30) as answer:
        answer.raise_for_status()
        return b"".join(answer.iter_content(8192))
