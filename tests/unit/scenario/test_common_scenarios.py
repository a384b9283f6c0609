"""Templates in `_common`: one scenario file for every provider, with the provider's own words."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from upsim.cli import main
from upsim.providers import discover
from upsim.scenario.common_scenarios import COMMON
from upsim.scenario.explain import explain, short
from upsim.scenario.inline import load_inline
from upsim.scenario.listing import listing
from upsim.scenario.loader import Library, ScenarioError, UnknownScenarioError, shipped_root

SHIPPED = Library()
TEMPLATE = """\
# yaml-language-server: $schema=../schema.json
extends: $provider/baseline
summary: Files are gone ($file_gone).
retention: {outputs: {value: "0"}}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder of scenarios with two providers and one template, `gone`."""
    for provider in ("vicsee", "venice"):
        (tmp_path / provider).mkdir()
        shutil.copy(shipped_root() / provider / "baseline.yaml", tmp_path / provider)
    (tmp_path / COMMON).mkdir()
    (tmp_path / COMMON / "gone.yaml").write_text(TEMPLATE, "utf-8")
    return tmp_path


def mistakes(library: Library, name: str) -> list[str]:
    """Return the mistakes of a scenario, each with the name of its file."""
    with pytest.raises(ScenarioError) as caught:
        library.load(name)
    return [
        f"{short(one.mark.file)}:{one.mark.line}: {one.message}" for one in caught.value.mistakes
    ]


def test_every_provider_has_the_scenario_of_a_template(root: Path) -> None:
    """Each provider has the scenario of each template, with its own name and error statuses."""
    library = Library(root)

    assert ["venice/baseline", "venice/gone", "vicsee/baseline", "vicsee/gone"] == [
        *library.names()
    ]
    assert ["410", "404"] == [
        library.load(f"{p}/gone").summary[-5:-2] for p in ("venice", "vicsee")
    ]
    assert library.load("vicsee/gone").baseline.retention["outputs"].value == "0"
    assert explain(library, "venice/gone").files[0] == str(root / COMMON / "gone.yaml")


def test_own_file_of_a_provider_replaces_the_template(root: Path) -> None:
    """A provider's own file with the name of a template replaces the template."""
    (root / "venice" / "gone.yaml").write_text("extends: venice/baseline\nsummary: own\n", "utf-8")
    library = Library(root)
    listed = {item.name: item for item in listing(library)}

    assert ("own", None) == (listed["venice/gone"].summary, listed["venice/gone"].template)
    assert "Files are gone (404)." == listed["vicsee/gone"].summary
    assert str(root / COMMON / "gone.yaml") == listed["vicsee/gone"].template


def test_templates_apply_to_providers_of_other_packages(root: Path) -> None:
    """A provider from another package also has the scenarios of all templates."""
    library = Library(root, folders=lambda: {"elsewhere": root / "vicsee"})

    assert "elsewhere/gone" in library.names()
    assert library.load("elsewhere/gone").summary == "Files are gone (404)."


def test_other_scenarios_extend_the_scenario_of_a_template(root: Path) -> None:
    """Files, templates and inline scenarios can extend a template's scenario by its name."""
    (root / COMMON / "later.yaml").write_text(
        "extends: $provider/gone\nsummary: later\nrefund: {after: 1h}\n", "utf-8"
    )
    mine = root / "mine.yaml"
    mine.write_text("extends: vicsee/later\nseed: 3\n", "utf-8")
    library = Library(root)
    found = library.load(str(mine)), load_inline(library, {"extends": "venice/gone"}, discover())

    assert ["0", "0"] == [one.baseline.retention["outputs"].value for one in found]
    assert ("vicsee", 3) == (found[0].baseline.provider, found[0].seed)


