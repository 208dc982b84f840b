"""A share of a sweep's jobs: what one process needs to run them. Imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from fulgurite.sweep import Sweep


@dataclass(frozen=True)
class Share:
    """Jobs that one process runs.

    Attributes:
        configs: composed, by their number in the sweep, from 0.
        programs: numbers of jobs that may train as one.
        task: the task function of the sweep.
        callbacks: Hydra's, who hear of each job.
        compile: see ``FusedLauncher``; ``None`` where it pays.
        probe: see ``FusedLauncher``.
        halving: see ``FusedLauncher``.
        sharers: processes that use the same device's memory, this one included.
    """

    configs: Mapping[int, DictConfig]
    programs: Sequence[Sequence[int]]
    task: Sweep
    callbacks: Any
    compile: bool | None
    probe: bool
    halving: int | None
    sharers: int = 1
