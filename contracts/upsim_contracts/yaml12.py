"""Reads YAML as version 1.2 means it: `on`, `no` and dates are texts, and a key stands once."""

from __future__ import annotations

import re
from collections.abc import Hashable
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from upsim_contracts.exceptions import ContractFileError

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

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[str] = set()
        for key, _value in node.value:
            if key.value in seen and key.value != "<<":
                raise ContractFileError(f"line {key.start_mark.line + 1}: {key.value!r} twice")
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


class _ExactLoader(_Loader):
    """Numbers with a point are Decimals."""


for _tag, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(
        _tag, re.compile(f"^(?:{_pattern})$"), [c.replace("\0", "") for c in _first]
    )
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("^<<$"), ["<"])


def _decimal(loader: _ExactLoader, node: yaml.ScalarNode) -> Decimal:
    return Decimal(str(loader.construct_scalar(node)))


_ExactLoader.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers
_ExactLoader.add_constructor("tag:yaml.org,2002:float", _decimal)


def read(file: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return what a YAML file holds. Raises ContractFileError."""
    return _read(file, _Loader)


def read_exact(file: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """As `read`, but a number with a point is a Decimal. Raises ContractFileError."""
    return _read(file, _ExactLoader)


def _read(file: Path, loader: type[_Loader]) -> Any:  # noqa: ANN401 - whatever the file holds
    try:
        return yaml.load(file.read_text("utf-8"), Loader=loader)  # noqa: S506 - a safe loader
    except (OSError, yaml.YAMLError, ContractFileError) as error:
        raise ContractFileError(f"{file}: {error}") from error
