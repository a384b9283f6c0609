"""Split a provider's base URL into the provider and the dialect, and list the dialects.

A misspelt dialect is rejected beforehand, since it would make every fact of a run fail on a 404.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from upsim_contracts.documents.openapi import default_dialect, dialects
from upsim_contracts.exceptions import UsageError
from upsim_contracts.nearest import hint, near
from upsim_contracts.verify.run import book_of


@dataclass(frozen=True, slots=True)
class ProviderUrl:
    """The root of a simulator, with the provider and the dialect that its URL names, or none."""

    root: str
    provider: str = ""
    dialect: str = ""


def dialects_of(provider: str) -> tuple[str, ...]:
    """Return every dialect that the documents or the facts of a provider know."""
    known = (default_dialect(provider), *dialects(provider), *book_of(provider).dialects)
    return tuple(dict.fromkeys(known))


def check_dialect(provider: str, dialect: str, named_by: str) -> None:
    """Raise UsageError where a provider does not have the dialect that `named_by` names."""
    known = dialects_of(provider)
    if dialect and dialect not in known:
        meant = hint(dialect, known)
        more = "" if meant.startswith("there are") else f" (it has {', '.join(known)})"
        raise UsageError(f"{named_by}: {provider} has no dialect {dialect!r}; {meant}{more}")


def dialect_in(url: str, provider: str) -> str:
    """Return the dialect that the path of any URL names, or nothing."""
    known = dialects_of(provider)
    return next((step for step in reversed(urlsplit(url).path.split("/")) if step in known), "")


def provider_in(url: str, providers: Iterable[str]) -> str:
    """Return the provider with which the path of a URL begins, or nothing."""
    first = urlsplit(url).path.strip("/").partition("/")[0] if "://" in url else ""
    return first if first in providers else ""


def provider_url(url: str, providers: Iterable[str]) -> ProviderUrl:
    """Return what the URL of a simulator names. Raises UsageError for any other path."""
    parts = urlsplit(url)
    root = f"{parts.scheme}://{parts.netloc}"
    steps: Sequence[str] = [step for step in parts.path.split("/") if step]
    if not steps:
        return ProviderUrl(root)
    provider, *rest = steps
    if provider not in providers or len(rest) > 1:
        meant = near(provider, providers)
        name = f"{root}/{meant}" if meant else f"{root}/vicsee or {root}/vicsee/live"
        told = (
            f"did you mean {name}?"
            if meant not in ("", provider)
            else (
                "facts make their own sandboxes; "
                f"give {root}, or the URL of a provider such as {name}"
            )
        )
        raise UsageError(f"--target {url}: {told}")
    dialect = rest[0] if rest else ""
    check_dialect(provider, dialect, f"--target {url}")
    return ProviderUrl(root, provider, dialect)
