"""The commands that reproduce a failed test: pytest with its seed, and a replay of its export."""

from __future__ import annotations

import re
from pathlib import Path
from shlex import quote

import pytest

from upsim.atomic_files import write_whole
from upsim.testing.admin_responses import AdminCallError
from upsim.testing.sandboxes import SandboxHandle


def commands_to_reproduce(item: pytest.Item, sandbox: SandboxHandle, *, seed: int) -> str:
    """Return the commands, one per line; the export of the sandbox is saved if possible."""
    lines = [f"pytest {quote(item.nodeid)} --upsim-seed={seed}"]
    cache = getattr(item.config, "cache", None)
    if cache is not None:
        slug = re.sub(r"[^\w.-]+", "-", item.nodeid).strip("-")[-100:]
        file = Path(cache.mkdir("upsim")) / f"{slug}.{sandbox.id}.json"
        try:
            if _save_export(sandbox, file):
                lines.append(f"upsim replay {quote(str(file))}")
        except OSError as error:
            lines.append(f"upsim replay is not possible: cannot write {file}: {error.strerror}")
    return "\n".join(lines)


def _save_export(sandbox: SandboxHandle, file: Path) -> bool:
    """Write the file that reproduces a sandbox; return False if its server cannot export it.

    Raises OSError.
    """
    try:
        content = sandbox.export()
    except AdminCallError:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, content)
    return True
