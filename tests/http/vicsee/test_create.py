"""Creating a task, by the dedicated and by the unified endpoint: answers, prices, refusals."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.http.vicsee.conftest import GENERATE, MODEL, TOOL, Api, Start, message, refusal

EXAMPLES = Path(__file__).parents[3] / "contracts/upsim_contracts/vicsee/facts.yaml"
PUBLISHED: dict[str, Any] = yaml.load(EXAMPLES.read_text("utf-8"), Loader=yaml.CSafeLoader)
SAMPLE = "https://example.com/clip.mp4"


@pytest.fixture
def sample(start: Start) -> Api:
    """Return a VicSee whose account has the thousand credits of the page's sample."""
    return start(extends="vicsee/documented-sample", key="YOUR_API_KEY", media=[])


def test_the_page_s_sample(sample: Api) -> None:
    """The sample request of the dedicated endpoint gives the sample response."""
    answer = sample.tool(SAMPLE, upscale_factor="2").json()

    data = answer["data"]
    assert data.pop("id").startswith("task_")
    assert answer == {
        "success": True,
        "data": {
            "model": MODEL,
            "status": "pending",
            "input": {
                "video_url": SAMPLE,
                "upscale_factor": "2",
                "detected_duration": "8.5s",
                "billed_seconds": 9,
                "credits_per_second": 16,
            },
            "creditsUsed": 144,
            "creditsRemaining": 856,
            "createdAt": "2026-01-01T00:00:00.000Z",
        },
    }


def test_the_fields_come_in_the_page_s_order(sample: Api) -> None:
    """The response has its fields in the order of the page."""
    data = sample.tool(SAMPLE).json()["data"]

    page = ["id", "model", "status", "input", "creditsUsed", "creditsRemaining", "createdAt"]
    assert page == list(data)


def test_the_unified_sample(sample: Api) -> None:
    """The same video costs the same at the unified endpoint, whose response has no `input`."""
    body = {"model": MODEL, "input": {"video_url": SAMPLE, "upscale_factor": "2"}}

    data = sample.http.post(GENERATE, json=body).json()["data"]

    assert data.pop("id").startswith("task_")
    assert data == {
        "model": MODEL,
        "status": "pending",
        "creditsUsed": 144,
        "creditsRemaining": 856,
        "createdAt": "2026-01-01T00:00:00.000Z",
    }


def test_the_default_factor_is_echoed(sample: Api) -> None:
    """Without `upscale_factor`, the response shows the default "2" and its price."""
    shown = sample.tool(SAMPLE).json()["data"]["input"]

    assert (shown["upscale_factor"], shown["credits_per_second"]) == ("2", 16)


@pytest.mark.parametrize(
    ("seconds", "container", "factor", "used"),
    [
        ("4.5", "mov", "2", 80),
        ("4.5", "mov", "1", 80),
        ("4.5", "mov", "4", 140),
        ("60", "mkv", "4", 1680),
        ("5", "mp4", "2", 80),
        ("8.000001", "mp4", "2", 144),
        ("12.25", "mov", "4", 364),
        ("0.2", "mp4", "1", 16),
    ],
)
def test_the_price_of_an_upscale(
    api: Api, seconds: str, container: str, factor: str, used: int
) -> None:
    """Each length, container and factor in the table has its price in credits."""
    data = api.tool(api.rule(seconds, container), upscale_factor=factor).json()["data"]

    assert (used, 20_000 - used) == (data["creditsUsed"], data["creditsRemaining"])


@pytest.mark.parametrize(
    "row",
    [row for row in PUBLISHED["boundaries"] if row["seconds"] in ("0.2", "8.000001", "12.25")],
    ids=lambda row: row["seconds"],
)
def test_the_detected_duration_is_exact(api: Api, row: dict[str, Any]) -> None:
    """The response has the measured duration to the microsecond, without trailing zeros."""
    shown = api.tool(api.rule(row["seconds"])).json()["data"]["input"]

    assert (row["shown"], row["billed"]) == (shown["detected_duration"], shown["billed_seconds"])


@pytest.mark.parametrize("seconds", ["60.000001", "60.06", "60.4"])
@pytest.mark.parametrize("endpoint", [TOOL, GENERATE])
def test_longer_than_sixty_seconds(api: Api, endpoint: str, seconds: str) -> None:
    """A video of a microsecond more than sixty seconds is refused without a charge."""
    body = {"video_url": api.rule(seconds)}

    answer = api.http.post(endpoint, json={**body, "model": MODEL, "input": body})

    assert refusal(answer) == (422, "VIDEO_TOO_LONG")
    assert message(answer) == "Video exceeds 60-second limit"
    assert api.credits() == 20_000


