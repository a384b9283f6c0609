"""Send a cassette's requests to a simulator again, so that both responses can be compared.

The simulator gets the known properties of the videos. Recorded ids are replaced by the
simulator's ids. A poll is repeated, with the clock advancing, until the job has its recorded
status. If a recorded job failed, the simulator's job is made to fail too.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from upsim_contracts.cassettes.bodies import strings
from upsim_contracts.cassettes.bounded_json import encoded, parsed
from upsim_contracts.cassettes.cassette import Cassette, RecordedExchange
from upsim_contracts.cassettes.redaction import PLACEHOLDER
from upsim_contracts.documents.openapi import default_dialect
from upsim_contracts.documents.webhook_checks import callbacks_of
from upsim_contracts.drift.job_progress import Progress
from upsim_contracts.exceptions import TargetError, UnreadableVideoError
from upsim_contracts.expected_responses import ABSENT, at
from upsim_contracts.facts.fact_files import Book, filled
from upsim_contracts.provider_words import said
from upsim_contracts.request_costs import CostTable
from upsim_contracts.spending_guard import RESERVED
from upsim_contracts.target import Target, TargetAccount, TargetSettings
from upsim_contracts.video_probe import probe_video
from upsim_contracts.yaml_writer import address, media_rules, scenario_text

POLLS = 12
"""How often a poll is repeated at most until the job says what it said in the recording."""
UNKNOWN_KEY = "upsim-replay-nobodys-key"
_ENDS = ("completed", "failed", "cancelled", "timeout", "deleted")
_AUTHENTICATION = 401
_NO_MONEY = 402
_MONEY = re.compile(r"credit|balance|fund|money|top.?up|payment", re.IGNORECASE)
_REFUSED = 400
_TOO_MANY = 429
_BROKEN = 500
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{7,}")
_ID_NAME = re.compile(r"(?:^|[_-]|u)ids?$|[a-z]Ids?$")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LINK = re.compile(r"https?://", re.IGNORECASE)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d")
_KEPT_HEADERS = ("content-type", "accept")


@dataclass(frozen=True, slots=True)
class Replayed:
    """The simulator's response to the same request; `skipped` is the reason if it does not count.

    For a poll, `state` is the job's state in the simulator at the recorded status, and
    `polls_before` the number of polls sent before this one.
    """

    exchange: RecordedExchange
    status: int = 0
    headers: Mapping[str, str] | None = None
    document: Any = ABSENT
    charge: Decimal | None = None
    clip_known: bool = True
    skipped: str = ""
    state: str = ""
    polls_before: int = 0
    sees: Mapping[str, object] | None = None
    """The properties that PyAV finds in the simulator's file."""


