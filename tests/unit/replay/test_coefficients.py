"""How far a fitted line is from that of least squares, against SciPy's regression."""

import pytest
import torch
from omegaconf import OmegaConf
from scipy.stats import linregress

from fulgurite.errors import RunFolderError
from fulgurite.job import run_job
from fulgurite.replay.coefficients import measure

QUIET = ("trainer=cpu", "logger=none", "callbacks.progress=null", "callbacks.pictures.enabled=false", "test=false")


def finished(compose_config, folder, *words: str):
    cfg = compose_config(*words, *QUIET)
    (folder / ".hydra").mkdir()
    OmegaConf.save(cfg, folder / ".hydra" / "config.yaml")
    assert run_job(cfg, []).status == "finished"
    return cfg


@pytest.mark.parametrize("preset", [pytest.param("linear_regression", marks=pytest.mark.slow), "linear_regression_5"])
def test_the_presets_come_to_the_coefficients_of_least_squares(compose_config, tmp_path, preset) -> None:
    finished(compose_config, tmp_path, f"experiment={preset}")
    assert 0 <= measure(tmp_path)["coefficients/standard_errors"] < 0.05


@pytest.mark.parametrize(
    ("of_weight", "of_bias", "expected"), [pytest.param(3, 0, 3, marks=pytest.mark.slow), (1, -2, 2)]
)
def test_the_distance_is_counted_in_standard_errors(compose_config, tmp_path, of_weight, of_bias, expected) -> None:
    from fulgurite.build import build

    cfg = finished(compose_config, tmp_path, "experiment=linear_regression", "trainer.max_epochs=1")
    data = build(cfg).data
    data.setup("fit")
    part = data.part("train")
    line = linregress(data.encode(part.x)[:, 0].double().numpy(), part.y[:, 0].double().numpy())
    path = tmp_path / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    weights = checkpoint["state_dict"]
    weights["net.1.weight"].fill_(line.slope + of_weight * line.stderr)
    weights["net.1.bias"].fill_(line.intercept + of_bias * line.intercept_stderr)
    torch.save(checkpoint, path)
    assert measure(tmp_path)["coefficients/standard_errors"] == pytest.approx(expected, rel=1e-3)


def test_another_model_is_refused(compose_config, tmp_path) -> None:
    words = ("data=linear", "model=mlp", "model.hidden=[4]", "data.passes_per_epoch=1", "trainer.max_epochs=1")
    finished(compose_config, tmp_path, *words)
    with pytest.raises(RunFolderError, match="is no linear regression of one number; measure a run of model=linear"):
        measure(tmp_path)


def test_fewer_points_than_coefficients_are_refused(compose_config, tmp_path) -> None:
    words = ("experiment=linear_regression_5", "data.num_points=6", "trainer.max_epochs=1")
    finished(compose_config, tmp_path, *words)
    with pytest.raises(RunFolderError, match="has 6 points for 6 coefficients; measure a run with more"):
        measure(tmp_path)