def test_a_real_clip_is_measured(api: Api) -> None:
    """A clip of this server is measured by its content."""
    shown = api.tool(api.clip("64x64_10fps_4.5s.mov")).json()["data"]["input"]

    assert shown["detected_duration"] == "4.5s"


@pytest.mark.parametrize(
    "factor", [2, 2.0, 4, "3", "8", "2.0", "2x", "", None, True, ["2"], {}], ids=repr
)
def test_other_factors_are_refused(api: Api, factor: object) -> None:
    """Only the texts "1", "2" and "4" are factors, and numbers are refused."""
    answer = api.tool(api.clip(), upscale_factor=factor)

    assert refusal(answer) == (400, "INVALID_UPSCALE_FACTOR")
    assert message(answer) == "Factor not in allowed values (1, 2, 4)"


@pytest.mark.parametrize("factor", [2, 2.0, 4, "1"], ids=repr)
def test_a_lenient_factor(start: Start, factor: float | str) -> None:
    """With the knob, a number that equals a factor is accepted."""
    answer = start(knobs={"factor_type": "lenient"}).tool(SAMPLE, upscale_factor=factor)

    assert answer.json()["data"]["input"]["upscale_factor"] == f"{float(factor):.0f}"


@pytest.mark.parametrize("factor", [3, 2.5, True, None, 10**300, "2x"], ids=lambda v: repr(v)[:9])
def test_a_lenient_factor_has_limits(start: Start, factor: object) -> None:
    """With the knob, other numbers and types are refused too."""
    answer = start(knobs={"factor_type": "lenient"}).tool(SAMPLE, upscale_factor=factor)

    assert refusal(answer) == (400, "INVALID_UPSCALE_FACTOR")


@pytest.mark.parametrize("body", [{}, {"video_url": None}, {"video_url": ""}, {"video_url": 7}])
@pytest.mark.parametrize("endpoint", [TOOL, GENERATE])
def test_a_missing_video(api: Api, endpoint: str, body: dict[str, object]) -> None:
    """A `video_url` that is absent, null, empty or no text counts as missing."""
    document = body if endpoint == TOOL else {"model": MODEL, "input": body}

    answer = api.http.post(endpoint, json=document)

    assert refusal(answer) == (400, "MISSING_VIDEO_URL")
    assert message(answer) == "video_url not provided"


@pytest.mark.parametrize(
    ("model", "code"),
    [
        (None, "MISSING_MODEL"),
        ("", "MISSING_MODEL"),
        ("topaz-image-upscale", "INVALID_MODEL"),
        (7, "INVALID_MODEL"),
    ],
)
def test_the_unified_endpoint_needs_a_model(api: Api, model: object, code: str) -> None:
    """A missing model and an unknown model get different errors."""
    answer = api.http.post(GENERATE, json={"model": model, "input": {"video_url": SAMPLE}})

    assert refusal(answer) == (400, code)


@pytest.mark.parametrize(
    "body", [{"video_url": SAMPLE}, {"input": SAMPLE}, {"input": None}, {"input": [SAMPLE]}]
)
def test_the_unified_endpoint_reads_input_only(api: Api, body: dict[str, object]) -> None:
    """A video outside `input` counts as missing, like an `input` that is no object."""
    answer = api.http.post(GENERATE, json={"model": MODEL, **body})

    assert refusal(answer) == (400, "MISSING_VIDEO_URL")


@pytest.mark.parametrize(
    "extra", [{"prompt": "sharper"}, {"options": {"aspectRatio": "16:9"}}, {"callback": 1}]
)
def test_unknown_keys_are_ignored(api: Api, extra: dict[str, object]) -> None:
    """Fields of older pages and of other models change nothing, and no prompt is needed."""
    body = {"model": MODEL, "input": {"video_url": SAMPLE, **extra}, **extra}

    assert api.http.post(GENERATE, json=body).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"NaN",
        b'{"video_url": 1e400}',
        b'{"video_url": ' + b"9" * 5000 + b"}",
        b'{"video_url": "\\ud800"}',
        b'{"video_url": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 200 + b"1" + b"}" * 200,
    ],
    ids=lambda body: repr(body[:24]),
)
@pytest.mark.parametrize("endpoint", [TOOL, GENERATE])
def test_bodies_that_are_no_json_object(api: Api, endpoint: str, body: bytes) -> None:
    """Every body that is no JSON object gets the same response."""
    answer = api.http.post(endpoint, content=body)

    assert refusal(answer) == (400, "INVALID_JSON")
    assert message(answer) == "Invalid JSON body"


