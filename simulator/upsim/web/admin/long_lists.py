"""Long lists of the admin API: filtered and encoded item by item outside the event loop.

The given collection must be a snapshot of immutable items.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import TypeVar

from starlette.responses import Response

from upsim.web.request_bodies import encode

T = TypeVar("T")
FEW = 32
"""Maximum items that are filtered or sorted directly; a thread would cost more than that work."""
SHORT = 16 * 1024
"""Bytes that are encoded directly; a thread encodes the items after them."""


async def chosen(found: Collection[T], fits: Callable[[T], bool]) -> list[T]:
    """Return the items for which `fits` is true, in their order."""

    def choose() -> list[T]:
        return [item for item in found if fits(item)]

    return choose() if len(found) <= FEW else await asyncio.to_thread(choose)


async def ordered(found: Collection[T], place: Callable[[T], int]) -> list[T]:
    """Return the items sorted by `place`."""
    sort = partial(sorted, found, key=place)
    return sort() if len(found) <= FEW else await asyncio.to_thread(sort)


async def listed(
    name: str, page: Iterable[T], view: Callable[[T], object], **beside: object
) -> Response:
    """Return a JSON object: the views of a page under its name, and the fields of `beside`."""
    items, rest = [], iter(page)
    for item in rest:
        items.append(encode(view(item)))
        if len(items) == FEW or sum(map(len, items)) > SHORT:
            items += await asyncio.to_thread(_written, rest, view)
    return Response(_joined(name, items, beside), media_type="application/json")


async def made(make: Callable[[], object]) -> Response:
    """Return a JSON response whose content takes long to make."""
    written = await asyncio.to_thread(lambda: encode(make()))
    return Response(written, media_type="application/json")


def _written(items: Iterable[T], view: Callable[[T], object]) -> list[bytes]:
    """Encode each item separately, so that other threads can run between two items."""
    return [encode(view(item)) for item in items]


def _joined(name: str, items: list[bytes], beside: dict[str, object]) -> bytes:
    end = encode(beside)
    return b'{"%b":[%b]%b' % (
        name.encode("ascii"),
        b",".join(items),
        b"," + end[1:] if beside else b"}",
    )
