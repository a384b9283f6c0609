"""The sandbox that gets intercepted requests: that of the innermost active interception."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock

from upsim.core.hosts import IN_PROCESS_NAME, bare
from upsim.interception.key_replacement import Interception
from upsim.interception.provider_hosts import provider_hosts

__tracebackhide__ = True  # for pytest: a failing test shows its own line, not ours
_lock = RLock()
_lasting: list[Interception] = []


def interception_of(host: str) -> Interception | None:
    """Return the interception of a host; None for a host that is not intercepted.

    The host name of the simulator in this process counts too, because DNS cannot resolve it.
    """
    if not _lasting or not (bare(host) in provider_hosts() or bare(host) == IN_PROCESS_NAME):
        return None
    with _lock:
        return _lasting[-1] if _lasting else None


@contextmanager
def lasting(
    interception: Interception, *, on_first: Callable[[], None], on_last: Callable[[], None]
) -> Iterator[None]:
    """Redirect requests to this interception until the block ends.

    Blocks nest: the innermost gets the requests. `on_first` is called before the outermost block,
    `on_last` after it.
    """
    with _lock:
        if not _lasting:
            on_first()
        _lasting.append(interception)
    try:
        yield
    finally:
        with _lock:
            _lasting.remove(interception)
            if not _lasting:
                on_last()
