"""Tests of every model: sync and async, in process and over a socket, in both dialects."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.client.client_targets import LOCAL, PRICES, Hand, Way, World
from upsim.client import (
    AuthenticationError,
    BalanceError,
    CapReachedError,
    DestinationError,
    Job,
    JobFailedError,
    MediaRefusedError,
    Money,
    NotFoundError,
    OutcomeUnknownError,
    Polling,
    ProtocolError,
    RateLimitError,
    RefusedError,
    Retries,
    SourceError,
    TransientError,
    UnsupportedError,
    WaitTimeoutError,
)
from upsim.core.media import Media
from upsim.media.probe import measure_file

Open = Callable[..., Hand]


def media_of(source: Path | bytes) -> Media:
    """Return the properties of a video."""
    found = measure_file(source)
    assert isinstance(found, Media), found
    return found


# -- the whole way


def test_output_has_the_promised_size(
    client: Hand, world: World, video: Path, tmp_path: Path
) -> None:
    """An upscale saves a complete file with the size that the job promised."""
    done = client.upscale(video, tmp_path / "out.mp4")
    found = media_of(tmp_path / "out.mp4")

    shown = f"{found.width}x{found.height}"
    assert (PRICES[world.model][3], PRICES[world.model][3]) == (shown, str(done.job.output))


def test_price_is_what_was_charged(client: Hand, world: World, video: Path, tmp_path: Path) -> None:
    """The job has the published price, and the ledger charges exactly this amount, once."""
    done = client.upscale(video, tmp_path / "out.mp4")

    amount, unit = PRICES[world.model][:2]
    assert done.price == Money(Decimal(amount), unit)
    assert [-Decimal(entry["amount"]) for entry in world.entries("charge")] == [Decimal(amount)]


def test_billed_quantity_has_its_unit(client: Hand, world: World, video: Path) -> None:
    """The billed quantity is in seconds or frames, counted as the model counts them."""
    assert PRICES[world.model][2] == str(client.submit(video).billed)


def test_client_counts_what_it_spent(client: Hand, video: Path) -> None:
    """The client counts the price of the job as spent, and reserves nothing more."""
    job = client.submit(video)

    assert (client.spent, client.reserved.amount) == (job.price, 0)


def test_download_reports_its_size(client: Hand, video: Path, tmp_path: Path) -> None:
    """The download reports the size of the saved file and leaves no partial file."""
    done = client.upscale(video, tmp_path / "out.mp4")

    assert done.file.bytes == (tmp_path / "out.mp4").stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_an_older_file_is_replaced(client: Hand, video: Path, tmp_path: Path) -> None:
    """A download replaces an older file at its path."""
    (tmp_path / "out.mp4").write_bytes(b"older")
    client.upscale(video, tmp_path / "out.mp4")

    assert media_of(tmp_path / "out.mp4").frames == 120


def test_the_source_is_never_replaced(
    client: Hand, world: World, video: Path, tmp_path: Path
) -> None:
    """If the output path is the source file by any name, the client refuses before the submit."""
    before = video.read_bytes()
    (tmp_path / "soft.mp4").symlink_to(video)
    (tmp_path / "hard.mp4").hardlink_to(video)
    for to in (video, tmp_path / "soft.mp4", tmp_path / "hard.mp4"):
        with pytest.raises(DestinationError, match="is the source itself"):
            client.upscale(video, to)
    with video.open("rb") as opened, pytest.raises(DestinationError, match="is the source"):
        client.upscale(opened, video)

    assert before == video.read_bytes()
    assert not world.entries("charge")


def test_raw_responses_can_be_read(client: Hand, video: Path) -> None:
    """The client keeps the provider's response to the submit unchanged, with the job's id."""
    job = client.submit(video)

    assert job.id in str(job.raw)


def test_wait_and_download_of_a_job(client: Hand, video: Path, tmp_path: Path) -> None:
    """The client can wait for a job that was submitted earlier, and download its file."""
    job = client.submit(video)
    progress = client.wait(job)
    client.download(progress, tmp_path / "one.mp4")
    client.download(job, tmp_path / "two.mp4")

    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_job_can_be_rebuilt_from_its_id(client: Hand, video: Path) -> None:
    """Another process can continue to poll a job with only its id and its model."""
    job = client.submit(video)

    assert client.wait(Job(job.id, job.model)).state == "completed"


def test_first_poll_finds_a_running_job(client: Hand, video: Path) -> None:
    """The first poll after the submit finds the job queued or running, in the provider's word."""
    progress = client.poll(client.submit(video))

    assert (progress.ended, progress.state in ("waiting", "processing")) == (False, True)


