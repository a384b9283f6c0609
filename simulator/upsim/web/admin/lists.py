"""Long answers of the admin API: chosen and written beside the event loop, an item at a time.

What is given is as it was at one instant: items that nobody changes, in a collection of our own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

from starlette.responses import Response

from upsim.web.bodies import encode

T = TypeVar("T")


async def chosen(found: Collection[T], fits: Callable[[T], bool]) -> list[T]:
    """Those that fit, in their order."""
    return await asyncio.to_thread(lambda: [item for item in found if fits(item)])


async def listed(
    name: str, page: Iterable[T], view: Callable[[T], object], **beside: object
) -> Response:
    """A JSON object with the views of a page under its name, and what stands beside them."""
    written = await asyncio.to_thread(_written, name, page, view, beside)
    return Response(written, media_type="application/json")


async def made(make: Callable[[], object]) -> Response:
    """A JSON answer that takes long to make."""
    written = await asyncio.to_thread(lambda: encode(make()))
    return Response(written, media_type="application/json")


def _written(
    name: str, page: Iterable[T], view: Callable[[T], object], beside: dict[str, object]
) -> bytes:
    """Each item is encoded alone, so that other threads have their turn in between."""
    items, end = b",".join(encode(view(item)) for item in page), encode(beside)
    return b'{"%b":[%b]%b' % (name.encode("ascii"), items, b"," + end[1:] if beside else b"}")
