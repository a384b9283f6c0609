"""`POST /video/queue`: what is accepted and charged, what is refused, and in which order."""

import json
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml

if TYPE_CHECKING:
    from tests.http.venice.conftest import Venice

MODEL = "topaz-video-upscale"
INVALID = "Invalid request parameters"


def assert_refused(venice: "Venice", answer: httpx.Response, status: int, error: str) -> None:
    """Check an error answer, and that it left neither a charge nor a job."""
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert venice.entries == []
    assert venice.jobs == []


def issue_of(answer: httpx.Response) -> tuple[str, str]:
    """Return the field and the text of the one issue, after checking that details agree."""
    body = answer.json()
    (issue,) = body["issues"]
    field = ".".join(issue["path"])
    branch = body["details"][field]["_errors"] if field else body["details"]["_errors"]
    assert branch == [issue["message"]]
    return field, issue["message"]


def test_the_guides_request_gets_two_keys(venice: "Venice") -> None:
    """The response has the requested model and a UUID, and nothing else."""
    answer = venice.queue(upscale_factor=2)

    assert answer.status_code == 200
    assert answer.json().keys() == {"model", "queue_id"}
    assert answer.json()["model"] == MODEL
    assert uuid.UUID(answer.json()["queue_id"]).version == 4


def test_the_default_video_costs_the_guides_own_row(venice: "Venice") -> None:
    """The assumed video is 720p of 10 s, which costs 1.00 at the default factor."""
    queue_id = venice.queued()
    (entry,) = venice.entries

    assert (entry.kind, entry.amount, entry.job) == ("charge", Decimal(-1), queue_id)
    assert venice.balance == 99


def test_the_same_request_twice_makes_two_jobs(venice: "Venice") -> None:
    """An Idempotency-Key changes nothing: two requests make two jobs."""
    body = {"model": MODEL, "video_url": "https://example.com/a.mp4"}
    headers = {"idempotency-key": "one"}
    ids = {
        venice.request("POST", "video/queue", json=body, headers=headers).json()["queue_id"]
        for _ in range(2)
    }

    assert len(ids) == 2
    assert venice.balance == 98


@pytest.mark.parametrize(
    ("factor", "size"),
    [({}, (640, 480)), ({"upscale_factor": 1}, (320, 240)), ({"upscale_factor": 4}, (1280, 960))],
    ids=["default", "1", "4"],
)
def test_the_output_is_the_input_times_the_factor(
    factor: dict[str, int], size: tuple[int, int], venice: "Venice"
) -> None:
    """The default factor is 2, factor 1 keeps the size, and the audio is kept."""
    queue_id = venice.queued(venice.clip("320x240_10fps_1s.mp4"), **factor)
    output = venice.job(queue_id).accepted.output

    assert output is not None
    assert (output.width, output.height, output.audio) == (*size, True)


@pytest.mark.parametrize("factor", ["1", "1.0", "2", "2.0", "4", "4.0", "4e0", "null"])
def test_factors_are_numbers_of_any_spelling(factor: str, venice: "Venice") -> None:
    """Numbers equal to 1, 2 or 4 are accepted, and null counts as missing."""
    text = f'{{"model": "{MODEL}", "video_url": "https://a.b/c.mp4", "upscale_factor": {factor}}}'
    headers = {"content-type": "application/json"}

    assert venice.request("POST", "video/queue", content=text, headers=headers).is_success


@pytest.mark.parametrize(
    ("factor", "text"),
    [
        (3, "Invalid enum value. Expected 1 | 2 | 4, received 3"),
        (0, "Invalid enum value. Expected 1 | 2 | 4, received 0"),
        (-2, "Invalid enum value. Expected 1 | 2 | 4, received -2"),
        (2.5, "Invalid enum value. Expected 1 | 2 | 4, received 2.5"),
        ("2", "Expected number, received string"),
        (True, "Expected number, received boolean"),
        ([2], "Expected number, received array"),
        ({}, "Expected number, received object"),
    ],
)
def test_other_factors_are_refused(factor: object, text: str, venice: "Venice") -> None:
    """Any other value or type is a 400 that names the field."""
    answer = venice.queue(upscale_factor=factor)

    assert_refused(venice, answer, 400, INVALID)
    assert issue_of(answer) == ("upscale_factor", text)


