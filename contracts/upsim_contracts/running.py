"""Running one fact against a target: its steps one after the other, up to the first difference."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import httpx

from upsim_contracts.clips import Clip, clip
from upsim_contracts.exceptions import SpendingError, TargetError
from upsim_contracts.facts import Book, CallForm, Fact, filled, seconds
from upsim_contracts.looking import look_into
from upsim_contracts.matching import ABSENT, Mismatch, at, mismatches, shown
from upsim_contracts.spending import RESERVED
from upsim_contracts.target import Target, World
from upsim_contracts.telling import as_seen, mismatches_of

Outcome = Literal["held", "broken", "not run", "untestable"]
Pricer = Callable[[str, Clip | None, Mapping[str, Any]], Decimal | None]
"""What a call with a clip and a body costs by the published figures; None where nobody knows.

Without a clip, the most that any call costs.
"""
Sleep = Callable[[float], None]
SUCCESS = {"at_least": 200, "at_most": 299}
"""What the status of a call is to be where its step expects no other."""
CONNECTION = "connection"
"""Where a mismatch is said to lie when there was no answer to look at."""
CONTENT_TYPES = {"mp4": "mp4", "mov": "quicktime", "mkv": "x-matroska", "webm": "webm"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a fact. `spent` is what it cost at the target, refunds taken off."""

    fact: Fact
    outcome: Outcome
    mismatches: tuple[Mismatch, ...] = ()
    reason: str = ""
    exchange: str = ""
    spent: Decimal = Decimal(0)


class NotRunError(Exception):
    """A fact that this target cannot show; the message says why."""


