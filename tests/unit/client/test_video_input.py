"""What may be handed in: read, measured and named."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from upsim.client.exceptions import SourceError
from upsim.client.video_input import LocalVideo, RemoteVideo, Source, open_source
from upsim.media.clip_names import parse_clip_name
from upsim.media.synthetic import make_clip


def opened(source: Source) -> LocalVideo:
    """Return a source that is no address."""
    found = open_source(source)
    assert isinstance(found, LocalVideo)
    return found


@pytest.mark.parametrize(
    ("name", "written", "expected"),
    [
        ("a.bin", "64x36_30fps_2s.mp4", "video/mp4"),
        ("a.mp4", "64x36_30fps_2s.mkv", "video/x-matroska"),
        ("a.mp4", None, "video/mp4"),
        ("a", None, "application/octet-stream"),
    ],
)
def test_content_type(tmp_path: Path, name: str, written: str | None, expected: str) -> None:
    """The content of a video file decides its content type; otherwise its name does."""
    path = tmp_path / name
    path.write_bytes(make_clip(parse_clip_name(written)) if written else b"no video")

    assert opened(path).file.content_type == expected


@pytest.mark.parametrize("url", ["https://v.test/a.mp4", "HTTP://v.test/a.mp4"])
def test_url_is_no_file(url: str) -> None:
    """A text that starts like a URL is sent to the provider as a URL."""
    assert open_source(url) == RemoteVideo(url)


def test_bytes_get_a_name_of_their_kind() -> None:
    """Bytes without a name get a file name that fits their content type."""
    content = make_clip(parse_clip_name("64x36_30fps_2s.mov"))

    assert opened(bytearray(content)).file.name == "clip.mov"


def test_file_object_keeps_its_name(tmp_path: Path) -> None:
    """An open file is read from its current position, and keeps its name."""
    path = tmp_path / "mine.mp4"
    path.write_bytes(b"no video")
    with path.open("rb") as file:
        found = opened(file)

    assert (found.file.name, found.file.read(), found.media) == ("mine.mp4", b"no video", None)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (io.StringIO("text"), "a binary file object"),
        (None, "not NoneType"),
        ("data:video/mp4;base64", "a comma before its content"),
        ("data:video/mp4;base64,@", "is not base64"),
        ("\0", "cannot be read"),
        ("file:///tmp/a%20b.mp4", "use the path, /tmp/a b.mp4"),
        ("FILE:/tmp/b.mp4", "use the path, /tmp/b.mp4"),
        ("file://localhost/tmp/b.mp4", "use the path, /tmp/b.mp4"),
    ],
    ids=["text", "none", "comma", "base64", "null", "file", "short", "host"],
)
def test_unusable_video_source(source: Source, told: str) -> None:
    """A video source that cannot be read raises a SourceError with the reason."""
    with pytest.raises(SourceError, match=told):
        open_source(source)


@pytest.mark.parametrize("url", ["data:,a%20b", "data:text/plain;base64,YSBi"])
def test_data_url(url: str) -> None:
    """A data URL is read in both forms, base64 and percent-encoded."""
    assert opened(url).file.read() == b"a b"


def test_folder(tmp_path: Path) -> None:
    """A folder as a video source is refused."""
    with pytest.raises(SourceError, match="Is a directory"):
        open_source(tmp_path)
