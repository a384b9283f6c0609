"""Scenarios are read and judged beside the event loop: a server has other callers meanwhile."""

from __future__ import annotations

import asyncio
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from upsim import Simulator
from upsim.engine.reload import reload_beside
from upsim.engine.sandbox_request import SandboxRequest
from upsim.scenario.validation import ScenarioValidator
from upsim.web import late_imports

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.http.conftest import Admin
    from upsim.core.provider import Provider
    from upsim.scenario.yaml_tree import Mistake, Tree

TEXT = "extends: vicsee/baseline\naccount: {{opening: '{opening}'}}\n"


@pytest.fixture
def judged_on(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note for each tree that is judged whether an event loop waited for it."""
    found: list[bool] = []
    judge = ScenarioValidator.mistakes_in

    def noting(
        self: ScenarioValidator, tree: Tree, providers: Mapping[str, Provider] | None = None
    ) -> list[Mistake]:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            found.append(False)
        else:
            found.append(True)
        return judge(self, tree, providers)

    monkeypatch.setattr(ScenarioValidator, "mistakes_in", noting)
    return found


def test_a_new_sandbox_does_not_block_the_event_loop(
    admin: Admin, tmp_path: Path, judged_on: list[bool]
) -> None:
    """A scenario file or document, valid or not, is read outside of the event loop."""
    sound, broken = tmp_path / "sound.yaml", tmp_path / "broken.yaml"
    sound.write_text(TEXT.format(opening=7), "utf-8")
    broken.write_text("extends: vicsee/baseline\nacount: {}\n", "utf-8")
    orders = [str(sound), str(broken), {"extends": "vicsee/baseline", "seed": 3}]
    answers = [admin.call("POST", "sandboxes", {"scenario": order}) for order in orders]

    assert [201, 400, 201] == [answer.status_code for answer in answers]
    assert [False, False, False] == judged_on


def test_a_reload_includes_sandboxes_made_during_it(tmp_path: Path, judged_on: list[bool]) -> None:
    """A sandbox that is made during a reload gets the edited version of its file."""
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    for path in (first, second):
        path.write_text(TEXT.format(opening=7), "utf-8")
    with Simulator(str(first)) as sim:
        registry = sim.registry
        judged_on.clear()

        async def both() -> None:
            first.write_text(TEXT.format(opening=8), "utf-8")
            reading = asyncio.create_task(reload_beside(registry, registry.library.renewed()))
            await asyncio.sleep(0)
            await registry.prepare(str(second))
            registry.create(SandboxRequest(id="late", scenario=str(second)))
            second.write_text(TEXT.format(opening=9), "utf-8")
            await reading

        hold, judge = threading.Event(), ScenarioValidator.mistakes_in

        def waiting(self: ScenarioValidator, tree: Tree, providers: object = None) -> list[Mistake]:
            if first in tree.files:
                assert hold.wait(30)
            return judge(self, tree, providers)  # type: ignore[arg-type]

        create = registry.create

        def creating(order: SandboxRequest) -> None:
            create(order)
            hold.set()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ScenarioValidator, "mistakes_in", waiting)
            patch.setattr(registry, "create", creating)
            asyncio.run(both())
        boxes = registry.sandboxes.values()
        openings = [int(box.scenario_for("vicsee").baseline.opening) for box in boxes]
    assert ([8, 9], {False}) == (openings, set(judged_on))


def test_a_late_module_is_imported_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that is needed late is imported once, outside of the event loop."""
    (tmp_path / "upsim_late.py").write_text("import threading\nBY = threading.get_ident()\n")
    monkeypatch.syspath_prepend(tmp_path)
    for _ in range(2):
        asyncio.run(late_imports.read("upsim_late"))
    assert import_module("upsim_late").BY != threading.get_ident()


@pytest.mark.parametrize(
    ("count", "refused_by"), [(1_000_000, "unknown_model"), (1_000_001, "not_json")]
)
def test_a_document_of_escapes_is_bounded(admin: Admin, count: int, refused_by: str) -> None:
    """A body with a million backslashes is read; one with more is refused."""
    body = b'{"model":"%b"}' % (b"\\/" * count)
    with admin.caller("venice", "any") as http:
        http.post("/api/v1/video/queue", content=body, headers={"content-type": "application/json"})
    exchange = admin.get("sandboxes/default/journal?limit=1")["exchanges"][0]
    assert refused_by == exchange["refused_by"]
