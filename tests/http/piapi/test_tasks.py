"""Reading and cancelling tasks, and what happens above a plan's concurrency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from tests.http.piapi.conftest import Api, Start

NOT_YET = "0001-01-01T00:00:00Z"
NO_ERROR = {"code": 0, "raw_message": "", "message": "", "detail": None}


def is_envelope(answer: httpx.Response, status: int, message: str) -> None:
    """Assert an envelope without data."""
    assert (status, {"code": status, "data": None, "message": message}) == (
        answer.status_code,
        answer.json(),
    )


def test_a_task_goes_from_pending_over_processing_to_completed(api: Api) -> None:
    """Each read of a task shows its state at that time, with the start and end times so far."""
    task_id = api.create()["task_id"]
    seen = [api.task(task_id)]
    for seconds in (2, 25):
        api.advance(seconds)
        seen.append(api.task(task_id))

    assert [task["status"] for task in seen] == ["pending", "processing", "completed"]
    first, second, third = (task["meta"] for task in seen)
    assert (first["started_at"], first["ended_at"]) == (NOT_YET, NOT_YET)
    assert (third["started_at"], NOT_YET) == (second["started_at"], second["ended_at"])
    assert third["created_at"] < third["started_at"] < third["ended_at"]
    assert [task["output"] for task in seen[:2]] == [None, None]
    assert seen[2]["error"] == NO_ERROR
    assert third["usage"] == {"type": "llm", "frozen": 0, "consume": 180000}


def test_two_reads_of_a_finished_task_are_equal(api: Api) -> None:
    """Two reads of a finished task return the same envelope, without a `task_id` beside it."""
    task_id = api.create()["task_id"]
    api.advance(60)

    first, second = (api.http.get(f"/api/v1/task/{task_id}") for _ in range(2))

    assert first.json() == second.json()
    assert {"code", "data", "message"} == set(first.json())


@pytest.mark.parametrize(
    ("clip", "size"),
    [
        ("854x480_10fps_6s.mp4", (1708, 960)),
        ("640x360_10fps_6s.mp4", (1280, 720)),
        ("1280x720_24fps_10s.mp4", (2560, 1440)),
    ],
)
def test_the_output_is_a_file_of_twice_the_size(api: Api, clip: str, size: tuple[int, int]) -> None:
    """The output link needs no key and returns an MP4 with twice the width and height."""
    task_id = api.create(api.clip(clip))["task_id"]
    api.advance(120)
    link = api.task(task_id)["output"]["video_url"]
    del api.http.headers["x-api-key"]

    answer = api.http.get(link)

    assert link.endswith(f"/media/outputs/{task_id}.mp4")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    width, height = size
    assert b"".join(n.to_bytes(4, "big") for n in (width << 16, height << 16)) in answer.content


@pytest.mark.parametrize("case", ["lower", "capitalised"])
def test_status_case_selects_the_case_of_the_status_words(start: Start, case: str) -> None:
    """`status_case` decides whether status words are in lower case or capitalised."""
    api = start(knobs={"status_case": case})
    task_id = api.create()["task_id"]
    words = [api.task(task_id)["status"]]
    for seconds in (2, 60):
        api.advance(seconds)
        words.append(api.task(task_id)["status"])

    expected = ["pending", "processing", "completed"]
    assert words == [w if case == "lower" else w.capitalize() for w in expected]


def test_a_failed_task_is_refunded_and_read_with_a_200(start: Start) -> None:
    """A poll of a failed task gets a 200 with status `failed`, and the price is refunded."""
    jobs = [
        {"lifecycle": [{"waiting": "1s"}, {"processing": "1s"}, {"failed": "generation_failed"}]}
    ]
    api = start(jobs=jobs)
    task_id = api.create()["task_id"]
    api.advance(2)

    document = api.http.get(f"/api/v1/task/{task_id}").json()

    task = document["data"]
    assert (document["code"], task["status"], task["output"]) == (200, "failed", None)
    assert task["error"] == {
        "code": 10000,
        "raw_message": "upscale failed",
        "message": "task failed",
        "detail": None,
    }
    assert task["meta"]["usage"]["consume"] == 0
    assert api.wallet() | {"id": 0} == {
        "id": 0,
        "point_remain": 1_000_000_000,
        "point_frozen": 0,
        "point_used": 0,
        "auto_recharge_enabled": False,
    }


def test_a_scenario_can_select_jobs_by_their_video(start: Start) -> None:
    """A `jobs` rule with `when: {video: …}` applies only to tasks with this video URL."""
    ends = [{"waiting": "1s"}, {"failed": "timeout"}]
    jobs: list[dict[str, Any]] = [
        {"when": {"video": "https://example.com/bad.mp4"}, "lifecycle": ends}
    ]
    api = start(jobs=jobs)

    bad = api.create("https://example.com/bad.mp4")["task_id"]
    good = api.create("https://example.com/good.mp4")["task_id"]
    api.advance(1)

    assert [api.task(name)["status"] for name in (bad, good)] == ["failed", "pending"]


@pytest.mark.parametrize("task_id", ["nonsense", "3f0c9c52-7a1e-4f6e-9a55-0d6a7f1b2c11"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_task_is_not_found(api: Api, method: str, task_id: str) -> None:
    """A read or a cancel of an unknown task id gets a 404, whether or not the id is a UUID."""
    is_envelope(api.http.request(method, f"/api/v1/task/{task_id}"), 404, "task not found")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_task_of_another_account_is_not_found(api: Api, method: str) -> None:
    """A read or a cancel of another account's task gets the 404 of an unknown task."""
    task_id = api.create()["task_id"]

    answer = api.http.request(method, f"/api/v1/task/{task_id}", headers={"x-api-key": "another"})

    is_envelope(answer, 404, "task not found")
    assert api.task(task_id)["status"] == "pending"


