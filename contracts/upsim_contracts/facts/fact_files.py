"""Read the documented facts of a provider: each statement, its source, and steps to check it.

`<provider>/facts.yaml` contains tables of published figures, the requests of the API
(`contract`), and the facts. A fact is a list of steps; `each` repeats a fact for every row of a
table. `untestable` says why no test can decide a fact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from upsim_contracts.exceptions import ContractFileError
from upsim_contracts.facts.promises import Limit, Refunds, Rows, Time
from upsim_contracts.facts.webhook_messages import WebhookFormat
from upsim_contracts.suggestions import hint
from upsim_contracts.target import TargetSettings
from upsim_contracts.yaml12 import read_exact

FILE = "facts.yaml"
STEPS = ("call", "until", "wait", "charged", "output", "force", "fault", "account", "see", "told")
_PLACEHOLDER = re.compile(r"\$\{([a-z_][a-z0-9_.]*)\}|\$([a-z_][a-z0-9_]*)")
_ONE_DAY = 86_400
ASSUMED = "no document states it"
HELD = "needs a clock that jumps to the end of a held request"
SHORTER = "needs a body that is shorter than it says, which can be sent in process alone"
_COMMANDS = {
    "force": "needs a job that fails on command",
    "fault": "needs a refusal on command",
    "account": "needs a balance that changes on command",
    "as": "needs a second account",
    "told": "needs a receiver for webhooks that the provider can reach",
    "held": HELD,
    "announced": SHORTER,
}
"""What a step can hold that only a simulator can do, and why."""


@dataclass(frozen=True, slots=True)
class Source:
    """A document, and the day on which it was read.

    `beside` marks a document that is not the model's own page, but another page of the provider or
    of its clients. `assumed` marks a value that no document gives and that the simulator had to
    choose.
    """

    title: str
    url: str
    read: str
    beside: bool = False
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class CallForm:
    """One operation: `GET /path`, the usual body, and the place of a new job's id.

    `paid` operations can create a job; `free` ones are POSTs that never cost anything.
    """

    name: str
    method: str
    path: str
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    job: str | None = None
    paid: bool = False


@dataclass(frozen=True, slots=True)
class LifecycleCalls:
    """How a job is polled: the request, the place of its status, the meaning of each status.

    A response without a status counts as the word `http <status>`.
    `output` names the places of a finished job's link. With `inline` the response to a poll of a
    finished job is the file itself. `every` is the polling interval that the provider advises,
    in seconds.
    """

    call: str
    read: str
    words: Mapping[str, Sequence[str]]
    output: Sequence[str] = ()
    every: int = 5
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Dialect:
    """A dialect's differences from the documents: request forms, the lifecycle, and facts.

    `departs` maps a reason to patterns of fact ids that are not true in this dialect.
    """

    calls: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lifecycle: Mapping[str, Any] = field(default_factory=dict)
    departs: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def reason(self, fact: str) -> str | None:
        """Return why a fact is not true in this dialect; None if it is true."""
        found = (
            reason
            for reason, names in self.departs.items()
            if any(fnmatchcase(fact, name) for name in names)
        )
        return next(found, None)


@dataclass(frozen=True, slots=True)
class Fact:
    """One statement that can be true or false, with its source and its steps.

    `only_simulator` says why no other server can show it. `departs` says why it is not true in the
    dialect that is checked.
    """

    id: str
    says: str
    source: str
    place: str
    steps: Sequence[Mapping[str, Any]] = ()
    given: TargetSettings = field(default_factory=TargetSettings)
    model: str = ""
    untestable: str | None = None
    only_simulator: str | None = None
    departs: str | None = None

    @property
    def bends_answers(self) -> bool:
        """Return whether the fact's sandbox changes responses by a setting or a fault."""
        return self.given.knobs is not None or any("fault" in step for step in self.steps)

    @property
    def refunded(self) -> bool:
        """Whether the fact makes a job fail and then checks the refund."""
        return any("within" in step for step in self.steps)

    @property
    def needs_control(self) -> str | None:
        """Why only a simulator can show this fact; None if any server can."""
        if self.only_simulator is not None:
            return self.only_simulator
        if self.given.special:
            return "needs an account or a sandbox that only a simulator can be given"
        used = {word for step in self.steps for word in step}
        for word, reason in _COMMANDS.items():
            if word in used:
                return reason
        waits = [seconds(str(step["wait"])) for step in self.steps if "wait" in step]
        return f"needs {sum(waits):g} seconds to pass" if sum(waits) > 0 else None


@dataclass(frozen=True, slots=True)
class Book:
    """All contract data for one provider.

    `free` are write requests that cost nothing and that no fact sends, as `POST /path/$id`.
    `failures` says why no job can be made to fail at a live API; it is empty if one can.
    """

    provider: str
    unit: str
    live: str
    auth: Mapping[str, str]
    calls: Mapping[str, CallForm]
    lifecycle: LifecycleCalls
    balance: tuple[str, str] | None
    models: Mapping[str, str]
    sources: Mapping[str, Source]
    tables: Mapping[str, Any]
    facts: tuple[Fact, ...]
    free: Sequence[str] = ()
    failures: str = ""
    telling: WebhookFormat = field(default_factory=WebhookFormat)
    refunds: Refunds | None = None
    times: tuple[Time, ...] = ()
    limits: tuple[Limit, ...] = ()
    dialects: Mapping[str, Dialect] = field(default_factory=dict)

    def under(self, dialect: str) -> Book:
        """Return the same book for a dialect."""
        own = self.dialects.get(dialect)
        if own is None:
            return self
        calls = {name: replace(self.calls[name], **form) for name, form in own.calls.items()}
        return replace(
            self,
            calls={**self.calls, **calls},
            lifecycle=replace(self.lifecycle, **own.lifecycle),
            facts=tuple(replace(fact, departs=own.reason(fact.id)) for fact in self.facts),
        )


