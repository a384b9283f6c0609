"""Check lies: whether any fact of the provider fails if one documented value is different.

Only what provider routes answer counts. Facts that speak of what the lie is about come first, and
the first that fails is enough. Lies are checked in forked children of a parent that has checked
the truth, so that files and modules are loaded already.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from upsim_contracts.exceptions import TargetError
from upsim_contracts.facts.account_client import Pricer
from upsim_contracts.facts.fact import Book, Fact
from upsim_contracts.facts.runner import CONNECTION, Verdict, judge
from upsim_contracts.mutants.children import cpu_limit, forked, simulator
from upsim_contracts.mutants.lies import Lie, Lies
from upsim_contracts.target import Target, TargetSettings
from upsim_contracts.verify.run import pricer

Fate = Literal["noticed", "missed", "invalid", "error"]
MAX_LENGTH = 120
"""Seconds of CPU time after which a simulator with a lie counts as hung."""
AT_A_TIME = 25
"""Number of lies that one simulator gets, one after the other."""
NEAREST = 12
"""Number of facts that check a lie alone, before all facts check it together with others."""
CRASHES = (LookupError, AttributeError, TypeError, ValueError, ArithmeticError)
"""What code raises that meets a rule it cannot follow, in this process; a server answers 500."""
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class LieResult:
    """The fate of a lie: the fact that noticed it, and what that fact saw.

    A lie is `invalid` if no simulator accepts it, and an `error` if the simulator with it does not
    run.
    """

    lie: Lie
    fate: Fate
    fact: str = ""
    saw: str = ""

    @property
    def is_open(self) -> bool:
        """Whether further facts could notice it."""
        return self.fate in ("missed", "error")


@dataclass(frozen=True, slots=True)
class NoticedCount:
    """The fates of a provider's lies, by kind.

    A lie that no fact notices counts as it is listed: `equivalent` or
    `unnoticed`. `problems` make the run a finding.
    """

    kinds: Mapping[str, Counter[str]]
    invalid: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        """One line for people, and one for each kind."""
        whole = sum(self.kinds.values(), Counter())
        first = f"{_counted(whole)}, {self.invalid} that no simulator accepts"
        return "\n".join(
            (first, *(f"  {kind}: {_counted(self.kinds[kind])}" for kind in self.kinds))
        )


def _counted(fates: Counter[str]) -> str:
    known, unnoticed = fates["equivalent"], fates["unnoticed"]
    text = f"{fates['noticed']} of {fates.total() - known} lies noticed, {known} equivalent"
    return f"{text}, {unnoticed} unnoticed so far" if unnoticed else text


class LieJudge:
    """The facts of one provider, which check lies about it."""

    def __init__(self, book: Book, lies: Lies) -> None:
        """Use all facts except those with a scenario of their own, which cannot have a lie."""
        self.book = book
        self.lies = lies
        self.price: Pricer = pricer(book.provider)
        facts = [one for one in book.facts if one.untestable is None and one.given.scenario is None]
        self.words: Mapping[str, frozenset[str]] = {one.id: _words(_text(one)) for one in facts}
        self.facts: Sequence[Fact] = facts
        self.spread = Counter(word for words in self.words.values() for word in words)

    def of_the_truth(self) -> list[Verdict]:
        """Return the facts that fail at the correct simulator: then no lie can be checked."""
        with simulator(self.book, self.book.provider, None) as target:
            verdicts = [self.verdict(one, target) for one in self.facts]
        return [one for one in verdicts if one.outcome == "broken"]

    def judge_all(self, *, workers: int = 2) -> list[LieResult]:
        """Return the fate of each lie, in order.

        The nearest facts notice nearly all. The rest is checked together, because an unnoticed lie
        needs a run of all facts: when none of them breaks, none of the lies is noticed.
        """
        everyone = range(len(self.lies.planted))
        with forked(self._at_a_simulator, workers) as ask:
            near = [ask("_apiece", batch) for batch in _batches(everyone)]
            fates = {n: one for batch in near for n, one in batch.result().items()}
            left = [number for number in everyone if fates[number].is_open]
            groups = [ask("_together", group) for group in _apart(self.lies.planted, left)]
            fates |= {n: one for group in groups for n, one in group.result().items()}
        return [fates[number] for number in everyone]

    def order(self, told: Sequence[Lie]) -> list[Fact]:
        """The facts, first those that have the rarest words in common with some lies."""
        words = frozenset().union(*(_words(f"{lie.place} {lie.true}") for lie in told))

        def nearness(fact: Fact) -> float:
            return sum(1 / self.spread[word] for word in words & self.words[fact.id])

        return sorted(self.facts, key=nearness, reverse=True)

    def verdict(self, fact: Fact, target: Target) -> Verdict:
        """Whether a fact holds at a simulator."""
        return judge(self.book, fact, target, self.price, lambda _seconds: None)

    # -- in a child

    def _at_a_simulator(self, name: str, numbers: Sequence[int]) -> dict[int, LieResult]:
        """Return the fates of some lies, at one simulator for all."""
        with (
            tempfile.TemporaryDirectory() as folder,
            simulator(self.book, self.book.provider, None) as target,
        ):
            teller = LiePlanter(self, target, Path(folder))
            work = {"_apiece": teller.apiece, "_together": teller.together}
            return work[name](numbers)


class LiePlanter:
    """One simulator that gets lies, each in its own sandboxes."""

    def __init__(self, court: LieJudge, target: Target, folder: Path) -> None:
        """Write scenarios with lies to `folder`."""
        self.court = court
        self.target = target
        self.folder = folder
        self._told = 0

    def apiece(self, numbers: Sequence[int]) -> dict[int, LieResult]:
        """Return the fate of each lie, checked alone by the nearest facts.

        A listed lie is only checked for being accepted by a simulator.
        """
        return {number: self._near(self.court.lies.planted[number]) for number in numbers}

    def _near(self, lie: Lie) -> LieResult:
        nearest = 0 if self.court.lies.listed(lie) else NEAREST
        return self.tell([lie], self.court.order([lie])[:nearest])

    def together(self, numbers: Sequence[int]) -> dict[int, LieResult]:
        """Return the fate of each of many lies, checked together.

        Whenever a fact breaks, the lie that it notices is found by halves and left out.
        """
        planted, fates = self.court.lies.planted, dict[int, LieResult]()
        left, facts = list(numbers), self.court.order([planted[number] for number in numbers])
        while left:
            found = self.tell([planted[number] for number in left], facts)
            if found.fate == "missed":
                break
            fact = next((one for one in facts if one.id == found.fact), None)
            one = None if fact is None else self._culprit(left, fact)
            if fact is None or one is None:
                return fates | self._by_halves(left, found)
            fates[one] = replace(found, lie=planted[one])
            left.remove(one)
            facts = facts[facts.index(fact) :]
        return fates | {n: LieResult(planted[n], "missed") for n in left}

    def _culprit(self, numbers: Sequence[int], fact: Fact) -> int | None:
        """One of these lies at which a fact ends by itself; None when it takes several."""
        while len(numbers) > 1:
            half, rest = numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :]
            numbers = half if self._ends(fact, half) else rest
        return numbers[0] if self._ends(fact, numbers) else None

    def _ends(self, fact: Fact, numbers: Sequence[int]) -> bool:
        told = [self.court.lies.planted[number] for number in numbers]
        return self.tell(told, [fact]).fact == fact.id

    def _by_halves(self, numbers: Sequence[int], found: LieResult) -> dict[int, LieResult]:
        """Return the fates of lies that fail together, by checking each half."""
        if len(numbers) == 1:
            return {numbers[0]: replace(found, lie=self.court.lies.planted[numbers[0]])}
        half = len(numbers) // 2
        return self.together(numbers[:half]) | self.together(numbers[half:])

    def tell(self, told: Sequence[Lie], facts: Sequence[Fact]) -> LieResult:
        """Return the fate of lies that are checked together by these facts."""
        self._told += 1
        file = self.folder / f"lie-{self._told}.yaml"
        file.write_text(self.court.lies.scenario(told), encoding="utf-8")
        target = replace(self.target, scenario=str(file))
        try:
            with cpu_limit(MAX_LENGTH):
                refused = _refused(target, TargetSettings())
                if refused is None:
                    return self._heard(told[0], facts, target)
        except TimeoutError as error:
            return LieResult(told[0], "error", saw=str(error))
        return LieResult(told[0], "invalid", saw=refused)

    def _heard(self, lie: Lie, facts: Sequence[Fact], target: Target) -> LieResult:
        failed = ""
        for fact in facts:
            refused = _refused(target, fact.given) if fact.given.special else None
            if refused is not None:
                return LieResult(lie, "invalid", fact.id, refused)
            try:
                verdict = self.court.verdict(fact, target)
            except CRASHES as error:
                return LieResult(lie, "noticed", fact.id, f"a server answers 500: {error!r}")
            saw = "; ".join(map(str, verdict.mismatches))
            if any(found.where == CONNECTION for found in verdict.mismatches):
                failed = failed or saw
            elif verdict.outcome == "broken":
                return LieResult(lie, "noticed", fact.id, saw)
        return LieResult(lie, "error" if failed else "missed", saw=failed)


def _refused(target: Target, given: TargetSettings) -> str | None:
    """Return why a simulator rejects the scenario; None if it accepts it."""
    try:
        with target.world(given):
            return None
    except TargetError as error:
        return str(error)


def _batches(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield some lies at a time, because a simulator keeps each scenario."""
    for start in range(0, len(numbers), AT_A_TIME):
        yield numbers[start : start + AT_A_TIME]


