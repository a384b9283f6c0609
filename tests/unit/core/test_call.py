"""A request as operations see it."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from tests.unit.core.conftest import call, job
from upsim.core.call import Call


@pytest.mark.parametrize(
    ("name", "value"),
    [(b"x-one", "first"), (b"x-latin", "é"), (b"x-none", None), (b"X-One", None)],
)
def test_headers(name: bytes, value: str | None) -> None:
    """A header is found by its lower-case name and read as Latin-1."""
    asked = call(headers={b"x-one": b"first", b"x-latin": b"\xe9"})

    assert value == asked.header(name)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        (b"", {}),
        (b"type=video", {"type": "video"}),
        (b"type=video&type=image&x=", {"type": "video", "x": ""}),
        (b"a=%C3%A9&b=1+2", {"a": "é", "b": "1 2"}),
        (b"a=%ff", {"a": "\ufffd"}),
    ],
)
def test_the_query(text: bytes, query: dict[str, str]) -> None:
    """In a query, the first of repeated parameters counts, and empty parameters are kept."""
    assert query == call(query_string=text).query()


def test_the_body_is_decoded_once() -> None:
    """A request body is decoded at its first use and then cached."""
    asked = call(body=b'{"a": 1}')

    assert {"a": 1} == asked.json()
    assert asked.json() is asked.json()


def test_a_knob() -> None:
    """A call reads the knobs of its rules."""
    assert call().rules.knobs["factor_type"] == "string"


def test_a_value_of_a_missing_check() -> None:
    """If an operation lacks one of its checks, the error names the check."""
    with pytest.raises(LookupError, match="credits runs without the check that finds the job"):
        _ = call().target
    with pytest.raises(AttributeError, match="who"):
        _ = call(account=None).who


def test_a_call_without_a_key_is_a_normal_value() -> None:
    """A call without a key can be printed, compared and copied."""
    asked = call(account=None)

    assert asked == replace(asked)
    assert "account=None" in repr(asked)


def test_values_found_by_the_checks() -> None:
    """After the checks, a call has its account and its job."""
    asked = call(job=job())

    assert (asked.who.number, asked.target.id) == (1, "task_1")


def test_a_call_holds_no_function() -> None:
    """A call has no function in its fields; checks use the engine only through `SandboxApi`."""
    found = {field.name: str(field.type) for field in fields(Call)}

    assert [] == [name for name, kind in found.items() if "Callable" in kind]
    assert found["sandbox"] == "SandboxApi"
