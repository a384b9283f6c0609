"""A scenario with one wrong value is accepted or refused with a place, and never breaks a call."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from tests.mutations import GONE, VALUES, places
from upsim import Simulator
from upsim.cli import main
from upsim.scenario.inline import as_json
from upsim.scenario.loader import Library

LOCAL = "http://127.0.0.1:4747"
CLIP = f"{LOCAL}/media/synthetic/160x120_10fps_2s.mp4"
VENICE = {"model": "topaz-video-upscale", "video_url": CLIP, "upscale_factor": 2}
PIAPI = {"model": "Qubico/video-toolkit", "task_type": "upscale", "input": {"video": CLIP}}
PRICING = {"model_id": "runwayml/upscale-v1", "inputs": {"video": CLIP}}
CALLS: dict[str, Sequence[tuple[str, str, object]]] = {
    "wavespeed": (
        ("POST", "/api/v3/runwayml/upscale-v1", {"video": CLIP}),
        ("POST", "/api/v3/runwayml/upscale-v1", {"video": 5}),
        ("POST", "/api/v3/model/pricing", PRICING),
        ("GET", "/api/v3/models", None),
        ("GET", "/api/v3/balance", None),
    ),
    "venice": (
        ("POST", "/api/v1/video/queue", VENICE),
        ("POST", "/api/v1/video/queue", {"model": "topaz-video-upscale"}),
        ("POST", "/api/v1/video/quote", VENICE),
        ("GET", "/api/v1/models?type=video", None),
        ("GET", "/api/v1/billing/balance", None),
    ),
    "piapi": (
        ("POST", "/api/v1/task", PIAPI),
        ("POST", "/api/v1/task", {**PIAPI, "task_type": "x"}),
        ("GET", "/account/info", None),
        ("GET", "/api/v1/task/x", None),
    ),
    "vicsee": (
        ("POST", "/api/v1/tools/upscale-video", {"video_url": CLIP}),
        ("POST", "/api/v1/tools/upscale-video", {"video_url": 5}),
        ("GET", "/api/v1/credits", None),
        ("GET", "/api/v1/models", None),
    ),
}
OTHERS: Sequence[object] = (GONE, "nope", 5, [], {})
"""Values for facts, of which there are many."""
HOW_MANY = [20, pytest.param(300, marks=pytest.mark.nightly)]
PLACE = re.compile(r"(\S+:\d+:\d+: )?[\w$][^:]*: \S|the document is nested more than 64 levels")
LOCATED = re.compile(r"\S+\.yaml:\d+:\d+: \S")
EVIDENCE = {"grade": "assumed", "source": "a test"}


def patch(base: Any, place: tuple[Any, ...], value: object) -> Any:  # noqa: ANN401 - JSON
    """Return what changes one place of a baseline: mappings are merged, lists replaced whole."""
    if not place:
        return None if value is GONE else value
    step, *rest = place
    if isinstance(base, dict):
        return {step: patch(base[step], tuple(rest), value)}
    found = copy.deepcopy(base)
    inner = found
    for inside in place[:-1]:
        inner = inner[inside]
    if value is GONE:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return found


def mutations(provider: str, most: int) -> Iterator[dict[str, Any]]:
    """Yield scenarios that change one place of a baseline, spread evenly over all places."""
    base = as_json(Library().tree_of(provider))
    found = [
        (place, value)
        for place in list(places(base))[1:]
        for value in (OTHERS if "facts" in place else (GONE, *VALUES))
        if place != ("provider",)
    ]
    for place, value in found[:: len(found) // most]:
        yield {**patch(base, place, value), "extends": f"{provider}/baseline"}


def sent(http: httpx.Client, scenario: dict[str, Any]) -> httpx.Response:
    """Ask for a sandbox in a scenario; numbers may be beyond what httpx writes."""
    text = json.dumps({"scenario": scenario})
    headers = {"content-type": "application/json"}
    return http.post("/__sim/sandboxes", content=text, headers=headers)


@pytest.mark.parametrize("most", HOW_MANY)
@pytest.mark.parametrize("provider", sorted(CALLS))
def test_a_sent_scenario_with_a_wrong_value_breaks_no_request(provider: str, most: int) -> None:
    """The admin API refuses the scenario with a place, or each request of the provider works."""
    with (
        Simulator(clock="manual", seed=1) as sim,
        httpx.Client(transport=sim.transport(), base_url=LOCAL) as http,
    ):
        refused = accepted = 0
        for scenario in mutations(provider, most):
            made = sent(http, scenario)
            if made.status_code == 201:
                check_calls(http, provider, made.json())
                accepted += 1
                continue
            message = made.json()["error"]["message"]
            assert 400 == made.status_code, (scenario, message)
            assert PLACE.match(message), (scenario, message)
            refused += 1

        assert (0, True) == (sim.app.registry.crashes, refused > most / 3 and accepted > most / 30)


def check_calls(http: httpx.Client, provider: str, box: dict[str, Any]) -> None:
    """Check that a provider's calls are answered without a bug of the simulator."""
    key = box["keys"][provider]
    headers = {"authorization": f"Bearer {key}", "x-api-key": key}
    for method, path, body in CALLS[provider]:
        target = f"/sandbox/{box['id']}/{provider}{path}"
        http.request(method, target, json=body, headers=headers)  # a bug raises here
    http.post(f"/__sim/sandboxes/{box['id']}/clock/advance", json={"to": "idle"})
    assert 200 == http.get(f"/__sim/sandboxes/{box['id']}/jobs").status_code
    assert http.delete(f"/__sim/sandboxes/{box['id']}").is_success


