"""Every knob, set alone: each value does what it says, and the default does not."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from upsim.core.baseline import Knob
from upsim.scenario.loader import Library

if TYPE_CHECKING:
    from tests.http.venice.conftest import Venice

Make = Callable[..., "Venice"]
MODEL = "topaz-video-upscale"
CLIP = "160x90_10fps_1s.mp4"
UNKNOWN = "Request ID is invalid."
GONE = "Media could not be found. Request may be invalid, expired, or deleted."
KNOBS: dict[str, Knob] = dict(Library().baseline("venice").baseline.knobs)


def finished(venice: "Venice") -> dict[str, Any]:
    """Return retrieve's answer for a finished job."""
    body: dict[str, Any] = venice.retrieve(venice.finished(venice.clip(CLIP))).json()
    return body


@pytest.mark.parametrize(
    ("value", "named", "kind"),
    [
        ("json", True, "application/json"),
        ("binary", False, "video/mp4"),
        ("binary", True, "video/mp4"),
        ("by_model", False, "application/json"),
        ("by_model", True, "video/mp4"),
    ],
)
def test_retrieve_form(value: str, named: bool, kind: str, make: Make) -> None:  # noqa: FBT001 - a table
    """A finished job is JSON, or the MP4, or the MP4 only for requests with the model."""
    venice = make(retrieve_form=value)
    body = {"model": MODEL} if named else {}
    answer = venice.retrieve(venice.finished(venice.clip(CLIP)), **body)

    assert answer.headers["content-type"] == kind


@pytest.mark.parametrize("value", ["completed", "COMPLETED"])
def test_completed_status(value: str, make: Make) -> None:
    """The knob decides the status word of a finished job."""
    assert finished(make(completed_status=value))["status"] == value


@pytest.mark.parametrize(
    ("value", "names"), [("url", {"url"}), ("all", {"url", "video_url", "download_url"})]
)
def test_result_urls(value: str, names: set[str], make: Make) -> None:
    """The knob decides between one name for the URL, and three names with the same value."""
    body = finished(make(result_urls=value))
    urls = {name: text for name, text in body.items() if name.endswith("url")}

    assert urls.keys() == names
    assert len(set(urls.values())) == 1


@pytest.mark.parametrize(("value", "status"), [("optional", 200), ("required", 400)])
def test_model_on_poll(value: str, status: int, make: Make) -> None:
    """The knob decides whether a poll without the model is accepted."""
    venice = make(model_on_poll=value)
    queue_id = venice.queued()
    answers = [venice.retrieve(queue_id), venice.complete(queue_id)]

    assert [answer.status_code for answer in answers] == [status, status]
    assert venice.retrieve(queue_id, model=MODEL).status_code == 200


@pytest.mark.parametrize(
    ("value", "names"), [("url", {"success", "status", "url"}), ("flag", {"success"})]
)
def test_complete_answer(value: str, names: set[str], make: Make) -> None:
    """The knob decides whether complete returns the URL or only the flag."""
    venice = make(complete_answer=value)

    assert venice.complete(venice.finished()).json().keys() == names


@pytest.mark.parametrize(("value", "status"), [("keep", 200), ("delete", 404)])
def test_complete_effect(value: str, status: int, make: Make) -> None:
    """The knob decides whether complete deletes the file; a deleted file has no URL."""
    venice = make(complete_effect=value)
    queue_id = venice.finished()
    body = venice.complete(queue_id).json()

    assert venice.retrieve(queue_id).status_code == status
    assert ("url" in body) == (value == "keep")


@pytest.mark.parametrize(("value", "status"), [("accepted", 200), ("refused", 400)])
def test_complete_ids(value: str, status: int, make: Make) -> None:
    """The knob decides whether complete accepts the ids of queue."""
    venice = make(complete_ids=value)
    queue_id = venice.finished()
    answer = venice.complete(queue_id)

    assert answer.status_code == status
    assert answer.json().get("error") in (None, UNKNOWN)
    assert venice.retrieve(queue_id).json()["status"] == "completed"


@pytest.mark.parametrize(
    ("value", "status", "body"),
    [
        ("unsuccessful", 200, {"success": False}),
        ("refused", 400, {"error": "Request is still processing."}),
    ],
)
def test_early_complete(value: str, status: int, body: dict[str, Any], make: Make) -> None:
    """The knob decides whether completing an unfinished job is unsuccessful or refused."""
    venice = make(early_complete=value)
    answer = venice.complete(venice.queued())

    assert (answer.status_code, answer.json()) == (status, body)


