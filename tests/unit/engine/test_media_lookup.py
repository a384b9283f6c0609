"""The URLs that are files of this server, and the sandbox of each."""

from __future__ import annotations

import pytest

from tests.hosts import ELSEWHERE, LOOPBACK, ODD_PORTS
from upsim.engine.media_lookup import HostedMedia, MediaLookup

CLIP = "synthetic/64x64_1fps_1s.mp4"
HOSTS = {"127.0.0.1:4747", "localhost:4747", "upsim.test"}
SOURCES = MediaLookup(HOSTS, fetch_loopback=True, fetch_public=False)
NOTHING = HostedMedia("default", "", "")


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:4747/media/{CLIP}",
        f"http://LocalHost:4747/media/{CLIP}",
        f"http://me:secret@127.0.0.1:4747/media/{CLIP}",
        f"http://upsim.test/media/{CLIP}",
        f"http://UPSIM.test:80/media/{CLIP}",
        f"https://upsim.test:443/media/{CLIP}",
        f"https://asked.example/media/{CLIP}",
        f"https://ASKED.example:443/media/{CLIP}",
        f"http://upsim.test/%6dedia/{CLIP}",
        "http://upsim.test/media%2Fsynthetic/64x64_1fps_1s%2Emp4",
        f"http://upsim.test/media/{CLIP}#part",
    ],
)
def test_a_url_of_this_server_is_known_in_any_form(url: str) -> None:
    """A URL of this server is recognised with any case, default port or escapes."""
    assert HostedMedia("default", CLIP, "") == SOURCES.own(url, "https://asked.example")


@pytest.mark.parametrize("host", LOOPBACK)
def test_a_url_of_this_server_is_known_by_every_loopback_name(host: str) -> None:
    """A URL with any name of loopback and the port of this server is a URL of this server."""
    found = SOURCES.own(f"http://{host}:4747/media/{CLIP}", "")
    assert HostedMedia("default", CLIP, "") == found


@pytest.mark.parametrize("port", ["", ":9", ":65535"])
@pytest.mark.parametrize("host", LOOPBACK)
def test_every_name_of_loopback_is_fetched_from(host: str, port: str) -> None:
    """A video of another local server is fetched, however loopback is spelt."""
    assert SOURCES.will_fetch(f"http://{host}{port}/clip.mp4")


@pytest.mark.parametrize("host", [*ELSEWHERE, *(f"localhost:{port}" for port in ODD_PORTS), "[::1"])
def test_other_hosts_are_not_fetched_from(host: str) -> None:
    """A video on another host, or at an invalid port, is not fetched."""
    assert not SOURCES.will_fetch(f"http://{host}/clip.mp4")


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:4748/media/{CLIP}",
        f"http://127.0.0.1/media/{CLIP}",
        f"https://upsim.test:80/media/{CLIP}",
        *(f"http://upsim.test:{port}/media/{CLIP}" for port in ODD_PORTS),
        f"http://upsim.test:x/media/{CLIP}",
        f"http://clips.example/media/{CLIP}",
        f"http://[::1/media/{CLIP}",
        "http://upsim.test/venice/clip.mp4",
        "http://upsim.test/%61.mp4",
    ],
)
def test_urls_of_other_servers_are_recognised(url: str) -> None:
    """A URL with another host, another port or no media path belongs to another server."""
    assert SOURCES.own(url, "https://asked.example") is None


@pytest.mark.parametrize(
    ("path", "own"),
    [
        ("/sandbox/b/media/uploads/x/y.mp4?z=1", HostedMedia("b", "uploads/x/y.mp4", "z=1")),
        ("/sandbox/a%20b/media/outputs/x.mp4", HostedMedia("a b", "outputs/x.mp4", "")),
        ("/sandbox//media/outputs/x.mp4", HostedMedia("", "outputs/x.mp4", "")),
        ("/media/outputs/%2541.mp4", HostedMedia("default", "outputs/%41.mp4", "")),
        ("/media/media/x.mp4", HostedMedia("default", "media/x.mp4", "")),
        ("/venice/media/outputs/x.mp4", NOTHING),
        ("/x/sandbox/b/media/outputs/x.mp4", NOTHING),
        ("/sandbox/a/b/media/outputs/x.mp4", NOTHING),
        ("//media/outputs/x.mp4", NOTHING),
    ],
)
def test_a_path_names_the_file_of_a_get(path: str, own: HostedMedia) -> None:
    """A path selects the same file as a GET: in the sandbox of the path, or in the default one.

    Escapes are decoded once.
    """
    assert own == SOURCES.own(f"http://upsim.test{path}", "")


@pytest.mark.parametrize(
    ("url", "own"),
    [
        (f"https://proxy.example/sim/media/{CLIP}", HostedMedia("default", CLIP, "")),
        (f"https://proxy.example/media/{CLIP}", HostedMedia("default", CLIP, "")),
    ],
)
def test_a_public_url_may_have_a_path(url: str, own: HostedMedia) -> None:
    """Behind a proxy, the path of the public URL is removed before a file is looked up."""
    assert own == SOURCES.own(url, "https://proxy.example/sim")
