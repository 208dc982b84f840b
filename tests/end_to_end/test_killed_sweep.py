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
    "trainer.max_epochs=3",
    "trainer.log_every_n_steps=3",
    "trainer.precision=64-true",
]
SWEPT = {"basic": ["seed=1,2"], "fused": ["optimizer.lr=1e-3,3e-3", "seed=1,2", "launcher.probe=false"]}


def words(launcher: str, name: str) -> list[str]:
    return ["-m", f"launcher={launcher}", f"sweep.name={name}", *WORDS, *SWEPT[launcher]]


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


def start_again(name: str, launcher: str) -> str:
    """The same command in a process of its own; what it says."""
    command = [sys.executable, TRAIN, *words(launcher, name)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def assert_the_same(killed: Path, whole: Path) -> None:
    result, expected = read_result(killed), read_result(whole)
    assert (result.status, result.epochs, result.fingerprint) == ("finished", 3, expected.fingerprint)
    assert result.metrics == pytest.approx(expected.metrics, abs=1e-6)
    for which in ("best", "last"):
        one, other = (load_checkpoint(each / "checkpoints" / f"{which}.ckpt") for each in (killed, whole))
        assert (one["epoch"], one["global_step"]) == (other["epoch"], other["global_step"])
        for key, value in other["state_dict"].items():
            assert (one["state_dict"][key] - value).abs().max() < 1e-10
    # No point of a curve is lost or doubled.
    assert rows(killed) == rows(whole)
    assert points(killed) == points(whole)


# Jobs one after the other: the first has finished, the second is begun. All at once: some are an epoch ahead.
@pytest.mark.parametrize(("launcher", "num_checkpoints"), [("basic", 3), ("fused", 6)])
@pytest.mark.slow
def test_a_killed_sweep_that_is_started_again_ends_as_one_that_was_not_killed(
    tmp_path, monkeypatch, launcher, num_checkpoints
):
    monkeypatch.chdir(tmp_path)
    assert cli.train(words(launcher, "whole")) == 0
    kill_when("killed", launcher, lambda folder: len(list(folder.rglob("*.ckpt"))) >= num_checkpoints)
    statuses = [read_result(path.parent).status for path in folder_of("killed").glob("*/result.json")]
    assert "running" in statuses
    said = start_again("killed", launcher)
    assert " goes on after epoch " in said
    if launcher == "basic":
        assert "finished" in statuses
        assert "[1/2] seed-1 finished before (val/acc 0." in said
    else:
        assert "jobs 1 to 4 (4) train as one" in said
    names = sorted(path.name for path in folder_of("whole").iterdir() if path.is_dir())
    assert sorted(path.name for path in folder_of("killed").iterdir() if path.is_dir()) == names
    for name in names:
        assert_the_same(folder_of("killed") / name, folder_of("whole") / name)
    leaderboard = csv.DictReader((folder_of("killed") / "leaderboard.csv").read_text().splitlines())
    assert [row["n"] for row in leaderboard] == (["2"] if launcher == "basic" else ["2", "2"])


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
    from hydra_plugins.fulgurite_launcher import _programs

    built: list[object] = []
    build = _programs.build
    monkeypatch.setattr(_programs, "build", lambda *args, **options: built.append(args) or build(*args, **options))
    return built
