"""Files below `/media`: what keeps them from running as pages, signed uploads, other origins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.uploads import put_file
from upsim.web.media_safety_headers import SAFE_TYPES

if TYPE_CHECKING:
    from tests.http.conftest import Admin, Start

CLIP = "/media/synthetic/16x16_1fps_1s.mp4"
PAGE = {"origin": "https://shop.example"}
ASKS = {**PAGE, "access-control-request-method": "PUT"}
EXPOSED = "ETag, Content-Length, Content-Range, Accept-Ranges"


def vicsee_ticket(admin: Admin, size: int, kind: str = "video/mp4") -> dict[str, Any]:
    """Ask VicSee for a place to upload to."""
    asked = {"contentType": kind, "sizeBytes": size}
    data: dict[str, Any] = admin.vicsee().post("/api/v1/upload", json=asked).json()["data"]
    return data


def wavespeed_ticket(admin: Admin, size: int, kind: str = "video/mp4") -> dict[str, Any]:
    """Ask WaveSpeed for a place to upload to, and return it in VicSee's form."""
    asked = {"filename": "a.mp4", "size": size, "content_type": kind}
    answer = admin.caller("wavespeed", "key").post("/api/v3/media/uploads", json=asked)
    data = answer.json()["data"]
    return {"uploadUrl": data["upload"]["url"], "publicUrl": data["download_url"]}


TICKETS = {"vicsee": vicsee_ticket, "wavespeed": wavespeed_ticket}
NEEDED: dict[str, dict[str, str]] = {"vicsee": {}, "wavespeed": {"if_none_match": "*"}}
BOTH = pytest.mark.parametrize("provider", list(TICKETS))


def uploaded(admin: Admin, content: bytes, kind: str) -> str:
    """Upload a file through WaveSpeed, which takes every image, and return its address."""
    ticket = wavespeed_ticket(admin, len(content), kind)
    url = ticket["uploadUrl"]
    assert put_file(admin.http, url, content, kind=kind, if_none_match="*").status_code == 200
    found: str = ticket["publicUrl"]
    return found


def output(admin: Admin) -> str:
    """Finish a job and return the address of its file."""
    job = admin.job()
    admin.post("sandboxes/default/clock/advance", {"to": "idle"})
    answer = admin.vicsee().get(f"/api/v1/tasks/{job}").json()
    found: str = answer["data"]["result"]["url"]
    return found


@BOTH
def test_upload_link_names_put_as_its_method(admin: Admin, provider: str) -> None:
    """Another method is a 405 whose `Allow` lists PUT, which then works."""
    url = TICKETS[provider](admin, 5)["uploadUrl"]
    refused = admin.http.post(url, content=b"hello")
    again = admin.http.post(output(admin))

    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, PUT")
    assert refused.text.endswith("allowed: GET, HEAD, PUT. Upload the file by PUT.")
    assert (again.status_code, again.headers["allow"]) == (405, "GET, HEAD")
    assert put_file(admin.http, url, b"hello", **NEEDED[provider]).status_code == 200


# -- what every answer carries


def addresses(admin: Admin) -> list[tuple[str, str]]:
    """Return calls below `/media` of every kind, answered well and badly."""
    upload, file = uploaded(admin, b"<svg/>", "image/svg+xml"), output(admin)
    return [
        ("GET", CLIP),
        ("HEAD", CLIP),
        ("GET", "/media/synthetic/nonsense"),
        ("GET", "/media/nothing"),
        ("POST", CLIP),
        ("OPTIONS", CLIP),
        ("GET", upload),
        ("HEAD", upload),
        ("PUT", upload),
        ("DELETE", upload),
        ("GET", "/media/uploads/nothing"),
        ("GET", file),
        ("DELETE", file),
        ("GET", "/media/outputs/nothing.mp4"),
        ("GET", "/sandbox/nobody/media/uploads/x"),
        ("GET", "/sandbox/default" + CLIP),
    ]


