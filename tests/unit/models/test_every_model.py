"""What holds for every model: learns, repeats itself, is rebuilt from its checkpoint, is off in evaluation."""

import copy

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from fulgurite.data.mnist import MNIST
from fulgurite.models.cnn import CNN
from fulgurite.models.dbn import DBN
from fulgurite.models.lenet5 import LeNet5
from fulgurite.models.linear import Linear
from fulgurite.models.mlp import MLP
from fulgurite.models.perceptron import Perceptron
from fulgurite.models.rbm import RBM
from fulgurite.models.recurrent import Recurrent
from fulgurite.models.supervised import Supervised

IMAGES = {"task": "classification", "input_shape": [1, 28, 28], "num_outputs": 10, "metric": "val/acc", "mode": "max"}
POINTS = {"task": "regression", "input_shape": [4], "num_outputs": 2, "metric": "val/loss", "mode": "min"}
SCALED = {**POINTS, "target_mean": 3.0, "target_std": 2.0}
LABELS = {**IMAGES, "task": "regression", "num_outputs": 1, "metric": "val/loss", "mode": "min"}

CLASSIFIERS = {
    "linear": (Linear, {}, 0.05),
    "perceptron": (Perceptron, {"init": "default"}, 0.05),
    "mlp": (MLP, {"hidden": [32]}, 0.01),
    "mlp_norm": (MLP, {"hidden": [32], "norm": "layer", "activation": "gelu", "init": "kaiming_uniform"}, 0.01),
    "cnn": (CNN, {"channels": [4, 8]}, 0.01),
    "cnn_average": (CNN, {"channels": [16, 32], "head": "average"}, 0.02),
    "lenet5": (LeNet5, {}, 0.005),
    "rbm": (RBM, {"hidden": 64, "init": "xavier_uniform", "learn_epochs": 0}, 0.05),
    "dbn": (DBN, {"hidden": [64], "pretrain_epochs": 0}, 0.02),
    "rnn": (Recurrent, {"cell": "rnn", "hidden": 32, "readout": "mean"}, 0.01),
    "lstm": (Recurrent, {"cell": "lstm", "hidden": 32}, 0.02),
    "gru": (Recurrent, {"cell": "gru", "hidden": 16, "layers": 2, "bidirectional": True}, 0.02),
}
REGRESSORS = {
    "linear": (Linear, POINTS, {}, 0.1),
    "mlp": (MLP, SCALED, {"hidden": [32]}, 0.02),
    "gru_features": (Recurrent, SCALED, {"cell": "gru", "hidden": 16, "by": "features"}, 0.02),
    "lstm_images": (Recurrent, LABELS, {"cell": "lstm", "hidden": 16}, 0.02),
    "cnn_images": (CNN, LABELS, {"channels": [4, 8]}, 0.01),
}
RANDOM = {
    "mlp": (MLP, {"hidden": [16], "dropout": 0.5, "norm": "batch"}),
    "cnn": (CNN, {"channels": [4], "dropout": 0.5}),
    "lenet5": (LeNet5, {"dropout": 0.5}),
    "gru": (Recurrent, {"cell": "gru", "hidden": 8, "layers": 2, "dropout": 0.5}),
}


def _make(name: str, seed: int = 0) -> Supervised:
    torch.manual_seed(seed)
    family, options, _ = CLASSIFIERS[name]
    return family(spec=IMAGES, **options)


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    """32 real digits as the models see them."""
    data = MNIST(spec=IMAGES, batch_size=32, train_subset=32)
    data.setup("fit")
    return next(iter(data.train_dataloader()))


def _train(model: Supervised, x: Tensor, y: Tensor, *, lr: float, num_steps: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    model.train()
    for _ in range(num_steps):
        optimizer.zero_grad()
        model.training_step((x, y), 0)["loss"].backward()
        optimizer.step()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_every_classifier_overfits_32_digits(name: str, digits: tuple[Tensor, Tensor]) -> None:
    model = _make(name)
    _train(model, *digits, lr=CLASSIFIERS[name][2], num_steps=80)
    step = model.training_step(digits, 0)
    assert (step["output"].argmax(1) == digits[1]).all()
    assert step["loss"] < 0.1


@pytest.mark.parametrize("name", REGRESSORS)
def test_every_regressor_overfits_32_points(name: str, digits: tuple[Tensor, Tensor]) -> None:
    family, spec, options, lr = REGRESSORS[name]
    torch.manual_seed(0)
    if spec is LABELS:
        x, y = digits[0], digits[1].float().unsqueeze(1)
    else:
        x = torch.randn(32, 4)
        y = x @ torch.tensor([[1.0, 0.0], [0.0, -2.0], [0.5, 0.0], [0.0, 1.0]]) + 3
    model = family(spec=spec, **options)
    _train(model, x, y, lr=lr, num_steps=250)
    model.train()
    assert model.training_step((x, y), 0)["loss"] < 0.02 * y.var()


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_seed_decides_the_weights_of_every_model(name: str) -> None:
    first, same, other = (_make(name, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[key], same[key]) for key in first)
    # A linear layer starts at zero whatever the seed.
    assert name == "linear" or any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_checkpoint_alone_rebuilds_every_model(name: str, digits: tuple[Tensor, Tensor], tmp_path) -> None:
    model = _make(name)
    _train(model, *digits, lr=0.01, num_steps=2)
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    again = type(model).load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True)
    with torch.no_grad():
        assert torch.equal(model.eval()(digits[0]), again.eval()(digits[0]))


