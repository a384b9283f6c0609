"""Run the `wavespeed` client, version 1 or 2: upload a clip, run each model, tell the outputs."""

import json
import sys
from typing import Any

import wavespeed


def main() -> None:
    """Read the request from the command line; answer with one line of JSON."""
    request: dict[str, Any] = json.loads(sys.argv[1])
    client = wavespeed.Client(api_key=request["api_key"], base_url=request["base_url"])
    uploaded = client.upload(request["clip"])
    outputs = {
        model: client.run(model, {"video": uploaded}, poll_interval=0.05)["outputs"]
        for model in request["models"]
    }
    held = client.run(request["models"][0], {"video": uploaded}, enable_sync_mode=True)
    answer = {"uploaded": uploaded, "outputs": outputs, "held": held["outputs"]}
    print(json.dumps({"version": wavespeed.__version__, **answer}))


main()
