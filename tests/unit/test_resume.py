"""The same command again: what of a sweep is skipped, what goes on, what is refused. Training is a stand-in here."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from fulgurite import cli, resume
from fulgurite.job import run_job
from fulgurite.models.supervised import Supervised
from fulgurite.result import read_result
from fulgurite.sweep.another import differences
from fulgurite.sweep.folder import only_driver
from fulgurite.training.checkpoint import load_checkpoint
from fulgurite.training.curves import read_rows

TINY = ("model=mlp", "model.hidden=[4]", "data.train_subset=500", "data.batch_size=50", "logger=csv")


def night(*words: str) -> int:
    return cli.train(["-m", "sweep.name=night", "model=mlp", *words])


def names(training) -> list[str]:
    return [folder.name for folder in training.folders]


def test_finished_jobs_are_skipped_and_say_so(training, capsys):
    night("seed=1,2")
    assert training.folders[0].parent == Path("outputs/sweeps/night").absolute()
    capsys.readouterr()
    assert night("seed=1,2") == 0
    assert len(training.folders) == 2
    titles = [line for line in capsys.readouterr().out.splitlines() if line.startswith("[")]
    assert titles == ["[1/2] seed-1 finished before (val/acc 0.9)", "[2/2] seed-2 finished before (val/acc 0.9)"]


def test_what_hydra_recorded_of_a_finished_job_is_not_written_again(training):
    night("seed=1,2")
    files = sorted(Path("outputs").glob("sweeps/night/*/.hydra/*.yaml"))
    before = [(path, path.stat().st_mtime_ns) for path in files]
    night("seed=1,2")
    assert len(before) == 6
    assert [(path, path.stat().st_mtime_ns) for path in files] == before


def test_what_has_not_ended_runs_again(training):
    statuses = ("running", "interrupted", "failed", "finished", "pruned")
    night("seed=range(5)")
    first = list(training.folders)
    for folder, status in zip(first, statuses, strict=True):
        replace(read_result(folder), status=status).write(folder)
    training.folders.clear()
    assert night("seed=range(5)") == 0
    assert training.folders == first[:3]


def test_a_sweep_with_a_diverged_job_ends_with_1_also_when_that_is_skipped(training):
    training.status = "diverged"
    assert night("seed=1") == 1
    assert night("seed=1") == 1
    assert len(training.folders) == 1


def test_a_value_more_adds_a_job_and_shifts_no_folder(training):
    night("optimizer.lr=1e-3,3e-3", "seed=1,2")
    first = names(training)
    night("optimizer.lr=1e-4,1e-3,3e-3", "seed=1,2")
    assert len(set(names(training))) == len(names(training)) == 6
    assert [name.rpartition("_")[0] for name in names(training)[4:]] == ["lr-0.0001_seed-1", "lr-0.0001_seed-2"]
    assert names(training)[:4] == first


def test_the_same_jobs_are_known_however_they_are_typed(training):
    night("optimizer.lr=1e-3,3e-3", "seed=1,2")
    for words in (
        ("seed=1,2", "optimizer.lr=1e-3,3e-3"),
        ("optimizer.lr=0.001,0.003", "seed=1,2", "trainer.max_epochs=5"),
        ("optimizer.lr=1e-3,3e-3", "seed=1,2", "logger=none", "launcher=fused"),
    ):
        assert night(*words) == 0
        assert len(training.folders) == 4


def test_a_sweep_without_a_name_can_be_gone_on_with_by_its_folders_name(training, capsys):
    cli.train(["-m", "seed=1,2"])
    (folder,) = Path("outputs/sweeps").iterdir()
    assert folder.name.startswith("seed_2")
    capsys.readouterr()
    cli.train(["-m", "seed=1,2,3", f"sweep.name={folder.name}"])
    assert len(training.folders) == 3
    assert {path.parent.name for path in training.folders} == {folder.name}
    assert "sweep.name" not in capsys.readouterr().out


def test_sweeps_without_a_name_have_folders_of_their_own(training):
    for _ in range(2):
        cli.train(["-m", "seed=1,2"])
    assert len(training.folders) == 4
    assert len({folder.parent for folder in training.folders}) == 2


def test_a_changed_config_under_the_same_name_is_refused_with_the_difference(training, capsys):
    night("seed=1,2", "trainer.max_epochs=3")
    before = sorted((path, path.stat().st_mtime_ns) for path in Path("outputs").rglob("*"))
    capsys.readouterr()
    assert night("seed=1,2", "trainer.max_epochs=4", "optimizer.lr=0.1") == 2
    assert capsys.readouterr().err == (
        "error: the sweep night has seed-1 with another config: optimizer.lr: 0.003 then, 0.1 now; trainer.max_epochs: "
        "3 then, 4 now; take the change back, or choose another sweep.name\n"
    )
    assert sorted((path, path.stat().st_mtime_ns) for path in Path("outputs").rglob("*")) == before


def test_new_jobs_with_another_config_are_refused_too(training, capsys):
    night("seed=1,2", "trainer.max_epochs=3")
    assert night("seed=7,8", "trainer.max_epochs=4") == 2
    assert "night has its jobs with another config: trainer.max_epochs: 3 then, 4 now" in capsys.readouterr().err
    assert len(training.folders) == 2


def test_jobs_of_another_sweep_are_refused(training, capsys):
    night("seed=1,2")
    assert night("optimizer.lr=1e-3,1e-2", "model.hidden=[4],[8]") == 2
    assert "night varies seed, this command optimizer.lr and model.hidden; choose" in capsys.readouterr().err
    assert len(training.folders) == 2


def test_one_run_takes_no_notice_of_what_is_in_its_folder(training):
    for _ in range(2):
        assert cli.train(["model=mlp", "sweep.name=night", "hydra.run.dir=here"]) == 0
    assert names(training) == ["here", "here"]


@pytest.mark.parametrize("name", ["a/b", "..", "a,b", "-x"])
def test_a_name_that_no_folder_can_have_is_refused(training, capsys, name):
    assert cli.train(["-m", f"sweep.name='{name}'", "seed=1,2"]) == 2
    words = f"sweep.name must be the name of a folder in outputs/sweeps: letters, digits and . _ + -; got '{name}'"
    assert capsys.readouterr().err == f"error: {words}\n"


def test_the_record_of_a_sweep_says_what_it_varies(training):
    night("optimizer.lr=1e-3,3e-3", "seed=range(2)")
    record = json.loads(Path("outputs/sweeps/night/sweep.json").read_text())
    assert record["swept"] == {"optimizer.lr": "1e-3,3e-3", "seed": "range(2)"}
    assert record["name"] == "night"


def test_the_record_of_a_sweep_holds_the_config_of_each_job(training):
    cli.train(["-m", "sweep.name=night", "model=cnn,mlp", "optimizer.lr=1e-3,3e-3"])
    record = json.loads(Path("outputs/sweeps/night/sweep.json").read_text())
    assert record["config"]["model"]["_target_"] == "fulgurite.models.cnn.CNN"
    first, _, _, last = record["jobs"]
    assert (first["changed"], first["removed"]) == ({}, [])
    assert last["overrides"] == ["sweep.name=night", "model=mlp", "optimizer.lr=0.003"]
    assert (last["changed"]["optimizer.lr"], last["changed"]["model.hidden"]) == (0.003, [512, 512])
    assert "model.channels" in last["removed"]
    recorded = [each["fingerprint"] for each in record["jobs"]]
    assert recorded == [read_result(folder).fingerprint for folder in training.folders]


def test_the_record_of_a_sweep_holds_what_was_not_committed(training, tmp_path):
    git = partial(subprocess.run, cwd=tmp_path, check=True, capture_output=True, text=True)
    (tmp_path / "net.py").write_text("width = 1\n")
    git(["git", "init", "-q"])
    git(["git", "add", "net.py"])
    git(["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "Begin"])
    (tmp_path / "net.py").write_text("width = 2\n")
    night("seed=1,2")
    git(["git", "checkout", "-q", "net.py"])
    git(["git", "apply", "outputs/sweeps/night/uncommitted.patch"])
    assert (tmp_path / "net.py").read_text() == "width = 2\n"
    git(["git", "checkout", "-q", "net.py"])
    night("seed=1,2")
    assert not Path("outputs/sweeps/night/uncommitted.patch").exists()


def test_a_mistake_in_the_last_job_alone_is_told_before_the_first(training, capsys):
    assert night("model=mlp,cnn", "seed=1,2", "model.hidden=[4]") == 2
    assert "model.hidden" in capsys.readouterr().err
    assert training.folders == []


def test_a_second_driver_is_refused_until_the_first_is_dead(training, capsys, tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from fulgurite.sweep.folder import only_driver\n"
        "with only_driver(Path(sys.argv[1])): print('holds it', flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", script, str(tmp_path / "outputs/sweeps/night")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert night("seed=1,2") == 2
        assert f"night is being worked on by process {other.pid} on " in capsys.readouterr().err
        other.kill()
    assert training.folders == []
    assert night("seed=1,2") == 0


def test_the_lock_does_not_stay(tmp_path):
    for _ in range(2):
        with only_driver(tmp_path):
            assert f"process {os.getpid()} on" in (tmp_path / ".lock").read_text()


def test_differences_name_what_decides_numbers_alone():
    old = {"seed": 1, "model": {"a": 1, "b": [2], "folder": "x"}, "logger": {"csv": {}}, "sweep": {"name": None}}
    new = {"seed": 1, "model": {"a": 2, "c": 3, "folder": "y"}, "logger": {}, "sweep": {"name": "night"}}
    assert differences(old, new) == [
        "model.a: 1 then, 2 now",
        "model.b: [2] then, absent now",
        "model.c: absent then, 3 now",
    ]


@pytest.fixture
def begun_folder(compose_config, tmp_path, monkeypatch):
    """A job of three epochs that was killed in the third."""
    monkeypatch.setattr(Supervised, "training_step", interrupted_in_epoch(2))
    with pytest.raises(KeyboardInterrupt):
        run_job(compose_config(*TINY, "trainer.max_epochs=3"), [])
    monkeypatch.undo()
    return tmp_path


def interrupted_in_epoch(epoch: int):
    step = Supervised.training_step

    def training_step(self, batch, batch_idx):
        if self.trainer.current_epoch == epoch and self.trainer.training:
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    return training_step


def interrupted(self, *args):
    raise KeyboardInterrupt


def assert_same_weights(folder: Path, whole: Path) -> None:
    one, other = (load_checkpoint(each / "checkpoints" / "last.ckpt") for each in (folder, whole))
    assert one["global_step"] == other["global_step"]
    assert all((one["state_dict"][key] == value).all() for key, value in other["state_dict"].items())


def test_a_job_goes_on_from_its_last_checkpoint(begun_folder):
    found = resume.find(begun_folder)
    assert (found.begun.checkpoint.name, found.begun.epochs, found.begun.steps) == ("last.ckpt", 2, 20)
    assert str(found) == " goes on after epoch 2"


def test_a_truncated_last_checkpoint_is_told_and_the_best_taken(begun_folder):
    path = begun_folder / "checkpoints" / "last.ckpt"
    path.write_bytes(path.read_bytes()[:-99])
    found = resume.find(begun_folder)
    assert found.begun.checkpoint.name == "best.ckpt"
    assert str(found) == f": last.ckpt is damaged, goes on from best.ckpt after epoch {found.begun.epochs}"
    (begun_folder / "checkpoints" / "best.ckpt").write_bytes(b"")
    assert str(resume.find(begun_folder)) == ": last.ckpt is damaged, begins anew"
    assert str(resume.find(begun_folder / "nothing")) == ""


def test_a_job_that_goes_on_ends_as_if_it_had_never_stopped(begun_folder, compose_config, tmp_path):
    whole = run_job(compose_config(*TINY, "trainer.max_epochs=3", folder=tmp_path / "whole"), [])
    begun = resume.find(begun_folder).begun
    resume.prepare(begun_folder, begun)
    result = run_job(compose_config(*TINY, "trainer.max_epochs=3"), [], begun=begun)
    assert (result.status, result.epochs, result.error) == ("finished", 3, None)
    assert result.metrics == whole.metrics
    assert result.objective == whole.objective
    assert result.fingerprint == whole.fingerprint
    one, other = (
        load_checkpoint(folder / "checkpoints" / "last.ckpt") for folder in (begun_folder, tmp_path / "whole")
    )
    assert all((one["state_dict"][key] == value).all() for key, value in other["state_dict"].items())
    rows, expected = (read_rows(folder / "metrics.csv") for folder in (begun_folder, tmp_path / "whole"))
    assert rows == expected


def test_seconds_add_up_also_when_the_first_ones_were_not_recorded(begun_folder):
    result = read_result(begun_folder)
    recorded = resume.find(begun_folder).begun.seconds
    assert recorded == result.seconds > 0
    # As kill -9 leaves it: the record is that of the start.
    replace(result, status="running", seconds=100.0).write(begun_folder)
    last = begun_folder / "checkpoints" / "last.ckpt"
    started = (begun_folder / "result.json").stat().st_mtime
    os.utime(last, (started + 7, started + 7))
    assert resume.find(begun_folder).begun.seconds == pytest.approx(107, abs=0.01)


def test_a_job_killed_after_its_last_epoch_is_tested_and_recorded(compose_config, tmp_path, monkeypatch):
    cfg = ("trainer.max_epochs=2", "scheduler=constant")
    whole = run_job(compose_config(*TINY, *cfg, folder=tmp_path / "whole"), [])
    with monkeypatch.context() as patch:
        patch.setattr(Supervised, "on_test_epoch_end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_job(compose_config(*TINY, *cfg), [])
    begun = resume.find(tmp_path).begun
    assert begun.epochs == 2
    resume.prepare(tmp_path, begun)
    result = run_job(compose_config(*TINY, *cfg), [], begun=begun)
    assert (result.metrics, result.epochs, result.objective) == (whole.metrics, 2, whole.objective)
    assert read_rows(tmp_path / "metrics.csv") == read_rows(tmp_path / "whole" / "metrics.csv")


def test_a_job_that_had_stopped_early_trains_no_further(compose_config, tmp_path, monkeypatch):
    cfg = (
        "callbacks=early_stopping",
        "callbacks.early_stopping.patience=1",
        "optimizer.lr=1e-9",
        "trainer.max_epochs=9",
    )
    with monkeypatch.context() as patch:
        patch.setattr(Supervised, "on_test_epoch_end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_job(compose_config(*TINY, *cfg), [])
    begun = resume.find(tmp_path).begun
    assert begun.epochs == 2
    assert run_job(compose_config(*TINY, *cfg), [], begun=begun).epochs == 2


def test_a_job_in_double_precision_goes_on_bit_by_bit(compose_config, tmp_path):
    cfg = (*TINY, "trainer.precision=64-true", "test=false", "scheduler=constant")
    run_job(compose_config(*cfg, "trainer.max_epochs=2", folder=tmp_path / "whole"), [])
    run_job(compose_config(*cfg, "trainer.max_epochs=1"), [])
    run_job(compose_config(*cfg, "trainer.max_epochs=2"), [], begun=resume.find(tmp_path).begun)
    assert_same_weights(tmp_path, tmp_path / "whole")


def test_a_job_killed_between_its_first_two_checkpoints_logs_the_epoch_once(compose_config, tmp_path, monkeypatch):
    run_job(compose_config(*TINY, "trainer.max_epochs=2", folder=tmp_path / "whole"), [])
    with monkeypatch.context() as patch:
        patch.setattr("fulgurite.callbacks.checkpoint.LastCheckpoint.on_train_epoch_end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_job(compose_config(*TINY, "trainer.max_epochs=2"), [])
    begun = resume.find(tmp_path).begun
    assert (begun.checkpoint.name, begun.epochs) == ("best.ckpt", 1)
    resume.prepare(tmp_path, begun)
    run_job(compose_config(*TINY, "trainer.max_epochs=2"), [], begun=begun)
    assert read_rows(tmp_path / "metrics.csv") == read_rows(tmp_path / "whole" / "metrics.csv")


def test_a_folder_that_is_begun_anew_keeps_nothing_but_its_log(begun_folder):
    resume.prepare(begun_folder, None)
    assert {path.name for path in begun_folder.iterdir() if path.is_file()} == {
        "hparams.yaml",
        "result.json",
        "train.log",
    }
    assert not (begun_folder / "checkpoints").exists()
