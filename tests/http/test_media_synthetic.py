"""The synthetic library over HTTP: real files by name, with ranges and validators."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from upsim.media.mp4_measuring import measure_boxes

if TYPE_CHECKING:
    from tests.http.conftest import Admin

CLIP = "/media/synthetic/64x36_10fps_1s.mp4"


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ("mp4", "video/mp4"),
        ("mov", "video/quicktime"),
        ("mkv", "video/x-matroska"),
        ("webm", "video/webm"),
    ],
)
def test_a_clip_has_its_type_and_length(admin: Admin, ending: str, kind: str) -> None:
    """Content-Type and Content-Length are those of the file."""
    answer = admin.http.get(f"/media/synthetic/64x36_10fps_1s.{ending}")
    expected = (200, kind, str(len(answer.content)), "bytes")
    names = ("content-type", "content-length", "accept-ranges")
    assert expected == (answer.status_code, *(answer.headers[name] for name in names))


def test_head_has_the_headers_of_get(admin: Admin) -> None:
    """HEAD has the headers of GET and no body."""
    get, head = admin.http.get(CLIP), admin.http.head(CLIP)
    assert (dict(get.headers), b"") == (dict(head.headers), head.content)


@pytest.mark.parametrize(
    ("asked", "status", "place"),
    [
        ("bytes=0-99", 206, slice(0, 100)),
        ("bytes=100-", 206, slice(100, None)),
        ("bytes=-100", 206, slice(-100, None)),
        ("bytes=0-0,5-6", 200, slice(0, None)),
        ("lines=1-2", 200, slice(0, None)),
        ("bytes=99999999-", 416, slice(0, 0)),
    ],
)
def test_ranges_of_a_clip(admin: Admin, asked: str, status: int, place: slice) -> None:
    """A range gets a 206, a range outside a 416, and an unreadable range the whole clip."""
    whole = admin.http.get(CLIP).content
    answer = admin.http.get(CLIP, headers={"range": asked})
    assert (status, whole[place]) == (answer.status_code, answer.content)


def test_a_known_clip_is_not_sent_again(admin: Admin) -> None:
    """A request with the current tag gets a 304 without a body."""
    tag = admin.http.get(CLIP).headers["etag"]
    answer = admin.http.get(CLIP, headers={"if-none-match": tag})
    assert (answer.status_code, answer.content) == (304, b"")


def test_different_clips_have_different_tags(admin: Admin) -> None:
    """Clips with different content have different tags."""
    other = CLIP.replace("1s", "2s")
    assert admin.http.get(CLIP).headers["etag"] != admin.http.get(other).headers["etag"]


def test_the_date_is_that_of_the_sandbox(admin: Admin) -> None:
    """`Date` shows the virtual time of the sandbox in the path."""
    admin.sandbox(id="box", clock={"mode": "manual", "now": "2031-05-06T07:08:09"})
    dates = [admin.http.get(f"{place}{CLIP}").headers["date"] for place in ("", "/sandbox/box")]
    assert dates == ["Thu, 01 Jan 2026 00:00:00 GMT", "Tue, 06 May 2031 07:08:09 GMT"]


def test_the_date_moves_with_the_clock(admin: Admin) -> None:
    """`Date` is the present virtual time, even if nothing else happened."""
    admin.sim.advance(61)
    assert admin.http.get(CLIP).headers["date"] == "Thu, 01 Jan 2026 00:01:01 GMT"


@pytest.mark.parametrize("size", [20_000, 100_000, 10_485_760])
def test_a_clip_is_padded_to_the_byte(admin: Admin, size: int) -> None:
    """`?bytes=` gives a file of exactly that size, with the same video."""
    data = admin.http.get(f"{CLIP}?bytes={size}").content
    media = measure_boxes(data)
    assert media is not None
    assert (len(data), media) == (size, measure_boxes(data))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("64x36_10fps_1.05s.mp4", "nearest: 1 (10 frames) or 1.1 (11 frames)"),
        ("64x36_30000-1001fps_1s.mp4", "nearest: 0.967633 (29 frames) or 1.001 (30 frames)"),
        ("64x36_10fps_0.01s.mp4", "nearest: 0.1 (1 frame)"),
        ("64x36_10fps_0s.mp4", "seconds 0 are outside 0..3600 (0 excluded)"),
        ("64x36_0fps_1s.mp4", "frame rate 0 is outside 0..240"),
        ("64x36_1-0fps_1s.mp4", "frame rate '1-0' is neither a decimal"),
        ("0x36_10fps_1s.mp4", "width 0 is outside 1..16384"),
        ("64x99999_10fps_1s.mp4", "height 99999 is outside 1..16384"),
        ("64x36_10fps_1s.avi", "container 'avi' is not one of mp4, mov, mkv, webm"),
        ("64x36_10fps_1s.MP4", "container 'MP4' is not one of mp4, mov, mkv, webm"),
        ("64x36.mp4", "is not <W>x<H>_<fps>fps_<seconds>s[_silent].<mp4|mov|mkv|webm>"),
        ("", "for example 1280x720_30fps_10s.mp4"),
        ("9" * 5000 + "x36_10fps_1s.mp4", "width 99999999999999999999 is outside"),
        ("64x36_10fps_1s.mp4?bytes=x", "bytes='x' is not a whole number"),
        ("64x36_10fps_1s.mp4?bytes=1", "the smallest this clip can have"),
        ("64x36_10fps_1s.mp4?bytes=99999999999999", "is outside 1..268435456"),
    ],
)
def test_a_bad_name_is_a_404_that_helps(admin: Admin, name: str, message: str) -> None:
    """The 404 of an impossible name says what is wrong, and names the nearest possible one."""
    answer = admin.http.get(f"/media/synthetic/{name}")
    assert (answer.status_code, answer.headers["content-type"]) == (
        404,
        "text/plain; charset=utf-8",
    )
    assert message in answer.text
