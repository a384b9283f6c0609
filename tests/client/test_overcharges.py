"""A job that was charged more than its quote is reported, and above the cap it is an error."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.client.servers import Reply, client_of, reply, serving
from upsim.cli import main
from upsim.client import OverchargedError, OverchargedWarning
from upsim.client.results import Job, Money

SOURCE = "https://example.com/clip.mp4"
VIDEO = b"\0\0\0\x18ftypmp42"


def answer(document: str) -> Reply:
    """Return a reply with this JSON."""
    return reply(document.encode())


def vicsee(charge: str) -> list[Reply]:
    """Return the answer to a submit."""
    return [answer(f'{{"success": true, "data": {{"id": "j", "creditsUsed": {charge}}}}}')]


def piapi(charge: str) -> list[Reply]:
    """Return the answer to a submit."""
    task = f'{{"meta": {{"usage": {{"consume": {charge}}}}}, "status": "pending"}}'
    return [answer(f'{{"code": 200, "task_id": "j", "data": {task}}}')]


def wavespeed(charge: str) -> list[Reply]:
    """Return the answers to a quote, the submit and a search among the bills."""
    free = answer('{"code": 200, "data": {"price": 0.1, "id": "j", "status": "created"}}')
    return [free, free, answer(f'{{"code": 200, "data": {{"items": [{{"price": {charge}}}]}}}}')]


CASES = {
    "99999 credits under a cap of 1000": ("vicsee", vicsee("99999"), 1000, "99999", "960"),
    "961 credits under a cap of 1000": ("vicsee", vicsee("961"), 1000, "961", "960"),
    "960 credits as quoted": ("vicsee", vicsee("960"), 1000, "960", "960"),
    "9000001 points, a cap of 9000000": ("piapi", piapi("9000001"), "0.9", "9000001", "720000"),
    "0.31 USD under a cap of 0.3": ("upscale-v1", wavespeed("0.31"), "0.3", "0.31", "0.1"),
    "0.2 USD under a cap of 0.3": ("upscale-v1", wavespeed("0.2"), "0.3", "0.2", "0.1"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_charge_above_the_quote(name: str) -> None:
    """A charge above the cap raises an error with the job; a charge above the quote warns."""
    model, replies, cap, charge, quoted = CASES[name]
    job: Job | None
    with (
        client_of(*replies, model=model, cap=cap) as client,
        warnings.catch_warnings(record=True) as warned,
    ):
        warnings.simplefilter("always")
        try:
            job, text = client.submit(SOURCE), ""
        except OverchargedError as error:
            job, text = error.job, str(error)
        spent, limit = client.spent.amount, client._logic.guard.budget.cap
    assert job is not None
    assert job.quoted is not None
    told = f"job j was charged {job.price}; the quote was {job.quoted}"
    excess = Decimal(charge) - Decimal(quoted)
    over_cap = limit is not None and Decimal(charge) > limit.amount
    assert (str(spent), str(job.quoted.amount)) == (charge, quoted)
    assert job.overcharge == (Money(excess, job.quoted.unit) if excess else None)
    assert text == (
        f"{told}, and the cap of {limit} is exceeded: {charge} spent. "
        "The job continues; ask the provider about the charge"
        if over_cap
        else ""
    )
    found = [(item.category, str(item.message)) for item in warned]
    assert found == ([(OverchargedWarning, told)] if excess and not over_cap else [])


def completed(headers: dict[str, str]) -> Iterator[bytes]:
    """Answer that the file is at this server."""
    result = f'{{"url": "http://{headers["host"]}/o.mp4"}}'
    task = f'{{"status": "completed", "result": {result}}}'
    return answer(f'{{"success": true, "data": {task}}}')(headers)


@pytest.mark.parametrize(
    ("charge", "code", "told"),
    [
        ("99999", 1, "the quote was 960 credits, and the cap of 1000 credits is exceeded"),
        ("99999", 1, "To resume it: upsim upscale --job j"),
        ("961", 0, "vicsee/topaz-video-upscale charged 961 credits; that is 1 credit more than"),
    ],
)
def test_the_command_reports_a_charge_above_the_quote(
    tmp_path: Path, *, charge: str, code: int, told: str
) -> None:
    """A charge above the cap fails the command, which prints how to fetch the file."""
    to = tmp_path / "o.mp4"
    with serving(*vicsee(charge), completed, reply(VIDEO, kind="video/mp4")) as (url, _):
        command = [SOURCE, "--model", "vicsee", "--to", str(to), "--target", url]
        done = CliRunner().invoke(main, ["upscale", *command, "--cap", "1000"])
    assert (done.exit_code, to.exists()) == (code, not code)
    assert told in done.output
