"""The networks of scikit-learn's MLPClassifier and MLPRegressor, weights transplanted: the same outputs, and curves.

``sgd`` and ``adam`` are the same rules, and curves agree to rounding. Its ``lbfgs`` is SciPy's, with another line
search than torch's: both come to the same least loss, by other steps. Its ``alpha`` is a penalty on weights alone,
``optimizer.weight_decay`` on biases too; both are 0 here.
"""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytorch_lightning import Callback
from sklearn.neural_network import MLPClassifier, MLPRegressor
from torch import nn

from fulgurite.build import Run, build

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    # Its warning that max_iter was reached: both are stopped there.
    pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:lbfgs failed to converge:sklearn.exceptions.ConvergenceWarning"),
]

EPOCHS = 12
# Names of scikit-learn's activations, and ours.
ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
ALIKE = (
    "model=mlp",
    "model.norm=none",
    "data.batch_size=null",
    "data.passes_per_epoch=1",
    "trainer.precision=64-true",
    "scheduler=constant",
    "logger=none",
    "test=false",
)
IRIS = ("data=iris", *ALIKE)
# scikit-learn's squared error is halved, and it scales no targets.
PLANE = ("data=linear", "data.num_features=3", "data.num_points=150", "data.bias=0.0", "loss=half_squares", *ALIKE)
SGD = ("optimizer=sgd", "optimizer.momentum=0.0", "optimizer.fused=false")


class Pair(NamedTuple):
    """A run of ours that has not begun, and the training data as both see them."""

    run: Run
    x: NDArray
    y: NDArray