def test_the_content_type_is_ignored(api: Api) -> None:
    """No error for the content type is documented, so the body alone decides."""
    body = json.dumps({"video_url": SAMPLE})

    answer = api.http.post(TOOL, content=body, headers={"Content-Type": "text/plain"})

    assert answer.status_code == 200


def test_a_huge_body(api: Api) -> None:
    """A body above our own limit is refused in the provider's form."""
    answer = api.tool("x" * 2_000_000)

    assert refusal(answer) == (413, "PAYLOAD_TOO_LARGE")


def test_a_repeated_key(api: Api) -> None:
    """Of a repeated key the last value wins."""
    body = f'{{"video_url": "", "video_url": "{SAMPLE}"}}'

    assert api.http.post(TOOL, content=body).status_code == 200


@pytest.mark.parametrize("rest", ["", ', "n": ' + "9" * 4_200], ids=["plain", "long number"])
def test_a_repeated_key_with_the_knob(start: Start, rest: str) -> None:
    """With the knob, a body that repeats a key is no valid body."""
    api = start(knobs={"duplicate_keys": "refuse"})
    body = f'{{"video_url": "", "video_url": "{SAMPLE}"{rest}}}'

    assert refusal(api.http.post(TOOL, content=body)) == (400, "INVALID_JSON")


def test_a_long_number_repeats_no_key(start: Start) -> None:
    """With the knob, a body with a very long number is judged by its keys alone."""
    api = start(knobs={"duplicate_keys": "refuse"})
    body = f'{{"video_url": "{SAMPLE}", "n": {"9" * 4_299}}}'

    assert api.http.post(TOOL, content=body).status_code == 200


@pytest.mark.parametrize(
    "url",
    [
        "https://clips.example/gone",
        "https://clips.example/page.html",
        "https://clips.example/webm/8.5",
        "https://clips.example/avi/8.5",
        "https://clips.example/other/8.5",
        "https://clips.example/still",
        "http://127.0.0.1:9/nobody-listens.mp4",
        "http://[::1",
        "ftp://example.com/clip.mp4",
        "clip.mp4",
        " ",
        "data:video/mp4;base64,AAAA",
        "data:text/plain,",
        "\x00",
    ],
)
def test_an_unreadable_duration(start: Start, url: str) -> None:
    """An unreachable URL, a file without video and another container fail the probe."""
    gone: list[dict[str, object]] = [
        {"url": "https://clips.example/gone", "unreachable": True},
        {"url": "https://clips.example/page.html", "not_a_video": True},
        {"url": "https://clips.example/webm/*", "duration": "8.5", "container": "webm"},
        {"url": "https://clips.example/avi/*", "duration": "8.5", "container": "avi"},
        {"url": "https://clips.example/other/*", "duration": "8.5", "container": "other"},
        {"url": "https://clips.example/still", "duration": "0"},
    ]
    api = start(media=gone)

    answer = api.tool(url)

    assert refusal(answer) == (422, "PROBE_FAILED")
    assert message(answer) == "Could not read video duration from URL"
    assert api.credits() == 20_000


def test_a_data_uri_with_a_good_video(api: Api) -> None:
    """A data URI is refused as not public, even with a good video."""
    clip = api.http.get(api.clip()).content
    url = f"data:video/mp4;base64,{base64.b64encode(clip).decode()}"

    assert refusal(api.tool(url)) == (422, "PROBE_FAILED")


@pytest.mark.parametrize("name", ["64x64_10fps_1s.webm", "no-such-clip.mp4"])
def test_files_of_ours_that_cannot_be_probed(api: Api, name: str) -> None:
    """WebM is recognised by its content, and a missing file is unreachable."""
    assert refusal(api.tool(api.clip(name))) == (422, "PROBE_FAILED")


def test_an_output_that_is_too_large_to_render(api: Api) -> None:
    """An output with a side above our own limit is refused in the provider's form."""
    answer = api.tool(api.clip("8192x16_10fps_1s.mp4"), upscale_factor="4")

    assert refusal(answer) == (422, "PROBE_FAILED")


