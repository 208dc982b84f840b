"""A share of a sweep's jobs: what one process needs to run them. Imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from fulgurite.sweep.task import Sweep


@dataclass(frozen=True)
class Program:
    """Jobs that may train as one.

    Attributes:
        jobs: their numbers in the sweep, from 0, without those that have ended before.
        rungs: epochs after which others of them were pruned before.
    """

    jobs: Sequence[int]
    rungs: frozenset[int]


@dataclass(frozen=True)
class Share:
    """Jobs that one process runs.

    Attributes:
        configs: composed, by their number in the sweep, from 0.
        programs: these jobs, by who trains with whom.
        task: the task function of the sweep.
        callbacks: Hydra's, who hear of each job.
        compile: see ``FusedLauncher``; ``None`` where it pays.
        probe: see ``FusedLauncher``.
        halving: see ``FusedLauncher``.
        sharers: processes that use the same device's memory, this one included.
        num_ranks: processes that run these same jobs, each on its part of every batch.
        device: kind of device that they train on, ``cuda`` or ``cpu``.
    """

    configs: Mapping[int, DictConfig]
    programs: Sequence[Program]
    task: Sweep
    callbacks: Any
    compile: bool | None
    probe: bool
    halving: int | None
    sharers: int = 1
    num_ranks: int = 1
    device: str = "cpu"
