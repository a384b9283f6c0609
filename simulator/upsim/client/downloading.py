"""Downloads that resume, check their length, and get their final name only when complete."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import IO
from urllib.parse import urljoin

from upsim.client.adapter import ErrorFormat, ProviderResponse
from upsim.client.exceptions import (
    ClientError,
    DestinationError,
    NotFoundError,
    ProtocolError,
    TransientError,
)
from upsim.client.hidden_texts import shown_url
from upsim.client.io_effects import BlockingCall, Fetch, Flow, LostResponse, SentResponse
from upsim.client.output_check import check_video
from upsim.client.results import Download
from upsim.client.sending import Sender, TimeLeft
from upsim.client.video_input import is_source
from upsim.core.numbers import plain_count

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
_NO_VIDEO = ("text/", "application/json", "application/xml")
_PLAIN = ErrorFormat(texts=())


@dataclass(slots=True)
class PartialFile:
    """The downloaded part of a file, and the known properties of the whole file."""

    path: Path
    file: IO[bytes]
    have: int = 0
    total: int | None = None
    validator: str = ""
    ranges: bool = False
    resumed: int = 0
    problem: str = field(default="")

    def headers(self) -> Mapping[str, str]:
        """Return headers that ask for the missing part if the file on the server is unchanged."""
        plain = {"accept-encoding": "identity"}
        if not self.have or not self.validator:
            return plain
        return plain | {"range": f"bytes={self.have}-", "if-range": self.validator}

    def begin(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether to read the body: the missing part of the file, or the whole file."""
        self.problem = ""
        if status == HTTPStatus.PARTIAL_CONTENT and self._continues(headers):
            self.resumed += 1
            return True
        if status != HTTPStatus.OK:
            return False
        kind = headers.get("content-type", "").lower()
        encoding = headers.get("content-encoding", "")
        if kind.startswith(_NO_VIDEO) or encoding:
            self.problem = f"it is not a video but {kind} {encoding}".rstrip()
            return False
        self._restart()
        length = headers.get("content-length", "")
        self.total = plain_count(length)
        self.validator = _strong(headers)
        self.ranges = headers.get("accept-ranges", "").lower() == "bytes"
        return True

    def write(self, chunk: bytes) -> None:
        """Append the next chunk."""
        self.have += self.file.write(chunk)

    def is_whole(self, *, ended: bool) -> bool:
        """Whether the file is complete, by its announced length or by the end of the body."""
        return self.have == self.total if self.total is not None else ended and self.have > 0

    def restart_when_useless(self) -> None:
        """Discard a part that cannot be resumed."""
        if not self.validator or (self.total is not None and self.have > self.total):
            self._restart()

    def _continues(self, headers: Mapping[str, str]) -> bool:
        found = _RANGE.fullmatch(headers.get("content-range", "").strip())
        if found is None or not self._is_the_rest(int(found[1]), found[2], headers):
            self._restart()
            return False
        self.total = self.total if found[2] == "*" else int(found[2])
        return True

    def _is_the_rest(self, start: int, total: str, headers: Mapping[str, str]) -> bool:
        """Return whether a partial response continues the file.

        Without a known total length, a part could end anywhere.
        """
        asked = bool(self.have and self.validator) and start == self.have
        same = headers.get("etag", self.validator) == self.validator
        known = self.total is not None if total == "*" else self.total in (None, int(total))
        return asked and same and known and "content-encoding" not in headers

    def _restart(self) -> None:
        self.have = 0
        self.file.seek(0)
        self.file.truncate()


def download(
    url: str,
    to: Path,
    *,
    sender: Sender,
    attempts: int,
    seconds: float,
    admit: Callable[[str], None],
) -> Flow[Download]:
    """Download a finished file without sending the key.

    Raises ClientError and leaves no file then. `admit` raises for links that may not be
    followed. Transient errors are retried while `seconds` are left; an attempt that brought
    new bytes does not count against `attempts`.
    """
    with _beside(to) as partial, partial.open("wb") as file:
        part = PartialFile(partial, file)
        deadline = TimeLeft(seconds)
        yield from _all_of(url, part, deadline, sender=sender, attempts=attempts, admit=admit)
        file.close()
        check_video(partial, shown_url(url))
        os.replace(partial, to)  # noqa: PTH105 - the rename is the point
        return Download(to, part.have, resumable=part.ranges, resumed=part.resumed)


