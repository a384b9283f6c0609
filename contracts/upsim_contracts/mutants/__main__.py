"""`python -m upsim_contracts.mutants [NAME…]`: how many of the wrong simulators are noticed."""

from __future__ import annotations

import sys
from collections import Counter

from upsim_contracts.mutants.catalogue import mutants
from upsim_contracts.mutants.running import run, run_all


def main(names: list[str]) -> int:
    """Run all mutants, or those of which a name is given; 1 when one is not killed."""
    chosen = [one for one in mutants() if not names or any(name in one.id for name in names)]
    fates: Counter[str] = Counter()
    slowest = 0.0
    for result in run_all(chosen):
        fates[result.fate] += 1
        slowest = max(slowest, result.seconds)
        line = f"{result.fate:9} {result.seconds:5.2f} s  {result.mutant.id}: {result.mutant.wrong}"
        sys.stdout.write(f"{line}\n          by {result.mutant.killer}: {result.saw[:200]}\n")
        sys.stdout.flush()
    unjust = {one.killer: one for one in chosen}
    for one in unjust.values():
        right = run(one, planted=False)
        if right.fate != "survived":
            fates["unjust"] += 1
            sys.stdout.write(f"unjust: the right simulator fails {one.killer}: {right.saw}\n")
    counted = ", ".join(f"{number} {fate}" for fate, number in sorted(fates.items()))
    sys.stdout.write(f"{len(chosen)} mutants: {counted}; the slowest took {slowest:.1f} s\n")
    return 0 if set(fates) <= {"killed"} else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