def test_progress_is_reported(start: Open, video: Path, tmp_path: Path) -> None:
    """The callback gets the progress of each poll; the progress of the last poll is completed."""
    seen: list[str] = []
    start(progress=lambda progress: seen.append(progress.state)).upscale(video, tmp_path / "o.mp4")

    assert (seen[-1], "processing" in seen) == ("completed", True)


# -- what can be handed in


def as_path(video: Path, _world: World) -> Any:  # noqa: ANN401 - any source
    """A path as text."""
    return str(video)


def as_bytes(video: Path, _world: World) -> Any:  # noqa: ANN401 - any source
    """The bytes of the video."""
    return video.read_bytes()


def as_file(video: Path, _world: World) -> Any:  # noqa: ANN401 - any source
    """A file object."""
    return io.BytesIO(video.read_bytes())


def as_url(_video: Path, world: World) -> Any:  # noqa: ANN401 - any source
    """The URL of a video."""
    return world.media_url


def as_data_url(video: Path, _world: World) -> Any:  # noqa: ANN401 - any source
    """A data URL."""
    return f"data:video/mp4;base64,{base64.b64encode(video.read_bytes()).decode()}"


@pytest.mark.parametrize("form", [as_path, as_bytes, as_file, as_url, as_data_url])
def test_every_form_of_source(
    client: Hand, world: World, video: Path, form: Callable[[Path, World], Any]
) -> None:
    """A path, bytes, a file object, a URL and a data URL give the same charge."""
    job = client.submit(form(video, world))

    assert world.charged() == Decimal(PRICES[world.model][0]), job


def test_missing_file_is_a_source_error(client: Hand, world: World, tmp_path: Path) -> None:
    """A path without a file raises SourceError before anything is sent."""
    with pytest.raises(SourceError, match=r"nosuch\.mp4 cannot be read: No such file"):
        client.submit(tmp_path / "nosuch.mp4")
    assert world.entries("charge") == []


def test_invalid_source_type_is_explained(client: Hand) -> None:
    """A number as the source raises an error that lists the valid kinds of source."""
    with pytest.raises(
        SourceError, match="a video must be a path, bytes, a binary file object or a URL"
    ):
        client.submit(4)


def test_text_file_is_never_charged(client: Hand, world: World) -> None:
    """A text file as the source is refused, or its job fails; no charge remains."""
    with pytest.raises((RefusedError, JobFailedError)):
        client.upscale(b"no video at all", "unused.mp4")
    world.admin("POST", f"sandboxes/{world.sandbox}/clock/advance", {"to": "idle"})
    assert world.charged() == 0


# -- quotes


def test_quote_of_a_file_is_the_charge(client: Hand, world: World, video: Path) -> None:
    """The quote of a file is the charge of its job."""
    quoted = client.quote(video)
    job = client.submit(video)

    assert (quoted.exact, quoted.price, quoted.output) == (True, job.price, job.output)
    assert world.charged() == quoted.price.amount


def test_quote_charges_nothing(client: Hand, world: World, video: Path) -> None:
    """A quote creates no job and charges nothing."""
    client.quote(video)

    assert world.entries("charge") == []


def test_quote_of_measured_media(client: Hand, world: World, video: Path) -> None:
    """A quote for measured media needs no request."""
    price = client.quote(media_of(video)).price
    assert (f"{price.amount:f}", price.unit) == PRICES[world.model][:2]


def test_quote_of_a_url_is_never_too_low(client: Hand, world: World) -> None:
    """The quote of a URL comes from the provider, or is the highest price of the model."""
    quoted = client.quote(world.media_url)

    assert quoted.price.amount >= Decimal(PRICES[world.model][0])
    assert quoted.exact == (quoted.price.amount == Decimal(PRICES[world.model][0]))


# -- sizes


def test_possible_target_height(client: Hand, world: World, video: Path, tmp_path: Path) -> None:
    """The output has the requested target height if the model supports it for this clip."""
    height = int(PRICES[world.model][3].partition("x")[2])
    client.upscale(video, tmp_path / "out.mp4", target_height=height)

    assert media_of(tmp_path / "out.mp4").height == height


