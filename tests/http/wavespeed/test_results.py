"""Reading a task: its states, its record, its file, and what deleting and time do to it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from upsim.core.states import JobState

if TYPE_CHECKING:
    import httpx

    from tests.http.wavespeed.conftest import Api, Start

UPSCALER = "wavespeed-ai/video-upscaler"
UPSCALE_V1 = "runwayml/upscale-v1"
VIDEO = "https://clips.example/12.mp4"
WEEK = 7 * 86_400
DOWNLOAD = "Failed to download video from the provided URL."
READ = "Failed to read the video from the provided URL."


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Return status and text of an error envelope, which has no data."""
    body = answer.json()
    assert set(body) == {"code", "message"}
    assert body["code"] == answer.status_code
    return answer.status_code, body["message"]


def force(api: Api, task: str, state: JobState, failure: str | None = None) -> None:
    """Move a task as the admin API does."""
    sandbox = api.sim.sandbox
    found = sandbox.bound("wavespeed").failures[failure] if failure else None
    sandbox.jobs.move(sandbox.state.jobs[task], state, found)


@pytest.mark.parametrize("path", ["predictions/{}/result", "predictions/{}"])
def test_both_paths_show_the_finished_task(api: Api, path: str) -> None:
    """Both result paths show the task in `created`, in `processing` and then with one output."""
    task = api.submit()["id"]
    seen = [api.get(path.format(task)).json()["data"]["status"]]
    for seconds in (1, 71, 1):
        api.sim.advance(seconds)
        seen.append(api.get(path.format(task)).json()["data"]["status"])

    assert seen == ["created", "processing", "processing", "completed"]
    assert api.get(path.format(task)).json() == {
        "code": 200,
        "message": "success",
        "data": {
            "id": task,
            "model": UPSCALER,
            "outputs": [f"http://upsim.test/media/outputs/{task}.mp4"],
            "urls": {"get": f"http://upsim.test/wavespeed/api/v3/predictions/{task}/result"},
            "has_nsfw_contents": [False],
            "status": "completed",
            "created_at": "2026-01-01T00:00:00.000Z",
            "error": "",
            "executionTime": 72_000,
            "timings": {"inference": 72_000},
        },
    }


@pytest.mark.parametrize(
    ("model", "inputs", "milliseconds"),
    [
        (UPSCALER, {"target_resolution": "720p"}, 60_000),
        (UPSCALER, {"target_resolution": "2k"}, 96_000),
        (UPSCALER, {"target_resolution": "4k"}, 120_000),
        (UPSCALE_V1, {}, 60_000),
    ],
)
def test_the_inference_time_is_the_processing_time(
    api: Api, model: str, inputs: dict[str, object], milliseconds: int
) -> None:
    """Both time fields hold the milliseconds in `processing`, which depend on the resolution."""
    ended = api.finish(api.submit(model, **inputs)["id"])

    assert ended["executionTime"] == milliseconds
    assert ended["timings"] == {"inference": milliseconds}


def test_the_output_is_downloaded_without_a_key(api: Api) -> None:
    """The output is an MP4 file that can be downloaded without a key."""
    url = api.finish(
        api.submit(video="http://upsim.test/media/synthetic/320x240_10fps_1s.mp4")["id"]
    )
    answer = api.http.get(url["outputs"][0], headers={"Authorization": ""})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.content[4:8] == b"ftyp"


@pytest.mark.parametrize("path", ["predictions/{}/result", "predictions/{}"])
def test_unknown_and_foreign_tasks_are_not_found(api: Api, path: str) -> None:
    """A task of another account gets the same 404 as a task that does not exist."""
    task = api.submit()["id"]
    foreign = api.of("second").get(f"/api/v3/{path.format(task)}")

    assert refusal(foreign) == (404, "prediction not found")
    assert refusal(api.get(path.format("0" * 32))) == (404, "prediction not found")
    assert refusal(api.get(path.format("%F0%9F"))) == (404, "prediction not found")


