"""Judging lies: whether any fact of the provider breaks when one documented value is different.

Only what provider routes answer counts. Facts that speak of what the lie is about come first, and
the first that breaks is enough. Each lie is judged in a forked child of a parent that has judged
the truth, so that files and modules are there already.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from upsim_contracts.calling import Pricer
from upsim_contracts.exceptions import TargetError
from upsim_contracts.facts import Book, Fact
from upsim_contracts.mutants.children import in_child, simulator
from upsim_contracts.mutants.lies import Equivalent, Lie, Lies
from upsim_contracts.running import CONNECTION, Verdict, judge
from upsim_contracts.target import Given, Target
from upsim_contracts.verify import pricer

Fate = Literal["noticed", "missed", "invalid", "error"]
LONGEST = 900
"""Seconds after which a simulator that was told a lie counts as hung, however busy the machine."""
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a lie: by which fact it was noticed, and what that fact saw.

    A lie is `invalid` when no simulator can be told it, and an `error` when the simulator that was
    told it does not run.
    """

    lie: Lie
    fate: Fate
    fact: str = ""
    saw: str = ""


@dataclass(frozen=True, slots=True)
class Count:
    """How a provider's lies fared: `valid` are those that a fact could notice.

    `problems` make the run a finding.
    """

    noticed: int
    known: int
    invalid: int
    valid: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        """One line for people."""
        found = f"{self.noticed} of {self.valid} lies noticed, {self.known} equivalent"
        return f"{found}, {self.invalid} that no simulator can be told"


class Court:
    """The facts of one provider as judges of lies about it."""

    def __init__(self, book: Book) -> None:
        """Facts that bring a scenario of their own cannot be told a lie."""
        self.book = book
        self.price: Pricer = pricer(book.provider)
        facts = [one for one in book.facts if one.untestable is None and one.given.scenario is None]
        self.words: Mapping[str, frozenset[str]] = {one.id: _words(_text(one)) for one in facts}
        self.facts: Sequence[Fact] = facts
        self.spread = Counter(word for words in self.words.values() for word in words)

    def of_the_truth(self) -> list[Verdict]:
        """The facts that break at the right simulator: with one of these nothing can be judged."""
        with simulator(self.book, self.book.provider, None) as target:
            verdicts = [self._verdict(one, target) for one in self.facts]
        return [one for one in verdicts if one.outcome == "broken"]

    def judge_all(self, lies: Sequence[Lie], *, workers: int = 2) -> Iterator[Judged]:
        """What becomes of each, in order."""
        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(self.judge, lies)

    def judge(self, lie: Lie) -> Judged:
        """What becomes of a lie, found out in a child process."""
        found = in_child(lambda: self._judge(lie), seconds=LONGEST)
        if isinstance(found, Judged):
            return found
        return Judged(lie, "error", saw=found[1])

    def order(self, lie: Lie) -> list[Fact]:
        """The facts, first those that have the rarest words in common with a lie."""
        told = _words(f"{lie.place} {lie.true}")

        def nearness(fact: Fact) -> float:
            return sum(1 / self.spread[word] for word in told & self.words[fact.id])

        return sorted(self.facts, key=nearness, reverse=True)

    # -- in the child

    def _judge(self, lie: Lie) -> Judged:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "lie.yaml"
            file.write_text(lie.scenario(), encoding="utf-8")
            with simulator(self.book, self.book.provider, str(file)) as target:
                try:
                    with target.world(Given()):
                        pass
                except TargetError as error:
                    return Judged(lie, "invalid", saw=str(error))
                return self._heard(lie, target)

    def _heard(self, lie: Lie, target: Target) -> Judged:
        failed = ""
        for fact in self.order(lie):
            verdict = self._verdict(fact, target)
            saw = "; ".join(map(str, verdict.mismatches))
            if any(found.where == CONNECTION for found in verdict.mismatches):
                failed = failed or saw
            elif verdict.outcome == "broken":
                return Judged(lie, "noticed", fact.id, saw)
        return Judged(lie, "error" if failed else "missed", saw=failed)

    def _verdict(self, fact: Fact, target: Target) -> Verdict:
        return judge(self.book, fact, target, self.price, lambda _seconds: None)


def count(judged: Sequence[Judged], lies: Lies) -> Count:
    """How many were noticed; those that were not have to be listed as equivalent, and only they."""
    told = [one for one in judged if one.fate != "invalid"]
    problems = list(_problems(told, lies.equivalent))
    problems += [
        f"listed as equivalent, but there is no such lie: {entry.place}"
        for entry in lies.equivalent
        if not any(entry.covers(one.lie) for one in told)
    ]
    known = sum(one.fate == "missed" and _listed(one, lies.equivalent) for one in told)
    noticed = sum(one.fate == "noticed" for one in told)
    return Count(noticed, known, len(judged) - len(told), len(told) - known, tuple(problems))


def _problems(judged: Sequence[Judged], equivalent: Sequence[Equivalent]) -> Iterator[str]:
    for one in judged:
        listed = _listed(one, equivalent)
        if one.fate == "noticed" and listed:
            yield f"listed as equivalent, but noticed by {one.fact}: {one.lie}: {one.saw}"
        elif one.fate == "error" or (one.fate == "missed" and not listed):
            yield f"{one.fate}: {one.lie}: {one.saw}".removesuffix(": ")


def _listed(judged: Judged, equivalent: Sequence[Equivalent]) -> bool:
    return any(entry.covers(judged.lie) for entry in equivalent)


def _text(fact: Fact) -> str:
    return f"{fact.id} {fact.says} {fact.place} {fact.steps} {fact.given}"


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))
