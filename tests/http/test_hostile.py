"""What no client should send, to every operation of every provider there is.

The response is always the provider's own: an entry of its error catalogue, never a crash, and
nothing is charged except for a response of 200. The submit of each provider meets every hostile
input; the other operations share the inputs among them.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.http.conftest import LOCAL, SAMPLES
from tests.pairings import every_nth
from upsim.core.provider import Operation
from upsim.engine.bound_provider import BODY_METHODS
from upsim.providers import discover

if TYPE_CHECKING:
    from starlette.types import Message

    from tests.http.conftest import Admin

OPERATIONS = [
    (name, operation) for name, provider in discover().items() for operation in provider.operations
]
WITH_BODY = [(n, op) for n, op in OPERATIONS if op.method in BODY_METHODS]
JSON = "application/json"


def shown(provider: str, operation: Operation) -> str:
    """Name a test case by provider and operation."""
    return f"{provider}:{operation.method}:{operation.name}"


EACH_WITH_BODY = pytest.mark.parametrize(
    ("provider", "operation"), WITH_BODY, ids=[shown(*pair) for pair in WITH_BODY]
)
EVERY = pytest.mark.parametrize("provider", list(discover()))


def paired(
    operations: Sequence[tuple[str, Operation]], inputs: Mapping[str, object], name: str, step: int
) -> pytest.MarkDecorator:
    """Parametrise by operation and input: submits meet every input, others every `step`-th."""
    submits = {pair[0]: pair for pair in reversed(operations) if pair[1].kind == "submit"}
    full = list(submits.values())
    others = [pair for pair in operations if pair not in full]
    pairs = [*product(full, inputs), *every_nth(others, list(inputs), step)]
    return pytest.mark.parametrize(
        ("provider", "operation", name),
        [
            pytest.param(*operation, inputs[key], id=f"{shown(*operation)}-{key}")
            for operation, key in pairs
        ],
    )


def path_of(operation: Operation) -> str:
    """Return a path of an operation, with something in place of its parameters."""
    segments = operation.path.split("/")
    return "/".join("x" if segment.startswith("{") else segment for segment in segments)


def verdict(admin: Admin, answer: httpx.Response) -> str:
    """Return the catalogue entry that refused a request, or nothing; a crash would raise."""
    exchange = admin.get("sandboxes/default/journal?limit=1")["exchanges"][0]
    assert exchange["status"] == answer.status_code
    assert answer.status_code < 500
    if answer.status_code >= 400:
        provider = admin.sim.registry.library.baseline(exchange["provider"]).baseline
        assert exchange["refused_by"] in provider.errors
    return exchange["refused_by"] or ""


def uncharged(admin: Admin) -> bool:
    """Return whether no account of the sandbox has an entry."""
    return bool(admin.get("sandboxes/default/ledger")["total"] == 0)


BODIES = {
    "nothing": b"",
    "not JSON": b"{",
    "a form": b"video=x&a=b",
    "an array": b"[]",
    "a text": b'"x"',
    "a number": b"5",
    "null": b"null",
    "true": b"true",
    "not a number": b'{"video_url": NaN}',
    "infinity": b'{"upscale_factor": Infinity}',
    "above all numbers": b'{"upscale_factor": 1e999}',
    "400 digits": b'{"upscale_factor": ' + b"9" * 400 + b"}",
    "5000 digits": b'{"upscale_factor": ' + b"9" * 5000 + b"}",
    "deep arrays": b"[" * 100_000,
    "deep objects": b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
    "deep inside": b'{"video_url": ' + b"[" * 200 + b"]" * 200 + b"}",
    "invalid UTF-8": b'{"video_url": "\xff\xfe"}',
    "an encoded surrogate": b'{"video_url": "\xed\xa0\x80"}',
    "a lone surrogate": b'{"video_url": "\\ud800"}',
    "swapped surrogates": b'{"video_url": "\\udc00\\ud800x"}',
    "UTF-16": '{"video_url": "x"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a NUL": b'{"video_url": "a\\u0000b", "video": "a\\u0000b", "model": "\\u0000"}',
    "raw bytes": bytes(range(256)),
    "trailing letters": b"{} x",
    "an empty object": b"{}",
}


@paired(WITH_BODY, BODIES, "body", 5)
def test_a_wrong_body_is_refused(
    admin: Admin, provider: str, operation: Operation, body: bytes
) -> None:
    """Any wrong body gets one of the provider's own refusals, without a charge."""
    http = admin.caller(provider, "key")
    answer = http.request(
        operation.method, path_of(operation), content=body, headers={"content-type": JSON}
    )
    assert verdict(admin, answer) or answer.status_code == 200
    assert uncharged(admin)


