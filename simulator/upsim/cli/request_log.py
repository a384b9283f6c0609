"""One line for every response, with the state of its job or the reason for its refusal."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator

import click

from upsim.cli.escaped_output import OutputError
from upsim.core.baseline import ErrorRule
from upsim.core.instants import iso
from upsim.core.jobs import Job
from upsim.core.media import Media
from upsim.core.printable_text import printable as escaped
from upsim.core.secrets import hidden_text, hidden_url
from upsim.core.states import JobState
from upsim.core.webhooks import AttemptOutcome
from upsim.engine.clock import wall_clock
from upsim.engine.request_records import Record
from upsim.engine.sandbox import Sandbox
from upsim.engine.webhooks import Posting
from upsim.web.admin.exchange_views import cause_of, compared, reason

FLUSH_SECONDS = 0.05
MAX_TEXT_LENGTH = 300
"""Characters of a provider's message, and of a path, that a line shows."""
PLACES = (("message",), ("error", "message"), ("error",), ("detail",))
"""Keys under which a document may hold its message; the first that holds a string wins."""
_STATUS = re.compile(rb'"status":"([^"\\]+)"')
"""The status word of a job in a response."""


class RequestLog:
    """Collects responses and prints their lines in one write shortly afterwards."""

    def __init__(self) -> None:
        """Start without lines. Lines of a day other than today have a date."""
        self._waiting: list[tuple[Sandbox, Record, Job | None] | str] = []
        self._day = today()

    def __call__(self, sandbox: Sandbox, exchange: Record) -> None:
        """Add a response, with its job as it is now."""
        self._wait_for((sandbox, exchange, job_of(sandbox, exchange)))

    def stray(self, method: str, path: str, status: int, message: str) -> None:
        """Add a request that reached no provider: a refused request or a request for a file."""
        self._wait_for(unmatched_line(method, path, status, message))

    def webhook(self, sandbox: Sandbox, posting: Posting, outcome: AttemptOutcome) -> None:
        """Add an attempt to deliver a webhook."""
        self._wait_for(webhook_line(sandbox, posting, outcome, day=self._day))

    def flush(self) -> None:
        """Print the collected lines."""
        waiting, self._waiting = self._waiting, []
        day = self._day
        say("".join(one if isinstance(one, str) else line_of(*one, day=day) for one in waiting))

    def _wait_for(self, one: tuple[Sandbox, Record, Job | None] | str) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
        self._waiting.append(one)


def say(text: str) -> None:
    """Print a text immediately. Report a stream that fails once, and write nothing more to it.

    Nothing is raised, so the server continues.
    """
    try:
        click.echo(text, nl=False)
    except BrokenPipeError:
        pass  # the reader of the output is gone
    except OutputError as error:
        click.echo(f"upsim: {error.message}", err=True)


def today() -> str:
    """Return the date in UTC by the wall clock."""
    return iso(wall_clock())[:10]


def job_of(sandbox: Sandbox, exchange: Record) -> Job | None:
    """Return the job that a request created or read, in its present state."""
    return None if exchange.job is None else sandbox.state.jobs.get(exchange.job)


def line_of(sandbox: Sandbox, exchange: Record, job: Job | None, *, day: str) -> str:
    """Return the line of a response, with a hint if its client needs another dialect.

    The date is left out on the day `day`, if the sandbox uses the real time.
    """
    at = iso(exchange.at, 3)
    usual = sandbox.clock.mode == "real" and at[:10] == day
    where = "" if sandbox.id == "default" else f"[{sandbox.id}] "
    target = printable(exchange.target.partition("?")[0])
    head = f"{at[11:-1] if usual else at} {where}{_provider(sandbox, exchange)}"
    line = f"{head} {printable(exchange.method)} {target} {exchange.status}"
    if exchange.rule is not None:
        line += _refusal(exchange, exchange.rule)
    else:
        made = "" if exchange.job is None else f" job {exchange.job}{_state(job, exchange.reply)}"
        line += f"{made}{_reason(exchange)}"
    if exchange.assumed is not None:
        line += _assumption(exchange.assumed)
    if exchange.fault is not None:
        line += f" fault: {exchange.fault}"
    line += "".join(f" {printable(said)}" for said in exchange.unfired)
    return f"{line}{f' hint: {exchange.hint}' if exchange.hint else ''}\n"