@pytest.mark.parametrize(("knob", "word"), [("failed", "failed"), ("cancelled", "cancelled")])
def test_a_pending_task_can_be_cancelled(start: Start, knob: str, word: str) -> None:
    """A cancelled task is refunded and has status `failed`, or `cancelled` by knob."""
    api = start(knobs={"cancelled_status": knob})
    task_id = api.create()["task_id"]

    is_envelope(api.http.delete(f"/api/v1/task/{task_id}"), 200, "success")

    task = api.task(task_id)
    assert (word, "task cancelled", None) == (
        task["status"],
        task["error"]["message"],
        task["output"],
    )
    assert task["meta"]["started_at"] == NOT_YET
    assert task["meta"]["ended_at"] != NOT_YET
    assert (task["meta"]["usage"]["consume"], api.wallet()["point_used"]) == (0, 0)


@pytest.mark.parametrize("seconds", [2, 60])
def test_a_running_or_finished_task_cannot_be_cancelled(api: Api, seconds: float) -> None:
    """A cancel of a running or finished task gets a 400, and the task and its charge stay."""
    task_id = api.create()["task_id"]
    api.advance(seconds)
    before = api.task(task_id)

    answer = api.http.delete(f"/api/v1/task/{task_id}")

    is_envelope(answer, 400, "task can only be cancelled while pending")
    assert before == api.task(task_id)


def test_a_task_is_cancelled_only_once(api: Api) -> None:
    """A second cancel of a task gets a 400 and refunds nothing."""
    task_id = api.create()["task_id"]
    api.http.delete(f"/api/v1/task/{task_id}")

    answer = api.http.delete(f"/api/v1/task/{task_id}")

    is_envelope(answer, 400, "task can only be cancelled while pending")
    assert api.wallet()["point_remain"] == 1_000_000_000


def test_cancelling_by_post_is_an_unknown_path(api: Api) -> None:
    """By default `POST /api/v1/task/{id}/cancel` gets the plain-text 404 of an unknown path."""
    task_id = api.create()["task_id"]
    del api.http.headers["x-api-key"]

    answer = api.http.post(f"/api/v1/task/{task_id}/cancel")

    assert (answer.status_code, answer.text) == (404, "404 page not found")


def test_cancelling_by_post_can_be_enabled(start: Start) -> None:
    """With `cancel_by_post: present`, a POST to `/cancel` cancels a task like DELETE."""
    api = start(knobs={"cancel_by_post": "present"})
    task_id = api.create()["task_id"]

    is_envelope(api.http.post(f"/api/v1/task/{task_id}/cancel"), 200, "success")
    assert api.task(task_id)["status"] == "failed"


