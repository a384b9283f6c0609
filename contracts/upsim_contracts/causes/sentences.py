"""A sentence for each kind of change, with the terms of the provider's API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from upsim_contracts.causes.signs import Key, leaf, number, plain_field, ratio
from upsim_contracts.documents.openapi import document
from upsim_contracts.facts.account_client import Exchanged
from upsim_contracts.facts.fact_files import Book
from upsim_contracts.findings import Finding
from upsim_contracts.provider_words import ProviderWords

MAX_NAMED = 3
_FILE = re.compile(r"https?://|data:")
_SAME = Decimal("0.005")
"""Maximum difference of two price ratios that count as equal."""
_SIDES = {
    "width": ("narrower", "wider", " px"),
    "height": ("lower", "higher", " px"),
    "seconds": ("shorter", "longer", " s"),
}


@dataclass(frozen=True, slots=True)
class SentenceContext:
    """The values that a sentence may use. `good`: paid requests that cost the documented price."""

    book: Book
    key: Key
    findings: Sequence[Finding]
    calls: Sequence[Exchanged]
    good: Sequence[Exchanged]
    said: ProviderWords
    everywhere: bool

    @property
    def provider(self) -> str:
        """The provider's name as its document spells it."""
        title = str(document(self.book.provider)["info"]["title"])
        return title.partition(",")[0]

    @property
    def first(self) -> Finding:
        """The finding that the sentence cites."""
        return self.findings[0]

    @property
    def verb(self) -> str:
        """The verb after the list of operations, in singular or plural."""
        return "answer" if ", " in self.places else "answers"

    @property
    def places(self) -> str:
        """The operations of the findings as a list."""
        names = (re.sub(r" \d{3}$", "", one.operation) for one in self.findings)
        return listed(dict.fromkeys(name for name in names if name))


def sentence(scene: SentenceContext) -> str:
    """Return a plain English sentence about the change."""
    return _SENTENCES.get(scene.key[0], _differs)(scene)


def listed(names: Iterable[str]) -> str:
    """Return the first names of a list, and the number of further names."""
    known = list(names)
    more = len(known) - MAX_NAMED
    text = ", ".join(known[:MAX_NAMED])
    return f"{text} and {more} more" if more > 0 else text


def _price(scene: SentenceContext) -> str:
    """Return by how much the charges differ from the document, and for which requests."""
    ratios = [found for found in map(ratio, scene.findings) if found is not None]
    priced = [one for one in scene.findings if ratio(one) is not None]
    first = next((one for one in priced if one.where in ("charge", "charged")), None)
    first = first or next(iter(priced), scene.first)
    example = f"documented {first.expected}, charged {first.seen}"
    if first.where not in ("charge", "charged"):
        example = f"`{plain_field(first.where)}` is {first.seen}, documented {first.expected}"
    which = _apart(scene.calls, scene.good)
    bad, good = (
        {one.operation for one in calls if one.form.paid} for calls in (scene.calls, scene.good)
    )
    charges = "charges" if bad else "quotes"
    if not bad or good - bad:
        which = f" in {listed(sorted(bad)) if bad else scene.places}{which}"
    if not ratios:
        return f"{scene.provider} {charges} other amounts than documented{which} ({example})"
    low, high = min(ratios), max(ratios)
    steady = _ratio(scene.findings)
    if steady is not None:
        amount = _percent(steady)
    elif low >= 1 or high <= 1:
        few, much = sorted((abs(low - 1), abs(high - 1)))
        amount = (
            f"{_number(few * 100)} to {_number(much * 100)} % {'more' if low >= 1 else 'less'} than"
        )
    else:
        return f"{scene.provider} {charges} other amounts than documented{which} ({example})"
    return f"{scene.provider} {charges} {amount} documented{which} ({example})"


