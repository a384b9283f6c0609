"""All calls of the admin API alike: pages, methods, parameters, bodies and the shape of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.http.conftest import refusal_of
from upsim.web.admin.admin_call import AdminCall
from upsim.web.admin.app import CALLS
from upsim.web.admin_access import PREFIX

if TYPE_CHECKING:
    from tests.http.conftest import Admin

BOX = f"{PREFIX}/sandboxes/default"
LISTS = [call for call in CALLS if any(p.name == "limit" for p in call.query)]
WRITES = [call for call in CALLS if call.method in {"POST", "PUT", "PATCH", "DELETE"}]
TAKE_NOTHING = [call for call in WRITES if call.body is None]
TAKE_SOMETHING = [call for call in WRITES if call.body is not None]
PATHS = {"{id}": "default", "{provider}": "vicsee", "{name}": "a", "{name:path}": "vicsee/baseline"}


def path_of(path: str) -> str:
    """Return a path with its parameters filled in."""
    for name, value in PATHS.items():
        path = path.replace(name, value)
    return PREFIX + path.replace("{job}", "j").replace("{fault}", "f").replace("{delivery}", "d")


@pytest.mark.parametrize("call", LISTS, ids=lambda call: call.path)
def test_every_list_has_pages_and_a_total(admin: Admin, call: AdminCall) -> None:
    """A page with no entries still shows the total of the list."""
    admin.job()
    found = admin.http.get(f"{path_of(call.path)}?limit=0")
    assert found.is_success
    (listed,) = [value for value in found.json().values() if isinstance(value, list)]
    assert (list, []) == (type(listed), listed)
    assert isinstance(found.json()["total"], int)


PATHS_ONLY = sorted({path_of(call.path) for call in CALLS if call.method != "ANY"})
READABLE = sorted({path_of(call.path) for call in CALLS if call.method == "GET"})


@pytest.mark.parametrize("path", PATHS_ONLY)
def test_a_wrong_method_names_the_allowed_methods(admin: Admin, path: str) -> None:
    """A 405 has the usual error form, and its `Allow` header has every method of the path."""
    expected = {call.method for call in CALLS if path_of(call.path) == path}
    expected |= {"HEAD"} if "GET" in expected else set()
    answer = admin.http.options(path)
    status, code, message = refusal_of(answer)
    assert (405, "wrong_method") == (status, code)
    assert expected == set(answer.headers["allow"].split(", "))
    assert message.startswith("OPTIONS is not allowed here; allowed: ")


@pytest.mark.parametrize("path", PATHS_ONLY)
def test_head_is_get_without_a_body(admin: Admin, path: str) -> None:
    """Every path that accepts GET also accepts HEAD."""
    reads = [call for call in CALLS if path_of(call.path) == path and call.method == "GET"]
    answer = admin.http.head(path)
    assert b"" == answer.content
    endless = path.endswith("/events")
    same = 200 if endless else admin.http.get(path).status_code
    assert (same if reads else 405) == answer.status_code


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("sandbxes", "did you mean /__sim/sandboxes? "),
        ("sandboxes/default/jorunal", "did you mean /__sim/sandboxes/{id}/journal? "),
        ("zzz", ""),
    ],
)
def test_an_unknown_path_says_where_to_look(admin: Admin, path: str, meant: str) -> None:
    """The 404 of an unknown path names the path, the nearest request, and the index."""
    found = refusal_of(admin.http.get(f"{PREFIX}/{path}"))
    message = f"there is nothing at '/__sim/{path}'; {meant}GET /__sim lists every call"
    assert (404, "not_found", message) == found


@pytest.mark.parametrize("path", READABLE)
def test_unknown_query_parameters_are_refused_by_every_request(admin: Admin, path: str) -> None:
    """Every request of the admin API refuses a query parameter that it does not know."""
    assert (400, "invalid") == refusal_of(admin.http.get(f"{path}?zzz=1"))[:2]


def test_a_repeated_parameter_is_refused(admin: Admin) -> None:
    """A query parameter with two values is refused, because either value could be meant."""
    found = refusal_of(admin.http.get(f"{BOX}/jobs?limit=1&limit=2"))
    assert (400, "invalid", "query parameter 'limit' came twice") == found


@pytest.mark.parametrize("call", TAKE_NOTHING, ids=lambda call: f"{call.method} {call.path}")
def test_a_body_is_refused_where_none_is_read(admin: Admin, call: AdminCall) -> None:
    """A request that takes no body refuses a body instead of ignoring it."""
    path = path_of(call.path)
    answer = admin.http.request(call.method, path, json={"what": "jobs"})
    status, code, message = refusal_of(answer)
    assert (400, "invalid") == (status, code)
    assert "unknown field `what`" in message


BODIES = [
    (b'{"a": 1, "a": 1}', {400}),
    (b'{"id": "x", "id": "y", "state": "failed", "to": "next"}', {400}),
    (b'{"a": NaN}', {400}),
    (b'{"a": Infinity}', {400}),
    (b"{", {400}),
    (b"[]", {400}),
    (b'"text"', {400}),
    (b"null", {400}),
    (b"\xff\xfe", {400}),
    (b"[" * 100_000, {400}),
    (b'{"a":' * 100_000, {400}),
    (b" " * (8 * 1024 * 1024 + 1), {413}),
]


@pytest.mark.parametrize("call", TAKE_SOMETHING, ids=lambda call: f"{call.method} {call.path}")
@pytest.mark.parametrize(("body", "statuses"), BODIES, ids=range(len(BODIES)))
def test_a_bad_body_is_refused_everywhere(
    admin: Admin, call: AdminCall, body: bytes, statuses: set[int]
) -> None:
    """Every request refuses the same bad bodies in the same way, or reports an unknown object."""
    headers = {"content-type": "application/json"}
    path = path_of(call.path)
    answer = admin.http.request(call.method, path, content=body, headers=headers)
    assert refusal_of(answer)[0] in statuses


@pytest.mark.parametrize("call", WRITES, ids=lambda call: f"{call.method} {call.path}")
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "json"])
def test_a_write_must_be_json(admin: Admin, call: AdminCall, kind: str) -> None:
    """A write with a content type that a web form can send is refused."""
    path = path_of(call.path)
    headers = {"content-type": kind}
    answer = admin.http.request(call.method, path, content=b"{}", headers=headers)
    assert (415, "not_json") == refusal_of(answer)[:2]


@pytest.mark.parametrize("body", [{"offset": -1}, {"limit": 1001}, {"limit": "1"}])
def test_pages_of_find_have_bounds(admin: Admin, body: dict[str, object]) -> None:
    """The page of a search has the same bounds as the page of a list."""
    found = refusal_of(admin.http.post(f"{BOX}/journal/find", json=body))
    assert (400, "invalid") == found[:2]


def test_find_has_pages(admin: Admin) -> None:
    """A search returns one page of the matches, and the number of all matches."""
    for _ in range(3):
        admin.job()
    path = "sandboxes/default/journal/find"
    found = admin.post(path, {"offset": 1, "limit": 1})
    assert ([2], 3) == ([one["number"] for one in found["exchanges"]], found["total"])


@pytest.mark.parametrize("name", ["%F0%9F%90%9F", "a%20b", "a%00b", "%2e%2e", "a;b", "x" * 4000])
@pytest.mark.parametrize(
    "call",
    [call for call in CALLS if "{" in call.path],
    ids=lambda call: f"{call.method} {call.path}",
)
def test_ids_with_odd_characters_are_unknown(admin: Admin, call: AdminCall, name: str) -> None:
    """An id with odd characters is unknown, or the request lacks a body."""
    path = call.path
    parameter = path[path.rindex("{") : path.rindex("}") + 1]
    odd = path_of(path.replace(parameter, name))
    method = "GET" if call.method == "ANY" else call.method
    answer = admin.http.request(method, odd, json={} if method != "GET" else None)
    if answer.is_success:  # any name is that of an inbox, which nothing came to yet
        assert "{name}" == parameter
    else:
        assert refusal_of(answer)[0] in {400, 404, 405}
