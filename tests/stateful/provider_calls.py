"""How each provider is spoken to: the requests of a job's life, and where answers hold what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.stateful.asgi_client import Request

Json = Any


@dataclass(frozen=True, slots=True)
class Face:
    """One provider, as a client of it sees it.

    `options` are the values of its one option, `plans` those that a run may put accounts on.
    `charged` reads the price in the answer to a submit, where the provider states it there.
    """

    name: str
    key_header: Callable[[str], tuple[str, str]]
    options: tuple[object, ...]
    plans: tuple[str, ...]
    submit: Callable[[str, object], Request]
    job_of: Callable[[Json], str]
    poll: Callable[[str], Request]
    url_of: Callable[[Json], str | None]
    quote: Callable[[str, object], Request] | None = None
    quoted: Callable[[Json], Decimal] | None = None
    charged: Callable[[Json], Decimal] | None = None
    accepts_unreachable: bool = False

    def headers(self, key: str | None) -> Mapping[str, str]:
        """Return the headers of a JSON request with this key."""
        named = dict([self.key_header(key)]) if key is not None else {}
        return {**named, "content-type": "application/json"}


def _bearer(key: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {key}")


V3 = "/wavespeed/api/v3"
UPSCALER = "wavespeed-ai/video-upscaler"
RUNWAY = "runwayml/upscale-v1"


def _wavespeed_inputs(video: str, option: object) -> tuple[str, dict[str, object]]:
    if option == RUNWAY:
        return RUNWAY, {"video": video}
    return UPSCALER, {"video": video, "target_resolution": option}


def _wavespeed_submit(video: str, option: object) -> Request:
    model, inputs = _wavespeed_inputs(video, option)
    return Request("POST", f"{V3}/{model}", inputs)


def _wavespeed_quote(video: str, option: object) -> Request:
    model, inputs = _wavespeed_inputs(video, option)
    return Request("POST", f"{V3}/model/price", {"model_id": model, "inputs": inputs})


WAVESPEED = Face(
    name="wavespeed",
    key_header=_bearer,
    options=("720p", "1080p", "2k", RUNWAY),
    plans=("unlimited", "bronze", "silver", "suspended"),
    submit=_wavespeed_submit,
    job_of=lambda body: str(body["data"]["id"]),
    poll=lambda job: Request("GET", f"{V3}/predictions/{job}/result"),
    url_of=lambda body: next(iter(body["data"]["outputs"]), None),
    quote=_wavespeed_quote,
    quoted=lambda body: Decimal(body["data"]["price"]),
    accepts_unreachable=True,
)

TOPAZ = "topaz-video-upscale"
V1 = "/venice/api/v1/video"


def _venice(path: str, **body: object) -> Request:
    return Request("POST", f"{V1}/{path}", {"model": TOPAZ, **body})


VENICE = Face(
    name="venice",
    key_header=_bearer,
    options=(1, 2, 4),
    plans=("unlimited", "limited", "error_budget", "blocked"),
    submit=lambda video, factor: _venice("queue", video_url=video, upscale_factor=factor),
    job_of=lambda body: str(body["queue_id"]),
    poll=lambda job: Request("POST", f"{V1}/retrieve", {"queue_id": job}),  # as the guide: no model
    url_of=lambda body: body.get("url"),
    quote=lambda video, factor: _venice("quote", video_url=video, upscale_factor=factor),
    quoted=lambda body: Decimal(body["quote"]),
)


def _piapi_task(video: str, _option: object) -> Request:
    body = {"model": "Qubico/video-toolkit", "task_type": "upscale", "input": {"video": video}}
    return Request("POST", "/piapi/api/v1/task", body)


PIAPI = Face(
    name="piapi",
    key_header=lambda key: ("x-api-key", key),
    options=(None,),
    plans=("creator", "free-capped", "creator-capped"),
    submit=_piapi_task,
    job_of=lambda body: str(body["task_id"]),
    poll=lambda job: Request("GET", f"/piapi/api/v1/task/{job}"),
    url_of=lambda body: (body["data"]["output"] or {}).get("video_url"),
    charged=lambda body: Decimal(body["data"]["meta"]["usage"]["consume"]),
)

TOOL = "/vicsee/api/v1/tools/upscale-video"
VICSEE = Face(
    name="vicsee",
    key_header=_bearer,
    options=("1", "2", "4"),
    plans=("unlimited", "starter", "free"),
    submit=lambda video, factor: Request(
        "POST", TOOL, {"video_url": video, "upscale_factor": factor}
    ),
    job_of=lambda body: str(body["data"]["id"]),
    poll=lambda job: Request("GET", f"/vicsee/api/v1/tasks/{job}"),
    url_of=lambda body: (body["data"]["result"] or {}).get("url"),
    charged=lambda body: Decimal(body["data"]["creditsUsed"]),
)

FACES: Mapping[str, Face] = {face.name: face for face in (WAVESPEED, VENICE, PIAPI, VICSEE)}
