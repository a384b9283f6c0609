"""The parts of a call that checks and operations read, and the checks that provide them.

A baseline lists its checks in order. If a check is listed before a check that it depends
on, the first request would crash. Such an order is reported when the files are loaded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

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


class Use(msgspec.Struct, frozen=True):
    """Parts of a call that a check needs, and parts that it gives to later checks."""

    needs: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()


class CheckUses(msgspec.Struct, frozen=True, eq=False):
    """The inputs and results of a provider's checks by name, and the inputs of each operation.

    A check without an entry depends on nothing. Without any entries, no order is checked.
    """

    checks: Mapping[str, Use] = msgspec.field(default_factory=dict)
    operations: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)

    def givers(self, part: str) -> tuple[str, ...]:
        """Return the checks that provide a part."""
        return tuple(name for name, use in self.checks.items() if part in use.gives)

    def flaws(
        self, operation: str, names: Sequence[str], usual: Collection[object] = ()
    ) -> Iterator[tuple[int | None, str]]:
        """Yield the mistakes in an operation's check order: an index or None, and a text."""
        had: set[str] = set()
        for i, name in enumerate(names):
            if name in names[:i]:
                yield i, f"{name} is there twice"
            use = self.checks.get(name, _NOTHING)
            for part in use.needs:
                if part not in had:
                    wanted = self._would_do(part, usual)
                    yield i, f"{name} builds on {wanted}, which must come before it"
            had.update(use.gives)
        for part in () if REFUSAL in had else self.operations.get(operation, ()):
            if part not in had:
                yield None, f"lacks {self._would_do(part, usual)}, on which {operation} builds"

    def _would_do(self, part: str, usual: Collection[object]) -> str:
        givers = self.givers(part)
        return " or ".join([name for name in givers if name in usual] or givers)


_NOTHING = Use()
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
