"""The output file of a job, and which of its parts do not come from the job's own video."""

from __future__ import annotations

from pathlib import Path

import msgspec

from upsim.core.jobs import Job
from upsim.core.outputs import output_timing
from upsim.media.clip_names import SyntheticClip
from upsim.media.resample_plan import ResamplePlan


class OutputFile(msgspec.Struct, frozen=True):
    """The file of a job. `substitutes` lists generated parts, with the reasons."""

    content: bytes | Path
    substitutes: tuple[str, ...] = ()


def output_clip(job: Job) -> SyntheticClip:
    """Return the clip of an output: timing of the input, size and audio of the output's plan."""
    media, output = job.accepted.media, job.accepted.output
    if media is None or output is None:
        msg = f"job {job.id} completed without a measured input"
        raise LookupError(msg)
    timing = output_timing(media)
    return SyntheticClip(
        width=output.width,
        height=output.height,
        frame_rate=timing.frame_rate,
        frames=timing.frames,
        duration=timing.duration,
        audio=output.audio,
        container="mp4",
    )


def output_plan(job: Job, clip: SyntheticClip) -> ResamplePlan:
    """Return the plan for an output made of the input's own frames."""
    media = job.accepted.media
    stated = media.frame_rate if media else clip.frame_rate
    return ResamplePlan(
        width=clip.width,
        height=clip.height,
        keep_audio=clip.audio,
        duration=clip.duration,
        pace=clip.frame_rate if clip.frame_rate != stated else None,
    )