def replay(
    cassette: Cassette, book: Book, costs: CostTable, target: Target, scenario: Path | None = None
) -> list[Replayed]:
    """Replay on a fresh sandbox, under a scenario or only with the recorded videos.

    Raises TargetError.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = scenario or Path(folder) / "replay.yaml"
        if scenario is None:
            parts = {"extends": f"{book.provider}/baseline", "summary": "The videos of a cassette."}
            rules = media_rules(cassette.clips)
            text = scenario_text({**parts, "media": rules} if rules else parts)
            file.write_text(text, encoding="utf-8")
        head = cassette.header
        dialect = "" if head.dialect == default_dialect(head.provider) else head.dialect
        path = str(file.resolve())
        try:
            with target.world(TargetSettings(scenario=path, dialect=dialect)) as world:
                run = _Run(cassette, book, costs, world)
                return [run.answer(one) for one in cassette.exchanges]
        except TargetError as error:
            raise _without_path(error, path, cassette) from error


def _without_path(error: TargetError, scenario: str, cassette: Cassette) -> TargetError:
    """Return the same error with the name of the cassette instead of the generated scenario."""
    place = re.compile(re.escape(scenario) + r":[0-9]+:[0-9]+: ")
    _, found, mistakes = str(error).partition(scenario)
    if not found:
        return error
    return TargetError(
        f"{cassette.name} makes no valid scenario: {place.sub('', found + mistakes)}"
    )


class _Run:
    def __init__(
        self, cassette: Cassette, book: Book, costs: CostTable, world: TargetAccount
    ) -> None:
        self._book = book
        self._costs = costs
        self._world = world
        self._header = cassette.header
        self._clips = cassette.clips
        self._names: dict[str, str] = {}
        self._progress = Progress(book)
        self._polls = 0
        self._outputs: dict[str, str] = {}
        """The links to outputs: path of the recorded one, the simulator's own."""
        self._guesses: set[str] = set()
        """Recorded ids of jobs whose video is unknown."""
        self._refused: set[str] = set()
        """Recorded ids of jobs that the simulator did not accept."""

    def answer(self, exchange: RecordedExchange) -> Replayed:
        """Return the simulator's response to one exchange."""
        if exchange.part == "file":
            return self._file(exchange)
        reason = self._unsent(exchange)
        if reason:
            return Replayed(exchange, skipped=reason)
        form = self._costs.call(exchange.method, exchange.path)
        if form is not None and form.name == self._book.lifecycle.call:
            return self._polled(exchange)
        if form is not None and form.paid:
            return self._paid(exchange)
        return self._once(exchange)

    def _unsent(self, exchange: RecordedExchange) -> str:
        """Return why a request is not sent; an empty text if it is sent."""
        if "file" in exchange.request.body:
            return "the bytes of its request were not kept"
        if exchange.status == 0:
            return "the connection was lost"
        asked = (*exchange.path.partition("?")[0].split("/"), *strings(exchange.request.body))
        return "" if self._refused.isdisjoint(asked) else "the simulator refused its job"

    def _file(self, exchange: RecordedExchange) -> Replayed:
        """Replay a download; for an output, fetch the file that the simulator made instead."""
        link = self._outputs.get(exchange.path.partition("?")[0])
        if link is None or exchange.answer.body.get("file", {}).get("sees") is None:
            return Replayed(exchange, skipped="a file")
        try:
            answer = self._world.http.get(link)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise TargetError(f"{link}: {error}") from error
        return Replayed(exchange, answer.status_code, sees=_sees(answer.content))

    def _paid(self, exchange: RecordedExchange) -> Replayed:
        """Replay a paid request; if only the simulator accepts it, repeat it with balance zero."""
        known = bool(exchange.media)
        controls, life = self._world.controls, self._book.lifecycle
        before = self._balance()
        ends = [word for words in life.words.values() for word in words]
        was_held = at(exchange.answer.body.get("json", ABSENT), life.read) in ends
        with controls.running() if controls is not None and was_held else nullcontext():
            answer = self._send(exchange)
        after = self._balance()
        only_there = exchange.status >= _REFUSED and answer.is_success
        full = controls.balance() if controls is not None and only_there else None
        if controls is not None and full is not None:
            controls.account({"balance": "0"})
            poor = self._send(exchange)
            controls.account({"balance": full})
            if _is_same_refusal(poor, exchange):
                answer = poor
            elif not known:
                return Replayed(exchange, skipped="the video is not known")
        form = self._costs.call(exchange.method, exchange.path)
        if exchange.status < _REFUSED <= answer.status_code and form is not None and form.job:
            job = at(exchange.answer.body.get("json", ABSENT), form.job)
            self._refused.update(strings(job))
        if not known:
            self._guesses.update(strings(exchange.answer.body.get("json")))
        self._began(exchange, answer)
        charge = None if before is None or after is None else before - after
        return self._seen(
            exchange, answer, charge if answer.is_success else Decimal(0), known=known
        )

    def _began(self, exchange: RecordedExchange, answer: httpx.Response) -> None:
        """Note the first status word of a job."""
        form, read = self._costs.call(exchange.method, exchange.path), self._book.lifecycle.read
        document = parsed(answer.content)
        own = document[0] if document else ABSENT
        job = at(own, form.job) if form is not None and form.job else ABSENT
        if isinstance(job, str) and exchange.status < _REFUSED:
            words = (at(one, read) for one in (exchange.answer.body.get("json", ABSENT), own))
            self._progress.note(job, *words)

    def _polled(self, exchange: RecordedExchange) -> Replayed:
        """Replay a poll; advance the clock while the simulator's job is behind the recorded one."""
        life, controls = self._book.lifecycle, self._world.controls
        recorded = _word(exchange.status, exchange.answer.body.get("json", ABSENT), life.read)
        is_strange = exchange.status < _REFUSED and not self._progress.is_known(recorded)
        if recorded in life.words.get("failed", ()) or (
            is_strange and self._tells_failure(exchange)
        ):
            self._fail(exchange)
        before = self._polls
        answer, word = self._poll(exchange)
        job, ended = self._progress.job(*self._asked(exchange)), self._has_output(exchange)
        is_told = exchange.status < _REFUSED or self._progress.is_known(recorded)
        for _ in range(POLLS if is_told else 0):
            is_behind = self._progress.is_behind(job, word, recorded, ended=ended)
            if controls is None or not is_behind:
                break
            controls.advance(to="next")
            answer, word = self._poll(exchange)
        if exchange.status < _REFUSED:
            self._progress.note(job, recorded, word)
        found = self._seen(exchange, answer, None, known=True)
        if self._guesses.isdisjoint((*exchange.path.split("/"), *strings(exchange.request.body))):
            found = self._with_output(exchange, found, answer.content)
        state = next((job["state"] for job in self._jobs(exchange)), "") if word == recorded else ""
        return replace(found, state=state, polls_before=before)

    def _with_output(self, exchange: RecordedExchange, found: Replayed, content: bytes) -> Replayed:
        """Note the links of both outputs; if the response itself is the output, probe the video."""
        if self._book.lifecycle.inline:
            is_file = "file" in exchange.answer.body and found.document is ABSENT
            return replace(found, sees=_sees(content)) if is_file else found
        recorded = exchange.answer.body.get("json", ABSENT)
        for place in self._book.lifecycle.output:
            link, own = at(recorded, place), at(found.document, place)
            if isinstance(link, str) and isinstance(own, str):
                self._outputs[urlsplit(link).path] = own
        return found

    def _asked(self, exchange: RecordedExchange) -> Iterator[str]:
        """Yield the texts of a request with the simulator's ids; one text is the id of a job."""
        path = self._text(exchange.path.partition("?")[0])
        yield from filter(None, path.split("/"))
        yield from (self._text(text) for text in strings(exchange.request.body))

    def _has_output(self, exchange: RecordedExchange) -> bool:
        """Return whether a recorded response is the output of a finished job, or links to it."""
        recorded = exchange.answer.body.get("json", ABSENT)
        return "file" in exchange.answer.body or any(
            isinstance(at(recorded, one), str) for one in self._book.lifecycle.output
        )

    def _tells_failure(self, exchange: RecordedExchange) -> bool:
        """Return whether a recorded response contains the message of a failure in the baseline."""
        told = set(strings(exchange.answer.body.get("json")))
        return self._failure(told) is not None

    def _catch_up(self, exchange: RecordedExchange) -> None:
        """Advance the clock until all jobs have ended that a recorded response shows as ended.

        Polls did not show such an end if they were refused, or if the client asked for a job list.
        """
        controls, life = self._world.controls, self._book.lifecycle
        ends = {word for words in life.words.values() for word in words}
        recorded = exchange.answer.body.get("json", ABSENT)
        names = {self._names.get(one, one) for one in _ended(recorded, ends)}
        if at(recorded, life.read) in ends:
            names |= {job["id"] for job in self._jobs(exchange)}
        for _ in range(POLLS if names else 0):
            at_work = controls is not None and any(
                job["id"] in names and job["state"] not in _ENDS for job in controls.jobs()
            )
            if controls is None or not at_work:
                return
            controls.advance(to="next")

    def _poll(self, exchange: RecordedExchange) -> tuple[httpx.Response, object]:
        answer = self._send(exchange)
        self._polls += 1
        document = parsed(answer.content)
        found = document[0] if document else ABSENT
        return answer, _word(answer.status_code, found, self._book.lifecycle.read)

    def _jobs(self, exchange: RecordedExchange) -> Iterator[Mapping[str, Any]]:
        """Yield the simulator's job that a poll asks for."""
        controls = self._world.controls
        texts = [self._text(text) for text in strings(exchange.request.body)]
        path = self._text(exchange.path)
        for job in controls.jobs() if controls is not None else ():
            if job["id"] in path or job["id"] in texts:
                yield job

    def _fail(self, exchange: RecordedExchange) -> None:
        """Make the simulator's job fail as the recorded one did."""
        controls = self._world.controls
        told = set(strings(exchange.answer.body.get("json")))
        for job in self._jobs(exchange):
            if controls is not None and job["state"] not in ("failed", "completed"):
                controls.force(job["id"], "failed", self._failure(told))

    def _failure(self, told: set[str]) -> str | None:
        """Return the name of the baseline's failure whose message is in the recorded response."""
        found = self._baseline()
        for path, value in found:
            name, _, last = path.removeprefix("failures.").partition(".")
            if path.startswith("failures.") and last == "message" and value in told:
                return name
        return None

    def _baseline(self) -> Iterator[tuple[str, Any]]:
        controls = self._world.controls
        if controls is not None:
            for entry in controls.baseline()["values"]:
                yield entry["path"], entry["value"]

    def _once(self, exchange: RecordedExchange) -> Replayed:
        self._catch_up(exchange)
        return self._seen(exchange, self._send(exchange), None, known=True)

    def _seen(
        self,
        exchange: RecordedExchange,
        answer: httpx.Response,
        charge: Decimal | None,
        *,
        known: bool,
    ) -> Replayed:
        document = parsed(answer.content)
        found = document[0] if document else ABSENT
        recorded = exchange.answer.body.get("json", ABSENT)
        self._learn(recorded, found)
        is_limited = exchange.status == _TOO_MANY != answer.status_code
        if is_limited or (is_momentary(exchange.status) and answer.is_success):
            return Replayed(exchange, answer.status_code, skipped="a refusal of the moment")
        return Replayed(
            exchange,
            answer.status_code,
            dict(answer.headers),
            found,
            charge,
            known,
        )

    # -- requests

    def _send(self, exchange: RecordedExchange) -> httpx.Response:
        headers = {
            name: _CONTROL.sub(" ", value)
            for name, value in exchange.request.headers.items()
            if name in _KEPT_HEADERS and PLACEHOLDER not in value
        }
        for name, form in self._book.auth.items():
            if name.lower() in exchange.request.headers:
                wrong = exchange.status == _AUTHENTICATION
                key = UNKNOWN_KEY if wrong else self._world.key
                headers[name] = str(filled(form, {"key": key}))
        body = exchange.request.body
        content = exchange.request.content
        if "json" in body:
            content = encoded(self._replaced(body["json"]))
        path = self._text(exchange.path)
        path, content = self._unhooked(exchange, path, content)
        extensions = {RESERVED: True}  # a simulator's money is play money
        try:
            request = self._world.http.build_request(
                exchange.method,
                f"{self._world.base_url}{path}",
                headers=[(k.encode(), v.encode("latin-1", "replace")) for k, v in headers.items()],
                content=content or None,
                extensions=extensions,
            )
            return self._world.http.send(request)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise TargetError(f"{exchange.call}: {error}") from error

    def _unhooked(self, exchange: RecordedExchange, path: str, content: bytes) -> tuple[str, bytes]:
        """Replace each webhook URL by the simulator's inbox, so no receiver is notified twice."""
        controls, header = self._world.controls, self._header
        for callback in callbacks_of(
            header.provider, header.dialect, exchange.method, exchange.path
        ):
            document = parsed(content)
            body = document[0] if document else None
            urls = [url for url in callback.urls(path, body) if _LINK.match(url)]
            if controls is not None and urls:
                path, body = callback.renamed(path, body, dict.fromkeys(urls, controls.inbox))
                content = content if callback.query else encoded(body)
        return path, content

    def _replaced(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, Mapping):
            return {key: self._replaced(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._replaced(inner) for inner in value]
        if isinstance(value, str):
            if value.partition("?")[0] in self._clips or value.startswith("data:,sha256-"):
                return address(value.partition("?")[0])
            return self._text(value)
        return value

    def _text(self, text: str) -> str:
        for recorded, own in self._names.items():
            text = text.replace(recorded, own)
        return text

    def _learn(self, recorded: object, own: object, name: str = "") -> None:
        """Pair the ids at the same place in the recorded and the simulator's response."""
        if isinstance(recorded, Mapping) and isinstance(own, Mapping):
            for key in recorded.keys() & own.keys():
                self._learn(recorded[key], own[key], str(key))
            new, gone = _ids(recorded, own), _ids(own, recorded)
            if len(new) == len(gone) == 1:  # a field with another name
                self._learn(*new.values(), *gone.values(), *gone)
        elif isinstance(recorded, list) and isinstance(own, list):
            for one, other in zip(recorded, own, strict=False):
                self._learn(one, other, name)
        elif isinstance(recorded, str) and isinstance(own, str) and recorded != own:
            alike = _ID.fullmatch(recorded) and _ID.fullmatch(own) and not _MOMENT.match(recorded)
            if alike and (_ID_NAME.search(name) or any(letter.isdigit() for letter in recorded)):
                self._names.setdefault(recorded, own)

    def _balance(self) -> Decimal | None:
        if self._book.balance is None:
            return None
        name, place = self._book.balance
        form = self._book.calls[name]
        headers = {k: str(filled(v, {"key": self._world.key})) for k, v in self._book.auth.items()}
        answer = self._world.http.request(
            form.method, f"{self._world.base_url}{form.path}", headers=headers
        )
        document = parsed(answer.content)
        seen = {"headers": dict(answer.headers), "json": document[0] if document else ABSENT}
        found = at(seen, place)
        return Decimal(str(found)) if isinstance(found, str | int | Decimal) else None


def _is_same_refusal(poor: httpx.Response, exchange: RecordedExchange) -> bool:
    """Return whether a recorded refusal means insufficient funds, like the simulator's refusal.

    A status used only for that is sufficient; for any other status, the text must be about money.
    """
    about = str(said(exchange.answer.body.get("json"), ""))
    is_money = exchange.status == _NO_MONEY or _MONEY.search(about) is not None
    return poor.status_code == exchange.status and is_money


def _ids(document: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields that may be ids and that are missing in the other document."""
    return {
        name: value
        for name, value in document.items()
        if name not in other and isinstance(value, str) and _ID.fullmatch(value)
    }


def _ended(document: object, ends: Collection[str]) -> Iterator[str]:
    """Yield the texts beside a status that ends a job; one of them is the job's id."""
    if isinstance(document, Mapping):
        own = [value for value in document.values() if isinstance(value, str)]
        if any(value in ends for value in own):
            yield from own
    inner: Iterable[object] = document if isinstance(document, list) else ()
    for one in document.values() if isinstance(document, Mapping) else inner:
        yield from _ended(one, ends)


def is_momentary(status: int) -> bool:
    """Return whether a status is temporary: a rate limit, or a server error."""
    return status == _TOO_MANY or status >= _BROKEN


def _sees(content: bytes) -> Mapping[str, object] | None:
    try:
        return probe_video(content)
    except UnreadableVideoError:
        return None


def _word(status: int, document: object, place: str) -> object:
    found = at(document, place)
    return f"http {status}" if found is ABSENT else found
