"""Reading YAML as 1.2 means it: `no` is a text, `1.10` a Decimal, and a key stands once."""

from __future__ import annotations

import re
from collections.abc import Hashable
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml


class ContractFileError(Exception):
    """A file of the contracts that cannot be read; the message says where and why."""


class _Loader(yaml.CSafeLoader):
    """Knows true, false, null, whole numbers and numbers with a point; all else is text."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as PyYAML declares it

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[str] = set()
        for key, _value in node.value:
            if key.value in seen:
                place = f"line {key.start_mark.line + 1}"
                raise ContractFileError(f"{place}: {key.value!r} stands twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _decimal(loader: _Loader, node: yaml.ScalarNode) -> Decimal:
    return Decimal(str(loader.construct_scalar(node)))


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", "n~"),
    ("int", r"-?(0|[1-9][0-9]*)", "-0123456789"),
    ("float", r"-?(0|[1-9][0-9]*)\.[0-9]+", "-0123456789"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"({_pattern})$"), [*_first]
    )
_Loader.add_constructor("tag:yaml.org,2002:float", _decimal)


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - any document
    """The document in a file. Raises ContractFileError."""
    try:
        with path.open("rb") as file:
            return yaml.load(file, _Loader)  # noqa: S506 - a safe loader of our own
    except (OSError, yaml.YAMLError, ContractFileError) as error:
        raise ContractFileError(f"{path}: {error}") from error
