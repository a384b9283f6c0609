"""The admin calls on scenarios and their schema."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.http.conftest import Admin


def test_every_scenario_is_listed(admin: Admin) -> None:
    """Every scenario is listed with its provider and summary."""
    found = admin.get("scenarios")["scenarios"]

    assert list(admin.sim.registry.library.names()) == [item["name"] for item in found]
    assert {"name", "provider", "summary", "template"} == set(found[0])


def test_one_scenario_is_shown(admin: Admin) -> None:
    """A scenario is shown resolved, each value with file, line and evidence."""
    found = admin.get("scenarios/vicsee/insufficient-funds")
    (opening,) = (v for v in found["values"] if v["path"] == "account.opening")

    assert ("vicsee", "100000000") == (found["provider"], opening["value"])
    assert "vicsee/baseline.yaml" == opening["from"].partition(":")[0]
    assert "assumed" == opening["evidence"]["grade"]


@pytest.mark.parametrize(
    "name", ["vicsee/out-of-credit", "x", "../pyproject.toml", "/etc/passwd", "vicsee/", "%00"]
)
def test_an_unknown_scenario_is_a_404(admin: Admin, name: str) -> None:
    """An unknown name, even if it is a path, gets a 404 with the nearest names."""
    status, code, message = admin.refusal("GET", f"scenarios/{name}")

    assert (404, True) == (status, code in ("unknown_scenario", "not_found"))
    assert message


def test_a_misspelt_scenario_gets_the_nearest_name(admin: Admin) -> None:
    """The error for a misspelt scenario offers the nearest name."""
    message = admin.refusal("GET", "scenarios/vicsee/out-of-credit")[2]

    assert message.endswith("did you mean vicsee/insufficient-funds?")
    for short in ("insufficient-funds", "insuficient-funds"):  # all providers have one
        _, _, message = admin.refusal("POST", "sandboxes", {"scenario": short})
        assert set(re.findall(r"([a-z]+)/insufficient-funds", message)) == set(
            admin.sim.registry.providers
        )
    found = admin.get("scenarios/vicsee/out-of-credits")
    assert "15" in [v["value"] for v in found["values"] if v["path"] == "accounts.vicsee.balance"]


def test_the_schema_has_the_names_of_this_server(admin: Admin) -> None:
    """The server returns the schema for editors with the names that exist in it."""
    found = admin.get("schema")

    assert "names-vicsee" in found["$defs"]
