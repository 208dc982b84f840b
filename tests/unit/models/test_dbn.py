"""The deep belief network: what learns in which phase, and that a run goes on inside one bit by bit."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch

from fulgurite.build import Run, build
from fulgurite.errors import ConfigError, DataError, RunFolderError
from fulgurite.fit import fit
from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.run import run_together
from fulgurite.fused.settings import Settings
from fulgurite.models.dbn import DBN

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")

SPEC = {"task": "classification", "input_shape": [1, 28, 28], "num_outputs": 10, "metric": "val/acc", "mode": "max"}
# 5 steps an epoch; epochs 1 and 2 for the lower layer, 3 and 4 for the upper one, 5 and 6 for both.
SMALL = (
    "model=dbn",
    "model.hidden=[12,9]",
    "model.pretrain_epochs=2",
    "data.scaling=unit",
    "data.train_subset=250",
    "data.batch_size=50",
    "optimizer=sgd",
    "trainer=cpu",
    "trainer.max_epochs=6",
    "trainer.limit_val_batches=1",
    "logger=none",
    "callbacks.progress=null",
    "callbacks.pictures.enabled=false",
    "test=false",
)


class Watch(pl.Callback):
    """Keeps the weights after each epoch, and saves checkpoints after some steps."""

    def __init__(self, folder: Path | None = None, steps: tuple[int, ...] = ()) -> None:
        self.folder, self.steps = folder, steps
        self.weights: list[dict[str, torch.Tensor]] = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step in self.steps:
            trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")

    def on_train_epoch_end(self, trainer, pl_module):
        if self.steps:
            trainer.save_checkpoint(self.folder / f"epoch_{trainer.current_epoch}.ckpt")
        self.weights.append({name: value.clone() for name, value in pl_module.state_dict().items()})


def trained(compose_config, *words: str, watch: Watch | None = None, **options) -> tuple[Run, dict[str, float]]:
    run = build(compose_config(*SMALL, *words, **options))
    run.trainer.callbacks.extend([] if watch is None else [watch])
    return run, fit(run).metrics


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if "weight" in name and not torch.equal(before[name], after[name])}


@pytest.fixture(scope="module")
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(6, 1, 28, 28, generator=generator), torch.arange(6)


def test_each_layer_learns_in_its_phase_alone_and_all_of_them_at_the_end(compose_config):
    watch = Watch()
    run, metrics = trained(compose_config, watch=watch)
    lower, upper, head = "machines.0.up.weight", "machines.1.up.weight", "head.weight"
    expected = [{lower}, {upper}, {upper}, {lower, upper, head}, {lower, upper, head}]
    assert [changed(*watch.weights[each : each + 2]) for each in range(5)] == expected
    assert metrics["phase"] == 3.0
    assert [run.model.phase_of(epoch) for epoch in range(7)] == [1, 1, 2, 2, 3, 3, 3]
    assert [len(run.model.learned_machines(epoch)) for epoch in range(5)] == [1, 1, 2, 2, 0]


def test_a_machine_begins_with_the_mean_of_what_the_layer_below_gives(compose_config):
    run, _ = trained(compose_config, "trainer.max_epochs=4", "model.hidden=[12,9]")
    x = run.data.encode(run.data.part("train").x).flatten(1)
    lower, upper = run.model.machines
    torch.testing.assert_close(lower.offset, x.mean(dim=0))
    with torch.no_grad():
        torch.testing.assert_close(upper.offset, lower(x).mean(dim=0))


def test_the_gradient_of_a_phase_is_the_contrast_of_its_machine(digits):
    torch.manual_seed(0)
    model = DBN(SPEC, hidden=[12, 9], pretrain_epochs=1, pretrain_factor=3.0)
    model._trainer = SimpleNamespace(current_epoch=1, optimizers=[], datamodule=None)
    torch.manual_seed(1)
    step = model.training_step(digits, 0)
    step["loss"].backward()
    upper = model.machines[1]
    found = upper.up.weight.grad.clone()
    assert all(each.grad is None for name, each in model.named_parameters() if "machines.1" not in name)
    torch.manual_seed(1)
    upper.hidden_offset.fill_(0.5)
    contrast = upper.contrast(model.machines[0](digits[0].flatten(1)).detach())
    torch.testing.assert_close(found, 3 * torch.autograd.grad(contrast, upper.up.weight)[0])
    # The head is zero: even odds.
    assert step["loss"].item() == pytest.approx(torch.tensor(10.0).log().item())


def test_the_network_is_sigmoid_layers_and_a_linear_head(digits):
    torch.manual_seed(0)
    model = DBN(SPEC, hidden=[12, 9], pretrain_epochs=0)
    torch.nn.init.normal_(model.head.weight)
    h = digits[0].flatten(1)
    for machine in model.machines:
        h = 1 / (1 + torch.exp(-(h @ machine.up.weight.T + machine.up.bias)))
    torch.testing.assert_close(model(digits[0]), h @ model.head.weight.T + model.head.bias)
    trained_numbers = sum(each.numel() for each in model.parameters() if each.requires_grad)
    assert trained_numbers == 784 * 12 + 12 + 12 * 9 + 9 + 9 * 10 + 10


def test_a_run_that_goes_on_inside_or_after_a_phase_ends_with_the_same_bits(compose_config, tmp_path):
    whole = Watch(tmp_path, (7, 20, 27))
    trained(compose_config, "model.dropout=0.2", watch=whole, folder=tmp_path / "whole")
    for name in ("7", "20", "27", "epoch_1"):
        rest, words = Watch(), ("model.dropout=0.2", f"checkpoint={tmp_path / name}.ckpt")
        trained(compose_config, *words, watch=rest, folder=tmp_path / f"from_{Path(name).name}")
        assert all(torch.equal(rest.weights[-1][key], value) for key, value in whole.weights[-1].items()), name


def test_validation_measures_the_machine_that_learns_and_no_other(compose_config):
    run, _ = trained(compose_config, "trainer.max_epochs=4")
    metrics = {name: float(value) for name, value in run.trainer.callback_metrics.items()}
    lower, upper = run.model.machines
    v = lower(run.data.encode(run.data.part("val").x[:500]).flatten(1))
    assert metrics["val/reconstruction"] == pytest.approx(upper.reconstruction(v).mean().item(), rel=1e-5)
    assert metrics["val/pseudo_likelihood"] == pytest.approx(upper.pseudo_likelihood(v).mean().item(), rel=1e-5)


def test_without_machines_any_numbers_are_read_and_nothing_is_measured(compose_config):
    words = ("trainer.max_epochs=1", "model.pretrain_epochs=0", "data.scaling=standard")
    assert "val/reconstruction" not in trained(compose_config, *words)[1]


def test_the_log_tells_when_a_phase_begins_and_that_no_epoch_is_left(compose_config, caplog):
    with caplog.at_level(logging.INFO, logger="fulgurite"):
        trained(compose_config, "trainer.max_epochs=4")
    lines = [record.getMessage() for record in caplog.records if record.name == "fulgurite.models.dbn"]
    assert lines == [
        "4 epochs of pre-training leave none of the run's 4 for back-propagation",
        "phase 1, from epoch 1 on: layer 1 of 2 learns as a Boltzmann machine",
        "phase 2, from epoch 3 on: layer 2 of 2 learns as a Boltzmann machine",
    ]


@pytest.mark.parametrize(("epochs", "line"), [(2, "number of the step or epoch"), (0, "train as one")])
def test_phases_train_alone_and_say_why_and_a_network_without_them_is_fused(epochs, line, compose_config, tmp_path):
    lines: list[str] = []
    words = (*SMALL, f"model.pretrain_epochs={epochs}", "trainer.max_epochs=1")

    def job(seed: int) -> None:
        cfg = compose_config(*words, f"seed={seed}", folder=tmp_path / str(seed))
        fit(build(cfg, epoch_loop=FusedEpochLoop))

    run_together({str(seed): lambda seed=seed: job(seed) for seed in (1, 2)}, Settings(tell=lines.append, probe=False))
    assert line in " ".join(lines)


def test_pixels_that_are_no_probabilities_are_refused_before_training(compose_config):
    with pytest.raises(DataError, match=r"model=dbn reads numbers from 0 to 1.*use data.scaling=unit"):
        trained(compose_config, "data.scaling=standard")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": []}, "^hidden must be a list of positive integers"),
        ({"pretrain_epochs": -1}, "^pretrain_epochs must be an integer >= 0, got -1"),
        ({"pretrain_factor": 0}, "^pretrain_factor must be a number > 0, got 0"),
        ({"dropout": 1.0}, r"^dropout must be in \[0, 1\), got 1.0"),
        ({"rule": "cd1"}, "^rule must be one of cd, pcd; got 'cd1'"),
    ],
)
def test_what_a_dbn_cannot_be_is_told(options, message):
    with pytest.raises(ConfigError, match=message):
        DBN(SPEC, **options)


@pytest.mark.parametrize(("then", "now"), [(1, 0), (0, 1)])
def test_a_network_without_its_phases_does_not_go_on_from_one_with_them(
    compose_config, tmp_path: Path, then: int, now: int
):
    trained(compose_config, "trainer.max_epochs=1", f"model.pretrain_epochs={then}", folder=tmp_path / "made")
    last = tmp_path / "made" / "checkpoints" / "last.ckpt"
    words = ("trainer.max_epochs=2", f"model.pretrain_epochs={now}", f"checkpoint='{last}'")
    with pytest.raises(RunFolderError, match=r"last\.ckpt .*: its optimiser trains other parameters than .*'s SGD \("):
        trained(compose_config, *words, folder=tmp_path / "other")
