"""Absolute URLs keep the form of the request."""

import pytest

from upsim.core.url_builder import UrlBuilder

BASE = "http://127.0.0.1:4747"


@pytest.mark.parametrize(
    ("origin", "url"),
    [
        (UrlBuilder(BASE), f"{BASE}/api/v1/x"),
        (UrlBuilder(BASE, prefix="/vicsee/live"), f"{BASE}/vicsee/live/api/v1/x"),
        (UrlBuilder(BASE, "/sandbox/a", "/vicsee"), f"{BASE}/sandbox/a/vicsee/api/v1/x"),
    ],
)
def test_a_path_of_the_provider(origin: UrlBuilder, url: str) -> None:
    """A provider URL has sandbox, prefix and dialect before the provider's own path."""
    assert url == origin.api("/api/v1/x")


@pytest.mark.parametrize(
    ("origin", "url"),
    [
        (UrlBuilder(BASE, prefix="/vicsee"), f"{BASE}/media/outputs/x.mp4"),
        (UrlBuilder(BASE, media_sandbox="/sandbox/a"), f"{BASE}/sandbox/a/media/outputs/x.mp4"),
    ],
)
def test_a_file(origin: UrlBuilder, url: str) -> None:
    """The URL of a file is below the sandbox, not below the provider."""
    assert url == origin.media("outputs/x.mp4")
