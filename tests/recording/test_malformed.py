"""Malformed requests under a cap: sent while the dearest job fits, and free once refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from itertools import permutations
from pathlib import Path

import httpx
import pytest

from tests.recording.conftest import Studio, entries
from tests.recording.sample_requests import CLIP
from upsim_contracts.record.command import recording

UPSCALE = "/api/v1/tools/upscale-video"
WAVESPEED = "/api/v3/wavespeed-ai/video-upscaler"
DEAREST = Decimal(1680)
MALFORMED: dict[str, tuple[str, str, str | Mapping[str, object], int, str]] = {
    "no JSON": ("vicsee", UPSCALE, "{not json", 400, "1680"),
    "no object": ("vicsee", UPSCALE, "[]", 400, "1680"),
    "no video": ("vicsee", UPSCALE, {}, 400, "1680"),
    "a number for a text": (
        "vicsee",
        UPSCALE,
        {"video_url": CLIP, "upscale_factor": 4},
        400,
        "1680",
    ),
    "a list for a text": (
        "vicsee",
        UPSCALE,
        {"video_url": CLIP, "upscale_factor": ["4"]},
        400,
        "1680",
    ),
    "a value that is not offered": (
        "vicsee",
        UPSCALE,
        {"video_url": CLIP, "upscale_factor": "3"},
        400,
        "1680",
    ),
    "a word": ("wavespeed", WAVESPEED, {"video": CLIP, "target_resolution": "large"}, 400, "12.00"),
    "a height": ("wavespeed", WAVESPEED, {"video": CLIP, "target_resolution": 1080}, 400, "12.00"),
    "no model": ("piapi", "/api/v1/task", {"model": None, "task_type": "upscale"}, 400, "0.0720"),
    "a list for a model": (
        "venice",
        "/api/v1/video/queue",
        {"model": ["topaz-video-upscale"], "video_url": CLIP, "upscale_factor": "no"},
        400,
        "60.00",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_request_is_recorded_and_free(studio: Studio, name: str) -> None:
    """The highest job price is reserved for a malformed request and released after its refusal.

    `drift` finds no difference in it.
    """
    provider, path, body, status, most_expensive = MALFORMED[name]
    sent = body if isinstance(body, str) else json.dumps(body)
    statuses: list[int] = []

    async def caller(http: httpx.AsyncClient) -> None:
        for _ in range(2):
            kind = {"content-type": "application/json"}
            statuses.append((await http.post(path, content=sent, headers=kind)).status_code)

    cassette = studio.record(provider, caller, cap=Decimal(most_expensive))

    assert [status, status] == statuses
    assert studio.session is not None
    assert (Decimal(0), Decimal(0)) == (
        studio.session.purse.spent,
        studio.session.purse.reserved,
    )
    assert [status, status] == [line["status"] for line in entries(cassette)[1:]]
    assert "no differences in 2 exchanges" in studio.drift(cassette)[-1]


def test_malformed_request_needs_the_highest_price(studio: Studio) -> None:
    """A malformed request is not sent if the budget is below the highest job price."""

    async def caller(http: httpx.AsyncClient) -> None:
        await http.post(UPSCALE, json={"video_url": CLIP, "upscale_factor": 4})

    studio.record("vicsee", caller, cap=DEAREST - 1)

    why = "an option has no documented price, so the most expensive job counts"
    line = f"not sent: POST {UPSCALE} ({why}) could cost 1680 credits; of the cap of 1679"
    assert [f"{line} 1679 are left"] == [one.rpartition("; ups")[0] for one in studio.said]


class Lenient:
    """A provider that takes every submit for a price of its own, and refuses none."""

    def __init__(self, prices: list[int]) -> None:
        """Charge these, one after the other."""
        self.balance = 10_000
        self._prices = prices

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if request.method == "POST":
            self.balance -= self._prices.pop(0)
            found: dict[str, object] = {"id": "task_abcdefgh", "status": "pending"}
        else:
            found = {"credits": self.balance}
        content = json.dumps({"success": True, "data": found}).encode()
        kind = {"content-type": "application/json"}
        return httpx.Response(200, headers=kind, stream=httpx.ByteStream(content))


def test_late_balance_keeps_the_highest_price_reserved(tmp_path: Path) -> None:
    """An accepted request without a price counts as the highest price until the balance moves."""
    provider = Lenient([0, 80])
    asked = {"upstream": "http://127.0.0.1:1/vicsee", "to": tmp_path / "c", "cap": DEAREST + 79}
    transport = httpx.MockTransport(provider)
    with recording(
        {**asked, "clips": ["*=854x480 30fps 5s"]}, None, lambda _: None, transport
    ) as session:

        async def call() -> list[int]:
            inner = httpx.ASGITransport(session.application)
            async with httpx.AsyncClient(transport=inner, base_url="http://127.0.0.1:2") as http:
                bodies = [{"video_url": "https://example.com/a.mp4", "upscale_factor": 4}]
                bodies += [{"video_url": "https://example.com/a.mp4"}]
                return [(await http.post(UPSCALE, json=one)).status_code for one in bodies]

        assert [200, 402] == asyncio.run(call())


@pytest.mark.parametrize("together", [False, True])
def test_cap_is_exact_in_every_order(tmp_path: Path, *, together: bool) -> None:
    """In any order of requests, an accepted malformed request costs its price within the cap."""
    bad = {"video_url": "https://example.com/a.mp4", "upscale_factor": 4}
    good = {"video_url": "https://example.com/a.mp4"}
    clips = ["*=854x480 30fps 5s"]  # 80 credits
    cap = DEAREST + 160
    for number, order in enumerate(sorted(set(permutations("bbggg")))):
        provider = Lenient([140 if one == "b" else 80 for one in order])
        asked = {"upstream": "http://127.0.0.1:1/vicsee", "to": tmp_path / f"{number}", "cap": cap}
        said: list[str] = []
        with recording(
            {**asked, "clips": clips}, None, said.append, httpx.MockTransport(provider)
        ) as session:

            async def call(application: object, order: tuple[str, ...]) -> list[int]:
                transport = httpx.ASGITransport(application)  # type: ignore[arg-type]
                base = "http://127.0.0.1:2"
                async with httpx.AsyncClient(transport=transport, base_url=base) as http:
                    bodies = [bad if one == "b" else good for one in order]
                    posts = [http.post(UPSCALE, json=body) for body in bodies]
                    if together:
                        return [one.status_code for one in await asyncio.gather(*posts)]
                    return [(await one).status_code for one in posts]

            statuses = asyncio.run(call(session.application, order))
            spent = session.purse.spent
        assert 10_000 - provider.balance == spent <= cap
        if not together:
            assert expected(order, cap) == statuses, order
    assert number == 9


def expected(order: tuple[str, ...], cap: Decimal) -> list[int]:
    """Return which requests are sent: those that could not pass the cap with what is spent."""
    spent, statuses = Decimal(0), []
    for one in order:
        fits = spent + (DEAREST if one == "b" else 80) <= cap
        spent += (140 if one == "b" else 80) if fits else 0
        statuses.append(200 if fits else 402)
    return statuses
