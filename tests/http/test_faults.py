"""Faults around answers, in process: what callers see, what is charged, what the journal says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.http.fault_client import LOCAL, PROVIDERS, Patient, headers_of, patient
from tests.uploads import put_file
from upsim import Simulator
from upsim.core.instants import SECOND
from upsim.engine.sandbox_request import SandboxRequest
from upsim.scenario.faults.vocabulary import needed
from upsim.web.connection_cutting import UncuttableError
from upsim.web.held_requests import HeldByManualClockError

Start = Callable[..., Patient]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a simulator with these options and a client of VicSee."""
    with ExitStack() as stack:

        def begin(**options: Any) -> Patient:  # noqa: ANN401 - options of the simulator
            sim = stack.enter_context(Simulator(**{"clock": "auto", "seed": 1, **options}))
            return patient(sim)

        yield begin


@pytest.fixture
def client(start: Start) -> Patient:
    """Return a client of a simulator whose clock jumps."""
    return start()


LOST = {
    "drop_connection": (httpx.RemoteProtocolError, "Server disconnected without sending"),
    "reset_connection": (httpx.ReadError, "Connection reset by peer"),
}


@pytest.mark.parametrize("stage", ["before_accept", "after_accept"])
@pytest.mark.parametrize("do", LOST)
def test_a_lost_response_raises_the_error_of_a_socket(client: Patient, stage: str, do: str) -> None:
    """In process, a cut connection raises the error that httpx raises on a socket."""
    client.arm(at=stage, do=do)
    kind, text = LOST[do]
    with pytest.raises(kind, match=text):
        client.submit()


@pytest.mark.parametrize(("stage", "jobs"), [("before_accept", 0), ("after_accept", 1)])
def test_the_stage_decides_whether_there_is_a_job(client: Patient, stage: str, jobs: int) -> None:
    """A fault before acceptance leaves nothing; one after it leaves a job and its charge."""
    client.arm(at=stage, do="drop_connection")
    with pytest.raises(httpx.RemoteProtocolError):
        client.submit()
    assert (jobs, jobs) == (len(client.sim.sandbox.state.jobs), len(client.charges()))


def test_a_refused_value_meets_before_accept(client: Patient) -> None:
    """A request that the provider would refuse meets a fault of `before_accept`."""
    client.arm(at="before_accept", when={"upscale_factor": 9}, do={"respond": 503})
    assert [503, 200] == [client.submit(upscale_factor=f).status_code for f in ("9", "4")]


def test_a_catalogue_response_has_the_form_of_the_provider(client: Patient) -> None:
    """`respond: <name>` sends the provider's own refusal."""
    client.arm(at="before_accept", do={"respond": "internal"})
    answer = client.submit()
    error = {"code": "INTERNAL_ERROR", "message": "Internal server error"}
    assert (500, {"success": False, "error": error}) == (answer.status_code, answer.json())


def test_a_catalogue_response_takes_values(client: Patient) -> None:
    """The values of a fault fill the names in the text of the error."""
    values = {"limit": 60, "reset": "soon"}
    client.arm(at="before_accept", do={"respond": {"error": "rate_limited", "values": values}})
    message = client.submit().json()["error"]["message"]
    assert "Rate limit exceeded. Limit: 60/day. Resets at: soon" == message


def test_a_raw_response_is_sent_unchanged(client: Patient) -> None:
    """Status, body, content type and headers are those of the fault."""
    raw = {"status": 502, "body": "<b>no</b>", "content_type": "text/html", "headers": {"X-A": "b"}}
    client.arm(at="poll", do={"respond": raw})
    answer = client.poll(client.job())
    found = (answer.status_code, answer.text, answer.headers["content-type"], answer.headers["x-a"])
    assert (502, "<b>no</b>", "text/html", "b") == found


@pytest.mark.parametrize(
    "respond", [503, {"status": 503}, {"status": 503, "headers": {"x-a": "b"}}]
)
def test_a_response_without_a_body(client: Patient, respond: object) -> None:
    """A fault's response without a body is empty and has no content type."""
    client.arm(at="before_accept", do={"respond": respond})
    answer = client.submit()
    assert (503, b"", "0") == (
        answer.status_code,
        answer.content,
        answer.headers["content-length"],
    )
    assert "content-type" not in answer.headers


