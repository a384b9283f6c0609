"""The headers that the PUT to a signed upload link must have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from upsim.core.events import UploadIssued
from upsim.core.knobs_and_dialects import Rules


def upload_headers(rules: Rules, ticket: UploadIssued) -> dict[str, str]:
    """Return the headers of a ticket; the signature of the link covers them."""
    named = cast("Mapping[str, str]", rules.fact("upload_headers"))  # as its schema says
    values = {"content_type": ticket.content_type}
    return {name: value.format_map(values) for name, value in named.items()}
