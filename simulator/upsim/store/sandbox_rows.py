"""The rows of a store that are no events: how sandboxes were made, and scenarios in full."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from upsim.engine.sandbox_request import SandboxRequest
from upsim.engine.store import SandboxRecord
from upsim.scenario.loader import built
from upsim.scenario.model import Scenario
from upsim.scenario.yaml_tree import Tree, mapping
from upsim.store.event_encoding import json_out, number_in

MAX_SCENARIO_BYTES = 64 * 2**20
"""Bytes of a scenario that are read: more than all scenarios of a server may have."""
SENT = "sent"
"""Written instead of the scenario of a request that came as a document."""
_HINTS = get_type_hints(SandboxRequest)
_SCENARIO = msgspec.msgpack.Decoder(tuple[str, Any], ext_hook=number_in)
_DECODER = msgspec.msgpack.Decoder(dict[str, Any])


def scenario_bytes(scenario: Scenario | None) -> bytes:
    """Return the name and the resolved values of a scenario."""
    if scenario is None:
        return b""
    return zlib.compress(msgspec.msgpack.encode((scenario.name, json_out(scenario.values))))


def scenario_of(data: bytes) -> Scenario | None:
    """Return a scenario from its bytes. Raises ValueError."""
    if not data:
        return None
    name, values = _SCENARIO.decode(_decompressed(data))
    return built(name, Tree(mapping(values), {}), Path())


def _decompressed(data: bytes) -> bytes:
    """Return decompressed bytes. Raises ValueError for damaged data, or if it is too long."""
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(data, MAX_SCENARIO_BYTES)
    except zlib.error as error:
        raise ValueError(f"a scenario is damaged: {error}") from error
    if not unpacker.eof:
        raise ValueError(f"a scenario is cut, or has more than {MAX_SCENARIO_BYTES} bytes")
    return found


def record_bytes(record: SandboxRecord) -> bytes:
    """Return how a sandbox was made, without its scenario."""
    asked = {
        name: getattr(record.request, name)
        for name in SandboxRequest.__struct_fields__
        if name not in ("keys", "scenario")
    }
    chosen = record.request.scenario
    return msgspec.msgpack.encode(
        {
            "request": asked,
            "chosen": {SENT: True} if isinstance(chosen, Scenario) else chosen,
            "seed": record.seed,
            "began": record.began,
        },
        enc_hook=_bare,
    )


def record_of(name: str, data: bytes, scenario: Scenario | None) -> SandboxRecord:
    """Return the record of a sandbox. Raises ValueError or LookupError for other bytes."""
    kept = _DECODER.decode(data)
    asked = {
        key: msgspec.convert(value, _HINTS[key], strict=False)
        for key, value in kept["request"].items()
    }
    chosen = scenario if isinstance(kept["chosen"], dict) else kept["chosen"]
    return SandboxRecord(
        name=name,
        request=SandboxRequest(**asked, scenario=chosen),
        seed=kept["seed"],
        began=kept["began"],
        scenario=scenario,
    )


def _bare(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a store cannot hold a {type(value).__name__}")