@pytest.mark.parametrize(
    "respond",
    [
        {"status": 503, "content_type": "text/html"},
        {"status": 503, "headers": {"content-type": "text/html"}},
    ],
)
def test_a_response_without_a_body_may_have_a_type(client: Patient, respond: object) -> None:
    """A fault's response without a body has the content type of the fault, if there is one."""
    client.arm(at="before_accept", do={"respond": respond})
    assert "text/html" == client.submit().headers["content-type"]


def test_a_refused_file_without_a_body(client: Patient) -> None:
    """A refused download without a body has no content type either."""
    url = finished(client)
    client.arm(at="download", do={"respond": 503})
    answer = client.http.get(url)
    assert (503, b"", False) == (
        answer.status_code,
        answer.content,
        "content-type" in answer.headers,
    )


def test_a_raw_body_may_be_json(client: Patient) -> None:
    """A mapping is sent as JSON, and its numbers keep all digits."""
    client.arm(at="before_accept", do={"respond": {"body": {"price": 0.10}}})
    answer = client.submit()
    assert ("application/json", '{"price":0.1}') == (answer.headers["content-type"], answer.text)


def test_a_patch_changes_the_real_response(client: Patient) -> None:
    """A patch changes its fields and leaves the rest of the response."""
    job = client.job()
    client.arm(at="poll", do={"patch": {"data.status": "odd"}})
    data = client.poll(job).json()["data"]
    assert (job, "odd") == (data["id"], data["status"])


def test_headers_change_on_the_real_response(client: Patient) -> None:
    """A header of a fault replaces the header of the response."""
    job = client.job()
    client.arm(at="poll", do={"headers": {"Content-Type": "text/html"}})
    assert ["text/html"] == client.poll(job).headers.get_list("content-type")


def test_a_refused_request_meets_no_fault_of_accepted_jobs(client: Patient) -> None:
    """A fault of `after_accept` does not fire for a refused request."""
    client.arm(at="after_accept", do="drop_connection")
    assert 400 == client.submit(upscale_factor=3).status_code


def test_a_refusal_can_be_cut_in_its_body(client: Patient) -> None:
    """A `mid_body` fault fires for every response, refusals included."""
    client.arm(at="mid_body", do="drop_connection")
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        client.submit(upscale_factor=3)


