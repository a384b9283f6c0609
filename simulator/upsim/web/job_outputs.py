"""What file a job produces, and what of it could not be made of the job's own video."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from upsim.core.jobs import Job
from upsim.core.media import MICROSECONDS, Media
from upsim.media.clip import SyntheticClip
from upsim.media.resample_plan import ResamplePlan


@dataclass(frozen=True, slots=True)
class OutputFile:
    """The file of a job. `substitutes` says what was drawn instead of taken from the video, why."""

    content: bytes | Path
    substitutes: tuple[str, ...] = ()


def output_clip(job: Job) -> SyntheticClip:
    """The file that a job produces: the input's length, rate and frames in the output's size.

    Pictures that would outlast the file at the input's rate are spread over its length.
    """
    media, output = job.accepted.media, job.accepted.output
    if media is None or output is None:
        msg = f"job {job.id} completed without a measured input"
        raise LookupError(msg)
    return SyntheticClip(
        width=output.width,
        height=output.height,
        frame_rate=fitting_rate(media),
        frames=max(1, media.frames),
        duration=max(1, media.duration),
        audio=output.audio,
        container="mp4",
    )


def output_plan(job: Job, clip: SyntheticClip) -> ResamplePlan:
    """The same for a file of the input's own pictures."""
    media = job.accepted.media
    stated = media.frame_rate if media else clip.frame_rate
    return ResamplePlan(
        width=clip.width,
        height=clip.height,
        keep_audio=clip.audio,
        duration=clip.duration,
        pace=clip.frame_rate if clip.frame_rate != stated else None,
    )


def fitting_rate(media: Media) -> Fraction:
    """The rate of a video, or a faster one by which half its last picture fits its duration."""
    rate, frames = media.frame_rate or Fraction(30), max(1, media.frames)
    duration = Fraction(max(1, media.duration), MICROSECONDS)
    return rate if (frames - Fraction(1, 2)) / rate <= duration else frames / duration
