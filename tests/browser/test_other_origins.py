"""A real browser on a page of another origin: it can neither read a sandbox nor reset one."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Server, running

pytestmark = pytest.mark.browser
CHROMIUM = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run")
BROWSER_SECONDS = 60

ATTACKS = """<!doctype html><title>a page of somebody else's</title><body><script>
const sim = "SIM";
const reset = sim + "/__sim/sandboxes/default/reset";
const read = sim + "/__sim/sandboxes/default/jobs";
const found = {};
async function attempt(name, url, options) {
  try {
    const answer = await fetch(url, options);
    found[name] = answer.type === "opaque" ? "opaque" : "read " + answer.status;
  } catch (error) { found[name] = "blocked"; }
}
function element(kind, attributes) {
  return new Promise(resolve => {
    const made = Object.assign(document.createElement(kind), attributes);
    made.onload = () => resolve("loaded");
    made.onerror = () => resolve("failed");
    document.body.append(made);
  });
}
function form(enctype) {
  return new Promise(resolve => {
    const frame = document.createElement("iframe");
    frame.name = "frame" + Math.random();
    document.body.append(frame);
    frame.onload = () => resolve("sent");
    const made = document.createElement("form");
    Object.assign(made, {method: "post", action: reset, enctype, target: frame.name});
    const field = document.createElement("input");
    Object.assign(field, {name: '{"a": "', value: '"}'});
    made.append(field);
    document.body.append(made);
    made.submit();
  });
}
(async () => {
  await attempt("read", read);
  await attempt("read with cookies", read, {credentials: "include"});
  await attempt("read without cors", read, {mode: "no-cors"});
  await attempt("read the page", sim + "/");
  await attempt("read a probe", sim + "/__sim/livez");
  await attempt("reset", reset, {method: "POST"});
  await attempt("reset without cors", reset, {method: "POST", mode: "no-cors"});
  await attempt("reset as text", reset, {method: "POST", mode: "no-cors", body: "{}"});
  const json = {"content-type": "application/json"};
  await attempt("reset as json", reset, {method: "POST", headers: json, body: "{}"});
  await attempt("delete", sim + "/__sim/sandboxes/default", {method: "DELETE"});
  found.beacon = String(navigator.sendBeacon(reset, new Blob(["{}"], {type: "text/plain"})));
  found.image = await element("img", {src: read});
  found.script = await element("script", {src: read});
  found.style = await element("link", {rel: "stylesheet", href: read});
  found.form = await form("application/x-www-form-urlencoded");
  found["text form"] = await form("text/plain");
  found["file form"] = await form("multipart/form-data");
  await fetch("/report", {method: "POST", body: JSON.stringify(found)});
})();
</script>"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with one job in its default sandbox."""
    with running(tmp_path, "--clock", "manual") as started:
        answer = started.http.post(
            f"{started.base_url}/vicsee/api/v1/tools/upscale-video",
            headers={"authorization": "Bearer sk-any"},
            json={"video_url": "https://clips.example/v.mp4"},
        )
        assert answer.status_code == 200
        yield started