@pytest.mark.parametrize("value", ["2x", "1080p", "nonsense", "", 2, None, {}])
@pytest.mark.parametrize("dialect", ["", "live"])
def test_resolution_is_refused_with_any_value(
    value: object, dialect: str, venice: "Venice"
) -> None:
    """The error has the guide's text alone, in the details, and in the issues."""
    venice = venice.under(dialect)
    text = "Use upscale_factor instead of resolution"
    answer = venice.queue(resolution=value)

    assert_refused(venice, answer, 400, text)
    assert answer.json() == {
        "error": text,
        "details": {"_errors": [], "resolution": {"_errors": [text]}},
        "issues": [{"code": "custom", "path": ["resolution"], "message": text}],
    }


@pytest.mark.parametrize("value", ["sharper", "", " ", None, 7])
def test_prompt_is_refused_with_any_value(value: object, venice: "Venice") -> None:
    """Any prompt of a client is refused, even an empty one."""
    answer = venice.queue(prompt=value)

    assert_refused(venice, answer, 400, "This model does not support prompt")
    assert issue_of(answer)[0] == "prompt"


@pytest.mark.parametrize("value", ["10", "250", 11, "Auto", "nonsense", None, [], 999])
def test_duration_is_ignored(value: object, venice: "Venice") -> None:
    """Only the file decides the duration."""
    venice.queued(duration=value)

    assert venice.balance == 99


def test_unknown_fields_are_ignored(venice: "Venice") -> None:
    """The guide dialect ignores fields that it does not know."""
    venice.queued(aspect_ratio="16:9", nonsense=1)

    assert venice.balance == 99


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"video_url": "https://a.b/c"}, 400, "model is required"),
        ({"model": None}, 400, "model is required"),
        ({"model": ""}, 400, "model is required"),
        ({"model": 7}, 400, "model must be a string"),
        ({"model": ["topaz"]}, 400, "model must be a string"),
        ({"model": "topaz"}, 404, "Specified model not found: topaz"),
        ({"model": "Topaz-Video-Upscale"}, 404, "Specified model not found: Topaz-Video-Upscale"),
        ({"model": "{url}"}, 404, "Specified model not found: {url}"),
    ],
)
def test_the_model_must_be_this_one(
    body: dict[str, object], status: int, error: str, venice: "Venice"
) -> None:
    """The model is a case-sensitive text, and the first field that is checked."""
    assert_refused(venice, venice.post("video/queue", **body, resolution="2x"), status, error)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (None, "Required"),
        (7, "Expected string, received number"),
        (["https://a.b/c.mp4"], "Expected string, received array"),
        ("", "Invalid url"),
        ("string", "Invalid url"),
        ("ftp://example.com/a.mp4", "Invalid url"),
        ("file:///etc/passwd", "Invalid url"),
        ("https://", "Invalid url"),
        ("https:///a.mp4", "Invalid url"),
        ("http://[::1/a.mp4", "Invalid url"),
    ],
)
def test_video_url_must_be_a_url(url: object, text: str, venice: "Venice") -> None:
    """A missing, ill-typed or malformed video_url is a 400 that names the field."""
    answer = venice.queue(url)

    assert_refused(venice, answer, 400, INVALID)
    assert issue_of(answer) == ("video_url", text)


def test_a_missing_video_url_is_named(venice: "Venice") -> None:
    """The error of a missing field is `Required`."""
    answer = venice.post("video/queue", model=MODEL)

    assert_refused(venice, answer, 400, INVALID)
    assert issue_of(answer) == ("video_url", "Required")


