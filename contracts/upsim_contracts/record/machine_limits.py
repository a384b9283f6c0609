"""Limits of this machine that stop a request before it is sent; the provider is not the cause."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import httpx

_BEFORE_SENDING = frozenset((errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL))
"""Without a file or a port there is no connection on which anything could have been sent."""


def shortage(error: BaseException) -> str | None:
    """Return why a request could not be sent from this machine; None for any other error."""
    if isinstance(error, httpx.PoolTimeout):
        return "all connections to it are in use"
    for found in _system_errors(error):
        if found.errno in _BEFORE_SENDING:
            limit = " (see `ulimit -n`)" if found.errno == errno.EMFILE else ""
            return f"{found.strerror}{limit}"
    return None


def trouble(error: BaseException) -> str:
    """Return why a request got no response, as the operating system says: `connection refused`."""
    why = shortage(error)
    for found in _system_errors(error):
        if why is None and found.errno is not None:
            why = os.strerror(found.errno) if found.errno > 0 else found.strerror
    why = why or str(error) or type(error).__name__
    return why[:1].lower() + why[1:]


def _system_errors(error: BaseException) -> Iterator[OSError]:
    """Yield the operating system's errors in the causes of an exception."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, BaseExceptionGroup):  # one for each address of a host
            found = found.exceptions[0]
        if isinstance(found, OSError):
            yield found
        found = found.__cause__ or found.__context__