def test_impossible_target_height(client: Hand, world: World, video: Path) -> None:
    """An impossible height raises an error before anything is sent, and lists the possible ones."""
    with pytest.raises(UnsupportedError, match=r"cannot make 777 lines from 640x360; it makes \d+"):
        client.submit(video, target_height=777)
    assert world.calls("POST", "/") == []


def test_factor_and_height_exclude_each_other(client: Hand, video: Path) -> None:
    """The client refuses a request that has both a factor and a target height."""
    with pytest.raises(UnsupportedError, match="target_height or factor, not both"):
        client.quote(video, target_height=720, factor=2)


# -- waiting


def test_polls_follow_the_advice(client: Hand, world: World, video: Path, tmp_path: Path) -> None:
    """The client polls at the advised interval, so a job needs a few polls and not hundreds."""
    client.upscale(video, tmp_path / "out.mp4")
    polls = [*world.calls("GET", "/"), *world.calls("POST", "/retrieve")]

    assert 2 <= len(polls) <= 40


def test_deadline(start: Open, world: World, video: Path) -> None:
    """A job that runs longer than the caller's timeout raises a timeout error with the job."""
    client = start(polling=Polling(timeout=1.5))
    job = client.submit(video)
    with pytest.raises(
        WaitTimeoutError, match=rf"job {job.id} is still at .* after 1\.5 s"
    ) as caught:
        client.wait(job)
    assert (caught.value.job, isinstance(caught.value, TimeoutError)) == (job, True)
    assert len(world.entries("charge")) == 1


def test_unknown_job_is_not_found(client: Hand, world: World) -> None:
    """A poll with an id that the provider does not have raises a not-found error."""
    model = world.model.partition("/")[2]
    with pytest.raises(NotFoundError):
        client.poll(Job("00000000-0000-4000-8000-000000000000", model))


# -- refusals


def test_no_money(client: Hand, world: World, video: Path) -> None:
    """A submit without funds is refused, and nothing stays reserved."""
    client.balance()
    world.admin("PUT", f"sandboxes/{world.sandbox}/accounts/{world.provider}", {"balance": "0"})
    with pytest.raises(BalanceError):
        client.submit(video)
    assert (client.spent.amount, client.reserved.amount) == (0, 0)


def test_balance_falls_by_the_price(client: Hand, world: World, video: Path) -> None:
    """The balance is money with its unit, and a job takes its price from it."""
    before = client.balance()
    job = client.submit(video)

    assert before.amount - client.balance().amount == job.price.amount
    assert before.unit == PRICES[world.model][1]


# -- trouble that passes


FLAKY = {
    "gateway": {"respond": {"status": 502, "content_type": "text/html", "body": "<html>"}},
    "dropped": "drop_connection",
    "reset": "reset_connection",
    "malformed": {"respond": {"status": 200, "content_type": "application/json", "body": '{"a": '}},
    "limited": {"respond": {"status": 429, "content_type": "text/plain", "body": "slow down"}},
}


@pytest.mark.parametrize("do", FLAKY.values(), ids=FLAKY)
def test_two_failed_polls_are_retried(
    client: Hand, world: World, video: Path, tmp_path: Path, do: object
) -> None:
    """The client retries after two failed polls in a row, and the job still succeeds."""
    world.arm(at="poll", first=2, do=do)
    client.upscale(video, tmp_path / "out.mp4")

    assert len(world.entries("charge")) == 1


def test_permanently_failing_polls_raise_an_error(client: Hand, world: World, video: Path) -> None:
    """The client gives up when every poll fails, and the error names the job."""
    world.arm(at="poll", do=FLAKY["gateway"])
    with pytest.raises(TransientError, match="502") as caught:
        client.upscale(video, "unused.mp4")
    assert (caught.value.job is not None, len(world.entries("charge"))) == (True, 1)


def test_submit_with_a_short_rate_limit_is_retried(client: Hand, world: World, video: Path) -> None:
    """The client retries a submit that got a 429, because the provider did not accept it."""
    world.arm(at="before_accept", first=2, do=FLAKY["limited"])
    client.submit(video)

    assert len(world.entries("charge")) == 1


