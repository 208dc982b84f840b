"""How fast Fulgurite is, as ratios measured in one run on one thread.

    python scripts/benchmark.py [startup memory accuracy curve epoch augment pictures regression fused bound
                                 drivers sweeps] [--repeats N] [--quick] [--seeds N]

Training is measured against ``hand_loop.py`` on the same tensors, in process CPU time, in turns; the median of the
pairwise ratios counts. Prints each line once it is known and a table at the end, writes ``outputs/benchmark.json``,
asserts nothing.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

# One thread, for torch and all it starts; the library reads it when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import fused_items
import launcher_items
import picture_items
import process_items
import training_items
from timing import Item, line, table

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Options:
    """What was asked for: repeats of a measurement, seeds of the accuracies, and whether to hurry."""

    repeats: int
    seeds: int
    quick: bool


# Measured in this order: on Linux a child process starts with its parent's peak memory, and training in this process
# would raise that.
ITEMS: dict[str, Callable[[Options], Iterable[Item]]] = {
    "startup": lambda options: process_items.startup(options.repeats),
    "memory": lambda options: process_items.memory(options.repeats),
    "accuracy": lambda options: process_items.accuracy(options.seeds),
    "curve": lambda options: fused_items.curve(options.quick),
    "epoch": lambda options: training_items.epoch(options.repeats, options.quick),
    "augment": lambda options: training_items.augment(options.repeats, options.quick),
    "pictures": lambda options: picture_items.pictures(options.repeats, options.quick),
    "regression": lambda options: training_items.regression(options.repeats, options.quick),
    "fused": lambda options: fused_items.fused(options.repeats, options.quick),
    "bound": lambda options: fused_items.bound(options.repeats, options.quick),
    "drivers": lambda options: fused_items.drivers(options.repeats, options.quick),
    "sweeps": lambda options: launcher_items.sweeps(options.repeats, options.quick),
}


def main() -> None:
    """Measure what was named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("items", nargs="*", metavar="item", help=f"any of {', '.join(ITEMS)}; all without")
    parser.add_argument("--repeats", type=int, default=5, help="pairs of measurements (default 5)")
    parser.add_argument("--seeds", type=int, default=1, help="runs behind each accuracy (default 1)")
    parser.add_argument("--quick", action="store_true", help="two repeats of shorter runs: a look, not a figure")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.items) - set(ITEMS))
    if unknown:
        parser.error(f"no item {', '.join(unknown)}; there are {', '.join(ITEMS)}")
    options = Options(2 if arguments.quick else arguments.repeats, arguments.seeds, arguments.quick)
    measured: list[Item] = []
    for name in (name for name in ITEMS if name in (arguments.items or ITEMS)):
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        for item in ITEMS[name](options):
            # At once: whoever stops the benchmark keeps what is known.
            print(line(item), flush=True)
            measured.append(item)
            _write(measured)
    print("", table(measured), sep="\n")


def _write(measured: list[Item]) -> None:
    path = ROOT / "outputs" / "benchmark.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([item.to_json() for item in measured], indent=2) + "\n")


if __name__ == "__main__":
    main()
