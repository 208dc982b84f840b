"""The gradient of each layer."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from fulgurite.build import build
from fulgurite.callbacks.layer_gradients import LayerGradients, layer_gradients
from fulgurite.errors import ConfigError
from fulgurite.fit import fit
from fulgurite.log import log_to
from fulgurite.models.linear import Linear
from fulgurite.models.mlp import MLP

SPEC = {"task": "classification", "input_shape": [4], "num_outputs": 3, "metric": "val/acc", "mode": "max"}
LOADED: dict[str, Any] = {}


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.randn(20, 4), torch.randint(3, (20,))


def test_the_norm_of_a_softmax_layers_gradient_is_that_of_its_formula(batch) -> None:
    x, y = batch
    model = Linear(SPEC, init="default")
    with torch.no_grad():
        error = model(x).softmax(dim=1) - torch.nn.functional.one_hot(y, 3)
    # Of the mean cross entropy: (p - t)^T x / B.
    (norm,) = layer_gradients(model, x, y).values()
    assert float(norm) == pytest.approx(float((error.T @ x / 20).norm()), rel=1e-5)


def test_each_weight_has_its_norm_from_the_first_layer_to_the_last(batch) -> None:
    model = MLP(SPEC, hidden=[5, 6], activation="tanh")
    found = layer_gradients(model, *batch)
    loss = model.loss(model(batch[0]), batch[1])
    weights = [each for each in model.parameters() if each.dim() > 1]
    assert [float(each) for each in found.values()] == pytest.approx(
        [float(each.norm()) for each in torch.autograd.grad(loss, weights)]
    )


def test_a_gradient_shrinks_by_a_quarter_at_least_in_each_sigmoid() -> None:
    torch.manual_seed(0)
    model = MLP(SPEC, hidden=[8] * 8, activation="sigmoid")
    norms = [float(each) for each in layer_gradients(model, torch.randn(64, 4), torch.randint(3, (64,))).values()]
    # The slope of a sigmoid is 1/4 at most, and these weights are below 1 / sqrt(8).
    assert norms[0] < 1e-6 * norms[-1]


def test_batch_norm_sees_the_batch_and_remembers_nothing_of_it(batch) -> None:
    torch.manual_seed(0)
    model = MLP(SPEC, hidden=[5], norm="batch", dropout=0.5)
    model.eval()
    before = {name: each.clone() for name, each in model.state_dict().items()}
    state = torch.get_rng_state()
    far = layer_gradients(model, batch[0] * 100 + 5, batch[1])
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training
    assert all(each.grad is None for each in model.parameters())
    # With running means of 0 and deviations of 1, numbers a hundred times as large would make a far larger gradient.
    assert float(far["net.5"]) < 5


def test_a_run_with_it_logs_the_untrained_network_first_and_learns_the_same(compose_config, tmp_path: Path) -> None:
    words = ("model=mlp", "model.hidden=[12,9]", "model.norm=batch", "trainer=cpu", "trainer.max_epochs=2")
    words += ("data.train_subset=300", "data.num_val=100", "callbacks.progress=null", "logger=csv", "test=false")
    weights = {}
    for kind in ("default", "layer_gradients"):
        (tmp_path / kind).mkdir()
        with log_to(tmp_path / kind):
            run = build(compose_config(*words, f"callbacks={kind}", folder=tmp_path / kind), loaded=LOADED)
            fit(run)
        weights[kind] = run.model.state_dict()
    assert all(torch.equal(each, weights["default"][name]) for name, each in weights["layer_gradients"].items())
    with (tmp_path / "layer_gradients" / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row.get("layer_gradient/01_net.1")]
    untrained: Any = build(compose_config(*words, folder=tmp_path), loaded=LOADED)
    x, y = (each[:256] for each in untrained.data.part("train"))
    expected = layer_gradients(untrained.model, untrained.data.encode(x), y)
    for (name, norm), number in zip(expected.items(), (1, 2, 3), strict=True):
        assert float(rows[0][f"layer_gradient/{number:02d}_{name}"]) == pytest.approx(float(norm), rel=1e-5)
    assert rows[1]["layer_gradient/01_net.1"] != rows[0]["layer_gradient/01_net.1"]


def test_a_batch_of_no_samples_is_refused() -> None:
    with pytest.raises(ConfigError, match="num_samples must be an integer >= 1, got 0"):
        LayerGradients(num_samples=0)
