"""Tasks: their states on the clock, their files, failures and refunds, and who may read them."""

from __future__ import annotations

import pytest

from tests.http.vicsee.conftest import Api, Start, message, refusal
from upsim.core.states import JobState
from upsim.media.mp4_measuring import measure_boxes

DOWNLOAD = "/api/v1/tasks/{}/download"


def test_a_new_task(api: Api) -> None:
    """A new task is pending, and has neither result nor error."""
    task = api.task_of()

    assert api.task(task) == {
        "id": task,
        "model": "topaz-video-upscale",
        "status": "pending",
        "mediaType": "video",
        "prompt": None,
        "createdAt": "2026-01-01T00:00:00.000Z",
        "result": None,
        "error": None,
    }


@pytest.mark.parametrize(
    ("seconds", "status"),
    [
        (1.999, "pending"),
        (2, "processing"),
        (60.999, "processing"),
        (61, "completed"),
        (10_000_000, "completed"),
    ],
)
def test_the_states_on_the_clock(api: Api, seconds: float, status: str) -> None:
    """A task with one second of video waits two seconds, and ends after sixty-one."""
    task = api.task_of()

    api.sim.advance(seconds)

    assert api.task(task)["status"] == status


def test_the_result(api: Api) -> None:
    """A completed task names its file and has no error."""
    task = api.task_of()
    api.sim.advance(120)

    found = api.task(task)

    assert found["result"] == {
        "url": f"http://upsim.test/media/outputs/{task}.mp4",
        "type": "video",
    }
    assert found["error"] is None


@pytest.mark.parametrize(
    ("factor", "width", "height"), [("1", 320, 240), ("2", 640, 480), ("4", 1280, 960)]
)
def test_the_file_has_the_promised_size(api: Api, factor: str, width: int, height: int) -> None:
    """The output has the size of the input times the factor, for every container."""
    task = api.task_of(api.clip("320x240_10fps_1s.mov"), upscale_factor=factor)
    api.sim.advance(120)

    answer = api.http.get(api.task(task)["result"]["url"])

    found = api.sim.sandbox.state.jobs[task].accepted.output
    assert answer.headers["content-type"] == "video/mp4"
    assert found is not None
    assert (width, height) == (found.width, found.height) == size_of(answer.content)


def size_of(content: bytes) -> tuple[int, int]:
    """Return the displayed size that an MP4 file states."""
    media = measure_boxes(content)
    assert media is not None
    return media.width, media.height


def test_links_do_not_expire(api: Api) -> None:
    """The file can be downloaded after a year."""
    task = api.task_of()
    api.sim.advance(365 * 86_400)

    assert api.http.get(api.task(task)["result"]["url"]).status_code == 200


@pytest.mark.parametrize(
    ("dialect", "status"), [("", "pending"), ("guide", "pending"), ("live", "processing")]
)
def test_the_initial_status(start: Start, dialect: str, status: str) -> None:
    """A queued task is `pending`, and in the live dialect `processing`, in submits and polls."""
    api = start(dialect=dialect)
    submitted = api.tool(api.clip()).json()["data"]

    assert (status, status) == (submitted["status"], api.task(submitted["id"])["status"])


def test_the_initial_status_as_a_knob(start: Start) -> None:
    """The knob alone changes the initial status too."""
    api = start(knobs={"initial_status": "processing"})

    assert api.tool(api.clip()).json()["data"]["status"] == "processing"


def test_the_older_word_for_completed(start: Start) -> None:
    """With the knob, a finished task is a `success`, as on the older pages."""
    api = start(knobs={"completed_status": "success"})
    task = api.task_of()
    api.sim.advance(120)

    assert api.task(task)["status"] == "success"


def test_a_failed_task(start: Start) -> None:
    """A failed task is a 200 with success true; its error has a code, a key and a text."""
    api = start(extends="vicsee/fails-and-refunds")
    task = api.task_of()
    api.sim.advance(60)

    answer = api.http.get(f"/api/v1/tasks/{task}")

    assert (answer.status_code, answer.json()["success"]) == (200, True)
    assert (answer.json()["data"]["status"], answer.json()["data"]["result"]) == ("failed", None)
    assert answer.json()["data"]["error"] == {
        "code": "GENERATION_FAILED",
        "key": "generic",
        "message": "Generation failed",
    }


