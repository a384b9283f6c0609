"""`upsim serve` with a watch on its event loop: the longest callbacks, by CPU time of its thread.

A callback that takes longer than any before it adds a line to the file that is named first: its
milliseconds and what was run. SIGUSR1 begins anew, with a line that says so. CPU time does not
depend on how busy the machine is; uvloop, whose handles cannot be measured, runs the same ones.

A callback also waits while another thread holds the interpreter's lock (GIL). A second thread asks
for the lock each millisecond, and notes the CPU time that the process spent before it got it.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from asyncio import events
from pathlib import Path

ANEW = "0.0 anew"
_LEAST = 0.002
_BEAT = 0.001


class Watch:
    """Measures every callback of every event loop of this process."""

    def __init__(self, log: Path) -> None:
        """Nothing ran yet."""
        self._log = log
        self._run = events.Handle._run
        self._longest = _LEAST

    def begin(self) -> None:
        """Measure from now on."""
        signal.signal(signal.SIGUSR1, lambda *_: self._forget())

        def measured(handle: events.Handle) -> None:
            began = time.thread_time()
            self._run(handle)
            self._note(time.thread_time() - began, handle)

        events.Handle._run = measured  # type: ignore[method-assign,assignment]  # there is no other hold on it
        threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self) -> None:
        """Note how long the lock of the interpreter was not to be had."""
        while True:
            began = time.process_time()
            time.sleep(_BEAT)
            self._note(time.process_time() - began, "the GIL was held")

    def _note(self, took: float, what: object) -> None:
        if took > self._longest:
            self._longest = took
            with self._log.open("a", encoding="utf-8") as opened:
                opened.write(f"{took * 1000:.1f} {what!r}\n")

    def _forget(self) -> None:
        self._longest = _LEAST
        self._log.write_text(f"{ANEW}\n", encoding="utf-8")


if __name__ == "__main__":
    Watch(Path(sys.argv.pop(1))).begin()
    sys.modules["uvloop"] = None  # type: ignore[assignment]  # uvicorn then takes asyncio
    from upsim.cli import main

    main()
