"""upsim: a simulator of video-upscaling APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upsim.app import Simulator
    from upsim.testing.standalone_interception import intercept

__all__ = ["Simulator", "intercept"]

_MODULES = {"Simulator": "upsim.app", "intercept": "upsim.testing.standalone_interception"}


def __getattr__(name: str) -> object:
    """Load a public name on first use, so that importing the package is cheap."""
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(_MODULES[name]), name)
    msg = f"module 'upsim' has no attribute {name!r}"
    raise AttributeError(msg)