@pytest.mark.parametrize(
    ("value", "prompt", "status"),
    [
        ("refuse", "", 400),
        ("refuse", None, 400),
        ("tolerate_empty", "", 200),
        ("tolerate_empty", None, 200),
        ("tolerate_empty", " ", 400),
        ("tolerate_empty", "upscale", 400),
        ("ignore", "upscale", 200),
        ("ignore", None, 200),
        ("ignore", 7, 200),
    ],
)
def test_prompt(value: str, prompt: object, status: int, make: Make) -> None:
    """The knob decides whether a prompt is refused, accepted if empty or null, or ignored."""
    assert make(prompt=value).queue(prompt=prompt).status_code == status


@pytest.mark.parametrize(
    ("duration", "status"),
    [
        ("12.5", 200),
        ("10s", 200),
        ("300", 200),
        ("300.1", 400),
        ("0", 400),
        ("Auto", 400),
        ("nonsense", 400),
        (10, 400),
        (None, 400),
    ],
)
def test_queue_duration(duration: object, status: int, make: Make) -> None:
    """The knob decides whether duration must be a text of seconds up to the limit."""
    checked = make(queue_duration="checked")

    assert checked.queue(duration=duration).status_code == status
    assert checked.queue().status_code == 200
    assert make(queue_duration="ignore").queue(duration=duration).status_code == 200


def test_a_number_as_duration_gets_the_validators_words(make: Make) -> None:
    """The error of the live service names both types."""
    answer = make(queue_duration="checked").queue(duration=10)

    assert answer.json()["issues"] == [
        {
            "code": "invalid_type",
            "path": ["duration"],
            "message": "Expected string, received number",
        }
    ]


@pytest.mark.parametrize(("value", "status"), [("refuse", 400), ("tolerate", 200)])
def test_resolution_null(value: str, status: int, make: Make) -> None:
    """The knob decides whether a resolution of null is accepted; a text is always refused."""
    venice = make(resolution_null=value)
    seen = [venice.queue(resolution=None), venice.quote(duration="10", resolution=None)]

    assert [answer.status_code for answer in seen] == [status, status]
    assert venice.queue(resolution="2x").status_code == 400


@pytest.mark.parametrize(("value", "status"), [("refuse", 400), ("alias", 200)])
def test_quote_resolution(value: str, status: int, make: Make) -> None:
    """The knob decides whether 1x may stand for the factor 1 in a quote; queue refuses it."""
    venice = make(quote_resolution=value)
    answer = venice.quote(duration="10", input_height=720, resolution="1x")

    assert answer.status_code == status
    assert answer.json().get("quote") in (None, 0.13)
    assert venice.queue(resolution="1x").status_code == 400


@pytest.mark.parametrize(("value", "status"), [("either", 200), ("video", 400)])
def test_quote_basis(value: str, status: int, make: Make) -> None:
    """The knob decides whether a quote needs the video, or only its description."""
    venice = make(quote_basis=value)

    assert venice.quote(duration="10").status_code == status
    assert venice.quote(video_url="https://a.b/c.mp4").status_code == 200


@pytest.mark.parametrize(("value", "status"), [("ignore", 200), ("refuse", 400)])
def test_unknown_fields(value: str, status: int, make: Make) -> None:
    """The knob decides whether unknown fields are refused; quote always ignores them."""
    venice = make(unknown_fields=value)
    queue_id = venice.queued()
    answers = [
        venice.queue(aspect_ratio="16:9"),
        venice.retrieve(queue_id, nonsense=1),
        venice.complete(queue_id, delete_media_on_completion=True),
    ]
    errors = ["This model does not support aspect_ratio", *["Invalid request parameters"] * 2]

    assert [answer.status_code for answer in answers] == [status] * 3
    if status == 400:
        assert [answer.json()["error"] for answer in answers] == errors
    assert venice.retrieve(queue_id, delete_media_on_completion=True).status_code == 200
    assert venice.quote(duration="10", audio=True).status_code == 200


@pytest.mark.parametrize("value", ["422", "400"])
def test_too_long_status(value: str, make: Make) -> None:
    """The knob decides the status for a video that is too long."""
    venice = make(too_long_status=value)
    answer = venice.queue(venice.clip("160x90_25fps_300.04s.mp4"))

    assert answer.status_code == int(value)
    assert answer.json() == {"error": "Video duration exceeds the maximum allowed."}


@pytest.mark.parametrize(
    ("value", "seconds", "status"),
    [
        ("measured", "300.04", 422),
        ("whole_seconds", "300.96", 200),
        ("whole_seconds", "301", 422),
    ],
)
def test_length_compared(value: str, seconds: str, status: int, make: Make) -> None:
    """The knob decides whether the limit applies to the measured duration or its whole seconds."""
    venice = make(length_compared=value)

    assert venice.queue(venice.clip(f"160x90_25fps_{seconds}s.mp4")).status_code == status


