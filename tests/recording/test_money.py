"""The guard of the purse holds in the recording, to the cent, whatever the provider does."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.recording.conftest import Studio, entries
from tests.recording.sample_requests import CLIP
from upsim_contracts.documents.document_sources import resolve
from upsim_contracts.documents.openapi import GUIDE
from upsim_contracts.documents.response_checks import operation_of
from upsim_contracts.request_costs import CostTable
from upsim_contracts.verify.run import book_of, pricer, providers

UPSCALE = "/api/v1/tools/upscale-video"
DEAR = "vicsee/price-change"
LOST = """
extends: vicsee/baseline
summary: The job is accepted and charged, the answer is a 500.
faults: [{at: after_accept, do: {respond: {status: 500, body: broken}}}]
"""


async def five(http: httpx.AsyncClient) -> None:
    """Ask for five upscales of 80 credits each."""
    for _ in range(5):
        await http.post(UPSCALE, json={"video_url": CLIP})


def spent(studio: Studio) -> Decimal:
    """Return what the recording counts as gone."""
    assert studio.session is not None
    return studio.session.purse.spent


def test_nothing_is_sent_above_the_cap(studio: Studio) -> None:
    """With a cap of 200, two of five requests of 80 credits are sent, and three are refused."""
    answers: list[httpx.Response] = []

    async def caller(http: httpx.AsyncClient) -> None:
        body = {"video_url": CLIP}
        answers.extend([await http.post(UPSCALE, json=body) for _ in range(5)])

    cassette = studio.record("vicsee", caller, cap=Decimal(200))

    assert [200, 200, 402, 402, 402] == [answer.status_code for answer in answers]
    assert "cap" == answers[-1].headers["x-upsim-record"]
    assert "could cost 80 credits" in answers[-1].json()["error"]["message"]
    assert 2 == len(entries(cassette)) - 1
    assert Decimal(160) == spent(studio)


def test_simultaneous_calls_share_the_cap(studio: Studio) -> None:
    """With a cap of 200, two of five simultaneous requests are sent, each with its own charge."""

    async def caller(http: httpx.AsyncClient) -> None:
        body = {"video_url": CLIP}
        await asyncio.gather(*(http.post(UPSCALE, json=body) for _ in range(5)))

    cassette = studio.record("vicsee", caller, cap=Decimal(200))

    assert ["80", "80"] == [line["charge"]["actual"] for line in entries(cassette)[1:]]
    assert 3 == len(studio.said)


@pytest.mark.parametrize(
    ("provider", "call", "body", "place"),
    [
        ("vicsee", "create", {"upscale_factor": "4"}, "Pricing, table, 4x"),
        ("vicsee", "create", {}, "Pricing, table, 2x"),
        ("vicsee", "create", {"upscale_factor": None}, "Pricing, table, 2x"),
        ("vicsee", "generate", {"input": {"video_url": "x"}}, "Unified Endpoint"),
        ("venice", "queue", {"upscale_factor": None}, "Pricing"),
        ("wavespeed", "upscaler", {"video": "x"}, "Pricing, 1080p"),
        ("wavespeed", "upscale_v1", {}, "Pricing"),
        ("venice", "queue", {"upscale_factor": 2}, "Pric"),
        ("piapi", "create", {}, "Pricing"),
        ("piapi", "", {}, "no source given"),
    ],
)
def test_a_price_cites_its_evidence(
    provider: str, call: str, body: dict[str, object], place: str
) -> None:
    """The evidence of a price cites the part of the documents about such a request."""
    found = CostTable(book_of(provider), pricer(provider)).evidence(call, body)

    assert place in found


def _documented_defaults(document: Any, node: Any) -> Iterator[tuple[str, object]]:  # noqa: ANN401 - JSON
    """Return the options of a schema that have a default, through references."""
    if isinstance(node, dict):
        if "$ref" in node:
            yield from _documented_defaults(document, resolve(document, node["$ref"]))
        for name, inner in node.get("properties", {}).items():
            plain = inner if isinstance(inner, dict) else {}
            plain = resolve(document, plain["$ref"]) if "$ref" in plain else plain
            if "default" in plain:
                yield name, plain["default"]
        for inner in node.values():
            yield from _documented_defaults(document, inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _documented_defaults(document, inner)


def test_a_price_without_options_cites_the_defaults() -> None:
    """If a request omits an option, the evidence of its price cites the documented default."""
    seen = set()
    for provider in providers():
        book = book_of(provider)
        costs = CostTable(book, pricer(provider))
        for name, form in book.calls.items():
            place = operation_of(provider, GUIDE, form.method, form.path)
            if not form.paid or place is None or "requestBody" not in place[1].definition:
                continue
            document = place[0].document
            found = dict(_documented_defaults(document, place[1].definition["requestBody"]))
            asked = costs.evidence(name, found)
            assert asked == costs.evidence(name, {}) == costs.evidence(name, dict.fromkeys(found))
            seen |= {(name, option) for option in found}

    assert {("create", "upscale_factor"), ("queue", "upscale_factor")} < seen
    assert ("upscaler", "target_resolution") in seen


def test_evidence_of_a_price_reads_a_request_once() -> None:
    """The search for the evidence of a price reads only the options of known facts, each once."""
    reads: Counter[str] = Counter()

    class Body(dict[str, object]):
        def items(self) -> Any:  # noqa: ANN401 - a view that typeshed alone names
            reads["body"] += 1
            return super().items()

    class Value:
        def __str__(self) -> str:
            reads["value"] += 1
            return "4"

    body = Body({"upscale_factor": Value()} | {f"n{number}": Value() for number in range(9)})
    costs = CostTable(book_of("vicsee"), pricer("vicsee"))
    assert "Pricing, table, 4x" in costs.evidence("create", body)
    assert {"body": 1, "value": 1} == reads


def test_a_higher_price_is_noticed_at_once(studio: Studio) -> None:
    """After one charge of 160 instead of 80, the recorder reserves 160 for the next requests."""
    cassette = studio.record("vicsee", five, scenario=DEAR, cap=Decimal(320))

    assert Decimal(320) == spent(studio)
    assert ["80", "80"] == [line["charge"]["documented"] for line in entries(cassette)[1:]]
    assert ["160", "160"] == [line["charge"]["actual"] for line in entries(cassette)[1:]]
    assert 2 == sum("charge: expected 80 credits, seen 160" in line for line in studio.said)


def test_a_charge_with_a_500_counts(studio: Studio) -> None:
    """A job that was charged but got a 500 is found by the balance, counted and reported."""
    studio.record("vicsee", five, scenario=LOST, cap=Decimal(200))

    assert Decimal(160) == spent(studio)
    assert any("500: charge: expected 0 credits, seen 80 credits" in line for line in studio.said)


def test_without_a_balance_the_price_counts(studio: Studio) -> None:
    """If balances are not read, the documented price counts as spent, also after a 500."""
    studio.record("vicsee", five, scenario=LOST, cap=Decimal(200), balances=False)

    assert Decimal(160) == spent(studio)


def test_an_unknown_video_reserves_the_highest_price(studio: Studio) -> None:
    """For a video that cannot be measured, the recorder reserves the price of the longest video."""

    async def caller(http: httpx.AsyncClient) -> None:
        await http.post(UPSCALE, json={"video_url": "https://example.com/a.mp4"})

    studio.record("vicsee", caller, cap=Decimal(1679))

    line = "POST /api/v1/tools/upscale-video could cost 1680 credits"
    assert [f"not sent: {line}; of the cap of 1679 1679 are left"] == studio.said


def test_a_described_video_has_its_price(studio: Studio) -> None:
    """A video described by `--clip` is priced by that description.

    Its cassette line also has the balance after the charge.
    """

    async def caller(http: httpx.AsyncClient) -> None:
        await http.post(UPSCALE, json={"video_url": "https://example.com/a.mp4?v=1"})

    clips = ["https://example.com/*=854x480 30fps 8.5s"]
    cassette = studio.record("vicsee", caller, cap=Decimal(144), clips=clips)
    charge = {"unit": "credit", "documented": "144", "actual": "144", "left": "99999856"}

    assert charge == entries(cassette)[1]["charge"]


def test_keys_are_shown_as_numbers(studio: Studio) -> None:
    """Each cassette line identifies the key by a number and does not contain the key."""

    async def caller(http: httpx.AsyncClient) -> None:
        for key in ("sk-of-the-first", "sk-of-the-second", "sk-of-the-first"):
            await http.get("/api/v1/credits", headers={"Authorization": f"Bearer {key}"})
        del http.headers["Authorization"]
        await http.get("/api/v1/credits")

    cassette = studio.record("vicsee", caller)

    assert [1, 2, 1, 0] == [line["account"] for line in entries(cassette)[1:]]
    assert "sk-of" not in cassette.read_text("utf-8")


SHORT, LONG = "https://example.com/short.mp4", "https://example.com/long.mp4?v="
TOLD = ["*/short.mp4=854x480 30fps 4.5s", "*/long.mp4=854x480 30fps 59s"]
FACTOR_1, FACTOR_4 = {"upscale_factor": "1"}, {"upscale_factor": "4"}
COULD_COST: dict[str, tuple[dict[str, object] | str, str]] = {
    "one video": ({"video_url": SHORT}, "80"),
    "one video twice": ({"video_url": SHORT, "x": [SHORT]}, "80"),
    "a longer one behind it": ({"video_url": SHORT, "x": LONG}, "944"),
    "a longer one before it": ({"a": LONG, "video_url": SHORT}, "944"),
    "an unknown one behind it": ({"video_url": SHORT, "x": "https://example.com/a"}, "1680"),
    "a broken one behind it": ({"video_url": SHORT, "x": "data:video/mp4;base64,QUFB"}, "1680"),
    "a key twice": (f'{{"video_url": "{SHORT}", "x": 1, "x": 2}}', "1680"),
    "options twice": ({"video_url": SHORT, **FACTOR_4, "input": FACTOR_1}, "140"),
    "no object": (f'["{SHORT}"]', "1680"),
    "no JSON": (f'{{"video_url": "{SHORT}"', "1680"),
    "NaN": (f'{{"video_url": "{SHORT}", "x": NaN}}', "1680"),
    "very many values": ({"video_url": SHORT, "x": [0] * 200_001}, "1680"),
}


@pytest.mark.parametrize("name", COULD_COST)
def test_the_reservation_is_never_too_low(studio: Studio, name: str) -> None:
    """If a provider could read a request in several ways, the highest price is reserved."""
    body, most = COULD_COST[name]

    async def caller(http: httpx.AsyncClient) -> None:
        sent = body if isinstance(body, str) else json.dumps(body)
        await http.post(UPSCALE, content=sent, headers={"content-type": "application/json"})

    studio.record("vicsee", caller, cap=Decimal(most) - 1, clips=TOLD)

    assert [f"not sent: POST {UPSCALE} could cost {most} credits"] == [
        line.partition(";")[0] for line in studio.said
    ]


@pytest.mark.parametrize(
    ("provider", "path", "body"),
    [
        ("vicsee", UPSCALE, {"upscale_factor": ["8"]}),
        ("vicsee", UPSCALE, {"input": {"upscale_factor": {"x": 8}}}),
        ("vicsee", "/api/v1/generate", {"model": "another", "input": {}}),
        ("wavespeed", "/api/v3/wavespeed-ai/video-upscaler", {"target_resolution": "8k"}),
        ("wavespeed", "/api/v3/wavespeed-ai/video-upscaler", {"target_resolution": "2160P"}),
        ("wavespeed", "/api/v3/wavespeed-ai/video-upscaler", {"target_resolution": "8k UHD"}),
        ("wavespeed", "/api/v3/wavespeed-ai/video-upscaler", {"target_resolution": 4320}),
        ("venice", "/api/v1/video/queue", {"model": ["another"]}),
        ("venice", "/api/v1/video/queue", {"model": "another"}),
        ("piapi", "/api/v1/task", {"model": "another", "task_type": "upscale"}),
        ("piapi", "/api/v1/task", {"model": "Qubico/video-toolkit", "task_type": "another"}),
    ],
)
def test_requests_without_a_known_price_are_not_sent(
    studio: Studio, provider: str, path: str, body: dict[str, object]
) -> None:
    """A request with another model or a value above the documented ones is not sent."""

    async def caller(http: httpx.AsyncClient) -> None:
        await http.post(path, json={"video_url": SHORT, **body})

    studio.record(provider, caller, cap=Decimal(9_999), clips=TOLD)

    line = f"not sent: the cost of POST {path} is unknown"
    assert [line] == [one[: len(line)] for one in studio.said]


SORA = (
    "the model 'openai/sora' is not documented; "
    "allowed: wavespeed-ai/video-upscaler, runwayml/upscale-v1"
)
MISTYPED = (
    "the model 'wavespeed-ai/video-upscalr' is not documented; "
    "did you mean wavespeed-ai/video-upscaler?"
)
UNDOCUMENTED: dict[str, tuple[str, dict[str, object], str]] = {
    "POST /api/v3/openai/sora": ("wavespeed", {}, SORA),
    "POST /api/v3/wavespeed-ai/video-upscalr": ("wavespeed", {}, MISTYPED),
    "POST /api/v3/predictions/delte": (
        "wavespeed",
        {},
        "the path is not documented; did you mean POST /api/v3/predictions/delete?",
    ),
    "POST /api/v1/video/queue": (
        "venice",
        {"model": "sora"},
        "the model 'sora' is not documented; allowed: topaz-video-upscale",
    ),
    "POST /api/v1/task": (
        "piapi",
        {"model": "Qubico/video-toolkit", "task_type": "upscal"},
        "the task_type 'upscal' is not documented; did you mean upscale?",
    ),
    "POST /api/v1/generate": (
        "vicsee",
        {"model": "topaz-video-upscal", "input": {"upscale_factor": 3}},
        "the model 'topaz-video-upscal' is not documented; did you mean topaz-video-upscale?",
    ),
    "PUT /api/v1/upload": ("vicsee", {}, "the path is not documented"),
}


@pytest.mark.parametrize("call", UNDOCUMENTED)
def test_undocumented_jobs_are_not_sent(studio: Studio, call: str) -> None:
    """Under any cap, a request with an undocumented path or model is not sent and has no price."""
    provider, body, why = UNDOCUMENTED[call]
    method, path = call.split()
    answers: list[httpx.Response] = []

    async def caller(http: httpx.AsyncClient) -> None:
        sent = {"video": SHORT, "video_url": SHORT, **body}
        answers.append(await http.request(method, path, json=sent))

    cassette = studio.record(provider, caller, cap=Decimal(9_999), clips=TOLD)

    text = f"the cost of {call} is unknown: {why}"
    assert [f"not sent: {text}"] == studio.said
    assert (402, text) == (answers[0].status_code, answers[0].json()["error"]["message"])
    assert 1 == len(entries(cassette))


def test_near_paths_have_the_same_method(studio: Studio) -> None:
    """Without a cap, an unknown model is forwarded; only paths of the same method are suggested."""

    async def caller(http: httpx.AsyncClient) -> None:
        await http.post("/api/v3/openai/sora", json={"video": SHORT})

    studio.record("wavespeed", caller)

    note = "note: POST /api/v3/openai/sora is not in wavespeed's documents (answered 404)"
    assert [note] == studio.said


def test_links_with_different_queries_are_different_videos(studio: Studio) -> None:
    """A video URL with a different query is measured again."""
    statuses: list[int] = []

    async def caller(http: httpx.AsyncClient) -> None:
        for link in (f"{CLIP}?bytes=300000", f"{CLIP}?bytes=no"):
            body = {"video_url": link}
            statuses.append((await http.post(UPSCALE, json=body)).status_code)

    studio.record("vicsee", caller, cap=Decimal(1_000))

    assert [200, 402] == statuses


@pytest.mark.parametrize(
    ("provider", "call", "sent"),
    [
        ("wavespeed", "POST /api/v3/predictions/delete", True),
        ("wavespeed", "POST /api/v3/model/price", True),
        ("wavespeed", "POST /api/v3/other/model", False),
        ("venice", "POST /api/v1/video/quote", True),
        ("venice", "POST /api/v1/image/generate", False),
        ("piapi", "DELETE /api/v1/task/1", True),
        ("vicsee", "GET /api/v1/anything", True),
        ("vicsee", "PUT /api/v1/anything", False),
    ],
)
def test_only_free_requests_pass_a_cap_of_zero(
    studio: Studio, provider: str, call: str, *, sent: bool
) -> None:
    """With a cap of 0, only requests that are documented as free are sent."""
    statuses: list[int] = []

    async def caller(http: httpx.AsyncClient) -> None:
        method, path = call.split()
        answer = await http.request(method, path, json={} if method != "GET" else None)
        statuses.append(answer.headers.get("x-upsim-record") == "cap")

    studio.record(provider, caller, cap=Decimal(0))

    assert [not sent] == statuses


def test_an_option_without_a_price_is_not_sent(studio: Studio) -> None:
    """Under a cap, a request with a factor above the documented ones is not sent."""

    async def caller(http: httpx.AsyncClient) -> None:
        await http.post(UPSCALE, json={"video_url": CLIP, "upscale_factor": "8"})

    studio.record("vicsee", caller, cap=Decimal(9999))

    line = "the cost of POST /api/v1/tools/upscale-video is unknown"
    assert [f"not sent: {line}, so it was not sent"] == [
        one.partition("; ")[0] for one in studio.said
    ]
