"""Reading files again: what is judged, what follows, and what stays when something is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from upsim.core.baseline import BaselineError
from upsim.engine.registry import Registry, SandboxRequest
from upsim.engine.reload import reload
from upsim.engine.reload_diff import RESET, ScenarioDiff
from upsim.engine.settings import ServerSettings
from upsim.providers import discover
from upsim.scenario.loader import Library, ScenarioError, shipped_root

Start = Callable[..., Registry]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder with copies of the shipped baselines and of one scenario."""
    for name in discover():
        (tmp_path / name).mkdir()
        shutil.copy(shipped_root() / name / "baseline.yaml", tmp_path / name)
    shutil.copy(shipped_root() / "vicsee/plan-pro.yaml", tmp_path / "vicsee")
    return tmp_path


@pytest.fixture
def start(root: Path) -> Iterator[Start]:
    """Return a function that makes a registry which reads the copies."""
    with ExitStack() as stack:

        def make(scenario: str | None = None) -> Registry:
            library = Library(root)
            settings = ServerSettings(scenario=scenario, clock="manual")
            registry = Registry(settings, library=library, providers=discover())
            stack.callback(registry.close)
            return registry

        yield make


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text in a file."""
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_a_baseline_that_is_edited(start: Start, root: Path) -> None:
    """Sandboxes without a scenario follow the baseline, and those of other providers do not."""
    registry = start()
    for provider in ("vicsee", "venice"):
        registry.default.bound(provider)
    edit(root / "vicsee/baseline.yaml", 'opening: "100000000"', 'opening: "500"')
    edits = reload(registry, registry.library.renewed())

    assert [{"vicsee": ("account.opening",)}] == [edit.changed for edit in edits]
    assert 500 == registry.default.scenario_for("vicsee").baseline.opening


def test_a_provider_that_no_request_has_used(start: Start, root: Path) -> None:
    """An edit is told of the same before the first request, with the rules that it gives."""
    registry = start("vicsee/plan-pro")
    edit(root / "vicsee/plan-pro.yaml", "plan: pro", "plan: free")
    edits = reload(registry, registry.library.renewed())
    rules = registry.default.scenario_for("vicsee").baseline.digest

    assert [
        ScenarioDiff("vicsee/plan-pro", {"vicsee": ("accounts.vicsee.plan",)}, {"vicsee": rules})
    ] == (edits)


def test_a_scenario_of_another_provider(start: Start, tmp_path: Path) -> None:
    """One provider goes back to its baseline, and the other has what the file says."""
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: vicsee/baseline\naccount: {opening: '7'}\n", "utf-8")
    registry = start(str(mine))
    mine.write_text("extends: wavespeed/baseline\naccount: {opening: '9'}\n", "utf-8")
    edits = reload(registry, registry.library.renewed())
    opening = ("account.opening",)

    assert [{"vicsee": opening, "wavespeed": opening}] == [edit.changed for edit in edits]
    assert ["100000000", "9"] == [
        str(registry.default.scenario_for(name).baseline.opening)
        for name in ("vicsee", "wavespeed")
    ]


def test_a_provider_that_had_nothing_of_its_own(start: Start, tmp_path: Path) -> None:
    """A provider that is left to its baseline, and was as in it before, is not told of."""
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: vicsee/baseline\n", "utf-8")
    registry = start(str(mine))
    mine.write_text("extends: wavespeed/baseline\nrefund: {states: []}\n", "utf-8")
    edits = reload(registry, registry.library.renewed())

    assert [["wavespeed"]] == [list(edit.changed) for edit in edits]


def test_an_edit_that_changes_nothing(start: Start, root: Path) -> None:
    """A comment is an edit too: it is told of, with nothing changed."""
    registry = start("vicsee/plan-pro")
    edit(root / "vicsee/plan-pro.yaml", "extends:", "# A comment.\nextends:")

    assert [ScenarioDiff("vicsee/plan-pro")] == reload(registry, registry.library.renewed())


def test_all_sandboxes_follow(start: Start, root: Path) -> None:
    """Each by its own scenario, whether it was named by the server or by the order."""
    registry = start("vicsee/plan-pro")
    other, _ = registry.create(SandboxRequest(id="other", scenario="vicsee/baseline"))
    for sandbox in (registry.default, other):
        sandbox.bound("vicsee")
    edit(root / "vicsee/plan-pro.yaml", "plan: pro", "plan: free")
    reload(registry, registry.library.renewed())
    plans = [box.scenario_for("vicsee").accounts for box in (registry.default, other)]

    assert ["free", []] == [plans[0]["vicsee"].plan, list(plans[1])]


def test_a_scenario_that_was_sent_stays(start: Start, root: Path) -> None:
    """What it extends is edited: it stays as it was sent, also when it is reset."""
    registry = start("vicsee/plan-pro")
    order = SandboxRequest(id="sent", scenario=registry.load_inline({"extends": "vicsee/plan-pro"}))
    box, _ = registry.create(order)
    edit(root / "vicsee/plan-pro.yaml", "plan: pro", "plan: free")
    edits = reload(registry, registry.library.renewed())
    plans = [
        found.scenario_for("vicsee").accounts["vicsee"].plan
        for found in (box, registry.reset("sent"), registry.default)
    ]

    assert (["vicsee/plan-pro"], ["pro", "pro", "free"]) == ([e.name for e in edits], plans)


def test_what_waits_for_a_reset(start: Start, tmp_path: Path) -> None:
    """A clock and a seed that were edited hold once the sandbox is reset, and not before."""
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: vicsee/baseline\nclock: manual\nseed: 1\n", "utf-8")
    registry = start(str(mine))
    mine.write_text("extends: vicsee/baseline\nclock: auto\nseed: 2\n", "utf-8")
    (found,) = reload(registry, registry.library.renewed())
    boxes = (registry.default, registry.reset("default"))

    assert ("clock", "seed") == found.waiting(RESET)
    assert [("manual", 1), ("auto", 2)] == [(box.clock.mode, box.seeds.seed) for box in boxes]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("plan: pro", "plan: por", r"plan-pro.yaml:4:21: accounts.vicsee.plan: .* mean pro\?"),
        ("plan: pro}}", "plan: pro}", "plan-pro.yaml:.* not YAML"),
    ],
)
def test_a_broken_scenario_changes_nothing(
    start: Start, root: Path, old: str, new: str, message: str
) -> None:
    """Its mistakes are told at their places, and the library stays the one that it was."""
    registry = start("vicsee/plan-pro")
    before = (registry.library, registry.default.bound("vicsee"))
    edit(root / "vicsee/plan-pro.yaml", old, new)

    with pytest.raises(ScenarioError, match=message):
        reload(registry, registry.library.renewed())
    assert before == (registry.library, registry.default.bound("vicsee"))


def test_what_a_sandbox_chose_and_is_gone(start: Start, root: Path) -> None:
    """Rules without the knob value that a sandbox was made with cannot take their place."""
    registry = start()
    knobs = {"vicsee": {"initial_status": "processing"}}
    registry.create(SandboxRequest(id="chosen", knobs=knobs))
    baseline = root / "vicsee/baseline.yaml"
    edit(baseline, "values: [pending, processing]", "values: [pending]")
    edit(baseline, "live: processing", "live: pending")

    with pytest.raises(BaselineError, match="initial_status"):
        reload(registry, registry.library.renewed())
    assert (
        "processing" == registry.sandboxes["chosen"].bound("vicsee").rules.knobs["initial_status"]
    )
