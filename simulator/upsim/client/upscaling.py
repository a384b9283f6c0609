"""The client's logic: from a video to a file, step by step, without I/O of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from upsim.client.adapter import Steps
from upsim.client.argument_checks import (
    FACTOR,
    LIMIT,
    LINES,
    SECONDS,
    check_kind,
    check_number,
    check_options,
    check_text,
)
from upsim.client.charge_check import check_charge
from upsim.client.clocks import Dice
from upsim.client.downloading import check, download, keep_spooled
from upsim.client.exceptions import (
    ArgumentError,
    ClientError,
    JobFailedError,
    MediaRefusedError,
    OutcomeUnknownError,
    ProtocolError,
    RateLimitError,
    RefusedError,
    TransientError,
    UnknownModelError,
    UnpricedError,
    UnsupportedError,
    WaitTimeoutError,
)
from upsim.client.hidden_texts import Link
from upsim.client.io_effects import BlockingCall, CheckSleeper, Flow, ReportProgress
from upsim.client.models import ModelInfo, find_model
from upsim.client.options_and_prices import chosen, option_flaws, quote
from upsim.client.polling_and_retries import Polling, Retries, with_jitter
from upsim.client.request_guard import RequestGuard, Reservation
from upsim.client.results import (
    AdapterRequest,
    Download,
    Job,
    Money,
    Option,
    Progress,
    Quote,
    Upscaled,
    Webhook,
)
from upsim.client.sending import Sender, TimeLeft
from upsim.client.video_input import (
    LocalVideo,
    RemoteVideo,
    Source,
    data_url,
    open_source,
    source_file,
)
from upsim.core.media import Media, Unmeasurable
from upsim.core.suggestions import shown

_Result = TypeVar("_Result")
_ROOM_FOR_THE_REST = 8192
"""Bytes of a body besides the video."""


@dataclass(frozen=True, slots=True)
class RequestedOutput:
    """The requested size (`target_height` or `factor`), and the provider's own options."""

    target_height: int | None = None
    factor: int | None = None
    options: Mapping[str, Option] | None = None

    def __post_init__(self) -> None:
        if self.target_height is not None:
            check_number("target_height", self.target_height, LINES)
        if self.factor is not None:
            check_number("factor", self.factor, FACTOR)
        if self.options is not None:
            check_options(self.options)


