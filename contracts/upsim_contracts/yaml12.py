"""Read YAML 1.2: `on`, `no` and dates are texts, and a repeated key is an error."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from upsim_contracts.exceptions import ContractFileError

MAX_BYTES = 1 << 20
MAX_DEPTH = 20
"""Maximum nesting of a file from outside the package."""
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
    """A YAML loader with the rules of YAML 1.2 instead of PyYAML's rules of YAML 1.1."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[str] = set()
        for key, _value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise ContractFileError(f"line {key.start_mark.line + 1}: a key is a text")
            if key.value in seen and key.value != "<<":
                raise ContractFileError(f"line {key.start_mark.line + 1}: {key.value!r} twice")
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


class _ExactLoader(_Loader):
    """Reads numbers with a point as Decimals."""


for _tag, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(
        _tag, re.compile(f"^(?:{_pattern})$"), [c.replace("\0", "") for c in _first]
    )
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("^<<$"), ["<"])


def _decimal(loader: _ExactLoader, node: yaml.ScalarNode) -> Decimal:
    return Decimal(str(loader.construct_scalar(node)))


_ExactLoader.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers
_ExactLoader.add_constructor("tag:yaml.org,2002:float", _decimal)


def read(file: Path) -> Any:  # noqa: ANN401 - any value of the file
    """Return the content of a YAML file. Raises ContractFileError."""
    return _read(file, _Loader)


def read_exact(file: Path) -> Any:  # noqa: ANN401 - any value of the file
    """Read a file like `read`, with decimal numbers as Decimal. Raises ContractFileError."""
    return _read(file, _ExactLoader)


def read_given(file: Path) -> Any:  # noqa: ANN401 - any value of the file
    """Read a user's file like `read`, with limits on its size, and with plain values only.

    Raises ContractFileError.
    """
    with _placed(file):
        text = _bounded(file).decode("utf-8")
        _check_events(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader


@contextmanager
def _placed(file: Path) -> Iterator[None]:
    """Raise every error about a file as ContractFileError, with the file name and the position."""
    try:
        yield
    except OSError as error:
        raise ContractFileError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ContractFileError(f"{file}: byte {error.start + 1} is no UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ContractFileError(f"{file}{place}: not YAML: {error.problem or error}") from error
    except ReaderError as error:
        told = f"character {error.position + 1}: {error.reason}"
        raise ContractFileError(f"{file}: not YAML: {told}") from error
    except (ContractFileError, ValueError) as error:
        raise ContractFileError(f"{file}: {error}") from error


def _bounded(file: Path) -> bytes:
    """Return the bytes of a file.

    Raises ContractFileError for a file that is too long, OSError.
    """
    with file.open("rb") as opened:
        content = opened.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ContractFileError(f"it has more than {MAX_BYTES} bytes")
    return content


def _check_events(text: str) -> None:
    """Reject references, tags and deep nesting. Raises ContractFileError, YAMLError."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):  # nothing is made of it yet
        mark = event.start_mark
        place = f"line {mark.line + 1}" if mark else "somewhere"
        if isinstance(event, yaml.AliasEvent):
            raise ContractFileError(f"{place}: references (*{event.anchor:.80}) are not taken here")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise ContractFileError(f"{place}: tags ({tag:.80}) are not taken here")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ContractFileError(f"{place}: nested more than {MAX_DEPTH} deep")


def _read(file: Path, loader: type[_Loader]) -> Any:  # noqa: ANN401 - any value of the file
    with _placed(file):
        return yaml.load(file.read_text("utf-8"), Loader=loader)  # noqa: S506 - a safe loader
