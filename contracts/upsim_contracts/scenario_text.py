"""Writes scenario files: a mapping as YAML that names, texts and amounts survive."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from upsim_contracts.clips import Clip
from upsim_contracts.prices import plain

REPLAYED = "https://recorded.example"
"""Where videos are said to be whose own address a simulator would look up, or that have none."""
_MICRO = 6


def address(url: str) -> str:
    """The address that stands for a recorded video in a replay."""
    if url.startswith("data:"):
        return f"{REPLAYED}/{url.rpartition('sha256-')[2]}.mp4"
    if "/media/uploads/" in url or "/media/outputs/" in url:
        return f"{REPLAYED}/{url.partition('/media/')[2]}"
    return url


def media_rules(clips: Mapping[str, Clip]) -> list[dict[str, Any]]:
    """What is found at the addresses of a recording; a synthetic clip is the same anywhere."""
    return [
        {"url": _glob(address(url)), **properties(one)}
        for url, one in clips.items()
        if "/media/synthetic/" not in url
    ]


def properties(one: Clip) -> dict[str, Any]:
    """A video in the words of a scenario."""
    return {
        "duration": plain(round(one.seconds, _MICRO)),
        "size": f"{one.width}x{one.height}",
        "fps": f"{one.fps}",
        "frames": one.frames,
        "container": one.container,
        "audio": one.audio,
    }


def scenario_text(parts: Mapping[str, Any], heading: str = "") -> str:
    """A scenario file. JSON is YAML, so every text keeps its meaning; an entry has its line."""
    lines = [f"# {line}" for line in heading.splitlines()]
    for name, value in parts.items():
        if isinstance(value, list):
            lines += [f"{name}:", *(f"  - {_flow(entry)}" for entry in value)]
        else:
            lines.append(f"{name}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: object) -> str:
    # ${ would be read as a variable of the environment
    return json.dumps(value, ensure_ascii=False, default=str).replace("${", "$${")


def _glob(url: str) -> str:
    """A glob that means this address, whatever its query."""
    quoted = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in url)
    return f"{quoted}*"
