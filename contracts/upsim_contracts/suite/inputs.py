"""Values that schemathesis could not think of: addresses under which there is a video."""

from __future__ import annotations

from base64 import b64encode

CLIPS = (
    "64x64_10fps_1s.mp4",
    "64x36_30fps_2s.mp4",
    "36x64_25fps_4s_silent.mp4",
)
HOST = "http://testserver"


def register_formats(clip: bytes) -> None:
    """Teach schemathesis what stands for `format: uri`: clips of the target, or of no host.

    `base64-mp4` is the given clip in base64.
    """
    import schemathesis
    from hypothesis import strategies

    clips = [f"{HOST}/media/synthetic/{name}" for name in CLIPS]
    names = strategies.text("abcxyz019-_", min_size=1, max_size=12)
    elsewhere = names.map(lambda name: f"https://example.com/{name}.mp4")
    schemathesis.openapi.format("uri", strategies.sampled_from(clips) | elsewhere)
    encoded = b64encode(clip).decode()
    texts = [encoded, f"data:video/mp4;base64,{encoded}"]
    schemathesis.openapi.format("base64-mp4", strategies.sampled_from(texts))
