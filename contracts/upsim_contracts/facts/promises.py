"""What documents promise beside the answers of one request: refunds, times of jobs, limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rows:
    """A list of bills: the call, where the rows are, and where a row holds what.

    `charge` and `refund` are the words by which `kind` tells a charge from a refund.
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
    """That a failed job is paid back, as the fact named here says.

    `read_within` is the documented time, such as `3h`, and `patience` what is given where none is.
    `texts` are what polls of a failed job say, for a provider that answers them with a status of
    500 and above, which can also be an outage. `field` is a boolean of such a poll that tells
    whether the job was paid back, and `rows` a list of bills with a row for each refund.
    """

    fact: str
    within: str = ""
    patience: str = "5m"
    texts: Sequence[str] = ()
    field: str = ""
    rows: Rows | None = None


@dataclass(frozen=True, slots=True)
class Time:
    """How long the work on a job takes at most, as the fact named here says.

    It is `at_most`, such as `120s`, or `per_second` times the length of the video. `call` makes the
    job; polls say `word` while somebody works on it, and not while it waits. `read` is where an
    answer tells the time itself, in milliseconds.
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
