"""Faults around answers, in process: what callers see, what is charged, what the journal says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.http.faults import LOCAL, PROVIDERS, Patient, headers_of, patient
from tests.uploads import put_file
from upsim import Simulator
from upsim.core.instants import SECOND
from upsim.engine.registry import SandboxRequest
from upsim.scenario.faults.vocabulary import needed
from upsim.web.connections import UncuttableError
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
def test_a_lost_answer_is_the_error_of_a_wire(client: Patient, stage: str, do: str) -> None:
    """A connection that is cut raises in process what httpx raises on a socket."""
    client.arm(at=stage, do=do)
    kind, text = LOST[do]
    with pytest.raises(kind, match=text):
        client.submit()


@pytest.mark.parametrize(("stage", "jobs"), [("before_accept", 0), ("after_accept", 1)])
def test_the_stage_decides_whether_there_is_a_job(client: Patient, stage: str, jobs: int) -> None:
    """Before acceptance nothing happens; after it the job is there and charged."""
    client.arm(at=stage, do="drop_connection")
    with pytest.raises(httpx.RemoteProtocolError):
        client.submit()
    assert (jobs, jobs) == (len(client.sim.sandbox.state.jobs), len(client.charges()))


def test_a_value_that_is_refused_comes_by_before(client: Patient) -> None:
    """A request that the provider would refuse meets a fault before it is decided."""
    client.arm(at="before_accept", when={"upscale_factor": 9}, do={"respond": 503})
    assert [503, 200] == [client.submit(upscale_factor=f).status_code for f in ("9", "4")]


def test_an_answer_of_the_catalogue_has_the_form_of_the_provider(client: Patient) -> None:
    """`respond: <name>` is the provider's own refusal."""
    client.arm(at="before_accept", do={"respond": "internal"})
    answer = client.submit()
    error = {"code": "INTERNAL_ERROR", "message": "Internal server error"}
    assert (500, {"success": False, "error": error}) == (answer.status_code, answer.json())


def test_an_answer_of_the_catalogue_takes_values(client: Patient) -> None:
    """The names in a text are filled in."""
    values = {"limit": 60, "reset": "soon"}
    client.arm(at="before_accept", do={"respond": {"error": "rate_limited", "values": values}})
    message = client.submit().json()["error"]["message"]
    assert "Rate limit exceeded. Limit: 60/day. Resets at: soon" == message


def test_a_raw_answer_is_sent_as_it_is(client: Patient) -> None:
    """Status, body, content type and headers are those of the fault."""
    raw = {"status": 502, "body": "<b>no</b>", "content_type": "text/html", "headers": {"X-A": "b"}}
    client.arm(at="poll", do={"respond": raw})
    answer = client.poll(client.job())
    found = (answer.status_code, answer.text, answer.headers["content-type"], answer.headers["x-a"])
    assert (502, "<b>no</b>", "text/html", "b") == found


@pytest.mark.parametrize(
    "respond", [503, {"status": 503}, {"status": 503, "headers": {"x-a": "b"}}]
)
def test_an_answer_without_a_body(client: Patient, respond: object) -> None:
    """It is empty and says of no content type."""
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
def test_an_answer_without_a_body_may_have_a_type(client: Patient, respond: object) -> None:
    """One that was given is sent."""
    client.arm(at="before_accept", do={"respond": respond})
    assert "text/html" == client.submit().headers["content-type"]


def test_a_file_without_a_body(client: Patient) -> None:
    """A download is refused without body and content type, too."""
    url = finished(client)
    client.arm(at="download", do={"respond": 503})
    answer = client.http.get(url)
    assert (503, b"", False) == (
        answer.status_code,
        answer.content,
        "content-type" in answer.headers,
    )


def test_a_raw_body_may_be_json(client: Patient) -> None:
    """A mapping is sent as JSON, its numbers as they were written."""
    client.arm(at="before_accept", do={"respond": {"body": {"price": 0.10}}})
    answer = client.submit()
    assert ("application/json", '{"price":0.1}') == (answer.headers["content-type"], answer.text)


def test_a_patch_changes_the_real_answer(client: Patient) -> None:
    """The rest of the answer stays as it is."""
    job = client.job()
    client.arm(at="poll", do={"patch": {"data.status": "odd"}})
    data = client.poll(job).json()["data"]
    assert (job, "odd") == (data["id"], data["status"])


def test_headers_change_on_the_real_answer(client: Patient) -> None:
    """A header is replaced, not added."""
    job = client.job()
    client.arm(at="poll", do={"headers": {"Content-Type": "text/html"}})
    assert ["text/html"] == client.poll(job).headers.get_list("content-type")