class Upscaling:
    """The logic for one model: its adapter, guard and policies."""

    def __init__(
        self,
        known: ModelInfo,
        *,
        guard: RequestGuard,
        polling: Polling,
        retries: Retries,
        dice: Dice,
        file_seconds: float,
        webhook: Webhook | None = None,
    ) -> None:
        """Keep the parts; `dice` varies the pauses."""
        self.known = known
        self.guard = guard
        self._adapter = known.adapter
        self._polling = polling
        self._retries = retries
        self._dice = dice
        self._sender = Sender(retries, dice)
        self._most_for_a_file = file_seconds
        self._webhook = webhook
        self._told: set[str] = set()

    def quote(self, source: Source | Media, wanted: RequestedOutput) -> Flow[Quote]:
        """Return the price: the provider's own quote if it gives one for this source."""
        if isinstance(source, Media):
            return self._local(source, self._chosen(source, wanted))
        opened = yield BlockingCall(partial(open_source, source))
        media, options = self._read(opened, wanted)
        by_data_url = self._adapter.hand_in.by == "data_url"
        if self._adapter.quote is not None and (isinstance(opened, RemoteVideo) or by_data_url):
            address = yield from self._hand_in(opened)
            return (yield from self._asked(address, media, options))
        if isinstance(opened, LocalVideo) and isinstance(opened.measured, Unmeasurable):
            raise MediaRefusedError(None, f"{opened.file.name}: {opened.measured.detail}")
        return self._local(media, options)

    def submit(self, source: Source, wanted: RequestedOutput) -> Flow[Job]:
        """Send a video and start a job, which is charged from here on.

        Raises OverchargedError if the charge exceeds the cap although the quote did not.
        """
        opened = yield BlockingCall(partial(open_source, source))
        media, options = self._read(opened, wanted)
        yield CheckSleeper()
        address = yield from self._hand_in(opened)
        reservation, told = yield from self._reserve(address, media, options)
        file: Path | None = yield BlockingCall(partial(source_file, source))
        order = AdapterRequest(self.known.model.id, address, options, self._webhook, file)
        job = yield from self._sender.paid(self._adapter, order, reservation)
        job = replace(job, source=file)
        with _telling(job):
            price = _plausible(job.price) or (yield from self._charged(job, order, told))
        reservation.settle(_plausible(price))
        local = quote(self.known, media, options) if media is not None else None
        billed = job.billed or (local.billed if local else None)
        self._told.add(job.id)
        accepted = replace(
            job,
            provider=self._adapter.provider,
            price=price,
            billed=billed,
            output=local.output if local else None,
            quoted=reservation.worst,
        )
        with _telling(accepted):
            check_charge(accepted, self.guard.budget)
        return accepted

    def poll(self, job: Job, deadline: TimeLeft | None = None) -> Flow[Progress]:
        """Return the present state of a job."""
        self._check_job(job)
        progress = yield from self._sender.free(partial(self._adapter.poll, job), deadline)
        ask = self._adapter.refunded
        if progress.state == "failed" and progress.refunded is None and ask is not None:
            refunded = yield from self._quietly(partial(ask, job))
            progress = replace(progress, refunded=refunded)
        return replace(progress, job=job)

    def wait(
        self, job: Job, timeout: float | None = None, *, fresh: bool = False
    ) -> Flow[Progress]:
        """Poll at the advised intervals until a job has ended.

        Raises JobFailedError, WaitTimeoutError, or ProtocolError for a job that completed without
        a file. If `fresh` is True, there is a pause before the first poll.
        """
        self._check_job(job)
        if timeout is not None:
            check_number("timeout", timeout, SECONDS)
        policy, advice = self._polling, self._adapter.cadence
        deadline = TimeLeft(policy.timeout if timeout is None else timeout)
        given = deadline.left
        pause = advice.first if policy.first is None else policy.first
        factor = advice.factor if policy.factor is None else policy.factor
        most = advice.most if policy.most is None else policy.most
        doubts = 0
        if fresh:
            yield from deadline.pause(with_jitter(pause, policy.jitter, self._dice))
        while True:
            progress = yield from self._poll_through(job, deadline, pause)
            yield ReportProgress(progress)
            if progress.state == "completed" and progress.has_output:
                return progress
            if progress.ended:
                doubts += 1
                if not progress.tentative and progress.state == "failed":
                    raise self._failed(job, progress)
                if doubts > policy.settling:
                    raise self._in_doubt(job, progress)
            else:
                doubts = 0
            if deadline.left <= 0:
                strange = progress.state == "unknown"
                raise WaitTimeoutError(job, progress, seconds=given, strange=strange)
            yield from deadline.pause(with_jitter(pause, policy.jitter, self._dice))
            pause = min(most, pause * factor)

    def _poll_through(self, job: Job, deadline: TimeLeft, pause: float) -> Flow[Progress]:
        """Poll, and tolerate a short outage, because the job is already paid for."""
        since = deadline.left
        while True:
            try:
                return (yield from self.poll(job, deadline))
            except (TransientError, RateLimitError) as error:
                trouble = error
            over = since - deadline.left >= self._polling.outage or deadline.left <= 0
            if over or (trouble.retry_after or 0) > self._retries.longest:
                raise trouble
            yield from deadline.pause(with_jitter(pause, self._polling.jitter, self._dice))

    def download(self, what: Job | Progress, to: Path) -> Flow[Download]:
        """Download the finished file; wait for the job's end first if it is not finished."""
        job = what.job if isinstance(what, Progress) else self._check_job(what)
        yield BlockingCall(partial(check, to, None if job is None else job.source))
        progress = what if isinstance(what, Progress) else (yield from self.wait(what))
        if progress.spool is not None and progress.spool.exists():
            return (yield from keep_spooled(progress.spool, to))
        if progress.output is None:
            raise UnsupportedError(f"the job is {progress.status!r} and has no file to download")
        return (
            yield from download(
                progress.output,
                to,
                sender=self._sender,
                attempts=self._retries.attempts,
                seconds=self._most_for_a_file,
                admit=self.guard.admit_link,
            )
        )

    def upscale(self, source: Source, to: Path, wanted: RequestedOutput) -> Flow[Upscaled]:
        """Run all steps. An error after the submit carries the job; other exceptions get a note."""
        yield BlockingCall(partial(check, to, source))
        job = yield from self.submit(source, wanted)
        with _telling(job):
            progress = yield from self.wait(job, fresh=True)
            file = yield from self.download(progress, to)
        return Upscaled(job, progress, file)

    def balance(self) -> Flow[Money]:
        """Return the balance of the account."""
        return (yield from self._sender.free(self._adapter.balance))

    def cancel(self, job: Job) -> Flow[None]:
        """Cancel a job. Raises UnsupportedError if the provider cannot cancel jobs."""
        self._check_job(job)
        if self._adapter.cancel is None:
            raise UnsupportedError(f"{self._adapter.provider} cannot cancel jobs")
        yield from self._sender.free(partial(self._adapter.cancel, job))

    def jobs(self, limit: int) -> Flow[tuple[Job, ...]]:
        """Return the latest jobs, newest first. Raises UnsupportedError if it cannot list jobs."""
        check_number("limit", limit, LIMIT)
        if self._adapter.jobs is None:
            raise UnsupportedError(f"{self._adapter.provider} does not list jobs")
        return (yield from self._sender.free(partial(self._adapter.jobs, limit)))

    def find(self, lost: OutcomeUnknownError, limit: int) -> Flow[tuple[Job, ...]]:
        """Return the latest jobs that a lost submit may have created, newest first.

        An empty result means that no job was accepted, if the provider's list is up to date.
        """
        check_number("limit", limit, LIMIT)
        check_kind("lost", lost, OutcomeUnknownError, "the OutcomeUnknownError of a submit")
        is_order = self._adapter.is_order
        if is_order is None:
            name = self._adapter.provider
            raise UnsupportedError(f"{name} does not list jobs with their videos. {lost.how}")
        found = []
        for job in (yield from self.jobs(limit)):
            task = partial(is_order, job, lost.order)
            if job.id not in self._told and (yield from self._sender.free(task)):
                found.append(replace(job, source=lost.order.file))
        return tuple(found)

    def _check_job(self, job: object) -> Job:
        """Return the job. Raises ArgumentError for a job id alone, and for another client's job.

        A job that a client returned works with any model of its provider, because their paths are
        the same. A job that was made from an id works only with its own model.
        """
        if not isinstance(job, Job):
            raise ArgumentError(
                f"job is what submit() returns, or Job(id, model), not {shown(job)}"
            )
        check_text("Job.id", job.id, "'task_x'")
        ours = self._adapter.provider
        if not (job.provider == ours or (not job.provider and self.known.is_named(job.model))):
            raise ArgumentError(_foreign(job, self.known.name))
        return job

    def _chosen(self, media: Media | None, wanted: RequestedOutput) -> dict[str, Option]:
        return chosen(
            self.known,
            media,
            target_height=wanted.target_height,
            factor=wanted.factor,
            options=wanted.options,
        )

    def _read(
        self, opened: RemoteVideo | LocalVideo, wanted: RequestedOutput
    ) -> tuple[Media | None, dict[str, Option]]:
        media = opened.media if isinstance(opened, LocalVideo) else None
        return media, self._chosen(media, wanted)

    def _hand_in(self, opened: RemoteVideo | LocalVideo) -> Flow[str]:
        """Return the source for the provider: a URL, the URL of an upload, or a data URL."""
        if isinstance(opened, RemoteVideo):
            return Link(opened.url)
        file, way = opened.file, self._adapter.hand_in
        most = self.known.whole(way.limit)
        if most is not None and way.encoded:
            most = (most - _ROOM_FOR_THE_REST) * 3 // 4
        if most is not None and file.size > most:
            raise MediaRefusedError(
                None,
                f"{file.name} has {file.size} bytes; {self._adapter.provider} accepts at most "
                f"up to {most} bytes",
            )
        if way.by == "data_url" or self._adapter.upload is None:
            found: str = yield BlockingCall(partial(data_url, file))
            return Link(found)
        return Link((yield from self._sender.free(partial(self._adapter.upload, file))))

    def _local(self, media: Media | None, options: Mapping[str, Option]) -> Quote:
        found = quote(self.known, media, options)
        if found is None:
            raise UnpricedError(
                f"{self.known.name} has no published price for {dict(options)}"
                f"{option_flaws(self.known, options)}"
            )
        return found

    def _asked(
        self, address: str, media: Media | None, options: Mapping[str, Option]
    ) -> Flow[Quote]:
        """Return the provider's quote, with the video properties that the client measured."""
        ask = self._adapter.quote
        if ask is None:
            return self._local(media, options)
        order = AdapterRequest(self.known.model.id, address, options)
        told = yield from self._sender.free(partial(ask, order))
        local = quote(self.known, media, options) if media is not None else None
        if _plausible(told.price) is None:
            raise ProtocolError(f"the provider quoted {told.price}, which is not a valid price")
        told = replace(told, model=self.known.name)
        return replace(told, billed=local.billed, output=local.output) if local else told

    def _reserve(
        self, address: str, media: Media | None, options: Mapping[str, Option]
    ) -> Flow[tuple[Reservation, Money | None]]:
        """Reserve the highest cost, and return the provider's quote if it was requested.

        The quote is requested only if there is a cap.
        """
        budget = self.guard.budget
        if budget.cap is None:
            local = quote(self.known, media, options)
            return budget.reserve(local.price if local and local.exact else None), None
        try:
            found = yield from self._asked(address, media, options)
        except UnpricedError:
            return budget.reserve(None), None
        return budget.reserve(found.price), found.price if found.by == "provider" else None

    def _charged(self, job: Job, order: AdapterRequest, told: Money | None) -> Flow[Money | None]:
        """Return the charge of a job, from an extra request or from the provider's quote."""
        if self._adapter.charged is not None:
            return (yield from self._quietly(partial(self._adapter.charged, job)))
        if told is not None:
            return told
        if self._adapter.quote is not None:
            found = yield from self._quietly(partial(self._adapter.quote, order))
            return None if found is None else found.price
        return None

    def _quietly(self, task: Callable[[], Steps[_Result]]) -> Flow[_Result | None]:
        """Run a task with an optional result; return None if the task fails."""
        try:
            return (yield from self._sender.free(task))
        except (RefusedError, TransientError, ProtocolError):
            return None

    def _failed(self, job: Job, progress: Progress) -> JobFailedError:
        if progress.refunded and job.price is not None:
            self.guard.budget.give_back(job)
        return JobFailedError(job, progress)

    def _in_doubt(self, job: Job, progress: Progress) -> ClientError:
        if progress.state == "failed":
            return self._failed(job, progress)
        return ProtocolError(f"job {job.id} is {progress.status!r} but has no file")


def _foreign(job: Job, ours: str) -> str:
    """Return why a client of the model `ours` cannot use a job."""
    try:
        name = find_model(f"{job.provider}/{job.model}" if job.provider else job.model).name
    except UnknownModelError as error:
        return f"Job.model: {error}"
    return f"the job belongs to {name}, and this client to {ours}: use connect({name!r})"


@contextmanager
def _telling(job: Job) -> Iterator[None]:
    """Add the accepted job to any error, or as a note to any other exception."""
    try:
        yield
    except ClientError as error:
        error.job = job
        raise
    except BaseException as error:
        error.add_note(f"job {job.id} of {job.model} was accepted and continues: poll it later")
        raise


def _plausible(price: Money | None) -> Money | None:
    """Return a price if it is not negative; a negative price would raise the remaining budget."""
    return None if price is None or price.amount < 0 else price
