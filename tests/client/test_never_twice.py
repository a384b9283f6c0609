"""One job is paid for at most once under every fault, and each error is one of the client's own."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.client.client_targets import MODELS, clip, hand, in_process
from upsim.client import (
    ClientError,
    DestinationError,
    OutcomeUnknownError,
    Polling,
    Retries,
    UnsupportedError,
)
from upsim.core.media import Media
from upsim.media.probe import measure_file

SMALL = clip("64x36_10fps_1s.mp4")
PAGE = {"content_type": "text/html", "body": "<html>Bad Gateway</html>"}
BROKEN = {"status": 200, "content_type": "application/json", "body": '{"data": {"id": "'}
EMPTY = {"status": 200, "content_type": "application/json", "body": "{}"}
ODD = {"status": 200, "content_type": "application/json", "body": '{"data": [7], "queue_id": null}'}
TROUBLES = [{"status": status, **PAGE} for status in (408, 500, 502, 504)]
REFUSALS = [{"respond": {"status": status, **PAGE}} for status in (400, 401, 404, 429, 503)]
"""What says that a request was not accepted: no provider answers so to what it has accepted."""
LOST: list[Any] = ["drop_connection", "reset_connection"]
BODIES: list[Any] = [
    {"truncate": "50%"},
    {"truncate": "0%"},
    {"corrupt": 3},
    {"trickle": {"chunk": 64, "pause": "1s"}},
    {"delay": "2m"},
    {"headers": {"content-type": "text/html"}},
    {"headers": {"retry-after": "3"}},
]
ANSWERS = [{"respond": answer} for answer in (*TROUBLES, BROKEN, EMPTY, ODD)]
DOS: Mapping[str, list[Any]] = {
    "before_accept": [*LOST, *ANSWERS, *REFUSALS],
    "after_accept": [*LOST, *ANSWERS, *BODIES],
    "poll": [*LOST, *ANSWERS, *REFUSALS, *BODIES],
    "download": [*LOST, *ANSWERS, *REFUSALS, *BODIES],
}


@st.composite
def faults(draw: st.DrawFn) -> dict[str, Any]:
    """Return one fault that a provider may have."""
    stage = draw(st.sampled_from(sorted(DOS)))
    chosen = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "first": st.integers(1, 4),
                "every": st.integers(1, 3),
                "after": st.integers(0, 2),
            },
        )
    )
    return {"at": stage, "do": draw(st.sampled_from(DOS[stage])), **chosen}


PLANS = st.lists(faults(), min_size=1, max_size=5)


SETTINGS = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
UPSCALES = {
    "plan": PLANS,
    "model": st.sampled_from(MODELS),
    "dialect": st.sampled_from(["guide", "live"]),
}


@SETTINGS
@given(**UPSCALES)
@example(
    plan=[{"at": "after_accept", "do": "reset_connection", "first": 1}],
    model="vicsee/topaz-video-upscale",
    dialect="guide",
)
def test_no_plan_of_faults_makes_a_job_cost_twice(
    plan: list[dict[str, Any]], model: str, dialect: str
) -> None:
    """Two upscales under any faults cost two charges at most, and give whole files or errors.

    The client has the id of every job, or has reported that the job may exist.
    """
    upscale_twice(plan, model, dialect)


@pytest.mark.nightly
@settings(SETTINGS, max_examples=2000, derandomize=False)
@given(**UPSCALES)
def test_no_plan_of_many_makes_a_job_cost_twice(
    plan: list[dict[str, Any]], model: str, dialect: str
) -> None:
    """New random plans of faults do not make a job cost twice."""
    upscale_twice(plan, model, dialect)


def upscale_twice(plan: list[dict[str, Any]], model: str, dialect: str) -> None:
    """Upscale two videos under a plan of faults; compare the ledger with the client."""
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        world = in_process(stack, model, clock="auto", dialect=dialect)
        client = hand(
            world,
            polling=Polling(timeout=600, outage=10),
            retries=Retries(attempts=3, first=0.1, most=1),
        )
        for fault in plan:
            world.arm(**fault)
        told = sum(_one_ends_well(client, Path(folder) / "out.mp4") for _ in range(2))
        charges = [Decimal(entry["amount"]) for entry in world.entries("charge")]

        assert len(charges) <= told
        assert list(Path(folder).iterdir()) == []


def _one_ends_well(client: Any, to: Path) -> bool:  # noqa: ANN401 - either client
    """Return whether the client says that there is, or may be, a job; a file must be whole."""
    try:
        done = client.upscale(SMALL, to)
    except ClientError as error:
        return error.job is not None or isinstance(error, OutcomeUnknownError)
    assert done.file.bytes == to.stat().st_size > 0
    to.unlink()
    return True


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("stage", "jobs"), [("before_accept", 0), ("after_accept", 1)])
def test_lost_job_is_found(model: str, stage: str, jobs: int) -> None:
    """The client finds a lost job in the provider's list only if the job was accepted."""
    with ExitStack() as stack:
        world = in_process(stack, model)
        client = hand(world)
        earlier = client.submit(SMALL)
        world.arm(at=stage, do="drop_connection", first=1)
        with pytest.raises(OutcomeUnknownError) as caught:
            client.submit(SMALL)
        if world.provider in ("wavespeed", "piapi"):
            found = client.find(caught.value)
            assert [job.id != earlier.id for job in found] == [True] * jobs
        else:
            with pytest.raises(UnsupportedError, match=r"compare balance\(\) with what it was"):
                client.find(caught.value)