def test_submit_with_a_permanent_rate_limit_fails(client: Hand, world: World, video: Path) -> None:
    """A permanent rate limit raises an error, and nothing is spent or reserved."""
    world.arm(at="before_accept", do=FLAKY["limited"])
    with pytest.raises(RateLimitError):
        client.submit(video)
    assert (client.spent.amount, client.reserved.amount, world.entries("charge")) == (0, 0, [])


@pytest.mark.parametrize("stage", ["before_accept", "after_accept"])
@pytest.mark.parametrize("do", ["drop_connection", "reset_connection"])
def test_submit_with_a_lost_response_is_not_repeated(
    client: Hand, world: World, video: Path, stage: str, do: str
) -> None:
    """The client sends a submit with a lost response once, and keeps its highest price reserved."""
    world.arm(at=stage, first=1, do=do)
    with pytest.raises(OutcomeUnknownError, match="may have been accepted and charged") as caught:
        client.submit(video)
    assert len(world.entries("charge")) == (stage == "after_accept")
    assert caught.value.reserved == client.reserved


def test_truncated_download_leaves_no_file(
    start: Open, world: World, video: Path, tmp_path: Path
) -> None:
    """A download that is always cut off raises an error and leaves no file or partial file."""
    in_the_poll = world.provider == "venice" and world.base_url.endswith("/live")
    stage = {"at": "poll", "state": "completed"} if in_the_poll else {"at": "download"}
    world.arm(**stage, do={"truncate": "50%"})
    client = start(retries=Retries(attempts=3))
    with pytest.raises((TransientError, ProtocolError)):
        client.upscale(video, tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


# -- money and keys


def test_cap_stops_the_second_job(start: Open, world: World, video: Path) -> None:
    """A cap of one job's price stops the second submit."""
    client = start(cap=Money(Decimal(PRICES[world.model][0]), PRICES[world.model][1]))
    client.submit(video)
    with pytest.raises(CapReachedError, match=r"of the cap of .* 0"):
        client.submit(video)
    assert len(world.entries("charge")) == 1


def test_refund_frees_the_cap(start: Open, world: World, video: Path) -> None:
    """After the refund of a failed job, its price is available under the cap again."""
    client = start(cap=Money(Decimal(PRICES[world.model][0]), PRICES[world.model][1]))
    job = client.submit(video)
    path = f"sandboxes/{world.sandbox}/jobs/{job.id}/state"
    world.admin("PUT", path, {"state": "failed"})
    with pytest.raises(JobFailedError) as caught:
        client.wait(job)
    expected = 0 if caught.value.refunded else job.price.amount
    assert client.spent.amount == expected


def test_missing_key(world: World, way: Way) -> None:
    """A client without an API key raises an error that says where the client looked for a key."""
    from upsim.client import connect

    assert way
    with pytest.raises(AuthenticationError, match=r"no key: pass api_key, or set .*_API_KEY"):
        connect(world.model, base_url=LOCAL)


def test_key_shows_nowhere(client: Hand, world: World, video: Path) -> None:
    """Clients, results and errors do not show the key in their text forms."""
    world.arm(at="after_accept", first=1, do="drop_connection")
    with pytest.raises(OutcomeUnknownError) as caught:
        client.submit(video)
    job = client.submit(video)
    shown = [repr(client.client), repr(job), repr(client.poll(job)), repr(caught.value)]

    assert world.key not in " ".join([*shown, str(vars(caught.value))])


def test_new_job_is_listed_first(client: Hand, world: World, video: Path) -> None:
    """The new job is first in the provider's list; without a list, UnsupportedError is raised."""
    job = client.submit(video)
    if world.provider in ("wavespeed", "piapi"):
        assert [listed.id for listed in client.jobs(limit=10)] == [job.id]
    else:
        with pytest.raises(UnsupportedError, match=f"{world.provider} does not list jobs"):
            client.jobs(limit=10)


def test_oversized_file_is_refused_before_sending(
    client: Hand, world: World, tmp_path: Path
) -> None:
    """The client does not send a file above the provider's limit; the error has both sizes."""
    large = tmp_path / "large.mp4"
    with large.open("wb") as file:
        file.truncate(400 * 1024**2)
    with pytest.raises(MediaRefusedError, match=r"large\.mp4 has 419430400 bytes; .* up to \d+"):
        client.submit(large)
    assert world.entries("charge") == []
