"""Faults that fit their stage, in the form of the admin API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from upsim.core.faults import ACTIONS_AT, STAGES, Stage

TWO_MINUTES = {"delay": "2m"}
PAUSES = {"trickle": {"chunk": 100, "pause": "8s"}}
VIRTUAL: tuple[object, ...] = (TWO_MINUTES, PAUSES)
"""Faults that wait for virtual time, which never passes on a clock that does not move."""
ACTIONS: Mapping[str, st.SearchStrategy[Any]] = {
    "respond": st.sampled_from([500, 429, 200, "internal", {"status": 502, "body": "<b>"}]),
    "delay": st.sampled_from([TWO_MINUTES["delay"], {"real": "1ms"}]),
    "truncate": st.sampled_from([0, 40, "50%", "99%"]),
    "corrupt": st.integers(1, 50),
    "trickle": st.sampled_from([PAUSES["trickle"], {"chunk": 400, "pause": {"real": "1ms"}}]),
    "patch": st.sampled_from([{"data.status": "odd"}, {"data": None}, {"data.id": 5}]),
    "headers": st.just({"content-type": "text/html"}),
    "late": st.sampled_from(["1s", "90s"]),
}
RECEIVED = st.sampled_from([200, 404, 500])


@st.composite
def faults_at(draw: st.DrawFn, *stages: Stage) -> dict[str, Any]:
    """Return a fault that fits one of these stages."""
    stage = draw(st.sampled_from(stages))
    name = draw(st.sampled_from(ACTIONS_AT[stage]))
    action = RECEIVED if (stage, name) == ("webhook", "respond") else ACTIONS.get(name)
    do = name if action is None else {name: draw(action)}
    fault: dict[str, Any] = {"at": stage, "do": do}
    some = {
        "first": st.integers(1, 3),
        "every": st.integers(1, 3),
        "after": st.integers(0, 2),
        "probability": st.sampled_from(["0.5", "1"]),
    }
    return fault | draw(st.fixed_dictionaries({}, optional=some))


any_fault = st.one_of(faults_at(*STAGES), faults_at("webhook"))
of_submits = faults_at("before_accept", "after_accept", "mid_body")
of_looks = faults_at("poll", "mid_body", "download")
