"""Documented promises beyond the response to one request: refunds, times of jobs, limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rows:
    """A bill list: the call, the place of its rows, and the fields of a row.

    `charge` and `refund` are the values of `kind` that mark a charge and a refund.
    """

    call: str
    at: str
    job: str
    kind: str
    charge: str
    refund: str
    amount: str


@dataclass(frozen=True, slots=True)
class Refunds:
    """The promise that a failed job is refunded, as the fact named here says.

    `read_within` is the documented time, such as `3h`, and `patience` the time allowed if no time
    is documented. `texts` are in polls of a failed job, for a provider whose status for these is
    500 and above, which can also be an outage. `field` is a boolean of such a poll: whether the job
    was refunded. `rows` is a bill list with a row for each refund.
    """

    fact: str
    within: str = ""
    patience: str = "5m"
    texts: Sequence[str] = ()
    field: str = ""
    rows: Rows | None = None


@dataclass(frozen=True, slots=True)
class Time:
    """The longest time for the processing of a job, as the fact named here says.

    It is `at_most`, such as `120s`, or `per_second` times the duration of the video. `call` makes
    the job. Polls return `word` while the job is processed, and another status while it waits.
    `read` is the place of a response that states the time itself, in milliseconds.
    """

    fact: str
    call: str
    at_most: str = ""
    per_second: str = ""
    word: str = "processing"
    read: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that a video may have `of` something, as the fact named here says.

    It is one of the kinds of `limits.KINDS`: seconds, frames, bytes, or the pixels of a `width`.
    """

    fact: str
    of: str
    most: str
