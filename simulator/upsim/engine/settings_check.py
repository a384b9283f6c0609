"""Check the settings of an in-process simulator, which a program passes as keywords."""

from __future__ import annotations

from collections.abc import Mapping

from upsim.client.argument_checks import (
    SECONDS,
    Numbers,
    check_choice,
    check_kind,
    check_number,
    check_text,
)
from upsim.engine.settings import ServerSettings

RENDERS = ("synthetic", "resample")
TIMESTAMPS = ("wall", "virtual")
SEEDS = Numbers("7", minimum=-(2**63), maximum=2**64, whole=True)
_MICROSECONDS = Numbers("1768478400000000", maximum=253_402_300_799_000_000, whole=True)
_JOBS = Numbers("1000", minimum=0, maximum=10**9, whole=True)


def check_settings(settings: ServerSettings) -> None:
    """Raise ArgumentError for a setting with a wrong type or an unknown value."""
    if settings.scenario is not None:
        form = "the name of a scenario, the path of its file, or a mapping"
        check_kind("scenario", settings.scenario, (str, Mapping), form)
    check_text("clock", settings.clock, "'manual'")
    check_number("seed", settings.seed, SEEDS)
    if settings.start is not None:
        check_number("start", settings.start, _MICROSECONDS)
    check_kind("strict_keys", settings.strict_keys, bool, "True or False")
    if settings.dialect is not None:
        check_text("dialect", settings.dialect, "'live'")
    check_choice("render", settings.render, RENDERS)
    check_number("jobs_max", settings.jobs_max, _JOBS)
    check_choice("webhook_timestamp", settings.webhook_timestamp, TIMESTAMPS)
    if settings.webhook_seconds is not None:
        check_number("webhook_seconds", settings.webhook_seconds, SECONDS)
