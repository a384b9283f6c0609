"""Split a provider's base URL into the provider and the dialect, and list the dialects.

A misspelt dialect is rejected before a run; otherwise every fact would fail with a 404.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from upsim_contracts.documents.openapi import default_dialect, dialects
from upsim_contracts.exceptions import UsageError
from upsim_contracts.suggestions import hint, near
from upsim_contracts.verify.run import book_of


@dataclass(frozen=True, slots=True)
class ProviderUrl:
    """The root URL of a simulator, and the provider and the dialect in its URL, if any."""

    root: str
    provider: str = ""
    dialect: str = ""


def dialects_of(provider: str) -> tuple[str, ...]:
    """Return every dialect in the documents or the facts of a provider."""
    known = (default_dialect(provider), *dialects(provider), *book_of(provider).dialects)
    return tuple(dict.fromkeys(known))


def check_dialect(provider: str, dialect: str, named_by: str) -> None:
    """Check that a provider has this dialect; `named_by` is the option or the URL for the message.

    Raises UsageError for an unknown dialect.
    """
    known = dialects_of(provider)
    if dialect and dialect not in known:
        meant = hint(dialect, known)
        more = "" if meant.startswith("there are") else f" (it has {', '.join(known)})"
        raise UsageError(f"{named_by}: {provider} has no dialect {dialect!r}; {meant}{more}")


def dialect_in(url: str, provider: str) -> str:
    """Return the dialect in the path of a URL; an empty text if there is none."""
    known = dialects_of(provider)
    return next((step for step in reversed(urlsplit(url).path.split("/")) if step in known), "")


def provider_in(url: str, providers: Iterable[str]) -> str:
    """Return the provider at the start of a URL's path; an empty text if there is none."""
    first = urlsplit(url).path.strip("/").partition("/")[0] if "://" in url else ""
    return first if first in providers else ""


def provider_url(url: str, providers: Iterable[str]) -> ProviderUrl:
    """Return the parts of a simulator's URL. Raises UsageError for any other path."""
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
