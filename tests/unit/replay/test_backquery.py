"""The backward query of a run: on a network that the command line has trained on some of MNIST."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fulgurite import build, cli
from fulgurite.board.events import read_values
from fulgurite.errors import ConfigError
from fulgurite.models.mlp import MLP
from fulgurite.models.rashid import Rashid
from fulgurite.replay import backquery
from fulgurite.replay.run_folder import open_run

SMALL = [
    "experiment=rashid_200",
    "model.hidden=40",
    "data.train_subset=4000",
    "trainer.max_epochs=2",
    "data.num_val=200",
    "callbacks.pictures.share_of_time=1.0",
    "callbacks.pictures.graph=false",
]
SPEC = {
    "task": "classification",
    "input_shape": [1, 2, 2],
    "num_outputs": 3,
    "metric": "val/acc",
    "mode": "max",
    "head": "sigmoid",
}
FLAT, LABELS = {**SPEC, "input_shape": [4]}, {**SPEC, "task": "multilabel"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    here = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        assert cli.train([*SMALL, "test=false"]) == 0
    return next((here / "outputs" / "mnist").iterdir())


@pytest.fixture
def run(trained, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_each_digit_is_recognised_in_the_image_that_was_asked_for(run):
    answers = backquery.backquery(open_run(run), run / "checkpoints" / "best.ckpt")
    assert answers.guesses == list(range(10))
    assert answers.images.shape == (10, 1, 28, 28)
    assert float(answers.images.min()) == pytest.approx(0.01)
    assert float(answers.images.amax((1, 2, 3)).min()) == pytest.approx(0.99)


def test_the_measure_tells_both_ways_apart(run):
    by_book = backquery.backquery(open_run(run), run / "checkpoints" / "best.ckpt", by_book=True)
    right = sum(guess == asked for asked, guess in enumerate(by_book.guesses))
    assert by_book.num_right == right < 10
    assert backquery.measure(run) == {"backquery/acc": 1.0, "backquery/book_acc": right / 10}


def test_the_command_writes_an_image_a_digit_and_says_what_each_is_taken_for(run, capsys):
    assert backquery.main([str(run)]) == 0
    assert "10 of 10 are taken for what was asked." in capsys.readouterr().out
    images = [np.asarray(Image.open(run / "backquery" / f"{digit}.png")) for digit in range(10)]
    assert {(image.shape, image.min(), image.max()) for image in images} == {((28, 28), 0, 255)}


def test_the_picture_is_in_tensorboard_once_however_often_it_is_drawn(run):
    for _ in range(2):
        backquery.main([str(run), "--by-book"])
    files = list(run.glob("events.out.tfevents.*.backquery_book"))
    tags = [value.tag for file in files for value in read_values(file)]
    assert tags == ["viz_backquery/backquery_book"]
    drawn = {value.tag for file in run.glob("events*") for value in read_values(file)}
    assert {"viz_outputs/backquery", "viz_outputs/backquery_book"} <= drawn


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            MLP({**SPEC, "head": "none"}, hidden=[4]),
            r"needs a run of model=rashid; this one's model is MLP. .*fulgurite visualise run$",
        ),
        (
            Rashid(FLAT, hidden=4),
            r"gives images of classes; .* task classification on samples of shape \[4\]; train on",
        ),
        (
            Rashid(LABELS, hidden=4, loss={"name": "half_squares"}),
            r"has task multilabel on samples of shape \[1, 2, 2\]",
        ),
    ],
)
def test_what_has_no_images_of_classes_to_give_is_refused(run, monkeypatch, model, message):
    monkeypatch.setattr(build, "build_model", lambda cfg: model)
    with pytest.raises(ConfigError, match=message):
        backquery.main([str(run)])