@pytest.mark.parametrize(
    ("do", "kind"),
    [
        ("drop_connection", httpx.RemoteProtocolError),
        ("reset_connection", httpx.ReadError),
        ({"truncate": "50%"}, httpx.RemoteProtocolError),
    ],
)
def test_half_a_body_arrives_before_the_cut(
    client: Patient, do: object, kind: type[Exception]
) -> None:
    """A streaming client gets the head and the first half of the body, then the error."""
    job = client.job()
    client.arm(at="mid_body", do=do)
    parts: list[bytes] = []
    with client.http.stream("GET", f"/api/v1/tasks/{job}") as answer:
        announced = int(answer.headers["content-length"])
        with pytest.raises(kind):
            parts.extend(answer.iter_raw())
    assert (200, announced // 2) == (answer.status_code, len(b"".join(parts)))


def test_a_body_shorter_than_the_cut_is_complete(client: Patient) -> None:
    """A truncation after more bytes than the body has changes nothing."""
    job = client.job()
    client.arm(at="poll", do={"truncate": 100_000})
    assert job == client.poll(job).json()["data"]["id"]


def test_a_corrupted_body_is_no_json(client: Patient) -> None:
    """One changed byte makes a response of the same length that cannot be parsed."""
    job = client.job()
    client.arm(at="poll", do="corrupt")
    with pytest.raises(ValueError, match="utf-8"):
        client.poll(job).json()


def test_a_trickled_body_is_complete(client: Patient) -> None:
    """A trickled response arrives in pieces, with the same content."""
    job = client.job()
    client.arm(at="poll", do={"trickle": {"chunk": 7, "pause": "1s"}})
    assert job == client.poll(job).json()["data"]["id"]


def test_a_trickle_takes_virtual_time(client: Patient) -> None:
    """Each pause between two pieces passes on the clock of the sandbox."""
    client.job()
    client.arm(at="poll", on="credits", do={"trickle": {"chunk": 10, "pause": "2s"}})
    before = client.sim.sandbox.now
    answer = client.http.get("/api/v1/credits")
    pauses = -(-len(answer.content) // 10) - 1
    assert pauses * 2 * SECOND == client.sim.sandbox.now - before


def test_a_delay_moves_an_auto_clock(client: Patient) -> None:
    """A delayed response arrives immediately, and the `auto` clock has moved by the delay."""
    client.arm(at="after_accept", do={"delay": "4s"})
    before = client.sim.sandbox.now
    client.submit()
    assert 4 * SECOND == client.sim.sandbox.now - before


@pytest.mark.parametrize(("delay", "jobs"), [("before_accept", 1), ("after_accept", 1)])
def test_a_delay_above_the_client_timeout_is_a_timeout(
    client: Patient, delay: str, jobs: int
) -> None:
    """A client with a shorter timeout gives up; the provider continues with the job."""
    client.arm(at=delay, do={"delay": "45s"})
    with pytest.raises(httpx.ReadTimeout):
        client.submit()
    assert jobs == len(client.sim.sandbox.state.jobs)


def test_a_delay_in_real_time_moves_no_clock(start: Start) -> None:
    """A delay of real time does not move the clock of the sandbox."""
    client = start(clock="manual")
    client.arm(at="after_accept", do={"delay": {"real": "1ms"}})
    before = client.sim.sandbox.now
    client.submit()
    assert before == client.sim.sandbox.now


def test_a_delay_on_a_manual_clock_is_an_error(start: Start) -> None:
    """In process, a delay on a `manual` clock raises an error that says what to do."""
    client = start(clock="manual")
    client.arm(at="after_accept", do={"delay": "1s"})
    with pytest.raises(HeldByManualClockError, match="clock='auto'"):
        client.submit()


def test_a_scaled_clock_shortens_a_delay(start: Start) -> None:
    """A delay on a `scaled` clock takes a fraction of the real time."""
    client = start(clock="scaled:100000")
    client.arm(at="after_accept", do={"delay": "4s"})
    before = client.sim.sandbox.run_due()
    client.submit()
    assert 4 * SECOND <= client.sim.sandbox.now - before


def test_a_read_can_fail_too(client: Patient) -> None:
    """A named operation that only reads meets faults of `poll`."""
    client.arm(at="poll", on="credits", do={"respond": 503})
    assert 503 == client.http.get("/api/v1/credits").status_code


def test_a_predicate_reads_the_body(client: Patient) -> None:
    """A fault with `when` fires only for requests with these values."""
    client.arm(at="before_accept", when={"upscale_factor": 4}, do={"respond": 503})
    found = [client.submit(upscale_factor=n).status_code for n in ("2", "4", "2")]
    assert [200, 503, 200] == found


def test_a_fault_of_one_account(client: Patient) -> None:
    """A fault for an account does not fire for another account of the provider."""
    client.submit()
    client.arm(at="before_accept", account=1, do={"respond": 503})
    other = client.http.post(
        "/api/v1/tools/upscale-video",
        json={"video_url": "https://clips.example/8.mp4"},
        headers={"Authorization": "Bearer sk-other"},
    )
    assert [503, 200] == [client.submit().status_code, other.status_code]


def test_a_fault_of_one_state(client: Patient) -> None:
    """A fault for completed jobs fires once the job is completed."""
    job = client.job()
    client.arm(at="poll", state="completed", do={"respond": 503})
    found = [client.poll(job).status_code for _ in range(3)]
    assert [200, 200, 503] == found


@pytest.mark.parametrize(
    ("do", "kind"),
    [({"truncate": 1000}, httpx.RemoteProtocolError), ("reset_connection", httpx.ReadError)],
)
def test_a_download_is_cut(client: Patient, do: object, kind: type[Exception]) -> None:
    """The file of a job ends in the middle, or does not begin at all."""
    url = finished(client)
    client.arm(at="download", do=do)
    with pytest.raises(kind):
        client.http.get(url)


def test_a_corrupted_download_keeps_its_length(client: Patient) -> None:
    """A corrupted file has the same length, with some wrong bytes."""
    url = finished(client)
    whole = client.http.get(url).content
    client.arm(at="download", do={"corrupt": 5})
    found = client.http.get(url).content
    assert 5 == sum(a != b for a, b in zip(whole, found, strict=True))


@pytest.mark.parametrize(
    ("respond", "status", "text"),
    [
        ("file_gone", 404, "text/plain; charset=utf-8"),
        ({"status": 500, "body": "no"}, 500, "text/plain; charset=utf-8"),
    ],
)
def test_a_download_is_refused(client: Patient, respond: object, status: int, text: str) -> None:
    """A refused download is a plain text response."""
    url = finished(client)
    client.arm(at="download", do={"respond": respond})
    answer = client.http.get(url)
    assert (status, text) == (answer.status_code, answer.headers["content-type"])


def test_a_file_in_a_response_is_a_download(client: Patient) -> None:
    """A file that the API itself sends meets the faults of downloads."""
    job = client.job()
    while client.status(job) != "completed":
        pass
    client.arm(at="download", do={"truncate": "10%"})
    with pytest.raises(httpx.RemoteProtocolError):
        client.http.get(f"/api/v1/tasks/{job}/download?mode=proxy")


def test_synthetic_clips_meet_no_fault(client: Patient) -> None:
    """A synthetic clip is no output, so faults of downloads do not fire for it."""
    client.arm(at="download", do={"respond": 500})
    answer = client.http.get("http://upsim.test/media/synthetic/64x64_30fps_1s.mp4")
    assert 200 == answer.status_code


@pytest.mark.parametrize("do", ["drop_connection", {"respond": 503}])
def test_a_failed_upload_stores_nothing(client: Patient, do: object) -> None:
    """A PUT with a fault stores no bytes, and the ticket can be used again."""
    ticket = {"contentType": "video/mp4", "sizeBytes": 4}
    url = client.http.post("/api/v1/upload", json=ticket).json()["data"]["uploadUrl"]
    client.arm(at="upload", on="uploads", first=1, do=do)
    if do == "drop_connection":
        with pytest.raises(httpx.RemoteProtocolError):
            put_file(client.http, url, b"abcd")
    else:
        put_file(client.http, url, b"abcd")
    stored = [upload.stored for upload in client.sim.sandbox.state.uploads.values()]
    assert ([None], 200) == (stored, put_file(client.http, url, b"abcd").status_code)


def test_an_upload_operation_has_two_stages(client: Patient) -> None:
    """An upload can fail before it is accepted, and as an upload."""
    client.arm(at="before_accept", on="upload", first=1, do={"respond": 500})
    client.arm(at="upload", first=1, do={"respond": 503})
    ticket = {"contentType": "video/mp4", "sizeBytes": 4}
    found = [client.http.post("/api/v1/upload", json=ticket).status_code for _ in range(3)]
    assert [500, 503, 200] == found


def test_the_journal_names_the_faults(client: Patient) -> None:
    """Each journal entry names the faults that fired."""
    client.arm(id="slow", at="before_accept", first=1, do={"delay": "1s"})
    client.arm(id="half", at="mid_body", first=1, do={"trickle": {"chunk": 9, "pause": "1ms"}})
    client.submit()
    client.submit()
    assert ["slow, half", None] == client.faults_of_exchanges()


def test_the_journal_has_a_lost_response(client: Patient) -> None:
    """The journal keeps the decision of a lost response; without a decision the status is 0."""
    client.arm(at="before_accept", first=1, do="drop_connection")
    client.arm(at="after_accept", first=1, do="drop_connection")
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            client.submit()
    exchanges = client.admin("GET", "journal").json()["exchanges"]
    assert [0, 200] == [exchange["status"] for exchange in exchanges]


def test_armed_faults_are_listed(client: Patient) -> None:
    """The list shows each rule, its matches, and how often the fault can still fire."""
    client.arm(at="before_accept", first=2, after=1, do={"respond": 503})
    for _ in range(2):
        client.submit()
    (found,) = client.admin("GET", "faults").json()["faults"]
    shown = {name: found[name] for name in ("id", "do", "matched", "fired", "remaining")}
    expected = {"id": "f1", "do": {"respond": 503}, "matched": 2, "fired": 1, "remaining": 1}
    assert expected == shown


@pytest.mark.parametrize(
    ("fault", "operations"),
    [
        ({"at": "poll"}, ["tasks/get"]),
        ({"at": "poll", "on": "credits"}, ["credits"]),
        ({"at": "download"}, ["outputs", "uploads"]),
    ],
)
def test_the_response_names_the_operations_of_a_fault(
    client: Patient, fault: dict[str, Any], operations: list[str]
) -> None:
    """The response names the operations of a fault, even if the fault named none."""
    armed = client.arm(**fault, do="drop_connection")
    assert (fault.get("on"), operations) == (armed["on"], armed["operations"])


def test_a_fault_without_a_provider_is_refused(client: Patient) -> None:
    """The error says that the provider is missing, and lists the providers."""
    body = {"at": "poll", "do": "drop_connection"}
    error = client.admin("POST", "faults", body).json()["error"]
    message = f"provider is missing; use one of {', '.join(PROVIDERS)}"
    assert {"code": "invalid", "message": message} == error


def test_one_fault_is_shown(client: Patient) -> None:
    """A fault is shown as in the response that armed it."""
    armed = client.arm(at="poll", do="corrupt", probability="0.25")
    assert armed == client.admin("GET", "faults/f1").json()


@pytest.mark.parametrize(
    ("path", "left"), [("faults/f1", ["f2"]), ("faults", [])], ids=["one", "all"]
)
def test_faults_are_disarmed(client: Patient, path: str, left: list[str]) -> None:
    """One fault can be disarmed, or all faults."""
    for _ in range(2):
        client.arm(at="poll", do="corrupt")
    client.admin("DELETE", path)
    assert left == [fault["id"] for fault in client.admin("GET", "faults").json()["faults"]]


@pytest.mark.parametrize("path", ["faults", "all"])
def test_a_reset_rearms_the_faults_of_the_scenario(start: Start, path: str) -> None:
    """After a reset, a fault of the scenario has all its counts again."""
    client = start(scenario="vicsee/unavailable-503")
    client.submit()
    client.arm(at="poll", do="corrupt")
    client.admin("POST", f"reset?what={path}")
    found = client.admin("GET", "faults").json()["faults"]
    assert [("f1", 2)] == [(fault["id"], fault["remaining"]) for fault in found]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "part"),
    [
        ("GET", "faults/f9", None, 404, "there is no fault 'f9'"),
        ("DELETE", "faults/f9", None, 404, "there is no fault 'f9'"),
        ("POST", "faults", {"at": "poll"}, 400, "missing required field `do`"),
        (
            "POST",
            "faults",
            {"at": "poll", "do": "corrupt"},
            400,
            f"provider is missing; use one of {', '.join(PROVIDERS)}",
        ),
        (
            "POST",
            "faults",
            {"provider": "vicse", "at": "poll", "do": "corrupt"},
            400,
            "did you mean vicsee?",
        ),
        (
            "POST",
            "faults",
            {"provider": "vicsee", "at": "poll", "do": "corupt"},
            400,
            "do: unknown action 'corupt'; did you mean corrupt?",
        ),
        (
            "POST",
            "faults",
            {"provider": "vicsee", "at": "poll", "do": {"respond": [1.5]}},
            400,
            "do.respond: an entry of errors",
        ),
        (
            "POST",
            "faults",
            {"provider": "vicsee", "at": "poll", "do": "corrupt", "id": "taken"},
            409,
            "there is already a fault 'taken'",
        ),
        ("PUT", "faults", {}, 405, ""),
        ("POST", "faults", [], 400, ""),
    ],
)
def test_a_wrong_admin_request_is_refused(
    client: Patient, method: str, path: str, body: object, status: int, part: str
) -> None:
    """A refusal has its reason in the usual error form."""
    client.arm(id="taken", at="poll", do="corrupt")
    answer = client.admin(method, path, body)
    assert status == answer.status_code, answer.text
    assert part in answer.json()["error"]["message"]


