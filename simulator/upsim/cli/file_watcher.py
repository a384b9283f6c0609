"""`upsim serve --watch`: reload scenario files that change.

Files are checked several times per second. That works on every file system. It also works with
editors that write in place, rename a new file over the old one, or briefly remove the file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import click

from upsim.cli.request_log import say
from upsim.cli.watch_output import reload_lines
from upsim.core.baseline import BaselineError
from upsim.engine.registry import Registry
from upsim.engine.reload import reload_beside
from upsim.scenario.loader import ScenarioError, Stamp, UnknownScenarioError, stamp_of

LOOK_SECONDS = 0.2
PATIENCE = 15
"""Checks for which a file may be missing before that is reported: editors replace files."""
KEPT = "the previous rules stay in effect"
Stamps = Mapping[Path, Stamp | None]


class Watch:
    """Watches the scenario files of a registry while the event loop runs."""

    def __init__(self, registry: Registry, *, quiet: bool = False) -> None:
        """Start from the files that the library has already read."""
        self._registry = registry
        self._quiet = quiet
        self._judged: Stamps = dict(registry.library.stamps)
        self._seen: Stamps = self._judged
        self._missing = 0
        self._turn: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Start to check the files repeatedly; the version read last is used."""
        self._turn = asyncio.get_running_loop().create_task(self._look_again())

    async def _look_again(self) -> None:
        try:
            await self.look()
        finally:
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self.begin)

    async def look(self) -> None:
        """Reload files that have changed, once they are unchanged between two checks."""
        known = {**self._judged, **self._registry.library.stamps}
        now = {path: stamp_of(path) for path in known}
        still, self._seen = now == self._seen, now
        if now == {path: self._judged.get(path, stamp) for path, stamp in known.items()}:
            self._missing = 0
            return
        self._missing = self._missing + 1 if None in now.values() else 0
        if still and (not self._missing or self._missing >= PATIENCE):
            self._judged = now
            await self._reload()

    async def _reload(self) -> None:
        fresh = self._registry.library.renewed()
        try:
            edits = await reload_beside(self._registry, fresh)
        except ScenarioError as error:
            self._tell(str(error))
        except (UnknownScenarioError, BaselineError, OSError) as error:
            self._tell(f"upsim: {error}")
        else:
            if not self._quiet:
                say(reload_lines(edits))
        self._judged = {**self._judged, **fresh.stamps}

    def _tell(self, mistakes: str) -> None:
        click.echo(f"{mistakes}\nupsim: {KEPT}", err=True)
