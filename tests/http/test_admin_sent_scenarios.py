"""A scenario that comes in the body of `POST sandboxes`: no file of the server is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from upsim import Simulator
from upsim.engine.reload import reload
from upsim.scenario.loader import ScenarioError

if TYPE_CHECKING:
    from tests.http.conftest import Admin

FAILING = {
    "extends": "vicsee/baseline",
    "clock": "auto",
    "seed": 11,
    "faults": [{"at": "before_accept", "first": 1, "do": {"respond": 503}}],
}
PRICE = {"topaz-video-upscale": {"billing": {"rate": {"table": {"2": "30"}}}}}
DEAR = {"extends": "vicsee/baseline", "models": PRICE}
SUBMIT = "/vicsee/api/v1/tools/upscale-video"


def submit(admin: Admin, key: str) -> httpx.Response:
    """Submit a video with a sandbox's key."""
    headers = {"Authorization": f"Bearer {key}"}
    body = {"video_url": "https://example.com/clip.mp4"}
    return admin.http.post(SUBMIT, json=body, headers=headers)


def made(admin: Admin, document: dict[str, Any], name: str = "mine") -> dict[str, Any]:
    """Make a sandbox in a document's scenario."""
    found: dict[str, Any] = admin.post("sandboxes", {"id": name, "scenario": document})
    return found


def test_a_sent_scenario_applies(admin: Admin) -> None:
    """Faults, clock and seed are those of the document, and the view names the document."""
    box = made(admin, FAILING)
    statuses = [submit(admin, box["keys"]["vicsee"]).status_code for _ in range(2)]

    assert ("request body", 11, "auto") == (box["scenario"], box["seed"], box["clock"]["mode"])
    assert [503, 200] == statuses
    assert "request body" == admin.get("sandboxes/mine")["scenario"]


def test_numbers_are_exact(admin: Admin) -> None:
    """A number with more digits than a float keeps all its digits."""
    text = '{"id": "exact", "scenario": {"extends": "vicsee/baseline", "media": [{"url": "*",'
    text += ' "duration": 8.500000, "size": "854x480", "fps": 30}]}}'
    answer = admin.http.post(
        "/__sim/sandboxes", content=text, headers={"content-type": "application/json"}
    )
    (rule,) = admin.get("sandboxes/exact/export")["values"]["media"]

    assert 201 == answer.status_code
    assert {"$decimal": "8.500000"} == rule["duration"]


def test_all_mistakes_of_a_document_are_reported(admin: Admin) -> None:
    """The error has one line for each mistake, and no sandbox is made."""
    document = {"extends": "vicsee/baseline", "falts": [], "faults": [{"at": "pol", "do": "lose"}]}
    status, code, message = admin.refusal("POST", "sandboxes", {"id": "mine", "scenario": document})

    assert (400, "invalid_scenario") == (status, code)
    assert [
        "falts: unknown key; did you mean faults?",
        "faults[0].at: unknown stage 'pol'; did you mean poll?",
    ] == message.splitlines()
    assert ["default"] == [box["id"] for box in admin.get("sandboxes")["sandboxes"]]


def test_a_reset_keeps_the_sent_scenario(admin: Admin) -> None:
    """After a reset, the sandbox has the same scenario, and its fault fires again."""
    key = made(admin, FAILING)["keys"]["vicsee"]
    before = submit(admin, key).status_code
    shown = admin.post("sandboxes/mine/reset", {})

    assert ("request body", 11) == (shown["scenario"], shown["seed"])
    assert (503, 503) == (before, submit(admin, key).status_code)


def test_two_sandboxes_have_two_documents(admin: Admin) -> None:
    """Each of two sandboxes has its own document, even if both documents have the same name."""
    keys = [made(admin, FAILING, "a")["keys"]["vicsee"], made(admin, DEAR, "b")["keys"]["vicsee"]]

    assert [503, 200] == [submit(admin, key).status_code for key in keys]


def test_a_reload_of_files_leaves_a_document(admin: Admin) -> None:
    """A sent document stays the same when scenario files are reloaded."""
    key = made(admin, DEAR)["keys"]["vicsee"]
    box = admin.sim.registry.sandboxes["mine"]
    before = box.scenario_for("vicsee")
    edits = reload(admin.sim.registry, admin.sim.registry.library.renewed())

    assert ([], True) == (edits, before is box.scenario_for("vicsee"))
    assert 270 == submit(admin, key).json()["data"]["creditsUsed"]


def test_an_armed_fault_has_the_provider_of_the_document(admin: Admin) -> None:
    """A fault without a provider gets the provider of the document, as with a named scenario."""
    made(admin, DEAR)
    fault = {"at": "before_accept", "do": {"respond": 503}}

    assert "vicsee" == admin.post("sandboxes/mine/faults", fault)["provider"]


def test_the_openapi_document_describes_sent_scenarios(admin: Admin) -> None:
    """The OpenAPI document has both forms of a scenario, and names the schema of a document."""
    schemas = admin.get("openapi.json")["components"]["schemas"]
    field = schemas["SandboxOrder"]["properties"]["scenario"]

    assert {"string", "object", "null"} == {form["type"] for form in field["anyOf"]}
    assert "GET /__sim/schema" in field["description"]


def test_a_simulator_in_process_takes_a_document() -> None:
    """`Simulator` takes the same document, also for `default` after a reset."""
    with Simulator(DEAR, clock="manual") as sim:
        http = httpx.Client(transport=sim.transport(), headers={"Authorization": "Bearer any"})
        prices = []
        for _ in range(2):
            body = {"video_url": "https://example.com/clip.mp4"}
            answer = http.post(f"{sim.base_url('vicsee')}/api/v1/tools/upscale-video", json=body)
            prices.append(answer.json()["data"]["creditsUsed"])
            sim.registry.reset("default")

    assert [270, 270] == prices


def test_a_broken_document_in_process_is_refused() -> None:
    """`Simulator` refuses a broken document immediately, with all its mistakes."""
    with pytest.raises(ScenarioError, match=r"^falts: unknown key; did you mean faults\?$"):
        Simulator({"extends": "vicsee/baseline", "falts": []})
