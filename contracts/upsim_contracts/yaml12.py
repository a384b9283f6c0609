"""Reads YAML as version 1.2 means it: `on`, `no` and dates are texts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

_SCALARS = {
    "tag:yaml.org,2002:null": (r"~|null|Null|NULL|", "~nN\0"),
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "tag:yaml.org,2002:int": (r"[-+]?[0-9]+", "-+0123456789"),
    "tag:yaml.org,2002:float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
        "-+.0123456789",
    ),
}


class _Loader(yaml.CSafeLoader):
    """PyYAML's own rules are those of YAML 1.1; these replace them."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _tag, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(
        _tag, re.compile(f"^(?:{_pattern})$"), [c.replace("\0", "") for c in _first]
    )
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("^<<$"), ["<"])


def read(file: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return what a YAML file holds."""
    return yaml.load(file.read_text("utf-8"), Loader=_Loader)  # noqa: S506 - a safe loader