def test_found_job_ends_in_a_file(tmp_path: Path) -> None:
    """A lost job that the client found again ends in a file and is paid for once."""
    with ExitStack() as stack:
        world = in_process(stack, "wavespeed/upscale-v1".replace("/", "/runwayml/"))
        client = hand(world)
        world.arm(at="after_accept", do="reset_connection", first=1)
        with pytest.raises(OutcomeUnknownError) as caught:
            client.submit(SMALL)
        (job,) = client.find(caught.value)
        client.download(job, tmp_path / "out.mp4")
        found = measure_file(tmp_path / "out.mp4")

        assert isinstance(found, Media)
        assert (found.height, len(world.entries("charge"))) == (2160, 1)


def test_no_download_replaces_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download never replaces the source, after polls, a copy, a lost response or a chdir."""
    video = tmp_path / "in" / "clip.mp4"
    video.parent.mkdir()
    video.write_bytes(SMALL)
    links = [tmp_path / "soft.mp4", tmp_path / "hard.mp4"]
    links[0].symlink_to(video)
    links[1].hardlink_to(video)
    with ExitStack() as stack:
        world = in_process(stack, "wavespeed/runwayml/upscale-v1")
        client = hand(world)
        monkeypatch.chdir(video.parent)
        with Path(video.name).open("rb") as opened:
            jobs = [client.submit(video.name), client.submit(opened)]
        world.arm(at="after_accept", do="drop_connection", first=1)
        with pytest.raises(OutcomeUnknownError) as caught:
            client.submit(video.name)
        monkeypatch.chdir(tmp_path)
        jobs += [*client.find(caught.value), pickle.loads(pickle.dumps(jobs[0]))]  # noqa: S301 - made here
        for what in (*jobs, client.wait(jobs[0])):
            for to in (video, *links):
                with pytest.raises(DestinationError, match="is the source itself"):
                    client.download(what, to)
        (tmp_path / "device.mp4").symlink_to("/dev/null")
        with pytest.raises(DestinationError, match="is not a regular file"):
            client.download(jobs[0], tmp_path / "device.mp4")

        assert len(jobs) == 4
        assert video.read_bytes() == SMALL
        assert client.download(jobs[0], tmp_path / "out.mp4").bytes
