"""Runs that really train, and what TensorBoard then finds in their folders."""

import re

import pytest
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import api_pb2
from written_events import CONFIG, seen

from fulgurite import resume
from fulgurite.board.experiment import write_experiment
from fulgurite.job import run_job

WORDS = ("model=mlp", "model.hidden=[4]", "data.train_subset=200", "data.batch_size=50", "data.eval_batch_size=5000")
WORDS += ("trainer=cpu", "trainer.max_epochs=2", "trainer.log_every_n_steps=2", "seed=5")


@pytest.fixture
def cfg(compose_config, tmp_path):
    write_experiment(tmp_path, {"model": ["mlp", "cnn"], "optimizer.lr": ["1e-3", "0.1"]}, CONFIG)
    return compose_config(*WORDS, "callbacks.progress=null", folder=tmp_path / "job")


def test_a_finished_job_is_a_success_with_the_numbers_of_its_record(cfg, tmp_path):
    result = run_job(cfg, WORDS)
    found = seen(tmp_path / "job")
    assert found.hparams == {"model": "mlp", "optimizer.lr": pytest.approx(cfg.optimizer.lr)}
    assert [end.status for end in found.ends] == [api_pb2.STATUS_SUCCESS]
    finals = {tag.removeprefix("final/"): points for tag, points in found.points.items() if tag.startswith("final/")}
    numbers = {name: value for name, value in result.metrics.items() if name.startswith(("val/", "test/"))}
    assert {"val/acc", "val/loss", "test/acc", "test/loss"} <= set(finals)
    assert {name: value for name, ((_, value),) in finals.items()} == pytest.approx(numbers)


def test_curves_of_epochs_count_epochs_and_those_of_steps_count_steps(cfg, tmp_path):
    run_job(cfg, WORDS)
    points = seen(tmp_path / "job").points
    for tag in ("train/loss", "train/acc", "val/loss", "val/acc"):
        assert [step for step, _ in points[tag]] == [1, 2]
    for tag in ("train/loss_step", "lr"):
        assert [step for step, _ in points[tag]] == [2, 4, 6, 8]


def test_a_run_has_no_card_of_epochs_or_hp_metric_and_no_experiment_of_its_own(cfg, tmp_path):
    run_job(cfg, WORDS)
    found = seen(tmp_path / "job")
    assert not {"epoch", "hp_metric"} & set(found.points)
    assert found.experiments == []
    assert len(found.starts) == 1
    assert [path.parent.name for path in tmp_path.rglob("*tfevents*") if path.parent != tmp_path / "job"] == [
        tmp_path.name
    ]


def test_each_chart_of_the_page_finds_its_curves(cfg, tmp_path):
    run_job(cfg, WORDS)
    found = seen(tmp_path / "job")
    (page,) = layout_pb2.Layout.FromString(found.layouts[0]).category
    matches = {
        chart.title: [tag for tag in found.points if re.match(chart.multiline.tag[0], tag)] for chart in page.chart
    }
    assert matches == {
        "loss: validation": ["val/loss"],
        "loss: training": ["train/loss"],
        "score: validation": ["val/acc"],
        "score: training": ["train/acc"],
        "learning rate": ["lr"],
        "gradient norm": ["grad_norm"],
        "samples a second": ["speed/samples_per_s"],
        "seconds an epoch": ["speed/epoch_s"],
    }


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError, api_pb2.STATUS_FAILURE), (KeyboardInterrupt, api_pb2.STATUS_UNKNOWN)]
)
def test_a_job_that_is_ended_by_an_exception_says_so(cfg, tmp_path, error, status):
    def build(config):
        raise error("shapes differ")

    with pytest.raises(error, match="shapes differ"):
        run_job(cfg, WORDS, build)
    found = seen(tmp_path / "job")
    assert ([end.status for end in found.ends], len(found.starts)) == ([status], 1)


def test_a_job_that_goes_on_has_one_start_one_end_and_each_point_once(cfg, tmp_path):
    folder = tmp_path / "job"
    run_job(cfg, WORDS)
    whole = {tag: len(points) for tag, points in seen(folder).points.items()}
    begun = resume.find(folder).begun
    resume.prepare(folder, begun)
    result = run_job(cfg, WORDS, begun=begun)
    found = seen(folder)
    assert (len(found.starts), len(found.ends), len(found.layouts)) == (1, 1, 1)
    assert found.points["final/val/acc"] == [(2, pytest.approx(result.metrics["val/acc"]))]
    assert {tag: len(points) for tag, points in found.points.items()} == whole
