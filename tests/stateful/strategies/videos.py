"""Videos that may be upscaled, and some that may not."""

from hypothesis import strategies as st

ASSUMED = "https://example.com/clip.mp4"
"""Not fetched: the provider's default video is used instead."""
SMALL = "http://upsim.test/media/synthetic/160x120_10fps_2s.mp4"
LONGER = "http://upsim.test/media/synthetic/320x240_10fps_6s.mp4"
TOO_LONG = "http://upsim.test/media/synthetic/160x120_1fps_601s.mp4"
"""Above every provider's limit, of seconds or of frames."""
NOWHERE = "http://upsim.test/media/uploads/nothing-is-here.mp4"

usable = st.sampled_from([SMALL, ASSUMED, LONGER])
