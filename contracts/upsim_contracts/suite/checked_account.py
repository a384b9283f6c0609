"""A provider account for properties: submits, polls and money. Each response is checked.

A response that differs from the provider's OpenAPI document fails every property.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx

from upsim_contracts.clip_properties import ClipProperties
from upsim_contracts.expected_responses import ABSENT, at, mismatches
from upsim_contracts.facts.account_client import AccountClient, FactResponse, Pricer, body_of
from upsim_contracts.facts.fact_files import Book, LifecycleCalls, filled
from upsim_contracts.findings import Finding
from upsim_contracts.suite.generate_table import Flaw, Generation, Submit
from upsim_contracts.target import Controls, Target, TargetAccount

MAX_POLLS = 400


class CheckedAccount(AccountClient):
    """An account of a provider at a target."""

    __test__ = False  # for pytest: despite its name no class of tests

    def __init__(
        self,
        table: Generation,
        target: Target,
        *,
        world: TargetAccount,
        price: Pricer,
        dialect: str = "",
    ) -> None:
        """Prepare the account without sending a request."""
        super().__init__(table.book, target, world=world, price=price, dialect=dialect)
        self.table = table

    @property
    def life(self) -> LifecycleCalls:
        """The polling of jobs, by the contract."""
        return self.book.lifecycle

    @property
    def controls(self) -> Controls:
        """The admin API of the target; only for properties that run on simulators."""
        assert self.world.controls is not None
        return self.world.controls

    def other(self) -> CheckedAccount:
        """Another user's account in the same sandbox."""
        world = TargetAccount(
            self.world.http,
            base_url=self.world.base_url,
            key=self.controls.further_key("somebody-else"),
            media=self.world.media,
            controls=self.world.controls,
        )
        return CheckedAccount(
            self.table, self.target, world=world, price=self.price, dialect=self.dialect
        )

    # -- what it does

    def submit(
        self,
        submit: Submit,
        clip: ClipProperties,
        options: Mapping[str, Any],
        **more: Mapping[str, Any],
    ) -> FactResponse:
        """Send a request with exactly these options; `more` sets further parts of the request."""
        step = request(submit, self.book, clip, options)
        return self.call(step | more | {"set": {**step["set"], **more.get("set", {})}})

    def body(self, submit: Submit, clip: ClipProperties, options: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """Return the body of such a request."""
        self._take_video(str(clip))
        step = request(submit, self.book, clip, options)
        return filled(body_of(self.book.calls[submit.call], step), self.names)

    def accepted(
        self,
        submit: Submit,
        clip: ClipProperties,
        options: Mapping[str, Any],
        **more: Mapping[str, Any],
    ) -> str:
        """Submit like `submit`, assert that it was accepted, and return the job's id."""
        self.names.pop("job", None)
        answer = self.submit(submit, clip, options, **more)
        assert answer.response.is_success, self.last
        job = self.names["job"]
        assert isinstance(job, str), self.last
        assert job, self.last
        return job

    def price_of(
        self,
        submit: Submit,
        clip: ClipProperties,
        options: Mapping[str, Any],
        **more: Mapping[str, Any],
    ) -> Decimal:
        """Return the cost of one job, by the change of the account's own balance."""
        before = self.balance()
        self.accepted(submit, clip, options, **more)
        return before - self.balance()

    def wrong(self, submit: Submit, clip: ClipProperties, *flaws: Flaw) -> FactResponse:
        """Send a request that is valid except for these mistakes."""
        step: dict[str, Any] = request(submit, self.book, clip, submit.defaults)
        for flaw in flaws:
            step["set"] = {**step["set"], **flaw.set}
            step["drop"] = [*step["drop"], *flaw.drop]
            step["headers"] = {**step.get("headers", {}), **flaw.headers}
            if flaw.raw is not None:
                step["raw"] = flaw.raw
            if flaw.video is not None:
                step["video"] = flaw.video
            if flaw.balance is not None:
                self.controls.account({"balance": flaw.balance})
        step["set"] = {k: v for k, v in step["set"].items() if k not in step["drop"]}
        return self.call(step)

    def poll(self, job: str) -> FactResponse:
        """Poll a job, and return the response."""
        self.names["job"] = job
        return self.call({"call": self.life.call})

    def word(self, answer: FactResponse) -> object:
        """Return the status in the response to a poll."""
        found = at(answer.document, self.life.read)
        return f"http {answer.response.status_code}" if found is ABSENT else found

    def end_of(self, word: object) -> str | None:
        """Return the outcome that a status means; None if the job has not ended."""
        return next((end for end, words in self.life.words.items() if word in words), None)

    def finish(self, job: str) -> FactResponse:
        """Advance the clock until a job has ended, and return the last response."""
        for _ in range(MAX_POLLS):
            answer = self.poll(job)
            if self.end_of(self.word(answer)) is not None:
                return answer
            self.controls.advance(to="next")
        raise AssertionError(f"{job} never ends: {self.last}")

    def link(self, answer: FactResponse) -> str:
        """Return the link in the response to a poll of a finished job."""
        found = (at(answer.document, place) for place in self.life.output)
        link = next((one for one in found if isinstance(one, str)), None)
        assert link is not None, self.last
        return link

    def listings(self) -> list[object]:
        """Return the documents of all lists of the account."""
        return [self.call({"call": name}).document for name in self.table.lists]

    # -- how responses are checked

    def _findings(self, request: httpx.Request, response: httpx.Response) -> tuple[Finding, ...]:
        found = super()._findings(request, response)
        assert [str(finding) for finding in found] == [], response.text
        return found


def request(
    submit: Submit, book: Book, clip: ClipProperties, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the step of a submit with exactly these options."""
    body = book.calls[submit.call].body
    named = [*submit.options, *submit.defaults]
    left_out = [name for name in named if name not in options and at(body, name) is not ABSENT]
    return {
        "call": submit.call,
        "video": str(clip),
        "set": dict(options),
        "drop": list(dict.fromkeys(left_out)),
    }


def expect(answer: FactResponse, wanted: Mapping[str, Any], why: str) -> None:
    """Check a response against its expectation."""
    assert [str(found) for found in mismatches(wanted, answer.as_seen)] == [], why