# Failures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("video", "text"),
    [
        ("https://clips.example/gone", DOWNLOAD),
        ("data:video/mp4;base64,AAAA", DOWNLOAD),
        ("clip.mp4", DOWNLOAD),
        ("ftp://clips.example/a.mp4", DOWNLOAD),
        ("http://upsim.test/media/uploads/none.mp4", DOWNLOAD),
        ("https://clips.example/text", READ),
    ],
)
@pytest.mark.parametrize(("model", "price"), [(UPSCALER, "0.025"), (UPSCALE_V1, "0.10")])
def test_a_task_with_an_unavailable_video_fails_later(
    start: Start, video: str, text: str, model: str, price: str
) -> None:
    """If the video cannot be fetched, the task fails later with 1402 and is refunded.

    It is accepted at the minimum price.
    """
    media = {
        "https://clips.example/gone": "unreachable",
        "https://clips.example/text": "not_a_video",
    }
    api = start(media=media)
    task = api.submit(model, video=video)
    charged = 100 - api.balance
    ended = api.finish(task["id"])

    assert task["status"] == "created"
    assert Decimal(price) == charged
    assert ended["status"] == "failed"
    assert (ended["code"], ended["error"]) == (1402, text)
    assert (ended["outputs"], ended["has_nsfw_contents"]) == ([], [])
    assert ended["executionTime"] == 2000
    assert api.balance == 100
    assert api.kinds == ["charge", "refund"]


@pytest.mark.parametrize(
    ("state", "status", "code", "error", "balance"),
    [
        (JobState.FAILED, "failed", 1405, "Task failed", "100"),
        (JobState.CANCELLED, "cancelled", 1405, "Task was cancelled", "100"),
        (JobState.TIMEOUT, "timeout", 5004, "Task timed out", "100"),
    ],
)
def test_states_set_by_command_have_words_codes_and_refunds(
    api: Api, state: JobState, status: str, code: int, error: str, balance: str
) -> None:
    """An operator can set more task statuses, each with a code, a text and a refund."""
    task = api.submit()["id"]
    force(api, task, state)
    ended = api.result(task)

    assert (ended["status"], ended["code"], ended["error"]) == (status, code, error)
    assert ended["executionTime"] == 0
    assert Decimal(balance) == api.balance


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        ("content_moderation", 1200),
        ("missing_parameter", 1400),
        ("invalid_parameter", 1401),
        ("media_access_failed", 1402),
        ("execution_failed", 1403),
        ("task_failed", 1405),
        ("retries_exhausted", 1406),
        ("insufficient_credits", 1407),
        ("internal_error", 5000),
        ("service_unavailable", 5003),
        ("timeout", 5004),
    ],
)
def test_every_documented_task_code_can_be_produced(api: Api, failure: str, code: int) -> None:
    """A failed task is shown with HTTP 200, a code of the documented table and a text."""
    task = api.submit()["id"]
    force(api, task, JobState.FAILED, failure)
    answer = api.get(f"predictions/{task}/result")

    assert answer.status_code == 200
    assert answer.json()["code"] == 200
    assert answer.json()["data"]["code"] == code
    assert answer.json()["data"]["error"]


def test_a_refund_may_be_late(start: Start) -> None:
    """A scenario can delay a refund by the documented three hours."""
    api = start(more={"refund": {"after": "10800"}})
    force(api, api.submit()["id"], JobState.FAILED)
    api.sim.advance(10_799)
    before = api.balance
    api.sim.advance(1)

    assert before < 100
    assert api.balance == 100


# Deleting ----------------------------------------------------------------------------------------


def test_deleting_counts_own_tasks_once(api: Api) -> None:
    """A delete request ignores unknown, foreign, repeated and deleted ids in its count."""
    first, second = api.submit()["id"], api.submit()["id"]
    foreign = (
        api.of("second").post(f"/api/v3/{UPSCALER}", json={"video": VIDEO}).json()["data"]["id"]
    )
    answer = api.post("predictions/delete", {"ids": [first, first, second, foreign, "x"]})
    again = api.post("predictions/delete", {"ids": [first]})

    assert answer.json() == {"code": 200, "message": "success", "data": {"deleted_count": 2}}
    assert again.json()["data"] == {"deleted_count": 0}
    assert api.post("predictions/delete", {"ids": []}).json()["data"] == {"deleted_count": 0}