def test_a_scenario_can_set_a_tolerance(make_from: Make) -> None:
    """A scenario can let files exceed the limit by a little."""
    venice = make_from("limits: {max_seconds_tolerance: {value: '0.04'}}")
    seen = [venice.queue(venice.clip(f"160x90_25fps_{s}s.mp4")) for s in ("300.04", "300.08")]

    assert [answer.status_code for answer in seen] == [200, 422]


@pytest.mark.parametrize(
    ("value", "first"),
    [
        ("guide", "Insufficient balance"),
        ("live", "Insufficient USD or Diem balance to complete request."),
        ("both", "Insufficient balance. Insufficient USD or Diem balance"),
    ],
)
def test_funds_text(value: str, first: str, make: Make) -> None:
    """The knob decides the message for insufficient funds."""
    answer = make(balance="0", funds_text=value).queue()

    assert answer.status_code == 402
    assert answer.json()["error"].startswith(first)


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("guide", ["mp4", "mov", "webm"]),
        ("older", ["mp4", "mov"]),
        ("wider", ["mp4", "mov", "webm", "mkv"]),
    ],
)
def test_input_formats(value: str, accepted: list[str], make: Make) -> None:
    """The knob decides the accepted containers, and the message that names them."""
    venice = make(input_formats=value)
    names = ["mp4", "mov", "webm", "mkv"]
    answers = {name: venice.queue(venice.clip(f"160x90_10fps_1s.{name}")) for name in names}
    refused = venice.queue("data:video/mp4,x").json()["error"]

    assert [name for name in names if answers[name].is_success] == accepted
    assert refused.startswith("Invalid video format.")
    assert all((name in refused.lower()) == (name in accepted) for name in names)


@pytest.mark.parametrize(
    ("value", "url", "status"),
    [
        ("any", "http://example.com/a.mp4", 200),
        ("any", "http://10.0.0.1/a.mp4", 200),
        ("https", "http://example.com/a.mp4", 400),
        ("https", "HTTPS://example.com/a.mp4", 200),
        ("public", "http://example.com/a.mp4", 200),
        ("public", "http://8.8.8.8/a.mp4", 200),
        ("public", "https://localhost/a.mp4", 400),
        ("public", "https://app.localhost/a.mp4", 400),
        ("public", "https://printer.local/a.mp4", 400),
        ("public", "https://printer/a.mp4", 400),
        ("public", "http://127.0.0.1:1/a.mp4", 400),
        ("public", "https://10.0.0.1/a.mp4", 400),
        ("public", "https://169.254.169.254/a.mp4", 400),
        ("public", "https://[::1]/a.mp4", 400),
    ],
)
def test_public_urls(value: str, url: str, status: int, make: Make) -> None:
    """The knob decides whether any URL, only an https URL, or only a public host is accepted."""
    venice = make(public_urls=value)
    answers = [venice.queue(url), venice.quote(video_url=url)]

    assert [answer.status_code for answer in answers] == [status, status]
    if status == 400:
        assert answers[0].json()["issues"][0]["path"] == ["video_url"]


@pytest.mark.parametrize("value", ["https", "public"])
def test_data_urls_count_as_public(value: str, make: Make) -> None:
    """The knob for public URLs does not apply to data URLs."""
    venice = make(public_urls=value)

    assert venice.queue(venice.data_url(CLIP)).status_code == 200


@pytest.mark.parametrize(
    ("value", "statuses"), [("refused", [401, 401]), ("discovery", [402, 403])]
)
def test_keyless_answer(value: str, statuses: list[int], make: Make) -> None:
    """The knob decides the response without a key: a 401, or the discovery document."""
    venice = make(keyless_answer=value)
    paths = ["video/queue", "video/quote"]
    answers = [
        venice.request("POST", path, json={}, headers={"authorization": None}, by_path=True)
        for path in paths
    ]

    assert [answer.status_code for answer in answers] == statuses


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("415", "Invalid request content-type"),
        ("400", "'Content-Type' must be 'application/json'"),
    ],
)
@pytest.mark.parametrize("path", ["queue", "retrieve", "complete", "quote"])
def test_content_type_status(value: str, error: str, path: str, make: Make) -> None:
    """The knob decides the status for a wrong content type, on all four endpoints."""
    answer = make(content_type_status=value).request("POST", f"video/{path}", content="{}")

    assert (answer.status_code, answer.json()) == (int(value), {"error": error})


@pytest.mark.parametrize(("value", "error"), [("400", UNKNOWN), ("404", GONE)])
def test_unknown_id_status(value: str, error: str, make: Make) -> None:
    """The knob decides whether an unknown id is a 400, or the 404 of missing media."""
    answer = make(unknown_id_status=value).retrieve("x")

    assert (answer.status_code, answer.json()) == (int(value), {"error": error})


