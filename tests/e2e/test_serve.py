"""`upsim serve` as a process: how it starts, what it says, how it ends."""

from __future__ import annotations

import html
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from upsim.client.adapter_discovery import providers
from upsim.scenario.loader import Library

UPSIM = [sys.executable, "-m", "upsim"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name[:6] != "UPSIM_"}
HANG_SECONDS = 300
"""A guard against what never happens: slowness alone does not fail a test."""
GREETED = "an example for each provider"
EXAMPLE = re.compile(r"^  # (\w+): (\S+)\n((?:  .+\n)+)", re.MULTILINE)
DIALECTS = [
    pytest.param(provider, "" if at == 0 else dialect, id=f"{provider}-{dialect}")
    for provider in providers()
    for at, dialect in enumerate(Library().baseline(provider).baseline.dialects)
]


@dataclass(slots=True)
class Process:
    """A server of one's own."""

    process: subprocess.Popen[str]
    said: dict[str, Any]
    log: Path

    @property
    def base_url(self) -> str:
        """Where it answers."""
        return str(self.said["base_url"])

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask for a path."""
        return httpx.get(
            f"{self.base_url}{path}", headers=headers, trust_env=False, timeout=HANG_SECONDS
        )

    def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        """Send JSON to a path."""
        url = f"{self.base_url}{path}"
        return httpx.post(url, json=body, headers=headers, trust_env=False, timeout=HANG_SECONDS)

    def interrupt(self) -> int:
        """Press Ctrl-C, wait for the end, and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(HANG_SECONDS)

    def output(self, containing: str = "") -> str:
        """Return what was printed, once it contains a text."""
        deadline = time.monotonic() + HANG_SECONDS
        while containing not in (text := self.log.read_text("utf-8")):
            assert time.monotonic() < deadline, f"no {containing!r} in:\n{text}"
            time.sleep(0.01)
        return text


Serve = Callable[..., Process]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Return a function that starts a server with these options; all end with the test."""
    with ExitStack() as stack:
        yield partial(_start, tmp_path, stack)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Return a server for tests that only look at it."""
    with ExitStack() as stack:
        yield _start(tmp_path_factory.mktemp("shared"), stack)


def _start(folder: Path, stack: ExitStack, *options: str, **variables: str) -> Process:
    ready, log = folder / "ready.json", folder / "log.txt"
    ready.unlink(missing_ok=True)
    output = stack.enter_context(log.open("w", encoding="utf-8"))
    process = subprocess.Popen(
        [*UPSIM, "serve", "--port", "0", "--ready-file", str(ready), *options],
        env={**ENVIRONMENT, **variables},
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
    )
    stack.callback(_end, process)
    deadline = time.monotonic() + HANG_SECONDS
    while not ready.exists():
        assert process.poll() is None, log.read_text("utf-8")
        assert time.monotonic() < deadline, log.read_text("utf-8")
        time.sleep(0.005)
    return Process(process, json.loads(ready.read_text("utf-8")), log)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()


@pytest.fixture
def upsim() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a command to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*UPSIM, *arguments],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


Upsim = Callable[..., subprocess.CompletedProcess[str]]


# -- start


def test_port_0_takes_a_free_port(serve: Serve) -> None:
    """The ready file names a port that responds."""
    assert serve().get("/__sim/livez").status_code == 200


def test_ready_file_names_the_process(shared: Process) -> None:
    """The ready file has the id of the server's process."""
    assert shared.said["pid"] == shared.process.pid


def test_only_its_owner_reads_the_ready_file(shared: Process) -> None:
    """Other users of the machine cannot read the ready file, because it has the token."""
    ready = shared.log.with_name("ready.json")

    assert 0o600 == ready.stat().st_mode & 0o777


def test_ready_file_has_the_admin_token(shared: Process) -> None:
    """The token of the ready file opens the admin API."""
    proxied = {"X-Forwarded-For": "192.0.2.1"}
    headers = {**proxied, "Authorization": f"Bearer {shared.said['admin_token']}"}
    statuses = [shared.get("/__sim/sandboxes", **more).status_code for more in (proxied, headers)]

    assert [401, 200] == statuses


