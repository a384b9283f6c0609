"""The `generate` table of a provider's contract: the values that properties vary.

`submits` lists each request that creates a job: its options, clips and mistakes, and the rules
for its price and output. The other keys describe the lifecycle of this provider's jobs. A new
provider needs only a table and no code.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal

from upsim_contracts.exceptions import ContractFileError
from upsim_contracts.facts.fact_files import Book, seconds
from upsim_contracts.suggestions import hint

Dimension = Literal["seconds", "frames", "height", "fps"]


@dataclass(frozen=True, slots=True)
class Clips:
    """The clips that a request accepts, more often near the limits.

    The duration is bounded by `seconds` or by `frames`.
    """

    sizes: Sequence[str]
    rates: Sequence[str]
    seconds: Sequence[str] = ()
    frames: Sequence[int] = ()
    near: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    containers: Sequence[str] = ("mp4",)


@dataclass(frozen=True, slots=True)
class PriceRule:
    """The quantity that is priced, and its rounding to whole units; `least` is always billed."""

    of: Literal["seconds", "frames"]
    round: Literal["up", "down", "none"]
    least: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class TierEdge:
    """A limit between two rates: the last value at the lower rate, and a value just above it."""

    of: Dimension
    at: Any
    above: Any
    set: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QuoteCall:
    """The request that returns a price, and the price's place; `$body` is the submit's body."""

    call: str
    read: str
    body: Any


@dataclass(frozen=True, slots=True)
class OutputRule:
    """How the size and the audio of an output follow from the input and the options."""

    times: int | None = None
    times_by: str | None = None
    short_side: int | None = None
    short_side_by: str | None = None
    table: Mapping[str, int] = field(default_factory=dict)
    audio_by: str | None = None


@dataclass(frozen=True, slots=True)
class Flaw:
    """A mistake in a request, as changes of a step, and the expected response.

    `balance` is a mistake of the account; `limit` marks a mistake in the clip's length or size.
    """

    name: str
    expect: Mapping[str, Any]
    set: Mapping[str, Any] = field(default_factory=dict)
    drop: Sequence[str] = ()
    headers: Mapping[str, str | None] = field(default_factory=dict)
    raw: str | None = None
    video: str | None = None
    balance: str | None = None
    limit: bool = False

    @property
    def touches(self) -> frozenset[str]:
        """The parts of a request that the mistake changes.

        Two mistakes can be combined if they change no common part.
        """
        paths = {f"body.{path}" for path in (*self.set, *self.drop)}
        named = {f"header.{name.lower()}" for name in self.headers if self.raw is None}
        whole = {"raw"} if self.raw is not None else set()
        return frozenset(paths | named | whole | ({"video"} if self.video else set()))


@dataclass(frozen=True, slots=True)
class Submit:
    """One request that creates a job.

    `flaws` have the order in which the provider checks them.
    """

    provider: str
    call: str
    clips: Clips
    price: PriceRule
    output: OutputRule
    options: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    tiers: Sequence[TierEdge] = ()
    quote: QuoteCall | None = None
    flaws: Sequence[Flaw] = ()

    @property
    def id(self) -> str:
        """The name of the submit in test ids."""
        return f"{self.provider}-{self.call}"


@dataclass(frozen=True, slots=True)
class JobListing:
    """The request that lists jobs: the place of the list, and an item's id and status."""

    call: str
    read: str
    id: str
    status: str


