"""Jobs of equal submits share their inputs; other jobs do not."""

from __future__ import annotations

from tests.http.fault_client import patient
from upsim import Simulator
from upsim.engine.kept_inputs import MAX_SHARED, SharedInputs


def test_jobs_of_equal_submits_share_inputs_and_source() -> None:
    """Equal bodies keep one copy of inputs and source; another body has its own."""
    with Simulator(clock="manual", seed=1) as sim:
        client = patient(sim, "vicsee")
        names = [client.job(), client.job()]
        client.submit(video_url="https://clips.example/other.mp4")
        first, second, third = (job.accepted for job in sim.sandbox.state.jobs.values())

    assert names == [first.job, second.job]
    assert first.inputs is second.inputs
    assert first.source is second.source
    assert "https://clips.example/other.mp4" == third.inputs["video_url"] == third.source


def test_only_equal_inputs_and_sources_are_shared() -> None:
    """A body whose inputs or source differ from the earlier ones gets the new ones."""
    shared = SharedInputs()
    first = shared.share(b"{}", {"a": 1}, "one")

    assert first is shared.share(b"{}", {"a": 1}, "one")
    assert ({"a": 2}, "one") == shared.share(b"{}", {"a": 2}, "one")
    assert ({"a": 2}, "two") == shared.share(b"{}", {"a": 2}, "two")


def test_a_limited_number_of_bodies_is_kept() -> None:
    """The oldest of many bodies is dropped; its inputs are then no longer shared."""
    shared = SharedInputs()
    first = shared.share(b"first", {"a": 1}, "one")
    for number in range(MAX_SHARED):
        shared.share(b"%d" % number, {}, "")

    assert first is not shared.share(b"first", {"a": 1}, "one")
