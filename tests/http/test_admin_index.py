"""`GET /__sim` tells what the admin API can do, and unknown query parameters are refused."""

from __future__ import annotations

import pytest

from tests.http.conftest import Admin, refusal_of
from upsim.web.admin.app import CALLS
from upsim.web.admin_access import PREFIX


def test_the_index_names_every_request(admin: Admin) -> None:
    """The index has each request once, with a sentence about its purpose."""
    listed = admin.http.get(PREFIX).json()["calls"]

    assert [(call.method, PREFIX + call.path) for call in CALLS] == [
        (call["method"], call["path"]) for call in listed
    ]
    assert [call["path"] for call in listed if not call["does"]] == []


def test_the_index_shows_bodies_and_parameters(admin: Admin) -> None:
    """The index shows the fields of each body and the parameters of each query."""
    listed = {(c["method"], c["path"]): c for c in admin.http.get(PREFIX).json()["calls"]}
    jobs = listed["GET", f"{PREFIX}/sandboxes/{{id}}/jobs"]
    advance = listed["POST", f"{PREFIX}/sandboxes/{{id}}/clock/advance"]

    assert jobs["query"] == ["offset", "limit", "provider", "state", "at"]
    assert set(advance["body"]) == {"seconds", "to"}


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("sandboxes?foo=1", "allowed: offset, limit"),
        ("sandboxes/default/jobs?lmit=1", "did you mean limit?"),
        ("sandboxes/default?x=1", "allowed: nothing"),
    ],
)
def test_an_unknown_parameter_is_refused(admin: Admin, path: str, hint: str) -> None:
    """An unknown filter is refused, not ignored."""
    status, code, message = refusal_of(admin.http.get(f"{PREFIX}/{path}"))

    assert (status, code, message.endswith(hint)) == (400, "invalid", True)


def test_the_journal_can_be_read_for_one_provider(admin: Admin) -> None:
    """With `provider`, the journal leaves out the requests to other providers."""
    assert admin.get("sandboxes/default/journal?provider=vicsee")["exchanges"] == []