def test_a_bulk_cancel_cancels_the_pending_tasks_before_a_time(api: Api) -> None:
    """A bulk cancel affects only pending tasks of the same account from before the given time.

    Running tasks, later tasks and tasks of another account stay unchanged.
    """
    working = api.create()["task_id"]
    api.advance(5)
    waiting = api.create()["task_id"]
    api.advance(1)
    before = api.second
    later = api.create()["task_id"]
    foreign = {"x-api-key": "another"}
    other = api.http.post("/api/v1/task", json=api.body(), headers=foreign).json()["task_id"]

    answer = api.http.delete(f"/api/v1/tasks?created_before={before}&model=all")

    is_envelope(answer, 200, "success")
    states = [api.task(task)["status"] for task in (working, waiting, later)]
    assert states == ["processing", "failed", "pending"]
    theirs = api.http.get(f"/api/v1/task/{other}", headers=foreign).json()["data"]
    assert theirs["status"] == "pending"
    assert api.wallet()["point_used"] == 360000


@pytest.mark.parametrize("model", ["kling", "midjourney", "suno", "luma"])
def test_a_bulk_cancel_of_another_family_cancels_no_toolkit_task(api: Api, model: str) -> None:
    """A bulk cancel of another model family leaves an upscale task pending."""
    task_id = api.create()["task_id"]

    answer = api.http.delete(f"/api/v1/tasks?created_before=99999999999&model={model}")

    is_envelope(answer, 200, "success")
    assert api.task(task_id)["status"] == "pending"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "created_before"),
        ("?model=all", "created_before"),
        ("?created_before=soon&model=all", "created_before"),
        ("?created_before=-1&model=all", "created_before"),
        ("?created_before=99999999999", "model"),
        ("?created_before=99999999999&model=video_toolkit", "model"),
    ],
)
def test_a_bulk_cancel_needs_both_parameters(api: Api, query: str, field: str) -> None:
    """A bulk cancel without a valid `created_before` or a documented `model` gets a 400."""
    answer = api.http.delete(f"/api/v1/tasks{query}")

    is_envelope(answer, 400, f"invalid request: query parameter {field}")


CAP = {"piapi": {"plan": "free-capped"}}


def test_a_task_above_the_concurrency_limit_is_refused(start: Start) -> None:
    """A task above the concurrency limit gets a 429 with `Retry-After` and is not charged.

    The limit is checked before the video.
    """
    api = start(accounts=CAP)
    api.create()

    answer = api.http.post("/api/v1/task", json=api.body("string"))

    is_envelope(answer, 429, "too many concurrent tasks")
    assert answer.headers["retry-after"] == "10"
    assert api.wallet()["point_used"] == 180000


@pytest.mark.parametrize("seconds", [2, 26])
def test_a_running_task_counts_for_the_concurrency_limit(start: Start, seconds: float) -> None:
    """While a task is pending or processing, a second task gets a 429 with a limit of one."""
    api = start(accounts=CAP)
    api.create()
    api.advance(seconds)

    assert api.http.post("/api/v1/task", json=api.body()).status_code == 429


def test_a_finished_task_frees_its_slot(start: Start) -> None:
    """When the only allowed task has ended, the next task is accepted."""
    api = start(accounts=CAP)
    api.create()
    api.advance(27)

    assert api.create()["status"] == "pending"


def test_tasks_above_the_concurrency_limit_can_be_staged(start: Start) -> None:
    """With `over_cap: stage` a task above the limit is staged, and starts when a slot is free."""
    api = start(accounts=CAP, knobs={"over_cap": "stage"})
    first, second = api.create(), api.create()
    assert [first["status"], second["status"]] == ["pending", "staged"]
    api.advance(10)
    assert api.task(second["task_id"])["status"] == "staged"

    api.advance(17)

    assert api.task(first["task_id"])["status"] == "completed"
    assert api.task(second["task_id"])["status"] == "pending"
    api.advance(27)
    assert api.task(second["task_id"])["status"] == "completed"


def test_at_most_fifty_tasks_are_staged(start: Start) -> None:
    """If fifty tasks are staged, the next task gets a 429."""
    plans: dict[str, Any] = {"free-capped": {"rates": []}}
    api = start(accounts=CAP, knobs={"over_cap": "stage"}, plans=plans)
    for _ in range(51):
        api.create()

    is_envelope(api.http.post("/api/v1/task", json=api.body()), 429, "too many concurrent tasks")


def test_a_plan_can_limit_requests_per_minute(start: Start) -> None:
    """With a plan of ten requests per minute, the eleventh gets a 429 until the minute is over."""
    api = start(accounts=CAP)
    answers = [api.http.get("/account/info") for _ in range(11)]

    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    is_envelope(answers[10], 429, "too many requests")
    wait = int(answers[10].headers["retry-after"])
    assert 0 < wait <= 60
    api.advance(wait)
    assert api.http.get("/account/info").status_code == 200