def test_nothing_below_media_runs_as_a_page(admin: Admin) -> None:
    """Every response below `/media` is sandboxed, with a safe type and `nosniff`."""
    for method, address in addresses(admin):
        for extra in ({}, PAGE, {"range": "bytes=0-1"}, {"if-none-match": "*"}):
            answer = admin.http.request(method, address, headers=extra)
            found = [
                answer.headers.get_list(name, split_commas=False)
                for name in ("x-content-type-options", "content-security-policy")
            ]
            kind = answer.headers.get("content-type", "application/octet-stream")
            expected = [["nosniff"], ["sandbox; default-src 'none'"]]
            assert (expected, True) == (found, kind.encode() in SAFE_TYPES), (method, address)


@pytest.mark.parametrize(
    ("kind", "served"),
    [
        ("image/svg+xml", "application/octet-stream"),
        ("image/x-anything", "application/octet-stream"),
        ("video/mp4", "video/mp4"),
        ("image/png", "image/png"),
    ],
)
def test_an_upload_is_an_attachment_of_a_safe_type(admin: Admin, kind: str, served: str) -> None:
    """A file that could hold a script is served as an attachment of unknown bytes."""
    answer = admin.http.get(uploaded(admin, b"<svg onload='alert(1)'/>", kind))
    found = (answer.headers["content-type"], answer.headers["content-disposition"])
    assert (served, "attachment") == found


def test_a_fault_cannot_make_a_file_a_page(admin: Admin) -> None:
    """The protective headers replace those of a fault's response."""
    url = output(admin)
    page = {
        "status": 200,
        "body": "<script>1</script>",
        "headers": {"Content-Type": "text/html", "Content-Security-Policy": "default-src *"},
    }
    admin.post(
        "sandboxes/default/faults",
        {"provider": "vicsee", "at": "download", "do": {"respond": page}},
    )
    answer = admin.http.get(url)
    policy, kinds = (
        answer.headers.get_list(name, split_commas=False)
        for name in ("content-security-policy", "content-type")
    )
    assert (answer.text, policy) == ("<script>1</script>", ["sandbox; default-src 'none'"])
    assert {kind.encode() for kind in kinds} <= SAFE_TYPES


# -- signed uploads


@BOTH
@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({}, 200, ""),
        ({"content_type": "application/octet-stream"}, 403, "SignatureDoesNotMatch"),
        ({"content_type": "VIDEO/mp4"}, 403, "SignatureDoesNotMatch"),
        ({"content_type": ""}, 403, "SignatureDoesNotMatch"),
        ({"authorization": "Bearer sk-any"}, 400, "InvalidArgument"),
    ],
)
def test_a_put_needs_the_headers_of_its_ticket(
    admin: Admin, provider: str, change: dict[str, str], status: int, code: str
) -> None:
    """Another content type, or a key, is refused like at the storage, and nothing is stored."""
    url = TICKETS[provider](admin, 3)["uploadUrl"]
    answer = put_file(admin.http, url, b"abc", **{**NEEDED[provider], **change})
    stored = [upload.stored is not None for upload in admin.sim.sandbox.state.uploads.values()]
    assert (status, [status == 200]) == (answer.status_code, stored), answer.text
    if code:
        assert answer.headers["content-type"] == "application/xml"
        assert f"<Code>{code}</Code>" in answer.text


@BOTH
def test_refused_files_are_reported(admin: Admin, provider: str) -> None:
    """Each refusal below `/media` is reported once, with the response in plain text.

    A successful upload or download has one line, too.
    """
    lines: list[tuple[str, str, int, str]] = []
    admin.sim.app.dispatch.media.reporters.append(lambda *line: lines.append(line))
    ticket = TICKETS[provider](admin, 4)
    url = ticket["uploadUrl"]

    put_file(admin.http, url, b"1234", content_type="text/'html'", **NEEDED[provider])
    put_file(admin.http, url, b"1234", **NEEDED[provider])
    admin.http.get("/media/nothing")
    admin.http.get(ticket["publicUrl"])
    admin.http.get(ticket["publicUrl"], headers={"Range": "bytes=1-"})

    (put, _, status, message), *others = lines
    path = httpx.URL(url).path
    assert (put, status) == ("PUT", 403)
    assert "Content-Type: video/mp4, and \"text/'html'\" came" in message
    assert [
        ("PUT", path, 200, ""),
        ("GET", "/media/nothing", 404, "There is no such file."),
        ("GET", path, 200, "4 bytes"),
        ("GET", path, 206, "3 bytes"),
    ] == others


