"""The curve ``grad_norm``: the length of the gradient of the last update, before it is clipped."""

import csv
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import FSDPStrategy, SingleDeviceStrategy

from fulgurite.build import Run, build
from fulgurite.log import log_to
from fulgurite.models import supervised
from fulgurite.models.gradient_norm import gradient_norm, is_shown
from fulgurite.models.mlp import MLP

# 12 steps an epoch.
SMALL = (
    "data=quadratic",
    "data.num_points=384",
    "data.batch_size=32",
    "data.passes_per_epoch=1",
    "model=mlp",
    "model.hidden=[8]",
    "trainer=cpu",
    "trainer.max_epochs=2",
    "logger=csv",
    "callbacks.progress=null",
)


class Gradients(pl.Callback):
    """Takes down the length of each update's gradient, in float64, one number after the other."""

    def __init__(self) -> None:
        self.norms: dict[int, float] = {}

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        numbers = [number for each in pl_module.parameters() for number in each.grad.flatten().tolist()]
        self.norms[trainer.global_step + 1] = math.sqrt(math.fsum(number**2 for number in numbers))


class TwoGroups(MLP):
    def configure_optimizers(self):
        hidden, last = self.net[0].parameters(), self.net[-1].parameters()
        return torch.optim.SGD([{"params": hidden, "lr": 1e-6}, {"params": last}], lr=1e-5)


def make_two_groups() -> TwoGroups:
    torch.manual_seed(0)
    spec = {"task": "regression", "input_shape": [1], "num_outputs": 1, "metric": "val/mae", "mode": "min"}
    return TwoGroups(spec, hidden=[8], norm="none")


def trained(cfg, *callbacks: pl.Callback, model: pl.LightningModule | None = None) -> Run:
    run = build(cfg)
    run.trainer.callbacks.extend(callbacks)
    run.folder.mkdir(exist_ok=True)
    with log_to(run.folder):
        run.trainer.fit(model or run.model, datamodule=run.data)
    return run


def step_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return [row for row in csv.DictReader(file) if row.get("train/loss_step")]


@pytest.mark.parametrize(
    ("options", "make", "steps"),
    [
        (["trainer.log_every_n_steps=5"], None, [5, 10, 15, 20]),
        (["trainer.log_every_n_steps=1", "trainer.gradient_clip_val=0.1"], None, range(1, 25)),
        (["trainer.log_every_n_steps=5"], make_two_groups, [5, 10, 15, 20]),
        (["trainer.log_every_n_steps=5", "trainer.precision=bf16-mixed"], None, [5, 10, 15, 20]),
        # 3 updates an epoch, of 5, 5 and 2 batches.
        (["trainer.log_every_n_steps=3", "trainer.accumulate_grad_batches=5"], None, [0, 1, 1, 3, 3, 4, 4, 6]),
        (
            ["trainer.log_every_n_steps=2", "trainer.accumulate_grad_batches=2", "trainer.max_epochs=1"],
            None,
            range(1, 7),
        ),
    ],
    ids=["plain", "clipped", "two groups", "bf16", "accumulation", "an update at each log"],
)
def test_it_is_the_length_of_the_last_updates_gradient(compose_config, tmp_path, options, make, steps):
    cfg, looked_at = (compose_config(*SMALL, *options, folder=tmp_path / name) for name in ("cfg", "looked_at"))
    run, gradients = trained(cfg, model=make and make()), Gradients()
    assert run.trainer.fit_loop.epoch_loop._fast
    # A callback that looks at gradients has Lightning's own loop make the steps.
    other = trained(looked_at, gradients, model=make and make())
    assert not other.trainer.fit_loop.epoch_loop._fast
    rows = step_rows(run.folder)
    assert [int(row["step"]) for row in rows] == list(steps)
    for row in rows:
        # Before the first update there is none.
        expected = gradients.norms.get(int(row["step"]))
        assert (
            row["grad_norm"] == "" if expected is None else float(row["grad_norm"]) == pytest.approx(expected, rel=1e-6)
        )
    assert rows == step_rows(other.folder)


@pytest.mark.parametrize("accumulated", [1, 3])
def test_it_is_measured_for_logs_alone(compose_config, monkeypatch, accumulated):
    measured = []
    monkeypatch.setattr(
        supervised, "gradient_norm", lambda model, optimizer: measured.append(model.trainer.global_step)
    )
    options = ("trainer.log_every_n_steps=6", f"trainer.accumulate_grad_batches={accumulated}")
    trained(compose_config(*SMALL, *options))
    # Counted before the update.
    assert measured == ([5, 11, 17, 23] if accumulated == 1 else [1, 3, 5, 7])


def test_an_update_is_shown_when_a_log_comes_before_the_next():
    trainer = SimpleNamespace(log_every_n_steps=5, accumulate_grad_batches=2)
    # Logs at 5 and 10, updates at 2, 4, 6, 8, 10.
    assert [number for number in range(2, 12, 2) if is_shown(trainer, number)] == [4, 10]
    trainer.log_every_n_steps = 0
    assert not any(is_shown(trainer, number) for number in range(1, 12))


def test_a_run_that_logs_no_steps_trains(compose_config):
    run = trained(compose_config(*SMALL, "trainer.log_every_n_steps=0"))
    assert run.trainer.global_step == 24
    assert step_rows(run.folder) == []


def test_lbfgs_which_looks_at_several_gradients_has_none(compose_config):
    options = ("optimizer=lbfgs", "optimizer.max_iter=2", "scheduler=constant", "trainer.log_every_n_steps=4")
    rows = step_rows(trained(compose_config(*SMALL, *options)).folder)
    assert [row["step"] for row in rows] == ["4", "8", "12", "16", "20", "24"]
    assert all("grad_norm" not in row and row["lr"] for row in rows)


@pytest.mark.parametrize(
    ("strategy", "automatic", "is_there"),
    [(SingleDeviceStrategy, True, True), (SingleDeviceStrategy, False, False), (FSDPStrategy, True, False)],
    ids=["one device", "by hand", "a part on each device"],
)
def test_there_is_one_where_the_whole_gradient_is(monkeypatch, strategy, automatic, is_there):
    model = make_two_groups()
    model.automatic_optimization = automatic
    for each in model.parameters():
        each.grad = torch.full_like(each, 2.0)
    monkeypatch.setattr(TwoGroups, "trainer", SimpleNamespace(strategy=object.__new__(strategy)))
    norm = gradient_norm(model, torch.optim.SGD(model.parameters()))
    # 8 weights and 8 biases, then 8 weights and a bias.
    assert (norm is not None) == is_there
    assert norm is None or float(norm) == pytest.approx(2 * math.sqrt(8 + 8 + 8 + 1))