def test_a_fault_takes_the_provider_of_the_scenario(start: Start) -> None:
    """In a sandbox with a provider's scenario, a fault needs no provider."""
    client = start(scenario="vicsee/plan-pro")
    answer = client.admin("POST", "faults", {"at": "poll", "do": "corrupt"})
    assert "vicsee" == answer.json()["provider"]


def test_a_probability_may_be_a_number(client: Patient) -> None:
    """A JSON number keeps its exact digits as a probability."""
    assert "0.1" == client.arm(at="poll", do="corrupt", probability=0.1)["probability"]


def test_faults_of_one_sandbox_do_not_fire_in_another(client: Patient) -> None:
    """A fault of one sandbox does not fire in another sandbox."""
    client.arm(at="before_accept", do={"respond": 503})
    _, keys = client.sim.registry.create(SandboxRequest(id="other"))
    headers = {"Authorization": f"Bearer {keys['vicsee']}"}
    body = {"video_url": "https://clips.example/8.mp4"}
    answer = client.http.post("/api/v1/tools/upscale-video", json=body, headers=headers)
    assert [200, 503] == [answer.status_code, client.submit().status_code]


def test_the_async_transport_raises_the_same_error(client: Patient) -> None:
    """An async client gets the same error after the same half of the body."""
    job = client.job()
    client.arm(at="mid_body", do="reset_connection")

    async def collect(answer: httpx.Response, got: list[bytes]) -> None:
        async for part in answer.aiter_raw():
            got.append(part)  # noqa: PERF401 - what came before the error counts

    async def read() -> list[bytes]:
        got: list[bytes] = []
        async with (
            httpx.AsyncClient(
                transport=client.sim.transport(), headers=headers_of(client.sim, "vicsee")
            ) as http,
            http.stream("GET", f"{client.sim.base_url('vicsee')}/api/v1/tasks/{job}") as answer,
        ):
            with pytest.raises(httpx.ReadError):
                await collect(answer, got)
        return got

    assert b"".join(asyncio.run(read())).startswith(b'{"success":true')


