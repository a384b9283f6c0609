"""Documented promises beyond the response to one request: refunds, job times, limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rows:
    """A bill list: its request, the place of its rows, and the fields of a row.

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
    """The promise that a failed job is refunded, documented by the named fact.

    `read_within` is the documented time, such as `3h`, and `patience` the time allowed if no time
    is documented. `texts` identify polls of a failed job if the provider answers them with a status
    of 500 and above, which can also mean an outage. `field` is a boolean in such a poll: whether
    the job was refunded. `rows` is a bill list with a row for each refund.
    """

    fact: str
    within: str = ""
    patience: str = "5m"
    texts: Sequence[str] = ()
    field: str = ""
    rows: Rows | None = None


@dataclass(frozen=True, slots=True)
class Time:
    """The longest time for the processing of a job, documented by the named fact.

    It is `at_most`, such as `120s`, or `per_second` times the duration of the video. `call` creates
    the job. Polls return `word` while the job is processed, and another status while it waits.
    `read` is the place of the time in a response, in milliseconds.
    """

    fact: str
    call: str
    at_most: str = ""
    per_second: str = ""
    word: str = "processing"
    read: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """The largest allowed value of one video property, documented by the named fact.

    `of` is one of the kinds in `limits.KINDS`: seconds, frames, bytes, or the pixels of a `width`.
    """

    fact: str
    of: str
    most: str
