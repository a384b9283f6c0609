"""`POST /video/retrieve`: progress, the result in both forms, failures, and unknown ids."""

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from upsim.core.states import JobState

if TYPE_CHECKING:
    from tests.http.venice.conftest import Venice

DAY = 86_400
GONE = {"error": "Media could not be found. Request may be invalid, expired, or deleted."}
UNKNOWN = {"error": "Request ID is invalid."}


@pytest.mark.parametrize("dialect", ["", "live", "auto"])
def test_an_unfinished_job_shows_its_running_time(dialect: str, venice: "Venice") -> None:
    """The response has the three documented keys, with times in milliseconds."""
    venice = venice.under(dialect)
    queue_id = venice.queued()
    venice.advance(53.2)

    assert venice.retrieve(queue_id).json() == {
        "status": "PROCESSING",
        "average_execution_time": 145000,
        "execution_duration": 53200,
    }


@pytest.mark.parametrize(("factor", "seconds"), [(1, 50), (2, 100), (4, 200)])
def test_work_takes_a_constant_times_length_times_factor(
    factor: int, seconds: int, venice: "Venice"
) -> None:
    """A job ends exactly at its calculated time."""
    queue_id = venice.queued(upscale_factor=factor)
    venice.advance(seconds - 0.000001)
    before = venice.retrieve(queue_id).json()["status"]
    venice.advance(0.000001)

    assert before == "PROCESSING"
    assert venice.retrieve(queue_id).json()["status"] == "completed"


@pytest.mark.parametrize("dialect", ["guide", "", "auto"])
def test_a_finished_job_has_a_url(dialect: str, venice: "Venice") -> None:
    """Each poll has a lower-case status and the same URL under three names."""
    venice = venice.under(dialect)
    queue_id = venice.finished()
    answer = venice.retrieve(queue_id)
    venice.advance(60)

    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "status": "completed",
        **dict.fromkeys(["url", "video_url", "download_url"], answer.json()["url"]),
        "average_execution_time": 145000,
        "execution_duration": 100000,
    }
    assert answer.json()["url"].endswith(f"/media/outputs/{queue_id}.mp4")
    assert venice.retrieve(queue_id).json() == answer.json()


def test_the_url_needs_no_key(venice: "Venice") -> None:
    """The file is an MP4 of the promised size, and needs no key."""
    queue_id = venice.finished(venice.clip("160x90_10fps_1s.webm"))
    video = venice.download(venice.retrieve(queue_id).json()["url"])

    assert video.status_code == 200
    assert video.headers["content-type"] == "video/mp4"
    assert int(video.headers["content-length"]) == len(video.content)
    assert video.content[4:8] == b"ftyp"


def test_extra_fields_and_a_matching_model_are_accepted(venice: "Venice") -> None:
    """The guide dialect ignores extra keys, and returns JSON even if the model is named."""
    venice = venice.under("guide")
    queue_id = venice.finished()
    answer = venice.retrieve(queue_id, model="topaz-video-upscale", nonsense=1)

    assert answer.json()["status"] == "completed"


@pytest.mark.parametrize("dialect", ["live", "auto", ""])
def test_live_sends_the_video_itself(dialect: str, venice: "Venice") -> None:
    """A body with the model gets the MP4, each time."""
    queue_id = venice.finished(venice.clip("160x90_10fps_1s.mp4"))
    venice = venice.under(dialect)
    first = venice.retrieve(queue_id, model="topaz-video-upscale")
    second = venice.retrieve(queue_id, model="topaz-video-upscale")

    assert (first.status_code, first.headers["content-type"]) == (200, "video/mp4")
    assert first.content[4:8] == b"ftyp"
    assert second.content == first.content


@pytest.mark.parametrize("model", [{}, {"model": None}], ids=["none", "null"])
def test_auto_returns_json_without_a_model(model: dict[str, Any], venice: "Venice") -> None:
    """The guide's snippets never name the model, and get the guide's response."""
    queue_id = venice.finished()

    assert venice.under("auto").retrieve(queue_id, **model).json()["status"] == "completed"