@BOTH
def test_the_log_names_the_cause_of_a_refused_upload(admin: Admin, provider: str) -> None:
    """Storage checks the signature before the headers, and only the log names the cause.

    The causes are a URL without or with a wrong signature, a second upload, and no upload yet.
    """
    lines: list[tuple[str, str, int, str]] = []
    admin.sim.app.dispatch.media.reporters.append(lambda *line: lines.append(line))
    ticket = TICKETS[provider](admin, 4)
    url, public = ticket["uploadUrl"], ticket["publicUrl"]
    headers = NEEDED[provider]
    answers = [
        put_file(admin.http, public, b"1234", kind="text/plain"),
        put_file(admin.http, f"{url}0", b"1234", kind="text/plain"),
        admin.http.get(public),
        put_file(admin.http, url, b"1234", **headers),
        put_file(admin.http, url, b"1234", **headers),
    ]
    causes = [
        (
            "; the URL has no signature; PUT to the upload URL of the ticket "
            "(uploadUrl or upload.url), not to its publicUrl or download_url"
        ),
        "; sig in the URL is wrong; PUT to the upload URL of the ticket without any change",
        "; a ticket was given for this upload, but nothing was PUT to its URL yet",
        "",
        "; a file is already uploaded to this URL; request another ticket for another upload",
    ]

    assert [403, 403, 404, 200, 412] == [answer.status_code for answer in answers]
    assert ["Signature does not match"] * 2 == [answer.text for answer in answers[:2]]
    for answer, line, cause in zip(answers, lines, causes, strict=True):
        assert line[3] == f"{answer.text}{cause}"


@BOTH
@pytest.mark.parametrize(
    ("content", "found"), [(b"ab", "2"), (b"", "0"), (b"abcde", "more than 4")]
)
def test_a_chunked_body_of_a_wrong_size_is_refused(
    admin: Admin, provider: str, content: bytes, found: str
) -> None:
    """The refusal has the received and the announced size, even without `Content-Length`."""
    url = TICKETS[provider](admin, 4)["uploadUrl"]
    headers = {"content-type": "video/mp4", "if-none-match": "*"}
    answer = admin.http.put(url, content=iter([content]), headers=headers)
    said = f"The body has {found} bytes, 4 were announced"
    assert (400, said) == (answer.status_code, answer.text)


def test_refusals_outside_the_providers_are_reported(admin: Admin) -> None:
    """A refused admin request has one line with its message; a successful one has none."""
    lines: list[tuple[str, str, int, str]] = []
    admin.sim.app.dispatch.media.reporters.append(lambda *line: lines.append(line))
    admin.http.get("/__sim/sandboxes/default")
    admin.http.get("/__sim/nothing")
    admin.http.post("/__sim/sandboxes", json={"sed": 1})
    admin.http.get("/__sim/sandboxes", headers={"Origin": "https://shop.example"})
    admin.http.get("/sandbox/nosuch/venice/api/v1/models")
    admin.http.get("/sandbox/nosuch/media/nothing")

    assert [(path, status, message.partition(";")[0]) for _, path, status, message in lines] == [
        ("/__sim/nothing", 404, "there is nothing at '/__sim/nothing'"),
        ("/__sim/sandboxes", 400, "Object contains unknown field `sed`"),
        ("/__sim/sandboxes", 401, "the request comes from a page of another origin"),
        ("/sandbox/nosuch/venice/api/v1/models", 404, "there is no sandbox 'nosuch'"),
        ("/sandbox/nosuch/media/nothing", 404, "there is no sandbox 'nosuch'"),
    ]


def test_a_condition_of_the_ticket_is_needed(admin: Admin) -> None:
    """WaveSpeed's ticket names `If-None-Match: *`, and a PUT without it is refused."""
    answer = put_file(admin.http, wavespeed_ticket(admin, 3)["uploadUrl"], b"abc")
    assert answer.status_code == 403
    assert "signed for the header If-None-Match: *, and none came" in answer.text


def test_repeated_headers_are_escaped(admin: Admin) -> None:
    """A refusal escapes the header that it repeats in its XML."""
    url = vicsee_ticket(admin, 3)["uploadUrl"]
    answer = put_file(admin.http, url, b"abc", content_type="<script>&")
    assert "&lt;script&gt;&amp;" in answer.text