@pytest.mark.parametrize("most", HOW_MANY)
@pytest.mark.parametrize("provider", sorted(CALLS))
def test_a_file_with_a_wrong_value_is_refused_with_its_place(
    provider: str, most: int, tmp_path: Path
) -> None:
    """`upsim validate` exits with 0 or 1, and `verify --scenario` refuses the same files."""
    file = tmp_path / "mine.yaml"
    refused = 0
    for scenario in mutations(provider, most):
        file.write_text(json.dumps(scenario), "utf-8")
        done = CliRunner().invoke(main, ["validate", str(file)])
        assert done.exit_code in (0, 1), (scenario, done.output, done.exception)
        if done.exit_code == 0:
            continue
        assert LOCATED.search(done.output), (scenario, done.output)
        refused += 1
        if refused % 8 == 0:
            verified = CliRunner().invoke(main, ["verify", "--scenario", str(file)])
            assert 2 == verified.exit_code, (scenario, verified.output, verified.exception)
            assert LOCATED.search(verified.output), (scenario, verified.output)
    assert refused > most / 3


def fact(value: object) -> dict[str, object]:
    """Return a fact with this value."""
    return {"value": value, "evidence": EVIDENCE}


@pytest.mark.parametrize(
    ("provider", "change", "message"),
    [
        (
            "wavespeed",
            {"facts": {"parameters/model/pricing": {"value": {"inputs": {"kind": "objekt"}}}}},
            "facts.parameters/model/pricing.value.inputs.kind: unknown kind 'objekt'; did you mean",
        ),
        (
            "wavespeed",
            {"facts": {"parameters/model/pricing": {"value": {"mine": {"required": True}}}}},
            "facts.parameters/model/pricing.value.mine.kind: unknown kind null; allowed:",
        ),
        (
            "wavespeed",
            {"plans": {"suspended": {"facts": {"refusal": fact("no_acess")}}}},
            "plans.suspended.facts.refusal.value: unknown error 'no_acess'; did you mean no_access",
        ),
        (
            "wavespeed",
            {"plans": {"suspended": {"facts": {"refusal": fact(["x"])}}}},
            "plans.suspended.facts.refusal.value: ['x'] must be a text, as in the baseline",
        ),
        (
            "wavespeed",
            {"plans": {"suspended": {"facts": {"refusal": None}}}},
            "plans.suspended.facts.refusal: a mapping is needed here, not nothing",
        ),
        (
            "wavespeed",
            {"plans": {"bronze": {"access": False}}},
            "plans.bronze.facts: a plan without access needs refusal, the error",
        ),
        (
            "wavespeed",
            {"models": {"runwayml/upscale-v1": {"facts": {"base_price_by": fact("base_prise")}}}},
            "facts.base_price_by.value: unknown knob 'base_prise'; did you mean base_price?",
        ),
        (
            "piapi",
            {"models": {"Qubico/video-toolkit": {"facts": {"task_type": fact({"a": "b"})}}}},
            "facts.task_type.value: {'a': 'b'} must be a text, as in the baseline",
        ),
        (
            "piapi",
            {"facts": {"credit_pack_days": {"value": None}}},
            "facts.credit_pack_days.value: None must be a number, as in the baseline",
        ),
        (
            "venice",
            {"facts": {"diem": {"value": None}}},
            "facts.diem.value: None must be a number, as in the baseline",
        ),
    ],
)
def test_a_fact_that_code_reads_is_validated(
    provider: str, change: dict[str, Any], message: str
) -> None:
    """A fact with a wrong name or type is refused before a request uses it."""
    scenario = {"extends": f"{provider}/baseline", **change}
    with (
        Simulator(clock="manual", seed=1) as sim,
        httpx.Client(transport=sim.transport(), base_url=LOCAL) as http,
    ):
        made = sent(http, scenario)

    assert (400, True) == (made.status_code, message in made.text.replace('\\"', '"')), made.text