@pytest.mark.parametrize("given", ["option", "variable"])
def test_allowed_hosts_are_accepted(serve: Serve, given: str) -> None:
    """`--allow-host` and its variable open the server to another name, but not the admin API."""
    name, paths = "sim.example", ("/vicsee/api/v1/models", "/__sim/sandboxes")
    if given == "option":
        process = serve("--allow-host", name, "--allow-host", "other.example")
    else:
        process = serve(UPSIM_ALLOW_HOST=f"other.example {name}")
    found = [
        process.get(path, Host=host).status_code
        for host in (name, "other.example", "evil.example")
        for path in paths
    ]

    assert [200, 401, 200, 401, 421, 421] == found
    assert process.output("421 this server does not accept the Host 'evil.example'")


@pytest.mark.parametrize("host", ["http://sim.example", "sim.example:80", "*", ""])
def test_an_allowed_host_must_be_a_name(upsim: Upsim, host: str) -> None:
    """A text that is no host name is wrong usage."""
    done = upsim("serve", "--allow-host", host)

    assert (2, True) == (done.returncode, "is not the name of a host" in done.stderr)


@pytest.mark.parametrize("wrong", [("--clock", "nosuch"), ("--port", "nosuch")])
def test_a_stale_ready_file_is_removed_first(
    tmp_path: Path, upsim: Upsim, wrong: tuple[str, ...]
) -> None:
    """A server that cannot start leaves no ready file of an earlier server."""
    stale = tmp_path / "ready.json"
    stale.write_text('{"pid": 1}')
    ended = upsim("serve", *wrong, "--ready-file", str(stale))
    assert (2, False) == (ended.returncode, stale.exists())


def test_the_ready_file_is_removed_at_the_end(serve: Serve, tmp_path: Path) -> None:
    """A server that ended leaves no ready file."""
    serve().interrupt()
    assert [] == list(tmp_path.glob("ready*"))


def test_the_ready_file_of_another_server_stays(serve: Serve, tmp_path: Path) -> None:
    """A server removes only its own ready file."""
    process, ready = serve(), tmp_path / "ready.json"
    ready.write_text('{"pid": 1}')
    process.interrupt()
    assert '{"pid": 1}' == ready.read_text()


def test_an_unwritable_ready_file_is_one_line(tmp_path: Path, upsim: Upsim) -> None:
    """The server does not start, and prints one line; the exit code is 2."""
    (tmp_path / "ready.json.part").mkdir()
    ready = tmp_path / "ready.json"
    ended = upsim("serve", "--port", "0", "--ready-file", str(ready))
    message = f"upsim: cannot write the ready file {ready}: Is a directory\n"
    assert (2, "", message) == (ended.returncode, ended.stdout, ended.stderr)


