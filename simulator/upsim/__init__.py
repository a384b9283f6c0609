"""upsim: a simulator of video-upscaling APIs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upsim.app import Simulator

__all__ = ["Simulator"]


def __getattr__(name: str) -> object:
    """Load a public name when it is first used: importing the package costs nothing."""
    if name in __all__:
        from upsim import app

        return getattr(app, name)
    msg = f"module 'upsim' has no attribute {name!r}"
    raise AttributeError(msg)
