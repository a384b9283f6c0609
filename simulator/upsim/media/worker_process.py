"""The worker process: measures and resamples files that might hang or crash a demuxer.

Run as `python -m upsim.media.worker_process`. It reads requests from standard input and writes
responses to standard output. Each message is a length of four bytes, big-endian, then JSON.
The bytes of a file to measure follow their request.
The worker ends when its input ends, so it does not outlive its parent process.
If it hangs after its parent has ended, an alarm of the operating system kills it.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from upsim.core.media import Unmeasurable
from upsim.media.measurement_json import to_json
from upsim.media.resample_plan import ResamplePlan

GRACE = 5
MEASURING_MEMORY = 8 << 30
_LENGTH = struct.Struct(">I")


def main() -> None:
    """Serve requests until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends this
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    while (request := read_message(requests)) is not None:
        payload = requests.read(request["payload"])
        _set_alarm(request["timeout"] + GRACE)
        answer = _answer(request, payload)
        _set_alarm(0)
        write_message(answers, answer)


def read_message(stream: BinaryIO) -> dict[str, Any] | None:
    """Return the next message, or None at the end of the stream."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    body = stream.read(length)
    if len(body) < length:
        return None
    message: dict[str, Any] = json.loads(body)
    return message


def write_message(stream: BinaryIO, message: dict[str, Any], payload: bytes = b"") -> None:
    """Send one message, then the bytes of `payload`."""
    body = json.dumps(message).encode()
    stream.write(_LENGTH.pack(len(body)) + body)
    stream.write(payload)
    stream.flush()


def _set_alarm(seconds: float) -> None:
    if hasattr(signal, "alarm"):
        signal.alarm(int(seconds))


def _answer(request: dict[str, Any], payload: bytes) -> dict[str, Any]:
    if request["do"] == "resample":
        return _resample(request)
    if request["do"] == "add_sound":
        return _add_sound(request)
    source = Path(request["path"]) if "path" in request else payload
    return _measure(source)


def _measure(source: bytes | Path) -> dict[str, Any]:
    from upsim.media.demux import measure_by_demuxing  # PyAV, when needed

    _limit_memory(MEASURING_MEMORY)
    try:
        return to_json(measure_by_demuxing(source))
    except OSError as error:
        return to_json(
            Unmeasurable("unreachable", f"The file cannot be read: {error.strerror or error}.")
        )
    finally:
        _limit_memory(None)


def _limit_memory(size: int | None) -> None:
    """Limit the worker's memory, if the system supports it, so that a huge file fails alone."""
    try:
        import resource  # not on every platform
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most if size is None else size, most))


def _resample(request: dict[str, Any]) -> dict[str, Any]:
    from upsim.media.resample import resample  # PyAV, when needed

    plan = ResamplePlan(
        width=request["width"],
        height=request["height"],
        keep_audio=request["keep_audio"],
        duration=request["duration"],
        pace=Fraction(*request["pace"]) if request["pace"] else None,
    )
    return {"problem": resample(Path(request["path"]), Path(request["target"]), plan)}


def _add_sound(request: dict[str, Any]) -> dict[str, Any]:
    from upsim.media.resample import add_sound  # PyAV, when needed

    source, pictures = Path(request["path"]), Path(request["pictures"])
    return {"problem": add_sound(source, pictures, Path(request["target"]), request["duration"])}


if __name__ == "__main__":
    main()
