"""The OpenAPI documents: one for each provider and host, with a patch for each other dialect.

A contract folder holds these hand-written files:

- `openapi.yaml`, and `openapi.<part>.yaml` for each further host
- `openapi.<dialect>.yaml` or `openapi.<part>.<dialect>.yaml` for a dialect that differs. These
  are JSON merge patches without an `openapi` key.

`x-default-dialect` in `openapi.yaml` is the dialect of requests that name no dialect; the
default is `guide`. The folders are those in this package, and those that other packages name
in the entry-point group `upsim.contract_folders`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from upsim_contracts.exceptions import NoContractError
from upsim_contracts.yaml12 import read_exact

ENTRY_POINT_GROUP = "upsim.contract_folders"
GUIDE = "guide"
Document = dict[str, Any]


@cache
def folders() -> Mapping[str, Path]:
    """Return the contract folder of each provider: first this package's, then other packages'."""
    own = {file.parent.name: file.parent for file in _here().glob("*/openapi.yaml")}
    return dict(sorted(own.items())) | dict(_brought())


def providers() -> tuple[str, ...]:
    """The providers that have a contract."""
    return tuple(folders())


@cache
def parts(provider: str) -> tuple[str, ...]:
    """Return the documents of a provider.

    The empty name is the document of its API; other names are documents of further hosts.
    """
    files = _files(provider, "openapi")
    names = sorted(file.name.removeprefix("openapi").removesuffix(".yaml") for file in files)
    return tuple(name.removeprefix(".") for name in names if "openapi" in _read(provider, name))


def dialects(provider: str, part: str = "") -> tuple[str, ...]:
    """Return `guide` and all dialects that have a patch for this document."""
    start = f"openapi.{part}." if part else "openapi."
    names = [f.name.removeprefix(start).removesuffix(".yaml") for f in _files(provider, start)]
    known = parts(provider)
    patches = [name for name in sorted(names) if "." not in name and name not in known]
    return GUIDE, *(name for name in patches if name and name != "yaml")


def default_dialect(provider: str) -> str:
    """Return the dialect in which a simulator responds to a request that names no dialect."""
    return str(document(provider).get("x-default-dialect", GUIDE))


def document(provider: str, dialect: str = GUIDE, part: str = "") -> Document:
    """Return the document for a dialect; references inside it are not resolved.

    Numbers with a point are decimals. The caller must not change it. Raises NoContractError.
    """
    if provider not in folders():
        raise NoContractError("provider", provider, providers())
    if part not in parts(provider):
        raise NoContractError(f"document of {provider}", part, parts(provider))
    return _resolved(provider, dialect, part)


def document_of_host(provider: str, host: str) -> str:
    """Return the document whose `servers` name this host; the API's document if there is none."""
    for part in parts(provider):
        servers = document(provider, part=part).get("servers", ())
        if any(urlsplit(server["url"]).hostname == host for server in servers):
            return part
    return ""


def further_hosts(provider: str) -> dict[str, str]:
    """Return the paths that a provider serves on a host other than its API's, with that server."""
    found: dict[str, str] = {}
    for part in filter(None, parts(provider)):
        told = document(provider, part=part)
        found |= dict.fromkeys(told["paths"], str(told["servers"][0]["url"]))
    return found


def served(provider: str, dialect: str, part: str | None, host: str) -> Document | None:
    """Return the document of `/openapi.json` (by its host) or `/openapi.<part>.json`.

    Returns None if there is no such document. This is the entry point `upsim.documents`.
    """
    if provider not in folders():
        return None
    wanted = document_of_host(provider, host) if part is None else part
    return (
        without_retired(document(provider, dialect, wanted)) if wanted in parts(provider) else None
    )


def without_retired(found: Document) -> Document:
    """Return the document without the operations marked `x-retired`, which no request can use."""
    paths = {
        path: {name: part for name, part in item.items() if not _is_retired(part)}
        for path, item in found["paths"].items()
    }
    return {**found, "paths": {path: item for path, item in paths.items() if item}}


def merged(base: Any, patch: Any) -> Any:  # noqa: ANN401 - JSON
    """Apply a JSON merge patch (RFC 7396): null removes, objects merge, other values replace."""
    if not isinstance(patch, dict):
        return patch
    found = dict(base) if isinstance(base, dict) else {}
    for name, value in patch.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = merged(found.get(name), value)
    return found


@cache
def _resolved(provider: str, dialect: str, part: str) -> Document:
    dotted = f".{part}" if part else ""
    base = _read(provider, dotted)
    patch = f"{dotted}.{dialect}"
    found: Document = base
    if (folders()[provider] / f"openapi{patch}.yaml").exists():
        found = merged(base, _read(provider, patch))
    return found


@cache
def _read(provider: str, name: str) -> Document:
    found: Document = read_exact(folders()[provider] / f"openapi{name}.yaml")
    return found


def _files(provider: str, start: str) -> Iterator[Path]:
    return folders()[provider].glob(f"{start}*yaml")


def _is_retired(part: Any) -> bool:  # noqa: ANN401 - JSON
    return isinstance(part, dict) and part.get("x-retired") is True


def _brought() -> Iterator[tuple[str, Path]]:
    for point in entry_points(group=ENTRY_POINT_GROUP):
        spec = find_spec(point.value)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            yield point.name, Path(place)


def _here() -> Path:
    return Path(__file__).parents[1]