def test_a_foreign_server_cannot_cut(client: Patient) -> None:
    """An ASGI server that cannot cut connections gets an error that says so."""
    client.arm(at="before_accept", do="drop_connection")
    transport = httpx.ASGITransport(client.sim.app)

    async def send() -> None:
        async with httpx.AsyncClient(transport=transport, base_url=LOCAL) as http:
            await http.post("/vicsee/api/v1/tools/upscale-video", json={})

    with pytest.raises(UncuttableError, match="upsim serve"):
        asyncio.run(send())


def test_the_same_seed_gives_the_same_faults(start: Start) -> None:
    """Two runs of a scenario with random faults give the same responses, byte by byte."""
    seen = []
    for _ in range(2):
        client = start(seed=77)
        client.arm(at="before_accept", probability="0.4", do={"respond": 503})
        client.arm(at="after_accept", probability="0.4", do="corrupt")
        seen.append([client.submit().content for _ in range(20)])
    assert seen[0] == seen[1]


def finished(client: Patient) -> str:
    """Return the address of the output of a job that has ended."""
    job = client.job()
    while client.status(job) != "completed":
        pass
    found: str = client.output(job)
    return found


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_catalogue_entry_can_be_the_response(start: Start, provider: str) -> None:
    """Each refusal can be sent with the values of its text, under its own status."""
    client = patient(start().sim, provider)
    errors = client.sim.sandbox.bound(provider).rules.errors
    found = {}
    for name, entry in errors.items():
        client.admin("DELETE", "faults")
        values = dict.fromkeys(needed(entry.message, entry.headers, entry.extra), "1")
        client.arm(at="before_accept", do={"respond": {"error": name, "values": values}})
        found[name] = client.submit().status_code
    assert {name: entry.status for name, entry in errors.items()} == found


