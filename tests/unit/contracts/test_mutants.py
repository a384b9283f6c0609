"""The catalogue of wrong simulators, and how they are made wrong."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from upsim_contracts.exceptions import ContractFileError, StaleMutantError
from upsim_contracts.mutants.catalogue import Mutant, SourcePatch, mutants
from upsim_contracts.mutants.mutant_planter import Planter, patched, plant, scenario_file
from upsim_contracts.yaml12 import read_exact

GOOD = """\
mutants:
  - id: vicsee-rounds-down
    wrong: Seconds are rounded down.
    overlay: {models: {topaz-video-upscale: {billing: {quantity: {round: down}}}}}
    fact: credits-at-4.5-s
"""


def test_the_catalogue() -> None:
    """The catalogue lists at least a hundred different mutants, for all providers."""
    found = list(mutants())

    assert len(found) >= 100
    assert {one.provider for one in found} >= {"piapi", "venice", "vicsee", "wavespeed"}
    assert len({one.id for one in found}) == len({one.change for one in found}) == len(found)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("fact: credits", "test: credits", "is an overlay, which only facts can notice"),
        ("    fact: credits-at-4.5-s\n", "", "names either a fact or a test as its killer"),
        ("    overlay:", "    covering:", "unexpected keyword argument 'covering'"),
        ("    overlay:", "    # overlay:", "is either an overlay or a patch"),
        ("    overlay:", "    patch: {module: a, old: b}\n    # ", "missing .*'new'"),
        ("- id:", "- name:", "one without an id"),
        (
            "mutants:\n",
            f"mutants:\n{GOOD.partition(chr(10))[2]}",
            "'vicsee-rounds-down' is defined twice",
        ),
    ],
)
def test_malformed_entries(tmp_path: Path, old: str, new: str, reason: str) -> None:
    """A malformed catalogue entry is refused with the reason."""
    (tmp_path / "vicsee.yaml").write_text(GOOD.replace(old, new), encoding="utf-8")

    with pytest.raises(ContractFileError, match=reason):
        list(mutants(tmp_path))


def test_duplicate_mutants_are_refused(tmp_path: Path) -> None:
    """A mutant with the same change as another mutant is refused."""
    twin = GOOD.partition("\n")[2].replace("vicsee-rounds-down", "vicsee-floors")
    (tmp_path / "vicsee.yaml").write_text(GOOD + twin, encoding="utf-8")

    with pytest.raises(ContractFileError, match="'vicsee-floors' is 'vicsee-rounds-down' under"):
        list(mutants(tmp_path))


def test_patched_source() -> None:
    """Patches are applied in order, each at the only place of its text."""
    patches = [SourcePatch("m", "a = 1", "a = 2"), SourcePatch("m", "b = 1", "b = a")]

    assert patched("a = 1\nb = 1\n", patches) == "a = 2\nb = a\n"


@pytest.mark.parametrize("source", ["", "a = 1\na = 1\n"])
def test_stale_patches(source: str) -> None:
    """A patch whose text is missing or occurs twice is reported as stale."""
    times = source.count("a = 1")

    with pytest.raises(StaleMutantError, match=f"m: 'a = 1' occurs {times} times"):
        patched(source, [SourcePatch("m", "a = 1", "a = 2")])


@pytest.mark.parametrize("mutant", [pytest.param(one, id=one.id) for one in mutants()])
def test_catalogue_patches_fit_the_source(mutant: Mutant) -> None:
    """The text of each catalogue patch occurs exactly once in its current module."""
    by_module = {one.module: one for one in mutant.patches}
    for module in by_module:
        found = find_spec(module)
        assert found is not None
        assert found.origin is not None
        source = Path(found.origin).read_text(encoding="utf-8")
        wrong = patched(source, [one for one in mutant.patches if one.module == module])
        assert wrong != source
        compile(wrong, module, "exec")


def test_an_imported_module_cannot_be_patched() -> None:
    """A module that is already imported cannot be patched by a mutant."""
    with pytest.raises(StaleMutantError, match="pathlib was imported before"):
        plant([SourcePatch("pathlib", "a", "b")])


def test_untouched_modules() -> None:
    """The import hook finds only patched modules, and lists those that were never imported."""
    planter = Planter([SourcePatch("no_such_module", "a", "b")])

    assert planter.find_spec("colorsys", None) is None
    assert planter.find_spec("no_such_module", None) is None
    assert planter.untouched == ["no_such_module"]


def test_a_patched_module(tmp_path: Path) -> None:
    """A module that the import hook loads runs the patched source."""
    (tmp_path / "right_module.py").write_text("ANSWER = 42\n", encoding="utf-8")
    planter = Planter([SourcePatch("right_module", "42", "41")])

    spec = planter.find_spec("right_module", [str(tmp_path)])
    assert spec is not None
    assert spec.loader is not None
    names: dict[str, object] = {}
    exec(spec.loader.get_code("right_module"), names)  # type: ignore[attr-defined]  # noqa: S102

    assert (names["ANSWER"], planter.untouched) == (41, [])


def test_scenario_of_an_overlay(tmp_path: Path) -> None:
    """An overlay becomes a scenario that extends the provider's baseline."""
    mutant = Mutant("m", "It is wrong.", "vicsee", fact="f", overlay={"refund": {"states": []}})

    assert read_exact(scenario_file(mutant, tmp_path)) == {
        "extends": "vicsee/baseline",
        "summary": "It is wrong.",
        "refund": {"states": []},
    }
