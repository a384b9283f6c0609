"""The build hook that writes the JSON Schemas of the scenarios before the wheel is built.

It also runs for an editable installation, so that editors find the schemas in a clone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SchemaHook(BuildHookInterface):  # type: ignore[type-arg]  # any configuration
    """Writes `schema.json` beside the scenarios, for all providers of this checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - the hook's form
        """Write the files with the code of this checkout."""
        root = Path(self.root)
        sys.path.insert(0, str(root / "simulator"))
        try:
            from upsim.scenario.loader import Library
            from upsim.scenario.schema_files import schema_files
        finally:
            sys.path.pop(0)
        library = Library(root / "scenarios")
        for name, text in schema_files(library, library.providers()).items():
            (root / "scenarios" / name).write_text(text, "utf-8")
