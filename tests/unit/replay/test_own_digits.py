"""The twenty digits of our own, and the measure that lets a run read them."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from fulgurite import cli
from fulgurite.errors import ConfigError
from fulgurite.replay import own_digits
from fulgurite.replay.answers import label_of

SCRIPT = Path(__file__).parents[3] / "scripts" / "draw_digits.py"


def trained(tmp_path, monkeypatch, *words: str) -> Path:
    monkeypatch.chdir(tmp_path)
    assert cli.train([*words, "test=false", "callbacks.pictures.enabled=false"]) == 0
    return next((tmp_path / "outputs").glob("*/*"))


def test_each_digit_is_there_twice():
    labels = [label_of(file, 10) for file in own_digits.FOLDER.glob("*.png")]
    assert sorted(labels) == sorted([*range(10), *range(10)])


def test_the_script_draws_the_files_that_are_kept(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("draw_digits", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    # A dataclass looks up its module.
    monkeypatch.setitem(__import__("sys").modules, "draw_digits", script)
    spec.loader.exec_module(script)
    monkeypatch.setattr("sys.argv", ["draw_digits.py", str(tmp_path)])
    script.main()
    kept = sorted(own_digits.FOLDER.glob("*.png"))
    assert [file.name for file in kept] == sorted(file.name for file in tmp_path.glob("*.png"))
    for file in kept:
        # Another Pillow may round an edge otherwise.
        gap = np.asarray(Image.open(file), dtype=int) - np.asarray(Image.open(tmp_path / file.name), dtype=int)
        assert np.abs(gap).mean() < 3


@pytest.mark.slow
def test_nine_of_ten_are_read_by_a_network_trained_on_a_part_of_mnist(tmp_path, monkeypatch):
    run = trained(tmp_path, monkeypatch, "model=mlp", "model.hidden=[128]", "trainer.max_epochs=3", "optimizer.lr=3e-3")
    assert own_digits.measure(run)["own_digits/acc"] >= 0.9 - 1e-6


def standing_in(monkeypatch, **changed) -> None:
    """Let any folder be a run on MNIST, or on something else."""
    spec = SimpleNamespace(**{"task": "classification", "input_shape": [1, 28, 28], "num_outputs": 10, **changed})
    run = SimpleNamespace(cfg=SimpleNamespace(data=SimpleNamespace(spec=spec)), checkpoint=Path)
    monkeypatch.setattr(own_digits, "open_run", lambda folder: run)


def test_the_measure_is_the_share_of_right_answers(monkeypatch):
    def always_seven(run, checkpoint, x):
        assert x.shape == (20, 28, 28)
        return torch.nn.functional.one_hot(torch.full((20,), 7), 10)

    standing_in(monkeypatch)
    monkeypatch.setattr(own_digits, "predict", always_seven)
    assert own_digits.measure(Path("run")) == {"own_digits/acc": pytest.approx(0.1)}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"input_shape": [4]}, r"shape \[4\] and 10 outputs"),
        ({"input_shape": [3, 28, 28]}, r"shape \[3, 28, 28\]"),
        ({"input_shape": [1, 28, 20]}, r"shape \[1, 28, 20\]"),
        ({"task": "regression"}, "has task regression"),
        ({"num_outputs": 2}, "and 2 outputs"),
    ],
)
def test_a_run_on_anything_but_digits_is_refused(monkeypatch, changed, told):
    standing_in(monkeypatch, **changed)
    with pytest.raises(ConfigError, match=f"needs a run on grey square images of ten digits; .*{told}"):
        own_digits.measure(Path("run"))
