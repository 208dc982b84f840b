"""Sweeps written by hand, as files: what a report reads, without training anything."""

import csv
import itertools
import json
import math
import random
from collections.abc import Sequence
from pathlib import Path

from fulgurite.result import Failure, Objective, Result

BOOM = Failure(
    "RuntimeError", "Traceback (most recent call last):\n  in step\nshapes </script> do not fit", "train.log"
)
NAMES = ("lr", "train/acc", "train/loss", "val/acc", "val/loss")


def write_job(sweep: Path, overrides: Sequence[str], value: float | None = None, **options) -> Path:
    """A run folder with a record alone; the objective is ``val/acc``."""
    name = "_".join(overrides).replace("=", "-").replace(",", "-").replace("[", "").replace("]", "")
    folder = sweep / (name.replace("model.", "").replace("optimizer.", "") or "job")
    folder.mkdir(parents=True)
    (folder / "train.log").touch()
    metrics = {} if value is None else {"val/acc": value, "val/loss": 2 * (1 - value), "test/acc": value - 0.01}
    fields = {
        "objective": Objective("val/acc", "max", value),
        "status": "finished",
        "seconds": 10.0,
        "epochs": 3,
        "samples_per_s": 1e4,
        "metrics": metrics,
    }
    Result(overrides=list(overrides), **(fields | options)).write(folder)
    return folder


def write_metrics(folder: Path, epochs: Sequence[dict[str, float]], steps: bool = True) -> None:
    """``metrics.csv`` as the logger leaves it: rows of steps, of validation, of training, and one of the test."""
    names = sorted({"epoch", "step", "test/acc", "train/loss_step", *(name for row in epochs for name in row)})
    with (folder / "metrics.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for epoch, row in enumerate(epochs):
            step = 10 * (epoch + 1)
            if steps:
                writer.writerow({"step": step - 5, "train/loss_step": 9.0})
            for part in ("val/", "train/", "lr"):
                writer.writerow({"epoch": epoch, "step": step} | {k: v for k, v in row.items() if k.startswith(part)})
        writer.writerow({"epoch": len(epochs), "step": 10 * len(epochs), "test/acc": 0.123})


def write_sweep(sweep: Path, *, num_seeds: int = 2, num_epochs: int = 20, num_failed: int = 1, lrs: int = 3) -> Path:
    """A grid of ``lrs`` learning rates, three widths, two activations and seeds, with curves; some jobs have failed."""
    draw = random.Random(0)
    rates = [f"{10.0 ** -(at + 1):g}" for at in range(lrs)]
    grid = list(itertools.product(rates, ("[16]", "[64]", "[256]"), ("relu", "tanh"), range(1, num_seeds + 1)))
    for number, (lr, hidden, activation, seed) in enumerate(grid):
        overrides = [f"optimizer.lr={lr}", f"model.hidden={hidden}", f"model.activation={activation}", f"seed={seed}"]
        if number >= len(grid) - num_failed:
            write_job(sweep, overrides, status="failed", error=BOOM)
            continue
        best = 0.95 - 0.1 * (math.log10(float(lr)) + 2) ** 2 + 0.0002 * int(hidden[1:-1]) + draw.gauss(0, 0.005)
        curve = [best * (1 - 0.5 * math.exp(-epoch / 3)) for epoch in range(1, num_epochs + 1)]
        folder = write_job(sweep, overrides, curve[-1])
        points = [
            {"val/acc": c, "val/loss": 2 - c, "train/acc": c, "train/loss": 1 - c, "lr": float(lr)} for c in curve
        ]
        write_metrics(folder, [{k: v + draw.random() * 1e-6 for k, v in point.items()} for point in points])
    record = {
        "num_jobs": len(grid),
        "command": "fulgurite train -m model=mlp",
        "git": {"commit": "a" * 40, "dirty": True},
    }
    (sweep / "sweep.json").write_text(json.dumps(record), encoding="utf-8")
    return sweep
