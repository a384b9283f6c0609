"""Findings are weighed by what a team relies on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.drifts.stand_in import stand_in
from tests.drifts.test_accepting import RENAMED, verified
from tests.drifts.test_causes import DEAR, RATES, header, of_status, unaltered
from tests.drifts.verify_and_record import drifted
from upsim.cli.verify import LOCAL
from upsim_contracts.cassettes.cassette import read_cassette
from upsim_contracts.drift.command import run as run_drift
from upsim_contracts.exceptions import UsageError
from upsim_contracts.used_fields import read_uses, uses_in, write_uses

if TYPE_CHECKING:
    from tests.drifts.test_accepting import Run
    from tests.drifts.test_causes import Alter

__all__ = ["verified"]  # a fixture
SUBMIT = "POST /api/v1/tools/upscale-video"
BREAKS, ASIDE = "breaks you", "does not touch you"
READS_PRICE = f"vicsee: {{{SUBMIT}: [data.id, data.creditsUsed]}}"
READS_ID = f"vicsee: {{{SUBMIT}: [data.id, error.code]}}"
READS_ALL = f"vicsee: {{{SUBMIT}: all}}"
OTHER = "vicsee: {GET /api/v1/credits: all}"
VENICE = "venice: {POST /api/v1/video/queue: all}"
WEIGHTS = [
    (RENAMED, READS_PRICE, BREAKS),
    (RENAMED, READS_ALL, BREAKS),
    (RENAMED, READS_ID, ASIDE),
    (RENAMED, VENICE, ASIDE),
    (header("x-new", "1"), READS_ALL, ASIDE),
    (of_status(422, 200), READS_ID, BREAKS),
    (of_status(422, 200), OTHER, ASIDE),
]


@pytest.mark.parametrize(("alter", "uses", "weight"), WEIGHTS)
def test_change_of_an_unused_field_fails_nothing(
    verified: Run, tmp_path: Path, alter: Alter, uses: str, weight: str
) -> None:
    """A change that touches no used field is reported, but does not fail the run."""
    file, junit = tmp_path / "uses.yaml", tmp_path / "junit.xml"
    file.write_text(uses, "utf-8")
    some = "[cr]*-*[1m]*"  # a few prices and refusals are enough, and take a tenth of the time
    code, lines = verified(alter, uses=file, json=tmp_path / "run", junit=junit, pattern=some)
    (report,) = json.loads((tmp_path / "run").read_text("utf-8"))["reports"]
    (suite,) = ET.parse(junit).getroot()  # noqa: S314 - our own text

    assert lines[0].startswith(f"CHANGED, {weight}: ")
    assert [weight] == [one["weight"] for one in report["causes"]]
    assert (weight == BREAKS) == bool(code) == (suite.get("failures") == "1")


def test_price_change_concerns_every_submit(verified: Run, tmp_path: Path) -> None:
    """A changed price concerns every team that submits jobs, whichever fields it reads."""
    (tmp_path / "uses.yaml").write_text(READS_ID, "utf-8")
    scenario = tmp_path / "dear.yaml"
    scenario.write_text(DEAR + RATES.format("17", "17", "30"), "utf-8")
    code, lines = verified(unaltered, uses=tmp_path / "uses.yaml", scenario=str(scenario))

    assert 1 == code
    assert lines[0].startswith("CHANGED, breaks you: VicSee charges ")


def test_uses_are_read_from_a_recording(tmp_path: Path) -> None:
    """The uses of a recording are its operations and the documented response fields.

    The uses of a second recording are added.
    """
    file = tmp_path / "uses.yaml"
    alter = [{"on": "submit", "status": 200, "rename": {"data.creditsUsed": "credits_used"}}]
    with stand_in("vicsee", alter) as made:
        drifted(made, tmp_path, uses=file)
    used = read_uses(file).fields["vicsee"]
    said: list[str] = []
    order = {"cassettes": [tmp_path / "cassette.jsonl"], "uses": file}
    aside = run_drift({**order, "json": tmp_path / "d.json"}, LOCAL["sim"], said.append)
    (report,) = json.loads((tmp_path / "d.json").read_text("utf-8"))

    assert {"data.id", "success"} <= (used[SUBMIT] or set())
    assert "data.creditsUsed" not in (used[SUBMIT] or set())
    assert {ASIDE} == {one["weight"] for one in report["findings"]}
    assert 0 == aside
    assert said[0].startswith(f"{ASIDE}: vicsee: {SUBMIT}")

    file.write_text(READS_PRICE, "utf-8")
    assert 1 == run_drift(order, LOCAL["sim"], said.append)
    write_uses(file, uses_in(read_cassette(tmp_path / "cassette.jsonl")))
    both = read_uses(file).fields["vicsee"]
    assert (used[SUBMIT] or frozenset()) | {"data.creditsUsed"} == both[SUBMIT]


BAD = {
    "": "expected providers, each with its operations",
    "- a": "expected providers, each with its operations",
    "vicse: {}": "no provider 'vicse'; did you mean vicsee?",
    "vicsee: []": "vicsee: expected operations, each with its fields",
    "vicsee: {POST /api/v1/tool/upscale-video: all}": f"did you mean {SUBMIT}?",
    f"vicsee: {{{SUBMIT}: [data.credits]}}": "no field 'data.credits'; did you mean data.c",
    f"vicsee: {{{SUBMIT}: some}}": "expected a list of fields, or all; found 'some'",
    "vicsee: {": ":2:1: not YAML: did not find",
}


@pytest.mark.parametrize("text", BAD)
def test_invalid_file_of_uses_is_reported(tmp_path: Path, text: str) -> None:
    """An error in a file of uses is reported with its place and the nearest valid name."""
    (tmp_path / "uses.yaml").write_text(text, "utf-8")
    with pytest.raises(UsageError) as caught:
        read_uses(tmp_path / "uses.yaml")
    assert str(caught.value).startswith(f"--uses: {tmp_path}")
    assert BAD[text] in str(caught.value)