@pytest.mark.parametrize("finished", [False, True])
def test_a_deleted_task_has_status_deleted(api: Api, *, finished: bool) -> None:
    """A deleted task has status `deleted`, no outputs, no file and no refund."""
    task = api.submit()["id"]
    if finished:
        api.finish(task)
    api.post("predictions/delete", {"ids": [task]})
    api.sim.advance(1000)
    record = api.result(task)
    file = api.http.get(f"http://upsim.test/media/outputs/{task}.mp4")

    assert (record["status"], record["outputs"], record["has_nsfw_contents"]) == ("deleted", [], [])
    assert (file.status_code, file.text) == (404, "not found")
    assert api.kinds == ["charge"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, 'property "ids" is missing'),
        ({"ids": None}, 'property "ids" is missing'),
        ({"ids": "a"}, "ids must be an array of strings"),
        ({"ids": [1]}, "ids must be an array of strings"),
    ],
)
def test_ids_to_delete_are_a_list_of_texts(api: Api, body: dict[str, object], text: str) -> None:
    """A delete request is refused if `ids` is not a list of strings."""
    assert refusal(api.post("predictions/delete", body)) == (400, text)


# Retention ---------------------------------------------------------------------------------------


def test_tasks_and_files_live_seven_days(api: Api) -> None:
    """Seven days after the submit, the task, its file and its list entry no longer exist."""
    task = api.submit()["id"]
    output = api.finish(task)["outputs"][0]
    api.sim.advance(WEEK - 6002)
    before = api.get(f"predictions/{task}").status_code
    api.sim.advance(2)

    assert before == 200
    assert refusal(api.get(f"predictions/{task}")) == (404, "prediction not found")
    assert api.http.get(output).status_code == 404
    listed = api.post("predictions", {"page": 1, "page_size": 10}).json()["data"]
    assert (listed["total"], listed["items"]) == (0, [])


# Knobs -------------------------------------------------------------------------------------------


def test_the_short_form_of_the_result_link_is_a_knob(start: Start) -> None:
    """With the knob, the result link of a task has no `/result`, and the link works."""
    api = start(get_url="short")
    task = api.submit()

    assert task["urls"]["get"].endswith(f"/api/v3/predictions/{task['id']}")
    assert api.http.get(task["urls"]["get"]).status_code == 200


@pytest.mark.parametrize(
    ("knobs", "before", "after"),
    [
        ({}, [], list),
        ({"result_outputs": "string"}, "", str),
        ({"empty_fields": "null"}, None, list),
        ({"empty_fields": "null", "result_outputs": "string"}, None, str),
    ],
)
def test_the_form_of_outputs_is_a_knob(
    start: Start, knobs: dict[str, str], before: object, after: type
) -> None:
    """Knobs decide whether outputs are an array or a string, and whether no output is null."""
    api = start(**knobs)
    task = api.submit()["id"]
    first: Any = api.result(task)["outputs"]
    last: Any = api.finish(task)["outputs"]

    assert first == before
    assert type(last) is after
    assert ".mp4" in str(last)


@pytest.mark.parametrize(("knob", "error"), [("empty", ""), ("null", None)])
def test_the_form_of_no_error_is_a_knob(start: Start, knob: str, error: object) -> None:
    """Without an error, the field `error` is empty, or null with the knob."""
    api = start(empty_fields=knob)
    task = api.submit()

    assert task["error"] == error
    assert api.result(task["id"])["error"] == error


def test_a_result_may_lack_the_nsfw_field(start: Start) -> None:
    """With the knob, results lack the NSFW field, but submit responses still have it."""
    api = start(result_nsfw="absent")
    task = api.submit()

    assert task["has_nsfw_contents"] == []
    assert "has_nsfw_contents" not in api.result(task["id"])


# Time --------------------------------------------------------------------------------------------


def test_an_auto_clock_lets_polling_clients_finish(start: Start) -> None:
    """On an `auto` clock, a polling client gets each state once and then the end, without delay."""
    api = start(clock="auto")
    task = api.submit()["id"]

    assert [api.result(task)["status"] for _ in range(4)] == [
        "created",
        "processing",
        "completed",
        "completed",
    ]


def test_equal_seeds_give_equal_bytes(start: Start) -> None:
    """Two sandboxes with the same seed return the same ids and times for the same calls."""
    first, second = start(), start()

    assert first.finish(first.submit()["id"]) == second.finish(second.submit()["id"])
