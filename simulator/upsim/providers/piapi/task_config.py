"""The `config` of a create request: service mode and webhook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from upsim.core import causes
from upsim.core.call import Call
from upsim.core.checks import Violation
from upsim.core.events import WebhookTarget


@dataclass(frozen=True, slots=True)
class Config:
    """The webhook settings and the mode of a task; an empty string is the default."""

    service_mode: str
    endpoint: str
    secret: str

    @property
    def webhook(self) -> WebhookTarget | None:
        """The webhook of the task; a secret without an endpoint is kept, as responses show it."""
        if not self.endpoint and not self.secret:
            return None
        return WebhookTarget(self.endpoint, self.secret)


_TEXTS = (
    (False, "config.service_mode"),
    (True, "config.webhook_config.endpoint"),
    (True, "config.webhook_config.secret"),
)
"""The texts of a config, and whether each is below `webhook_config`."""
_DEFAULT = Config("", "", "")


def read_config(inputs: Mapping[str, object]) -> Config | Violation:
    """The config of a request; its webhook is read inside `config` and ignored anywhere else."""
    if inputs.get("config") is None:
        return _DEFAULT
    config = _mapping(inputs, "config", "config")
    if isinstance(config, Violation):
        return config
    webhook = _mapping(config, "webhook_config", "config.webhook_config")
    if isinstance(webhook, Violation):
        return webhook
    texts = []
    for in_webhook, place in _TEXTS:
        name = place.rpartition(".")[2]
        text = (webhook if in_webhook else config).get(name)
        if text is not None and not isinstance(text, str):
            cause = causes.wrong(place, text, "a text")
            return Violation("wrong_type", {"field": name, "expected": "string"}, cause=cause)
        texts.append(text or "")
    return Config(*texts)


def config_of(call: Call) -> Config:
    """The config of a request that passed the check `valid_config`."""
    return read_config(call.inputs)  # type: ignore[return-value]  # the check saw that it is one


def _mapping(
    inputs: Mapping[str, object], name: str, field: str
) -> Mapping[str, object] | Violation:
    found = inputs.get(name)
    if found is None:
        return {}
    if isinstance(found, dict):
        return found
    cause = causes.wrong(field, found, "an object")
    return Violation("wrong_type", {"field": field, "expected": "object"}, cause=cause)