def read_book(path: Path) -> Book:
    """Return the book in a file. Raises ContractFileError, naming every mistake at once."""
    data = read_exact(path)
    contract = data.get("contract") or {}
    calls = {name: _call(name, form) for name, form in contract.get("calls", {}).items()}
    balance = contract.get("balance")
    sources = {name: Source(**one) for name, one in data.get("sources", {}).items()}
    book = Book(
        provider=data["provider"],
        unit=contract.get("unit", ""),
        live=contract.get("live", ""),
        auth=contract.get("auth", {}),
        calls=calls,
        lifecycle=LifecycleCalls(**contract["lifecycle"])
        if "lifecycle" in contract
        else LifecycleCalls("", "", {}),
        balance=(balance["call"], balance["read"]) if balance else None,
        models=contract.get("models", {}),
        sources=sources,
        tables=data,
        facts=tuple(_facts(data, sources)),
        free=contract.get("free", ()),
        failures=contract.get("failures", ""),
        telling=WebhookFormat(**contract.get("telling", {})),
        refunds=_refunds(contract["refunds"]) if "refunds" in contract else None,
        times=tuple(Time(**one) for one in contract.get("times", ())),
        limits=tuple(Limit(**one) for one in contract.get("limits", ())),
        dialects={name: Dialect(**one) for name, one in contract.get("dialects", {}).items()},
    )
    problems = list(_problems(book))
    if problems:
        raise ContractFileError(f"{path}: " + "; ".join(problems))
    return book


def seconds(text: str) -> float:
    """Return the seconds of a time span such as `61s`, `59.5s`, `24h` or `1d`."""
    units = {"s": 1, "m": 60, "h": 3600, "d": _ONE_DAY}
    return float(text[:-1]) * units[text[-1]]


def filled(value: Any, names: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any part of a document
    """Return a value with each `$name` or `${name.part}` replaced; a lone `$name` keeps its type.

    An unknown name stays unchanged.
    """
    if isinstance(value, str):
        whole = _PLACEHOLDER.fullmatch(value)
        if whole is not None:
            return _named(whole, names)
        return _PLACEHOLDER.sub(lambda found: str(_named(found, names)), value)
    if isinstance(value, Mapping):
        return {filled(key, names): filled(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, names) for inner in value]
    return value


def _named(found: re.Match[str], names: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any value
    value: Any = names
    for part in (found[1] or found[2]).split("."):
        if not isinstance(value, Mapping) or part not in value:
            return found[0]
        value = value[part]
    return value


def _refunds(given: Mapping[str, Any]) -> Refunds:
    rows = Rows(**given["rows"]) if "rows" in given else None
    return Refunds(**{**given, "rows": rows})


def _call(name: str, form: Mapping[str, Any]) -> CallForm:
    method, _, path = str(form["request"]).partition(" ")
    rest = {key: value for key, value in form.items() if key != "request"}
    return CallForm(name=name, method=method, path=path, **rest)


def _facts(data: Mapping[str, Any], sources: Mapping[str, Source]) -> Iterator[Fact]:
    for entry in data.get("facts", ()):
        table = entry.get("each")
        rows = data[table] if table else [None]
        for row in rows:
            fact = _fact({k: v for k, v in entry.items() if k != "each"}, row)
            source = sources.get(fact.source)
            yield replace(fact, only_simulator=ASSUMED) if source and source.assumed else fact


def _fact(entry: Mapping[str, Any], row: Mapping[str, Any] | None) -> Fact:
    fields = filled(dict(entry), {"row": row} if row is not None else {})
    fields |= {name: str(fields[name]) for name in ("says", "place")}  # a row may hold a number
    if "given" in fields:
        fields["given"] = TargetSettings(**fields["given"])
    return Fact(**fields)


def _problems(book: Book) -> Iterator[str]:
    seen: set[str] = set()
    for fact in book.facts:
        if fact.id in seen:
            yield f"fact {fact.id!r} is defined twice"
        seen.add(fact.id)
        if fact.source not in book.sources:
            known = ", ".join(book.sources)
            yield f"fact {fact.id!r}: source {fact.source!r} is unknown; known: {known}"
        if (fact.untestable is None) == (not fact.steps):
            yield f"fact {fact.id!r} has either steps or a reason why it is untestable"
        for step in fact.steps:
            yield from _step_problems(book, fact, step)
    named = [book.refunds.fact] if book.refunds is not None else []
    named += [one.fact for one in book.times] + [one.fact for one in book.limits]
    for name in named:
        if name not in seen:
            yield f"there is no fact {name!r}; {hint(name, seen)}"


def _step_problems(book: Book, fact: Fact, step: Mapping[str, Any]) -> Iterator[str]:
    kinds = [kind for kind in STEPS if kind in step]
    if len(kinds) != 1:
        yield f"fact {fact.id!r}: a step is one of {', '.join(STEPS)}, not {sorted(step)}"
    if "call" in step and step["call"] not in book.calls:
        call = step["call"]
        yield f"fact {fact.id!r}: there is no call {call!r}; {hint(call, book.calls)}"
