"""A patch of fields that no response has is refused; what responses have is known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import yaml

from tests.http.test_causes import POLLS, SUBMITTED, TOPAZ, Mistake, send
from upsim import Simulator
from upsim.providers import discover
from upsim.scenario.faults.ineffective_patches import _is_in
from upsim.scenario.loader import Library
from upsim.testing.admin_responses import AdminCallError
from upsim.testing.sandboxes import SandboxHandle
from upsim.testing.simulator_targets import SimulatorTarget

LIBRARY = Library()
LOCAL = "http://127.0.0.1:4747"
REFUSED = {
    ("vicsee", "{at: poll, do: {patch: {url: x}}}"): (
        "faults[0].do.patch.url: no response of tasks/get has 'url', so this never fires; "
        "did you mean data.result.url?"
    ),
    ("vicsee", "{at: after_accept, on: generate, do: {patch: {data.ids: x}}}"): "mean data.id?",
    ("venice", "{at: poll, on: video/retrieve, do: {patch: {data.status: x}}}"): "mean status?",
    ("piapi", "{at: poll, do: {patch: {status: x}}}"): "did you mean data.status?",
    ("wavespeed", "{at: poll, on: result, do: {patch: {data.output: x}}}"): "mean data.outputs",
}
WELL = [
    ("vicsee", "{at: poll, do: {patch: {data: null}}}"),
    ("vicsee", "{at: poll, do: {patch: {data.status: odd, data.new: 1}}}"),
    ("wavespeed", "{at: poll, do: {patch: {data.outputs.7: x}}}"),
    ("piapi", "{at: poll, do: {patch: {data.output.video_url: x}}}"),
    ("vicsee", "{at: poll, on: credits, do: {patch: {anything: x}}}"),
]


def written(fault: str) -> dict[str, object]:
    """Return a fault as JSON has it; in YAML 1.1, which `yaml` reads, `on` is a switch."""
    found = yaml.safe_load(fault)
    return {"on" if key is True else key: value for key, value in found.items()}


def messages(folder: Path, provider: str, fault: str) -> list[str]:
    """Return the mistakes of a scenario with one fault."""
    path = folder / "mine.yaml"
    path.write_text(f"extends: {provider}/baseline\nfaults: [{fault}]\n", "utf-8")
    found = LIBRARY.mistakes_in(LIBRARY.resolve(path), discover())
    return [f"{mistake.place}: {mistake.message}" for mistake in found]


def test_a_patch_of_an_unknown_field_is_refused(tmp_path: Path) -> None:
    """A patch of an unknown field is refused with the nearest field, in one message.

    A patch of a field that any matching response has is accepted.
    """
    for (provider, fault), said in REFUSED.items():
        (message,) = messages(tmp_path, provider, fault)
        assert said in message
    for provider, fault in WELL:
        assert [] == messages(tmp_path, provider, fault)


@pytest.mark.parametrize("dialect", ["", "live"])
def test_arming_refuses_the_same_patches_as_a_file(tmp_path: Path, dialect: str) -> None:
    """The admin API refuses a patch of an unknown field with the message of `upsim validate`."""
    with Simulator(dialect=dialect or None) as sim:
        target = SimulatorTarget(LOCAL, "", cast("Any", sim.transport()))
        with SandboxHandle(target) as box:
            for provider, fault in REFUSED:
                (message,) = messages(tmp_path, provider, fault)
                said = re.escape(message.removeprefix("faults[0]."))
                with pytest.raises(AdminCallError, match=f"^{said}") as refused:
                    box.arm({"provider": provider, **written(fault)})
                assert 400 == refused.value.status
            for provider, fault in WELL:
                box.arm({"provider": provider, **written(fault)})
            unsure = {"provider": "vicsee", "at": "poll", "do": {"patch": {"data.statu": "x"}}}
            box.arm({**unsure, "on": "*"})
            assert len(WELL) + 1 == box.admin("GET", "faults")["total"]


def test_arming_knows_the_fields_of_own_failures() -> None:
    """A patch of a field that a failure of the sandbox's scenario adds is armed."""
    fault = {"provider": "vicsee", "at": "poll", "do": {"patch": {"data.error.odd.trace": "x"}}}
    other = {"provider": "piapi", "at": "poll", "do": {"patch": {"data.trace": "x"}}}
    own = {
        "extends": "piapi/baseline",
        "failures": {"timeout": {"extra": {"trace": "t"}}},
    }
    for scenario, status in ((None, 400), (own, 201)):
        with Simulator(scenario=scenario) as sim, httpx.Client(transport=sim.transport()) as http:
            url = f"{LOCAL}/__sim/sandboxes/default/faults"
            assert (201, status) == (
                http.post(url, json=fault).status_code,
                http.post(url, json=other).status_code,
            )


def leaves(value: object, path: str = "") -> Iterator[str]:
    """Yield the dotted path of each single value of a response."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)  # type: ignore[arg-type]
    for key, item in inner:
        if isinstance(item, dict | list) and item:
            yield from leaves(item, f"{path}{key}.")
        else:
            yield f"{path}{key}"


@pytest.mark.parametrize("provider", SUBMITTED)
def test_every_field_of_a_response_is_known(provider: str) -> None:
    """All response fields of submits and polls are known, in every job state and dialect."""
    operations = {one.kind: one.answers for one in discover()[provider].operations if one.answers}
    path, body, place = SUBMITTED[provider]
    for end in ("completed", "failed", "cancelled", "timeout"):
        steps = [{"waiting": "5s"}, {"processing": "5s"}, {end: None}]
        scenario = {"extends": f"{provider}/baseline", "jobs": [{"lifecycle": steps}]}
        with Simulator(scenario=scenario, clock="auto", seed=1) as sim:
            for dialect in ("", *sim.app.registry.library.baseline(provider).baseline.dialects):
                prefix = f"{provider}/{dialect}".rstrip("/")
                made = send(sim, Mistake(f"POST {prefix}{path}", body)).json()
                assert [] == [one for one in leaves(made) if not _is_in(one, operations["submit"])]
                name: object = made
                for part in place.split("."):
                    name = name[part]  # type: ignore[index]
                method, _, rest = POLLS[provider].format(name).partition(f" {provider}")
                document = {**TOPAZ, "queue_id": name} if provider == "venice" else None
                for _ in range(4):
                    answer = send(sim, Mistake(f"{method} {prefix}{rest}", document))
                    if answer.headers["content-type"].startswith("application/json"):
                        found = leaves(answer.json())
                        assert [] == [one for one in found if not _is_in(one, operations["poll"])]