def _apart(lies: Sequence[Lie], numbers: Iterable[int]) -> Iterator[list[int]]:
    """Yield groups of lies that can be combined: no path leads to or through another."""
    left = list(numbers)
    while left:
        ends: set[tuple[str, ...]] = set()
        ways: set[tuple[str, ...]] = set()
        group, later = [], []
        for number in left:
            path = lies[number].path
            way = {path[:depth] for depth in range(1, len(path) + 1)}
            if path in ways or not ends.isdisjoint(way):
                later.append(number)
            else:
                group.append(number)
                ends.add(path)
                ways |= way
        yield group
        left = later


def count(judged: Sequence[LieResult], lies: Lies) -> NoticedCount:
    """How many were noticed; those that were not have to be listed with a reason, and only they."""
    told = [one for one in judged if one.fate != "invalid"]
    problems = [problem for one in told for problem in _problem(one, lies)]
    problems += [
        f"listed, but there is no such lie: {entry.place}"
        for entry in (*lies.equivalent, *lies.unnoticed)
        if not any(entry.covers(one.lie) for one in told)
    ]
    kinds: dict[str, Counter[str]] = {}
    for one in told:
        listed = lies.listed(one.lie) if one.fate == "missed" else None
        kinds.setdefault(one.lie.kind, Counter())[listed or one.fate] += 1
    return NoticedCount(kinds, len(judged) - len(told), tuple(problems))


def _problem(one: LieResult, lies: Lies) -> Iterator[str]:
    listed = lies.listed(one.lie)
    if one.fate == "noticed" and listed:
        yield f"listed as {listed}, but noticed by {one.fact}: {one.lie}: {one.saw}"
    elif one.fate == "error" or (one.fate == "missed" and not listed):
        yield f"{one.fate}: {one.lie}: {one.saw}".removesuffix(": ")


def _text(fact: Fact) -> str:
    return f"{fact.id} {fact.says} {fact.place} {fact.steps} {fact.given}"


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text.lower()))