def test_the_files_of_a_killed_server_are_removed_at_the_next_start(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start removes the temporary folder of a killed server."""
    monkeypatch.setitem(ENVIRONMENT, "TMPDIR", str(tmp_path))
    killed = serve()
    sent = {"file_name": "a.mp4", "file_data": "AAAA"}
    upload = killed.post("/piapi/api/ephemeral_resource", sent, **{"x-api-key": "k"})
    (folder,) = tmp_path.glob("upsim-*")
    killed.process.kill()
    killed.process.wait()
    serve()
    deadline = time.monotonic() + HANG_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (200, []) == (upload.status_code, list(tmp_path.glob("upsim-*")))


def test_a_server_that_cannot_start_leaves_no_ready_file(tmp_path: Path, upsim: Upsim) -> None:
    """A server that cannot start removes the ready file of an earlier server."""
    stale = tmp_path / "ready.json"
    stale.write_text('{"pid": 1}', encoding="utf-8")
    upsim("serve", "--port", "0", "--clock", "nosuch", "--ready-file", str(stale))

    assert not stale.exists()


def test_busy_port_is_a_message(upsim: Upsim) -> None:
    """One line names the busy port and what to do; the exit code is 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = upsim("serve", "--port", str(port))

    message = f"upsim: cannot listen on 127.0.0.1:{port}: Address already in use"
    expected = f"{message} (another server is using it; try --port 0)\n"
    assert (done.returncode, done.stderr) == (1, expected)


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--scenario", "vicsee/nosuch", "there is no scenario 'vicsee/nosuch'"),
        ("--clock", "nosuch", "clock 'nosuch' is unknown; allowed: real, manual, auto, scaled:"),
        ("--dialect", "nosuch", "no provider has a dialect 'nosuch'; allowed: guide, live"),
        ("--pace", "0", "'0' is not a whole number of 1 or more"),
        ("--port", "65536", "'65536' is not a port: use 0 or a number from 1 to 65535"),
        ("--ready-file", "/nosuch/ready", "there is no folder /nosuch"),
        ("--tls-cert", "/nosuch.pem", "'/nosuch.pem' does not exist"),
        ("--tls-key", __file__, "--tls-key needs --tls-cert"),
        ("--scenario", "zzz", "there is no scenario 'zzz'; `upsim scenarios list` lists all"),
        (
            "--scenario",
            __file__,
            "is not a scenario file: it must be YAML and end in .yaml or .yml",
        ),
        ("--admin-token", "", "a token is 1 to 512 visible ASCII characters without spaces"),
        ("--admin-token", "a b", "a token is 1 to 512 visible ASCII characters without spaces"),
        ("--public-url", "nonsense", "'nonsense' is not http(s)://host[:port][/path]"),
        ("--public-url", "ftp://host", "'ftp://host' is not http(s)://host[:port][/path]"),
        ("--public-url", "http://", "'http://' is not http(s)://host[:port][/path]"),
        ("--public-url", "http://host?x", "'http://host?x' is not http(s)://host[:port][/path]"),
        ("--public-url", "http://host:x", "'http://host:x' is not http(s)://host[:port][/path]"),
    ],
)
def test_wrong_usage(upsim: Upsim, option: str, value: str, told: str) -> None:
    """The message names the invalid value; the exit code is 2."""
    done = upsim("serve", "--port", "0", option, value)

    assert (done.returncode, told in done.stderr, "Traceback" in done.stderr) == (2, True, False)


def test_invalid_scenario_names_the_place(upsim: Upsim, tmp_path: Path) -> None:
    """A mistake in a scenario has file, line and column; the exit code is 1."""
    file = tmp_path / "mine.yaml"
    file.write_text("extends: vicsee/baseline\nnosuch: 1\n", encoding="utf-8")
    done = upsim("serve", "--port", "0", "--scenario", str(file))

    assert (done.returncode, f"{file}:2:1: nosuch: unknown key" in done.stderr) == (1, True)


def test_unreadable_certificate_is_a_message(upsim: Upsim, tmp_path: Path) -> None:
    """The message names the invalid certificate; the exit code is 1."""
    file = tmp_path / "cert.pem"
    file.write_text("no certificate", encoding="utf-8")
    done = upsim("serve", "--port", "0", "--tls-cert", str(file))

    told = f"upsim: cannot use the certificate {file}: "
    assert (1, True, 1) == (done.returncode, told in done.stderr, done.stderr.count("\n"))


