"""Find the requests that cost money, and the highest possible price of each."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from typing import Any

from upsim_contracts.clip_properties import ClipProperties
from upsim_contracts.facts.account_client import Pricer, body_of
from upsim_contracts.facts.fact_files import Book, CallForm, Fact
from upsim_contracts.spending_guard import FREE_METHODS
from upsim_contracts.suggestions import MAX_COMPARED_LENGTH, hint
from upsim_contracts.unbounded_options import asks_for_more, option_leaves, size_options

UNDOCUMENTED_PATH = "the path is not documented"
UNPRICED = "an option has no documented price, so the most expensive job counts"
_NAMES = ("model", "task_type")
_FOR_PEOPLE = frozenset({"message", "error", "raw_message"})
_PRICES = re.compile(r"pric|billed|credits per", re.IGNORECASE)
_NAME = re.compile(r"\\\$[a-z_]+")


@dataclass(frozen=True, slots=True)
class RequestCost:
    """A request that costs money, or could. `call` is empty if the request is not in the book.

    `worst` is the highest possible price, None if it is unknown. `why` says why the price is
    unknown, or why `worst` is the price of the most expensive job.
    """

    call: str
    documented: Decimal | None
    worst: Decimal | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Priced:
    """A request in a fact that states a price, and the options of that request."""

    evidence: str
    options: Mapping[str, str]
    in_prices: bool

    def likeness(self, asked: Mapping[str, str]) -> tuple[bool, int]:
        """Return whether the source is a price list, and the number of options equal to `asked`."""
        same = sum(asked.get(name) == value for name, value in self.options.items())
        return self.in_prices, same


class CostTable:
    """The price list of one provider, for requests known by method, path and body."""

    def __init__(self, book: Book, price: Pricer) -> None:
        """Read the requests and facts of the book."""
        self.book = book
        self._price = price
        self._calls = [(one, _pattern(one.path)) for one in book.calls.values()]
        self._free = [_free(text) for text in book.free]
        self._priced: dict[str, list[_Priced]] = {}
        for call, one in chain.from_iterable(map(self._priced_steps, book.facts)):
            self._priced.setdefault(call, []).append(one)
        paid = [one for call in self._priced if book.calls[call].paid for one in self._priced[call]]
        self._bases = _bases(book)
        self._sizes = size_options(one.options for one in paid)
        self.texts = frozenset(_texts([one.steps for one in book.facts if not one.only_simulator]))
        """The wordings of errors that a document prints."""

    def call(self, method: str, path: str) -> CallForm | None:
        """Return the operation of the book for this method and path; None if there is none."""
        bare = path.partition("?")[0]
        found = (c for c, form in self._calls if c.method == method and form.fullmatch(bare))
        return next(found, None)

    def toll(
        self,
        method: str,
        path: str,
        clips: Collection[ClipProperties],
        body: object,
        *,
        certain: bool,
    ) -> RequestCost | None:
        """Return the possible cost of a request; None if it never costs anything.

        `certain` means that the body has one possible reading, and that `clips` are all of its
        videos. Otherwise the longest video is assumed. Of several videos, the most expensive one
        is assumed. A malformed request counts as the most expensive job; if the provider refuses
        it, it is free. The price is unknown for a path or a model that is not in the book, and
        for an option above every documented value.
        """
        form, bare = self.call(method, path), path.partition("?")[0]
        known_free = any(m == method and form.fullmatch(bare) for m, form in self._free)
        if method in FREE_METHODS or known_free or (form is not None and not form.paid):
            return None
        if form is None:
            return RequestCost("", None, None, self._undocumented(bare))
        fields: Mapping[str, Any] = body if isinstance(body, Mapping) else {}
        other = self._other_model(form, fields)
        if other or asks_for_more(fields, self._sizes):
            return RequestCost(form.name, None, None, other)
        if not certain or not clips:
            return RequestCost(form.name, None, self._price(form.name, None, fields))
        prices = {self._price(form.name, one, own) for one in clips for own in _readings(fields)}
        if None in prices:
            return RequestCost(form.name, None, self._price(form.name, None, {}), UNPRICED)
        worst = max(price for price in prices if price is not None)
        return RequestCost(form.name, worst if len(prices) == 1 else None, worst)

    def evidence(self, call: str, body: object = None) -> str:
        """Return the source of a request's price: the fact with most of the request's options.

        An option that a request leaves out, or sends as null, has the value of the book's own body,
        which is the documented default.
        """
        priced, form = self._priced.get(call, ()), self.book.calls.get(call)
        names = {name for one in priced for name in one.options}
        usual = _options(form.body) if form is not None and isinstance(body, Mapping) else ()
        given = ((name, value) for name, value in _options(body) if value is not None)
        asked = {name: str(value) for name, value in (*usual, *given) if name in names}
        best = max(priced, key=lambda one: one.likeness(asked), default=None)
        return best.evidence if best is not None else "no source given"

    def output_evidence(self, name: str) -> str:
        """Return the source of this property of an output: the first fact that checks it."""
        for fact in self.book.facts:
            if any(name in step.get("output", {}) for step in fact.steps):
                return self._cited(fact)
        return "no source given"

    def cited(self, name: str) -> str:
        """Return the source of a fact, by the fact's id."""
        return next(self._cited(fact) for fact in self.book.facts if fact.id == name)

    def _cited(self, fact: Fact) -> str:
        source = self.book.sources[fact.source]
        return f"{source.title}, {fact.place}, {source.read}"

    def _priced_steps(self, fact: Fact) -> Iterator[tuple[str, _Priced]]:
        """Yield the requests in a fact that states a price, by the names of their operations."""
        if all(str(one.get("charged", "0")) == "0" for one in fact.steps):
            return
        evidence = self._cited(fact)
        in_prices = _PRICES.search(str(fact.place)) is not None
        for step in fact.steps:
            form = self.book.calls.get(step.get("call", ""))
            if form is not None:
                own = {name: str(value) for name, value in _options(body_of(form, step))}
                yield form.name, _Priced(evidence, own, in_prices)

    def _undocumented(self, path: str) -> str:
        """Return that a path is not in the book; name its model if the path ends with a model."""
        for base, others in self._bases.items():
            model = path.removeprefix(base).strip("/")
            vendor, slash, _ = model.partition("/")
            if path.startswith(base) and slash and vendor not in others:
                return _not_documented("model", model, self.book.models)
        return UNDOCUMENTED_PATH

    def _other_model(self, form: CallForm, fields: Mapping[str, Any]) -> str:
        """Return that a model or task in a request is not documented; empty if all are documented.

        Only texts count as names; null, for example, does not.
        """
        usual = form.body if isinstance(form.body, Mapping) else {}
        for name in _NAMES:
            if name not in usual or name not in fields:
                continue
            known = self.book.models if name == "model" else [str(usual[name])]
            for _, value in option_leaves(fields[name]):
                if isinstance(value, str) and value and value != usual[name]:
                    return _not_documented(name, value, known)
        return ""


