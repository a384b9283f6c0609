"""The bodies of all requests share one bound of memory, and every end of a request gives it back.

Requests come in pieces, straight to the application, so that each moment can be looked at.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from upsim.engine import body_memory

if TYPE_CHECKING:
    from starlette.types import Message

    from tests.http.conftest import Admin

MIB = 2**20
QUEUE = "/venice/api/v1/video/queue"
TASK = "/piapi/api/v1/task"
JSON_UPLOAD = "/piapi/api/ephemeral_resource"
FORM = "/wavespeed/api/v3/media/upload/binary"
SUBMIT = "/wavespeed/api/v3/wavespeed-ai/video-upscaler"
VICSEE = "/vicsee/api/v1/tools/upscale-video"
BOXES = "/__sim/sandboxes"
FIND = "/__sim/sandboxes/default/journal/find"
RESET = "/__sim/sandboxes/default/reset"
INBOX = "/__sim/sandboxes/default/inbox/a"
PUT = "PUT"
"""An upload to the link of a ticket."""
PATHS = (QUEUE, TASK, JSON_UPLOAD, FORM, SUBMIT, VICSEE, BOXES, FIND, RESET, INBOX, PUT)
ENDS = ("answered", "too long", "hung up", "cancelled", "failed", "crowded")
MOST = 8 * MIB
RESERVED = 2 * MIB


class Sent:
    """A request whose body comes in pieces, and its answer."""

    def __init__(self, admin: Admin, path: str, *, announced: int = 0) -> None:
        """Nothing of the body came yet; the link of a ticket is asked for where one is needed."""
        self._admin, self._pieces = admin, asyncio.Queue[bytes | Exception | None]()
        self._asked = asyncio.Event()
        self.room = admin.sim.registry.room
        method = "PUT" if path == PUT else "POST"
        kind = b"multipart/form-data; boundary=x" if path == FORM else b"application/json"
        headers = [(b"host", b"127.0.0.1:4747"), (b"content-type", kind)]
        headers += [(b"authorization", b"Bearer k"), (b"x-api-key", b"k")] * (path != PUT)
        headers += [(b"content-length", b"%d" % announced)] * bool(announced)
        self._path, self._method, self._headers = path, method, headers
        self.status, self.body = 0, b""

    async def begin(self) -> None:
        """Send the head."""
        path, query, headers = self._path, "", self._headers
        if path == PUT:
            url, own = await ticket(self._admin)
            path, _, query = url.removeprefix("http://127.0.0.1:4747").partition("?")
            headers = [pair for pair in headers if pair[0] != b"content-type"] + own
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": self._method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": headers,
            "server": ("127.0.0.1", 4747),
            "client": ("127.0.0.1", 1),
            "state": {},
        }
        app = self._admin.sim.app
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))
        await self._taken()

    async def piece(self, piece: bytes | Exception | None) -> None:
        """Let a piece come, and wait until it was taken or the request ended; None hangs up."""
        self._asked.clear()
        await self._pieces.put(piece)
        await self._taken()

    async def _taken(self) -> None:
        asked = asyncio.ensure_future(self._asked.wait())
        await asyncio.wait((self.task, asked), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()

    async def end(self) -> int:
        """Send the last piece and return the status of the answer."""
        await self._pieces.put(b"")
        await self.task
        return self.status

    async def _receive(self) -> Message:
        self._asked.set()
        piece = await self._pieces.get()
        if isinstance(piece, Exception):
            raise piece
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def _send(self, message: Message) -> None:
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")


async def ticket(admin: Admin) -> tuple[str, list[tuple[bytes, bytes]]]:
    """Ask for a link for an upload of 9 MiB; return it with the headers that it wants."""
    asked = {"filename": "a.mp4", "size": 9 * MIB, "content_type": "video/mp4"}
    got = Sent(admin, "/wavespeed/api/v3/media/uploads")
    await got.begin()
    await got.piece(json.dumps(asked).encode())
    assert await got.end() == 200, got.body
    upload: dict[str, Any] = json.loads(got.body)["data"]["upload"]
    return upload["url"], [(k.lower().encode(), v.encode()) for k, v in upload["headers"].items()]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bound of 8 MiB, and 2 MiB beyond for small bodies."""
    monkeypatch.setattr(body_memory, "RESERVED", RESERVED)
    monkeypatch.setattr(body_memory, "MAX_HELD", MOST)


async def come_to(end: str, sent: Sent) -> None:
    """Bring a request that holds something to one of its ends."""
    if end == "answered":
        await sent.end()
    elif end == "too long":
        while not sent.task.done():
            await sent.piece(bytes(8 * MIB))
    elif end == "hung up":
        await sent.piece(None)
        await sent.task
    elif end == "cancelled":
        sent.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sent.task
    elif end == "failed":
        await sent.piece(ValueError("a server that fails"))
        with pytest.raises(ValueError, match="a server that fails"):
            await sent.task
    else:
        with sent.room.share() as others:
            others.hold(MOST - sent.room.held)
            await sent.piece(bytes(MIB))
            await sent.end()


