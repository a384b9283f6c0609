"""Find a model by name, with its provider's facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from upsim.client.adapter import Adapter
from upsim.client.adapter_discovery import adapter, library, providers
from upsim.client.argument_checks import check_text
from upsim.client.exceptions import UnknownModelError
from upsim.core.baseline import Baseline, Model
from upsim.core.media import Media
from upsim.core.nearest_names import closest


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model with its provider's facts and adapter."""

    adapter: Adapter
    baseline: Baseline
    model: Model

    @property
    def name(self) -> str:
        """The full name, `<provider>/<model>`."""
        return f"{self.adapter.provider}/{self.model.id}"

    @property
    def host(self) -> str:
        """The host of the provider's own API."""
        return next(name for name, fact in self.baseline.hosts.items() if fact.value == "api")

    def is_named(self, name: object) -> bool:
        """Return whether a name refers to this model."""
        return isinstance(name, str) and _is_named(self.name, name)

    def whole(self, limit: str) -> int | None:
        """Return a numeric limit of the provider; None if it has no limit of that name."""
        fact = self.baseline.limits.get(limit)
        value = None if fact is None else fact.value
        return int(Decimal(value)) if isinstance(value, str | int | Decimal) else None


def model_names() -> tuple[str, ...]:
    """Return every model that has an adapter, as `<provider>/<model>`."""
    return tuple(f"{p}/{m}" for p in providers() for m in _models(p))


def find_model(name: str) -> ModelInfo:
    """Return the model with this full name, this id, or an id that ends with this name.

    Raises UnknownModelError, which lists the nearest models, or all models that match.
    """
    names = model_names()
    check_text("model", name, repr(names[0]))
    found = [full for full in names if _is_named(full, name)]
    if len(found) == 1:
        provider, _, model = found[0].partition("/")
        baseline = library().baseline(provider).baseline
        return ModelInfo(adapter(provider), baseline, baseline.models[model])
    if found:
        raise UnknownModelError(f"{name!r} is ambiguous: use {' or '.join(found)}")
    short = {part: full for full in names for part in (*full.split("/"), full)}
    near = short.get(closest(name, short))
    hint = f"did you mean {near}?" if near else f"available: {', '.join(names)}"
    raise UnknownModelError(f"there is no model {name!r}; {hint}")


def public_hosts() -> frozenset[str]:
    """Return the API hosts of all providers."""
    return frozenset(host for p in providers() for host in library().baseline(p).baseline.hosts)


def _models(provider: str) -> Mapping[str, Model]:
    return library().baseline(provider).baseline.models


def _is_named(full: str, name: str) -> bool:
    """Return whether a name is the model's id or its last parts, with or without the provider."""
    provider, _, model = full.partition("/")
    wanted, first = name.lower(), name.lower().partition("/")
    if wanted in (full.lower(), model.lower(), provider):
        return True
    ends = f"/{model.lower()}"
    return ends.endswith(f"/{wanted}") or (first[0] == provider and ends.endswith(f"/{first[2]}"))


def height_of(media: Media) -> int:
    """Return the shorter side of a video in pixels, as in 720p or 1080p."""
    return min(media.width, media.height)