@dataclass(frozen=True, slots=True)
class Action:
    """A request about a job other than the poll, such as a cancel.

    It succeeds if the status is in `from_`. Then the job has the status `to`; without `to`, its
    status stays the same. `done` and `otherwise` are the expected responses.
    """

    name: str
    call: str
    from_: Sequence[str]
    done: Mapping[str, Any]
    otherwise: Mapping[str, Any]
    to: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookForm:
    """How a submit names a webhook receiver (`$inbox`), and the content of the webhook.

    `post` and `poll` are the places of the job in a message and in the response to a poll. Both
    have the same fields, except those in `more`. `shows` is the proof of the sender in a message.
    """

    job: str
    status: str
    poll: str
    post: str
    set: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    more: Sequence[str] = ()
    shows: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Generation:
    """The table of one provider.

    - `edges`: the transitions between status words
    - `keeps`: how long an ended job is guaranteed to be readable
    - `time`: the shortest and the longest time of a job
    - `purse`: the smallest amount of a ledger, and how many of its units make one of the balance
    - `foreign`: the response to an account that asks for a job of another account. None means the
      same response as for an unknown id.
    """

    book: Book
    submits: Mapping[str, Submit]
    edges: Mapping[str, Sequence[str]]
    keeps: int
    foreign: Mapping[str, Any] | None
    time: tuple[int, int | None]
    lists: Sequence[str]
    jobs: JobListing | None
    actions: Mapping[str, Action]
    webhook: WebhookForm | None
    purse: Mapping[str, Any]

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self.book.provider

    @property
    def unfinished(self) -> tuple[str, ...]:
        """The status words of a job in progress, starting with the first one."""
        ends = {word for words in self.book.lifecycle.words.values() for word in words}
        return tuple(word for word in self.edges if word not in ends)

    def funds(self, price: Decimal, *, enough: bool) -> str:
        """Return a balance of exactly a price, or slightly less, in the unit of the admin API."""
        exact = price * Decimal(str(self.purse.get("in_one", 1)))
        return f"{exact if enough else exact - Decimal(str(self.purse['smallest'])):f}"

    def ended(self, end: str) -> frozenset[str]:
        """Return the status words for an end, `completed` or `failed`."""
        return frozenset(self.book.lifecycle.words[end])

    def reachable(self, word: str, *, never: Collection[str] = ()) -> frozenset[str]:
        """Return the word itself, and all words that can follow through any number of transitions.

        Words in `never` are skipped.
        """
        found, open_ = {word}, [word]
        while open_:
            for after in self.edges.get(open_.pop(), ()):
                if after not in found and after not in never:
                    found.add(after)
                    open_.append(after)
        return frozenset(found)


def generation(book: Book) -> Generation | None:
    """Return the table of a provider; None if it has none. Raises ContractFileError."""
    table = book.tables.get("contract", {}).get("generate")
    if table is None:
        return None
    try:
        found = _read(book, table)
    except (TypeError, KeyError) as error:
        raise ContractFileError(f"{book.provider}: generate: {error}") from error
    named = [*found.submits, *found.lists, *(one.call for one in found.actions.values())]
    for name in named:
        if name not in book.calls:
            near = hint(name, book.calls)
            raise ContractFileError(f"{book.provider}: generate: no call {name!r}; {near}")
    return found


def _read(book: Book, table: Mapping[str, Any]) -> Generation:
    foreign = table["foreign"]["account"]
    time = table.get("time", {})
    return Generation(
        book=book,
        submits={call: _submit(book.provider, call, one) for call, one in table["submits"].items()},
        edges=table["edges"],
        keeps=int(seconds(table["keeps"])),
        foreign=None if foreign == "unknown" else foreign,
        time=(
            int(seconds(time.get("at_least", "0s"))),
            int(seconds(time["at_most"])) if "at_most" in time else None,
        ),
        lists=table.get("lists", ()),
        jobs=JobListing(**table["jobs"]) if "jobs" in table else None,
        actions={name: _action(name, one) for name, one in table.get("actions", {}).items()},
        webhook=WebhookForm(**table["webhook"]) if "webhook" in table else None,
        purse=table["purse"],
    )


def _submit(provider: str, call: str, table: Mapping[str, Any]) -> Submit:
    parts = dict(table)
    price = dict(parts.pop("price"))
    return Submit(
        provider=provider,
        call=call,
        clips=Clips(**parts.pop("clips")),
        price=PriceRule(**{**price, "least": Decimal(str(price.get("least", 0)))}),
        output=OutputRule(**parts.pop("output")),
        tiers=[TierEdge(**one) for one in parts.pop("tiers", ())],
        quote=QuoteCall(**parts.pop("quote")) if "quote" in parts else None,
        flaws=[Flaw(**one) for one in parts.pop("flaws", ())],
        **parts,
    )


def _action(name: str, table: Mapping[str, Any]) -> Action:
    parts = {("from_" if key == "from" else key): value for key, value in table.items()}
    return Action(name, **parts)


def finite(number: Fraction) -> bool:
    """Return whether a number is exact with at most six decimal places."""
    return (number * 1_000_000).denominator == 1
