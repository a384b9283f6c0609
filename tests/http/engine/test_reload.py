"""Reading files again: what is judged, what follows, and what stays when something is wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from upsim.core.baseline import BaselineError
from upsim.engine.registry import Registry
from upsim.engine.reload import reload
from upsim.engine.reload_diff import RESET, ScenarioDiff
from upsim.engine.sandbox_request import SandboxRequest
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


def test_an_edited_baseline_applies_to_sandboxes_without_a_scenario(
    start: Start, root: Path
) -> None:
    """After an edit of VicSee's baseline, a sandbox without a scenario has the new values.

    The reload reports no change of other providers.
    """
    registry = start()
    for provider in ("vicsee", "venice"):
        registry.default.bound(provider)
    edit(root / "vicsee/baseline.yaml", 'opening: "100000000"', 'opening: "500"')
    edits = reload(registry, registry.library.renewed())

    assert [{"vicsee": ("account.opening",)}] == [edit.changed for edit in edits]
    assert 500 == registry.default.scenario_for("vicsee").baseline.opening


def test_a_reload_reports_a_provider_without_requests(start: Start, root: Path) -> None:
    """The reload reports changed keys and new rules before the provider's first request."""
    registry = start("vicsee/plan-pro")
    edit(root / "vicsee/plan-pro.yaml", "plan: pro", "plan: free")
    edits = reload(registry, registry.library.renewed())
    rules = registry.default.scenario_for("vicsee").baseline.digest

    assert [
        ScenarioDiff("vicsee/plan-pro", {"vicsee": ("accounts.vicsee.plan",)}, {"vicsee": rules})
    ] == (edits)


def test_a_reload_of_a_scenario_that_changes_its_provider(start: Start, tmp_path: Path) -> None:
    """If a scenario now extends another provider, its values apply to this provider.

    The first provider gets its baseline again.
    """
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


def test_a_reload_omits_a_provider_whose_rules_stay_the_same(start: Start, tmp_path: Path) -> None:
    """If a provider has its plain baseline before and after, the reload does not report it."""
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: vicsee/baseline\n", "utf-8")
    registry = start(str(mine))
    mine.write_text("extends: wavespeed/baseline\nrefund: {states: []}\n", "utf-8")
    edits = reload(registry, registry.library.renewed())

    assert [["wavespeed"]] == [list(edit.changed) for edit in edits]


def test_a_reload_reports_an_edit_without_changes(start: Start, root: Path) -> None:
    """If only a comment is added to a scenario, the reload reports no changed keys."""
    registry = start("vicsee/plan-pro")
    edit(root / "vicsee/plan-pro.yaml", "extends:", "# A comment.\nextends:")

    assert [ScenarioDiff("vicsee/plan-pro")] == reload(registry, registry.library.renewed())


def test_a_reload_applies_to_each_sandbox_by_its_own_scenario(start: Start, root: Path) -> None:
    """An edit changes only the sandboxes that use the edited scenario."""
    registry = start("vicsee/plan-pro")
    other, _ = registry.create(SandboxRequest(id="other", scenario="vicsee/baseline"))
    for sandbox in (registry.default, other):
        sandbox.bound("vicsee")
    edit(root / "vicsee/plan-pro.yaml", "plan: pro", "plan: free")
    reload(registry, registry.library.renewed())
    plans = [box.scenario_for("vicsee").accounts for box in (registry.default, other)]

    assert ["free", []] == [plans[0]["vicsee"].plan, list(plans[1])]


def test_an_inline_scenario_ignores_edits_of_its_base(start: Start, root: Path) -> None:
    """A scenario that was sent in a request keeps its values when the file it extends is edited.

    It keeps them after a reset too.
    """
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


def test_an_edited_clock_and_seed_wait_for_a_reset(start: Start, tmp_path: Path) -> None:
    """An edited `clock` or `seed` applies only after the sandbox is reset."""
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
    """A reload of a broken file raises an error with the place, and all rules stay the same."""
    registry = start("vicsee/plan-pro")
    before = (registry.library, registry.default.bound("vicsee"))
    edit(root / "vicsee/plan-pro.yaml", old, new)

    with pytest.raises(ScenarioError, match=message):
        reload(registry, registry.library.renewed())
    assert before == (registry.library, registry.default.bound("vicsee"))


def test_a_reload_fails_if_a_knob_value_of_a_sandbox_is_removed(start: Start, root: Path) -> None:
    """If an edit removes a knob value that a sandbox uses, the reload fails and the rules stay."""
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
