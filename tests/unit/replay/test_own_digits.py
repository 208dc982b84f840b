"""The twenty digits of our own, and the measure that lets a run read them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fulgurite import cli
from fulgurite.errors import ConfigError
from fulgurite.replay import own_digits
from fulgurite.replay.answers import label_of
from fulgurite.replay.run_folder import open_run

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


def test_the_measure_is_the_share_of_right_answers(tmp_path, monkeypatch):
    run = trained(tmp_path, monkeypatch, "model=linear", "trainer.limit_train_batches=5", "trainer.max_epochs=1")

    def always_seven(run, checkpoint, x):
        assert x.shape == (20, 28, 28)
        return torch.nn.functional.one_hot(torch.full((20,), 7), 10)

    monkeypatch.setattr(own_digits, "predict", always_seven)
    assert own_digits.measure(run) == {"own_digits/acc": pytest.approx(0.1)}
    assert open_run(run).result.status == "finished"


def test_a_run_on_no_digits_is_refused(tmp_path, monkeypatch):
    run = trained(tmp_path, monkeypatch, "data=iris", "model=mlp", "model.hidden=[4]", "trainer.max_epochs=1")
    with pytest.raises(ConfigError, match=r"needs a run on grey square images .* shape \[\d\] and \d outputs"):
        own_digits.measure(run)