def webhook_line(sandbox: Sandbox, posting: Posting, outcome: AttemptOutcome, *, day: str) -> str:
    """Return the line of an attempt to deliver a webhook."""
    at = iso(sandbox.now, 3)
    usual = sandbox.clock.mode == "real" and at[:10] == day
    where = "" if sandbox.id == "default" else f"[{sandbox.id}] "
    came = printable(hidden_text(outcome.error)) if outcome.status is None else str(outcome.status)
    address = printable(hidden_url(posting.url).partition("?")[0])
    head = f"{at[11:-1] if usual else at} {where}webhook POST {address!r}"
    fault = f" fault: {posting.fault}" if posting.fault else ""
    return f"{head} job {posting.job} {came}{fault}\n"


def unmatched_line(method: str, path: str, status: int, message: str) -> str:
    """Return the line of a request that reached no provider."""
    at = iso(wall_clock(), 3)[11:-1]
    head = f"{at} {printable(method)} {printable(path)} {status}"
    return f"{head}{f' {printable(message)}' if message else ''}\n"


def printable(text: str) -> str:
    """Return untrusted text as one line, shortened if it is long, with line feeds escaped."""
    return escaped(text if len(text) <= MAX_TEXT_LENGTH else f"{text[:MAX_TEXT_LENGTH]}…")


def message_in(reply: bytes) -> str:
    """Return the message of a JSON response, or an empty string."""
    try:
        document = json.loads(reply)
    except (ValueError, RecursionError):
        return ""
    found = next((text for place in PLACES if (text := _text_at(document, place))), "")
    issues = "; ".join(_issues(document))
    return f"{found} [{issues}]".lstrip() if issues else found


def _provider(sandbox: Sandbox, exchange: Record) -> str:
    default = sandbox.scenario_for(exchange.provider).baseline.dialects[0]
    plain = exchange.dialect == default
    return exchange.provider if plain else f"{exchange.provider}/{exchange.dialect}"


def _refusal(exchange: Record, rule: ErrorRule) -> str:
    """Return the violated rule, the provider's message, its evidence and compared values."""
    text = printable(hidden_text(message_in(exchange.reply) or rule.message))
    said = f": {text}" if text else ""
    grade = f"({rule.evidence.grade}: {rule.evidence.source})"
    return f" refused: {rule.name}{said} {grade}{_reason(exchange)}"


def _reason(exchange: Record) -> str:
    """Return the values that a check measured, and parameters that the provider ignores.

    The values are returned for an accepted job that will fail too.
    """
    found = reason(exchange.check, cause_of(exchange), compared(exchange))
    return f" [{printable(found)}]" if found else ""


def _state(job: Job | None, reply: bytes) -> str:
    """Return the state of a job; for a completed job, the word for it in the response, if any.

    Clients wait for this word, and knobs and faults change it.
    """
    if job is None:
        return ""
    sent = _STATUS.search(reply) if job.state is JobState.COMPLETED else None
    if sent is not None:
        return f" {printable(sent[1].decode(errors='replace'))}"
    failure = job.failure
    return f" {job.state}{f': {failure.name}' if failure else ''}"


def _assumption(media: Media) -> str:
    size = f"{media.dimensions}, {media.frame_rate} fps, {media.seconds} s"
    return f" media assumed: {size} (not fetched; see --fetch)"


def _text_at(document: object, place: tuple[str, ...]) -> str:
    for name in place:
        document = document.get(name) if isinstance(document, dict) else None
    return document if isinstance(document, str) else ""


def _issues(document: object) -> Iterator[str]:
    """Yield the issues that validators list beside a general message, each with its place.

    An issue of the whole body has no place. An issue equal to the general message is skipped.
    """
    issues = document.get("issues") if isinstance(document, dict) else None
    general = _text_at(document, ("error",))
    for one in issues if isinstance(issues, list) else ():
        text = _text_at(one, ("message",))
        path = one.get("path") if isinstance(one, dict) else None
        place = ".".join(map(str, path)) if isinstance(path, list) else ""
        if text not in ("", general):
            yield f"{place}: {text}" if place else text