@pytest.mark.parametrize("name", RANDOM)
def test_dropout_and_batch_norm_are_off_in_evaluation(name: str, digits: tuple[Tensor, Tensor]) -> None:
    family, options = RANDOM[name]
    model = family(spec=IMAGES, **options)
    x = digits[0]
    with torch.no_grad():
        assert not torch.equal(model(x), model(x))
        model.eval()
        whole = model(x)
        assert torch.equal(whole, model(x))
        # Of a lone sample the batch statistics would be another thing altogether.
        torch.testing.assert_close(model(x[:1]), whole[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", RANDOM)
def test_dropout_is_a_function_of_seed_and_step(name: str, digits: tuple[Tensor, Tensor]) -> None:
    family, options = RANDOM[name]
    model = family(spec=IMAGES, **options)
    first, other_step, other_seed, again = (
        _output_of_step(model, digits, seed, step) for seed, step in ((1, 5), (1, 6), (2, 5), (1, 5))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other_step)
    assert not torch.equal(first, other_seed)


class _Clock:
    """The one thing of a trainer that the seeding of a step reads."""

    def __init__(self, total_batch_idx: int) -> None:
        self.fit_loop = self
        self.total_batch_idx = total_batch_idx
        self.global_rank = 0


def _output_of_step(model: Supervised, batch: tuple[Tensor, Tensor], seed: int, step: int) -> Tensor:
    # Batch statistics of a copy: running averages stay as they are.
    model = copy.deepcopy(model)
    model.seed = seed
    model._trainer = _Clock(step)  # type: ignore[assignment]
    model._fabric = None
    torch.rand(step)
    model.on_train_batch_start(batch, 0)
    return model.training_step(batch, 0)["output"]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_training_step_is_pure(name: str, digits: tuple[Tensor, Tensor]) -> None:
    model = _make(name)
    state = {key: value.clone() for key, value in model.state_dict().items() if "running" not in key}
    attributes = set(vars(model))
    first, second = (model.training_step(digits, index)["loss"] for index in (0, 7))
    assert torch.equal(first, second)
    assert set(vars(model)) == attributes
    changed = [key for key in state if not torch.equal(state[key], model.state_dict()[key])]
    assert all("num_batches_tracked" in key for key in changed)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_training_step_runs_on_parameters_given_from_outside(name: str, digits: tuple[Tensor, Tensor]) -> None:
    model, other = _make(name, 0), _make(name, 1)
    _train(other, *digits, lr=0.01, num_steps=1)
    model.eval()
    given = torch.func.functional_call(model, other.state_dict(), (digits[0],))
    torch.testing.assert_close(given, other.eval()(digits[0]))


# The machine of an RBM has epochs of its own; see test_rbm.py.
@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if name != "rbm"])
def test_every_parameter_gets_a_gradient(name: str, digits: tuple[Tensor, Tensor]) -> None:
    model = _make(name)
    model.training_step(digits, 0)["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_regression_output_is_in_the_unit_of_the_targets() -> None:
    model = Linear(spec=SCALED)
    # Zero weights predict the mean of the targets.
    assert torch.equal(model(torch.randn(5, 4)), torch.full((5, 2), 3.0))
    nn.init.constant_(model.net[1].bias, 1.5)
    assert torch.equal(model(torch.zeros(5, 4)), torch.full((5, 2), 3.0 + 2.0 * 1.5))


def test_class_predictions_are_probabilities(digits: tuple[Tensor, Tensor]) -> None:
    model = _make("mlp")
    probabilities = model.predict_step(digits, 0)
    expected = torch.exp(model(digits[0])) / torch.exp(model(digits[0])).sum(1, keepdim=True)
    torch.testing.assert_close(probabilities, expected)
