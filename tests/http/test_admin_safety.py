"""Who may use the admin API: local people and tools, or holders of the token; never a web page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.hosts import ELSEWHERE, LOOPBACK
from tests.http.conftest import refusal_of
from upsim.app import App
from upsim.engine.settings import ServerSettings
from upsim.transport import Transport
from upsim.web.admin_access import ADVICE
from upsim.web.wrong_token import NOTE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.http.conftest import Admin

TOKEN = "the-token"
OWN = "http://127.0.0.1:4747"
NO_TOKEN = f"; no Authorization header came{ADVICE}"
Headers = list[tuple[str, str]]


def ask(
    admin: Admin,
    headers: Headers,
    *,
    method: str = "GET",
    path: str = "/__sim/sandboxes",
    body: bytes = b"",
) -> httpx.Response:
    """Send a request with exactly these headers."""
    request = httpx.Request(method, f"{OWN}{path}", content=body)
    request.headers = httpx.Headers(headers)
    return admin.http.send(request)


def doubt(answer: httpx.Response) -> str:
    """Return why a request was refused that a token would have let in."""
    status, code, message = refusal_of(answer)
    assert (status, code) == (401, "token_required")
    return message.removesuffix(NO_TOKEN)


@pytest.mark.parametrize("port", ["", ":4747"])
@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_hosts_are_accepted(admin: Admin, host: str, port: str) -> None:
    """Every spelling of loopback is accepted as host, with any port."""
    assert ask(admin, [("host", f"{host}{port}")]).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *ELSEWHERE,
        "evil.example:4747",
        "localhost.evil.example",
        "::1",
        "[::1",
        "[::1].evil.example",
        "localhost:4747:4747",
        "localhost@evil.example",
        "evil.example:localhost",
        "vicsee.com",
        "upsim.test",
        " localhost",
        "",
    ],
)
def test_a_rebound_host_name_is_refused(admin: Admin, host: str) -> None:
    """A foreign host name that a web page points at this machine is refused."""
    expected = f"the Host {host!r} is not a loopback name such as localhost"
    assert expected == doubt(ask(admin, [("host", host)]))


def test_a_missing_host_is_refused(admin: Admin) -> None:
    """A request without a Host header is refused."""
    assert doubt(ask(admin, [])) == "the Host '' is not a loopback name such as localhost"


@pytest.mark.parametrize(
    "header",
    [
        ("forwarded", "for=10.0.0.1"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-host", "localhost"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-anything", ""),
        ("x-real-ip", "127.0.0.1"),
        ("via", "1.1 proxy"),
    ],
)
def test_a_proxied_request_is_refused(admin: Admin, header: tuple[str, str]) -> None:
    """A request that came through a proxy is refused, because its origin is unknown."""
    answer = ask(admin, [("host", "localhost:4747"), header])
    assert doubt(answer) == "the request came through a proxy"


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://127.0.0.1:4747",
        "http://127.0.0.1:8000",
        "http://127.0.0.1",
        "http://localhost:4747",
        "http://127.0.0.1:4747.evil.example",
        "http://127.0.0.1:4747/",
        "HTTP://127.0.0.1:4747",
        "null",
        "",
        "file://",
        "chrome-extension://abc",
    ],
)
def test_a_page_of_another_origin_is_refused(admin: Admin, origin: str) -> None:
    """Only a page of this server, with the same scheme, host and port, may send requests."""
    answer = ask(admin, [("host", "127.0.0.1:4747"), ("origin", origin)])
    assert doubt(answer) == "the request comes from a page of another origin"


@pytest.mark.parametrize(
    ("site", "status"),
    [("none", 200), ("same-origin", 200), ("same-site", 401), ("cross-site", 401), ("", 401)],
)
def test_a_page_of_another_site_is_refused(admin: Admin, site: str, status: int) -> None:
    """A browser request from another site, or another port of this machine, is refused."""
    answer = ask(admin, [("host", "127.0.0.1:4747"), ("sec-fetch-site", site)])
    assert answer.status_code == status


def test_the_own_page_is_accepted(admin: Admin) -> None:
    """A page of this server may send requests."""
    own = [("host", "127.0.0.1:4747"), ("origin", OWN), ("sec-fetch-site", "same-origin")]
    assert ask(admin, own).status_code == 200


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("origin", ["http://evil.example", OWN]),
        ("origin", [OWN, OWN]),
        ("host", ["evil.example", "127.0.0.1:4747"]),
        ("sec-fetch-site", ["cross-site", "none"]),
        ("content-type", ["text/plain", "application/json"]),
        ("authorization", ["Bearer wrong", "Bearer in-process"]),
    ],
)
def test_a_decisive_header_may_not_be_repeated(admin: Admin, name: str, values: list[str]) -> None:
    """A request with two values of a decisive header is refused."""
    headers = [(name, value) for value in values]
    answer = ask(admin, [*headers, *([] if name == "host" else [("host", "127.0.0.1:4747")])])
    expected = (400, "ambiguous", "a header is repeated that may occur only once")
    assert expected == refusal_of(answer)


FORMS = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"]


@pytest.mark.parametrize("kind", [*FORMS, "application/jsonp", "text/json", "application/json-x"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_writes_must_be_json(admin: Admin, method: str, kind: str) -> None:
    """A write that an HTML form can send is refused, even if nothing else is wrong."""
    headers = [("host", "127.0.0.1:4747"), ("content-type", kind), ("content-length", "3")]
    answer = ask(admin, headers, method=method, body=b"a=b")
    expected = (415, "not_json", "a write must be JSON: send Content-Type: application/json")
    assert expected == refusal_of(answer)


@pytest.mark.parametrize("kind", FORMS)
def test_a_form_post_resets_nothing(admin: Admin, kind: str) -> None:
    """A form that posts to the reset leaves the jobs of the sandbox."""
    admin.job()
    headers = [("host", "127.0.0.1:4747"), ("content-type", kind)]
    ask(admin, headers, method="POST", path="/__sim/sandboxes/default/reset")
    assert admin.get("sandboxes/default/jobs")["total"] == 1


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([("content-type", "application/json")], b"{}"),
        ([("content-type", "Application/JSON; charset=utf-8")], b"{}"),
        ([("content-length", "0")], b""),
        ([], b""),
    ],
)
def test_json_and_empty_writes_are_accepted(admin: Admin, headers: Headers, body: bytes) -> None:
    """A write with JSON, or without a body, is carried out."""
    own = [("host", "localhost:4747"), *headers]
    answer = ask(admin, own, method="POST", path="/__sim/sandboxes/default/reset", body=body)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "header", [("content-length", "2"), ("transfer-encoding", "chunked"), ("content-length", "00")]
)
def test_a_body_without_a_type_is_refused(admin: Admin, header: tuple[str, str]) -> None:
    """A body without a content type is refused, because a form could have sent it."""
    own = [("host", "localhost:4747"), header]
    answer = ask(admin, own, method="POST", path="/__sim/sandboxes", body=b"{}")
    assert refusal_of(answer)[:2] == (415, "not_json")


@pytest.mark.parametrize("probe", ["livez", "readyz", "health", "metrics"])
def test_probes_never_need_a_token(admin: Admin, probe: str) -> None:
    """A probe gets its response for any host name and any way of access."""
    headers = [
        ("host", "pod-7.cluster.example"),
        ("x-forwarded-for", "10.0.0.1"),
        ("origin", "http://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ]
    assert ask(admin, headers, path=f"/__sim/{probe}").status_code == 200


@pytest.mark.parametrize(
    "path", ["/__sim/livez/", "/__sim/livez/x", "/__sim/LIVEZ", "/__sim//livez"]
)
def test_only_the_probes_themselves_are_open(admin: Admin, path: str) -> None:
    """A path that only resembles a probe follows the access rule."""
    assert ask(admin, [("host", "evil.example")], path=path).status_code == 401


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("Bearer in-process", 200),
        ("bearer in-process", 200),
        ("Bearer  in-process", 200),
        ("Bearer in-process2", 401),
        ("Bearer in-proces", 401),
        ("Bearer IN-PROCESS", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("in-process", 401),
        ("Basic in-process", 401),
        ("", 401),
    ],
)
def test_the_token_opens_everything(admin: Admin, value: str, status: int) -> None:
    """The token allows every request that would else be refused; a wrong token does not."""
    headers = [("host", "evil.example"), ("authorization", value)]
    assert ask(admin, headers).status_code == status


def test_the_token_does_not_make_a_form_json(admin: Admin) -> None:
    """Holders of the token must write JSON too."""
    headers = [
        ("host", "x"),
        ("authorization", "Bearer in-process"),
        ("content-type", "text/plain"),
    ]
    answer = ask(admin, headers, method="POST", path="/__sim/sandboxes", body=b"{}")
    assert refusal_of(answer)[:2] == (415, "not_json")


@pytest.fixture
def public() -> Iterator[httpx.Client]:
    """Return a client of a server that listens on every address."""
    app = App(ServerSettings(loopback=False, admin_token=TOKEN, clock="manual"))
    with httpx.Client(transport=Transport(app, _run), base_url=OWN) as http:
        yield http
    app.close()


def _run(call: object) -> object:
    import asyncio

    return asyncio.run(call())  # type: ignore[operator]  # a coroutine function


@pytest.mark.parametrize("path", ["/", "/__sim/sandboxes", "/__sim/sandboxes/default/jobs", "/x"])
def test_an_open_server_needs_the_token(public: httpx.Client, path: str) -> None:
    """A server that other machines can reach needs the token, except for probes and providers."""
    assert doubt(public.get(path)) == "this server is not bound to loopback only"


@pytest.mark.parametrize("path", ["/", "/__sim/sandboxes"])
def test_an_open_server_accepts_the_token(public: httpx.Client, path: str) -> None:
    """With the token, everything of an open server works, the landing page included."""
    answer = public.get(path, headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("value", "flaw"),
    [
        (None, "no Authorization header came"),
        ("Bearer wrong", "the bearer token is not this server's"),
        ("Bearer ", "no token follows Bearer"),
        (f"Basic {TOKEN}", "the Authorization header has another scheme than Bearer"),
        (TOKEN, "the Authorization header has another scheme than Bearer"),
    ],
)
def test_refusal_says_what_is_wrong_with_the_token(
    public: httpx.Client, value: str | None, flaw: str
) -> None:
    """A missing token, a wrong one and a wrong scheme get different messages."""
    headers = {} if value is None else {"authorization": value}
    message = refusal_of(public.get("/__sim/sandboxes", headers=headers))[2]

    assert message == f"this server is not bound to loopback only; {flaw}{ADVICE}"
    assert TOKEN not in message


def test_an_open_server_answers_probes(public: httpx.Client) -> None:
    """Probes need no token on any server."""
    assert public.get("/__sim/livez").status_code == 200


def test_an_open_server_serves_providers_and_media(public: httpx.Client) -> None:
    """Provider and media paths of an open server need no admin token."""
    statuses = [
        public.get("/vicsee/api/v1/models").status_code,
        public.get("/media/synthetic/16x16_1fps_1s.mp4").status_code,
    ]
    assert statuses == [200, 200]


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "", "Bearer None"])
def test_an_empty_token_opens_nothing(value: str) -> None:
    """An empty token opens nothing on a server without a token."""
    app = App(ServerSettings(loopback=False, admin_token="", clock="manual"))
    with httpx.Client(transport=Transport(app, _run), base_url=OWN) as http:
        status = http.get("/__sim/sandboxes", headers={"authorization": value}).status_code
    app.close()
    assert status == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/__sim/sandboxes"),
        ("GET", "/__sim/livez"),
        ("OPTIONS", "/__sim/sandboxes"),
        ("OPTIONS", "/vicsee/api/v1/models"),
        ("GET", "/vicsee/api/v1/models"),
        ("OPTIONS", "/__sim/sandboxes/default/journal"),
        ("PUT", "/__sim/sandboxes/default/accounts/vicsee"),
    ],
)
@pytest.mark.parametrize("origin", ["http://evil.example", OWN])
def test_no_cors_header_except_on_storage(
    admin: Admin, method: str, path: str, origin: str
) -> None:
    """Only the file storage (`test_storage`) lets a foreign page read a response."""
    headers = [
        ("host", "127.0.0.1:4747"),
        ("origin", origin),
        ("access-control-request-method", "POST"),
    ]
    answer = ask(admin, headers, method=method, path=path)
    assert [name for name in answer.headers if name.startswith("access-control-")] == []


@pytest.mark.parametrize("more", [[], [("authorization", f"Bearer {TOKEN}")]])
def test_a_preflight_learns_that_no_page_is_allowed(admin: Admin, more: Headers) -> None:
    """A foreign preflight is refused, without a request for a token; an own one gets a 405."""
    asked = [("host", "127.0.0.1:4747"), ("access-control-request-method", "POST"), *more]
    foreign = [*asked, ("origin", "http://localhost:3000")]

    assert refusal_of(ask(admin, foreign, method="OPTIONS")) == (
        403,
        "foreign_page",
        "the admin API refuses cross-origin requests of web pages, with or without a token",
    )
    assert ask(admin, [*asked, ("origin", OWN)], method="OPTIONS").status_code == 405


def test_the_landing_page_is_guarded_too(admin: Admin) -> None:
    """A page of another site cannot read the landing page."""
    headers = [("host", "127.0.0.1:4747"), ("sec-fetch-site", "cross-site")]
    assert ask(admin, headers, path="/").status_code == 401


def test_the_landing_page_shows_every_provider(admin: Admin) -> None:
    """The landing page shows base URLs with the host of the request."""
    page = admin.http.get("/", headers={"host": "localhost:9"}).text
    providers = admin.sim.registry.providers
    assert [name for name in providers if f"http://localhost:9/{name}" not in page] == []


def test_an_unneeded_wrong_token_is_noted(admin: Admin) -> None:
    """On loopback, each response to a wrong token has a note; the first such token is logged."""
    seen: list[tuple[str, str, int, str]] = []
    app: App = admin.sim.app
    app.wrong_token.observers.append(lambda *one: seen.append(one))
    local = ("host", "127.0.0.1")
    own = app.registry.settings.admin_token or ""
    inbox = "/__sim/sandboxes/default/inbox/a"

    def noted(value: str, path: str = "/__sim/sandboxes") -> tuple[int, str | None]:
        headers = [local, *([("authorization", value)] if value else [])]
        answer = ask(admin, headers, path=path)
        return answer.status_code, answer.headers.get("x-upsim-note")

    assert [(200, None)] * 3 == [noted(""), noted(f"Bearer {own}"), noted("Basic eDp5")]
    assert None is noted("Bearer other", inbox)[1]
    assert seen == []
    assert [(200, NOTE), (404, NOTE)] == [noted("Bearer other"), noted("bearer a", "/__sim/nope")]
    assert seen == [("GET", "/__sim/sandboxes", 200, NOTE)]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 200),
        ([("host", "hooks.example.com")], 200),
        ([("origin", "http://127.0.0.1:4747")], 200),
        ([("origin", "http://evil.example")], 403),
        ([("origin", "null")], 403),
        ([("sec-fetch-site", "cross-site")], 403),
    ],
)
def test_a_foreign_page_puts_nothing_into_an_inbox(
    admin: Admin, headers: list[tuple[str, str]], status: int
) -> None:
    """An inbox accepts requests of servers without a key, and refuses those of foreign pages."""
    sent = dict([("host", "127.0.0.1:4747"), *headers])
    answer = admin.http.post("/__sim/sandboxes/default/inbox/hook", headers=sent, content=b"{}")
    kept = admin.get("sandboxes/default/inbox/hook/messages")["messages"]

    assert (status, int(status == 200)) == (answer.status_code, len(kept))
