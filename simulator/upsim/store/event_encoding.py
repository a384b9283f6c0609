"""Events as bytes, and back.

A record of an event is its code and its fields. What the jobs of one kind share (price, options,
phases and so on) is written once, under a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from operator import attrgetter
from types import NoneType
from typing import Any, get_type_hints

import msgspec
from msgspec.structs import replace as copy

from upsim.core import events as of
from upsim.core.events import Event, FaultArmed, JobAccepted, JobMoved
from upsim.core.faults import (
    Corrupt,
    Delay,
    FaultRule,
    Headers,
    Late,
    Patch,
    Respond,
    Trickle,
    Truncate,
    Word,
)
from upsim.core.ledger import Entry
from upsim.core.states import Failure, Phase

KINDS: tuple[type, ...] = (
    of.AccountOpened,
    of.AccountChanged,
    of.JobAccepted,
    of.JobStarted,
    of.JobMoved,
    of.JobPolled,
    of.JobsForgotten,
    of.JobMarked,
    Entry,
    of.EntriesCarried,
    of.CountsCarried,
    of.QuotaUsed,
    of.UploadIssued,
    of.UploadStored,
    of.UploadsForgotten,
    of.FaultArmed,
    of.FaultMatched,
    of.FaultDisarmed,
    of.DeliveryCreated,
    of.AttemptMade,
    of.AttemptPostponed,
    of.AnnouncementPlanned,
    of.DeliveryEnded,
    of.RulesChanged,
    of.ChangesPlanned,
    of.ChangeApplied,
    of.ClockMoved,
)
"""The kinds of events by code. A new kind goes to the end: the position is in every store."""
TERMS = (
    "provider",
    "model",
    "operation",
    "options",
    "media",
    "output",
    "quote",
    "phases",
    "origin",
    "rules",
)
"""The fields of an accepted job that many jobs share."""
ACTIONS: tuple[type, ...] = (
    Word,
    Respond,
    Patch,
    Headers,
    Delay,
    Truncate,
    Corrupt,
    Trickle,
    Late,
)
"""The actions of faults by code; a new one goes to the end."""
MAX_TERMS_KNOWN = 4096
"""Terms that a writer remembers; when there are more, it writes them again."""

Part = tuple[int, Sequence[Event]]
"""The number of a sandbox, and events of it."""
UNWRITABLE = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError)
"""What an encoder raises for a value that no file can hold."""


class Form:
    """The written form of a class: the values of its fields, or of `only` some, in order."""

    __slots__ = ("kind", "read", "values")

    def __init__(self, kind: type, only: Sequence[str] = ()) -> None:
        hints = get_type_hints(kind)
        names = tuple(only) or _field_names(kind)
        self.kind = kind
        found = attrgetter(*names)
        self.values: Callable[[Any], Any] = found if len(names) > 1 else lambda one: (found(one),)
        types: Any = tuple.__class_getitem__(tuple(hints[name] for name in names))
        self.read = msgspec.msgpack.Decoder(types, dec_hook=restored, ext_hook=number_in).decode


def _field_names(kind: type) -> tuple[str, ...]:
    return kind.__struct_fields__  # type: ignore[attr-defined,no-any-return]  # of a struct


DECIMAL, BIG = 1, 2
"""The types of numbers that MessagePack does not have: decimal ones, and those above 64 bits."""
_INTEGERS = range(-(2**63), 2**64)


SIMPLE = frozenset({str, bool, NoneType})
"""Types of values that MessagePack has."""


def json_out(value: object) -> object:
    """Return JSON with every number exact. No text or key of a document is taken for a number."""
    if isinstance(value, Decimal):
        return msgspec.msgpack.Ext(DECIMAL, str(value).encode())
    if isinstance(value, int) and value not in _INTEGERS:
        return msgspec.msgpack.Ext(BIG, str(value).encode())
    if isinstance(value, Mapping):
        return {name: json_out(item) for name, item in value.items()}
    return [json_out(item) for item in value] if isinstance(value, list) else value


def number_in(code: int, data: memoryview) -> object:
    """Return a number from its extended form."""
    return {DECIMAL: Decimal, BIG: int}[code](bytes(data).decode())


def _bare(value: object) -> object:
    """Return what msgspec can write instead of a value that it cannot."""
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a store cannot hold a {type(value).__name__}")


def restored(kind: type, value: Any) -> object:  # noqa: ANN401 - as msgspec calls it
    """Return a value of a type that msgspec does not know."""
    if kind is Fraction:
        return Fraction(value)
    if kind is object:
        return value
    raise TypeError(f"a store cannot hold a {kind.__name__}")


_FORMS = {kind: Form(kind) for kind in KINDS if kind not in (JobAccepted, FaultArmed)}
_CODES = {kind: code for code, kind in enumerate(KINDS)}
_JOB_CODE, _FAULT_CODE = _CODES[JobAccepted], _CODES[FaultArmed]
_TERMS = Form(JobAccepted, TERMS)
_OWN = ("at", "job", "account", "inputs", "source", "queued", "webhook", "due")
_JOB = Form(JobAccepted, _OWN)
_RULE = Form(
    FaultRule, tuple(name for name in _field_names(FaultRule) if name not in ("do", "written"))
)
ENCODER = msgspec.msgpack.Encoder(enc_hook=_bare)
_Raw = msgspec.Raw
_BATCH = msgspec.msgpack.Decoder(
    tuple[list[tuple[int, _Raw]], list[tuple[int, list[tuple[int, _Raw]]]]]
)
_JOB_RECORD = msgspec.msgpack.Decoder(tuple[int, _Raw])
_FAULT_RECORD = msgspec.msgpack.Decoder(tuple[int, _Raw, int, Any, Any], ext_hook=number_in)


class EventWriter:
    """Writes batches of events that a reader must read in the same order."""

    def __init__(self) -> None:
        """Start without known terms."""
        self._known: dict[tuple[object, ...], tuple[int, JobAccepted]] = {}
        self._fresh: list[tuple[int, object]] = []
        self._count = 0

    def forget_terms(self) -> None:
        """Write all terms again from now on, because readers no longer get the earlier batches."""
        self._known.clear()

    def written(self, number: int, events: Iterable[Event]) -> msgspec.Raw:
        """Return the written form of a part, for `joined`. Raises one of UNWRITABLE."""
        return _Raw(ENCODER.encode((number, [self._record(event) for event in events])))

    def joined(self, parts: Sequence[msgspec.Raw]) -> bytes:
        """Return written parts as the bytes of one batch."""
        fresh, self._fresh = self._fresh, []
        return ENCODER.encode((fresh, parts))

    def batch(self, parts: Iterable[Part]) -> bytes:
        """Return events as bytes. Raises one of UNWRITABLE."""
        return self.joined([self.written(*part) for part in parts])

    def _record(self, event: Event) -> tuple[int, object]:
        kind = type(event)
        if kind is JobAccepted:
            return _JOB_CODE, self._job(event)  # type: ignore[arg-type]  # mypy does not narrow by `is`
        if kind is FaultArmed:
            return _FAULT_CODE, fault_out(event)  # type: ignore[arg-type]  # as above
        if kind is JobMoved and event.failure is not None:  # type: ignore[union-attr]  # as above
            event = copy(event, failure=_exact_failure(event.failure))  # type: ignore[union-attr]  # as above
        return _CODES[kind], _FORMS[kind].values(event)

    def _job(self, job: JobAccepted) -> tuple[int, object]:
        at, name, account, inputs, source, queued, webhook, due = _JOB.values(job)
        exact = inputs if SIMPLE.issuperset(map(type, inputs.values())) else json_out(inputs)
        own = (at, name, account, exact, source, queued, webhook, due)
        return self._terms_of(job), own

    def _terms_of(self, job: JobAccepted) -> int:
        """Return the number of a job's terms; equal terms are nearly always the same objects."""
        key = (
            id(job.quote),
            id(job.phases),
            id(job.options),
            id(job.output),
            id(job.media),
            job.origin,
            job.model,
            job.operation,
            job.rules,
        )
        known = self._known.get(key)
        if known is not None:
            return known[0]
        if len(self._known) >= MAX_TERMS_KNOWN:
            self._known.clear()
        values = list(_TERMS.values(job))
        values[TERMS.index("phases")] = [_exact_phase(phase) for phase in job.phases]
        written = _Raw(ENCODER.encode(values))
        self._count += 1
        self._known[key] = (self._count, job)  # the job keeps the objects, and so their ids
        self._fresh.append((self._count, written))
        return self._count


