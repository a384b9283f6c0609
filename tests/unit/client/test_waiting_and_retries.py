"""How the client waits and tries again, seen by what it asks of its sleeper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from upsim.client import Client, Job, Polling, Retries, Timeouts, connect
from upsim.client.exceptions import (
    ArgumentError,
    AuthenticationError,
    ClientError,
    InvalidInputError,
    JobFailedError,
    OutcomeUnknownError,
    ProtocolError,
    RateLimitError,
    TransientError,
    UnsupportedError,
    WaitTimeoutError,
)

CALM = Retries(jitter=0)
URL = "https://clips.example/clip.mp4"
JOB = Job("task_1", "topaz-video-upscale")
SUBMITTED = {"success": True, "data": {"id": "task_1", "status": "pending", "creditsUsed": 144}}
DONE = {"success": True, "data": {"status": "completed", "result": {"url": "http://o.test/1.mp4"}}}
WORKING = {"success": True, "data": {"status": "processing"}}
STRANGE = {"success": True, "data": {"status": "reviewing"}}
NO_FILE = {"success": True, "data": {"status": "completed", "result": None}}
FAILED = {"success": True, "data": {"status": "failed", "error": {"code": "X", "message": "no"}}}


@dataclass(slots=True)
class Provider(httpx.BaseTransport):
    """Answers by the next of its answers, the last one for ever; notes how long was waited."""

    answers: list[Any]
    requests: list[httpx.Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        if isinstance(answer, dict):
            return httpx.Response(200, json=answer)
        status, headers = answer
        return httpx.Response(status, headers=headers, text="told so")

    def sleep(self, seconds: float) -> None:
        """Note a pause."""
        self.pauses.append(round(seconds, 6))


@dataclass(frozen=True, slots=True)
class Scene:
    """A client, and the provider that it speaks to."""

    provider: Provider
    client: Client


Set = Callable[..., Scene]


@pytest.fixture
def scene() -> Iterator[Set]:
    """Return a function that sets a provider's answers and the client's settings."""
    opened: list[httpx.Client] = []

    def start(*answers: Any, model: str = "vicsee", **settings: Any) -> Scene:  # noqa: ANN401
        provider = Provider(list(answers))
        opened.append(httpx.Client(transport=provider))
        chosen = {"retries": CALM, "polling": Polling(jitter=0), **settings}
        client = connect(
            model,
            http=opened[-1],
            api_key="k",
            base_url="http://api.test",
            sleeper=provider.sleep,
            **chosen,
        )
        return Scene(provider, client)

    yield start
    for http in opened:
        http.close()


def test_wrong_job_or_time_arguments_are_refused(scene: Set, tmp_path: Path) -> None:
    """A text as job or as time raises an ArgumentError with the expected type; nothing is sent."""
    set_up = scene(DONE)
    client: Any = set_up.client
    for ask in (
        client.poll,
        client.wait,
        client.cancel,
        lambda job: client.download(job, tmp_path / "a.mp4"),
    ):
        with pytest.raises(ArgumentError, match=r"or Job\(id, model\), not 'task_x'"):
            ask("task_x")
    for wrong in ("5s", True, Decimal(5)):
        with pytest.raises(
            ArgumentError, match=r"timeout is a number from 0 to .*, such as 5, not "
        ):
            client.wait(JOB, timeout=wrong)
    for policy, name in ((Polling, "outage"), (Retries, "attempts"), (Timeouts, "file")):
        make: Any = policy
        with pytest.raises(ArgumentError, match=f"{policy.__name__}.{name} is a .*number"):
            make(**{name: "5s"})

    assert set_up.provider.requests == []


# -- polling


def test_cadence_is_the_providers(scene: Set) -> None:
    """The client polls VicSee after 1 second, then each pause is 1.5 times longer, up to 10."""
    set_up = scene(*[WORKING] * 8, DONE)
    set_up.client.wait(JOB)

    expected = [1, 1.5, 2.25, 3.375, 5.0625, 7.59375, 10, 10]
    assert set_up.provider.pauses == expected


def test_own_cadence(scene: Set) -> None:
    """A cadence from the caller replaces the provider's advice."""
    set_up = scene(*[WORKING] * 3, DONE, polling=Polling(first=2, factor=1, jitter=0))
    set_up.client.wait(JOB)

    assert set_up.provider.pauses == [2, 2, 2]


