"""Run one fact against a target: its steps in order, up to the first difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import httpx

from upsim_contracts.charge_check import amount_text
from upsim_contracts.exceptions import SpendingError, TargetError, UnreadableVideoError
from upsim_contracts.expected_responses import ABSENT, Mismatch, at, mismatches, shown
from upsim_contracts.facts.account_client import (
    AccountClient,
    BrokenError,
    Exchanged,
    FactResponse,
    NotRunError,
    Pricer,
    UnjudgedError,
)
from upsim_contracts.facts.fact_files import HELD, Book, Fact, filled, seconds
from upsim_contracts.facts.webhook_messages import mismatches_of
from upsim_contracts.findings import Finding
from upsim_contracts.spending_guard import PriceDifference
from upsim_contracts.target import Target, TargetAccount
from upsim_contracts.video_probe import probe_video

Outcome = Literal["held", "broken", "accepted", "not run", "not judged", "untestable", "departs"]
"""`not judged`: another cause, such as a rate limit, kept the fact from being shown.

`accepted`: it is broken by a difference that the team knows of."""
Sleep = Callable[[float], None]
SUCCESS = {"at_least": 200, "at_most": 299}
"""What the status of a call is to be where its step expects no other."""
STARTS = 40
MICROSECONDS = 6
"""Decimal places of the times that the admin API takes."""
CAUSED_BY_TARGETS = (
    httpx.HTTPError,
    httpx.InvalidURL,
    UnicodeError,
    ArithmeticError,
    RecursionError,
)
"""Errors that URLs, texts, numbers and nesting of a server's answers can cause."""
CONNECTION = "connection"
"""Where a mismatch is said to lie when there was no answer to look at."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a fact. `spent` is its cost at the target, minus refunds."""

    fact: Fact
    outcome: Outcome
    mismatches: tuple[Mismatch, ...] = ()
    reason: str = ""
    exchange: str = ""
    spent: Decimal = Decimal(0)
    exchanges: tuple[Exchanged, ...] = ()
    differences: tuple[PriceDifference, ...] = ()


def check_fact(book: Book, fact: Fact, target: Target, price: Pricer, sleep: Sleep) -> Verdict:
    """Run a fact at a target and return the outcome."""
    if fact.untestable is not None:
        return Verdict(fact, "untestable", reason=fact.untestable)
    if fact.departs is not None:
        return Verdict(fact, "departs", reason=fact.departs)
    if not target.simulator and fact.needs_control is not None:
        return Verdict(fact, "not run", reason=fact.needs_control)
    before, charges = target.purse.spent, len(target.purse.differences)
    run: FactRun | None = None
    outcome: Outcome = "held"
    found: tuple[Mismatch, ...] = ()
    reason = ""
    try:
        with target.world(fact.given) as world:
            run = FactRun(book, fact, target, world=world, price=price, sleep=sleep)
            run.run()
    except (NotRunError, SpendingError) as error:
        outcome, reason = "not run", str(error)
    except UnjudgedError as error:
        outcome, reason = "not judged", str(error)
    except BrokenError as error:
        outcome, found = "broken", error.found
    except (TargetError, *CAUSED_BY_TARGETS) as error:
        outcome, found = "broken", _failed(error)
    return Verdict(
        fact,
        outcome,
        found,
        reason,
        exchange=run.last if run and outcome == "broken" else "",
        spent=target.purse.spent - before,
        exchanges=tuple(run.exchanges) if run else (),
        differences=tuple(target.purse.differences[charges:]),
    )


def _is_final(status: int) -> bool:
    """Return whether a refused poll is final, so that later polls would be refused too."""
    return 400 <= status < 500 and status not in (408, 425, 429)  # noqa: PLR2004 - client errors


def _failed(error: Exception) -> tuple[Mismatch, ...]:
    return (Mismatch(CONNECTION, "an answer", f"{type(error).__name__}: {error}"),)


def _start(content: bytes) -> str:
    """Return the beginning of a file that is no video."""
    return f"{len(content)} bytes that begin with {content[:STARTS]!r}"


