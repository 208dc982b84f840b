"""Training the same jobs together and one by one."""

import copy
import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from omegaconf import DictConfig, OmegaConf

from fulgurite.build import Run, build
from fulgurite.fit import Outcome, fit
from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.run import run_together
from fulgurite.fused.settings import Settings
from fulgurite.log import log_to

# 20 steps an epoch, and as little as can be of the rest.
SMALL = (
    "trainer=cpu",
    "trainer.max_epochs=1",
    "trainer.limit_val_batches=1",
    "trainer.log_every_n_steps=7",
    "data.train_subset=500",
    "data.batch_size=25",
    "data.eval_batch_size=200",
    "callbacks.progress=null",
    "logger=csv",
    "test=false",
)

# Columns of ``metrics.csv``.
IN_STEPS = ("step", "lr", "grad_norm", "train/loss_step")


@dataclass
class Together:
    """What came of jobs that ran together."""

    runs: list[Run] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)


def vary(cfg: DictConfig, folder: Path, *overrides: str) -> DictConfig:
    """A copy of a config with other values and folder; composing it anew takes longer than many of these runs."""
    changed = copy.deepcopy(cfg)
    for key, _, value in (override.partition("=") for override in overrides):
        OmegaConf.update(changed, key, yaml.safe_load(value))
    changed.folder = str(folder)
    return changed


def train_alone(cfg: DictConfig) -> tuple[Run, Outcome]:
    folder = Path(cfg.folder)
    folder.mkdir(parents=True)
    with log_to(folder):
        run = build(cfg)
        return run, fit(run)


def train_together(configs: Sequence[DictConfig], probe: bool = False, **settings: Any) -> Together:
    runs: dict[int, Run] = {}
    outcomes: dict[int, Outcome] = {}
    together = Together()
    loaded: dict[str, Any] = {}

    def job(number: int) -> None:
        folder = Path(configs[number].folder)
        folder.mkdir(parents=True, exist_ok=True)
        with log_to(folder):
            runs[number] = build(configs[number], epoch_loop=FusedEpochLoop, loaded=loaded)
            try:
                outcomes[number] = fit(runs[number])
            except BaseException as error:
                together.errors.append(error)

    jobs = {f"job {number}": partial(job, number) for number in range(len(configs))}
    run_together(jobs, Settings(tell=together.lines.append, probe=probe, **settings))
    together.runs = [runs[number] for number in sorted(runs)]
    together.outcomes = [outcomes[number] for number in sorted(outcomes)]
    return together


def difference(one: Run, other: Run) -> float:
    """Largest difference of two runs' parameters, buffers and optimiser states."""
    pairs = list(zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True))
    states = [run.trainer.optimizers[0].state_dict()["state"] for run in (one, other)]
    assert states[0].keys() == states[1].keys()
    for key, state in states[0].items():
        assert state.keys() == states[1][key].keys()
        pairs += [(value, states[1][key][name]) for name, value in state.items() if torch.is_tensor(value)]
    return max(float((a.double() - b.double()).abs().max()) for a, b in pairs if a.numel())


def assert_same_curves(one: Path, other: Path) -> None:
    """The rows of two runs' ``metrics.csv``, number by number."""
    rows = [_rows(folder / "metrics.csv") for folder in (one, other)]
    assert [row.keys() for row in rows[0]] == [row.keys() for row in rows[1]]
    for found, expected in zip(*rows, strict=True):
        for name, value in expected.items():
            # What is logged in steps is as exact as the run; metrics of epochs are of float32.
            tolerance = 1e-8 if name in IN_STEPS else 1e-5
            assert found[name] == pytest.approx(value, rel=tolerance, abs=tolerance, nan_ok=True), name


def _rows(path: Path) -> list[dict[str, float]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def some_slow(cases: Iterable[Any], *quick: Any) -> list[Any]:
    """Cases to parametrize with: all but ``quick`` are marked slow."""
    return [case if case in quick else pytest.param(case, marks=pytest.mark.slow) for case in cases]
