"""The block in which requests for the providers' hosts reach a sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from upsim.interception.active_interceptions import lasting
from upsim.interception.key_replacement import Home, Interception
from upsim.interception.patches import patch, unpatch

__tracebackhide__ = True  # for pytest: a failing test shows its own line, not ours
_Home = TypeVar("_Home", bound=Home)


@contextmanager
def intercept(home: _Home) -> Iterator[_Home]:
    """Redirect requests for the providers' hosts to this sandbox until the block ends.

    Blocks nest: the innermost gets the requests. The last block restores the libraries.
    """
    with lasting(Interception(home), on_first=patch, on_last=unpatch):
        yield home