def test_the_scheme_in_capitals(api: Api) -> None:
    """The scheme of a URL may be in capitals, and is echoed unchanged."""
    data = api.tool("HTTPS://example.com/clip.mp4").json()["data"]

    assert data["input"]["video_url"] == "HTTPS://example.com/clip.mp4"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000/clip.mp4",
        "http://localhost/clip.mp4",
        "http://[::1]/clip.mp4",
        "http://[::1",
        "http://10.0.0.7/clip.mp4",
        "http://169.254.169.254/latest",
        "http://printer/clip.mp4",
        "http://files.local/clip.mp4",
        "http://upsim.test/media/synthetic/64x64_10fps_1s.mp4",
        "https:///clip.mp4",
    ],
)
def test_urls_that_are_not_public(start: Start, url: str) -> None:
    """With the knob, the host of a URL must be public."""
    assert refusal(start(knobs={"public_urls": "strict"}).tool(url)) == (422, "PROBE_FAILED")


@pytest.mark.parametrize("url", [SAMPLE, "http://example.com/clip.mp4", "https://8.8.8.8/c.mp4"])
def test_urls_that_are_public(start: Start, url: str) -> None:
    """With the knob, public hosts are accepted, with http or https."""
    assert start(knobs={"public_urls": "strict"}).tool(url).status_code == 200


def test_a_missing_credit(start: Start) -> None:
    """A balance below the price is refused and stays the same."""
    api = start(account={"balance": "79"})

    answer = api.tool(api.rule("4.5"))

    assert refusal(answer) == (402, "INSUFFICIENT_CREDITS")
    assert message(answer) == "Not enough credits for this operation"
    assert api.credits() == 79


def test_the_text_with_both_amounts(start: Start) -> None:
    """With the knob, the refusal names the price and the balance."""
    api = start(extends="vicsee/insufficient-funds", knobs={"funds_text": "amounts"})

    answer = api.tool(api.rule("4.5"))

    assert message(answer) == "Insufficient credits. Required: 80, Available: 15"


def test_a_balance_of_exactly_the_price(start: Start) -> None:
    """The balance may reach zero."""
    api = start(account={"balance": "80"})

    assert api.tool(api.rule("4.5")).json()["data"]["creditsRemaining"] == 0


def test_two_at_once_with_money_for_one(start: Start) -> None:
    """Of two parallel requests with money for one, exactly one succeeds."""
    api = start(account={"balance": "20"})

    async def both() -> list[int]:
        async with httpx.AsyncClient(
            transport=api.sim.transport(),
            base_url=str(api.http.base_url),
            headers=api.http.headers,
        ) as http:
            body = {"video_url": api.clip()}
            answers = await asyncio.gather(*(http.post(TOOL, json=body) for _ in range(2)))
        return sorted(answer.status_code for answer in answers)

    assert asyncio.run(both()) == [200, 402]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"upscale_factor": "9"}, "MISSING_VIDEO_URL"),
        ({"video_url": "nothing", "upscale_factor": "9"}, "INVALID_UPSCALE_FACTOR"),
        ({"video_url": "nothing"}, "PROBE_FAILED"),
        ({"video_url": "https://clips.example/avi/60.4"}, "PROBE_FAILED"),
        ({"video_url": "https://clips.example/mp4/60.4"}, "VIDEO_TOO_LONG"),
        ({"video_url": "https://clips.example/mp4/60"}, "INSUFFICIENT_CREDITS"),
    ],
)
def test_the_order_of_refusals(start: Start, body: dict[str, object], code: str) -> None:
    """Of several mistakes, the first in the documented order is reported."""
    api = start(account={"balance": "0"})

    assert refusal(api.http.post(TOOL, json=body))[1] == code


def test_a_refused_request_leaves_nothing(api: Api) -> None:
    """A refusal makes no task and no ledger entry."""
    api.tool(api.rule("60.4"))

    state = api.sim.sandbox.state
    assert (state.accepted_count, state.entry_count) == (0, 0)


def test_repeating_a_request_charges_again(api: Api) -> None:
    """The same request twice makes two tasks, because there are no idempotency keys."""
    tasks = {api.task_of(), api.task_of()}

    assert (len(tasks), api.credits()) == (2, 20_000 - 2 * 16)
