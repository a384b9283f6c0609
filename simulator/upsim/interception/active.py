"""The block in which calls to the providers' hosts reach a sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from upsim.interception.current import Home, Interception, lasting
from upsim.interception.patches import patch, unpatch

__tracebackhide__ = True  # for pytest: a failing test shows its own line, not ours
_Home = TypeVar("_Home", bound=Home)


@contextmanager
def intercept(home: _Home) -> Iterator[_Home]:
    """Let calls to the providers' hosts reach this sandbox while the block lasts.

    Blocks nest: the innermost gets the calls. The libraries are as before once the last has ended.
    """
    with lasting(Interception(home), first=patch, last=unpatch):
        yield home