@pytest.mark.parametrize(
    ("value", "error"),
    [("404", "Specified model not found: x"), ("400", "Invalid model specified")],
)
def test_unknown_model_status(value: str, error: str, make: Make) -> None:
    """The knob decides whether an unknown model is a 404 that names it, or a 400."""
    answer = make(unknown_model_status=value).post("video/queue", model="x")

    assert (answer.status_code, answer.json()) == (int(value), {"error": error})


@pytest.mark.parametrize(
    ("value", "error"), [("page", "wait 30s and"), ("live", "wait 30 seconds")]
)
def test_budget_text(value: str, error: str, make: Make) -> None:
    """The knob decides the message for too many failures."""
    venice = make(budget_text=value).on_plan("error_budget")
    answers = [venice.retrieve("x") for _ in range(22)]

    assert answers[-1].status_code == 429
    assert error in answers[-1].json()["error"]


@pytest.mark.parametrize(
    ("value", "reset"), [("milliseconds", "1767225660000"), ("seconds", "1767225660")]
)
def test_reset_unit(value: str, reset: str, make: Make) -> None:
    """The knob decides whether the reset header counts milliseconds or seconds."""
    answer = make(reset_unit=value).on_plan("limited").queue()

    assert answer.headers["x-ratelimit-reset-requests"] == reset


@pytest.mark.parametrize(("value", "audio"), [("keep", True), ("drop", False)])
def test_audio(value: str, audio: bool, make: Make) -> None:  # noqa: FBT001 - a table
    """The knob decides whether the output keeps the audio; a silent input stays silent."""
    venice = make(audio=value)
    loud = venice.job(venice.queued()).accepted.output
    silent = venice.job(venice.queued(venice.clip("160x90_10fps_1s_silent.mp4"))).accepted.output

    assert loud is not None
    assert silent is not None
    assert (loud.audio, silent.audio) == (audio, False)


@pytest.mark.parametrize(
    ("value", "status", "body"),
    [
        ("status", 500, {"error": "Inference processing failed"}),
        (
            "body",
            200,
            {
                "status": "FAILED",
                "error": "Inference processing failed",
                "error_code": "INFERENCE_FAILED",
            },
        ),
    ],
)
def test_failure_form(value: str, status: int, body: dict[str, Any], make: Make) -> None:
    """The knob decides whether a failed job is an error response or a 200."""
    venice = make(failure_form=value)
    queue_id = venice.queued()
    venice.fail(queue_id, "inference_failed")
    answer = venice.retrieve(queue_id)

    assert (answer.status_code, answer.json()) == (status, body)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("omit", {"error": UNKNOWN}), ("add", {"error": UNKNOWN, "code": "REQUEST_ID_NOT_FOUND"})],
)
def test_error_code(value: str, expected: dict[str, str], make: Make) -> None:
    """The knob decides whether every error has a symbolic code, or only documented errors."""
    venice = make(error_code=value)

    assert venice.retrieve("x").json() == expected
    assert "code" not in venice.get("nothing").json()


@pytest.mark.parametrize(("value", "status"), [("any", 200), ("admin", 401)])
def test_billing_key(value: str, status: int, make: Make) -> None:
    """The knob decides whether billing accepts any key or only admin keys."""
    assert make(billing_key=value).get("billing/balance").status_code == status


@pytest.mark.parametrize(("value", "status"), [("last", 200), ("refuse", 400)])
def test_duplicate_keys(value: str, status: int, make: Make) -> None:
    """The knob decides whether the last of two equal JSON keys wins, or the body is refused."""
    text = f'{{"model": "x", "model": "{MODEL}", "duration": "10"}}'
    headers = {"content-type": "application/json"}
    answer = make(duplicate_keys=value).request(
        "POST", "video/quote", content=text, headers=headers
    )

    assert answer.status_code == status


@pytest.mark.parametrize(("value", "allowed"), [("any_origin", "*"), ("none", None)])
def test_storage_cors(value: str, allowed: str | None, make: Make) -> None:
    """The knob decides whether pages of any origin may read outputs."""
    venice = make(storage_cors=value)
    url = finished(venice)["download_url"]
    with httpx.Client(transport=venice.sim.transport()) as page:
        answer = page.get(url, headers={"Origin": "http://page.example"})
    assert answer.headers.get("access-control-allow-origin") == allowed


def test_every_knob_has_a_test() -> None:
    """Every knob of Venice has a test in this module."""
    assert {f"test_{name}" for name in KNOBS} <= globals().keys()