@pytest.mark.parametrize("name", list(SAMPLES))
@pytest.mark.parametrize("body", list(BODIES.values())[1:], ids=list(BODIES)[1:])
def test_a_submit_needs_a_good_body(admin: Admin, name: str, body: bytes) -> None:
    """No wrong body makes a job that succeeds or costs money."""
    sample = SAMPLES[name]
    http = admin.caller(sample.provider, "key")
    http.post(sample.path, content=body, headers={"content-type": JSON})
    admin.sim.advance(100_000)
    jobs = [job["state"] for job in admin.get("sandboxes/default/jobs")["jobs"]]
    balance = {a.balance - a.opening for a in admin.sim.sandbox.state.accounts.values()}
    assert (set(jobs) <= {"failed"}, balance <= {0}) == (True, True)


KINDS = {
    "text": "text/plain",
    "a form": "application/x-www-form-urlencoded",
    "parts": "multipart/form-data",
    "an empty boundary": "multipart/form-data; boundary=",
    "a long boundary": "multipart/form-data; boundary=" + "x" * 5000,
    "UTF-16": "application/json; charset=utf-16",
    "XML": "application/xml",
    "a letter": "x",
    "nothing": "",
    "a slash": "/",
    "a parameter alone": "; charset=utf-8",
    "a long word": "a" * 10_000,
}


@paired(WITH_BODY, KINDS, "kind", 4)
def test_a_wrong_content_type_is_refused_or_ignored(
    admin: Admin, provider: str, operation: Operation, kind: str
) -> None:
    """A wrong content type is refused in the provider's form, or ignored."""
    http = admin.caller(provider, "key")
    answer = http.request(
        operation.method, path_of(operation), content=b"{}", headers={"content-type": kind}
    )
    assert verdict(admin, answer) or answer.status_code == 200


METHODS = {name: name for name in ("PUT", "PATCH", "OPTIONS", "HEAD", "TRACE", "FOO")}


@paired(OPERATIONS, METHODS, "method", 3)
def test_a_wrong_method_is_refused(
    admin: Admin, provider: str, operation: Operation, method: str
) -> None:
    """A method that a path does not have gets the provider's own 404 or 405."""
    answer = admin.caller(provider, "key").request(method, path_of(operation))
    assert verdict(admin, answer) in ("no_route", "wrong_method")


PATHS = {
    "nothing": "",
    "the root": "/",
    "another path": "/nonsense",
    "an encoded climb": "/api/%2e%2e/%2e%2e/etc/passwd",
    "an encoded slash": "/api%2Fv1%2Fmodels",
    "a NUL": "/api/v1/%00",
    "no UTF-8": "/api/v1/%FF%FE",
    "a newline": "/api/v1/%0d%0aX-Evil:%201",
    "two slashes": "//api//v1//models",
    "a final slash": "/api/v1/models/",
    "letters of all kinds": "/api/v1/%D0%BA%D0%BB%D1%8E%D1%87",
    "braces": "/api/v1/{id}",
    "a percent sign": "/api/v1/%",
    "many segments": "/a" * 2_000,
    "a long segment": "/" + "a" * 50_000,
    "a semicolon": "/api/v1/models;x=1",
}


@EVERY
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_odd_path_is_refused(admin: Admin, provider: str, method: str, path: str) -> None:
    """An unknown path gets the provider's own 404 or 405."""
    http = admin.caller(provider, "key")
    answer = http.request(
        method, f"{LOCAL}/{provider}{path}", json={} if method == "POST" else None
    )
    assert verdict(admin, answer) or answer.status_code == 200