@dataclass(slots=True)
class EventReader:
    """Reads batches in the order in which they were written."""

    _terms: dict[int, tuple[Any, ...]]

    def __init__(self) -> None:
        """Start without known terms."""
        self._terms = {}

    def batch(self, data: bytes) -> list[tuple[int, list[Event]]]:
        """Return the events of a batch by sandbox.

        Raises msgspec.DecodeError, ValueError or LookupError for other bytes.
        """
        fresh, parts = _BATCH.decode(data)
        for number, raw in fresh:
            self._terms[number] = _read_terms(raw)
        return [
            (number, [self._event(code, raw) for code, raw in records]) for number, records in parts
        ]

    def _event(self, code: int, raw: msgspec.Raw) -> Event:
        if code == _JOB_CODE:
            number, own = _JOB_RECORD.decode(raw)
            at, name, account, inputs, source, queued, webhook, due = _JOB.read(own)
            shared = dict(zip(TERMS, self._terms[number], strict=True))
            return JobAccepted(
                at=at,
                job=name,
                account=account,
                inputs=inputs,
                source=source,
                queued=queued,
                webhook=webhook,
                due=due,
                **shared,
            )
        if code == _FAULT_CODE:
            return read_fault(raw)
        form = _FORMS[KINDS[code]]
        found: Event = form.kind(*form.read(raw))
        return found


