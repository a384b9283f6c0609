"""`python -m upsim_contracts.mutants [NAME…]`: count the wrong simulators that are detected.

With `--lies`, the names are providers; one value at a time is slightly changed.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from upsim_contracts.exceptions import ContractError
from upsim_contracts.mutants.catalogue import FOLDER, Mutant, mutants
from upsim_contracts.mutants.lie_checker import LieChecker, count
from upsim_contracts.mutants.lies import lies_about
from upsim_contracts.mutants.mutant_runner import Runner
from upsim_contracts.verify.run import book_of, providers

WELL, FINDING, USAGE = 0, 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 1 if a mutant survives or a killer fails without a mutant."""
    parser = argparse.ArgumentParser(prog="python -m upsim_contracts.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of the names of mutants; all by default")
    parser.add_argument("--lies", action="store_true", help="small lies about these providers")
    parser.add_argument("--list", action="store_true", help="say what there is, and stop")
    parser.add_argument("--seeds", type=int, metavar="N", help="the right simulator, N seeds")
    parser.add_argument("--workers", type=int, default=2, help="how many run at a time")
    parser.add_argument("--catalogue", type=Path, default=FOLDER, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    try:
        if asked.lies:
            return _lies(asked.names or list(providers()), asked.workers)
        known = list(mutants(asked.catalogue))
        chosen = [one for one in known if not asked.names or _is_named(one, asked.names)]
        if not chosen:
            _say(f"no mutant is called {' or '.join(asked.names)}")
            return USAGE
        if asked.list:
            for one in chosen:
                _say(f"{one.id}: {one.wrong} ({one.killer})")
            return WELL
        return _right(asked.seeds) if asked.seeds else _wrong(chosen, asked.workers)
    except ContractError as error:
        _say(str(error))
        return USAGE


def _wrong(chosen: list[Mutant], workers: int) -> int:
    runner = Runner()
    fates: Counter[str] = Counter()
    slowest = 0.0
    for result in runner.run_all(chosen, workers=workers):
        fates[result.fate] += 1
        slowest = max(slowest, result.seconds)
        mutant = result.mutant
        _say(f"{result.fate:9} {result.seconds:5.2f} s  {mutant.id}: {mutant.wrong}")
        _say(f"          by {mutant.killer}: {result.saw[:200]}")
    for one in runner.unjust(chosen):
        fates["unjust"] += 1
        _say(f"unjust: the right simulator fails {one.killer}: {one.saw}")
    counted = ", ".join(f"{number} {fate}" for fate, number in sorted(fates.items()))
    _say(f"{len(chosen)} mutants: {counted}; the slowest took {slowest:.1f} s")
    return WELL if set(fates) <= {"killed"} else FINDING


def _lies(chosen: list[str], workers: int) -> int:
    ended = WELL
    for provider in chosen:
        lies = lies_about(provider)
        checker = LieChecker(book_of(provider), lies)
        broken = checker.failing_without_lies()
        if broken:
            names = ", ".join(one.fact.id for one in broken)
            _say(f"{provider}: the right simulator breaks {names}")
            return FINDING
        counted = count(checker.check_all(workers=workers), lies)
        for problem in counted.problems:
            _say(problem)
        _say(f"{provider}: {counted}")
        ended = FINDING if counted.problems else ended
    return ended


def _right(seeds: int) -> int:
    runner = Runner()
    count = broken = 0
    for seed in range(seeds):
        for provider, book in runner.books.items():
            facts = [fact for fact in book.facts if fact.untestable is None]
            count += len(facts)
            for one in runner.broken(provider, facts, seed=seed):
                broken += 1
                _say(f"broken: {one.killer}: {one.saw}")
    _say(f"{count - broken} of {count} facts hold under {seeds} seeds")
    return FINDING if broken else WELL


def _is_named(mutant: Mutant, names: list[str]) -> bool:
    return any(name in mutant.id for name in names)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
