"""Values that schemathesis could not think of: addresses under which there is a video."""

from __future__ import annotations

from base64 import b64encode

CLIPS = (
    "64x64_10fps_1s.mp4",
    "64x36_30fps_2s.mp4",
    "36x64_25fps_4s_silent.mp4",
)
HOST = "http://testserver"


def register_formats(clip: bytes, *, data_urls: bool) -> None:
    """Teach schemathesis addresses of videos: clips of the target, or of no host.

    With `data_urls` some hold the clip itself.

    The formats are `iri` and `video`, which is any text.
    """
    import schemathesis
    from hypothesis import strategies

    clips = [f"{HOST}/media/synthetic/{name}" for name in CLIPS]
    names = strategies.text("abcxyz019-_", min_size=1, max_size=12)
    elsewhere = names.map(lambda name: f"https://example.com/{name}.mp4")
    inside = strategies.just(f"data:video/mp4;base64,{b64encode(clip).decode()}")
    for name in ("iri", "video"):
        addresses = strategies.sampled_from(clips) | elsewhere
        schemathesis.openapi.format(name, addresses | inside if data_urls else addresses)