@pytest.mark.parametrize(
    ("clip", "media_type"),
    [
        ("160x90_10fps_1s.mp4", "video/mp4"),
        ("160x90_10fps_1s.mov", "video/quicktime"),
        ("160x90_10fps_1s.webm", "video/webm"),
        ("160x90_10fps_1s.webm", "video/mp4"),
        ("160x90_10fps_1s.mp4", "VIDEO/MP4"),
    ],
)
def test_data_urls_are_checked_by_content(clip: str, media_type: str, venice: "Venice") -> None:
    """MP4, MOV and WebM are accepted under any video type; 1 s of 180p costs 0.013."""
    venice.queued(venice.data_url(clip, media_type))

    assert venice.balance == Decimal("99.987")


@pytest.mark.parametrize("scheme", ["DATA", "Data"])
def test_the_scheme_of_a_data_url_has_no_case(scheme: str, venice: "Venice") -> None:
    """Schemes are case-insensitive."""
    url = venice.data_url("160x90_10fps_1s.mp4").replace("data", scheme, 1)

    assert venice.queue(url).is_success


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,iVBORw0KGgo=",
        "data:application/octet-stream;base64,AAAA",
        "data:video/mp4,AAAA",
        "data:video/mp4;base64",
        "data:,",
    ],
)
def test_data_urls_of_other_types_are_refused(url: str, venice: "Venice") -> None:
    """A data URL must have a video type and base64, or the format is invalid."""
    answer = venice.queue(url)

    assert_refused(venice, answer, 400, "Invalid video format. Supported formats: MP4, MOV, WebM.")


@pytest.mark.parametrize("payload", ["", "AAAA", "not base64!", "bm90IGEgdmlkZW8=", "A"])
def test_data_urls_without_a_video_are_refused(payload: str, venice: "Venice") -> None:
    """Data that is no base64 or no video is a 400."""
    answer = venice.queue(f"data:video/mp4;base64,{payload}")

    assert answer.status_code == 400
    assert venice.entries == []


def test_other_containers_are_refused(venice: "Venice") -> None:
    """Matroska is refused under any type, because it is not one of the three formats."""
    text = "Invalid video format. Supported formats: MP4, MOV, WebM."

    assert_refused(venice, venice.queue(venice.clip("160x90_10fps_1s.mkv")), 400, text)


def test_a_missing_video_is_refused(venice: "Venice") -> None:
    """A URL without a file is a 400."""
    answer = venice.queue("http://upsim.test/media/uploads/gone/clip.mp4")

    assert_refused(venice, answer, 400, "Could not read the video at video_url")


@pytest.mark.parametrize(("seconds", "status"), [("300", 200), ("300.04", 422)])
def test_a_video_may_last_300_seconds(seconds: str, status: int, venice: "Venice") -> None:
    """300 s are accepted, and one frame more is refused before the charge."""
    answer = venice.queue(venice.clip(f"160x90_25fps_{seconds}s.mp4"))

    assert answer.status_code == status
    assert len(venice.entries) == (status == 200)
    if status == 422:
        text = "Video duration exceeds the maximum allowed."
        assert_refused(venice, answer, 422, text)


def test_a_clip_without_length_is_refused(make_from: Callable[..., "Venice"]) -> None:
    """A clip with a duration of zero is too short."""
    venice = make_from("media: [{url: '*', duration: 0}]")

    assert_refused(venice, venice.queue(), 422, "Video duration is too short.")


def test_an_output_beyond_our_own_limit_is_refused(make_from: Callable[..., "Venice"]) -> None:
    """An output that cannot be rendered is refused in the provider's form."""
    venice = make_from("media: [{url: '*', duration: 1, size: 4098x90}]")
    text = "The output would be larger than 16384 pixels a side"

    assert_refused(venice, venice.queue(upscale_factor=4), 400, text)
    assert venice.queue(upscale_factor=2).is_success


@pytest.mark.parametrize(("balance", "status"), [("0.99", 402), ("1", 200), ("0", 402)])
def test_the_balance_must_cover_the_price(
    balance: str, status: int, make: Callable[..., "Venice"]
) -> None:
    """A balance equal to the price is enough; a lower one gets the guide's message."""
    venice = make(balance=balance)
    answer = venice.queue()

    assert answer.status_code == status
    if status == 402:
        assert_refused(venice, answer, 402, "Insufficient balance")
        assert answer.json() == {"error": "Insufficient balance"}
        assert venice.balance == Decimal(balance)