def test_a_deeply_nested_fault_is_refused(client: Patient) -> None:
    """A deeply nested body is a wrong request, and no error of the server."""
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    body = {"provider": "vicsee", "at": "poll", "do": {"respond": {"body": deep}}}
    assert 400 == client.admin("POST", "faults", body).status_code


def test_a_cut_download_does_not_count(start: Start) -> None:
    """A file that is removed after its first download stays until one download was complete."""
    client = patient(start().sim, "venice")
    job = client.job()
    body = {"queue_id": job, "delete_media_on_completion": True}
    while "url" not in (shown := client.http.post("/api/v1/video/retrieve", json=body).json()):
        pass
    client.arm(at="download", first=1, do={"truncate": "50%"})
    with pytest.raises(httpx.RemoteProtocolError):
        client.http.get(shown["url"])
    assert [200, 410] == [client.http.get(shown["url"]).status_code for _ in range(2)]


@pytest.mark.parametrize(
    ("patch", "first", "near"),
    [
        ({"data.nothing.url": None}, 2, ""),
        ({"data.id.5": None, "nothing.url": 1}, None, ""),
        ({"data.staus": "odd"}, None, "; did you mean data.status?"),
        ({"status": "odd"}, 1, "; did you mean data.status?"),
    ],
)
def test_a_patch_without_its_field_does_not_fire(
    client: Patient, patch: dict[str, object], first: int | None, near: str
) -> None:
    """The patch keeps its count, the journal has the reason, and the next fault may fire."""
    limit = {"first": first} if first else {}
    job = client.job()
    client.arm(id="lost", at="poll", on="*", do={"patch": patch}, **limit)
    client.arm(id="found", at="poll", first=1, do={"patch": {"data.status": "odd"}})
    words = [client.status(job), client.status(job)]
    faults = client.admin("GET", "faults").json()["faults"]
    why = client.admin("GET", "journal").json()["exchanges"][-1]["why"]

    assert (words[0], words[1] != "odd") == ("odd", True)
    assert [(f["id"], f["matched"], f["fired"], f["remaining"]) for f in faults] == [
        ("lost", 2, 0, first),
        ("found", 1, 1, 0),
    ]
    assert [None, None, "found", None][1:] == client.faults_of_exchanges()[-3:]
    names = ", ".join(patch)
    assert [f"fault lost did not fire: this answer has no {names}{near}"] == why["unfired"]


