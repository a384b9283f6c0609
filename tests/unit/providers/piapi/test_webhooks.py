"""Webhooks of PiAPI: the secret as it came, or none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from upsim.core.provider import Attempt
from upsim.core.states import JobState
from upsim.providers.piapi import webhooks
from upsim.scenario.loader import Library

BASELINE = Library().baseline("piapi").baseline


@pytest.mark.parametrize(("secret", "expected"), [("s", {"x-webhook-secret": "s"}), ("", {})])
def test_the_secret_is_sent_unchanged(secret: str, expected: dict[str, str]) -> None:
    """A PiAPI webhook has the secret header only if the task has a secret."""
    call = cast("Any", SimpleNamespace(rules=SimpleNamespace(baseline=BASELINE)))
    found = webhooks.headers(call, cast("Any", None), Attempt("d", secret, 1, b"{}"))

    assert found == expected


def test_the_webhook_rule_is_the_documented_one() -> None:
    """PiAPI makes three webhook attempts, five seconds apart, at every end of a task."""
    rule = BASELINE.webhooks
    assert rule is not None

    assert (rule.attempts, rule.pauses) == (3, (5_000_000,))
    assert set(rule.states) == {
        JobState.COMPLETED,
        JobState.FAILED,
        JobState.CANCELLED,
        JobState.TIMEOUT,
    }


def test_every_part_has_its_evidence() -> None:
    """Each part of PiAPI's webhook rule has a source."""
    rule = BASELINE.webhooks
    assert rule is not None

    assert set(rule.evidence) == {
        "states", "attempts", "pauses", "timeout", "signing", "headers",
    }  # fmt: skip