def keep_spooled(spool: Path, to: Path) -> Flow[Download]:
    """Move a file that came in a response to its final name."""

    def take() -> int:
        with _beside(to) as partial:
            shutil.copyfile(spool, partial)
            check_video(partial, "the file in the provider's answer")
            size = partial.stat().st_size
            partial.replace(to)
            return size

    size: int = yield BlockingCall(take)
    return Download(to, size)


def check(to: Path, source: object) -> None:
    """Raise DestinationError if the file cannot be written or is the source of the upscale.

    A device such as /dev/null is rejected, because the download would replace it.
    """
    if is_source(source, to):
        raise DestinationError(f"{to} is the source itself: choose another file for the output")
    with _beside(to):
        if to.is_dir():
            raise DestinationError(f"{to} cannot be written: it is a folder")
        if to.exists() and not to.is_file():
            raise DestinationError(f"{to} cannot be written: it is not a regular file")


@contextmanager
def _beside(to: Path) -> Iterator[Path]:
    """Yield a private folder for a partial download, and remove the folder at the end.

    Raises DestinationError for any error of the disk.
    """
    try:
        with tempfile.TemporaryDirectory(dir=to.parent, prefix=".upsim-part-") as folder:
            yield Path(folder) / "part"
    except OSError as error:
        problem = f"{to} cannot be written: {error.strerror or error}"
    else:
        return
    raise DestinationError(problem)


def _all_of(
    url: str,
    part: PartialFile,
    deadline: TimeLeft,
    *,
    sender: Sender,
    attempts: int,
    admit: Callable[[str], None],
) -> Flow[None]:
    tried = redirects = best = 0
    while True:
        admit(url)
        outcome: SentResponse | LostResponse = yield Fetch(url, part.headers(), part, deadline.left)
        deadline.left -= outcome.took
        lost = isinstance(outcome, LostResponse)
        if part.problem:
            raise ProtocolError(f"{shown_url(url)}: {part.problem}")
        if not isinstance(outcome, LostResponse) and outcome.answer.status in _REDIRECTS:
            redirects += 1
            url = _redirected(url, outcome.answer, redirects)
            continue
        trouble: ClientError
        if isinstance(outcome, LostResponse):
            trouble = TransientError(f"GET {shown_url(url)}: {outcome.reason}")
        elif outcome.answer.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            trouble = _trouble(url, outcome.answer)
        else:
            trouble = TransientError(
                f"GET {shown_url(url)}: the body ended after {part.have} of {part.total} bytes"
            )
            if part.is_whole(ended=not lost):
                return
        tried = 1 if part.have > best else tried + 1
        best = max(best, part.have)
        if not isinstance(trouble, TransientError):
            raise trouble
        seconds = sender.patience(trouble, tried) if tried < attempts else None
        if seconds is None or seconds >= deadline.left:
            raise trouble
        part.restart_when_useless()
        yield from deadline.pause(seconds)


def _trouble(url: str, answer: ProviderResponse) -> ClientError:
    if answer.status in _GONE:
        text = f"{shown_url(url)}: the link has expired or does not exist"
        return NotFoundError(answer.status, text, raw=answer.raw)
    if answer.status in (HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, HTTPStatus.TOO_MANY_REQUESTS):
        return TransientError(f"GET {shown_url(url)}: {answer.status}")
    return _PLAIN.error(answer)


def _redirected(url: str, answer: ProviderResponse, redirects: int) -> str:
    place = answer.headers.get("location", "")
    if not place or redirects > MAX_REDIRECTS:
        raise ProtocolError(f"{shown_url(url)}: {redirects} redirects without reaching a file")
    try:
        return urljoin(url, place)
    except ValueError:
        problem = f"{shown_url(url)}: redirected to an invalid URL"
    raise ProtocolError(problem)


def _strong(headers: Mapping[str, str]) -> str:
    """Return the strong ETag of a file; a download without a strong ETag is not resumed."""
    tag = headers.get("etag", "")
    return "" if tag.startswith("W/") else tag