def test_settings_come_from_variables(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing option gets the value of its variable."""
    monkeypatch.setitem(ENVIRONMENT, "UPSIM_SERVE_SEED", "4711")

    assert "seed 4711)" in serve().output(GREETED)


# -- what it says


def test_greeting_has_an_example_for_each_provider(shared: Process) -> None:
    """The greeting has a base URL and an example for every provider."""
    shared.output(GREETED)
    found = {name: url for name, url, _ in EXAMPLE.findall(shared.output())}

    assert found == {name: f"{shared.base_url}/{name}" for name in providers()}


@pytest.mark.parametrize("provider", providers())
def test_each_example_works_as_printed(
    shared: Process, require_tool: Callable[[str], str], provider: str
) -> None:
    """The printed example is accepted when a shell runs it unchanged."""
    require_tool("curl")
    shared.output(GREETED)
    commands = {name: command for name, _, command in EXAMPLE.findall(shared.output())}

    assert _status_of(commands[provider]) in ("200", "201")


def _status_of(command: str) -> str:
    """Return the status that a printed curl call is answered with."""
    status = (
        "curl() { command curl --silent --output /dev/null --write-out '%{http_code}' \"$@\"; }"
    )
    done = subprocess.run(
        ["bash", "-c", f"{status}\n{command}"],
        env={**ENVIRONMENT, "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


def test_one_line_for_each_response(shared: Process) -> None:
    """Every response of a provider is a line with time, provider, method, path and status."""
    shared.get("/vicsee/api/v1/models")

    line = r"\d\d:\d\d:\d\d\.\d{3} vicsee GET /api/v1/models 200\n"
    assert re.search(line, shared.output("vicsee GET /api/v1/models 200\n"))


def test_the_line_of_a_refusal_has_its_reason(shared: Process) -> None:
    """The line of a refusal has the rule and its evidence."""
    shared.post("/vicsee/api/v1/tools/upscale-video", {}, Authorization="Bearer sk-x")

    refused = "refused: missing_video: video_url not provided (documented: "
    line = f"POST /api/v1/tools/upscale-video 400 {refused}"
    assert line in shared.output(line)


def test_the_line_of_a_submit_names_its_job(shared: Process) -> None:
    """The line of an accepted job has its id, and the assumed properties of its video."""
    body = {"video_url": "https://example.com/clip.mp4"}
    answer = shared.post("/vicsee/api/v1/tools/upscale-video", body, Authorization="Bearer sk-x")
    job = answer.json()["data"]["id"]

    assumed = "media assumed: 854x480, 30 fps, 8.5 s (not fetched; see --fetch)"
    line = f"200 job {job} waiting {assumed}\n"
    assert line in shared.output(line)


def test_quiet_prints_one_line(serve: Serve) -> None:
    """With `--quiet`, only the first line of the greeting is printed."""
    server = serve("--quiet")
    server.output("upsim listens at ")
    server.get("/vicsee/api/v1/models")
    server.interrupt()

    line = rf"upsim listens at {server.base_url}  \(clock real, .*\)\n"
    assert re.fullmatch(line, server.output())


def test_the_last_responses_are_printed(serve: Serve) -> None:
    """A response right before the end still has its line."""
    server = serve()
    server.get("/vicsee/api/v1/models")
    server.interrupt()

    assert "vicsee GET /api/v1/models 200\n" in server.output()


def test_strict_keys_change_the_greeting(serve: Serve) -> None:
    """A server with strict keys does not say that any key works."""
    assert "Only issued keys work, such as these;" in serve("--strict-keys").output(GREETED)


@pytest.mark.parametrize("provider", providers())
def test_strict_keys_are_printed(
    serve: Serve, require_tool: Callable[[str], str], provider: str
) -> None:
    """The examples of a server with strict keys have issued keys, and work as printed."""
    require_tool("curl")
    output = serve("--strict-keys").output("# wavespeed")
    commands = {name: command for name, _, command in EXAMPLE.findall(output)}

    assert _status_of(commands[provider]) in ("200", "201")


def test_greeting_names_scenario_and_dialect(serve: Serve) -> None:
    """The first line names the scenario and the dialect of the server."""
    options = ("--scenario", "vicsee/insufficient-funds", "--dialect", "live", "--seed", "7")
    output = serve(*options).output(GREETED)

    assert "; scenario vicsee/insufficient-funds; dialect live; seed 7)" in output.splitlines()[0]


def test_the_line_of_another_dialect_names_it(shared: Process) -> None:
    """The line of a request in another dialect has the dialect beside the provider."""
    shared.get("/venice/live/api/v1/models")

    line = "venice/live GET /api/v1/models 200\n"
    assert line in shared.output(line)


def test_the_line_of_a_path_without_its_prefix(shared: Process) -> None:
    """A provider's path without its prefix has a line with the right path."""
    shared.post("/api/v1/video/queue", {})

    line = "POST /api/v1/video/queue 404 no provider is at '/api/v1/video/queue'; did you mean "
    assert f"{line}/venice/api/v1/video/queue?\n" in shared.output(line)


def test_control_characters_are_escaped(shared: Process) -> None:
    """No path can forge a line or colour the terminal."""
    shared.get("/vicsee/api/v1/%1b%5b31mred%0aforged")

    assert r" GET /api/v1/\u001b[31mred\u000aforged 404 " in shared.output("forged 404")


def test_a_server_on_all_addresses(serve: Serve) -> None:
    """The server prints a URL that works, and says that the admin API needs the token."""
    server = serve("--host", "0.0.0.0")  # noqa: S104 - the test is about it
    need = "Not bound to loopback only: the admin API and the page at / need the token."

    assert (True, "http://127.0.0.1:") == (need in server.output(GREETED), server.base_url[:17])


# -- the page


@pytest.mark.parametrize(("provider", "dialect"), DIALECTS)
def test_landing_page_has_every_base_url(shared: Process, provider: str, dialect: str) -> None:
    """The page lists the base URL of each provider, and of each further dialect."""
    url = "/".join(filter(None, (shared.base_url, provider, dialect)))

    assert f"<code>{url}</code>" in shared.get("/").text


@pytest.mark.parametrize("provider", providers())
def test_landing_page_has_every_example(shared: Process, provider: str) -> None:
    """The page shows the same examples as the greeting, with the URL of this server."""
    page = html.unescape(shared.get("/").text)

    assert f"<pre><code>curl {shared.base_url}/{provider}/" in page


@pytest.mark.parametrize(
    "text",
    [
        "/wavespeed/api/v3/runwayml/upscale-v1 -H",
        "/wavespeed/api/v3/predictions/$ID/result",
        "/wavespeed/api/v3/media/upload/binary",
        "/venice/api/v1/video/retrieve",
        "/piapi/api/v1/task/$ID",
        "/piapi/api/ephemeral_resource",
        "/vicsee/api/v1/tasks/$ID",
        "/vicsee/api/v1/upload",
        'curl -o output.mp4 "$URL"',
        '<a href="/__sim">',
        "audio</code> is drop, not keep",
        "<td>veniceai-cli (status and download of a job)<td>2.1.0",
    ],
)
def test_landing_page_has_polls_and_downloads(shared: Process, text: str) -> None:
    """The page shows polls, downloads, uploads, the effects of dialects, and all requests."""
    assert text in html.unescape(shared.get("/").text)


def test_landing_page_with_strict_keys(serve: Serve) -> None:
    """With strict keys, the page says that only issued keys work, and shows no key."""
    page = serve("--strict-keys").get("/").text

    assert (True, False) == ("Only issued keys work here" in page, "Bearer any" in page)


def test_landing_page_is_html(shared: Process) -> None:
    """A browser gets an HTML page."""
    assert shared.get("/").headers["content-type"] == "text/html; charset=utf-8"


# -- the end


def test_ctrl_c_ends_the_server(serve: Serve) -> None:
    """Ctrl-C ends an idle server immediately, with exit code 0 and without an error."""
    server = serve()
    server.output(GREETED)

    assert 0 == server.interrupt()
    assert not re.search("Traceback|Aborted|ERROR", server.output())


def test_ctrl_c_ends_a_held_request(serve: Serve) -> None:
    """Ctrl-C ends a request that is held until its job ends."""
    server = serve("--pace", "1")
    with ThreadPoolExecutor() as threads:
        held = threads.submit(_hold, server)
        server.output(GREETED)
        _until_a_job_runs(server)
        code = server.interrupt()

    assert (0, "given up") == (code, held.result())
    assert "Traceback" not in server.output()


def test_ctrl_c_ends_an_open_download(serve: Serve) -> None:
    """Ctrl-C ends a download that the client does not read."""
    server = serve()
    host, _, port = server.base_url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"GET /media/synthetic/1920x1080_30fps_600s.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        assert connection.recv(12) == b"HTTP/1.1 200"
        assert 0 == server.interrupt()  # while the connection is open and nobody reads

    assert "Traceback" not in server.output()


@pytest.fixture
def hangups() -> Iterator[None]:
    """Let what is started end with its terminal, also where these tests run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangups")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_signals_end_the_server(serve: Serve, how: signal.Signals) -> None:
    """The signals of a service manager and of a closed terminal end the server."""
    server = serve()
    server.process.send_signal(how)

    assert -how == server.process.wait(HANG_SECONDS)


@pytest.mark.usefixtures("hangups")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_last_line_says_that_the_server_stopped(serve: Serve, how: signal.Signals) -> None:
    """The last line of a server says that it stopped, for every kind of end."""
    server = serve()
    server.output(GREETED)
    server.process.send_signal(how)
    server.process.wait(HANG_SECONDS)

    assert "upsim stopped" == server.output().splitlines()[-1]


def test_a_closed_pipe_does_not_end_the_server(tmp_path: Path) -> None:
    """A server whose reader left, as after `upsim serve | head`, continues without an error."""
    ready, errors = tmp_path / "ready.json", tmp_path / "errors.txt"
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [*UPSIM, "serve", "--port", "0", "--ready-file", str(ready)],
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    process.stdout.close()
    while not ready.exists():
        assert process.poll() is None, errors.read_text("utf-8")
        time.sleep(0.005)
    server = Process(process, json.loads(ready.read_text("utf-8")), errors)
    server.get("/vicsee/api/v1/models")
    time.sleep(0.2)  # longer than lines are held back
    status = server.get("/vicsee/api/v1/models").status_code
    server.interrupt()

    assert (200, 0, "") == (status, process.returncode, errors.read_text("utf-8"))


def _hold(server: Process) -> str:
    video = f"{server.base_url}/media/synthetic/640x360_30fps_20s.mp4"
    body = {"video": video, "enable_sync_mode": True}
    try:
        path = "/wavespeed/api/v3/runwayml/upscale-v1"
        held = server.post(path, body, Authorization="Bearer any")
    except (httpx.RemoteProtocolError, httpx.NetworkError):
        return "given up"
    return "given up" if held.text == "Internal Server Error" else held.text  # uvicorn's own text


def _until_a_job_runs(server: Process) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while not server.get("/__sim/sandboxes/default/jobs").json()["jobs"]:
        assert time.monotonic() < deadline, "no job was accepted"
        time.sleep(0.01)


# -- the other commands


def test_version_has_the_dates_of_the_baselines(upsim: Upsim) -> None:
    """`upsim --version` prints the date of each baseline."""
    dates = ", ".join(rf"{name} \d{{4}}-\d\d-\d\d" for name in providers())

    assert re.fullmatch(rf"upsim \S.* \(baselines: {dates}\)\n", upsim("--version").stdout)


def test_doctor_succeeds(upsim: Upsim) -> None:
    """If everything is installed, doctor says so and exits with 0."""
    done = upsim("doctor")

    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Everything is installed.")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("sevre", "No such command 'sevre'; did you mean serve?"),
        ("xyzzy", "No such command 'xyzzy'."),
    ],
)
def test_unknown_command(upsim: Upsim, wrong: str, told: str) -> None:
    """A command that does not exist is wrong usage; the nearest one is named."""
    done = upsim(wrong)

    assert (2, f"Error: {told}") == (done.returncode, done.stderr.splitlines()[-1])


@pytest.mark.parametrize("command", ["serve", "demo", "doctor"])
def test_help_lists_the_command(upsim: Upsim, command: str) -> None:
    """The help text names every command with a sentence."""
    assert re.search(rf"^  {command} +[A-Z].*\.$", upsim("--help").stdout, re.MULTILINE)
