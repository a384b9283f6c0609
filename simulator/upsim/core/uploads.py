"""The headers that a signed upload link expects of the PUT with the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from upsim.core.events import UploadIssued
from upsim.core.knobs import Rules


def upload_headers(rules: Rules, ticket: UploadIssued) -> dict[str, str]:
    """The headers that a ticket names; the link is signed for them."""
    named = cast("Mapping[str, str]", rules.fact("upload_headers"))  # as its schema says
    values = {"content_type": ticket.content_type}
    return {name: value.format_map(values) for name, value in named.items()}