@BOTH
def test_a_knob_accepts_every_header(start_admin: Start, provider: str) -> None:
    """With `upload_headers: any`, neither a missing header nor a key is checked."""
    admin = start_admin(scenario={"extends": f"{provider}/baseline", "knobs": ANY_HEADERS})
    url = TICKETS[provider](admin, 3)["uploadUrl"]
    answer = put_file(admin.http, url, b"abc", kind="text/x", authorization="Bearer any")
    assert answer.status_code == 200


ANY_HEADERS = {"upload_headers": "any"}

# -- pages of other origins


def cors(answer: httpx.Response) -> dict[str, str]:
    """Return the headers that let pages in."""
    return {k: v for k, v in answer.headers.items() if k.startswith("access-control-")}


@BOTH
def test_a_page_may_upload_and_download(admin: Admin, provider: str) -> None:
    """The preflight allows a PUT with any header, and the page can read the file afterwards."""
    ticket = TICKETS[provider](admin, 3)
    asked = admin.http.options(ticket["uploadUrl"], headers=ASKS)
    done = put_file(admin.http, ticket["uploadUrl"], b"abc", **PAGE, **NEEDED[provider])
    read = admin.http.get(ticket["publicUrl"], headers=PAGE)
    assert (asked.status_code, done.status_code, read.content) == (204, 200, b"abc")
    assert cors(asked) == {
        "access-control-allow-methods": "GET, HEAD, PUT",
        "access-control-allow-headers": "*",
        "access-control-max-age": "600",
        "access-control-allow-origin": "*",
        "access-control-expose-headers": EXPOSED,
    }
    opened = {
        "access-control-allow-origin": "*",
        "access-control-expose-headers": EXPOSED,
    }
    assert cors(done) == cors(read) == opened


def test_a_page_may_read_an_output_and_a_clip(admin: Admin) -> None:
    """A page can read outputs and synthetic clips, and write none."""
    for url in (output(admin), CLIP):
        asked = admin.http.options(url, headers=ASKS)
        assert cors(asked)["access-control-allow-methods"] == "GET, HEAD"
        assert cors(admin.http.get(url, headers=PAGE))["access-control-allow-origin"] == "*"


def test_a_refused_put_can_be_read_by_its_page(admin: Admin) -> None:
    """A page can read the reason of its refused upload."""
    url = vicsee_ticket(admin, 3)["uploadUrl"]
    answer = put_file(admin.http, url, b"abc", kind="text/x", **PAGE)
    assert (answer.status_code, cors(answer)["access-control-allow-origin"]) == (403, "*")


def test_a_knob_keeps_pages_out(start_admin: Start) -> None:
    """With `storage_cors: none`, storage sends no CORS headers, and a preflight is a 405."""
    knobs = {"storage_cors": "none"}
    admin = start_admin(scenario={"extends": "vicsee/baseline", "knobs": knobs})
    ticket = vicsee_ticket(admin, 3)
    asked = admin.http.options(ticket["uploadUrl"], headers=ASKS)
    read = admin.http.get(output(admin), headers=PAGE)
    assert (asked.status_code, cors(asked), cors(read)) == (405, {}, {})


@pytest.mark.parametrize("method", ["OPTIONS", "GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/__sim/livez",
        "/__sim/sandboxes",
        "/__sim/sandboxes/default/journal",
        "/media/uploads/nothing",
        "/media/outputs/nothing.mp4",
        "/sandbox/nobody/media/outputs/x.mp4",
        "/sandbox/default/__sim/sandboxes",
        "/vicsee/api/v1/credits",
        "/vicsee/api/v1/upload",
        "/venice/api/v1/video/queue",
        "/piapi/api/ephemeral_resource",
    ],
)
def test_nothing_else_sends_cors_headers(admin: Admin, path: str, method: str) -> None:
    """Neither the admin API, nor a provider's API, nor a missing file sends CORS headers."""
    answer = admin.http.request(method, path, headers=ASKS)
    assert cors(answer) == {}


def test_a_preflight_changes_nothing(admin: Admin) -> None:
    """A preflight does not count as a request of the sandbox."""
    url = output(admin)
    before = len(admin.get("sandboxes/default/export")["commands"])
    admin.http.options(url, headers=ASKS)
    assert before == len(admin.get("sandboxes/default/export")["commands"])
