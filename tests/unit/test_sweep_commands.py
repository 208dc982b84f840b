"""``fulgurite sweep show`` and ``resume``. Training is a stand-in here."""

import json
import os
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fulgurite import cli
from fulgurite.result import read_result
from fulgurite.sweep.folder import is_alive

NIGHT = Path("outputs/sweeps/night")


@pytest.fixture
def fulgurite(training, monkeypatch, capsys):
    """The command line: exit code, what was printed, what was complained about."""

    def run(*words: str):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["fulgurite", *words])
        return cli.main(), *capsys.readouterr()

    return run


def record(status: str, folder: Path) -> None:
    replace(read_result(folder), status=status).write(folder)


def test_show_says_where_a_sweep_stands_and_prints_its_leaderboard(fulgurite, training):
    fulgurite("train", "-m", "sweep.name=night", "seed=range(5)")
    for status, folder in zip(("failed", "interrupted", "pruned"), training.folders, strict=False):
        record(status, folder)
    (training.folders[4] / "result.json").unlink()
    (training.folders[4] / ".hydra").rename("elsewhere")
    code, out, _ = fulgurite("sweep", "show", "night")
    assert code == 0
    assert out.startswith(
        f"{NIGHT}: nobody is at work; of 5 jobs 1 finished, 1 failed, 1 interrupted, 1 pruned, 1 to come\n"
    )
    assert "val/acc" in out


@pytest.mark.skipif(sys.platform != "linux", reason="the dead are listed in /proc")
def test_a_process_that_has_ended_and_that_nobody_has_asked_for_is_not_at_work():
    assert is_alive(os.getpid())
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(process.pid)
    assert not is_alive(process.pid)


@pytest.mark.parametrize(
    "text", ["[]", '{"num_jobs": null}', '{"num_jobs": 1e400}', '{"swept": ["seed"], "config": 3, "num_jobs": "2"}']
)
def test_a_record_with_values_of_the_wrong_kind_is_as_good_as_none(fulgurite, text):
    fulgurite("train", "-m", "sweep.name=night", "seed=1,2")
    (NIGHT / "sweep.json").write_text(text)
    for words in (["sweep", "show", "night"], ["sweep", "show", "night", "--watch"], ["diff", "night", "night"]):
        assert fulgurite(*words)[::2] == (0, "")
    assert "of 2 jobs 2 finished" in fulgurite("sweep", "show", "night")[1]


def test_show_changes_no_file(fulgurite):
    fulgurite("train", "-m", "sweep.name=night", "seed=1,2")
    before = sorted((path, path.stat().st_mtime_ns) for path in Path("outputs").rglob("*"))
    assert fulgurite("sweep", "show", str(NIGHT))[0] == 0
    assert sorted((path, path.stat().st_mtime_ns) for path in Path("outputs").rglob("*")) == before


def test_a_job_that_runs_under_a_driver_is_running(fulgurite, training):
    here = f"process {os.getpid()} on {socket.gethostname()}"
    one_job_runs(fulgurite, training, here)
    assert f"{here} is at work; of 2 jobs 1 finished, 1 running\n" in fulgurite("sweep", "show", "night")[1]


def test_a_job_that_runs_under_a_dead_driver_was_killed(fulgurite, training):
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    one_job_runs(fulgurite, training, f"process {dead.pid} on {socket.gethostname()}")
    assert "nobody is at work; of 2 jobs 1 finished, 1 killed\n" in fulgurite("sweep", "show", "night")[1]


def one_job_runs(fulgurite, training, driver: str) -> None:
    fulgurite("train", "-m", "sweep.name=night", "seed=1,2")
    record("running", training.folders[0])
    (NIGHT / ".lock").write_text(f"{driver}\n")


def test_resume_goes_on_with_what_has_not_ended(fulgurite, training):
    fulgurite("train", "-m", "sweep.name=night", "model=mlp", "seed=1,2,3")
    record("failed", training.folders[1])
    code, out, _ = fulgurite("sweep", "resume", "night")
    assert code == 0
    assert training.folders[3:] == training.folders[1:2]
    assert "[1/3] seed-1 finished before" in out
    assert out.startswith("fulgurite train -m model=mlp seed=1,2,3 sweep.name=night\n")


def test_resume_takes_a_folder_anywhere_and_another_launcher(fulgurite, training):
    fulgurite("train", "-m", "output_root=my outputs", "model=mlp", "seed=1,2")
    (folder,) = Path("my outputs/sweeps").iterdir()
    assert fulgurite("sweep", "resume", str(folder), "seed=1,2,3")[0] == 0
    assert [each.parent for each in training.folders] == [folder.absolute()] * 3


