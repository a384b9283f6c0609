"""How refusals of WaveSpeedAI look: the envelope, what is no JSON, and mistakes in a baseline."""

import random
from typing import Any, cast

import pytest

from upsim.core.call import Call
from upsim.core.checks import Violation
from upsim.core.knobs_and_dialects import rules
from upsim.core.url_builder import UrlBuilder
from upsim.providers.wavespeed import checks, wire
from upsim.scenario.loader import Library

BASELINE = Library().baseline("wavespeed").baseline


def call(**knobs: str) -> Call:
    """Return as much of a call as a refusal looks at."""
    return Call(
        operation="submit",
        kind="submit",
        rules=rules(BASELINE, "guide", knobs),
        sandbox=cast("Any", None),
        urls=UrlBuilder("https://sim.example"),
        method="POST",
        path="/",
        params={},
        query_string=b"",
        headers={},
        body=b"",
        credential="missing",
        account=None,
    )


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [("internal", 500, "Internal Server Error"), ("unavailable", 503, "Service Unavailable")],
)
def test_faults_of_the_service_are_json(name: str, status: int, text: str) -> None:
    """A WaveSpeed 500 or 503 has the JSON envelope without data."""
    reply = wire.problem(call(), Violation(name))

    assert (reply.status, reply.body) == (status, {"code": status, "message": text})


@pytest.mark.parametrize(("name", "status"), [("bad_gateway", 502), ("gateway_timeout", 504)])
def test_faults_of_the_gateway_are_html(name: str, status: int) -> None:
    """A WaveSpeed 502 or 504 comes from the gateway as HTML."""
    reply = wire.problem(call(), Violation(name))

    assert (reply.status, reply.content_type) == (status, b"text/html")
    assert isinstance(reply.body, bytes)
    assert reply.body.startswith(f"<html><head><title>{status} ".encode())


def test_an_id_has_32_hexadecimal_digits() -> None:
    """A WaveSpeed id has 32 hexadecimal digits, with leading zeros and without dashes."""
    small = random.Random(1)  # noqa: S311 - a stream of a test
    small.getrandbits = lambda _bits: 255  # type: ignore[method-assign]  # a number of few digits

    assert wire.draw_id(small) == "0" * 30 + "ff"


def test_a_check_before_the_model_is_an_error() -> None:
    """A check that runs before the model is known raises an error that names the order."""
    with pytest.raises(LookupError, match="submit: a check that needs the model"):
        checks.valid_options(call())
