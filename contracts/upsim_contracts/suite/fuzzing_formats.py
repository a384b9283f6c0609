"""Values that schemathesis cannot generate: URLs that lead to a video."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

CLIPS = (
    "64x64_10fps_1s.mp4",
    "64x36_30fps_2s.mp4",
    "36x64_25fps_4s_silent.mp4",
)
HOST = "http://testserver"
FORMATS = ("iri", "video")


@contextmanager
def formats(clip: bytes, *, data_urls: bool) -> Iterator[None]:
    """Make schemathesis use URLs of videos in this block: of real clips, and of an unknown host.

    With `data_urls` some URLs contain the clip itself. The formats are `iri` and `video`; `video`
    marks any text field. schemathesis stores formats for the whole process. Without removal, other
    tests would use them too.
    """
    import schemathesis
    from hypothesis import strategies
    from schemathesis.specs.openapi import unregister_string_format

    clips = [f"{HOST}/media/synthetic/{name}" for name in CLIPS]
    names = strategies.text("abcxyz019-_", min_size=1, max_size=12)
    elsewhere = names.map(lambda name: f"https://example.com/{name}.mp4")
    inside = strategies.just(f"data:video/mp4;base64,{b64encode(clip).decode()}")
    addresses = strategies.sampled_from(clips) | elsewhere
    for name in FORMATS:
        schemathesis.openapi.format(name, addresses | inside if data_urls else addresses)
    try:
        yield
    finally:
        for name in FORMATS:
            unregister_string_format(name)
