"""Benchmark items of fused sweeps: whole sweeps by the command line in this process, against ``launcher=basic``."""

import contextlib
import io
import tempfile
import time
from dataclasses import dataclass
from functools import partial

from timing import Item, paired_ratios

from fulgurite import cli


@dataclass(frozen=True)
class Case:
    """A sweep over ``members`` seeds and what is asked of it: the seconds of basic over those of fused."""

    name: str
    members: int
    overrides: tuple[str, ...]
    target: str
    stretch: str = ""


CASES = (
    Case("MLP 784-128-10, batch 64", 16, ("model=mlp", "model.hidden=[128]", "data.batch_size=64"), ">= 3", ">= 5"),
    Case("MLP 784-32-10, batch 32", 16, ("model=mlp", "model.hidden=[32]", "data.batch_size=32"), ">= 6", ">= 10"),
    Case("GRU 32 by rows, batch 64", 8, ("model=gru", "model.hidden=32", "data.batch_size=64"), ">= 1.8"),
    Case("CNN 8/16, batch 64", 8, ("model=cnn", "model.channels=[8,16]", "data.batch_size=64"), ">= 1.1", ">= 1.5"),
)
# What a plain network has.
PLAIN = {"model=mlp": ("model.norm=none",), "model=cnn": ("model.norm=none",)}


def fused(repeats: int, quick: bool) -> list[Item]:
    """Sweeps of one epoch over seeds: everything that a person gets, after the imports."""
    items = []
    for case in CASES:
        subset = ("data.train_subset=11000",) if quick else ()
        overrides = (*case.overrides, *PLAIN.get(case.overrides[0], ()), *subset, f"seed=range({case.members})")
        values, pairs = paired_ratios(
            partial(seconds, "basic", overrides), partial(seconds, "fused", overrides), repeats
        )
        basic, together = (min(column) for column in zip(*pairs, strict=True))
        note = f"{basic:.1f} s one after the other, {together:.1f} s together"
        items.append(Item(f"fused: {case.members} x {case.name}", values, case.target, case.stretch, note))
    return items


def seconds(launcher: str, overrides: tuple[str, ...]) -> float:
    """CPU seconds of a sweep of one epoch.

    Raises:
        RuntimeError: when a job of it failed.
    """
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(said):
        common = ("trainer=cpu", "trainer.max_epochs=1", f"output_root={folder}", "-m")
        started = time.process_time()
        code = cli.train([f"launcher={launcher}", *overrides, *common])
        spent = time.process_time() - started
    if code:
        raise RuntimeError(f"a sweep on launcher={launcher} ended with exit code {code}:\n{said.getvalue()}")
    return spent
