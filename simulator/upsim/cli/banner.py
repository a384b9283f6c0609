"""The lines that a server prints once it is ready."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from upsim.app import App
from upsim.cli.request_log import say
from upsim.core.numbers import counted
from upsim.engine.settings import ServerSettings
from upsim.web.landing_page import example


class Banner(msgspec.Struct, frozen=True):
    """The start-up text: `base` is the server's URL on this machine, `far` its URL elsewhere.

    `given` are the options of a clock and a seed that the user chose.
    """

    app: App
    base: str
    far: str
    given: Mapping[str, object] = msgspec.field(default_factory=dict)

    def print_line(self) -> None:
        """Print the line that is printed even with `--quiet`."""
        say(f"{self._first_line()}\n")

    def print_all(self) -> None:
        """Print the URL, the admin token, and an example request for each provider."""
        settings, registry = self.app.registry.settings, self.app.registry
        any_key = "Only issued keys work, such as these" if settings.strict_keys else ""
        keys = any_key or "Any key works"
        lines = [
            self._first_line(),
            f"admin API {self.base}/__sim  (token {settings.admin_token})",
            *self._notes(),
            f"{registry.store.survives} {keys}; an example for each provider:",
        ]
        for provider in registry.providers:
            key = None
            if settings.strict_keys:
                key = registry.issue_key(registry.default, provider, owner="main")
            call = example(registry, provider, self.base, key=key)
            lines += ["", f"  # {provider}: {self.base}/{provider}"]
            lines += [f"  {line}" for line in call.splitlines()]
        say("\n".join(lines) + "\n\n")

    def _first_line(self) -> str:
        settings, clock = self.app.registry.settings, self.app.registry.default.clock
        parts = [f"clock {clock.label}"]
        parts[0] += f", jobs {clock.pace} times faster" if clock.mode == "real" else ""
        parts += [f"scenario {settings.scenario}"] if settings.scenario else []
        parts += [f"dialect {settings.dialect}"] if settings.dialect else []
        parts += [f"seed {settings.seed}"]
        return f"upsim listens at {self.base}  ({'; '.join(parts)})"

    def _notes(self) -> list[str]:
        notes = [*self._continued(), *self._pace_notes()]
        if self.app.registry.settings.loopback:
            return notes
        where = "" if self.far == self.base else f" Other machines use {self.far}."
        need = "Not bound to loopback only: the admin API and the page at / need the token."
        return [need + where, *notes]

    def _continued(self) -> Iterator[str]:
        """Yield what continues in a store, and which of the given options do not apply to it."""
        registry, before = self.app.registry, self.app.registry.continued
        if not before:
            return
        jobs = sum(len(registry.sandboxes[name].state.jobs) for name in before)
        verb = "continues" if len(before) == 1 else "continue"
        yield f"{_many(len(before), 'sandbox')} {verb}, {_many(jobs, 'job')}."
        default = registry.default
        kept = {
            "seed": registry.settings.seed,
            "clock": default.clock.label,
            "pace": default.clock.pace,
        }
        for name, value in kept.items():
            given = self.given.get(name, value)
            if given != value:
                yield f"--{name} {given} has no effect: the store continues with {name} {value}."
        if default.scenario != before.get(default.id, default.scenario):
            had = before[default.id]
            yield (
                f"The scenario of {default.id} is now {default.scenario}, it was {had}: new jobs "
                f"follow {default.scenario}, accepted jobs keep their rules."
            )

    def _pace_notes(self) -> list[str]:
        """Return a note if the chosen pace has no effect, because the clock is not `real`."""
        clock = self.app.registry.default.clock
        if clock.mode == "real" or clock.pace == ServerSettings().pace:
            return []
        does = "--pace speeds up jobs on a real clock alone"
        return [f"--pace {clock.pace} has no effect on the clock {clock.label}: {does}."]


def _many(number: int, noun: str) -> str:
    """Return a number with its noun and with commas, as in `1,204 jobs`."""
    return counted(f"{number:,}", noun)