def test_what_the_provider_refuses_is_left_alone(client: Patient) -> None:
    """A fault of accepted jobs does not meet a request that is refused."""
    client.arm(at="after_accept", do="drop_connection")
    assert 400 == client.submit(upscale_factor=3).status_code


def test_a_refusal_can_be_cut_in_its_body(client: Patient) -> None:
    """`mid_body` meets any answer."""
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
def test_half_a_body_comes_before_the_cut(
    client: Patient, do: object, kind: type[Exception]
) -> None:
    """A caller that streams sees the head and the first half, then the error."""
    job = client.job()
    client.arm(at="mid_body", do=do)
    parts: list[bytes] = []
    with client.http.stream("GET", f"/api/v1/tasks/{job}") as answer:
        announced = int(answer.headers["content-length"])
        with pytest.raises(kind):
            parts.extend(answer.iter_raw())
    assert (200, announced // 2) == (answer.status_code, len(b"".join(parts)))


def test_a_body_shorter_than_the_cut_is_whole(client: Patient) -> None:
    """Truncating after more bytes than there are truncates nothing."""
    job = client.job()
    client.arm(at="poll", do={"truncate": 100_000})
    assert job == client.poll(job).json()["data"]["id"]


def test_a_corrupted_body_is_no_json(client: Patient) -> None:
    """One turned byte makes an answer that cannot be read, of the same length."""
    job = client.job()
    client.arm(at="poll", do="corrupt")
    with pytest.raises(ValueError, match="utf-8"):
        client.poll(job).json()


def test_a_trickled_body_is_whole(client: Patient) -> None:
    """In pieces or at once, it is the same answer."""
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


def test_a_delay_jumps_an_auto_clock(client: Patient) -> None:
    """The answer comes at once, later on the clock."""
    client.arm(at="after_accept", do={"delay": "4s"})
    before = client.sim.sandbox.now
    client.submit()
    assert 4 * SECOND == client.sim.sandbox.now - before


@pytest.mark.parametrize(("delay", "jobs"), [("before_accept", 1), ("after_accept", 1)])
def test_a_delay_longer_than_the_patience_is_a_time_out(
    client: Patient, delay: str, jobs: int
) -> None:
    """A client whose time-out is shorter gives up; the provider goes on all the same."""
    client.arm(at=delay, do={"delay": "45s"})
    with pytest.raises(httpx.ReadTimeout):
        client.submit()
    assert jobs == len(client.sim.sandbox.state.jobs)


def test_a_delay_in_real_time_moves_no_clock(start: Start) -> None:
    """Real time passes outside the sandbox."""
    client = start(clock="manual")
    client.arm(at="after_accept", do={"delay": {"real": "1ms"}})
    before = client.sim.sandbox.now
    client.submit()
    assert before == client.sim.sandbox.now


def test_a_delay_on_a_manual_clock_says_what_to_do(start: Start) -> None:
    """In process nobody could advance the clock meanwhile."""
    client = start(clock="manual")
    client.arm(at="after_accept", do={"delay": "1s"})
    with pytest.raises(HeldByManualClockError, match="clock='auto'"):
        client.submit()


def test_a_moving_clock_is_waited_for(start: Start) -> None:
    """A scaled clock lets a delay pass in a fraction of the time."""
    client = start(clock="scaled:100000")
    client.arm(at="after_accept", do={"delay": "4s"})
    before = client.sim.sandbox.run_due()
    client.submit()
    assert 4 * SECOND <= client.sim.sandbox.now - before


def test_a_read_can_fail_too(client: Patient) -> None:
    """An operation that only reads comes to `poll` when it is named."""
    client.arm(at="poll", on="credits", do={"respond": 503})
    assert 503 == client.http.get("/api/v1/credits").status_code


def test_a_predicate_looks_into_the_body(client: Patient) -> None:
    """Only requests with these values are met."""
    client.arm(at="before_accept", when={"upscale_factor": 4}, do={"respond": 503})
    found = [client.submit(upscale_factor=n).status_code for n in ("2", "4", "2")]
    assert [200, 503, 200] == found


def test_an_account_is_met_alone(client: Patient) -> None:
    """Another account of the provider is left alone."""
    client.submit()
    client.arm(at="before_accept", account=1, do={"respond": 503})
    other = client.http.post(
        "/api/v1/tools/upscale-video",
        json={"video_url": "https://clips.example/8.mp4"},
        headers={"Authorization": "Bearer sk-other"},
    )
    assert [503, 200] == [client.submit().status_code, other.status_code]


def test_a_state_is_met_alone(client: Patient) -> None:
    """A fault of completed jobs waits until the job is completed."""
    job = client.job()
    client.arm(at="poll", state="completed", do={"respond": 503})
    found = [client.poll(job).status_code for _ in range(3)]
    assert [200, 200, 503] == found


@pytest.mark.parametrize(
    ("do", "kind"),
    [({"truncate": 1000}, httpx.RemoteProtocolError), ("reset_connection", httpx.ReadError)],
)
def test_a_download_is_cut(client: Patient, do: object, kind: type[Exception]) -> None:
    """The file of a job ends in the middle, or not even begins."""
    url = finished(client)
    client.arm(at="download", do=do)
    with pytest.raises(kind):
        client.http.get(url)


def test_a_corrupted_download_keeps_its_length(client: Patient) -> None:
    """As many bytes come, some of them wrong."""
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
    """Files are refused in plain text."""
    url = finished(client)
    client.arm(at="download", do={"respond": respond})
    answer = client.http.get(url)
    assert (status, text) == (answer.status_code, answer.headers["content-type"])


def test_a_file_in_an_answer_is_a_download(client: Patient) -> None:
    """A proxied download is met as the file that it is."""
    job = client.job()
    while client.status(job) != "completed":
        pass
    client.arm(at="download", do={"truncate": "10%"})
    with pytest.raises(httpx.RemoteProtocolError):
        client.http.get(f"/api/v1/tasks/{job}/download?mode=proxy")


def test_clips_of_the_library_are_left_alone(client: Patient) -> None:
    """A synthetic clip is nobody's output."""
    client.arm(at="download", do={"respond": 500})
    answer = client.http.get("http://upsim.test/media/synthetic/64x64_30fps_1s.mp4")
    assert 200 == answer.status_code


@pytest.mark.parametrize("do", ["drop_connection", {"respond": 503}])
def test_an_upload_that_fails_stores_nothing(client: Patient, do: object) -> None:
    """The bytes of a PUT that was met are not kept, and the ticket can be used again."""
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


def test_an_upload_operation_comes_to_two_stages(client: Patient) -> None:
    """It can fail before it counts as accepted, and as an upload."""
    client.arm(at="before_accept", on="upload", first=1, do={"respond": 500})
    client.arm(at="upload", first=1, do={"respond": 503})
    ticket = {"contentType": "video/mp4", "sizeBytes": 4}
    found = [client.http.post("/api/v1/upload", json=ticket).status_code for _ in range(3)]
    assert [500, 503, 200] == found


def test_the_journal_says_what_went_wrong(client: Patient) -> None:
    """Each answer names the faults that met it."""
    client.arm(id="slow", at="before_accept", first=1, do={"delay": "1s"})
    client.arm(id="half", at="mid_body", first=1, do={"trickle": {"chunk": 9, "pause": "1ms"}})
    client.submit()
    client.submit()
    assert ["slow, half", None] == client.faults_of_exchanges()


def test_the_journal_knows_an_answer_that_was_lost(client: Patient) -> None:
    """What was decided is kept; where nothing was decided the status is 0."""
    client.arm(at="before_accept", first=1, do="drop_connection")
    client.arm(at="after_accept", first=1, do="drop_connection")
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            client.submit()
    exchanges = client.admin("GET", "journal").json()["exchanges"]
    assert [0, 200] == [exchange["status"] for exchange in exchanges]


def test_armed_faults_are_listed(client: Patient) -> None:
    """A listing shows the rule, its matches and what remains of it."""
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
def test_what_a_fault_is_really_for(
    client: Patient, fault: dict[str, Any], operations: list[str]
) -> None:
    """The answer names the operations, also where the fault named none."""
    armed = client.arm(**fault, do="drop_connection")
    assert (fault.get("on"), operations) == (armed["on"], armed["operations"])


def test_a_fault_of_nobody(client: Patient) -> None:
    """A missing provider is told of as missing, with those that there are."""
    body = {"at": "poll", "do": "drop_connection"}
    error = client.admin("POST", "faults", body).json()["error"]
    message = f"provider is missing; use one of {', '.join(PROVIDERS)}"
    assert {"code": "invalid", "message": message} == error


def test_one_fault_is_shown(client: Patient) -> None:
    """It is what arming it answered."""
    armed = client.arm(at="poll", do="corrupt", probability="0.25")
    assert armed == client.admin("GET", "faults/f1").json()


@pytest.mark.parametrize(
    ("path", "left"), [("faults/f1", ["f2"]), ("faults", [])], ids=["one", "all"]
)
def test_faults_are_disarmed(client: Patient, path: str, left: list[str]) -> None:
    """One can be taken away, or all."""
    for _ in range(2):
        client.arm(at="poll", do="corrupt")
    client.admin("DELETE", path)
    assert left == [fault["id"] for fault in client.admin("GET", "faults").json()["faults"]]


@pytest.mark.parametrize("path", ["faults", "all"])
def test_a_reset_brings_the_faults_of_the_scenario_back(start: Start, path: str) -> None:
    """After a reset a scenario's fault has its whole work before it."""
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
def test_a_wrong_admin_call_is_refused(
    client: Patient, method: str, path: str, body: object, status: int, part: str
) -> None:
    """What cannot be done says why, in the one error form."""
    client.arm(id="taken", at="poll", do="corrupt")
    answer = client.admin(method, path, body)
    assert status == answer.status_code, answer.text
    assert part in answer.json()["error"]["message"]


def test_the_provider_of_a_scenario_need_not_be_named(start: Start) -> None:
    """In a sandbox of a provider's scenario, a fault is for that provider."""
    client = start(scenario="vicsee/plan-pro")
    answer = client.admin("POST", "faults", {"at": "poll", "do": "corrupt"})
    assert "vicsee" == answer.json()["provider"]


def test_a_probability_may_be_a_number(client: Patient) -> None:
    """JSON has numbers with a point; the rule keeps exactly what was written."""
    assert "0.1" == client.arm(at="poll", do="corrupt", probability=0.1)["probability"]


def test_faults_of_one_sandbox_are_not_those_of_another(client: Patient) -> None:
    """What goes wrong in one sandbox goes well in the next."""
    client.arm(at="before_accept", do={"respond": 503})
    _, keys = client.sim.registry.create(SandboxRequest(id="other"))
    headers = {"Authorization": f"Bearer {keys['vicsee']}"}
    body = {"video_url": "https://clips.example/8.mp4"}
    answer = client.http.post("/api/v1/tools/upscale-video", json=body, headers=headers)
    assert [200, 503] == [answer.status_code, client.submit().status_code]


def test_the_async_transport_raises_alike(client: Patient) -> None:
    """Async callers see the same error, after the same half."""
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
    """An ASGI server that offers no hold on its connections is told so."""
    client.arm(at="before_accept", do="drop_connection")
    transport = httpx.ASGITransport(client.sim.app)

    async def send() -> None:
        async with httpx.AsyncClient(transport=transport, base_url=LOCAL) as http:
            await http.post("/vicsee/api/v1/tools/upscale-video", json={})

    with pytest.raises(UncuttableError, match="upsim serve"):
        asyncio.run(send())


def test_the_same_seed_gives_the_same_faults(start: Start) -> None:
    """Two runs of one scenario with chance in it answer alike, byte by byte."""
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
def test_every_entry_of_a_catalogue_can_be_the_answer(start: Start, provider: str) -> None:
    """With the values that its text needs, each refusal can be sent, under its own status."""
    client = patient(start().sim, provider)
    errors = client.sim.sandbox.bound(provider).rules.errors
    found = {}
    for name, entry in errors.items():
        client.admin("DELETE", "faults")
        values = dict.fromkeys(needed(entry.message, entry.headers, entry.extra), "1")
        client.arm(at="before_accept", do={"respond": {"error": name, "values": values}})
        found[name] = client.submit().status_code
    assert {name: entry.status for name, entry in errors.items()} == found


def test_a_deep_fault_is_refused(client: Patient) -> None:
    """A body nested without end is a wrong request, no error of the server."""
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    body = {"provider": "vicsee", "at": "poll", "do": {"respond": {"body": deep}}}
    assert 400 == client.admin("POST", "faults", body).status_code


def test_a_download_that_was_cut_does_not_count(start: Start) -> None:
    """A file that goes away with its first download is there until one was whole."""
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
def test_a_patch_that_finds_nothing_does_not_fire(
    client: Patient, patch: dict[str, object], first: int | None, near: str
) -> None:
    """It keeps its remaining count, the journal says why, and the next fault has its turn."""
    limit = {"first": first} if first else {}
    job = client.job()
    client.arm(id="lost", at="poll", do={"patch": patch}, **limit)
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


def test_a_patch_of_what_is_no_json_does_not_fire(start: Start) -> None:
    """A finished job of Venice that is the file itself has nothing to patch."""
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
    """A value of `when` may be a glob; what is not in the request fits none."""
    client.arm(at="before_accept", on="*", when=when, do={"respond": {"status": 418, "body": ""}})
    answer = client.submit(upscale_factor=factor, video_url="https://example.com/a.mp4")

    assert hit == (answer.status_code == 418)
