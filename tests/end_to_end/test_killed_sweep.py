"""A sweep that is killed and started again ends as if nothing had happened, by either launcher."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from fulgurite import cli
from fulgurite.fused.group import Group
from fulgurite.result import read_result
from fulgurite.training.checkpoint import load_checkpoint

TRAIN = Path(__file__).parents[2] / "train.py"
WORDS = [
    "trainer=cpu",
    "model=mlp",
    "model.hidden=[6]",
    "model.dropout=0.1",
    "data.train_subset=500",
    "data.batch_size=50",
    "data.eval_batch_size=1000",
    "trainer.max_epochs=4",
    "trainer.log_every_n_steps=3",
    "trainer.precision=64-true",
]
SWEPT = ["optimizer.lr=1e-3,3e-3", "seed=1,2"]


def words(launcher: str, name: str, *swept: str) -> list[str]:
    fused = ["launcher.probe=false"] if launcher == "fused" else []
    return ["-m", f"launcher={launcher}", f"sweep.name={name}", *fused, *WORDS, *(swept or SWEPT)]


def folder_of(name: str) -> Path:
    return Path("outputs", "sweeps", name)


def kill_when(name: str, launcher: str, is_time) -> None:
    """Start a sweep in a process of its own, and kill it."""
    with subprocess.Popen([sys.executable, TRAIN, *words(launcher, name)], stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while not is_time(folder_of(name)) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.005)
        process.kill()
    assert process.returncode == -signal.SIGKILL


def rows(folder: Path) -> list[tuple[str, ...]]:
    """Step, epoch and names of what each row of the CSV holds."""
    with (folder / "metrics.csv").open() as file:
        return [(row["step"], row["epoch"], *(name for name in row if row[name])) for row in csv.DictReader(file)]


def points(folder: Path) -> list[tuple[str, int]]:
    """Tag and step of all that TensorBoard would draw."""
    events = [event for path in folder.glob("events*") for event in EventFileLoader(str(path)).Load()]
    tags = [(value.tag, event.step) for event in events for value in event.summary.value]
    return sorted(tag for tag in tags if not tag[0].startswith("_hparams"))


@pytest.fixture(scope="module", params=["basic", "fused"])
def sweeps(request, tmp_path_factory):
    """The folder of a sweep that was killed once and started again, what it said then, and that of one that was not."""
    launcher = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp(launcher))
        assert cli.train(words(launcher, "whole")) == 0
        # Jobs one after the other: the first has finished. All at once: some are an epoch ahead of the others.
        num_checkpoints = 3 if launcher == "basic" else 6
        kill_when("killed", launcher, lambda folder: len(list(folder.rglob("*.ckpt"))) >= num_checkpoints)
        statuses = [read_result(path.parent).status for path in folder_of("killed").glob("*/result.json")]
        done = subprocess.run(
            [sys.executable, TRAIN, *words(launcher, "killed")], capture_output=True, text=True, check=True
        )
        yield launcher, statuses, done.stdout, folder_of("killed").absolute(), folder_of("whole").absolute()


def test_what_had_ended_is_skipped_and_the_others_go_on(sweeps):
    launcher, statuses, said, *_ = sweeps
    assert "running" in statuses
    assert " goes on after epoch " in said
    if launcher == "basic":
        assert "finished" in statuses
        assert "[1/4] lr-0.001 seed-1 finished before (val/acc 0." in said
    else:
        assert "jobs 1 to 4 (4) train as one" in said


def test_each_job_ends_as_if_it_had_not_been_killed(sweeps):
    *_, killed, whole = sweeps
    names = sorted(path.name for path in whole.iterdir() if path.is_dir())
    assert sorted(path.name for path in killed.iterdir() if path.is_dir()) == names
    for name in names:
        result, expected = read_result(killed / name), read_result(whole / name)
        assert (result.status, result.epochs) == ("finished", 4)
        assert result.fingerprint == expected.fingerprint
        assert result.metrics == pytest.approx(expected.metrics, abs=1e-6)
        for which in ("best", "last"):
            one, other = (load_checkpoint(each / name / "checkpoints" / f"{which}.ckpt") for each in (killed, whole))
            assert (one["epoch"], one["global_step"]) == (other["epoch"], other["global_step"])
            for key, value in other["state_dict"].items():
                assert (one["state_dict"][key] - value).abs().max() < 1e-10


def test_no_point_of_a_curve_is_lost_or_doubled(sweeps):
    *_, killed, whole = sweeps
    for path in whole.glob("*/metrics.csv"):
        name = path.parent.name
        assert rows(killed / name) == rows(whole / name)
        assert points(killed / name) == points(whole / name)


def test_the_leaderboard_covers_all_jobs(sweeps):
    *_, killed, whole = sweeps
    one, other = (list(csv.DictReader((each / "leaderboard.csv").open())) for each in (killed, whole))
    assert [row["n"] for row in one] == ["2", "2"]
    assert [row["optimizer.lr"] for row in one] == [row["optimizer.lr"] for row in other]


def test_a_fused_sweep_that_is_interrupted_says_how_to_go_on_and_does(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = Group.run

    def run_and_press(group, number):
        if group.loops[0].trainer.current_epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return run(group, number)

    unnamed = [word for word in words("fused", "x") if not word.startswith("sweep.name")]
    with monkeypatch.context() as patch:
        patch.setattr(Group, "run", run_and_press)
        assert cli.train(unnamed) == 130
    (folder,) = Path("outputs", "sweeps").iterdir()
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"interrupted; to go on with it, give the same command with sweep.name={folder.name}"
    built = count_builds(monkeypatch)
    assert cli.train([*unnamed, f"sweep.name={folder.name}"]) == 0
    assert capsys.readouterr().out.count(" goes on after epoch 2") == 4
    assert len(built) == 4
    # Finished ones are not even built.
    assert cli.train([*unnamed, f"sweep.name={folder.name}"]) == 0
    assert capsys.readouterr().out.count(" finished before (val/acc ") == 4
    assert len(built) == 4


def count_builds(monkeypatch) -> list[object]:
    from hydra_plugins.fulgurite_launcher import _core

    built: list[object] = []
    build = _core.build
    monkeypatch.setattr(_core, "build", lambda *args, **options: built.append(args) or build(*args, **options))
    return built
