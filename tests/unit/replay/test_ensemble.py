"""Finished runs as an ensemble: on networks that the command line has trained on some of MNIST."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from fulgurite import cli
from fulgurite.data.idx import find_idx, read_idx
from fulgurite.data.mnist import BUNDLED, SHA256
from fulgurite.errors import ConfigError, DataError
from fulgurite.replay import ensemble
from fulgurite.replay.run_folder import open_run
from fulgurite.result import read_result
from fulgurite.training.checkpoint import load_checkpoint

QUICK = ["model=mlp", "model.norm=none", "trainer.max_epochs=1", "callbacks.pictures.enabled=false"]
THREE = ["-m", *QUICK, "model.hidden=[16]", "data.train_subset=2000", "data.batch_size=50", "seed=0,1,2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    here = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        assert cli.train([*THREE, "sweep.name=three"]) == 0
    return here / "outputs" / "sweeps" / "three"


@pytest.fixture
def sweep(trained, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    return Path(shutil.copytree(trained, tmp_path / "outputs" / "sweeps" / "three"))


def jobs(sweep: Path) -> list[Path]:
    return sorted(path.parent for path in sweep.glob("*/result.json"))


def run_on(data: str) -> Path:
    assert cli.train([*QUICK, f"data={data}", "model.hidden=[4]", "trainer.limit_train_batches=2"]) == 0
    return next(Path("outputs", data).iterdir())


def probabilities(run: Path, x: np.ndarray) -> np.ndarray:
    """Of a network of 16 ReLU units, by NumPy alone."""
    state = load_checkpoint(run / "checkpoints" / "best.ckpt")["state_dict"]
    w1, b1, w2, b2 = (value.double().numpy() for value in state.values())
    scores = np.maximum(x @ w1.T + b1, 0) @ w2.T + b2
    shares = np.exp(scores - scores.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def test_the_class_is_that_of_the_largest_mean_probability(sweep):
    names = [f"t10k-{part}" for part in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    images, labels = (read_idx(find_idx(BUNDLED / "MNIST" / "raw", name), SHA256[name]).numpy() for name in names)
    x = (images.reshape(-1, 784) / 255 - 0.1307) / 0.3081
    each = [probabilities(run, x) for run in jobs(sweep)]
    found = ensemble.ensemble([open_run(run) for run in jobs(sweep)])
    # A sample in two classes that are equal but for rounding may go either way.
    assert found.accuracy == pytest.approx(np.mean(np.mean(each, axis=0).argmax(1) == labels), abs=1e-4)
    assert found.members == pytest.approx([np.mean(one.argmax(1) == labels) for one in each], abs=1e-4)
    assert found.num_samples == 10_000


def test_each_run_reaches_alone_what_its_record_says(sweep):
    found = ensemble.ensemble([open_run(run) for run in jobs(sweep)])
    assert found.members == pytest.approx([read_result(run).metrics["test/acc"] for run in jobs(sweep)], abs=1e-6)


def test_the_measure_gives_the_shares_that_the_ensemble_has(sweep):
    found = ensemble.ensemble([open_run(run) for run in jobs(sweep)])
    measured = ensemble.measure(jobs(sweep))
    assert measured == {"ensemble/acc": found.accuracy, "ensemble/member_acc": pytest.approx(np.mean(found.members))}


def test_the_standard_error_is_that_of_a_share():
    assert ensemble.Ensemble([0.9, 0.9], 0.91, 10_000).standard_error == pytest.approx(0.002862, abs=1e-6)


def test_of_a_sweep_all_finished_jobs_are_asked(sweep, capsys):
    unfinished = jobs(sweep)[2]
    text = (unfinished / "result.json").read_text().replace('"status": "finished"', '"status": "failed"')
    (unfinished / "result.json").write_text(text)
    assert ensemble.main(["three"]) == 0
    printed = capsys.readouterr().out
    assert all(run.name in printed for run in jobs(sweep)[:2])
    assert unfinished.name not in printed
    assert "the 2 together" in printed
    assert "on 10,000 samples" in printed


def test_a_sweep_without_a_finished_job_is_refused(sweep):
    for run in jobs(sweep):
        shutil.rmtree(run)
    with pytest.raises(ConfigError, match="no job of the sweep outputs/sweeps/three has finished"):
        ensemble.main(["three"])


def test_a_folder_that_is_neither_a_run_nor_a_sweep_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="empty is neither a run nor a sweep"):
        ensemble.main(["empty"])


def test_one_run_is_no_ensemble(sweep):
    with pytest.raises(ConfigError, match="an ensemble needs two runs or more, got 1"):
        ensemble.main([str(jobs(sweep)[0])])


def test_a_run_counts_once(sweep):
    with pytest.raises(ConfigError, match="is named twice"):
        ensemble.main([str(jobs(sweep)[0]), "three"])


def test_runs_on_other_test_samples_are_refused(sweep):
    run = run_on("iris")
    with pytest.raises(DataError, match=r"was tested on other samples than seed-0_\w+ \(30 and 10000 of them\)"):
        ensemble.main([str(jobs(sweep)[0]), str(run)])


def test_runs_on_numbers_are_refused(sweep):
    run = run_on("quadratic")
    with pytest.raises(ConfigError, match="has task regression; give runs on classes"):
        ensemble.main([str(jobs(sweep)[0]), str(run)])