def test_mistakes_name_the_line_of_the_template(root: Path) -> None:
    """A missing word of a baseline or a wrong value is reported at the template's line."""
    (root / COMMON / "odd.yaml").write_text("# $any\nextends: $provider/baseline\nseed: $nothing\n")
    (root / COMMON / "bad.yaml").write_text("extends: $provider/baseline\n\nsede: 1\n", "utf-8")
    library = Library(root)
    (wrong,) = library.mistakes_in(library.resolve_name("vicsee/bad"))

    assert mistakes(library, "venice/odd") == [
        f"{root}/_common/odd.yaml:3: venice/baseline has no fact and no error nothing"
    ]
    assert (f"{root}/_common/bad.yaml", 3) == (wrong.mark.file, wrong.mark.line)


def test_template_itself_is_no_scenario(root: Path) -> None:
    """A template loaded by its path is refused with the scenario names to use instead."""
    path = root / COMMON / "gone.yaml"
    library = Library(root)
    said = "this is a template of every provider; use venice/gone or vicsee/gone"

    assert mistakes(library, str(path)) == [f"{path}:2: {said}"]
    (root / "mine.yaml").write_text("extends: _common/gone.yaml\n", "utf-8")
    assert mistakes(library, str(root / "mine.yaml")) == [f"{path}:2: {said}"]
    with pytest.raises(UnknownScenarioError, match="there is no scenario 'nobody/gone'"):
        library.load("nobody/gone")


def test_reload_sees_changes_of_template_and_of_overrides(root: Path) -> None:
    """A reload notices a changed template and a new file that replaces it."""
    path, old = root / COMMON / "gone.yaml", Library(root)
    old.load("venice/gone"), old.load("vicsee/gone")
    assert old.renewed().is_as_in(old, "venice/gone")

    (root / "venice" / "gone.yaml").write_text("extends: venice/baseline\nsummary: own\n", "utf-8")
    fresh = old.renewed()
    assert [False, True] == [fresh.is_as_in(old, f"{p}/gone") for p in ("venice", "vicsee")]
    path.write_text(TEMPLATE.replace('"0"', '"9"'), "utf-8")
    fresh = old.renewed()
    assert not fresh.is_as_in(old, "vicsee/gone")
    assert fresh.load("vicsee/gone").baseline.retention["outputs"].value == "9"


def test_commands_name_the_template() -> None:
    """`show` fills in the provider's words; `explain` and `list` name the template."""
    name, file = "venice/unknown-status-word", "_common/unknown-status-word.yaml"
    run = CliRunner().invoke
    shown = run(main, ["scenarios", "show", name]).stdout
    explained = run(main, ["scenarios", "explain", name]).stdout
    listed = run(main, ["scenarios", "list", "unknown-status-word"]).stdout
    checked = run(main, ["validate", name, str(shipped_root() / file)])

    assert shown.startswith(f"# From the template {file}, which every provider shares.\n")
    assert "\nextends: venice/baseline\n" in shown
    assert "{patch: {status: reviewing}}" in shown
    assert explained.startswith(f"# {name}: {file} <- venice/baseline.yaml\n")
    assert "\n* unknown-status-word  Two polls" in listed
    assert (0, "2 files, no mistakes\n") == (checked.exit_code, checked.stderr)
    assert {file} == {item.template for item in listing(SHIPPED) if item.name == name}


def test_no_shipped_file_repeats_its_template() -> None:
    """Each provider file that replaces a template differs from it."""
    common = {path.stem for path in (shipped_root() / COMMON).glob("*.yaml")}
    own = [name for name in SHIPPED.names() if not SHIPPED.template_of(name)]
    repeated = []
    for name in own:
        provider, _, stem = name.partition("/")
        if stem in common:
            trees = SHIPPED.resolve_all(shipped_root() / COMMON / f"{stem}.yaml")
            here = next(t for t in trees if t.value["provider"] == provider)  # type: ignore[index, call-overload]
            repeated += [name] if here.value == SHIPPED.resolve_name(name).value else []

    assert [] == repeated
