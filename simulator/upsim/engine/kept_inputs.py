"""The stored inputs of a job: long texts are cut, and the total size is limited."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeGuard

from upsim.core.bounded_cache import BoundedCache
from upsim.core.events import WebhookTarget
from upsim.core.hosts import MAX_URL_LENGTH

MAX_TEXT_KEPT = 4096
"""Characters of a text of a job's inputs that are kept; of a body up to this size everything is."""
MAX_INPUTS_KEPT = 65_536
"""Characters of a job's inputs that are kept, with 8 for each value."""

MAX_SHARED = 64
"""Number of different bodies whose inputs equal submits share."""


Kept = tuple[Mapping[str, object], str]
"""The inputs of a job, and the source of its video."""


class SharedInputs:
    """Inputs and sources of recent submits by body, so that equal submits keep one copy."""

    __slots__ = ("_of",)

    def __init__(self) -> None:
        """Start without inputs."""
        self._of: BoundedCache[bytes, Kept] = BoundedCache(MAX_SHARED)

    def share(self, body: bytes, inputs: Mapping[str, object], source: str) -> Kept:
        """Return the inputs and source that an earlier submit got from this body, if equal."""
        kept = (inputs, source)
        known = self._of.get(body)
        if known == kept and known is not None:
            return known
        self._of[body] = kept
        return kept


def without_bulk(inputs: Mapping[str, object], known: Collection[str]) -> Mapping[str, object]:
    """Return the inputs of a long body with cut texts and a limited total size.

    `known` fields come first; fields that do not fit are left out.
    """
    left = [MAX_INPUTS_KEPT]
    first = {name: inputs[name] for name in known if name in inputs}
    kept = _kept_names({**first, **inputs}, left)
    return {name: kept[name] for name in inputs if name in kept}


def _kept_names(inputs: Mapping[str, object], left: list[int]) -> dict[str, object]:
    kept: dict[str, object] = {}
    for name, value in inputs.items():
        left[0] -= len(name) + 8
        if left[0] < 0:
            break
        kept[name] = _cut(value, left)
    return kept


def _cut(value: object, left: list[int]) -> object:
    """Return a value with its texts cut, and with as many parts as the remaining size allows."""
    if isinstance(value, dict):
        return _kept_names(value, left)
    if isinstance(value, list):
        numbered = _kept_names({str(i): item for i, item in enumerate(value)}, left)
        return [*numbered.values()]
    text = f"{value[:64]}… ({len(value)} characters)" if _is_long(value) else value
    left[0] -= len(text) if isinstance(text, str) else 0
    return text


def _is_long(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) > MAX_TEXT_KEPT


def bounded_webhook(webhook: WebhookTarget) -> WebhookTarget:
    """Return a webhook with its texts cut; a URL that was too long is still too long."""
    return WebhookTarget(webhook.url[: MAX_URL_LENGTH + 1], webhook.secret[:MAX_URL_LENGTH])