def test_credits_are_refunded_once(start: Start) -> None:
    """The charge of a failed task is refunded once, at the failure."""
    api = start(extends="vicsee/fails-and-refunds", account={"balance": "20000"})
    task = api.task_of()
    paid = api.credits()
    api.sim.advance(59.999)
    working = api.credits()

    api.sim.advance(1_000)

    kinds = [entry.kind for entry in api.sim.sandbox.state.accounts[1].entries.values()]
    assert (paid, working, api.credits()) == (19_984, 19_984, 20_000)
    assert (kinds, api.task(task)["status"]) == (["charge", "refund"], "failed")


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.TIMEOUT])
def test_a_forced_failure_has_an_error(api: Api, state: JobState) -> None:
    """A task that is forced to fail without a reason has an error and a refund."""
    task = api.task_of()
    api.sim.sandbox.jobs.move(api.sim.sandbox.state.jobs[task], state)

    found = api.task(task)

    assert (found["status"], found["error"]["code"]) == ("failed", "GENERATION_FAILED")
    assert api.credits() == 20_000


def test_a_deleted_task_is_unknown(api: Api) -> None:
    """A task that was deleted by hand is not found."""
    task = api.task_of()
    api.sim.sandbox.jobs.move(api.sim.sandbox.state.jobs[task], JobState.DELETED)

    assert refusal(api.http.get(f"/api/v1/tasks/{task}")) == (404, "TASK_NOT_FOUND")


@pytest.mark.parametrize("path", ["/api/v1/tasks/task_none", "/api/v1/tasks/task_none/download"])
def test_an_unknown_task(api: Api, path: str) -> None:
    """An unknown id is not found."""
    answer = api.http.get(path)

    assert refusal(answer) == (404, "TASK_NOT_FOUND")
    assert message(answer) == "Task not found"


@pytest.mark.parametrize("path", ["/api/v1/tasks/{}", DOWNLOAD])
def test_another_user_s_task(api: Api, path: str) -> None:
    """A task of another account is forbidden."""
    task = api.task_of()

    with api.as_other() as http:
        assert refusal(http.get(path.format(task))) == (403, "FORBIDDEN")


def test_tasks_cannot_be_listed(api: Api) -> None:
    """The path for a list of tasks is unknown, because no page documents one."""
    assert refusal(api.http.get("/api/v1/tasks")) == (404, "NOT_FOUND")


def test_download_of_the_older_pages(api: Api) -> None:
    """Download returns the URL of the file, and says that it does not expire."""
    task = api.task_of()
    api.sim.advance(120)

    assert api.data(DOWNLOAD.format(task)) == {
        "url": f"http://upsim.test/media/outputs/{task}.mp4",
        "type": "video",
        "expiresAt": None,
    }


def test_download_through_the_api(api: Api) -> None:
    """`?mode=proxy` returns the bytes of the file itself."""
    task = api.task_of()
    api.sim.advance(120)

    through = api.http.get(DOWNLOAD.format(task), params={"mode": "proxy"})

    assert through.headers["content-type"] == "video/mp4"
    assert api.http.get(api.task(task)["result"]["url"]).content == through.content


@pytest.mark.parametrize("mode", ["", "?mode=proxy"])
@pytest.mark.parametrize("scenario", ["vicsee/baseline", "vicsee/fails-and-refunds"])
def test_download_without_a_result(start: Start, scenario: str, mode: str) -> None:
    """An unfinished or failed task has no download."""
    api = start(extends=scenario)
    task = api.task_of()
    api.sim.advance(60)

    assert refusal(api.http.get(DOWNLOAD.format(task) + mode)) == (404, "NO_RESULT")


def test_a_result_whose_link_expired(start: Start) -> None:
    """If a scenario lets outputs expire, the task stays completed without a result."""
    why = {"grade": "assumed", "source": "this test", "date": "2026-01-01"}
    api = start(retention={"outputs": {"value": "60", "evidence": why}})
    task = api.task_of()
    api.sim.advance(300)

    assert (api.task(task)["status"], api.task(task)["result"]) == ("completed", None)
    assert refusal(api.http.get(DOWNLOAD.format(task))) == (404, "NO_RESULT")


def test_polls_move_an_auto_clock(start: Start) -> None:
    """On an `auto` clock, polls see each state once, in order."""
    api = start(clock="auto")
    task = api.task_of()

    statuses = [api.task(task)["status"] for _ in range(4)]

    assert statuses == ["pending", "processing", "completed", "completed"]


def test_the_same_seed_gives_the_same_ids(start: Start) -> None:
    """Two simulators with one seed give the same responses, byte by byte."""
    first, second = start(), start()

    answers = [api.http.get(f"/api/v1/tasks/{api.task_of()}").content for api in (first, second)]

    assert answers[0] == answers[1]
