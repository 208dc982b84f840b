"""Benchmark items of fused sweeps: whole sweeps by the command line, against ``launcher=basic``."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import usual_module
from sweeps import Cost, costs_apart, seconds_here
from timing import Item, paired_ratios
from training_items import composed


@dataclass(frozen=True)
class Case:
    """A sweep over ``members`` seeds and what is asked of it: the seconds of basic over those of fused."""

    name: str
    members: int
    overrides: tuple[str, ...]
    target: str
    stretch: str = ""


CASES = (
    Case(
        "MLP 784-128-10, batch 64",
        16,
        ("model=mlp", "model.hidden=[128]", "model.norm=none", "data.batch_size=64"),
        ">= 3",
        ">= 5",
    ),
    Case(
        "MLP 784-32-10, batch 32",
        16,
        ("model=mlp", "model.hidden=[32]", "model.norm=none", "data.batch_size=32"),
        ">= 6",
        ">= 10",
    ),
    Case("GRU 32 by rows, batch 64", 8, ("model=gru", "model.hidden=32", "data.batch_size=64"), ">= 1.8"),
    Case(
        "CNN 8/16, batch 64",
        8,
        ("model=cnn", "model.channels=[8,16]", "model.norm=none", "data.batch_size=64"),
        ">= 1.1",
        ">= 1.5",
    ),
)
# Nothing to gain: the arithmetic is all.
LARGE = (
    Case("LSTM 64, batch 64", 4, ("model=lstm", "model.hidden=64", "data.batch_size=64"), "<= 1.05"),
    Case("CNN 32/64, batch 64", 4, ("model=cnn", "model.channels=[32,64]", "data.batch_size=64"), "<= 1.05"),
)
# Members of a tiny network, whose cost and memory are to grow no faster than their number.
SIZES = (64, 128, 256, 512, 1024)
QUICK_SIZES = (16, 32, 64)
TINY = ("model=mlp", "model.hidden=[8]", "model.norm=none", "data.train_subset=640", "data.batch_size=64")


def fused(repeats: int, quick: bool) -> Iterator[Item]:
    """Sweeps of one epoch over seeds, CPU seconds: all that a person gets, after the imports."""
    for case in CASES:
        words, name = _words(case, quick), f"fused: {case.members} x {case.name}"
        eager = ("launcher=fused", "launcher.compile=false", *words)
        values, pairs = paired_ratios(
            partial(seconds_here, ("launcher=basic", *words)), partial(seconds_here, eager), repeats
        )
        basic, together = (min(column) for column in zip(*pairs, strict=True))
        note = f"{basic:.1f} s one after the other, {together:.1f} s together"
        yield Item(f"{name}, eager", values, case.target, case.stretch, note)
        yield _usual(f"{name}, against usual Lightning", case, words, together)
        yield from _compiled(name, case, words, repeats)


def drivers(repeats: int, quick: bool) -> Iterator[Item]:
    """Wall seconds of two processes with half of the members each, started together: basic over fused."""
    for case in CASES:
        common = _words(case, quick)[:-1]
        half = case.members // 2
        halves = [f"seed=range({half})", f"seed=range({half},{case.members})"]

        def wall(launcher: str, common: Sequence[str] = common, halves: Sequence[str] = halves) -> float:
            return max(
                cost.wall_s for cost in costs_apart([(f"launcher={launcher}", *common, each) for each in halves])
            )

        values, pairs = paired_ratios(partial(wall, "basic"), partial(wall, "fused"), repeats)
        basic, together = (min(column) for column in zip(*pairs, strict=True))
        note = f"wall {basic:.1f} s by two processes of basic, {together:.1f} s by two of fused"
        yield Item(f"two drivers: {case.members} x {case.name}", values, case.target, case.stretch, note)


def bound(repeats: int, quick: bool) -> Iterator[Item]:
    """CPU seconds of fused over those of basic, where there is nothing to gain; the probe included."""
    for case in LARGE:
        words = (*case.overrides, f"data.train_subset={3200 if quick else 11_000}", f"seed=range({case.members})")
        values, pairs = paired_ratios(
            partial(seconds_here, ("launcher=fused", *words)),
            partial(seconds_here, ("launcher=basic", *words)),
            repeats,
        )
        together, basic = (min(column) for column in zip(*pairs, strict=True))
        note = f"{together:.1f} s with the probe, {basic:.1f} s without"
        yield Item(f"nothing to gain: {case.members} x {case.name}", values, case.target, note=note)


def curve(quick: bool) -> Iterator[Item]:
    """CPU seconds and memory of one program against its members, each size once, in a process of its own."""
    costs: dict[int, Cost] = {}
    for size in QUICK_SIZES if quick else SIZES:
        fused = ("launcher=fused", f"launcher.max_members={size}", "launcher.probe=false", "launcher.compile=false")
        (costs[size],) = costs_apart([(*fused, *TINY, f"seed=range({size})")])
        note = f"CPU ms a member; peak {costs[size].peak_mb:,.0f} MB, wall {costs[size].wall_s:.1f} s"
        yield Item(f"{size} MLPs 784-8-10, 10 steps", (1000 * costs[size].cpu_s / size,), note=note)
    first, last = min(costs), max(costs)
    growth = costs[last].cpu_s / last / (costs[first].cpu_s / first)
    yield Item(f"cost of a member, {last} against {first}", (growth,), "<= 1.05")
    peaks = [cost.peak_mb for cost in costs.values()]
    slope, start = statistics.linear_regression(list(costs), peaks)
    fit = statistics.correlation(list(costs), peaks) ** 2
    note = f"MB, by a line of R^2 {fit:.4f} from {start:.0f} MB; {costs[first].imported_mb:.0f} MB after the imports"
    yield Item("memory of a member", (slope,), note=note)
    yield Item(f"peak memory of {last} members", (peaks[-1] / 1000,), "<= 24", note="GB")


def _words(case: Case, quick: bool) -> tuple[str, ...]:
    subset = ("data.train_subset=11000",) if quick else ()
    return (*case.overrides, *subset, f"seed=range({case.members})")


def _usual(name: str, case: Case, words: Sequence[str], together_s: float) -> Item:
    """K runs of a usual module over the fused sweep; two of the K are measured."""
    cfg = composed([*words[:-1], "trainer.max_epochs=1"], Path("unused"))
    alone_s = [usual_module.seconds(cfg) for _ in range(2)]
    values = tuple(case.members * each / together_s for each in alone_s)
    return Item(name, values, note=f"{case.members} times {min(alone_s):.1f} s of one run, of which two were measured")


def _compiled(name: str, case: Case, words: Sequence[str], repeats: int) -> Iterator[Item]:
    """The same compiled, from the cache on disk: each sweep in a process in which nothing was compiled before."""

    def cost(*sweep: str) -> Cost:
        return costs_apart([(*sweep, *words)])[0]

    # Fills the cache.
    cost("launcher=fused", "launcher.compile=true")
    values, pairs = paired_ratios(
        lambda: cost("launcher=basic").cpu_s,
        lambda: cost("launcher=fused", "launcher.compile=true").cpu_s,
        repeats,
    )
    basic, together = (min(column) for column in zip(*pairs, strict=True))
    auto = cost("launcher=fused")
    decided = "compiles" if "\ncompiling " in auto.said else "does not compile"
    note = f"{basic:.1f} s and {together:.1f} s in fresh processes; auto {decided}: {auto.cpu_s:.1f} s"
    yield Item(f"{name}, compiled from a warm cache", values, case.target, case.stretch, note)