def test_live_drops_the_audio(live: "Venice", venice: "Venice") -> None:
    """An output of the live dialect has no audio, and one of the guide dialect keeps it."""
    quiet = live.job(live.queued()).accepted.output
    loud = venice.job(venice.queued()).accepted.output

    assert quiet is not None
    assert loud is not None
    assert (quiet.audio, loud.audio) == (False, True)


def test_live_deletes_the_video_after_delivery(live: "Venice") -> None:
    """With the flag, the file is deleted once it was sent; later polls are a 404."""
    queue_id = live.finished(live.clip("160x90_10fps_1s.mp4"))
    first = live.retrieve(queue_id, delete_media_on_completion=True)
    second = live.retrieve(queue_id)

    assert first.headers["content-type"] == "video/mp4"
    assert (second.status_code, second.json()) == (404, GONE)
    assert live.complete(queue_id).json() == UNKNOWN


def test_the_guide_deletes_the_video_after_its_download(venice: "Venice") -> None:
    """The URL works once; then polls are a 404, and complete has no URL."""
    queue_id = venice.finished(venice.clip("160x90_10fps_1s.mp4"))
    url = venice.retrieve(queue_id, delete_media_on_completion=True).json()["url"]
    before = venice.retrieve(queue_id)
    first, second = venice.download(url), venice.download(url)
    after = venice.retrieve(queue_id)

    assert before.json()["url"] == url
    assert (first.status_code, second.status_code) == (200, 410)
    assert (after.status_code, after.json()) == (404, GONE)
    assert venice.complete(queue_id).json() == {"success": True}


