"""Arguments that `quote` and `upscale` share: URLs, and parameters of a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import click

from upsim.client.models import find_model
from upsim.client.video_input import source_flaw
from upsim.core.hosts import is_loopback
from upsim.core.suggestions import unknown


def is_address(source: str) -> bool:
    """Whether a source is a URL; otherwise it is a path."""
    return source[:8].lower().startswith(("http://", "https://"))


def is_elsewhere(source: str) -> bool:
    """Whether a source is a URL on another machine."""
    try:
        return is_address(source) and not is_loopback(urlsplit(source).hostname or "")
    except ValueError:
        return True


def settings_of(given: Iterable[tuple[str, str]], models: Sequence[str]) -> dict[str, str]:
    """Return the parameters, each of which at least one model has. Raises UsageError."""
    known = {name: None for model in models for name in find_model(model).model.options}
    chosen: dict[str, str] = {}
    for name, value in given:
        if name not in known:
            raise click.UsageError(f"--option: {unknown('parameter', name, known)}")
        if name in chosen:
            raise click.UsageError(f"--option {name} is given twice")
        chosen[name] = value
    return chosen


def check_source(source: str) -> Path | None:
    """Return the path of a source; None for a URL. Raises UsageError for anything else."""
    flaw = source_flaw(source)
    if flaw:
        raise click.UsageError(f"{source[:200]!r} {flaw}")
    return None if is_address(source) else _check_file(source)


def _check_file(source: str) -> Path:
    """Return the path of a file. Raises UsageError if the file does not exist."""
    path = Path(source)
    try:
        there, is_folder = path.is_file(), path.is_dir()
    except (OSError, ValueError):  # a name that no file can have
        there = is_folder = False
    if is_folder:
        raise click.UsageError(f"{source[:200]!r} is a folder: name a video file or a URL")
    if not there:
        raise click.UsageError(f"the file {source[:200]!r} does not exist")
    return path
