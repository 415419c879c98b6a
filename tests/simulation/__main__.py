"""`python -m tests.simulation`: many seeds, one seed again, or every planted fault; see `make simulate`."""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from pathlib import Path

from tests.docs.markers import between
from tests.simulation import plants, runner

#: Seeds within which every planted fault has to be found.
FOUND_WITHIN = 50_000


def main() -> int:
    """Run what the command line asks for; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many worlds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="start no more worlds after this time"
    )
    parser.add_argument("--at-least", type=int, default=0, help="worlds to run even if that takes longer")
    parser.add_argument("--jobs", type=int, default=runner.processes(), help="processes")
    parser.add_argument("--replay", type=int, help="run this seed alone, make it smaller, and draw it")
    parser.add_argument(
        "--plant", choices=plants.PLANTS, default="", help="plant a fault in the product first"
    )
    parser.add_argument(
        "--plants", action="store_true", help="plant each fault and say after how many it is found"
    )
    parser.add_argument("--keep", type=Path, help="the file to write the reduced world of --replay into")
    parser.add_argument("--table", type=Path, help="the page to write the result of --plants into")
    options = parser.parse_args()
    _fix_hashes()
    if options.plants:
        names = [options.plant] if options.plant else list(plants.PLANTS)
        return _plants(names, options.jobs, options.table)
    if options.replay is not None:
        if options.plant:
            plants.plant(options.plant)
        print(runner.explain(options.replay, options.keep))
        return 0
    return _seeds(options)


def _fix_hashes() -> None:
    """Sets of text have another order in each process, unless Python is told not to."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])


def _seeds(options: argparse.Namespace) -> int:
    began = time.monotonic()
    seeds = range(options.first, options.first + options.seeds)
    enough = 1 if options.plant else 20

    def is_enough(tally: runner.Tally) -> bool:
        out_of_time = time.monotonic() - began >= 60 * options.minutes
        return len(tally.failures) >= enough or (out_of_time and tally.worlds >= options.at_least)

    tally = runner.run_many(seeds, options.jobs, options.plant, is_enough)
    print(f"{tally} ({time.monotonic() - began:.0f} s)")
    if tally.worlds < len(seeds) and len(tally.failures) < enough:
        print(f"The other {len(seeds) - tally.worlds:,} were not started within {options.minutes:g} minutes.")
    for seed, broken in tally.failures[:20]:
        print(f"  seed {seed}: {broken[0]}")
    if not tally.failures:
        return 0
    seed = tally.failures[0][0]
    if not options.plant:
        print(runner.explain(seed))
    planted = f" PLANT={options.plant}" if options.plant else ""
    print(f"\nAgain: make simulate-replay SEED={seed}{planted}")
    return 1


def _plants(names: list[str], jobs: int, page: Path | None) -> int:
    missed = 0
    rows = ["| planted fault | found after | broken promise |", "| --- | --- | --- |"]
    for name in names:
        planted = plants.PLANTS[name]
        tally = runner.run_many(range(FOUND_WITHIN), jobs, name, lambda found: bool(found.failures))
        if tally.failures:
            seed, broken = tally.failures[0]
            worlds = f"{seed + 1:,} world{'s' if seed else ''}"
            rows.append(f"| {planted.what} | {worlds} | {broken[0].partition(':')[0]} |")
        else:
            missed += 1
            rows.append(f"| {planted.what} | not within {FOUND_WITHIN:,} worlds | |")
        print(rows[-1], flush=True)
    if page is not None:
        page.write_text(between(page.read_text(), "plants table", "\n".join(rows)))
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
