"""About eighty small videos, made by `ffmpeg` when a test asks for one.

A variant is a name, what `ffmpeg` is asked for, and what is then done to the bytes. `boxes` says
that the boxes of the file alone must be enough to measure it, `uneven` that its pictures do not
come at a constant rate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product

from tests.unit.media.mp4_boxes import Edit, preceded, turned, with_edits, with_movie_duration

Change = Callable[[bytes], bytes]
SIZE = "64x48"
PICTURES = "testsrc=s=64x48:r=30"
LONGER = ("-f", "lavfi", "-i", "sine=d=3")
SHORTER = ("-f", "lavfi", "-i", "sine=d=1")
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "30")
PLAIN = (*H264, "-bf", "0")
REORDERED = (*H264, "-bf", "2", "-b_strategy", "0")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none")
VP8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8")
VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8")
FRAGMENTS = ("-movflags", "frag_keyframe+empty_moov+default_base_moof")
EACH = ("-movflags", "frag_every_frame+empty_moov+default_base_moof")
UNEVEN = ("-vf", "select='not(mod(n\\,3))+not(mod(n\\,7))'", "-fps_mode", "vfr")
CUT = ("cut", "cut reordered")


@dataclass(frozen=True, slots=True)
class Variant:
    """One video. `piped` writes it to a pipe, so that no header can be completed afterwards."""

    name: str
    form: str
    coding: tuple[str, ...]
    sound: tuple[str, ...] = ()
    seconds: str = "2"
    cut: tuple[str, str] | None = None
    piped: bool = False
    change: Change | None = None
    boxes: bool = False
    uneven: bool = False

    def __str__(self) -> str:
        """Return the name, which is what pytest shows."""
        return self.name


def variants() -> list[Variant]:
    """Return all of them."""
    return [
        *_containers(),
        *_cuts(),
        *_edit_lists(),
        *_rotations(),
        *_without_durations(),
        *_fragments(),
        *_orders(),
        *_tracks(),
        *_rates(),
        *_matroska_headers(),
    ]


def _containers() -> Iterator[Variant]:
    kept: dict[str, dict[str, tuple[str, ...]]] = {
        "mp4": {"h264": PLAIN, "reordered": REORDERED, "hevc": HEVC, "mpeg4": ("-c:v", "mpeg4")},
        "mov": {"h264": PLAIN, "reordered": REORDERED, "mjpeg": ("-c:v", "mjpeg")},
        "matroska": {"h264": PLAIN, "reordered": REORDERED, "vp8": VP8, "vp9": VP9},
        "webm": {
            "vp8": VP8,
            "vp9": VP9,
            "hidden": (*VP8[:2], "-auto-alt-ref", "1", "-lag-in-frames", "16"),
        },
        "avi": {"mpeg4": ("-c:v", "mpeg4"), "mjpeg": ("-c:v", "mjpeg"), "h264": PLAIN},
        "mpegts": {"h264": PLAIN, "mpeg2": ("-c:v", "mpeg2video")},
        "flv": {"h264": PLAIN, "flv1": ("-c:v", "flv")},
    }
    for form, codings in kept.items():
        for name, coding in codings.items():
            yield Variant(f"{form} {name}", form, coding, boxes=form in ("mp4", "mov"))


def _cuts() -> Iterator[Variant]:
    """Cut between key pictures without encoding: an edit list hides the lead-in."""
    codings = {"h264": PLAIN, "reordered": REORDERED, "hevc": HEVC}
    for form, (name, coding), start in product(("mp4", "mov"), codings.items(), ("0.5", "1.7")):
        sound = LONGER if start == "1.7" else ()
        yield Variant(
            f"{form} {name} cut at {start}",
            form,
            coding,
            sound,
            seconds="3",
            cut=(start, "1"),
            boxes=True,
        )
    yield Variant("matroska cut", "matroska", PLAIN, seconds="3", cut=("1.7", "1"))


def _edit_lists() -> Iterator[Variant]:
    """Edit lists that `ffmpeg` does not write; the movie counts milliseconds, the track 1/15360."""
    lists: dict[str, list[Edit]] = {
        "one edit": [(1000, 5120, 1)],
        "short edit": [(500, 0, 1)],
        "empty edit": [(1500, -1, 1), (2000, 0, 1)],
        "empty edit and cut": [(500, -1, 1), (700, 7680, 1)],
        "two edits": [(500, 0, 1), (500, 15360, 1)],
        "the same twice": [(400, 15360, 1), (400, 15360, 1)],
        "dwell": [(1000, 0, 0), (1000, 0, 1)],
        "double speed": [(1000, 0, 2)],
    }
    for (name, edits), (kind, coding) in product(
        lists.items(), {"h264": PLAIN, "reordered": REORDERED}.items()
    ):
        length = sum(edit[0] for edit in edits)
        yield Variant(
            f"{name}, {kind}",
            "mp4",
            coding,
            change=partial(_edit, edits=edits, length=length),
            boxes=name in ("one edit", "short edit", "empty edit", "empty edit and cut"),
        )
    wide = partial(_edit, edits=[(1000, 5120, 1)], length=1000, version=1)
    yield Variant("wide edit", "mp4", PLAIN, change=wide, boxes=True)


def _edit(data: bytes, *, edits: list[Edit], length: int, version: int = 0) -> bytes:
    return with_movie_duration(with_edits(data, edits, version=version), length)


def _rotations() -> Iterator[Variant]:
    for track, movie in ((90, 0), (180, 0), (270, 0), (0, 90), (0, 270), (90, 90), (90, 270)):
        form = "mov" if track == movie else "mp4"
        change = partial(_turn, track=track, movie=movie)
        yield Variant(f"turned {track} and {movie}", form, PLAIN, change=change, boxes=True)
    broad = (*PLAIN, "-vf", "setsar=4/3")
    yield Variant("broad pixels", "mp4", broad, boxes=True)
    change = partial(_turn, track=0, movie=90)
    yield Variant("broad pixels, turned", "mp4", broad, change=change, boxes=True)
    yield Variant("fragments, turned", "mp4", (*PLAIN, *FRAGMENTS), change=change)


def _turn(data: bytes, *, track: int, movie: int) -> bytes:
    return turned(turned(data, b"tkhd", track), b"mvhd", movie)


def _without_durations() -> Iterator[Variant]:
    """Videos as browsers record them: without a duration, which is known only at the end."""
    sounds = {"silent": (), "audio longer": LONGER, "audio shorter": SHORTER}
    codings: dict[str, tuple[str, ...]] = {"webm": VP8, "matroska": PLAIN}
    for (form, coding), (name, sound) in product(codings.items(), sounds.items()):
        yield Variant(f"piped {form}, {name}", form, coding, sound, piped=True)
    yield Variant("live webm", "webm", (*VP9, "-live", "1"), LONGER, piped=True)
    yield Variant("piped flv", "flv", PLAIN, LONGER, piped=True)
    yield Variant("piped mpegts", "mpegts", PLAIN, LONGER, piped=True)


def _fragments() -> Iterator[Variant]:
    sounds = {"silent": (), "sound longer": LONGER}
    for (kind, how), (name, sound) in product(
        {"by key": FRAGMENTS, "each picture": EACH}.items(), sounds.items()
    ):
        yield Variant(f"fragments {kind}, {name}", "mp4", (*PLAIN, *how), sound, piped=True)
    yield Variant("fragments reordered", "mp4", (*REORDERED, *FRAGMENTS), piped=True)
    yield Variant("fragments mov", "mov", (*PLAIN, *FRAGMENTS), piped=True)
    first = (*PLAIN, "-movflags", "frag_keyframe")
    yield Variant("fragments after a movie", "mp4", first, SHORTER)


def _orders() -> Iterator[Variant]:
    for form, kind in product(("mp4", "mov"), (b"free", b"skip", b"wide")):
        change = partial(preceded, kind=kind)
        name = f"{form} after {kind.decode()}"
        yield Variant(name, form, PLAIN, SHORTER, change=change, boxes=True)
    yield Variant("header first", "mp4", (*PLAIN, "-movflags", "+faststart"), LONGER, boxes=True)


def _tracks() -> Iterator[Variant]:
    two = (*LONGER, *SHORTER)
    every = ("-map", "0:v", "-map", "1:a", "-map", "2:a")
    yield Variant("two sounds", "mp4", (*PLAIN, *every), two, boxes=True)
    yield Variant("two sounds in matroska", "matroska", (*PLAIN, *every), two)
    sound_first = (*PLAIN, "-map", "1:a", "-map", "0:v")
    yield Variant("sound first", "mp4", sound_first, LONGER, boxes=True)
    pictures = ("-f", "lavfi", "-i", "testsrc=s=32x32:r=10:d=1")
    both = (*PLAIN, "-map", "0:v", "-map", "1:v")
    yield Variant("two videos", "mp4", both, pictures)
    yield Variant("audio longer, mov", "mov", PLAIN, LONGER, boxes=True)


def _rates() -> Iterator[Variant]:
    for form, coding in (("mp4", PLAIN), ("mp4", REORDERED), ("matroska", PLAIN), ("webm", VP8)):
        name = f"uneven {form}{' reordered' if coding is REORDERED else ''}"
        yield Variant(name, form, (*coding, *UNEVEN), boxes=form == "mp4", uneven=True)
    yield Variant("uneven piped webm", "webm", (*VP8, *UNEVEN), LONGER, piped=True, uneven=True)
    for rate in ("24000/1001", "60000/1001", "25/2"):
        steady = ("-r", rate, "-fps_mode", "cfr")
        yield Variant(f"{rate} a second", "mp4", (*PLAIN, *steady), boxes=True)
        yield Variant(f"{rate} a second in webm", "webm", (*VP8, *steady), LONGER, piped=True)


def _matroska_headers() -> Iterator[Variant]:
    """Headers that state less than the pictures do, or something else."""
    broad = ("-vf", "setsar=4/3")
    yield Variant("matroska broad pixels", "matroska", (*REORDERED, *broad), LONGER)
    yield Variant("webm broad pixels", "webm", (*VP9, *broad), LONGER)
    for name, coding in (("h264", REORDERED), ("vp9", VP9)):
        yield Variant(f"matroska of another size, {name}", "matroska", coding, change=_widened)
        rateless = f"matroska without a rate, {name}"
        yield Variant(rateless, "matroska", coding, change=_rateless, uneven=True)


def _widened(data: bytes) -> bytes:
    """Change the 64 pixels of PixelWidth to 96."""
    return data.replace(b"\xb0\x81\x40", b"\xb0\x81\x60", 1)


def _rateless(data: bytes) -> bytes:
    """Make a Void of DefaultDuration (RFC 9559, 5.1.4.1.13), 4 bytes of nanoseconds."""
    at = data.index(b"\x23\xe3\x83\x84")
    return data[:at] + b"\xec\x86" + data[at + 2 :]
