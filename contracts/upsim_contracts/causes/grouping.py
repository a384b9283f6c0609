"""Group the findings of a run by cause: one change by the provider gives one sentence.

A finding is a failed fact with its last exchange, a difference between a response and the
OpenAPI document, or a charge. A fact that several causes could explain is assigned to one
cause. Causes that responses show come before causes that only facts show. Causes of many facts
come first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from upsim_contracts.amounts import counted
from upsim_contracts.causes.sentences import SentenceContext, options, sentence
from upsim_contracts.causes.signs import PRICE, Key, key_of, leaf, number, plain_field, renames
from upsim_contracts.charge_check import CHARGE, amount_text
from upsim_contracts.expected_responses import ABSENT, Mismatch, at
from upsim_contracts.facts.account_client import Exchanged
from upsim_contracts.facts.fact_files import Book
from upsim_contracts.facts.fact_runner import CONNECTION, Verdict
from upsim_contracts.findings import Finding
from upsim_contracts.provider_words import ProviderWords, said
from upsim_contracts.used_fields import Place, Weight, place

_SUCCESS = range(200, 300)
_REFUSALS = 400
_OF_THE_MOMENT = frozenset({401, 402, 403, 407, 408, 425, 429})
"""Refusals that say nothing of the request: of the key, the account or the moment."""
_BROKEN, _TOO_MANY = 500, 429
_WHOLE = frozenset({"status", "content type", "body"})
_CLAIMS = frozenset({"refusal", "accepted", "status of errors", "status", "under success"})
_STOPS = frozenset({"refusal", "connection"})
"""Refusals that end a run if they stop fact after fact."""
_UNDER_SUCCESS: Key = ("under success",)
_STRUCTURE = frozenset({"gone", "renamed", "type", "form", "value", *_WHOLE})
"""Changes that can keep a client from reading on."""
_WORD = re.compile(r'"([^"]+)"')


@dataclass(frozen=True, slots=True)
class Cause:
    """One change. `broken` and `unjudged` are the ids of the facts that follow from it.

    `weight` says whether the change concerns a team whose used fields are known.
    """

    key: Key
    sentence: str
    broken: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    details: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    weight: Weight = ""

    def __str__(self) -> str:
        """Return the sentence, and the number of facts that follow from the change."""
        facts_of = [
            f"{counted(len(facts), 'fact')}{what}"
            for facts, what in (
                (self.broken, ""),
                (self.unjudged, " not judged"),  # prose: ok, the name of an outcome
            )
            if facts
        ]
        return f"{self.sentence}: {', '.join(facts_of)}" if facts_of else self.sentence


@dataclass(slots=True)
class Signs:
    """All findings that point to one change."""

    key: Key
    findings: list[Finding] = field(default_factory=list)
    mismatches: dict[str, Finding] = field(default_factory=dict)
    """The difference of each broken fact."""
    exchanges: list[Exchanged] = field(default_factory=list)
    said: ProviderWords = field(default_factory=ProviderWords)

    @property
    def all(self) -> list[Finding]:
        """All findings; differences of responses come first, because they cite the document."""
        return [*self.findings, *self.mismatches.values()]


def causes(book: Book, verdicts: Sequence[Verdict], stopped_by: str = "") -> list[Cause]:
    """Return the causes of all findings of a run; causes of most facts come first.

    `stopped_by` is a refusal or a lost connection that ended the run. Facts that were not run
    because of it follow from its cause.
    """
    reading = _Reading(book, verdicts)
    found = [_cause(book, reading, one) for one in reading.cover()]
    left = tuple(one.fact.id for one in verdicts if stopped_by and one.reason == stopped_by)
    refusal = next((one for one in found if left and one.key[0] in _STOPS), None)
    if refusal is not None:
        found.remove(refusal)
        found.append(replace(refusal, unjudged=(*refusal.unjudged, *left)))
    return sorted(found, key=lambda one: -len(one.broken) - len(one.unjudged))


class _Reading:
    """The signs of a run, grouped by the change that they point to."""

    def __init__(self, book: Book, verdicts: Sequence[Verdict]) -> None:
        self.book = book
        self.verdicts = verdicts
        self.groups: dict[Key, Signs] = {}
        self._facts: dict[str, list[Key]] = {}
        self._renamed: dict[str, str] = {}
        self._fields: dict[tuple[str, str], Key] = {}
        broken = [one for one in verdicts if one.outcome == "broken"]
        self._moment = {key for one in broken for key in _refusals(one)}
        for verdict in verdicts:
            self._renamed |= _renamed(verdict)
        for verdict in verdicts:
            for exchange in verdict.exchanges:
                self._note(
                    exchange, [] if self._is_claimed(verdict, exchange) else exchange.findings
                )
        for verdict in broken:
            self._read(verdict)
        for verdict in verdicts:
            self._charges(verdict)
        for verdict in broken:
            if verdict.fact.given.balance is not None and (PRICE,) in self.groups:
                self._follow(verdict, self.groups[(PRICE,)])
        self._follow_default()

    def cover(self) -> Iterator[Signs]:
        """Yield changes that together explain all findings; each fact belongs to one change."""
        left = set(self._facts)
        groups = dict(self.groups)
        while groups:
            key = max(groups, key=lambda k: (bool(groups[k].findings), self._weight(k, left)))
            own = [fact for fact in self._facts if fact in left and key in self._facts[fact]]
            group = groups.pop(key)
            group.mismatches = {fact: group.mismatches[fact] for fact in own}
            left.difference_update(own)
            if own or group.findings:
                yield group

    def good(self) -> Iterator[Exchanged]:
        """Yield the paid requests of the facts that passed."""
        for verdict in self.verdicts:
            if verdict.outcome == "held" and not verdict.differences:
                yield from (one for one in verdict.exchanges if one.form.paid)

    def is_of_all(self, status: int, *, paid: bool) -> bool:
        """Return whether all submits, or all requests, got a response with this status."""
        calls = [one for verdict in self.verdicts for one in verdict.exchanges]
        return all(one.status == status for one in calls if one.form.paid or not paid)

    def _is_claimed(self, verdict: Verdict, exchange: Exchanged) -> bool:
        """Return whether a fact is about the whole response, which explains its differences."""
        if verdict.outcome != "broken" or exchange is not verdict.exchanges[-1]:
            return False
        return any(key[0] in _CLAIMS for key, _ in self._keys(verdict, exchange))

    def _note(self, exchange: Exchanged, findings: Sequence[Finding]) -> None:
        """Note the changes that a response points to.

        An error with a success status is one change; the fields that it lacks follow from that.
        """
        if findings and _is_error(exchange):
            seen = str(exchange.status)
            place, name = exchange.operation, self.book.provider
            findings = [Finding(name, place, "status", "the status of a refusal", seen, "")]
            group = self._group(_UNDER_SUCCESS)
            group.said = said(exchange.document, exchange.text)
            group.findings += findings
            group.exchanges.append(exchange)
            return
        for finding in _firsts(self.book, findings):
            group = self._group(key_of(finding))
            group.findings.append(finding)
            group.exchanges.append(exchange)
            self._fields[exchange.operation, plain_field(finding.where)] = group.key

    def _weight(self, key: Key, left: set[str]) -> int:
        return sum(fact in left and key in keys for fact, keys in self._facts.items())

    def _group(self, key: Key) -> Signs:
        """Return the signs with this key; both names of a renamed field share one key."""
        kind, *names = key
        if kind == "gone" and names[0] in self._renamed:
            key = ("renamed", names[0], self._renamed[names[0]])
        if kind == "new":
            old = next((old for old, new in self._renamed.items() if new == names[0]), None)
            key = key if old is None else ("renamed", old, names[0])
        return self.groups.setdefault(key, Signs(key))

    def _read(self, verdict: Verdict) -> None:
        """Note the changes that a broken fact points to."""
        last = verdict.exchanges[-1] if verdict.exchanges else None
        keys = self._facts.setdefault(verdict.fact.id, [])
        for key, mismatch in self._keys(verdict, last):
            group = self._group(key)
            keys.append(group.key)
            name = last.operation if last else ""
            where = mismatch.where
            seen = Finding(
                self.book.provider, name, where, mismatch.expected, mismatch.seen, verdict.fact.id
            )
            group.mismatches.setdefault(verdict.fact.id, seen)
            if last is not None:
                group.exchanges.append(last)
                group.said = group.said if str(group.said) else said(last.document, last.text)
        if not any(self.groups[key].findings for key in keys):
            for group in self._behind(verdict):
                self._follow(verdict, group)

    def _follow(self, verdict: Verdict, group: Signs) -> None:
        """Note that this change may also explain another broken fact."""
        first, name = verdict.mismatches[0], self.book.provider
        self._facts[verdict.fact.id].append(group.key)
        seen = Finding(name, "", first.where, first.expected, first.seen, "")
        group.mismatches.setdefault(verdict.fact.id, seen)

    def _follow_default(self) -> None:
        """Explain undocumented charges by a changed default if all requests left out the option."""
        price = self.groups.get((PRICE,))
        if price is None:
            return
        charged = {*price.mismatches, *(one.evidence for one in price.findings)}
        for key, group in list(self.groups.items()):
            shown = set(group.mismatches)
            if key[0] == "value" and shown and self._leave_out(key[1], charged | shown):
                new = ("default", *key[1:])
                self.groups[new] = Signs(
                    new,
                    group.findings,
                    {**group.mismatches, **price.mismatches},
                    [*group.exchanges, *price.exchanges],
                    group.said,
                )
                del self.groups[key], self.groups[(PRICE,)]
                for keys in self._facts.values():
                    keys[:] = [new if one in (key, (PRICE,)) else one for one in keys]
                return

    def _leave_out(self, option: str, facts: set[str]) -> bool:
        """Return whether each of these facts makes a paid request without this option."""
        calls = {
            verdict.fact.id: [one.body for one in verdict.exchanges if one.form.paid]
            for verdict in self.verdicts
            if verdict.fact.id in facts
        }
        return all(any(option not in dict(options(b)) for b in bodies) for bodies in calls.values())

    def _behind(self, verdict: Verdict) -> list[Signs]:
        """Return the changes of responses that prevent a fact from reading the fields it needs."""
        found = []
        for exchange in verdict.exchanges:
            needed = self._needed(exchange)
            for finding in _firsts(self.book, exchange.findings):
                group = self._group(key_of(finding))
                kind, field = group.key[0], plain_field(finding.where)
                is_read = any(f"{one}.".startswith(f"{field}.") for one in needed)
                if kind in _WHOLE or (kind in _STRUCTURE and is_read):
                    found.append(group)
        return found

    def _needed(self, exchange: Exchanged) -> set[str]:
        """Return the fields of this response that a client needs in order to continue."""
        life, balance = self.book.lifecycle, self.book.balance
        needed = {exchange.form.job} if exchange.form.job else set()
        if exchange.form.name == life.call:
            needed |= {life.read, *life.output}
        if balance and exchange.form.name == balance[0]:
            needed.add(plain_field(balance[1]))
        return needed

    def _keys(self, verdict: Verdict, last: Exchanged | None) -> Iterator[tuple[Key, Mismatch]]:
        first = verdict.mismatches[0]
        if first.where == CONNECTION or last is None:
            yield ("connection", first.seen), first
            return
        status = next((one for one in verdict.mismatches if one.where == "status"), None)
        refusal = _refusal(last)
        if _is_unexpected(verdict) or (last.status >= _REFUSALS and refusal in self._moment):
            yield refusal, status or first
            return
        if status is not None:
            yield self._another_status(status, last), status
            return
        for mismatch in verdict.mismatches:
            seen = self._shown(last, plain_field(mismatch.where))
            yield seen or self._key(verdict, mismatch), mismatch

    def _shown(self, last: Exchanged, field: str) -> Key | None:
        """Return the change that a response itself shows in a field, or in a part of the field."""
        if field == "json" and last.findings:
            return self._group(key_of(last.findings[0])).key
        exact = self._fields.get((last.operation, field))
        below = [
            self._fields.get((last.operation, plain_field(one.where)))
            for one in last.findings
            if plain_field(one.where).startswith(f"{field}.")
        ]
        return exact or next((key for key in below if key is not None), None)

    def _another_status(self, status: Mismatch, last: Exchanged) -> Key:
        """Return the cause if a response has a different status than its fact expects."""
        if not _is_refusal(status.expected):
            return ("status", status.seen)
        if _is_error(last):
            return _UNDER_SUCCESS
        accepted = last.form.job is not None and at(last.document, last.form.job) is not ABSENT
        if last.status in _SUCCESS and (accepted or "error" not in last.text[:20]):
            return ("accepted",)
        return ("status of errors", status.expected, status.seen)

    def _key(self, verdict: Verdict, mismatch: Mismatch) -> Key:
        """Return the cause to which one difference of a fact points."""
        where, life = plain_field(mismatch.where), self.book.lifecycle
        if where in (CHARGE, "charged"):
            charged = mismatch.expected.startswith("0 ")
            accepted = any(one.form.paid and one.status in _SUCCESS for one in verdict.exchanges)
            if not charged or (accepted and verdict.differences):
                return (PRICE,)
            return ("refund" if accepted else "charged refusal",)
        if where == "output":
            return ("gone", leaf(life.output[0]) if life.output else "output")
        if where == life.read:
            return self._word(mismatch)
        found = key_of(Finding("", "", where, mismatch.expected, mismatch.seen, ""))
        if found[0] == "form" and number(mismatch.seen) is None:
            return ("value", leaf(where), mismatch.seen)
        return found

    def _word(self, mismatch: Mismatch) -> Key:
        """Return the cause to which an unexpected status of a job points."""
        words, life = _WORD.findall(mismatch.seen), self.book.lifecycle
        last = words[-1] if words else ""
        expected = _WORD.findall(mismatch.expected) or [mismatch.expected]
        ends = [word for some in life.words.values() for word in some]
        if last in life.words.get("failed", ()):
            return ("failed",)
        if last and last not in ends and expected[-1] in (*ends, "completed"):
            return ("slow",)
        return ("value", leaf(life.read), mismatch.seen)

    def _charges(self, verdict: Verdict) -> None:
        """Note each undocumented charge, unless its fact already reports more."""
        keys = self._facts.get(verdict.fact.id, [])
        explained = any(key[0] not in (PRICE, "charged refusal", "refund") for key in keys)
        explained = explained or any(map(_is_error, verdict.exchanges))
        for one in verdict.differences:
            if explained and one.actual == 0:
                continue
            wanted, seen = (amount_text(a, self.book.unit) for a in (one.documented, one.actual))
            call = re.sub(r"^(\S+ \S+).*", r"\1", one.what)
            finding = Finding(self.book.provider, call, CHARGE, wanted, seen, verdict.fact.id)
            key: Key = ("charged refusal",) if one.documented == 0 else (PRICE,)
            key = next((known for known in keys if known[0] == "refusal"), key)
            self._group(key).findings.append(finding)
            paid = [exchange for exchange in verdict.exchanges if exchange.form.paid]
            self._group(key).exchanges += paid


def _cause(book: Book, reading: _Reading, signs: Signs) -> Cause:
    facts = tuple(signs.mismatches)
    calls = signs.exchanges
    unjudged = signs.key[0] == "connection"
    everywhere = False
    if signs.key[0] == "refusal":
        status = int(signs.key[1])
        everywhere = all(one.form.paid for one in calls) and reading.is_of_all(status, paid=True)
        everywhere = everywhere or reading.is_of_all(status, paid=False)
        unjudged = everywhere or status in _OF_THE_MOMENT or status >= _BROKEN
    good = list(reading.good())
    text = sentence(
        SentenceContext(
            book,
            signs.key,
            findings=signs.all,
            calls=calls,
            good=good,
            said=signs.said,
            everywhere=everywhere,
        )
    )
    details = tuple(dict.fromkeys(_detail(one) for one in signs.all))
    broken, left = ((), facts) if unjudged else (facts, ())
    places = tuple(dict.fromkeys(place(one.operation, one.where) for one in signs.all))
    return Cause(signs.key, text, broken, left, details, places)


def _detail(one: Finding) -> str:
    return f"{one.operation}: {one.where}: expected {one.expected}, saw {one.seen}".lstrip(": ")


def _refusal(exchange: Exchanged) -> Key:
    """Return the key of a refusal; numbers in its text are ignored, because they vary."""
    about = said(exchange.document, exchange.text)
    return ("refusal", str(exchange.status), about.code, re.sub(r"\d+", "#", about.message))


def _is_unexpected(verdict: Verdict) -> bool:
    """Return whether a fact ended because a request that should succeed was refused."""
    if not verdict.exchanges or verdict.exchanges[-1].status < _REFUSALS:
        return False
    status = next((one for one in verdict.mismatches if one.where == "status"), None)
    if status is not None:
        return not _is_refusal(status.expected)
    return verdict.mismatches[0].expected in ("a balance", "a value")


def _refusals(verdict: Verdict) -> Iterator[Key]:
    """Yield the refusals of one fact that concern the account or the time, not the request."""
    last = verdict.exchanges[-1] if verdict.exchanges else None
    if last is not None and last.status >= _REFUSALS:
        passing = last.status in (_TOO_MANY, *range(_BROKEN, 600))
        if passing or _is_unexpected(verdict):
            yield _refusal(last)


def _is_error(exchange: Exchanged) -> bool:
    """Return whether a response has a success status and the body of an error."""
    body = exchange.document
    if exchange.status not in _SUCCESS or not isinstance(body, Mapping):
        return False
    code = body.get("code")
    is_code = isinstance(code, int) and code >= _REFUSALS
    return bool(body.get("error")) or body.get("success") is False or is_code


def _is_refusal(expected: str) -> bool:
    return re.match(r"(at_least )?[45]", expected) is not None


def _renamed(verdict: Verdict) -> dict[str, str]:
    """Return the fields that have a new name in the responses of one fact, by their path."""
    found: dict[str, str] = {}
    for exchange in verdict.exchanges:
        if _is_error(exchange):
            continue
        new: dict[str, str] = {}
        missing: dict[str, str] = {}
        is_last = exchange is verdict.exchanges[-1]
        for one in exchange.findings:
            kind = key_of(one)[0]
            if kind == "new":
                new[plain_field(one.where)] = one.seen
            elif kind == "gone":
                missing[plain_field(one.where)] = ""
        for mismatch in verdict.mismatches if is_last else ():
            if mismatch.seen == "nothing" and mismatch.where != "status":
                missing[plain_field(mismatch.where)] = mismatch.expected
        found |= {leaf(old): name for old, name in renames(missing, new).items()}
    return found


def _firsts(book: Book, findings: Sequence[Finding]) -> Sequence[Finding]:
    """Return the differences of a response without the differences that another one explains."""
    whole = [one for one in findings if key_of(one)[0] in _WHOLE]
    words = [
        one
        for one in findings
        if plain_field(one.where) == book.lifecycle.read and key_of(one)[0] in ("value", "type")
    ]
    if whole or words:
        apart = [one for one in findings if "no such" in one.expected]
        return [*(whole or words), *apart]
    return findings


def judged(verdicts: Iterable[Verdict], found: Iterable[Cause]) -> Iterator[Verdict]:
    """Yield the verdicts; facts that could not be checked because of another cause are marked."""
    reasons = {fact: cause.sentence for cause in found for fact in cause.unjudged}
    for verdict in verdicts:
        reason = reasons.get(verdict.fact.id)
        yield verdict if reason is None else replace(verdict, outcome="not judged", reason=reason)