def _ratio(findings: Iterable[Finding]) -> Decimal | None:
    """Return the ratio that explains all amounts apart from rounding; None if there is none."""
    pairs = [(number(one.expected), number(one.seen)) for one in findings if ratio(one) is not None]
    amounts = [(a, b) for a, b in pairs if a is not None and b is not None]
    largest = max(amounts, key=lambda pair: pair[0])
    found = largest[1] / largest[0]
    for expected, seen in amounts:
        places = seen.as_tuple().exponent
        step = Decimal(1).scaleb(min(places, 0) if isinstance(places, int) else 0)
        if abs(seen - expected * found) > max(step, expected * _SAME):
            return None
    return found


def _percent(found: Decimal) -> str:
    if found == 2:  # noqa: PLR2004 - twice
        return "twice as much as"
    change = (found - 1) * 100
    return f"{_number(abs(change))} % {'more' if change > 0 else 'less'} than"


def _number(amount: Decimal) -> str:
    return f"{amount.quantize(Decimal('0.1')).normalize():f}"


def _apart(bad: Sequence[Exchanged], good: Sequence[Exchanged]) -> str:
    """Return the option that all wrongly priced requests share and all other requests lack."""
    sent = [dict(options(one.body)) for one in bad if one.form.paid]
    others = [dict(options(one.body)) for one in good]
    for name in dict.fromkeys(name for one in (*sent, *others) for name in one):
        values = {one.get(name) for one in sent}
        if len(values) == 1 and others and not values & {one.get(name) for one in others}:
            (value,) = values
            return f" without `{name}`" if value is None else f" for `{name}` {value}"
    return ""