def test_a_plan_without_access_is_refused(venice: "Venice") -> None:
    """A blocked account gets a 403."""
    venice.on_plan("blocked")

    assert_refused(venice, venice.queue(), 403, "Unauthorized access")


def test_a_keys_cap_ends_its_spending(venice: "Venice") -> None:
    """The cap of a key counts its charges, and a refund reduces the count."""
    venice.on_plan("capped")
    queue_id = venice.queued()
    answer = venice.queue()

    assert answer.status_code == 402
    assert answer.json()["error"].startswith("API key USD spend limit exceeded.")
    assert venice.balance == 99
    venice.fail(queue_id, "inference_failed")
    assert venice.queue().is_success


def test_errors_come_in_order(make: Callable[..., "Venice"]) -> None:
    """A request with all mistakes gets the errors in the order of the checks, one by one."""
    venice = make(balance="0")
    text = {"content-type": "text/plain"}
    no_key: dict[str, Any] = {"authorization": None}
    wrong_key = {"authorization": "Bearer VENICE_INFERENCE_KEY_unknown"}
    clip = venice.clip
    body: dict[str, object] = {"resolution": None, "prompt": "", "upscale_factor": 3}
    steps: list[tuple[dict[str, Any], Any, int, str]] = [
        ({**text, **no_key}, "{", 415, "Invalid request content-type"),
        (no_key, "{", 400, "Invalid JSON request"),
        (no_key, "[]", 400, INVALID),
        (no_key, body, 401, "Authentication failed"),
        (wrong_key, body, 401, "Authentication failed"),
        ({}, body, 400, "model is required"),
        ({}, body | {"model": "x"}, 404, "Specified model not found: x"),
    ]
    body = body | {"model": MODEL}
    steps += [({}, dict(body), 400, "Use upscale_factor instead of resolution")]
    del body["resolution"]
    steps += [({}, dict(body), 400, "This model does not support prompt")]
    del body["prompt"]
    steps += [({}, dict(body), 400, INVALID)]
    body["upscale_factor"] = 2
    steps += [({}, dict(body), 400, INVALID)]
    for name, status, error in [
        (
            "160x90_25fps_300.04s.mkv",
            400,
            "Invalid video format. Supported formats: MP4, MOV, WebM.",
        ),
        ("160x90_25fps_300.04s.mp4", 422, "Video duration exceeds the maximum allowed."),
        ("160x90_25fps_300s.mp4", 402, "Insufficient balance"),
    ]:
        steps += [({}, {**body, "video_url": clip(name)}, status, error)]
    for given, content, status, error in steps:
        sent = content if isinstance(content, str) else json.dumps(content)
        headers = {"content-type": "application/json", **given}
        answer = venice.request("POST", "video/queue", content=sent, headers=headers, by_path=True)

        assert_refused(venice, answer, status, error)


def test_the_factor_is_checked_before_the_video(venice: "Venice") -> None:
    """With a wrong factor and no video, the error names the factor."""
    answer = venice.post("video/queue", model=MODEL, upscale_factor=3)

    assert issue_of(answer)[0] == "upscale_factor"


def load_examples() -> dict[str, Any]:
    """Return the published examples."""
    from upsim.scenario.loader import shipped_root

    file = shipped_root().parent / "contracts/upsim_contracts/venice/facts.yaml"
    found: dict[str, Any] = yaml.load(file.read_text("utf-8"), Loader=yaml.CSafeLoader)
    return found


@pytest.mark.parametrize("row", load_examples()["prices"], ids=lambda row: row["published"])
def test_published_rows_are_charged_and_quoted_alike(row: dict[str, Any], venice: "Venice") -> None:
    """Charge and quote of a file are both the amount of the guide."""
    clip = venice.clip(f"{row['input']}_{row['fps']}fps_{row['seconds']}s.mp4")
    quoted = venice.quote(video_url=clip, upscale_factor=row["factor"]).json()["quote"]
    venice.queued(clip, upscale_factor=row["factor"])

    assert Decimal(str(quoted)) == Decimal(row["usd"]) == 100 - venice.balance
