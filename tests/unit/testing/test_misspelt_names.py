"""A misspelt name in a test raises an error that suggests the right name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import upsim
from upsim.pytest_plugin import Server
from upsim.testing.pytest_marker import MarkError
from upsim.testing.sandboxes import SandboxHandle


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (
            lambda box: box.report_card.named("polled-too-oftn"),
            r"unknown finding 'polled-too-oftn'; did you mean polled_too_often\?",
        ),
        (lambda box: box.base_url("venice", "liv"), r"venice: unknown dialect 'liv'; did you mean"),
        (lambda box: box.http("venice", "liv"), "dialect 'liv'; did you mean live"),
        (lambda box: box.ahttp("venice", "liv"), r"did you mean live\?"),
        (lambda box: Server("http://127.0.0.1:1", box).base_url("venice", "liv"), "mean live"),
        (lambda box: box.base_url("venize"), r"unknown provider 'venize'; did you mean venice\?"),
        (lambda box: box.key("acme"), "unknown provider 'acme'; allowed: piapi, venice"),
    ],
)
def test_a_misspelt_name_raises(ask: Callable[[SandboxHandle], object], said: str) -> None:
    """A misspelt finding or dialect name raises an error instead of a wrong result."""
    with upsim.intercept() as box, pytest.raises(LookupError, match=said):
        ask(box)


def test_correct_names_are_accepted() -> None:
    """Every dialect has a URL, and a known finding that is absent raises no error."""
    with upsim.intercept() as box:
        assert () == box.report_card.named("polled_too_often")
        assert "http://upsim.test/venice/live" == box.base_url("venice", "live")
        server = Server("http://127.0.0.1:1", box)
        assert "http://127.0.0.1:1/venice/live" == server.base_url("venice", "live")


def test_a_scenario_may_have_its_own_dialect() -> None:
    """A scenario's own dialect has a URL, and is in the suggestions for a wrong name."""
    own = {"extends": "venice/baseline", "dialects": ["guide", "auto", "live", "mine"]}
    with upsim.intercept(own) as box:
        assert "http://upsim.test/venice/mine" == box.base_url("venice", "mine")
        with pytest.raises(LookupError, match="did you mean mine"):
            box.base_url("venice", "min")
        with pytest.raises(LookupError, match="vicsee: unknown dialect 'mine'"):
            box.base_url("vicsee", "mine")
    alone = {"extends": "venice/baseline", "dialects": ["mine"]}
    told = "unknown dialect 'mine'.*your own dialect is added to auto, guide, live"
    with pytest.raises(MarkError, match=told), upsim.intercept(alone):
        pass