@contextmanager
def page_of_another(html: str, *, at: int = 0) -> Iterator[tuple[int, Callable[[], Any]]]:
    """Serve a page on another port; give the port, and a function that waits for its report."""
    told: list[Any] = []
    done = threading.Event()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._send(html.encode())

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            told.append(json.loads(self.rfile.read(length)))
            self._send(b"")
            done.set()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def wait() -> object:
        assert done.wait(BROWSER_SECONDS), "the page did not come to its end"
        return told[0]

    site = ThreadingHTTPServer(("127.0.0.1", at), Page)
    threading.Thread(target=site.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield site.server_port, wait
    finally:
        site.shutdown()
        site.server_close()


@contextmanager
def browser(program: str, folder: Path, url: str, *options: str) -> Iterator[None]:
    """Open a page in a browser of its own, and close it."""
    profile = f"--user-data-dir={folder / 'profile'}"
    process = subprocess.Popen(
        [program, *CHROMIUM, profile, "--remote-debugging-port=0", *options, url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(BROWSER_SECONDS)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "evil.example"])
def test_a_page_of_another_origin_can_do_nothing(
    server: Server, require_tool: Callable[[str], str], tmp_path: Path, host: str
) -> None:
    """A web page from another port or site can neither read from nor reset the simulator."""
    program = require_tool("chromium")
    with page_of_another(ATTACKS.replace("SIM", server.base_url)) as (port, report):
        names = f"--host-resolver-rules=MAP {host} 127.0.0.1"
        with browser(program, tmp_path, f"http://{host}:{port}/", names):
            found = report()
    readable = [name for name, what in found.items() if str(what).startswith("read")]
    jobs = server.admin("GET", "sandboxes/default/jobs")["total"]
    assert (readable, found["image"], jobs) == ([], "failed", 1), found


def test_a_rebound_name_shows_nothing(
    server: Server, require_tool: Callable[[str], str], tmp_path: Path
) -> None:
    """A browser gets an error, not a page, under a host name that was rebound to the server."""
    port = httpx.URL(server.base_url).port
    command = [
        require_tool("chromium"),
        *CHROMIUM,
        f"--user-data-dir={tmp_path / 'profile'}",
        "--host-resolver-rules=MAP evil.example 127.0.0.1",
        "--dump-dom",
        f"http://evil.example:{port}/__sim/sandboxes/default/jobs",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=BROWSER_SECONDS
    )
    assert ("foreign_host" in done.stdout, "task_" in done.stdout) == (True, False)


def test_the_landing_page_is_shown(
    server: Server, require_tool: Callable[[str], str], tmp_path: Path
) -> None:
    """A browser shows the landing page at the server's own URL."""
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [require_tool("chromium"), *CHROMIUM, profile, "--dump-dom", server.base_url]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=BROWSER_SECONDS
    )
    assert "A simulator of video-upscaling APIs" in done.stdout


REBOUND = """<!doctype html><title>a page under a rebound name</title><body><script>
const found = {};
async function attempt(name, path, options) {
  try { found[name] = (await fetch("http://HOST" + path, options)).status; }
  catch (error) { found[name] = "blocked"; }
}
(async () => {
  await attempt("provider", "/vicsee/api/v1/credits", {headers: {authorization: "Bearer sk-any"}});
  await attempt("sandbox path", "/sandbox/default/vicsee/api/v1/models");
  await attempt("media", "/media/synthetic/16x16_1fps_1s.mp4");
  await attempt("landing", "/");
  await attempt("admin", "/__sim/sandboxes");
  const json = {"content-type": "application/json"};
  const reset = "/__sim/sandboxes/default/reset";
  await attempt("reset", reset, {method: "POST", headers: json, body: "{}"});
  await fetch("/report", {method: "POST", body: JSON.stringify(found)});
})();
</script>"""


def test_a_page_under_a_rebound_name_reaches_no_path(
    server: Server, require_tool: Callable[[str], str], tmp_path: Path
) -> None:
    """The server refuses every path to a page under a rebound host name.

    The browser's own protection is off in this test.
    """
    port = httpx.URL(server.base_url).port
    options = ["--host-resolver-rules=MAP evil.test 127.0.0.1", "--disable-web-security"]
    with page_of_another(REBOUND.replace("HOST", f"evil.test:{port}")) as (site, report):
        address = f"http://evil.test:{site}/"
        with browser(require_tool("chromium"), tmp_path, address, *options):
            found = report()
    jobs = server.admin("GET", "sandboxes/default/jobs")["total"]
    assert (dict.fromkeys(found, 421), 6, 1) == (found, len(found), jobs)


SVG = """<svg xmlns="http://www.w3.org/2000/svg"><script>
fetch("http://127.0.0.1:PORT/", {method: "POST", mode: "no-cors", body: '"a script ran"'});
</script></svg>"""
FRAMES = """<!doctype html><title>a page with an upload in it</title><body><script>
for (const kind of ["iframe", "embed", "object"]) {
  const made = document.createElement(kind);
  made[kind === "object" ? "data" : "src"] = "UPLOAD";
  document.body.append(made);
}
setTimeout(() => fetch("/report", {method: "POST", body: '"nothing ran"'}), 3000);
</script>"""