@pytest.mark.parametrize("flag", [False, None])
def test_an_unset_flag_deletes_nothing(flag: object, venice: "Venice") -> None:
    """False and null are the default of the flag."""
    queue_id = venice.finished(venice.clip("160x90_10fps_1s.mp4"))
    url = venice.retrieve(queue_id, delete_media_on_completion=flag).json()["url"]

    assert [venice.download(url).status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("dialect", ["", "live"])
def test_the_flag_does_not_persist(dialect: str, venice: "Venice") -> None:
    """A flag in a poll of an unfinished job has no later effect."""
    venice = venice.under(dialect)
    queue_id = venice.queued(venice.clip("160x90_10fps_1s.mp4"))
    venice.retrieve(queue_id, delete_media_on_completion=True)
    venice.until_done(queue_id)

    assert [venice.retrieve(queue_id).status_code for _ in range(2)] == [200, 200]
    assert "delete_after_download" not in venice.job(queue_id).marks


@pytest.mark.parametrize("flag", ["true", 1, []])
def test_the_flag_is_a_boolean(flag: object, venice: "Venice") -> None:
    """Any other type is a 400 that names the field."""
    answer = venice.retrieve(venice.queued(), delete_media_on_completion=flag)

    assert answer.status_code == 400
    assert answer.json()["issues"][0]["path"] == ["delete_media_on_completion"]


def test_a_revoked_file_is_gone(venice: "Venice") -> None:
    """After a DELETE of the URL, a GET is a 410 and a poll a 404."""
    queue_id = venice.finished(venice.clip("160x90_10fps_1s.mp4"))
    url = venice.retrieve(queue_id).json()["url"]

    assert venice.download(url, "DELETE").is_success
    assert venice.download(url).status_code == 410
    assert venice.retrieve(queue_id).status_code == 404


def test_a_scenario_forbids_revoking(make_from: Callable[..., "Venice"]) -> None:
    """With `output_revocable: false`, a DELETE is a 405, and the file stays."""
    venice = make_from("facts: {output_revocable: {value: false}}")
    url = venice.retrieve(venice.finished(venice.clip("160x90_10fps_1s.mp4"))).json()["url"]

    assert venice.download(url, "DELETE").status_code == 405
    assert venice.download(url).status_code == 200


@pytest.mark.parametrize("dialect", ["", "live"])
def test_an_id_lives_24_hours(dialect: str, venice: "Venice") -> None:
    """An id is known for exactly 24 hours from its acceptance."""
    venice = venice.under(dialect)
    queue_id = venice.finished(venice.clip("160x90_10fps_1s.mp4"))
    venice.advance(DAY - 10 - 0.000001)
    before = venice.retrieve(queue_id)
    venice.advance(0.000001)
    after = venice.retrieve(queue_id)

    assert before.status_code == 200
    assert (after.status_code, after.json()) == (400, UNKNOWN)
    assert venice.complete(queue_id).json() == UNKNOWN


def test_a_url_lives_24_hours(venice: "Venice") -> None:
    """The file is served for 24 hours from its completion; then it is a 410."""
    queue_id = venice.finished(venice.clip("160x90_10fps_1s.mp4"))
    url = venice.retrieve(queue_id).json()["url"]
    venice.advance(DAY - 0.000001)
    before = venice.download(url)
    venice.advance(0.000001)

    assert (before.status_code, venice.download(url).status_code) == (200, 410)


@pytest.mark.parametrize("dialect", ["", "live", "auto"])
@pytest.mark.parametrize("operation", ["retrieve", "complete"])
def test_unknown_and_foreign_ids_get_the_same_response(
    operation: str, dialect: str, venice: "Venice"
) -> None:
    """An unknown id, one of another account and one of another model get the same response."""
    venice = venice.under(dialect)
    queue_id = venice.queued()
    ask = getattr(venice, operation)
    answers = [
        ask("00000000-0000-4000-8000-000000000000", model="topaz-video-upscale"),
        ask("", model="topaz-video-upscale"),
        getattr(venice.second_key(), operation)(queue_id, model="topaz-video-upscale"),
        ask(queue_id, model="wan-2.6-text-to-video"),
    ]
    hidden = {"cf-ray", "x-venice-balance-usd"}
    shown = [{k: v for k, v in a.headers.items() if k not in hidden} for a in answers]

    assert {answer.status_code for answer in answers} == {400}
    assert [answer.json() for answer in answers] == [UNKNOWN] * 4
    assert shown[1:] == shown[:-1]


def test_an_id_of_another_sandbox_is_unknown(venice: "Venice", live: "Venice") -> None:
    """An id of another sandbox is unknown."""
    assert live.under("").retrieve(venice.queued()).json() == UNKNOWN


def test_a_job_deleted_by_command_is_unknown(venice: "Venice") -> None:
    """A deleted job is unknown."""
    queue_id = venice.finished()
    venice.sandbox.jobs.move(venice.job(queue_id), JobState.DELETED)

    assert venice.retrieve(queue_id).json() == UNKNOWN


@pytest.mark.parametrize("operation", ["retrieve", "complete"])
@pytest.mark.parametrize(
    ("queue_id", "text"),
    [
        (None, "Required"),
        (7, "Expected string, received number"),
        (["x"], "Expected string, received array"),
    ],
)
def test_queue_id_is_a_text(queue_id: object, text: str, operation: str, venice: "Venice") -> None:
    """A missing or ill-typed queue_id is a 400 that names the field."""
    answer = getattr(venice, operation)(queue_id)

    assert (answer.status_code, answer.json()["error"]) == (400, "Invalid request parameters")
    assert answer.json()["issues"] == [
        {"code": "invalid_type", "path": ["queue_id"], "message": text}
    ]


@pytest.mark.parametrize("operation", ["retrieve", "complete"])
@pytest.mark.parametrize(
    ("dialect", "body", "error"),
    [
        ("", {"model": 7}, "model must be a string"),
        ("live", {"model": 7}, "model must be a string"),
        ("live", {"model": None}, "model is required"),
        ("live", {"extra": 1}, "Invalid request parameters"),
    ],
)
def test_bodies_of_polls_are_checked(
    dialect: str, body: dict[str, Any], error: str, operation: str, venice: "Venice"
) -> None:
    """The model is a text; the live dialect needs it and accepts no other keys."""
    venice = venice.under(dialect)
    answer = getattr(venice, operation)(venice.queued(), **body)

    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize("dialect", ["", "live"])
@pytest.mark.parametrize(
    ("name", "status", "body"),
    [
        ("inference_failed", 500, {"error": "Inference processing failed"}),
        (
            "provider_content_policy",
            422,
            {
                "error": {
                    "message": "The selected model provider rejected this request due to its"
                    " content policies. Credits have been refunded.",
                    "type": "provider_content_policy",
                    "credits_refunded": True,
                }
            },
        ),
        (
            "provider_failed",
            422,
            {"error": "The provider could not process this clip.", "credits_refunded": True},
        ),
        (None, 500, {"error": "Inference processing failed"}),
    ],
)
def test_a_failed_job_repeats_its_error_and_refunds(
    name: str | None, status: int, body: dict[str, Any], dialect: str, venice: "Venice"
) -> None:
    """Every poll gets the recorded error, and exactly the charge is refunded."""
    venice = venice.under(dialect)
    queue_id = venice.queued()
    venice.fail(queue_id, name)
    answers = [venice.retrieve(queue_id) for _ in range(3)]

    assert [(answer.status_code, answer.json()) for answer in answers] == [(status, body)] * 3
    assert [entry.amount for entry in venice.entries] == [Decimal(-1), Decimal(1)]
    assert venice.balance == 100
    assert venice.complete(queue_id).json() == {"success": True}


@pytest.mark.parametrize("state", [JobState.CANCELLED, JobState.TIMEOUT])
def test_other_unsuccessful_ends_are_failures(state: JobState, venice: "Venice") -> None:
    """A job that was cancelled or timed out by command shows the plain failure."""
    queue_id = venice.queued()
    venice.fail(queue_id, state=state)

    assert venice.retrieve(queue_id).status_code == 500
    assert venice.balance == 100


def test_a_free_job_has_nothing_to_refund(make_from: Callable[..., "Venice"]) -> None:
    """The failure of a job with a price of zero does not mention a refund."""
    venice = make_from("media: [{url: '*', duration: '0.00001', size: 854x480, frames: 1}]")
    queue_id = venice.queued()
    venice.fail(queue_id, "provider_failed")

    assert venice.retrieve(queue_id).json()["credits_refunded"] is False


def test_a_scenario_decides_the_failure(make_from: Callable[..., "Venice"]) -> None:
    """A job rule of a scenario decides the failure."""
    rule = (
        "{when: {upscale_factor: '4'}, lifecycle: [{processing: 90s}, {failed: provider_failed}]}"
    )
    venice = make_from(f"jobs: [{rule}]")
    bad, good = venice.queued(upscale_factor=4), venice.queued(upscale_factor=2)
    venice.advance(100)

    assert venice.retrieve(bad).status_code == 422
    assert venice.retrieve(good).json()["status"] == "completed"


@pytest.mark.parametrize("path", ["video/queue", "video/retrieve", "video/complete", "video/quote"])
def test_there_is_no_get_form(path: str, venice: "Venice") -> None:
    """The four video endpoints accept POST only."""
    answer = venice.get(path, id="x")

    assert (answer.status_code, answer.json()) == (405, {"error": "Method not allowed"})
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["video", "video/transcriptions", "chat/completions", "../v2"])
def test_other_paths_are_not_found(path: str, venice: "Venice") -> None:
    """A path that is not emulated is Venice's own 404."""
    answer = venice.post(path)

    assert (answer.status_code, answer.json()) == (404, {"error": "Not found"})
