"""What checks and operations read of a call that an earlier check has put there.

A baseline names its checks in order. An order in which a check comes before the one that it builds
on would crash at the first call, so such a list is refused with the rest of a file's mistakes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

ACCOUNT = "account"
INPUTS = "inputs"
MODEL = "model"
OPTIONS = "options"
SOURCE = "source"
MEDIA = "media"
JOB = "job"
REFUSAL = "refusal"
"""What a check gives that refuses every call: nothing is needed after it."""
PRICED = (MODEL, OPTIONS, MEDIA)
"""What a price and the size of an output follow from."""


@dataclass(frozen=True, slots=True)
class Use:
    """Parts of a call that a check needs, and parts that it gives to later checks."""

    needs: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Uses:
    """The uses of a provider's checks by name, and the parts that each operation needs at the end.

    A check without an entry builds on nothing. Without any entries nothing is judged.
    """

    checks: Mapping[str, Use] = field(default_factory=dict)
    operations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def givers(self, part: str) -> tuple[str, ...]:
        """The checks that give a part."""
        return tuple(name for name, use in self.checks.items() if part in use.gives)

    def misplaced(self, names: Sequence[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
        """The places of checks of which an earlier one is missing, with those that would do."""
        had: set[str] = set()
        for i, name in enumerate(names):
            use = self.checks.get(name, Use())
            for part in use.needs:
                if part not in had:
                    yield i, self.givers(part)
            had.update(use.gives)

    def lacking(self, operation: str, names: Collection[str]) -> Iterator[tuple[str, ...]]:
        """For each part that an operation needs and no check gives: the checks that would do."""
        had = {part for name in names for part in self.checks.get(name, Use()).gives}
        for part in self.operations.get(operation, ()):
            if had.isdisjoint((part, REFUSAL)):
                yield self.givers(part)


COMMON_USES: Mapping[str, Use] = {
    "authenticated": Use(gives=(ACCOUNT,)),
    "plan_has_access": Use(needs=(ACCOUNT,)),
    "within_rates": Use(needs=(ACCOUNT,)),
    "json_object": Use(gives=(INPUTS,)),
    "measurable": Use(needs=(SOURCE,), gives=(MEDIA,)),
    "not_too_long": Use(needs=(MEDIA,)),
    "output_within_own_limit": Use(needs=PRICED),
    "affordable": Use(needs=(ACCOUNT, *PRICED)),
}
"""The uses of the checks that any baseline may name."""