@pytest.mark.parametrize("kind", ["image/svg+xml", "image/x-page", "video/mp4"])
def test_an_uploaded_svg_runs_no_script(
    server: Server, require_tool: Callable[[str], str], tmp_path: Path, kind: str
) -> None:
    """A script in an uploaded SVG does not run when a page shows the SVG in a frame."""
    with page_of_another("") as (port, _):
        url = upload(server, SVG.replace("PORT", str(port)).encode(), kind)
    program, at = require_tool("chromium"), f"http://127.0.0.1:{port}/"
    with (
        page_of_another(FRAMES.replace("UPLOAD", url), at=port) as (_, told),
        browser(program, tmp_path, at),
    ):
        found = told()
    assert found == "nothing ran"


STORAGE = """<!doctype html><title>a page that uploads</title><body><script>
const found = {};
async function attempt(name, url, options) {
  try {
    const answer = await fetch(url, options);
    found[name] = [answer.status, (await answer.arrayBuffer()).byteLength];
  } catch (error) { found[name] = "blocked"; }
}
const type = kind => ({method: "PUT", headers: {"content-type": kind}, body: new Uint8Array(4)});
(async () => {
  await attempt("wrong type", "PUT_URL", type("text/x-other"));
  await attempt("put", "PUT_URL", type("video/mp4"));
  await attempt("read", "PUBLIC_URL");
  await attempt("part", "PUBLIC_URL", {headers: {range: "bytes=0-1"}});
  await attempt("output", "OUTPUT_URL");
  const key = {authorization: "Bearer sk-any"};
  await attempt("api", "SIM/vicsee/api/v1/credits", {headers: key});
  await attempt("admin", "SIM/__sim/sandboxes");
  await fetch("/report", {method: "POST", body: JSON.stringify(found)});
})();
</script>"""


def test_a_page_may_use_only_storage(
    server: Server, require_tool: Callable[[str], str], tmp_path: Path
) -> None:
    """A page of another origin can upload a file and read files, but reaches no other path."""
    http, key = server.http, {"authorization": "Bearer sk-any"}
    api = f"{server.base_url}/vicsee/api/v1"
    asked = {"contentType": "video/mp4", "sizeBytes": 4}
    ticket = http.post(f"{api}/upload", headers=key, json=asked).json()["data"]
    server.admin("POST", "sandboxes/default/clock/advance", {"to": "idle"})
    job = server.admin("GET", "sandboxes/default/jobs")["jobs"][0]["id"]
    output = http.get(f"{api}/tasks/{job}", headers=key).json()["data"]["result"]["url"]
    length = len(server.download(output).content)
    page = STORAGE.replace("SIM", server.base_url).replace("OUTPUT_URL", output)
    page = page.replace("PUT_URL", ticket["uploadUrl"]).replace("PUBLIC_URL", ticket["publicUrl"])
    program = require_tool("chromium")
    with (
        page_of_another(page) as (port, report),
        browser(program, tmp_path, f"http://127.0.0.1:{port}/"),
    ):
        found = report()
    refused = found.pop("wrong type")
    assert refused[0] == 403
    assert found == {
        "put": [200, 0],
        "read": [200, 4],
        "part": [206, 2],
        "output": [200, length],
        "api": "blocked",
        "admin": "blocked",
    }


def upload(server: Server, content: bytes, kind: str) -> str:
    """Upload a file through WaveSpeed, which takes every image, and return its address."""
    asked = {"filename": "a.svg", "size": len(content), "content_type": kind}
    ticket = server.http.post(
        f"{server.base_url}/wavespeed/api/v3/media/uploads",
        headers={"authorization": "Bearer any"},
        json=asked,
    ).json()["data"]
    sent = ticket["upload"]
    done = server.http.put(sent["url"], content=content, headers=sent["headers"])
    assert done.status_code == 200, done.text
    found: str = ticket["download_url"]
    return found
