"""Which upstreams are spoken to, and where the links of answers lead."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tests.recording.conftest import Studio, entries
from tests.recording.sample_requests import CLIP
from tests.uploads import put_request
from upsim_contracts.exceptions import UsageError
from upsim_contracts.record.command import recording
from upsim_contracts.record.link_rewriting import Links, remember
from upsim_contracts.record.upstream import Upstream, upstream
from upsim_contracts.verify.run import providers


def named(url: str, cap: str | None = None, **more: str | None) -> Upstream:
    """Return the upstream that a command line names."""
    told: dict[str, str | None] = {"provider": None, "dialect": None, "trusted": "", **more}
    return upstream(
        url,
        provider=told["provider"],
        dialect=told["dialect"],
        known=providers(),
        cap=None if cap is None else Decimal(cap),
        trusted=str(told["trusted"]),
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://example.com/venice", "neither loopback"),
        ("https://api.venice.ai", "give --cap"),
        ("ftp://127.0.0.1/venice", "is no URL"),
        ("http://127.0.0.1:1", "say by --provider"),
        ("http://127.0.0.1:1/visee", "did you mean /vicsee in its path"),
        ("http://user:key@127.0.0.1/venice", "is no URL"),
        ("http://127.0.0.1/venice?key=1", "is no URL"),
    ],
)
def test_refused_upstreams(url: str, message: str) -> None:
    """An upstream that is not trusted is refused with the reason."""
    with pytest.raises(UsageError, match=message):
        named(url)


def test_keys_are_sent_by_https_only() -> None:
    """An http URL of a provider's own host is refused."""
    with pytest.raises(UsageError, match="in the clear"):
        named("http://api.venice.ai", "1")


def test_a_provider_is_recognised_by_its_host() -> None:
    """With a cap, a provider's host can be the upstream, in the live dialect.

    Uploads go to the provider's upload host.
    """
    found = named("https://api.piapi.ai", "1")

    assert ("piapi", "live") == (found.provider, found.dialect)
    assert "https://upload.theapi.app" == found.base_of("/api/ephemeral_resource")
    assert "https://api.piapi.ai" == found.base_of("/api/v1/task?x=1")


def test_a_trusted_host_needs_no_cap() -> None:
    """A host of `UPSIM_TRUSTED_HOSTS` needs no cap; its path decides provider and dialect."""
    found = named("http://staging.example/sandbox/a/venice/live", trusted="staging.example")

    assert ("venice", "live", "http://staging.example") == (
        found.provider,
        found.dialect,
        found.origin,
    )


def test_an_unknown_provider_gets_a_suggestion() -> None:
    """The error for a misspelt provider suggests the nearest known provider."""
    with pytest.raises(UsageError, match="did you mean vicsee"):
        named("http://127.0.0.1", provider="viksee")


def test_a_clip_option_without_a_clip_is_refused(tmp_path: Path) -> None:
    """The error for `--clip` without a clip description shows the correct format."""
    order = {"upstream": "http://127.0.0.1/vicsee", "to": tmp_path / "c", "clips": ["a=b"]}
    with pytest.raises(UsageError, match="854x480 30fps"), recording(order, None, print):
        pass


def test_a_cassette_is_not_overwritten(tmp_path: Path) -> None:
    """`record` does not overwrite a cassette that has content, because it may have cost money."""
    file = tmp_path / "run.jsonl"
    file.write_text("precious", encoding="utf-8")
    order = {"upstream": "http://127.0.0.1/vicsee", "to": file}
    with pytest.raises(UsageError, match="move it away"), recording(order, None, print):
        pass

    assert "precious" == file.read_text("utf-8")


def test_a_cassette_is_for_its_owner(studio: Studio) -> None:
    """Only the owner of a cassette file may read it."""

    async def caller(http: httpx.AsyncClient) -> None:
        await http.get("/api/v1/credits")

    assert 0o600 == studio.record("vicsee", caller).stat().st_mode & 0o777


def test_upstream_links_are_rewritten_both_ways() -> None:
    """Links of the upstream lead to the recorder in responses, and back in requests.

    The client's own links and links to other hosts stay unchanged.
    """
    links = Links(named("http://127.0.0.1:47/vicsee"))
    remember(links.sent, "http://127.0.0.1:47/media/mine.mp4", None)
    text = (
        '{"a": "http://127.0.0.1:47/vicsee/api/v1/tasks/1", "b": "http://127.0.0.1:47/media/o.mp4?x",'
        ' "c": "http://127.0.0.1:47/media/mine.mp4", "d": "http://127.0.0.1:4747/vicsee/x",'
        ' "e": "https://store.example/out.mp4"}'
    )
    told = links.told(text.encode(), "http://localhost:9/vicsee")

    assert re.findall(r"http[^\"]+", told.decode()) == [
        "http://localhost:9/vicsee/api/v1/tasks/1",
        "http://localhost:9/media/o.mp4?x",
        "http://127.0.0.1:47/media/mine.mp4",
        "http://127.0.0.1:4747/vicsee/x",
        "https://store.example/out.mp4",
    ]
    assert text == links.meant(told, "http://localhost:9/vicsee").decode()


def test_other_paths_are_not_forwarded(studio: Studio) -> None:
    """The recorder does not forward to the admin API, or to files that no response linked to."""
    seen: list[tuple[int, str]] = []

    async def caller(http: httpx.AsyncClient) -> None:
        for path in ("/__sim/sandboxes", "/media/synthetic/320x240_10fps_1s.mp4", "/venice/api/v1"):
            answer = await http.get(f"http://recorder.test{path}")
            seen.append((answer.status_code, answer.headers["x-upsim-record"]))

    cassette = studio.record("vicsee", caller)

    assert [(404, "no_such_path")] * 3 == seen
    assert 1 == len(entries(cassette))


def test_uploads_and_outputs_pass_the_recording(studio: Studio) -> None:
    """The upload, the submit and the output pass through the recorder, recorded as properties."""

    async def caller(http: httpx.AsyncClient) -> None:
        clip = b"not a video" * 100
        order = {"filename": "a.mp4", "size": len(clip), "content_type": "video/mp4"}
        ticket = (await http.post("/api/v3/media/uploads", json=order)).json()["data"]
        assert ticket["upload"]["url"].startswith("http://recorder.test/")
        url = ticket["upload"]["url"]
        put = await http.send(put_request(http, url, clip, if_none_match="*"))
        assert put.is_success
        body = {"video": CLIP}
        job = (await http.post("/api/v3/runwayml/upscale-v1", json=body)).json()["data"]
        assert job["urls"]["get"].startswith("http://recorder.test/wavespeed/api/v3/")
        for _ in range(4):
            done = (await http.get(job["urls"]["get"])).json()["data"]
        output = await http.get(done["outputs"][0])
        assert output.content[4:8] == b"ftyp"

    lines = entries(studio.record("wavespeed", caller))[1:]
    files = [line for line in lines if line["part"] == "file"]

    assert ["PUT", "GET"] == [line["method"] for line in files]
    assert "sees" not in files[0]["request"]["body"]["file"]
    assert 1100 == files[0]["request"]["body"]["file"]["bytes"]
    assert 3844 == files[1]["answer"]["body"]["file"]["sees"]["width"]
