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
    """Each read shows the state at that instant, with the times of every step taken."""
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


def test_reading_a_finished_task_changes_nothing(api: Api) -> None:
    """Two reads give the same answer, in the envelope without a task_id beside it."""
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
    """The link needs no key, and the file behind it is MP4 of the promised size."""
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
def test_status_words_have_one_case(start: Start, case: str) -> None:
    """`status_case` gives the words of the schema's enum instead of those of its examples."""
    api = start(knobs={"status_case": case})
    task_id = api.create()["task_id"]
    words = [api.task(task_id)["status"]]
    for seconds in (2, 60):
        api.advance(seconds)
        words.append(api.task(task_id)["status"])

    expected = ["pending", "processing", "completed"]
    assert words == [w if case == "lower" else w.capitalize() for w in expected]


def test_a_failed_task_still_answers_200_and_is_refunded(start: Start) -> None:
    """Clients must read the status: HTTP and envelope say success, nothing is consumed."""
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


def test_a_scenario_can_choose_jobs_by_their_video(start: Start) -> None:
    """Rules see the video of a request."""
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
def test_unknown_tasks_are_not_found(api: Api, method: str, task_id: str) -> None:
    """Whatever the id looks like."""
    is_envelope(api.http.request(method, f"/api/v1/task/{task_id}"), 404, "task not found")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_tasks_of_another_account_are_not_found(api: Api, method: str) -> None:
    """Another key cannot tell them from unknown ones."""
    task_id = api.create()["task_id"]

    answer = api.http.request(method, f"/api/v1/task/{task_id}", headers={"x-api-key": "another"})

    is_envelope(answer, 404, "task not found")
    assert api.task(task_id)["status"] == "pending"


@pytest.mark.parametrize(("knob", "word"), [("failed", "failed"), ("cancelled", "cancelled")])
def test_a_pending_task_can_be_cancelled(start: Start, knob: str, word: str) -> None:
    """It then reads as failed (or, by knob, cancelled) and is refunded."""
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
def test_a_task_at_work_or_done_cannot_be_cancelled(api: Api, seconds: float) -> None:
    """Only pending ones can, and the charge stays."""
    task_id = api.create()["task_id"]
    api.advance(seconds)
    before = api.task(task_id)

    answer = api.http.delete(f"/api/v1/task/{task_id}")

    is_envelope(answer, 400, "task can only be cancelled while pending")
    assert before == api.task(task_id)


def test_a_task_is_cancelled_only_once(api: Api) -> None:
    """The second time it is no longer pending, and nothing is given back twice."""
    task_id = api.create()["task_id"]
    api.http.delete(f"/api/v1/task/{task_id}")

    answer = api.http.delete(f"/api/v1/task/{task_id}")

    is_envelope(answer, 400, "task can only be cancelled while pending")
    assert api.wallet()["point_remain"] == 1_000_000_000


def test_cancelling_by_post_is_an_unknown_path(api: Api) -> None:
    """An early official CLI used it; today it is not there, whoever asks."""
    task_id = api.create()["task_id"]
    del api.http.headers["x-api-key"]

    answer = api.http.post(f"/api/v1/task/{task_id}/cancel")

    assert (answer.status_code, answer.text) == (404, "404 page not found")


def test_cancelling_by_post_can_be_made_present(start: Start) -> None:
    """`cancel_by_post` gives it the rules of DELETE."""
    api = start(knobs={"cancel_by_post": "present"})
    task_id = api.create()["task_id"]

    is_envelope(api.http.post(f"/api/v1/task/{task_id}/cancel"), 200, "success")
    assert api.task(task_id)["status"] == "failed"


def test_a_bulk_cancel_takes_the_pending_tasks_from_before(api: Api) -> None:
    """Those at work, later ones and those of others stay as they are."""
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
def test_a_bulk_cancel_of_other_families_takes_nothing(api: Api, model: str) -> None:
    """The toolkit is only among `all`."""
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
    """A time in seconds and a documented family."""
    answer = api.http.delete(f"/api/v1/tasks{query}")

    is_envelope(answer, 400, f"invalid request: query parameter {field}")


CAP = {"piapi": {"plan": "free-capped"}}


def test_above_the_cap_a_task_is_refused(start: Start) -> None:
    """429 with Retry-After, before the video is looked at and without a charge."""
    api = start(accounts=CAP)
    api.create()

    answer = api.http.post("/api/v1/task", json=api.body("string"))

    is_envelope(answer, 429, "too many concurrent tasks")
    assert answer.headers["retry-after"] == "10"
    assert api.wallet()["point_used"] == 180000


@pytest.mark.parametrize("seconds", [2, 26])
def test_a_task_at_work_counts_against_the_cap(start: Start, seconds: float) -> None:
    """Pending and processing are concurrent."""
    api = start(accounts=CAP)
    api.create()
    api.advance(seconds)

    assert api.http.post("/api/v1/task", json=api.body()).status_code == 429


def test_a_finished_task_makes_room(start: Start) -> None:
    """The next one is accepted as soon as the first has ended."""
    api = start(accounts=CAP)
    api.create()
    api.advance(27)

    assert api.create()["status"] == "pending"


def test_tasks_above_the_cap_can_be_staged(start: Start) -> None:
    """`over_cap: stage` takes them, and they become pending when there is room."""
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


def test_the_stage_holds_fifty_tasks(start: Start) -> None:
    """The next one is refused."""
    plans: dict[str, Any] = {"free-capped": {"rates": []}}
    api = start(accounts=CAP, knobs={"over_cap": "stage"}, plans=plans)
    for _ in range(51):
        api.create()

    is_envelope(api.http.post("/api/v1/task", json=api.body()), 429, "too many concurrent tasks")


def test_a_plan_may_limit_requests_a_minute(start: Start) -> None:
    """The eleventh call of any kind is refused until the minute is over."""
    api = start(accounts=CAP)
    answers = [api.http.get("/account/info") for _ in range(11)]

    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    is_envelope(answers[10], 429, "too many requests")
    wait = int(answers[10].headers["retry-after"])
    assert 0 < wait <= 60
    api.advance(wait)
    assert api.http.get("/account/info").status_code == 200
