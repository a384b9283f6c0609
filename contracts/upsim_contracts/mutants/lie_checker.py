"""Plant lies, and find whether any fact of the provider fails for a changed value.

Only responses of provider routes count. The facts most similar to the lie are checked first,
and one failing fact is enough. The parent process checks the true baseline before it forks
children that plant lies, so that files and modules are already loaded.
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
from upsim_contracts.facts.fact_files import Book, Fact
from upsim_contracts.facts.fact_runner import CONNECTION, Verdict, check_fact
from upsim_contracts.mutants.child_processes import cpu_limit, forked, simulator
from upsim_contracts.mutants.lies import Lie, Lies
from upsim_contracts.target import Target, TargetSettings
from upsim_contracts.verify.run import pricer

Fate = Literal["noticed", "missed", "invalid", "error"]
MAX_LENGTH = 120
"""Seconds of CPU time after which a simulator with a lie counts as hung."""
AT_A_TIME = 25
"""Lies that one simulator gets one by one."""
NEAREST = 12
"""Number of facts that check a lie alone, before all facts check it together with others."""
CRASHES = (LookupError, AttributeError, TypeError, ValueError, ArithmeticError)
"""What code raises that meets a rule it cannot follow, in this process; a server answers 500."""
_WORD = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class LieResult:
    """The outcome of a lie: the fact that detected it, and what that fact saw.

    A lie is `invalid` if no simulator accepts it, and an `error` if the simulator with the lie
    does not run.
    """

    lie: Lie
    fate: Fate
    fact: str = ""
    saw: str = ""

    @property
    def is_open(self) -> bool:
        """Whether further facts could still detect the lie."""
        return self.fate in ("missed", "error")


@dataclass(frozen=True, slots=True)
class NoticedCount:
    """The outcomes of a provider's lies: `kinds` counts them for each kind of lie.

    A lie that no fact detects is counted under its listing: `equivalent` or `unnoticed`. With
    `problems`, the run fails.
    """

    kinds: Mapping[str, Counter[str]]
    invalid: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        """Return a summary line, and a line for each kind of lie."""
        whole = sum(self.kinds.values(), Counter())
        first = f"{_counted(whole)}, {self.invalid} that no simulator accepts"
        return "\n".join(
            (first, *(f"  {kind}: {_counted(self.kinds[kind])}" for kind in self.kinds))
        )


def _counted(fates: Counter[str]) -> str:
    known, unnoticed = fates["equivalent"], fates["unnoticed"]
    text = f"{fates['noticed']} of {fates.total() - known} lies noticed, {known} equivalent"
    return f"{text}, {unnoticed} unnoticed so far" if unnoticed else text


class LieChecker:
    """Checks the lies about one provider by its facts."""

    def __init__(self, book: Book, lies: Lies) -> None:
        """Prepare the facts, without facts whose own scenario would replace the lie."""
        self.book = book
        self.lies = lies
        self.price: Pricer = pricer(book.provider)
        facts = [one for one in book.facts if one.untestable is None and one.given.scenario is None]
        self.words: Mapping[str, frozenset[str]] = {one.id: _words(_text(one)) for one in facts}
        self.facts: Sequence[Fact] = facts
        self.spread = Counter(word for words in self.words.values() for word in words)

    def failing_without_lies(self) -> list[Verdict]:
        """Return the facts that fail without a lie; there must be none before lies are planted."""
        with simulator(self.book, self.book.provider, None) as target:
            verdicts = [self.verdict(one, target) for one in self.facts]
        return [one for one in verdicts if one.outcome == "broken"]

    def check_all(self, *, workers: int = 2) -> list[LieResult]:
        """Return the outcome of each lie, in order.

        The nearest facts detect nearly all lies. The other lies are planted together, because an
        undetected lie needs a run of all facts. If no fact fails then, all these lies are
        undetected.
        """
        every_number = range(len(self.lies.planted))
        with forked(self._at_a_simulator, workers) as ask:
            near = [ask("_apiece", batch) for batch in _batches(every_number)]
            fates = {n: one for batch in near for n, one in batch.result().items()}
            left = [number for number in every_number if fates[number].is_open]
            groups = [ask("_together", group) for group in _apart(self.lies.planted, left)]
            fates |= {n: one for group in groups for n, one in group.result().items()}
        return [fates[number] for number in every_number]

    def order(self, lies: Sequence[Lie]) -> list[Fact]:
        """Return all facts, starting with those that share the rarest words with these lies."""
        words = frozenset().union(*(_words(f"{lie.place} {lie.true}") for lie in lies))

        def nearness(fact: Fact) -> float:
            return sum(1 / self.spread[word] for word in words & self.words[fact.id])

        return sorted(self.facts, key=nearness, reverse=True)

    def verdict(self, fact: Fact, target: Target) -> Verdict:
        """Return the outcome of a fact at a simulator."""
        return check_fact(self.book, fact, target, self.price, lambda _seconds: None)

    # -- in a child

    def _at_a_simulator(self, name: str, numbers: Sequence[int]) -> dict[int, LieResult]:
        """Return the outcomes of some lies, all planted in one simulator."""
        with (
            tempfile.TemporaryDirectory() as folder,
            simulator(self.book, self.book.provider, None) as target,
        ):
            planter = LiePlanter(self, target, Path(folder))
            work = {"_apiece": planter.apiece, "_together": planter.together}
            return work[name](numbers)


class LiePlanter:
    """One simulator in which lies are planted, each in its own sandboxes."""

    def __init__(self, checker: LieChecker, target: Target, folder: Path) -> None:
        """Keep the folder for the scenario files of planted lies."""
        self.checker = checker
        self.target = target
        self.folder = folder
        self._planted_so_far = 0

    def apiece(self, numbers: Sequence[int]) -> dict[int, LieResult]:
        """Return the outcome of each lie alone, by the facts that are nearest to it.

        A listed lie is not checked by facts: the simulator only has to accept it.
        """
        return {number: self._near(self.checker.lies.planted[number]) for number in numbers}

    def _near(self, lie: Lie) -> LieResult:
        nearest = 0 if self.checker.lies.listed(lie) else NEAREST
        return self.plant([lie], self.checker.order([lie])[:nearest])

    def together(self, numbers: Sequence[int]) -> dict[int, LieResult]:
        """Return the outcome of each of many lies that are planted together.

        Whenever a fact fails, bisection finds the lie that caused it, and that lie is removed.
        """
        planted, fates = self.checker.lies.planted, dict[int, LieResult]()
        left, facts = list(numbers), self.checker.order([planted[number] for number in numbers])
        while left:
            found = self.plant([planted[number] for number in left], facts)
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
        """Return the lie that alone makes a fact fail; None if only several lies together do."""
        while len(numbers) > 1:
            half, rest = numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :]
            numbers = half if self._ends(fact, half) else rest
        return numbers[0] if self._ends(fact, numbers) else None

    def _ends(self, fact: Fact, numbers: Sequence[int]) -> bool:
        lies = [self.checker.lies.planted[number] for number in numbers]
        return self.plant(lies, [fact]).fact == fact.id

    def _by_halves(self, numbers: Sequence[int], found: LieResult) -> dict[int, LieResult]:
        """Bisect lies that are rejected or end in an error when they are planted together."""
        if len(numbers) == 1:
            return {numbers[0]: replace(found, lie=self.checker.lies.planted[numbers[0]])}
        half = len(numbers) // 2
        return self.together(numbers[:half]) | self.together(numbers[half:])

    def plant(self, lies: Sequence[Lie], facts: Sequence[Fact]) -> LieResult:
        """Plant some lies together, and return the outcome by these facts."""
        self._planted_so_far += 1
        file = self.folder / f"lie-{self._planted_so_far}.yaml"
        file.write_text(self.checker.lies.scenario(lies), encoding="utf-8")
        target = replace(self.target, scenario=str(file))
        try:
            with cpu_limit(MAX_LENGTH):
                refused = _refused(target, TargetSettings())
                if refused is None:
                    return self._heard(lies[0], facts, target)
        except TimeoutError as error:
            return LieResult(lies[0], "error", saw=str(error))
        return LieResult(lies[0], "invalid", saw=refused)

    def _heard(self, lie: Lie, facts: Sequence[Fact], target: Target) -> LieResult:
        failed = ""
        for fact in facts:
            refused = _refused(target, fact.given) if fact.given.special else None
            if refused is not None:
                return LieResult(lie, "invalid", fact.id, refused)
            try:
                verdict = self.checker.verdict(fact, target)
            except CRASHES as error:
                return LieResult(lie, "noticed", fact.id, f"a server answers 500: {error!r}")
            saw = "; ".join(map(str, verdict.mismatches))
            if any(found.where == CONNECTION for found in verdict.mismatches):
                failed = failed or saw
            elif verdict.outcome == "broken":
                return LieResult(lie, "noticed", fact.id, saw)
        return LieResult(lie, "error" if failed else "missed", saw=failed)


def _refused(target: Target, given: TargetSettings) -> str | None:
    """Return why a simulator rejects the settings; None if it accepts them."""
    try:
        with target.world(given):
            return None
    except TargetError as error:
        return str(error)


def _batches(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield lies in batches, since a simulator stores the scenario of each lie."""
    for start in range(0, len(numbers), AT_A_TIME):
        yield numbers[start : start + AT_A_TIME]


def _apart(lies: Sequence[Lie], numbers: Iterable[int]) -> Iterator[list[int]]:
    """Yield groups of lies that can be planted together: their paths do not overlap."""
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


def count(results: Sequence[LieResult], lies: Lies) -> NoticedCount:
    """Count the outcomes, and report each undetected lie that is not listed, and the reverse."""
    valid = [one for one in results if one.fate != "invalid"]
    problems = [problem for one in valid for problem in _problem(one, lies)]
    problems += [
        f"listed, but there is no such lie: {entry.place}"
        for entry in (*lies.equivalent, *lies.unnoticed)
        if not any(entry.covers(one.lie) for one in valid)
    ]
    kinds: dict[str, Counter[str]] = {}
    for one in valid:
        listed = lies.listed(one.lie) if one.fate == "missed" else None
        kinds.setdefault(one.lie.kind, Counter())[listed or one.fate] += 1
    return NoticedCount(kinds, len(results) - len(valid), tuple(problems))


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
