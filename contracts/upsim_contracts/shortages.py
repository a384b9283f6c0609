"""Limits of this machine that a request meets before it leaves: no fault of the provider."""

from __future__ import annotations

import errno

import httpx

_BEFORE_SENDING = frozenset((errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL))
"""Without a file or a port there is no connection on which anything could have been sent."""


def shortage(error: BaseException) -> str | None:
    """Return why a request could not be sent from here; None for any other trouble."""
    if isinstance(error, httpx.PoolTimeout):
        return "all connections to it are in use"
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, BaseExceptionGroup):  # one for each address of a host
            found = found.exceptions[0]
        if isinstance(found, OSError) and found.errno in _BEFORE_SENDING:
            limit = " (see `ulimit -n`)" if found.errno == errno.EMFILE else ""
            return f"{found.strerror}{limit}"
        found = found.__cause__ or found.__context__
    return None
