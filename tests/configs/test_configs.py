"""Every yaml in conf/ composes and builds; what this machine lacks is refused in one line."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from fulgurite.build import Run, build
from fulgurite.config import CONF_DIR
from fulgurite.errors import ConfigError
from fulgurite.job import run_job

FILES = sorted(path.relative_to(CONF_DIR) for path in CONF_DIR.rglob("*.yaml"))
# ``group=option`` for each file but the top-level ones.
OPTIONS = [f"{path.parent.as_posix()}={path.stem}" for path in FILES if path.parent != Path(".")]
EXPERIMENTS = [option for option in OPTIONS if option.startswith(("experiment=", "debug="))]
# Their data are no part of the package.
DOWNLOADED = ("experiment=geron_fashion",)
# What an option needs beside it, where the default experiment (a CNN on MNIST) does not suit it.
REGRESSION = ["data=quadratic", "model=mlp"]
COMPANIONS = {
    "data=quadratic": ["model=mlp"],
    "data=linear": ["model=linear"],
    "data=sine": ["model=mlp"],
    "data=logic": ["model=mlp"],
    "data=iris": ["model=mlp"],
    "data=random_labels": ["model=mlp"],
    "loss=bce": ["data=mnist_even"],
    "head=softmax": ["loss=mse"],
    "head=sigmoid": ["loss=half_squares"],
    "head=tanh": ["data=mnist_centre"],
    "head=softplus": REGRESSION,
    "head=relu": REGRESSION,
    "model=rashid": ["head=sigmoid", "loss=half_squares"],
    "callbacks=clean_curve": REGRESSION,
}
# Networks of which two whole batches would take a CPU many seconds.
MEANT_FOR_A_GPU = ("experiment=cnn_best", "experiment=cnn_ensemble", "experiment=mlp_aug_gpu")
MEANT_FOR_A_GPU += ("experiment=smnist", "experiment=psmnist")
HAS_CUDA = torch.cuda.is_available()
HAS_MPS = torch.backends.mps.is_available()
NO_DEVICE = "this machine has no such device, only cpu; use trainer=auto"
# What is to be expected here instead of a run: an option, whether it is missing, and the words of the error.
MISSING = {
    "trainer=gpu": (not (HAS_CUDA or HAS_MPS), NO_DEVICE),
    "trainer=ddp": (not HAS_CUDA, NO_DEVICE),
    "trainer=fsdp": (not HAS_CUDA, NO_DEVICE),
    "trainer=mps": (not HAS_MPS, "this machine has no such device"),
    "logger=mlflow": (find_spec("mlflow") is None, r'pip install "fulgurite\[mlflow\]"'),
    "logger=wandb": (find_spec("wandb") is None, r'pip install "fulgurite\[wandb\]"'),
}


def test_all_groups_are_found():
    groups = {option.partition("=")[0] for option in OPTIONS}
    expected = {"augmentation", "callbacks", "data", "debug", "experiment", "logger", "loss", "model", "optimizer"}
    assert expected | {"scheduler", "trainer"} <= groups


@pytest.mark.parametrize("file", FILES, ids=str)
def test_each_config_opens_with_its_purpose_in_one_line(file):
    lines = [line for line in (CONF_DIR / file).read_text().splitlines() if not line.startswith("# @package")]
    assert lines[0].startswith("# ")
    assert lines[0].endswith((".", ":", "?"))


@pytest.mark.parametrize("path", sorted((CONF_DIR / "experiment").glob("*.yaml")), ids=lambda path: path.stem)
def test_each_experiment_says_in_two_lines_what_it_shows_and_where_it_is_from(path):
    package, *purpose = path.read_text().splitlines()[:3]
    assert package == "# @package _global_"
    assert [line[:2] for line in purpose] == ["# ", "# "]


@pytest.mark.filterwarnings("ignore:You have turned on `Trainer.detect_anomaly")
@pytest.mark.parametrize("option", OPTIONS)
def test_each_option_composes_and_builds(option, compose_config):
    cfg = compose_config(option, *COMPANIONS.get(option, []))
    is_missing, words = MISSING.get(option, (False, ""))
    if is_missing:
        with pytest.raises(ConfigError, match=words):
            build(cfg)
    else:
        assert isinstance(build(cfg), Run)


@pytest.mark.filterwarnings("ignore:You have turned on `Trainer.detect_anomaly")
@pytest.mark.parametrize("option", [option for option in EXPERIMENTS if option not in DOWNLOADED])
def test_each_experiment_trains(option, compose_config):
    short = [f"trainer.limit_{part}_batches=2" for part in ("train", "val", "test")]
    short += ["data.batch_size=8", "data.eval_batch_size=8"] if option in MEANT_FOR_A_GPU else []
    result = run_job(compose_config(option, *short, "trainer.max_epochs=1"), [])
    assert result.status == "finished"
    assert result.epochs == 1
    assert result.objective.value is not None
