"""What `serve --watch` prints of an edit."""

from __future__ import annotations

from upsim.cli.watch_output import reload_lines
from upsim.engine.reload_diff import ScenarioDiff


def test_reload_lists_the_changes() -> None:
    """A reload prints each provider's rules hash and changed keys, then the keys that wait."""
    places = ("faults", "clock", "seed", "accounts.vicsee.plan")
    edit = ScenarioDiff(
        "mine.yaml", {"vicsee": places, "venice": ("refund",)}, {"vicsee": "1", "venice": "2"}
    )

    assert (
        "scenario mine.yaml reloaded\n"
        "  vicsee has new rules (1): faults, clock, seed, accounts.vicsee.plan\n"
        "  venice has new rules (2): refund\n"
        "  clock and seed wait for a reset of the sandbox, or a restart\n"
        "  accounts waits for accounts opened from now on\n"
    ) == reload_lines([edit])


def test_many_changed_keys() -> None:
    """A reload line lists eight changed keys and then the number of further keys."""
    edit = ScenarioDiff("mine.yaml", {"vicsee": tuple("abcdefghij")}, {"vicsee": "1"})

    assert reload_lines([edit]).endswith(": a, b, c, d, e, f, g, h and 2 more\n")


def test_nothing_changed() -> None:
    """If a scenario edit changes no value, the reload message says so."""
    assert (
        "scenario mine.yaml reloaded: nothing in it has changed\n",
        "scenario files reloaded: nothing in use has changed\n",
    ) == (reload_lines([ScenarioDiff("mine.yaml")]), reload_lines([]))
