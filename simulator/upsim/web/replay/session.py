"""A step-by-step replay, for tests that `upsim replay --pytest` writes and people edit."""

from __future__ import annotations

import asyncio
import base64 as encoding
import hashlib
import json as notation
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec

from upsim.pipe_event_loop import new_loop
from upsim.web.replay.export_document import (
    MAX_LENGTH,
    Bytes,
    Document,
    ExportedRequest,
    ExportEntry,
    ExportError,
    MediaPart,
    OpenedPart,
    Pair,
    Point,
    ToldPart,
)
from upsim.web.replay.player import DivergedError, Player
from upsim.web.replay.recorded_parts import Application
from upsim.web.replay.replayed_exchange import ReplayedExchange

NOTHING = object()


@dataclass(frozen=True, slots=True)
class ReplayResponse:
    """The response to a request; `cut` means that the connection was cut."""

    status_code: int | None
    headers: Mapping[str, str]
    content: bytes
    cut: bool

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """Return the body as JSON."""
        return notation.loads(self.content)

    @property
    def sha256(self) -> str:
        """Return the SHA-256 digest of the body."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(slots=True)
class ReplaySession:
    """One replay, in a `with` block; each step first advances the clock to the time of the step."""

    app: Application
    document: Document
    _runner: asyncio.Runner | None = None
    _player: Player | None = None
    _steps: int = 0

    def request(  # noqa: PLR0913 - one argument for each part of a request
        self,
        method: str,
        target: str,
        *,
        at: str,
        number: int | None = None,
        key: str = "",
        headers: Sequence[Pair] = (),
        json: object = NOTHING,
        text: str | None = None,
        base64: str | None = None,
        file: Path | None = None,
        size: int | None = None,
        scheme: str = "http",
        wall: str | None = None,
        oversized: bool = False,
        waits: Sequence[tuple[str, int]] = (),
        found: Mapping[tuple[str, int], Mapping[str, object]] | None = None,
    ) -> ReplayResponse:
        """Send a request with the key that has this name.

        A request that waits gets its response from `goes_on`. `waits` are the points at which the
        request waits, and `found` is the video's measurement there. The body is `json`, `text`,
        `base64` or the bytes of `file`. If the body is incomplete, `size` is its original size.
        Raises ExportError if `size` is negative or above 512 MiB.
        """
        if size is not None and not 0 <= size <= MAX_LENGTH:
            raise ExportError(f"size is {size}, expected 0 to {MAX_LENGTH} bytes")
        path, _, query = target.partition("?")
        if json is not NOTHING:
            text = notation.dumps(json, separators=(",", ":"), ensure_ascii=False)
        if file is not None:
            base64 = encoding.b64encode(file.read_bytes()).decode()
        data = text.encode() if text is not None else encoding.b64decode(base64 or "")
        body = Bytes(text=text, base64=base64, size=size or len(data), cut=size is not None)
        asked = ExportedRequest(
            method=method,
            path=path,
            query=query,
            scheme=scheme,
            headers=list(headers),
            key=key,
            body=body if data else None,
            oversized=oversized,
        )
        number = number or -1 - self._steps
        known = found or {}
        points = [
            ExportEntry(
                n=0,
                at=at,
                resumed=Point(number, point, index),
                media=msgspec.convert(known[point, index], MediaPart)
                if (point, index) in known
                else None,
            )
            for point, index in waits
        ]
        return self._play(ExportEntry(n=number, at=at, request=asked, wall=wall), points)

    def goes_on(self, number: int, point: str, index: int = 0, *, at: str) -> ReplayResponse:
        """Continue a request that waits at this point."""
        return self._play(ExportEntry(n=0, at=at, resumed=Point(number, point, index)))

    def opened(self, provider: str, owner: str, account: int, *, at: str) -> None:
        """Create the account of an owner."""
        self._play(ExportEntry(n=0, at=at, opened=OpenedPart(provider, owner, account)))

    def webhook(
        self,
        delivery: str,
        attempt: int,
        *,
        at: str,
        status: int | None = None,
        error: str = "",
        answer: str = "",
        refused: bool = False,
    ) -> None:
        """Set the receiver's response to one attempt to deliver a webhook."""
        told = ToldPart(delivery, attempt, status, error, refused, Bytes(text=answer))
        self._play(ExportEntry(n=0, at=at, webhook=told))

    def reread(self, scenarios: Mapping[str, object], *, at: str) -> None:
        """Repeat a reload of scenario files: these values apply from now on."""
        self._play(ExportEntry(n=0, at=at, reread=dict(scenarios)))

    def close(self) -> None:
        """Cancel waiting requests and remove files."""
        if self._runner is not None:
            if self._player is not None:
                self._runner.run(self._player.close())
            self._runner.close()
        close = getattr(self.app, "close", None)
        if close is not None:
            close()

    def _play(self, entry: ExportEntry, waits: Sequence[ExportEntry] = ()) -> ReplayResponse:
        self._steps += 1
        runner = self._runner = self._runner or asyncio.Runner(loop_factory=new_loop)
        done = runner.run(self._step(entry, waits))
        if done is None:
            return ReplayResponse(None, {}, b"", cut=False)
        exchange = done[1]
        named = {k.decode("latin-1"): v.decode("latin-1") for k, v in exchange.answer_headers}
        return ReplayResponse(exchange.status, named, exchange.content, exchange.cut)

    async def _step(
        self, entry: ExportEntry, waits: Sequence[ExportEntry]
    ) -> tuple[int, ReplayedExchange] | None:
        if self._player is None:
            self._player = Player(self.app, self.document)
        return await self._player.play(entry, waits)

    def __enter__(self) -> Self:
        """Return the session itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the session."""
        self.close()


__all__ = ["DivergedError", "ReplayResponse", "ReplaySession"]
