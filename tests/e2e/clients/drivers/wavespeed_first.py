"""Run the `wavespeed` client 0.0.5, which reads answers strictly and follows `urls.get`."""

import json
import sys
from typing import Any

from wavespeed import WaveSpeed


def main() -> None:
    """Read the request from the command line; answer with the last line, in JSON."""
    request: dict[str, Any] = json.loads(sys.argv[1])
    client = WaveSpeed(api_key=request["api_key"], base_url=request["base_url"])
    client.poll_interval = 0.05
    predictions = [client.run(model, {"video": request["clip"]}) for model in request["models"]]
    again = client.get_prediction(predictions[0].id)
    seen = [
        {"model": p.model, "status": p.status, "outputs": p.outputs, "error": p.error}
        for p in [*predictions, again]
    ]
    print(json.dumps({"predictions": seen}))


main()
