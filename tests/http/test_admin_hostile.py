"""The admin API and what nobody should send it: always a 4xx in the one error shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.http.conftest import refusal_of

if TYPE_CHECKING:
    from tests.http.conftest import Admin

BOX = "sandboxes/default"
WRITES = [
    "POST sandboxes",
    f"PATCH {BOX}/clock",
    f"POST {BOX}/clock/advance",
    f"PUT {BOX}/jobs/JOB/state",
    f"PUT {BOX}/accounts/vicsee",
    f"POST {BOX}/accounts/vicsee/keys",
    f"POST {BOX}/journal/find",
    f"POST {BOX}/journal/count",
]
JSON = {"content-type": "application/json"}
BODIES = {
    "not JSON": b"{",
    "a form": b"mode=auto&pace=3",
    "an array": b"[]",
    "a text": b'"x"',
    "a number": b"5",
    "null": b"null",
    "not a number": b'{"seconds": NaN}',
    "infinity": b'{"seconds": -Infinity}',
    "above all numbers": b'{"seconds": 1e999}',
    "a long number": b'{"seconds": ' + b"9" * 5000 + b"}",
    "deep nesting": b"[" * 100_000,
    "deep objects": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "invalid UTF-8": b'{"mode": "\xff\xfe"}',
    "an encoded surrogate": b'{"mode": "\xed\xa0\x80"}',
    "a lone surrogate": b'{"mode": "\\ud800"}',
    "surrogates in the wrong order": b'{"mode": "\\udc00\\ud800x"}',
    "UTF-16": '{"mode": "auto"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "an unknown field": b'{"nobody_has_this": 1}',
    "an unknown field of a megabyte": b'{"' + b"x" * 1_000_000 + b'": 1}',
    "a scenario of nothing": b'{"scenario": {}}',
    "a scenario with a file": b'{"scenario": {"extends": "/etc/passwd"}}',
    "a deep scenario": b'{"scenario": ' + b'{"a":' * 400 + b"1" + b"}" * 401,
    "a wide scenario": b'{"scenario": {"extends": "vicsee/baseline", "jobs": ['
    + b"0," * 9_999
    + b"0]}}",
    "a scenario with a giant seed": b'{"scenario": {"extends": "vicsee/baseline", "seed": 1e308}}',
    "nothing but spaces": b"   ",
    "trailing letters": b"{} x",
    "a comment": b"{/* */}",
}


@pytest.mark.parametrize("call", WRITES)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_wrong_body_is_a_400(admin: Admin, call: str, body: bytes) -> None:
    """A wrong body gets a 400 with a short message that names the mistake."""
    method, path = call.replace("JOB", admin.job()).split()
    answer = admin.http.request(method, f"/__sim/{path}", content=body, headers=JSON)
    status, code, message = refusal_of(answer)
    assert (status, code in ("invalid", "invalid_scenario", "not_json"), len(message) < 600) == (
        400,
        True,
        True,
    )


@pytest.mark.parametrize("call", WRITES)
def test_a_too_large_body_is_a_413(admin: Admin, call: str) -> None:
    """A body of nine megabytes gets a 413 and is not read."""
    method, path = call.replace("JOB", admin.job()).split()
    body = b'{"x": "' + b"x" * 9_000_000 + b'"}'
    answer = admin.http.request(method, f"/__sim/{path}", content=body, headers=JSON)
    expected = (413, "too_large", "a body may have at most 8388608 bytes")
    assert expected == refusal_of(answer)


def test_a_nul_in_a_text_is_accepted(admin: Admin) -> None:
    """A text with a NUL character is compared like any other text."""
    assert admin.post(f"{BOX}/journal/count", {"target": "a\0b"}) == {"count": 0}


@pytest.mark.parametrize(
    "path", ["x", "sandboxes/default/x", "sandboxes/default/jobs/x/state/y", "livez/x", "%00"]
)
def test_an_unknown_path_is_a_404(admin: Admin, path: str) -> None:
    """An unknown path gets a 404 in the usual error form."""
    status, code, message = admin.refusal("GET", path)
    assert (404, "not_found") == (status, code)
    assert message.endswith(" GET /__sim lists every call")


@pytest.mark.parametrize(
    ("call", "allowed"),
    [
        ("PUT sandboxes", "GET, HEAD, POST"),
        ("POST sandboxes/default", "DELETE, GET, HEAD"),
        ("DELETE sandboxes/default/clock", "GET, HEAD, PATCH"),
        ("GET sandboxes/default/clock/advance", "POST"),
        ("GET sandboxes/default/reset", "POST"),
        ("GET sandboxes/default/jobs/x/state", "PUT"),
        ("POST sandboxes/default/ledger", "GET, HEAD"),
        ("GET sandboxes/default/journal/find", "POST"),
        ("POST livez", "GET, HEAD"),
        ("OPTIONS sandboxes", "GET, HEAD, POST"),
        ("TRACE sandboxes", "GET, HEAD, POST"),
    ],
)
def test_a_wrong_method_is_a_405(admin: Admin, call: str, allowed: str) -> None:
    """A wrong method gets a 405 that names the allowed methods."""
    method, path = call.split()
    answer = admin.http.request(method, f"/__sim/{path}", headers=JSON)
    named = ", ".join(sorted(answer.headers["allow"].split(", ")))
    assert (405, "wrong_method", allowed) == (*refusal_of(answer)[:2], named)


@pytest.mark.parametrize(
    "path", ["sandboxes", "sandboxes/default", "sandboxes/default/clock", "sandboxes/default/jobs"]
)
def test_head_is_get_without_a_body(admin: Admin, path: str) -> None:
    """HEAD gets the response of GET without its body."""
    answer = admin.call("HEAD", path)
    assert (answer.status_code, answer.content) == (200, b"")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
FIELDS = [
    "account",
    "balance",
    "balances",
    "clock",
    "dialects",
    "error",
    "id",
    "job",
    "key",
    "keys",
    "knobs",
    "method",
    "mode",
    "now",
    "operation",
    "pace",
    "plan",
    "provider",
    "refused_by",
    "render",
    "scenario",
    "seconds",
    "seed",
    "since",
    "state",
    "status",
    "strict_keys",
    "target",
    "to",
    "ttl",
]
words = st.sampled_from(
    [
        "",
        "auto",
        "real",
        "scaled:2",
        "next",
        "idle",
        "live",
        "vicsee",
        "failed",
        "1e9",
        "-1",
        "2026",
    ]
)
documents = st.dictionaries(st.sampled_from(FIELDS), words | json_values, max_size=4)


@pytest.mark.parametrize("call", WRITES)
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(document=documents)
@example(document={"seconds": 1e300})
@example(document={"to": "0001-01-01T00:00+23:59"})
def test_any_document_is_answered(admin: Admin, call: str, document: dict[str, object]) -> None:
    """Any fields and values give a success or a refusal, and never a crash."""
    method, path = call.replace("JOB", admin.job()).split()
    answer = admin.call(method, path, document)
    if answer.status_code >= 400:
        assert refusal_of(answer)[0] < 500
    admin.sim.registry.delete("default")


def test_probes_ignore_a_body(admin: Admin) -> None:
    """A probe with a body of any kind gets its normal response."""
    answer = admin.http.request("GET", "/__sim/livez", content=b"\xff" * 100)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_health_shows_versions_and_scenarios(admin: Admin) -> None:
    """Health shows the version, the date of each baseline, and the names of the scenarios."""
    health = admin.get("health")
    assert set(health) == {"status", "version", "providers", "scenarios"}
    assert {f"{name}/baseline" for name in health["providers"]} <= set(health["scenarios"])


def test_metrics_are_in_the_text_format(admin: Admin) -> None:
    """Metrics are counters and gauges in the text format of Prometheus."""
    admin.job()
    answer = admin.http.get("/__sim/metrics")
    lines = answer.text.splitlines()
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert {"upsim_jobs_accepted_total 1", "upsim_sandboxes 1", "upsim_requests_total 1"} <= set(
        lines
    )
