"""Kill servers as often as asked, and print figures: `python -m tests.durability --kills 100`."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path
from random import SystemRandom

from .kills import Campaign, Figures


def main() -> None:
    """Read the options, and run the campaign."""
    parser = argparse.ArgumentParser(prog="python -m tests.durability")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=SystemRandom().getrandbits(32))
    parser.add_argument("--slow", type=int, default=0, help="Milliseconds that a write may take.")
    parser.add_argument("--min-bytes", type=int, default=0, help="Compact from this size on.")
    parser.add_argument("options", nargs="*", help="Options of `upsim serve`, after --.")
    asked = parser.parse_args()
    altered = {"KILLS_SLOW_MS": asked.slow, "KILLS_MIN_BYTES": asked.min_bytes}
    alterations = {name: str(value) for name, value in altered.items() if value}
    figures = Figures()
    print(f"seed {asked.seed}", flush=True)  # noqa: T201 - the answer of this program
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(asked.seed, asked.options, alterations)
        asyncio.run(campaign.kill(Path(folder), asked.kills, figures))
    print(figures)  # noqa: T201 - as above


if __name__ == "__main__":
    main()
