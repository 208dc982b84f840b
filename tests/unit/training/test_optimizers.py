import copy
from typing import Any

import pytest
import torch

from fulgurite.build import build, build_model
from fulgurite.errors import ConfigError
from fulgurite.fit import fit
from fulgurite.models.cnn import CNN
from fulgurite.models.lenet5 import LeNet5
from fulgurite.models.linear import Linear
from fulgurite.models.mlp import MLP
from fulgurite.models.recurrent import Recurrent
from fulgurite.models.supervised import Supervised
from fulgurite.training.optimizers import check_optimizer

# Lightning asks torch in a way that torch calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")

SPEC = {"task": "classification", "input_shape": [1, 28, 28], "num_outputs": 10, "metric": "val/acc", "mode": "max"}
MODELS: dict[str, tuple[type[Supervised], dict[str, Any]]] = {
    "linear": (Linear, {}),
    "mlp": (MLP, {"hidden": [16], "norm": "batch"}),
    "cnn": (CNN, {"channels": [4, 8]}),
    "cnn_average": (CNN, {"channels": [4, 8], "head": "average", "kernel": 1}),
    "lenet5": (LeNet5, {}),
    "rnn": (Recurrent, {"cell": "rnn", "hidden": 8}),
    "lstm": (Recurrent, {"cell": "lstm", "hidden": 8, "bidirectional": True}),
    "gru": (Recurrent, {"cell": "gru", "hidden": 8, "layers": 2}),
}
OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "adam": (torch.optim.Adam, {"lr": 1e-3}),
    "adamw": (torch.optim.AdamW, {"lr": 1e-3}),
    "sgd": (torch.optim.SGD, {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
}


def _steps(model: Supervised, optimizer: torch.optim.Optimizer, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    for _ in range(4):
        optimizer.zero_grad()
        model.training_step(batch, 0)["loss"].backward()
        optimizer.step()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", MODELS)
def test_a_fused_optimiser_gives_the_weights_of_the_plain_one(name: str, optimizer: str) -> None:
    torch.manual_seed(0)
    family, options = MODELS[name]
    # float64: in float32 Adam amplifies rounding. Channels-last weights stay channels-last.
    plain = family(spec=SPEC, **options).double()
    fused = copy.deepcopy(plain)
    batch = torch.randn(16, 1, 28, 28, dtype=torch.float64), torch.randint(0, 10, (16,))
    make, arguments = OPTIMIZERS[optimizer]
    _steps(plain, make(plain.parameters(), **arguments, foreach=False), batch)
    _steps(fused, make(fused.parameters(), **arguments, fused=True), batch)
    for one, other in zip(plain.parameters(), fused.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sgd", torch.optim.SGD),
        ("adam", torch.optim.Adam),
        ("adamw", torch.optim.AdamW),
        ("rmsprop", torch.optim.RMSprop),
        ("lbfgs", torch.optim.LBFGS),
    ],
)
def test_every_optimiser_is_made_as_its_yaml_says(compose_config, name: str, expected: type) -> None:
    cfg = compose_config("model=linear", f"optimizer={name}")
    model = build_model(cfg)
    optimizer = model.make_optimizer(model.parameters())
    assert type(optimizer) is expected
    group = optimizer.param_groups[0]
    for key, value in cfg.optimizer.items():
        # torch works out the limit of evaluations from the limit of iterations.
        if not key.startswith("_") and value is not None:
            assert group[key] == value, key


def test_lbfgs_solves_full_batch_regression_in_lightnings_loop(compose_config) -> None:
    overrides = ["data=linear", "data.num_features=3", "data.batch_size=null", "data.passes_per_epoch=3"]
    run = build(
        compose_config(*overrides, "model=linear", "optimizer=lbfgs", "scheduler=constant", "trainer.max_epochs=1",
                       "test=false", "logger=none")
    )  # fmt: skip
    fit(run)
    x, y = run.data.part("train")
    columns = torch.cat((run.data.encode(x), torch.ones(len(x), 1)), dim=1).double()
    solution = torch.linalg.lstsq(columns, y.double()).solution
    weight, bias = run.model.net[1].weight, run.model.net[1].bias
    std, mean = run.model.spec.target_std, run.model.spec.target_mean
    fitted = torch.cat((weight[0] * std, bias * std + mean)).detach().double()
    torch.testing.assert_close(fitted, solution[:, 0], rtol=1e-4, atol=1e-4)
    assert run.trainer.global_step == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0}, "optimizer.lr must be a number > 0, got 0"),
        ({"lr": "fast"}, "optimizer.lr must be a number > 0, got 'fast'"),
        ({"betas": [1.5, 0.9]}, r"optimizer.betas\[0\] must be in \[0, 1\), got 1.5"),
        ({"betas": 0.9}, r"optimizer.betas must be two numbers such as \[0.9,0.999\], got 0.9"),
        ({"momentum": -0.1}, r"optimizer.momentum must be in \[0, 1\), got -0.1"),
        ({"alpha": 1.0}, r"optimizer.alpha must be in \[0, 1\), got 1.0"),
        ({"weight_decay": -1e-4}, "optimizer.weight_decay must be a number >= 0, got -0.0001"),
        ({"eps": 0.0}, "optimizer.eps must be a number > 0, got 0.0"),
        ({"nesterov": "yes"}, "optimizer.nesterov must be true or false, got 'yes'"),
        ({"nesterov": True, "momentum": 0.0}, "optimizer.nesterov=true needs optimizer.momentum above 0"),
        ({"nesterov": True, "momentum": 0.9, "dampening": 0.5}, "nesterov=true needs optimizer.dampening=0, got 0.5"),
        ({"max_iter": 0}, "optimizer.max_iter must be an integer >= 1, got 0"),
        ({"line_search_fn": "wolfe"}, "optimizer.line_search_fn must be strong_wolfe or null, got 'wolfe'"),
    ],
)
def test_a_bad_argument_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_optimizer({"lr": 0.1, **options})


def test_a_bad_argument_is_refused_before_training(compose_config) -> None:
    with pytest.raises(ConfigError, match=r"optimizer.betas\[1\] must be in \[0, 1\), got 1.0"):
        build_model(compose_config("model=linear", "optimizer.betas=[0.9,1.0]"))