@pytest.mark.parametrize("path", PATHS)
async def test_every_end_of_a_request_frees_its_memory(
    admin: Admin, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """The memory of a body is free again after every kind of end of its request."""
    for end in ENDS:
        sent = Sent(admin, path)
        with monkeypatch.context() as patched:
            if end == "too long":  # which is about limits of one body, so there is room for it
                patched.setattr(body_memory, "MAX_HELD", 2**40)
            await sent.begin()
            await sent.piece(b"x" * (MIB // 2))
            await sent.piece(b"x" * (MIB // 4))
            assert sent.room.held == MIB * 3 // 4, (path, end, sent.status)
            await come_to(end, sent)
        assert (sent.room.held, sent.task.done()) == (0, True), (path, end)


STORAGE = (507, b"nsufficient ")
BUSY = (503, b"Try again later.")
LARGE = {QUEUE: STORAGE, TASK: STORAGE, JSON_UPLOAD: STORAGE, BOXES: BUSY, FIND: BUSY, RESET: BUSY}
"""How large bodies are refused; other paths take none, or put it on the disk."""
ALL = {**LARGE, SUBMIT: STORAGE, VICSEE: STORAGE, INBOX: BUSY}
CAUSE = "memory: the bodies of other requests hold %d of %d bytes of memory"


@pytest.mark.parametrize(
    ("bound", "taken", "refusals"),
    [(MOST, MIB, LARGE), (MOST + RESERVED, 64 * 1024, ALL)],
    ids=["large", "small"],
)
async def test_a_body_is_refused_if_other_bodies_use_the_memory(
    admin: Admin, bound: int, taken: int, refusals: dict[str, tuple[int, bytes]]
) -> None:
    """Providers and admin API refuse the body in their own form; a smaller one is accepted."""
    holder = admin.sim.registry.room
    with holder.share() as large, holder.share() as one, holder.share() as other:
        large.hold(MOST)
        one.hold((bound - MOST) // 2)
        other.hold((bound - MOST) // 2)
        for path, (status, words) in refusals.items():
            sent = Sent(admin, path)
            await sent.begin()
            await sent.piece(b"x" * taken)
            assert not sent.task.done(), path
            await sent.piece(b"x")
            await sent.task
            assert (sent.status, words in sent.body) == (status, True), (path, sent.body)
            assert holder.held == bound, path
            if status == 507:
                assert list(admin.sim.sandbox.records)[-1].cause == CAUSE % (bound, bound)
        small = Sent(admin, SUBMIT)
        await small.begin()
        await small.piece(b'{"video": "https://clips.example/8.mp4"}' + b" " * (taken // 2))
        assert await small.end() == 200, small.body


async def test_bodies_of_many_requests_stay_within_the_bound(admin: Admin) -> None:
    """Of six bodies that arrive in pieces, those above the bound are refused."""
    asked = [Sent(admin, TASK) for _ in range(6)]
    most = 0
    for each in asked:
        await each.begin()
    for _ in range(8):
        for each in asked:
            if not each.task.done():
                await each.piece(b" " * (MIB // 2))
            most = max(most, asked[0].room.held)
    refused = [each.status for each in asked if each.task.done()]
    assert (most <= MOST, set(refused)) == (True, {507})
    assert 0 < len(refused) < 6
    rest = [await each.end() for each in asked if not each.task.done()]
    assert (set(rest), asked[0].room.held) == ({400}, 0)


@pytest.mark.parametrize("crowded", [False, True])
async def test_an_upload_uses_the_disk_instead_of_memory(
    admin: Admin,
    monkeypatch: pytest.MonkeyPatch,
    crowded: bool,  # noqa: FBT001
) -> None:
    """An upload uses at most 8 MiB of memory, or 64 KiB if other bodies use the memory."""
    monkeypatch.setattr(body_memory, "MAX_HELD", 2 * MOST)
    holder, beside = admin.sim.registry.room, 2 * MOST * crowded
    with holder.share() as others:
        others.hold(beside)
        sent = Sent(admin, PUT)
        await sent.begin()
        held = []
        for _ in range(6):
            await sent.piece(bytes(MIB * 3 // 2))
            held.append((holder.held - beside) / MIB)
        assert held == ([1 / 16] * 6 if crowded else [1.5, 3, 4.5, 6, 7.5, 1])
        assert (await sent.end(), holder.held) == (200, beside)
        (file,) = admin.sim.sandbox.state.uploads.values()
        assert file.stored is not None
        assert file.stored.size == 9 * MIB


def test_a_small_body_in_one_piece_is_not_counted(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small body in one piece is not counted; one in two pieces, or a larger one, is."""
    counted: list[int] = []
    monkeypatch.setattr(body_memory.Share, "hold", lambda _share, size: counted.append(size))
    for size in (2, 64 * 1024, 64 * 1024 + 1):
        admin.vicsee().post("/api/v1/tools/upscale-video", content=b" " * size)
    assert counted == [64 * 1024 + 1]