def options(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the name and value of each option in a request body, without files."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from options(inner, str(key))
    elif isinstance(value, str | int | Decimal) and _FILE.match(str(value)) is None:
        yield name, str(value)


def _refusal(scene: SentenceContext) -> str:
    _, status, _code, _ = scene.key
    subject = scene.places
    if scene.everywhere:
        subject = "every submit" if all(one.form.paid for one in scene.calls) else "every call"
    verb = "answers" if scene.everywhere else scene.verb
    what = f"{subject} {verb} {status} {scene.said}".rstrip()
    charged = [one for one in scene.findings if one.where == "charge"]
    return f"{what} and is charged" if charged else what


def _status_of_errors(scene: SentenceContext) -> str:
    _, expected, seen = scene.key
    names = f" ({scene.said})" if str(scene.said) else ""
    return f"the status of refusals documented as {expected} is now {seen}{names}"


def _accepted(scene: SentenceContext) -> str:
    documented = listed(dict.fromkeys(one.expected for one in scene.findings))
    seen = listed(dict.fromkeys(one.seen for one in scene.findings))
    verb = "accept" if ", " in scene.places else "accepts"
    refusal = f"what is documented to be refused with {documented}"
    return f"{scene.places} {verb} {refusal} (now {seen})"


def _status(scene: SentenceContext) -> str:
    documented = scene.first.expected.removeprefix("one of ")
    said = f": {scene.said}" if str(scene.said) else ""
    what = f"{scene.places} {scene.verb} {scene.key[1]}, an undocumented status"
    return f"{what} (documented: {documented}){said}"


def _value(scene: SentenceContext) -> str:
    field, seen = _field(plain_field(scene.first.where)), scene.key[2]
    documented = scene.first.expected.removeprefix("one of ").replace('"', "")
    if scene.key[1] == leaf(scene.book.lifecycle.read) and seen.count('"') == 2:  # noqa: PLR2004 - one word
        word = seen.strip('"')
        return f"`{word}` is an undocumented status (documented: {documented}) in {scene.places}"
    facts = {one.expected for one in scene.findings if not one.expected.startswith("one of")}
    if len(facts) == 1:
        (documented,) = facts
        return f"{field} {documented} is now {seen} in {scene.places}"
    return f"{field} is {seen} in {scene.places} (documented: {scene.first.expected})"


def _default(scene: SentenceContext) -> str:
    _, name, seen = scene.key
    own = [one for one in scene.findings if leaf(plain_field(one.where)) == name]
    documented = own[0].expected.removeprefix("one of ")
    places = listed(dict.fromkeys(re.sub(r" \d{3}$", "", one.operation) for one in own))
    return f"the default of `{name}` is now {seen} (documented: {documented}) in {places}"


def _under_success(scene: SentenceContext) -> str:
    facts = (one.expected for one in scene.findings if one.expected[0].isdecimal())
    documented = listed(dict.fromkeys(facts))
    about = f" (documented: {documented})" if documented else ""
    return f"errors are answered with {scene.first.seen}{about}: {scene.said}"


def _output(scene: SentenceContext) -> str:
    name = scene.key[1]
    changes: dict[str, set[Decimal | None]] = {}
    for one in scene.findings:
        side = one.where.rpartition(".")[2]
        wanted, seen = _bound(one.expected), number(one.seen.strip('"'))
        change = None if wanted is None or seen is None else seen - wanted
        changes.setdefault(side, set()).add(change)
    told = []
    for side, found in changes.items():
        less, more, unit = _SIDES.get(side, (f"fewer {side}", f"more {side}", ""))
        (change, *others) = found
        if others or change is None or side not in (*_SIDES, "frames"):
            break
        told.append(f"{_plain(abs(change))}{unit} {less if change < 0 else more}")
    else:
        sides = ", ".join(f"`{side}`" for side in changes)
        return f"output is {' and '.join(told)} than documented ({sides})"
    example = f"documented {scene.first.expected}, found {scene.first.seen}"
    if name == "audio":
        gone = scene.first.seen == "false"
        return f"output has {'no sound' if gone else 'sound'}, other than documented (`audio`)"
    return f"output has another {name} than documented ({scene.first.where}: {example})"


def _bound(expected: str) -> Decimal | None:
    return number(re.sub(r"^(at_least|at_most) ", "", expected).strip('"'))


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


def _connection(scene: SentenceContext) -> str:
    return f"the target does not answer ({scene.first.seen})"


def _slow(scene: SentenceContext) -> str:
    return (
        "jobs take longer than documented "
        f"(expected {scene.first.expected}, saw {scene.first.seen})"
    )


def _failed(scene: SentenceContext) -> str:
    said = f": {scene.said}" if str(scene.said) else ""
    return f"jobs fail that are documented to complete{said}"


def _differs(scene: SentenceContext) -> str:
    one = scene.first
    where = _field(plain_field(one.where))
    place = f" in {scene.places}" if scene.places else ""
    return f"{where} is {one.seen}{place} (documented: {one.expected})"


def _field(path: str) -> str:
    return f"`{path.removeprefix('data.')}`"


def _leaf(path: str) -> str:
    return f"`{leaf(path)}`"


_SENTENCES: Mapping[str, Callable[[SentenceContext], str]] = {
    "price": _price,
    "refund": lambda s: (
        f"{s.provider} does not refund what failed jobs cost "
        f"(charged {s.first.seen}, documented {s.first.expected})"
    ),
    "charged refusal": lambda s: (
        f"{s.provider} charges for refused requests "
        f"(charged {s.first.seen}, documented {s.first.expected})"
    ),
    "refusal": _refusal,
    "status of errors": _status_of_errors,
    "accepted": _accepted,
    "status": _status,
    "under success": _under_success,
    "connection": _connection,
    "slow": _slow,
    "failed": _failed,
    "output": _output,
    "value": _value,
    "default": _default,
    "renamed": lambda s: f"{_leaf(s.key[1])} is now `{s.key[2]}` in {s.places}",
    "new": lambda s: f"{_leaf(s.key[1])} is an undocumented field in {s.places} ({s.first.seen})",
    "gone": lambda s: f"{_leaf(s.key[1])} is missing in {s.places}",
    "new header": lambda s: f"header `{s.key[1]}` is new in {s.places} ({s.first.seen})",
    "header gone": lambda s: f"header `{s.key[1]}` is missing in {s.places}",
    "content type": lambda s: (
        f"{s.places} {s.verb} with `Content-Type: {s.key[1]}` (documented: {s.first.expected})"
    ),
    "body": lambda s: f"{s.places} {s.verb} with no JSON: {s.first.seen}",
}