def _bases(book: Book) -> dict[str, set[str]]:
    """Return the path prefixes before model names, each with first segments that are no vendor.

    >>> from upsim_contracts.verify.run import book_of
    >>> sorted(_bases(book_of("wavespeed"))["/api/v3/"])[-2:]
    ['user', 'webhook']
    """
    own = {
        book.calls[call].path: name
        for name, call in book.models.items()
        if call in book.calls and book.calls[call].path.endswith(f"/{name}")
    }
    free = (text.partition(" ")[2] for text in book.free)
    others = {*free, *(one.path for one in book.calls.values())} - own.keys()
    return {
        base: {one.removeprefix(base).split("/")[0] for one in others if one.startswith(base)}
        for base in {path.removesuffix(name) for path, name in own.items()}
    }


def _not_documented(kind: str, name: str, known: Iterable[str]) -> str:
    """Return that a name is not documented, with the nearest known name, or all known names."""
    short = name if len(name) <= MAX_COMPARED_LENGTH else f"{name[:MAX_COMPARED_LENGTH]}…"
    return f"the {kind} {short!r} is not documented; {hint(name, known)}"


def _readings(fields: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the options of a request in each way that a provider could read them."""
    inner = fields.get("input")
    if not isinstance(inner, Mapping) or fields.keys().isdisjoint(inner):
        return [fields]
    return [fields, {name: value for name, value in fields.items() if name != "input"}]


def _options(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Yield the plain values of a body, each with its name."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _options(inner, str(key))
    elif not isinstance(value, list):
        yield name, value


def _texts(value: object, name: str = "") -> Iterator[str]:
    """Yield the expected human-readable texts in facts, such as error messages."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, str(key).rpartition(".")[2])
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner, name)
    elif isinstance(value, str) and name in _FOR_PEOPLE:
        yield value


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(_NAME.sub("[^/]+", re.escape(path)))


def _free(text: str) -> tuple[str, re.Pattern[str]]:
    method, _, path = text.partition(" ")
    return method, _pattern(path)