QUERIES = {
    "long": "a=" + "x" * 50_000,
    "many": "&".join(f"a{n}=1" for n in range(5_000)),
    "numbers": "page=-1&page_size=999999999999999999999&limit=x&offset=1e9&size=0",
    "long number": "page=" + "9" * 5_000,
    "odd letters": "start=x&end=y&from=%00&to=%FF&type=%00&mode=x&currency=%00",
    "a percent sign": "%",
    "signs": "&&&===",
    "no UTF-8": "%FF%FE=%00",
}


@paired(OPERATIONS, QUERIES, "query", 4)
def test_an_odd_query_is_refused_or_ignored(
    admin: Admin, provider: str, operation: Operation, query: str
) -> None:
    """A query that makes no sense is refused or ignored."""
    http = admin.caller(provider, "key")
    body: object = {} if operation.method in BODY_METHODS else None
    answer = http.request(operation.method, f"{path_of(operation)}?{query}", json=body)
    assert verdict(admin, answer) or answer.status_code == 200


KEYS = {
    "nothing": b"",
    "a scheme alone": b"Bearer",
    "a scheme and a space": b"Bearer ",
    "another scheme": b"Basic eDp5",
    "a long word": b"x" * 50_000,
    "a long key": b"Bearer " + b"x" * 50_000,
    "several words": b"Bearer a b c",
    "a tab": b"Bearer\tx",
    "no UTF-8": b"Bearer \xff\xfe\x00",
    "other letters": b"\xd0\xba",
}


@EVERY
@pytest.mark.parametrize("value", KEYS.values(), ids=KEYS.keys())
@pytest.mark.parametrize("kind", ["submit", "poll", "read"])
def test_an_odd_key_is_used_or_refused(
    admin: Admin, provider: str, kind: str, value: bytes
) -> None:
    """Any text in the place of a key is used as a key, or refused."""
    operation = next(op for name, op in OPERATIONS if name == provider and op.kind == kind)
    header = admin.sim.registry.library.baseline(provider).baseline.auth.header
    request = httpx.Request(
        operation.method,
        f"{LOCAL}/{provider}{path_of(operation)}",
        headers=[(header.encode(), value), (b"content-type", JSON.encode())],
        content=b"{}" if operation.method in BODY_METHODS else b"",
    )
    answer = admin.http.send(request)
    assert verdict(admin, answer) or answer.status_code == 200


@EVERY
def test_the_first_of_two_keys_counts(admin: Admin, provider: str) -> None:
    """If a request has two keys, the first decides the response."""
    auth = admin.sim.registry.library.baseline(provider).baseline.auth
    keys = [f"{auth.scheme} {key}".strip().encode() for key in ("first", "second")]
    operation = next(op for name, op in OPERATIONS if name == provider and op.method == "GET")
    request = httpx.Request(
        "GET",
        f"{LOCAL}/{provider}{path_of(operation)}",
        headers=[(auth.header.encode(), key) for key in keys],
    )
    admin.http.send(request)
    admin.caller(provider, "first").get(path_of(operation))
    assert len(admin.get("sandboxes/default/accounts")["accounts"]) <= 1


# -- bodies that are too large


async def flood(
    admin: Admin, provider: str, operation: Operation, headers: dict[str, str], piece: int
) -> tuple[int, int]:
    """Send a body without an end; return the status and how many bytes were read of it."""
    auth = admin.sim.registry.library.baseline(provider).baseline.auth
    sent = {auth.header: f"{auth.scheme} key".strip(), "host": "127.0.0.1", **headers}
    read, status = 0, 0

    async def receive() -> Message:
        nonlocal read
        read += piece
        return {"type": "http.request", "body": b" " * piece, "more_body": True}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]

    path = f"/{provider}{path_of(operation)}"
    scope = {
        "type": "http",
        "method": operation.method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "server": ("127.0.0.1", 80),
    }
    async with asyncio.timeout(60):
        await admin.sim.app(scope, receive, send)
    return status, read


@EACH_WITH_BODY
@pytest.mark.parametrize("length", ["1000000000", "9" * 30])
async def test_a_gigabyte_is_not_read(
    admin: Admin, provider: str, operation: Operation, length: str
) -> None:
    """A body with a far too large length is refused unread."""
    headers = {"content-length": length, "content-type": JSON}
    status, read = await flood(admin, provider, operation, headers, 65_536)
    assert (400 <= status < 500, read) == (True, 0)