def _read_terms(raw: msgspec.Raw) -> tuple[Any, ...]:
    found: tuple[Any, ...] = _TERMS.read(raw)
    return found


def _exact_phase(phase: Phase) -> Phase:
    failure = phase.failure
    if failure is None or not failure.extra:
        return phase
    return Phase(phase.state, phase.lasts, phase.polls, _exact_failure(failure))


def _exact_failure(failure: Failure) -> Failure:
    """Return a failure whose extra fields are exact JSON."""
    extra = tuple((name, json_out(value)) for name, value in failure.extra)
    return Failure(failure.name, failure.code, failure.message, failure.status, extra)


def fault_out(event: FaultArmed) -> tuple[object, ...]:
    """Return an armed fault as simple values."""
    rule = event.rule
    kind = type(rule.do)
    action = rule.do.value if isinstance(rule.do, Word) else _json(rule.do)
    return event.at, _RULE.values(rule), ACTIONS.index(kind), action, json_out(rule.written)


def _json(action: object) -> object:
    """Return the fields of an action as exact JSON."""
    return json_out(_listed(action))


def _listed(value: object) -> object:
    if isinstance(value, msgspec.Struct):
        return [_listed(item) for item in msgspec.structs.astuple(value)]
    return [_listed(item) for item in value] if isinstance(value, tuple) else value


def read_fault(raw: msgspec.Raw) -> FaultArmed:
    """Return an armed fault from its bytes."""
    at, values, code, action, written = _FAULT_RECORD.decode(raw)
    names = [name for name in _field_names(FaultRule) if name not in ("do", "written")]
    chosen = dict(zip(names, _RULE.read(values), strict=True))
    rule = FaultRule(**chosen, do=_action(ACTIONS[code], action), written=written)
    return FaultArmed(at, rule)


def _action(kind: type, value: Any) -> Any:  # noqa: ANN401 - one of the actions
    if kind is Word:
        return Word(value)
    hints = get_type_hints(kind)
    items = [
        msgspec.convert(_shaped(hints[name], item), hints[name])
        for name, item in zip(_field_names(kind), value, strict=True)
    ]
    return kind(*items)


def _shaped(kind: Any, item: Any) -> Any:  # noqa: ANN401 - as `_action`
    """Return a value from JSON in the form from which msgspec makes an instance of a class."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return dict(zip(kind.__struct_fields__, item, strict=True))
    return item