def test_jitter_is_seeded(scene: Set) -> None:
    """The same seed gives the same random pauses; another seed gives different pauses."""
    pauses = []
    for seed in (1, 1, 2):
        set_up = scene(*[WORKING] * 4, DONE, polling=Polling(jitter=0.5), seed=seed)
        set_up.client.wait(JOB)
        pauses.append(set_up.provider.pauses)

    assert (pauses[0] == pauses[1], pauses[0] == pauses[2]) == (True, False)
    assert all(0.5 <= pause / base <= 1.5 for pause, base in zip(pauses[0], [1, 1.5], strict=False))


def test_retry_after_of_a_poll(scene: Set) -> None:
    """The client respects the `Retry-After` of a poll."""
    set_up = scene((429, {"retry-after": "7"}), (503, {"retry-after": "9"}), DONE)
    set_up.client.wait(JOB)

    assert set_up.provider.pauses == [7, 9]


def test_retry_after_as_a_date(scene: Set) -> None:
    """The client compares a `Retry-After` date with the server's clock."""
    headers = {
        "retry-after": "Fri, 20 Nov 2026 10:01:30 GMT",
        "date": "Fri, 20 Nov 2026 10:00:00 GMT",
    }
    set_up = scene((429, headers), DONE)
    set_up.client.wait(JOB)

    assert set_up.provider.pauses == [90]


def test_retry_after_that_is_too_long(scene: Set) -> None:
    """A `Retry-After` of an hour raises an error with its length."""
    set_up = scene((429, {"retry-after": "3600"}))
    with pytest.raises(RateLimitError) as caught:
        set_up.client.wait(JOB)
    assert (caught.value.retry_after, set_up.provider.pauses) == (3600, [])


def test_deadline_ends_the_waiting(scene: Set) -> None:
    """The last pause ends at the deadline, and the time of requests counts too."""
    set_up = scene(WORKING)
    with pytest.raises(WaitTimeoutError, match=r"still at 'processing' after 4 s"):
        set_up.client.wait(JOB, timeout=4)
    assert sum(set_up.provider.pauses) == pytest.approx(4, abs=0.5)
    assert set_up.provider.pauses[:2] == [1, 1.5]


def test_unknown_status_ends_with_the_deadline(scene: Set) -> None:
    """With an unknown status word, the client polls until the deadline and reports the word."""
    set_up = scene(STRANGE)
    with pytest.raises(WaitTimeoutError, match="still at the unknown status 'reviewing'"):
        set_up.client.wait(JOB, timeout=60)
    assert len(set_up.provider.requests) < 15


def test_transient_errors_do_not_outlive_the_deadline(scene: Set) -> None:
    """If transient errors continue, the client retries only until the deadline."""
    set_up = scene((502, {}))
    with pytest.raises(TransientError, match="502"):
        set_up.client.wait(JOB, timeout=1)
    assert sum(set_up.provider.pauses) == pytest.approx(1, abs=0.2)


def test_outage_is_waited_out(scene: Set) -> None:
    """The client does not give up a paid job after one minute without responses."""
    set_up = scene(*[(503, {})] * 30, DONE)
    set_up.client.wait(JOB)

    assert 30 < sum(set_up.provider.pauses) < 300


def test_outage_that_is_too_long(scene: Set) -> None:
    """After five minutes without a response, the client raises the error."""
    set_up = scene((503, {}))
    with pytest.raises(TransientError, match="503"):
        set_up.client.wait(JOB)
    assert 300 <= sum(set_up.provider.pauses) < 330


def test_completed_without_a_file_is_polled_again(scene: Set) -> None:
    """If a completed job has no file yet, the client polls up to three more times."""
    set_up = scene(NO_FILE, NO_FILE, NO_FILE, DONE)

    assert set_up.client.wait(JOB).has_output is True


def test_completed_without_a_file_for_good(scene: Set) -> None:
    """If a completed job never gets a file, the client raises a contract error."""
    set_up = scene(NO_FILE)
    with pytest.raises(ProtocolError, match="is 'completed' but has no file"):
        set_up.client.wait(JOB)
    assert len(set_up.provider.requests) == 4


def test_failure_is_accepted_at_once(scene: Set) -> None:
    """The client raises a job's failure at once, with the reason and the known refund."""
    set_up = scene(FAILED)
    with pytest.raises(JobFailedError, match=r"ended as 'failed': no \(refund unknown\)"):
        set_up.client.wait(JOB)
    assert len(set_up.provider.requests) == 1


def test_doubtful_failure_must_come_again(scene: Set) -> None:
    """One 500 of a Venice poll is not enough to count the job as failed."""
    body = {"status": "completed", "url": "http://o.test/1.mp4"}
    wrong = httpx.Response(500, json={"error": "Inference processing failed"})
    set_up = scene(wrong, body, model="venice")

    assert set_up.client.wait(Job("q", "topaz-video-upscale")).state == "completed"


