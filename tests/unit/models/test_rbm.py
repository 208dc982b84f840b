"""The RBM as a run: its readout, its measures, and that it goes on bit by bit."""

from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from fulgurite.build import Run, build
from fulgurite.errors import ConfigError, DataError
from fulgurite.fit import fit
from fulgurite.models.boltzmann_measures import free_energy_gap
from fulgurite.models.rbm import RBM

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")

SPEC = {"task": "classification", "input_shape": [1, 28, 28], "num_outputs": 10, "metric": "val/acc", "mode": "max"}
# 10 steps an epoch.
SMALL = (
    "model=rbm",
    "model.hidden=20",
    "data.scaling=unit",
    "data.train_subset=500",
    "data.batch_size=50",
    "optimizer=sgd",
    "optimizer.lr=0.5",
    "trainer=cpu",
    "trainer.max_epochs=2",
    "trainer.limit_val_batches=2",
    "logger=none",
    "callbacks.progress=null",
    "callbacks.pictures.enabled=false",
    "test=false",
)


class SaveAt(pl.Callback):
    """Saves a checkpoint after a step."""

    def __init__(self, path: Path, step: int) -> None:
        self.path, self.step = path, step

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


def trained(compose_config, *words: str, save: SaveAt | None = None, **options) -> tuple[Run, dict[str, float]]:
    run = build(compose_config(*SMALL, *words, **options))
    run.trainer.callbacks.extend([] if save is None else [save])
    return run, fit(run).metrics


def batch(number: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(number, 1, 28, 28, generator=generator), torch.arange(number) % 10


def test_the_number_of_parameters_is_that_of_weights_biases_and_readout():
    model = RBM(SPEC, hidden=20)
    assert sum(each.numel() for each in model.parameters()) == 784 * 20 + 20 + 784 + 20 * 10 + 10
    assert model(batch()[0]).shape == (8, 10)


def test_the_machine_learns_without_targets_and_the_readout_without_the_machine():
    gradients = []
    for labels in (batch()[1], batch()[1].flip(0)):
        torch.manual_seed(0)
        model = RBM(SPEC, hidden=20)
        torch.manual_seed(1)
        model.training_step((batch()[0], labels), 0)["loss"].backward()
        gradients.append((model.machine.up.weight.grad, model.readout.bias.grad))
    assert torch.equal(gradients[0][0], gradients[1][0])
    assert gradients[0][0].abs().max() > 0
    model.eval()
    model.zero_grad()
    model.training_step(batch(), 0)["loss"].backward()
    assert model.machine.up.weight.grad is None


def test_the_loss_that_is_told_is_that_of_the_readout_alone():
    model = RBM(SPEC, hidden=20)
    # A readout of zeros gives even odds.
    assert model.training_step(batch(), 0)["loss"].item() == pytest.approx(torch.tensor(10.0).log().item())


def test_momentum_and_weight_decay_of_the_optimiser_are_those_of_the_machine():
    torch.manual_seed(0)
    model = RBM(SPEC, hidden=5, centred=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9, weight_decay=0.01)
    weight = model.machine.up.weight
    expected, velocity = weight.detach().clone(), torch.zeros_like(weight)
    for step in range(3):
        torch.manual_seed(step)
        (gradient,) = torch.autograd.grad(model.machine.contrast(batch()[0].flatten(1)), [weight])
        velocity = 0.9 * velocity + gradient + 0.01 * expected
        expected = expected - 0.5 * velocity
        torch.manual_seed(step)
        optimizer.zero_grad()
        model.training_step(batch(), 0)["loss"].backward()
        optimizer.step()
        torch.testing.assert_close(weight, expected)


def test_the_machine_stands_still_after_its_epochs_and_the_readout_goes_on(compose_config, tmp_path):
    words = ("model.learn_epochs=1", "scheduler=constant", "optimizer.lr=0.1", "seed=1")
    (short, _), (whole, _) = (
        trained(compose_config, *words, f"trainer.max_epochs={each}", folder=tmp_path / str(each)) for each in (1, 3)
    )
    one, three = short.model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(one[name], three[name]) for name in one if name.startswith("machine."))
    assert not torch.equal(one["readout.weight"], three["readout.weight"])


@pytest.mark.parametrize("rule", ["cd", "pcd"])
def test_a_run_that_goes_on_inside_an_epoch_ends_with_the_same_bits(rule, compose_config, tmp_path):
    words = (f"model.rule={rule}", "model.num_chains=6")
    checkpoint = tmp_path / "at.ckpt"
    whole, _ = trained(compose_config, *words, save=SaveAt(checkpoint, 13), folder=tmp_path / "whole")
    rest, _ = trained(compose_config, *words, f"checkpoint={checkpoint}", folder=tmp_path / "rest")
    states = whole.model.state_dict(), rest.model.state_dict()
    assert ("machine.chains" in states[0]) == (rule == "pcd")
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_run_measures_the_machine_and_begins_with_the_mean_of_its_images(compose_config):
    run, metrics = trained(compose_config)
    model, data = run.model, run.data
    x = data.encode(data.part("val").x[:1000]).flatten(1)
    assert metrics["val/reconstruction"] == pytest.approx(model.machine.reconstruction(x).mean().item(), rel=1e-5)
    parts = [model.machine.pseudo_likelihood(each).mean().item() for each in x.split(500)]
    assert metrics["val/pseudo_likelihood"] == pytest.approx(sum(parts) / 2, rel=1e-5)
    assert metrics["val/free_energy_gap"] == pytest.approx(free_energy_gap(model.machine, model).item(), rel=1e-5)
    mean = data.encode(data.part("train").x).flatten(1).mean(dim=0)
    torch.testing.assert_close(model.machine.offset, mean)
    of_means = torch.nn.functional.binary_cross_entropy(mean.clamp(0.01, 0.99).expand(x.shape), x) * 784
    assert metrics["val/reconstruction"] < of_means


def test_any_measure_of_the_machine_may_say_which_epoch_is_best(compose_config):
    words = ("objective.metric=val/pseudo_likelihood", "objective.mode=max")
    run = build(compose_config(*SMALL, *words))
    outcome = fit(run)
    assert outcome.objective == pytest.approx(outcome.metrics["val/pseudo_likelihood"])


def test_pixels_that_are_no_probabilities_are_refused_before_training(compose_config):
    with pytest.raises(DataError, match=r"model=rbm reads numbers from 0 to 1.*use data.scaling=unit"):
        trained(compose_config, "data.scaling=standard")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": 0}, "^hidden must be an integer >= 1, got 0"),
        ({"rule": "gibbs"}, "^rule must be one of cd, pcd"),
        ({"learn_epochs": -1}, "^learn_epochs must be an integer >= 0, got -1"),
    ],
)
def test_what_an_rbm_cannot_be_is_told(options, message):
    with pytest.raises(ConfigError, match=message):
        RBM(SPEC, **options)