class Losses(Callback):
    """The training loss of each epoch, which is one batch."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.losses.append(float(outputs["loss"]))


def prepare(compose_config: Any, *overrides: str) -> Pair:
    run = build(compose_config(*overrides, f"trainer.max_epochs={EPOCHS}"))
    run.data.setup("fit")
    part = run.data.part("train")
    y = part.y.numpy()
    return Pair(run, run.data.encode(part.x).double().numpy(), y if y.ndim == 1 else y[:, 0].astype(np.float64))


def of_scikit_learn(pair: Pair, hidden: tuple[int, ...], **options: Any) -> MLPClassifier | MLPRegressor:
    kind = MLPRegressor if pair.y.dtype.kind == "f" else MLPClassifier
    fixed = {"alpha": 0.0, "shuffle": False, "tol": 0.0, "max_iter": EPOCHS, "random_state": 3}
    given = {"batch_size": len(pair.x), "n_iter_no_change": EPOCHS, **fixed, **options}
    return kind(hidden_layer_sizes=hidden, **given)


def start(theirs: MLPClassifier | MLPRegressor, pair: Pair) -> MLPClassifier | MLPRegressor:
    """Its network before training: a step of no length leaves the weights that its seed draws."""
    options = {**theirs.get_params(), "max_iter": 1, "solver": "sgd", "learning_rate_init": 1e-300}
    return type(theirs)(**options).fit(pair.x, pair.y)


def transplant(theirs: MLPClassifier | MLPRegressor, model: nn.Module) -> None:
    layers = [each for each in model.modules() if isinstance(each, nn.Linear)]
    with torch.no_grad():
        for layer, weight, bias in zip(layers, theirs.coefs_, theirs.intercepts_, strict=True):
            layer.weight.copy_(torch.from_numpy(weight.T))
            layer.bias.copy_(torch.from_numpy(bias))


def train(pair: Pair) -> list[float]:
    """The training loss of each epoch of ours, before the step that it leads to."""
    pair.run.trainer.callbacks.append(losses := Losses())
    pair.run.trainer.fit(pair.run.model, datamodule=pair.run.data)
    return losses.losses


def curves_of_both(pair: Pair, theirs: MLPClassifier | MLPRegressor) -> tuple[list[float], list[float]]:
    transplant(start(theirs, pair), pair.run.model)
    return train(pair), theirs.fit(pair.x, pair.y).loss_curve_


@pytest.mark.parametrize("theirs_name", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(100,), (100, 200, 100)], ids=str)
def test_transplanted_weights_give_the_probabilities_of_its_classifier(compose_config, theirs_name, hidden) -> None:
    ours = f"model.activation={ACTIVATIONS[theirs_name]}"
    pair = prepare(compose_config, *IRIS, f"model.hidden={list(hidden)}", ours)
    theirs = of_scikit_learn(pair, hidden, activation=theirs_name, solver="adam").fit(pair.x, pair.y)
    model = pair.run.model.double().eval()
    transplant(theirs, model)
    probabilities = model.predict_step((torch.from_numpy(pair.x), torch.from_numpy(pair.y)), 0)
    np.testing.assert_allclose(probabilities.detach().numpy(), theirs.predict_proba(pair.x), atol=1e-6)


def test_transplanted_weights_give_the_probability_of_its_classifier_of_two_classes(compose_config) -> None:
    pair = prepare(compose_config, "data=mnist_even", "data.train_subset=100", "model.hidden=[20]", *ALIKE)
    x, y = pair.x.reshape(100, -1), pair.y.astype(int)
    theirs = of_scikit_learn(Pair(pair.run, x, y), (20,), solver="adam").fit(x, y)
    model = pair.run.model.double().eval()
    transplant(theirs, model)
    probability = model.predict_step((torch.from_numpy(pair.x), torch.from_numpy(y)), 0)
    np.testing.assert_allclose(probability.detach().numpy()[:, 0], theirs.predict_proba(x)[:, 1], atol=1e-6)


@pytest.mark.parametrize("theirs_name", ACTIVATIONS)
def test_transplanted_weights_give_the_numbers_and_the_score_of_its_regressor(compose_config, theirs_name) -> None:
    ours = f"model.activation={ACTIVATIONS[theirs_name]}"
    pair = prepare(compose_config, *PLANE, "model.hidden=[100]", ours)
    theirs = of_scikit_learn(pair, (100,), activation=theirs_name, solver="adam").fit(pair.x, pair.y)
    model = pair.run.model.double().eval()
    transplant(theirs, model)
    output = model(torch.from_numpy(pair.x)).detach()
    np.testing.assert_allclose(output.numpy()[:, 0], theirs.predict(pair.x), atol=1e-6)
    model.train_scores.collect(torch.tensor(0.0), output, torch.from_numpy(pair.y)[:, None])
    assert float(model.train_scores.compute()["train/r2"]) == pytest.approx(theirs.score(pair.x, pair.y), abs=1e-5)


# Ours, and the same for scikit-learn. Schedules: its learning rates with momentum are not torch's, so without.
SOLVERS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "sgd": ((*SGD, "optimizer.lr=0.1"), {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.1}),
    "momentum": (
        ("optimizer=sgd", "optimizer.lr=0.05"),
        {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": False, "learning_rate_init": 0.05},
    ),
    "nesterov": (
        ("optimizer=sgd", "optimizer.lr=0.05", "optimizer.nesterov=true"),
        {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": True, "learning_rate_init": 0.05},
    ),
    "adam": (("optimizer=adam", "optimizer.lr=0.01"), {"solver": "adam", "learning_rate_init": 0.01}),
    "invscaling": (
        (*SGD, "optimizer.lr=1.0", "scheduler=invscaling", "scheduler.samples_per_step=90"),
        {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 1.0, "learning_rate": "invscaling"},
    ),
    "adaptive": (
        (*SGD, "optimizer.lr=2.0", "scheduler=adaptive", "scheduler.patience=1", "scheduler.threshold=0.01"),
        {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 2.0, "learning_rate": "adaptive"}
        | {"n_iter_no_change": 1, "tol": 0.01},
    ),
}


def some_slow(names: Any, *quick: str) -> list[Any]:
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("solver", some_slow(SOLVERS, "adam", "adaptive"))
def test_the_training_curve_of_its_classifier_is_ours(compose_config, solver) -> None:
    words, options = SOLVERS[solver]
    pair = prepare(compose_config, *IRIS, "model.hidden=[20]", "model.activation=tanh", *words)
    ours, theirs = curves_of_both(pair, of_scikit_learn(pair, (20,), activation="tanh", **options))
    assert theirs[-1] < 0.7 * theirs[0]
    # torch adds Adam's eps to another term, which is some 1e-7 of it.
    np.testing.assert_allclose(ours, theirs, rtol=1e-5 if solver == "adam" else 1e-6)


@pytest.mark.parametrize("solver", some_slow(["nesterov", "adam"], "nesterov"))
def test_the_training_curve_of_its_regressor_is_ours(compose_config, solver) -> None:
    words, options = SOLVERS[solver]
    pair = prepare(compose_config, *PLANE, "model.hidden=[20]", *words)
    ours, theirs = curves_of_both(pair, of_scikit_learn(pair, (20,), **options))
    assert theirs[-1] < 0.3 * theirs[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_its_lbfgs_and_ours_come_to_the_same_least_loss(compose_config) -> None:
    words = ("model.activation=identity", "model.hidden=[5]", "optimizer=lbfgs", "optimizer.max_iter=20")
    pair = prepare(compose_config, *PLANE, *words)
    theirs = of_scikit_learn(pair, (5,), activation="identity", solver="lbfgs", max_iter=200, tol=1e-9)
    transplant(start(theirs, pair), pair.run.model)
    ours = train(pair)[-1]
    assert ours == pytest.approx(theirs.fit(pair.x, pair.y).loss_, rel=1e-6)
    # Linear layers in a row are one: what least squares leaves.
    design = np.column_stack([pair.x, np.ones(len(pair.x))])
    residuals = pair.y - design @ np.linalg.lstsq(design, pair.y, rcond=None)[0]
    assert ours == pytest.approx(0.5 * np.mean(residuals**2), rel=1e-6)