class BrokenError(Exception):
    """A step whose result is not what the fact says."""

    def __init__(self, found: list[Mismatch]) -> None:
        """Keep the differences."""
        super().__init__("; ".join(map(str, found)))
        self.found = tuple(found)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the document, `ABSENT` when the body is no JSON."""

    response: httpx.Response

    @property
    def document(self) -> object:
        """The JSON body; numbers with a point are Decimals."""
        try:
            return json.loads(self.response.content, parse_float=Decimal)
        except ValueError:
            return ABSENT

    @property
    def as_seen(self) -> dict[str, object]:
        """The parts that a fact may speak of."""
        return {
            "status": self.response.status_code,
            "headers": {name.lower(): value for name, value in self.response.headers.items()},
            "json": self.document,
            "text": self.response.text,
        }


def judge(book: Book, fact: Fact, target: Target, price: Pricer, sleep: Sleep) -> Verdict:
    """Whether a fact holds at a target."""
    if fact.untestable is not None:
        return Verdict(fact, "untestable", reason=fact.untestable)
    if not target.simulator and fact.needs_control is not None:
        return Verdict(fact, "not run", reason=fact.needs_control)
    before = target.purse.spent
    run: Run | None = None
    try:
        with target.world(fact.given) as world:
            run = Run(book, fact, target, world=world, price=price, sleep=sleep)
            run.run()
    except (NotRunError, SpendingError) as error:
        return Verdict(fact, "not run", reason=str(error), spent=target.purse.spent - before)
    except (BrokenError, TargetError, httpx.HTTPError) as error:
        found = error.found if isinstance(error, BrokenError) else _failed(error)
        last = run.last if run else ""
        return Verdict(fact, "broken", found, exchange=last, spent=target.purse.spent - before)
    return Verdict(fact, "held", spent=target.purse.spent - before)


def _failed(error: Exception) -> tuple[Mismatch, ...]:
    return (Mismatch(CONNECTION, "an answer", f"{type(error).__name__}: {error}"),)


class Run:
    """One fact under way. `names` is what steps have kept for later ones."""

    def __init__(
        self, book: Book, fact: Fact, target: Target, *, world: World, price: Pricer, sleep: Sleep
    ) -> None:
        """Nothing was sent yet."""
        self.book = book
        self.fact = fact
        self.target = target
        self.world = world
        self.price = price
        self.sleep = sleep
        self.names: dict[str, Any] = {"key": world.key, "base": world.base_url}
        if world.controls is not None:
            self.names["inbox"] = world.controls.inbox
        self.last = ""
        self._opening: Decimal | None = None
        self._keys: dict[str, str] = {}
        self._answer: Answer | None = None

    def run(self) -> None:
        """Take all steps. Raises BrokenError at the first that fails."""
        steps: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "call": self._call,
            "see": self._see,
            "until": self._until,
            "wait": self._wait,
            "charged": self._charged,
            "output": self._output,
            "force": self._force,
            "told": self._told,
        }
        if any("charged" in step for step in self.fact.steps):
            self._opening = self._balance()
        for step in self.fact.steps:
            kind = next(kind for kind in steps if kind in step)
            steps[kind](step)

    # -- steps

    def _call(self, step: Mapping[str, Any]) -> None:
        form = self.book.calls[step["call"]]
        measured = self._take_video(step.get("video"))
        for _ in range(step.get("times", 1) - 1):
            self._expect({"status": SUCCESS}, self._send(form, self._body(form, step), None, step))
        body = self._body(form, step)
        answer = self._send(form, body, measured, step)
        if form.job is not None and answer.response.is_success:
            found = at(answer.document, form.job)
            if found is not ABSENT:
                self.names["job"] = found
        for name, path in step.get("keep", {}).items():
            found = at(answer.as_seen, path)
            if found is ABSENT:
                raise BrokenError([Mismatch(path, "a value", "nothing")])
            self.names[name] = found
        self._expect({"status": SUCCESS, **step.get("expect", {})}, answer)

    def _see(self, step: Mapping[str, Any]) -> None:
        """Look once more at the last answer."""
        if self._answer is None:
            raise NotRunError("there is no answer to look at yet")
        self._expect(step["see"], self._answer)

    def _until(self, step: Mapping[str, Any]) -> None:
        """Poll until the job has come to an end, which must be the one that is named.

        `through` are the words that polls show on the way, each once.
        """
        wanted, life = step["until"], self.book.lifecycle
        form = self.book.calls[life.call]
        seen: list[object] = []
        slept = 0.0
        while True:
            answer = self._send(form, self._body(form, {}), None, {})
            word = at(answer.document, life.read)
            if word is ABSENT:
                word = f"http {answer.response.status_code}"
            if not seen or seen[-1] != word:
                seen.append(word)
            end = next((name for name, words in life.words.items() if word in words), None)
            if end is not None:
                break
            if slept >= self.target.patience:
                raise BrokenError([Mismatch(life.read, wanted, f"still {shown(word)}")])
            self._let_pass(life.every)
            slept += life.every
        if end != wanted:
            raise BrokenError([Mismatch(life.read, wanted, " → ".join(map(shown, seen)))])
        if "through" in step:
            self._compare(step["through"], seen, life.read)
        self.names["seen"] = seen
        places = (at(answer.document, place) for place in life.output)
        self.names["output"] = next((place for place in places if place is not ABSENT), None)
        self._expect(step.get("expect", {}), answer)

    def _wait(self, step: Mapping[str, Any]) -> None:
        """Let time pass."""
        if self.world.controls is None:
            raise NotRunError(f"needs {step['wait']} to pass")
        self.world.controls.advance(seconds=seconds(step["wait"]))

    def _charged(self, step: Mapping[str, Any]) -> None:
        """What the account has lost since the beginning, by the provider's own balance."""
        if self._opening is None:
            raise NotRunError("the balance cannot be read here")
        seen = self._opening - self._balance()
        wanted = Decimal(str(filled(step["charged"], self.names)))
        if seen != wanted:
            text = f"{wanted} {self.book.unit}"
            raise BrokenError([Mismatch("charged", text, f"{seen} {self.book.unit}")])

    def _output(self, step: Mapping[str, Any]) -> None:
        """Download what the job made and look into it."""
        address = self.names.get("output")
        if not isinstance(address, str):
            raise BrokenError([Mismatch("output", "a link", shown(address))])
        response = self.world.http.get(address)
        if not response.is_success:
            raise BrokenError([Mismatch("output", "a file", f"{response.status_code}")])
        self._compare(filled(step["output"], self.names), look_into(response.content), "output")

    def _force(self, step: Mapping[str, Any]) -> None:
        """Bring the job into another state by command."""
        if self.world.controls is None:
            raise NotRunError("needs a job that fails on command")
        wanted = step["force"]
        self.world.controls.force(str(self.names["job"]), wanted["state"], wanted.get("error"))

    def _told(self, step: Mapping[str, Any]) -> None:
        """What came to the inbox so far, oldest first; `same` and `differ` compare the posts."""
        if self.world.controls is None:
            raise NotRunError("needs a receiver for webhooks that the provider can reach")
        how, secret = self.book.telling, ""
        if how.secret is not None:
            asked = self._send(self.book.calls[how.secret["call"]], None, None, {})
            secret = str(at(asked.as_seen, how.secret["read"]))
        messages = [as_seen(one, how, secret) for one in self.world.controls.messages()]
        found = mismatches_of(messages, step, filled(step["told"], self.names))
        if found:
            raise BrokenError(found)

    # -- parts of steps

    def _take_video(self, wanted: object) -> Clip | None:
        """Make `$video` stand for a clip, as a link or as a data URL."""
        if wanted is None:
            return None
        text = wanted["data"] if isinstance(wanted, Mapping) else str(wanted)
        if "://" in text:
            self.names["video"] = text
            return None
        measured = clip(text)
        if self.world.media is None:
            raise NotRunError(f"needs a clip at a public address ({text}); see --media")
        address = f"{self.world.media}{measured.path}"
        if isinstance(wanted, Mapping):
            content = self.world.http.get(address).raise_for_status().content
            kind = CONTENT_TYPES[wanted.get("label", measured.container)]
            encoded = base64.b64encode(content).decode()
            address = f"data:video/{kind};base64,{encoded}"
        self.names["video"] = address
        return measured

    def _body(self, form: CallForm, step: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        return filled(body_of(form, step), self.names)

    def _send(
        self, form: CallForm, body: object, measured: Clip | None, step: Mapping[str, Any]
    ) -> Answer:
        headers = {**self.book.auth, **form.headers, **step.get("headers", {})}
        names = {**self.names, "key": self._key(step.get("as"))}
        sent = {k: str(filled(v, names)) for k, v in headers.items() if v is not None}
        path = str(filled(form.path, self.names))
        address = path if "://" in path else f"{self.world.base_url}{path}"
        extensions = {} if form.paid else {RESERVED: True}
        request = self.world.http.build_request(
            form.method,
            address,
            params=filled({**form.query, **step.get("query", {})}, self.names) or None,
            headers=sent,
            json=body if "raw" not in step else None,
            content=step.get("raw"),
            extensions=extensions,
        )
        if body is not None and "raw" not in step:
            request.headers.setdefault("content-type", "application/json")
        self.last = f"{form.method} {path}"
        response = self._paid(form, request, body, measured) if form.paid else self._plain(request)
        self.last = f"{self.last} → {response.status_code} {response.text[:300]}"
        self._answer = Answer(response)
        return self._answer

    def _key(self, owner: str | None) -> str:
        """The key of this world's account, or of another that is made when first named."""
        if owner is None:
            return self.world.key
        if self.world.controls is None:
            raise NotRunError("needs a second account")
        if owner not in self._keys:
            self._keys[owner] = self.world.controls.further_key(owner)
        return self._keys[owner]

    def _plain(self, request: httpx.Request) -> httpx.Response:
        return self.world.http.send(request)

    def _paid(
        self, form: CallForm, request: httpx.Request, body: object, measured: Clip | None
    ) -> httpx.Response:
        """Send what may cost, with its price set aside, and book what it really cost."""
        purse = self.target.purse
        document = body if isinstance(body, Mapping) else {}
        worst = self.price(form.name, measured, document)
        if purse.cap is None:
            return self._plain(request)
        what, before = self.last, self._balance()
        self.last = what
        with purse.reservation(worst, what):
            request.extensions[RESERVED] = True
            documented = lost = worst or Decimal(0)
            try:
                response = self._plain(request)
                documented = lost if response.is_success else Decimal(0)
                lost = before - self._balance()
            finally:  # when the balance cannot be read any more, all that was set aside is gone
                purse.settle(what, documented, lost)
        return response

    def _balance(self) -> Decimal:
        if self.book.balance is None:
            raise NotRunError("the provider documents no balance")
        name, place = self.book.balance
        form = self.book.calls[name]
        answer = self._send(form, self._body(form, {}), None, {})
        found = at(answer.as_seen, place)
        if not isinstance(found, str | int | Decimal):
            raise BrokenError([Mismatch(place, "a balance", shown(found))])
        return Decimal(str(found))

    def _let_pass(self, every: int) -> None:
        if self.world.controls is not None:
            self.world.controls.advance(to="next")
        else:
            self.sleep(every)

    def _expect(self, expected: Mapping[str, Any], answer: Answer) -> None:
        wanted = filled(dict(expected), self.names)
        if "headers" in wanted:
            wanted["headers"] = {k.lower(): value for k, value in wanted["headers"].items()}
        self._compare(wanted, answer.as_seen, "answer")

    def _compare(self, wanted: object, seen: object, where: str) -> None:
        found = list(mismatches(wanted, seen, where))
        if found:
            raise BrokenError(found)


def body_of(form: CallForm, step: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """The body that a step sends: the usual one of the call, changed as the step says."""
    if "raw" in step:
        return None
    body = copy.deepcopy(step.get("body", form.body))
    for path in step.get("drop", ()):
        _drop(body, path)
    for path, value in step.get("set", {}).items():
        _set(body, path, value)
    return body


def _drop(body: Any, path: str) -> None:  # noqa: ANN401 - JSON
    *parents, last = path.split(".")
    for name in parents:
        body = body[name]
    del body[last]


def _set(body: Any, path: str, value: object) -> None:  # noqa: ANN401 - JSON
    *parents, last = path.split(".")
    for name in parents:
        body = body.setdefault(name, {})
    body[last] = value