def test_a_patch_of_a_file_does_not_fire(start: Start) -> None:
    """A Venice response that is the file itself has no field to patch."""
    client = patient(start(clock="manual").sim, "venice")
    job = client.job()
    client.sim.advance(100)
    client.arm(id="lost", at="poll", first=1, do={"patch": {"url": None}})
    body = {"model": "topaz-video-upscale", "queue_id": job}
    answers = [client.http.post("/api/v1/video/retrieve", json=body), client.poll(job)]

    assert [b"ftyp", None] == [answers[0].content[4:8], answers[1].json()["url"]]
    assert [0] == [f["remaining"] for f in client.admin("GET", "faults").json()["faults"]]


@pytest.mark.parametrize(
    ("when", "factor", "hit"),
    [
        ({"upscale_factor": "*"}, "2", True),
        ({"upscale_factor": "[14]"}, "2", False),
        ({"upscale_factor": "[14]"}, "4", True),
        ({"video_url": "https://*.com/*.mp4"}, "2", True),
        ({"video_url": "https://*.org/*"}, "2", False),
        ({"nothing": "*"}, "2", False),
    ],
)
def test_a_glob_in_when_matches(
    client: Patient, when: dict[str, str], factor: str, *, hit: bool
) -> None:
    """A value of `when` may be a glob; a missing field matches no glob."""
    client.arm(at="before_accept", on="*", when=when, do={"respond": {"status": 418, "body": ""}})
    answer = client.submit(upscale_factor=factor, video_url="https://example.com/a.mp4")

    assert hit == (answer.status_code == 418)