def test_resume_refuses_another_config(fulgurite, training):
    fulgurite("train", "-m", "sweep.name=night", "model=mlp", "seed=1,2")
    code, _, err = fulgurite("sweep", "resume", "night", "trainer.max_epochs=9")
    assert code == 2
    assert "trainer.max_epochs: 5 then, 9 now" in err
    assert len(training.folders) == 2


@pytest.mark.parametrize("command", ["show", "resume"])
def test_a_sweep_that_is_not_there_is_named_with_its_neighbour(fulgurite, command):
    fulgurite("train", "-m", "sweep.name=night", "seed=1,2")
    code, _, err = fulgurite("sweep", command, "nigth")
    assert code == 2
    assert "there is no sweep nigth in outputs/sweeps (did you mean night?)" in err


@pytest.mark.parametrize("words", [("show",), ("show", "a", "b"), ("resume",), ("resume", "a", "b"), ("resume", "x=1")])
def test_exactly_one_sweep_is_taken(fulgurite, words):
    code, _, err = fulgurite("sweep", *words)
    assert code == 2
    assert f"sweep {words[0]} takes the name of one sweep, or its folder, got" in err


def test_a_sweep_without_a_record_says_how_to_go_on(fulgurite):
    fulgurite("train", "-m", "sweep.name=night", "seed=1,2")
    (NIGHT / "sweep.json").write_text("{")
    code, _, err = fulgurite("sweep", "resume", "night")
    assert code == 2
    assert "give the command that made the sweep again, with sweep.name=night" in err
    assert fulgurite("sweep", "show", "night")[0] == 0


@pytest.mark.parametrize("name", ["mine", "it's ä, [b]"])
def test_a_sweep_with_a_config_folder_of_the_users_own_is_on_record_and_resumed(fulgurite, training, name, monkeypatch):
    own = Path(name, "experiment", "mine.yaml")
    own.parent.mkdir(parents=True)
    own.write_text("# @package _global_\n# Mine.\noptimizer:\n  lr: 0.02\n", encoding="utf-8")
    assert fulgurite("train", "-m", "--config-dir", name, "experiment=mine", "sweep.name=night", "seed=1,2")[0] == 0
    jobs = json.loads((NIGHT / "sweep.json").read_text())["jobs"]
    assert [job["changed"].get("seed") for job in jobs] == [None, 2]
    record("interrupted", training.folders[1])
    num_trained = len(training.folders)
    folder = NIGHT.absolute()
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    assert fulgurite("sweep", "resume", str(folder))[0] == 0
    assert [path.resolve() for path in training.folders[num_trained:]] == [training.folders[1].resolve()]


def test_a_sweep_with_a_config_folder_of_the_users_own_has_one_driver(fulgurite):
    Path("mine").mkdir()
    words = ("train", "-m", "--config-dir", "mine", "sweep.name=night", "seed=1,2")
    held = "from pathlib import Path; from fulgurite.sweep.folder import only_driver\n"
    held += f"with only_driver(Path({str(NIGHT)!r})): print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", held], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        code, _, err = fulgurite(*words)
        other.communicate("\n")
    assert code == 2
    assert f"being worked on by process {other.pid}" in err


def test_a_config_folder_that_is_not_there_is_named(fulgurite):
    code, _, err = fulgurite("train", "-m", "--config-dir", "nowhere", "seed=1,2")
    assert code == 2
    assert "nowhere' not found" in err


def test_show_counts_the_trials_of_a_search_that_are_to_come(fulgurite, training):
    words = ("train", "-m", "sweep=random", "sweep.num_trials=3", "sweep.name=night", "model.dropout=interval(0,0.5)")
    assert fulgurite(*words)[0] == 0
    assert "of 3 jobs 3 finished\n" in fulgurite("sweep", "show", "night")[1]
    shutil.rmtree(training.folders[2])
    assert "of 3 jobs 2 finished, 1 to come\n" in fulgurite("sweep", "show", "night")[1]


def test_a_search_and_a_grid_do_not_share_a_folder(fulgurite, training):
    search = ("train", "-m", "sweep=random", "sweep.num_trials=2", "model.dropout=interval(0,0.5)")
    grid = ("train", "-m", "model.dropout=0.1,0.2")
    for first, second, said in (
        (search, grid, "is a search, this command all combinations of values"),
        (grid, search, "is all combinations of values, this command a search"),
    ):
        name = f"sweep.name={first[2].partition('=')[0]}"
        assert fulgurite(*first, name)[0] == 0
        code, _, err = fulgurite(*second, name)
        assert code == 2
        assert f"{said}; choose another sweep.name" in err
    assert len(training.folders) == 4
