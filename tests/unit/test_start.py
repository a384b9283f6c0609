"""The work of a starting server before its first response."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from upsim.providers import Discovered, discover

MAX_DATACLASSES = 10
"""Each costs 0.6 ms of a start: see decision 55."""
NOT_NEEDED = {
    *("yaml", "jsonschema", "av", "rich", "httpx", "sqlite3", "importlib.metadata"),
    *("upsim.scenario.validation", "upsim.scenario.inline", "upsim.web.admin.app"),
}
PROGRAM = """
import dataclasses, json, sys
from unittest.mock import patch
made, process = [], dataclasses._process_class
def counted(*args):
    made.append(args[0].__name__)
    return process(*args)
with patch.object(dataclasses, "_process_class", counted):
    import upsim.cli.serve
    from upsim.engine.settings import ServerSettings
    upsim.cli.serve.App(ServerSettings(admin_token="any")).close()
print(json.dumps([made, sorted(sys.modules)]))
"""


def test_start_creates_few_dataclasses_and_imports_only_what_it_needs() -> None:
    """A start creates structs instead of dataclasses, and leaves slow modules to their users."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True)
    dataclasses, modules = json.loads(done.stdout)

    assert len(dataclasses) <= MAX_DATACLASSES, dataclasses
    assert set() == NOT_NEEDED & set(modules)


def test_a_search_without_free_files_is_repeated() -> None:
    """A search for providers that fails for want of files finds them at the next request."""
    found = Discovered(discover()._search)
    none_free = patch.object(Path, "open", side_effect=OSError(24, "Too many open files"))
    with none_free, pytest.raises(OSError, match="Too many open files"):
        len(found)

    assert len(found) == len(discover())