class FactRun(AccountClient):
    """One run of a fact. `names` also holds values that steps save for later steps."""

    def __init__(
        self,
        book: Book,
        fact: Fact,
        target: Target,
        *,
        world: TargetAccount,
        price: Pricer,
        sleep: Sleep,
    ) -> None:
        """Prepare the run without sending a request."""
        super().__init__(book, target, world=world, price=price, dialect=fact.given.dialect)
        self.fact = fact
        self.sleep = sleep
        self._opening: Decimal | None = None
        self._spent = target.purse.spent
        self._file: bytes | None = None
        self._repeats = False

    def run(self) -> None:
        """Run all steps. Raises BrokenError at the first step that fails."""
        steps: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "call": self._call,
            "see": self._see,
            "until": self._until,
            "wait": self._wait,
            "charged": self._charged,
            "output": self._output,
            "force": self._force,
            "fault": self._fault,
            "account": self._account,
            "told": self._told,
        }
        patience = self.target.patience
        if patience.outlasted and any("until" in step for step in self.fact.steps):
            waited = f"the job of {patience.outlasted} was not done after {patience.seconds:g} s"
            raise NotRunError(f"{waited}, so no other is waited for")
        if any("charged" in step for step in self.fact.steps):
            self._opening = self.balance()
        for step in self.fact.steps:
            kind = next(kind for kind in steps if kind in step)
            steps[kind](step)

    def _findings(self, request: httpx.Request, response: httpx.Response) -> tuple[Finding, ...]:
        """Check a response against the OpenAPI document; for repeated requests, only the last."""
        ours = self.fact.bends_answers or self._repeats
        return () if ours else super()._findings(request, response)

    # -- steps

    def _call(self, step: Mapping[str, Any]) -> None:
        wanted = {"status": SUCCESS, **step.get("expect", {})}
        self._repeats = True
        for _ in range(step.get("times", 1) - 1):
            self._expect({"status": wanted["status"]}, self.call(step))
        self._repeats = False
        with self._clock(step):
            answer = self.call(step)
        if list(mismatches(filled(wanted["status"], self.names), answer.response.status_code)):
            self._expect(wanted, answer)
        for name, path in step.get("keep", {}).items():
            found = at(answer.as_seen, path)
            if found is ABSENT:
                raise BrokenError([Mismatch(path, "a value", "nothing")])
            self.names[name] = found
        self._expect(wanted, answer)

    def _see(self, step: Mapping[str, Any]) -> None:
        """Check the last response again."""
        if self.answer is None:
            raise NotRunError("there is no answer to look at yet")
        self._expect(step["see"], self.answer)

    def _until(self, step: Mapping[str, Any]) -> None:
        """Poll until the job has ended with the given status.

        `through` are the status words that polls must show before the end, each once.
        """
        wanted, life = step["until"], self.book.lifecycle
        seen: list[object] = []
        patience, slept = self.target.patience, 0.0
        for pause in patience.pauses(life.every):
            answer = self.call({"call": life.call})
            word = at(answer.document, life.read)
            if word is ABSENT:
                word = f"http {answer.response.status_code}"
            if not seen or seen[-1] != word:
                seen.append(word)
            end = next((name for name, words in life.words.items() if word in words), None)
            if end is not None:
                break
            if _is_final(answer.response.status_code):
                self._expect({"status": SUCCESS}, answer)
            if slept >= patience.seconds:
                patience.outlasted = "" if self.target.simulator else self.fact.id
                raise BrokenError([Mismatch(f"json.{life.read}", wanted, f"still {shown(word)}")])
            self._let_pass(pause)
            slept += pause
        if end != wanted:
            raise BrokenError([Mismatch(f"json.{life.read}", wanted, " → ".join(map(shown, seen)))])
        if "through" in step:
            self._compare(step["through"], seen, f"json.{life.read}")
        self.names["seen"] = seen
        places = (at(answer.document, place) for place in life.output)
        self.names["output"] = next((place for place in places if place is not ABSENT), None)
        if life.inline and end == "completed":
            self._file = answer.response.content
        self._expect(step.get("expect", {}), answer)

    def _wait(self, step: Mapping[str, Any]) -> None:
        """Wait: advance the clock, or sleep."""
        if self.world.controls is None:
            raise NotRunError(f"needs {step['wait']} to pass")
        self.world.controls.advance(seconds=seconds(step["wait"]))

    def _charged(self, step: Mapping[str, Any]) -> None:
        """Compare the loss of the balance since the fact began with the expected amount.

        With `read_within`, a refund may arrive within that time span.
        """
        seen = self._lost()
        wanted = Decimal(str(filled(step["charged"], self.names)))
        if "within" in step:
            seen = self._refunded(wanted, seen, str(step["within"]))
        if seen != wanted:
            told, found = (amount_text(amount, self.book.unit) for amount in (wanted, seen))
            raise BrokenError([Mismatch("charged", told, found)])

    def _output(self, step: Mapping[str, Any]) -> None:
        """Download the output of the job and check its properties."""
        content = self._output_file()
        try:
            seen = probe_video(content)
        except UnreadableVideoError as error:
            raise BrokenError([Mismatch("output", "a video", _start(content))]) from error
        self._compare(filled(step["output"], self.names), seen, "output")

    def _output_file(self) -> bytes:
        """Return the output of the last job: the body of a response, or the file behind a link."""
        if self._file is not None:
            return self._file
        address = self.names.get("output")
        if not isinstance(address, str):
            raise BrokenError([Mismatch("output", "a link", shown(address))])
        response = self._file_at(address)
        if not response.is_success:
            raise BrokenError([Mismatch("output", "a file", f"{response.status_code}")])
        return response.content

    def _force(self, step: Mapping[str, Any]) -> None:
        """Force the job into another state."""
        if self.world.controls is None:
            raise NotRunError("needs a job that fails on command")
        if "job" not in self.names:
            raise BrokenError([Mismatch("job", "a job to bring into another state", "nothing")])
        wanted = step["force"]
        self.world.controls.force(str(self.names["job"]), wanted["state"], wanted.get("error"))

    def _fault(self, step: Mapping[str, Any]) -> None:
        """Add a fault that applies to the following requests."""
        if self.world.controls is None:
            raise NotRunError("needs a fault on command")
        self.world.controls.fault(filled(step["fault"], self.names))

    def _account(self, step: Mapping[str, Any]) -> None:
        """Change the balance or the plan of the account."""
        if self.world.controls is None:
            raise NotRunError("needs a balance that changes on command")
        self.world.controls.account(step["account"])

    def _told(self, step: Mapping[str, Any]) -> None:
        """Compare the messages in the inbox, oldest first.

        `same` and `differ` compare the messages with each other.
        """
        messages = self.messages()
        found = mismatches_of(messages, step, filled(step["told"], self.names))
        if found:
            raise BrokenError(found)

    # -- parts of steps

    def _lost(self) -> Decimal:
        """Return the amount that the account lost since the fact began."""
        if self._opening is None:
            raise NotRunError("the balance cannot be read here")
        return self._opening - self.balance()

    def _refunded(self, wanted: Decimal, seen: Decimal, within: str) -> Decimal:
        """Return the loss once a refund arrived or its time is over.

        Raises UnjudgedError before that.
        """
        if self.world.controls is not None:
            self.world.controls.advance(seconds=seconds(within))
            return self._lost()
        patience, purse = self.target.patience, self.target.purse
        for pause in patience.refund_pauses(self.book.lifecycle.every, seconds(within)):
            if seen == wanted:
                break
            self._let_pass(pause)
            self.call({"call": self.book.lifecycle.call})
            seen = self._lost()
        if seen != wanted and patience.refund < seconds(within):
            lost, waited = amount_text(seen, self.book.unit), f"{patience.refund:g} s"
            raise UnjudgedError(
                f"{lost} of job {self.names.get('job')} not refunded after {waited} "
                f"(documented: within {within}): look at the balance then, or wait longer "
                f"by --refund-patience {within}"
            )
        if seen == wanted:
            purse.refund(purse.spent - self._spent - wanted)
        return seen

    def _clock(self, step: Mapping[str, Any]) -> AbstractContextManager[None]:
        """Advance the clock while a `held` request is open, so that the request can complete."""
        if not step.get("held"):
            return nullcontext()
        if self.world.controls is None:
            raise NotRunError(HELD)
        return self.world.controls.running()

    def _let_pass(self, seconds: float) -> None:
        if self.world.controls is not None:
            self.world.controls.advance(to="next")
        elif self.target.clock is not None:
            self.target.clock.advance(seconds=round(seconds, MICROSECONDS))
        else:
            self.sleep(seconds)

    def _expect(self, expected: Mapping[str, Any], answer: FactResponse) -> None:
        wanted = filled(dict(expected), self.names)
        if "headers" in wanted:
            wanted["headers"] = {k.lower(): value for k, value in wanted["headers"].items()}
        self._compare(wanted, answer.as_seen, "answer")

    def _compare(self, wanted: object, seen: object, where: str) -> None:
        found = list(mismatches(wanted, seen, where))
        if found:
            raise BrokenError(found)
