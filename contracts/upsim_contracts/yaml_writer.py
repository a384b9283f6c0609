"""Write scenario files: a mapping as YAML that keeps names, texts and amounts unchanged."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from upsim.client.request_guard import is_loopback
from upsim_contracts.charge_check import plain
from upsim_contracts.clip_properties import ClipProperties

REPLAYED = "https://recorded.example"
"""Where videos are said to be whose own address a simulator would look up, or that have none."""
_MICRO = 6
_MAX_KEY_LENGTH = 1000
_ESCAPED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def address(url: str) -> str:
    """Return the URL that replaces the URL of a recorded video in a replay."""
    if url.startswith("data:"):
        return f"{REPLAYED}/{url.rpartition('sha256-')[2]}.mp4"
    if "/media/uploads/" in url or "/media/outputs/" in url:
        return f"{REPLAYED}/{url.partition('/media/')[2]}"
    return url


def media_rules(clips: Mapping[str, ClipProperties]) -> list[dict[str, Any]]:
    """Return the `media` rules for the URLs of a recording.

    A synthetic clip is the same on any host, so it needs no rule. A loopback URL always gets a
    rule, because its file may no longer exist.
    """
    return [
        {"url": _glob(address(url)), **properties(one)}
        for url, one in clips.items()
        if "/media/synthetic/" not in url or _is_loopback(url)
    ]


def _is_loopback(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:  # it is no URL
        return False


def properties(one: ClipProperties) -> dict[str, Any]:
    """Return a video in the form of a scenario."""
    return {
        "duration": plain(round(one.seconds, _MICRO)),
        "size": f"{one.width}x{one.height}",
        "fps": f"{one.fps}",
        "frames": one.frames,
        "container": one.container,
        "audio": one.audio,
    }


def scenario_text(parts: Mapping[str, Any], heading: str = "") -> str:
    """Return a scenario file in flow style, which keeps every text; each entry has its own line."""
    lines = [f"# {_printable(line)}" for line in heading.split("\n") if line]
    for name, value in parts.items():
        if isinstance(value, list) and value:
            lines += [f"{name}:", *(f"  - {_flow(entry)}" for entry in value)]
        else:
            lines.append(f"{name}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: object) -> str:
    """Return a value as JSON that is valid YAML too."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(k))}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, Decimal):
        return f"{value:f}"
    # ${ would be read as a variable of the environment, but for keys
    return quoted(value).replace("${", "$${")


def _key(name: str) -> str:
    """Return a mapping key; a long key needs the `?` indicator of YAML."""
    text = quoted(name)
    return text if len(text) <= _MAX_KEY_LENGTH else f"? {text} "


def quoted(value: object) -> str:
    """Return a text or another plain value as JSON that is valid YAML too."""
    return _printable(json.dumps(value, ensure_ascii=False))


def _printable(text: str) -> str:
    """Return a text in which YAML's non-printable characters and line ends are escaped."""
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _glob(url: str) -> str:
    """Return a glob that matches this URL with any query."""
    quoted = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in url)
    return f"{quoted}*"