def test_progress_is_called_for_each_poll(scene: Set) -> None:
    """The client calls the progress callback for each poll."""
    seen: list[str] = []
    set_up = scene(WORKING, STRANGE, DONE, progress=lambda progress: seen.append(progress.status))
    set_up.client.wait(JOB)

    assert seen == ["processing", "reviewing", "completed"]


# -- trying again


@pytest.mark.parametrize(
    "trouble",
    [(500, {}), (502, {}), (408, {}), httpx.ReadTimeout("slow"), httpx.ConnectError("nobody")],
    ids=["500", "502", "408", "timeout", "connect"],
)
def test_free_requests_are_retried(scene: Set, trouble: object) -> None:
    """The client sends a free request up to five times, with growing pauses."""
    set_up = scene(trouble)
    with pytest.raises(TransientError):
        set_up.client.balance()
    assert set_up.provider.pauses == [0.5, 1, 2, 4]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_refused_requests_are_not_retried(scene: Set, status: int) -> None:
    """The client does not retry a refused request, which would be refused again."""
    set_up = scene((status, {}))
    with pytest.raises(ClientError):
        set_up.client.balance()
    assert len(set_up.provider.requests) == 1


def test_response_that_breaks_the_contract_is_retried(scene: Set) -> None:
    """After an incomplete document, the client sends the free request again."""
    set_up = scene({"success": True}, {"success": True, "data": {"credits": 7}})

    assert set_up.client.balance().amount == Decimal(7)


# -- what is paid


@pytest.mark.parametrize(
    ("trouble", "sent"),
    [
        (httpx.ConnectError("nobody"), 5),
        (httpx.ConnectTimeout("nobody"), 5),
        ((429, {}), 5),
        (httpx.ReadError("reset"), 1),
        (httpx.ReadTimeout("slow"), 1),
        (httpx.WriteError("broken pipe"), 1),
        (httpx.RemoteProtocolError("gone"), 1),
        ((500, {}), 1),
        ((503, {}), 1),
        ((504, {}), 1),
        ((408, {}), 1),
        ((302, {"location": "/elsewhere"}), 1),
        ((400, {}), 1),
        ((402, {}), 1),
        ({"success": True, "data": {}}, 1),
        ({"success": False, "error": {"code": "INTERNAL_ERROR"}}, 1),
    ],
    ids=repr,
)
def test_submit_is_sent_once_unless_it_was_surely_not_accepted(
    scene: Set, trouble: object, sent: int
) -> None:
    """The client sends a submit again only if the provider surely did not accept it."""
    set_up = scene(trouble)
    with pytest.raises(ClientError):
        set_up.client.submit(URL)
    assert len(set_up.provider.requests) == sent


def test_venice_documents_its_503(scene: Set) -> None:
    """After Venice's documented 503 for a full model, the client sends the submit again."""
    queued = {"model": "topaz-video-upscale", "queue_id": "q1"}
    set_up = scene((503, {}), queued, {"quote": 1}, model="venice")

    assert set_up.client.submit(URL).id == "q1"


def test_quote_under_a_cap_is_requested_once(scene: Set) -> None:
    """Under a cap, the client requests one quote for both the reservation and the price."""
    queued = {"model": "topaz-video-upscale", "queue_id": "q1"}
    set_up = scene({"quote": 0.25}, queued, model="venice", cap="0.25")
    job = set_up.client.submit(URL)

    assert (str(job.price), len(set_up.provider.requests)) == ("0.25 USD", 2)
    assert set_up.client.spent == job.price


@pytest.mark.parametrize(
    ("trouble", "reserved"),
    [(httpx.ReadError("reset"), 1680), ((400, {}), 0), ((429, {}), 0), ((402, {}), 0)],
    ids=["lost", "refused", "limited", "poor"],
)
def test_only_a_lost_response_stays_reserved(scene: Set, trouble: object, reserved: int) -> None:
    """After a lost submit response, the highest possible price stays reserved."""
    set_up = scene(trouble, cap=2000)
    with pytest.raises(ClientError):
        set_up.client.submit(URL, factor=4)
    assert set_up.client.reserved.amount == reserved
    assert set_up.client.spent.amount == 0


def test_lost_response_says_how_to_find_out(scene: Set) -> None:
    """The error for a lost response has the known facts and says how to find the job."""
    set_up = scene(httpx.ReadError("reset"))
    with pytest.raises(OutcomeUnknownError) as caught:
        set_up.client.submit(URL)
    assert "no response (ReadError: reset)" in caught.value.reason
    assert "compare balance() with what it was" in str(caught.value)