LARGEST = {(name, op.kind): (name, op) for name, op in WITH_BODY}
"""One operation for each limit: a provider limits bodies by the kind of operation."""


@pytest.mark.parametrize(
    ("provider", "operation"), LARGEST.values(), ids=[shown(*pair) for pair in LARGEST.values()]
)
async def test_an_endless_body_is_not_read_to_its_end(
    admin: Admin, provider: str, operation: Operation
) -> None:
    """A body without a length is read up to the limit."""
    baseline = admin.sim.registry.library.baseline(provider).baseline
    own = baseline.limits.get(f"{operation.kind}_body_bytes", baseline.limits["body_bytes"])
    headers = {"transfer-encoding": "chunked", "content-type": JSON}
    status, read = await flood(admin, provider, operation, headers, 1 << 20)
    limit = int(str(own.value))
    assert (400 <= status < 500, read <= limit + (2 << 20)) == (True, True)


# -- any document at all

FIELDS = sorted(
    re.findall(
        r"\w+",
        """
        model video video_url input task_type config upscale_factor target_resolution copy_audio
        enable_sync_mode webhook webhook_config endpoint secret service_mode prompt resolution
        negative_prompt duration queue_id delete_media_on_completion fps size width height
        contentType sizeBytes filename content_type file_name file_data ids id task_ids page
        page_size start_time end_time status start end inputs created_after created_before
        task_id model_uuid model_id price_type uuid uuids family before created_at
        """,
    )
)
WORDS = [
    "",
    "topaz-video-upscale",
    "wavespeed-ai/video-upscaler",
    "runwayml/upscale-v1",
    "Qubico/video-toolkit",
    "upscale",
    "https://clips.example/v.mp4",
    f"{LOCAL}/media/synthetic/64x36_10fps_1s.mp4",
    "data:video/mp4;base64,AAAA",
    "4k",
    "2",
    "5s",
    "public",
    "video/mp4",
    "a.mp4",
    "2026-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
    "\0",
    "%s{0}{x}",
    "x" * 5000,
]
NUMBERS = [0, -1, 1, 2, 4, 2.0, 2.5, 1e308, -1e308, 5e-324, 10**18, 10**19, 2**64, 10**300]
scalars = (
    st.none()
    | st.booleans()
    | st.sampled_from(NUMBERS)
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=12)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from(FIELDS), values, max_size=6)


def nearly_right(provider: str, document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the document alone, and laid over a good submit of each model of the provider."""
    yield document
    for sample in (one for one in SAMPLES.values() if one.provider == provider):
        inner = dict.fromkeys(sample.video_at[-1:], "https://clips.example/v.mp4")
        good = {**sample.body, **({"input": inner} if len(sample.video_at) > 1 else inner)}
        yield {**good, **document}
        if len(sample.video_at) > 1:
            yield {**good, "input": {**inner, **document}}


@EACH_WITH_BODY
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(document=documents | values)
@example(document={"upscale_factor": 10**300})
@example(document={"page": 1e308, "page_size": 1e308})
@example(document={"sizeBytes": 1e308, "size": 1e308, "contentType": "video/mp4"})
@example(document={"config": {"webhook_config": {"endpoint": 10**300, "secret": 10**300}}})
def test_any_document_is_accepted_or_refused(
    admin: Admin, provider: str, operation: Operation, document: object
) -> None:
    """Any JSON is accepted, or gets a refusal of the provider without a charge."""
    http = admin.caller(provider, "key")
    for body in nearly_right(provider, document) if isinstance(document, dict) else (document,):
        before = admin.get("sandboxes/default/ledger")["total"]
        answer = http.request(
            operation.method,
            path_of(operation),
            content=json.dumps(body).encode(),
            headers={"content-type": JSON},
        )
        found = verdict(admin, answer)
        after = admin.get("sandboxes/default/ledger")["total"]
        assert found or answer.is_success
        assert after == before or answer.is_success
    admin.sim.registry.delete("default")
