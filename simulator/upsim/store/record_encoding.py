"""The records of requests as bytes, and back.

What a record refers to is written by name: the rule that refused it, its model, the faults that
fired, its ledger entries, and its job with the number of its moves. A reader finds them in the
sandbox that continues. If the rules have changed since, the job was forgotten, or the fault was
disarmed, they are missing from the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from upsim.core.faults import FaultRule
from upsim.core.instants import Instant
from upsim.core.jobs import Job
from upsim.core.knobs_and_dialects import Rules
from upsim.core.ledger import Entry
from upsim.core.media import Media
from upsim.engine.request_records import LoggedRequest, Record, Response
from upsim.engine.sandbox_state import SandboxState
from upsim.store.event_encoding import (
    ENCODER,
    Form,
    json_out,
    number_in,
    restored,
)

PLAIN = (
    "number",
    "version",
    "at",
    "kind",
    "provider",
    "operation",
    "path",
    "full_size",
    "account",
    "dialect",
    "rules",
    "is_assumed",
    "check",
    "cause",
    "hint",
    "unfired",
    "clock",
    "jumped",
    "retry_after",
    "full_reply_size",
)
"""The fields of a record that are written as they are."""
_PLAIN = Form(Record, PLAIN)
_REQUEST = Form(
    LoggedRequest, tuple(name for name in LoggedRequest.__struct_fields__ if name != "response")
)
_RESPONSE = Form(Response)
_JOB = attrgetter("step", "started", "polls", "marks")
_Raw = msgspec.Raw
_WRITTEN = msgspec.msgpack.Decoder(
    list[
        tuple[
            int,
            int
            | list[
                tuple[
                    _Raw,
                    _Raw,
                    _Raw,
                    str,
                    str,
                    Any,
                    Media | bool | None,
                    list[tuple[int, int]],
                    list[str],
                    Any,
                ]
            ],
        ]
    ],
    dec_hook=restored,
    ext_hook=number_in,
)

Written = tuple[int, int | Sequence[Record]]
"""The number of a sandbox, and records of it; a number alone counts those that were cleared."""


class Sources(NamedTuple):
    """The sources of what records name: the rules of a provider under a dialect, and the state.

    `rules` gets the digest of the rules, too; it returns None if others are in force by now.
    """

    rules: Callable[[str, str, str], Rules | None]
    state: SandboxState


def records_out(parts: Iterable[Written]) -> bytes:
    """Return records as bytes."""
    return ENCODER.encode(
        [
            (serial, part if isinstance(part, int) else [_out(record) for record in part])
            for serial, part in parts
        ]
    )


def records_in(data: bytes) -> list[tuple[int, int | list[tuple[Any, ...]]]]:
    """Return the written forms of records by sandbox, for `record_in`; or how many were cleared."""
    found: list[tuple[int, int | list[tuple[Any, ...]]]] = _WRITTEN.decode(data)
    return found


def written_out(serial: int, cleared: int, records: Sequence[tuple[Any, ...]]) -> bytes:
    """Return the written forms of a sandbox's records as bytes again, after `cleared` earlier."""
    exact = [[json_out(part) for part in record] for record in records]
    return ENCODER.encode([(serial, cleared), (serial, exact)])


def record_in(written: tuple[Any, ...], sources: Sources) -> Record:
    """Return a record from its written form."""
    plain, request, response, rule, model, job, media, entries, faults, compared = written
    named = dict(zip(PLAIN, _PLAIN.read(plain), strict=True))
    rules = sources.rules(named["provider"], named["rules"], named["dialect"])
    asked = (*_REQUEST.read(request), Response(*_RESPONSE.read(response)))
    read_job = _job_in(job, sources.state) if job else None
    if media is True:
        media = read_job.accepted.media if read_job else None
    return Record(
        request=LoggedRequest(*asked),
        rule=rules.errors.get(rule) if rules else None,
        model=rules.baseline.models.get(model) if rules else None,
        read_job=read_job,
        media=media,
        entries=tuple(_entries_in(entries, sources.state)),
        faults=tuple(_faults_in(faults, sources.state)),
        compared=compared,
        **named,
    )


def number_and_time(written: tuple[Any, ...]) -> tuple[int, Instant]:
    """Return the number and the instant of a record from its written form."""
    plain = _PLAIN.read(written[0])
    return plain[PLAIN.index("number")], plain[PLAIN.index("at")]


def _out(record: Record) -> tuple[object, ...]:
    request, compared, rule, model = record.request, record.compared, record.rule, record.model
    job, media = record.read_job, record.media
    return (
        _PLAIN.values(record),
        _REQUEST.values(request),
        _RESPONSE.values(request.response),
        rule.name if rule is not None else "",
        model.id if model is not None else "",
        None if job is None else _job_out(job),
        media if job is None or media is None or media is not job.accepted.media else True,
        [(entry.account, entry.number) for entry in record.entries],
        [rule.id for rule in record.faults],
        None if compared is None else {name: _simple(value) for name, value in compared.items()},
    )


def _simple(value: object) -> object:
    """Return a compared value: JSON, or the text of anything else."""
    known = value is None or isinstance(value, str | int | Decimal | list | Mapping)
    return json_out(value) if known else str(value)


def _job_out(job: Job) -> tuple[object, ...]:
    step, started, polls, marks = _JOB(job)
    return job.accepted.job, len(job.moves), step, started, polls, tuple(marks)


def _entries_in(numbers: Iterable[tuple[int, int]], state: SandboxState) -> Iterator[Entry]:
    for account, number in numbers:
        entry = state.accounts[account].entries.get(number)
        if entry is not None:  # else of a forgotten job
            yield entry


def _faults_in(names: Iterable[str], state: SandboxState) -> Iterator[FaultRule]:
    for name in names:
        armed = state.faults.get(name)
        if armed is not None:  # else it was disarmed since
            yield armed.rule


def _job_in(job: tuple[Any, ...], state: SandboxState) -> Job | None:
    name, moves, step, started, polls, marks = job
    found = state.jobs.get(name)
    if found is None:
        return None
    return Job(found.accepted, found.moves[:moves], step, started, polls, frozenset(marks))