def test_errors_carry_no_request(scene: Set) -> None:
    """No client error refers to an httpx request, because its headers have the key."""
    set_up = scene(httpx.ReadError("reset"))
    with pytest.raises(OutcomeUnknownError) as caught:
        set_up.client.submit(URL)
    assert (caught.value.__context__, caught.value.__cause__) == (None, None)


def test_proxy_variables_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client connects directly, even if environment variables name a proxy."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:1")
    once = Retries(attempts=1)
    with (
        connect("vicsee", api_key="k", base_url="http://127.0.0.1:1", retries=once) as made,
        pytest.raises(TransientError, match="ConnectError") as caught,
    ):
        made.balance()
    assert "proxy" not in str(caught.value)


# -- the rest


def test_cancel_is_unsupported(scene: Set) -> None:
    """Cancelling a job of a provider without cancellation raises an error."""
    with pytest.raises(UnsupportedError, match="vicsee cannot cancel jobs"):
        scene().client.cancel(JOB)


def test_cancel_at_piapi(scene: Set) -> None:
    """The client cancels a pending PiAPI task by a DELETE request."""
    set_up = scene({"code": 200}, model="piapi")
    set_up.client.cancel(Job("t/1", "video-toolkit"))
    request = set_up.provider.requests[0]

    assert (request.method, request.url.raw_path) == ("DELETE", b"/api/v1/task/t%2F1")


def test_redirect_of_an_api_call_is_not_followed(scene: Set) -> None:
    """The client does not follow a redirect of an API call, to keep its key at the provider."""
    set_up = scene((302, {"location": "http://elsewhere.test/"}), retries=Retries(1))
    with pytest.raises(TransientError, match="302"):
        set_up.client.balance()
    assert len(set_up.provider.requests) == 1


def test_upload_to_another_machine_is_refused(scene: Set, tmp_path: Path) -> None:
    """The client does not use an upload ticket whose URL leads off this machine."""
    ticket = {"uploadUrl": "https://bucket.example/put", "publicUrl": "https://b.example/1"}
    set_up = scene({"success": True, "data": ticket})
    (tmp_path / "a.mp4").write_bytes(b"1")
    with pytest.raises(ClientError, match=r"not followed: https://bucket\.example/put"):
        set_up.client.submit(tmp_path / "a.mp4")
    assert len(set_up.provider.requests) == 1


@pytest.mark.parametrize(
    ("model", "wishes", "told"),
    [
        ("upscale-v1", {"target_height": 1080}, "cannot make 1080 lines; it makes 2160 lines"),
        ("upscale-v1", {"factor": 2}, "needs a measured video for a factor; use target_height"),
        ("piapi", {"factor": 4}, "cannot make a factor of 4; it makes factor 2"),
        ("venice", {"target_height": 1080}, "needs a measured video for a height; use factor"),
        (
            "vicsee",
            {"factor": 2, "options": {"upscale_factor": "4"}},
            "upscale_factor is set twice, by options and by the size",
        ),
    ],
)
def test_impossible_sizes_are_refused(
    scene: Set, model: str, wishes: dict[str, Any], told: str
) -> None:
    """A size that the model cannot make is refused before any request, with the possible sizes."""
    set_up = scene(model=model)
    with pytest.raises(UnsupportedError, match=told):
        set_up.client.submit(URL, **wishes)
    assert set_up.provider.requests == []


@pytest.mark.parametrize("model", ["venice", "vicsee"])
def test_misspelt_options_are_not_sent(scene: Set, model: str) -> None:
    """The client refuses an option that the model lacks, and suggests the nearest name."""
    set_up = scene(model=model)
    for ask in (set_up.client.submit, set_up.client.quote):
        with pytest.raises(UnsupportedError, match="'upscale_facto'; did you mean upscale_factor"):
            ask(URL, options={"upscale_facto": "2"})
    with pytest.raises(UnsupportedError, match="unknown option 'mood'; allowed: upscale_factor"):
        set_up.client.submit(URL, factor=2, options={"mood": "bright"})

    assert set_up.provider.requests == []


def test_values_of_options_pass_through(scene: Set) -> None:
    """The client sends option values unchanged; only the provider checks them."""
    set_up = scene((400, {}))
    with pytest.raises(InvalidInputError):
        set_up.client.submit(URL, options={"upscale_factor": "8"})
    body = set_up.provider.requests[0].content

    assert b'"upscale_factor":"8"' in body


def test_wrong_key_is_an_authentication_error(scene: Set) -> None:
    """A 401 raises an authentication error."""
    with pytest.raises(AuthenticationError):
        scene((401, {})).client.balance()
