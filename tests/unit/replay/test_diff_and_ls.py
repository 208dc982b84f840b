"""``fulgurite diff`` and ``fulgurite ls``, from runs that were composed by Hydra. Training is a stand-in here."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fulgurite import cli
from fulgurite.result import Objective, read_result

SWEEPS = Path("outputs", "sweeps")


@pytest.fixture
def fulgurite(training, monkeypatch, capsys):
    """The command line: exit code, lines that were printed as their words, what was complained about."""

    def run(*words: str):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["fulgurite", *words])
        code = cli.main()
        out, err = capsys.readouterr()
        return code, [line.split() for line in out.splitlines()], err

    return run


def record(folder: Path, value: float, **changes) -> None:
    result = read_result(folder)
    replace(result, objective=Objective("val/acc", "max", value), **changes).write(folder)


def two_runs(fulgurite, training, one: list[str], other: list[str]) -> tuple[str, str]:
    for words in (one, other):
        fulgurite("train", "model=mlp", *words)
    first, second = (str(folder) for folder in training.folders)
    return first, second


def test_of_two_runs_the_keys_that_differ_are_shown_and_no_other(fulgurite, training):
    one = ["optimizer.lr=0.1", "seed=1", "model.hidden=[8]", "data.batch_size=64"]
    other = ["optimizer.lr=0.2", "seed=2", "model.hidden=[8,4]", "data.batch_size=64"]
    names = two_runs(fulgurite, training, one, other)
    code, lines, _ = fulgurite("diff", *names)
    assert code == 0
    config = lines[lines.index(["config", "A", "B"]) + 1 : lines.index(["results", "A", "B", "B", "-", "A"])]
    assert config == [
        ["model.hidden", "[8]", "[8,", "4]"],
        ["optimizer.lr", "0.1", "0.2"],
        ["seed", "1", "2"],
    ]


def test_of_two_runs_the_results_stand_beside_each_other_with_the_difference(fulgurite, training):
    names = two_runs(fulgurite, training, ["seed=1"], ["seed=2"])
    record(training.folders[0], 0.91, epochs=5, seconds=10.04, metrics={"test/acc": 0.9})
    record(training.folders[1], 0.9325, epochs=3, seconds=12.0, samples_per_s=1234.5, status="pruned")
    _, lines, _ = fulgurite("diff", *names)
    assert lines[lines.index(["results", "A", "B", "B", "-", "A"]) + 1 :] == [
        ["status", "finished", "pruned"],
        ["best", "val/acc", "0.9100", "0.9325", "+0.0225"],
        ["test/acc", "0.9000", "-"],
        ["epochs", "5", "3", "-2"],
        ["seconds", "10.0", "12.0", "+2.0"],
        ["samples/s", "-", "1,234"],
    ]


def test_a_group_that_one_run_alone_has_is_absent_in_the_other(fulgurite, training):
    names = two_runs(fulgurite, training, ["seed=1"], ["seed=1", "callbacks=early_stopping"])
    _, lines, _ = fulgurite("diff", *names)
    early = [line for line in lines if line and line[0].startswith("callbacks.early_stopping.")]
    assert early
    assert {line[1] for line in early} == {"absent"}


def test_runs_of_the_same_config_are_said_to_be_that_wherever_they_landed(fulgurite, training):
    names = two_runs(fulgurite, training, ["seed=1"], ["seed=1", "logger=csv", "output_root=other"])
    code, lines, _ = fulgurite("diff", *names)
    assert code == 0
    assert lines[2][:3] == ["the", "same", "config;"]
    assert "config" not in [line[0] for line in lines]


def test_another_version_or_commit_is_shown(fulgurite, training):
    names = two_runs(fulgurite, training, ["seed=1"], ["seed=1"])
    record(
        training.folders[0], 0.9, git={"commit": "a" * 40, "dirty": True}, versions={"torch": "2.14", "numpy": "2.3"}
    )
    record(
        training.folders[1], 0.9, git={"commit": "a" * 40, "dirty": False}, versions={"torch": "2.15", "numpy": "2.3"}
    )
    _, lines, _ = fulgurite("diff", *names)
    start = lines.index(["code", "A", "B"])
    assert lines[start + 1] == ["commit", "a" * 12, "with", "changes", "a" * 12]
    assert lines[start + 2] == ["torch", "2.14", "2.15"]
    assert lines[start + 3][0] == "results"


def test_two_jobs_of_a_sweep_are_known_by_their_names(fulgurite, training):
    fulgurite("train", "-m", "sweep.name=night", "model=mlp", "optimizer.lr=0.1,0.2")
    one, other = (folder.name for folder in training.folders)
    _, lines, _ = fulgurite("diff", one, f"night/{other}")
    assert lines[:2] == [["A", str(SWEEPS / "night" / one)], ["B", str(SWEEPS / "night" / other)]]
    assert ["optimizer.lr", "0.1", "0.2"] in lines


def test_of_two_sweeps_what_each_varies_what_is_fixed_and_common_settings_are_compared(fulgurite, training):
    fulgurite("train", "-m", "sweep.name=night", "model=mlp", "optimizer.lr=0.1,0.2")
    fulgurite("train", "-m", "sweep.name=day", "model=mlp", "optimizer.lr=0.2,0.3", "trainer.max_epochs=2")
    for folder, value in zip(training.folders, (0.5, 0.6, 0.7, 0.9), strict=True):
        record(folder, value)
    _, lines, _ = fulgurite("diff", "night", "day")
    assert lines[2:] == [
        ["config", "A", "B"],
        ["optimizer.lr", "0.1,0.2", "0.2,0.3"],
        ["trainer.max_epochs", "5", "2"],
        ["results", "A", "B", "B", "-", "A"],
        ["finished", "2/2", "2/2"],
        ["best", "setting", "optimizer.lr=0.2", "optimizer.lr=0.3"],
        ["best", "val/acc", "0.6000", "0.9000", "+0.3000"],
        ["optimizer.lr=0.2", "0.6000", "0.7000", "+0.1000"],
    ]


def test_what_one_sweep_varies_and_the_other_does_not_is_shown_with_its_value(fulgurite):
    fulgurite("train", "-m", "sweep.name=night", "model=mlp,cnn", "seed=1")
    fulgurite("train", "-m", "sweep.name=day", "model=mlp", "seed=1,2")
    _, lines, _ = fulgurite("diff", "night", "day")
    assert ["seed", "1", "1,2"] in lines
    assert [line[1] for line in lines if line[0] == "model"] == ["mlp,cnn"]


def test_a_run_and_a_sweep_are_not_compared(fulgurite, training):
    fulgurite("train", "-m", "sweep.name=night", "seed=1,2")
    code, _, err = fulgurite("diff", "night", training.folders[0].name)
    assert code == 2
    assert "diff takes two runs or two sweeps; outputs/sweeps/night is a sweep and" in err


@pytest.mark.parametrize("command", [["ls", "nigth"], ["diff", "night", "nigth"]])
def test_an_unknown_name_is_told_the_nearest(fulgurite, command):
    fulgurite("train", "-m", "sweep.name=night", "seed=1,2")
    code, _, err = fulgurite(*command)
    assert code == 2
    assert err.startswith("error: there is no run, sweep or folder nigth here or in outputs (did you mean night?); ")


def test_a_name_that_two_sweeps_have_is_refused(fulgurite):
    for name in ("night", "day"):
        (SWEEPS / name / "job").mkdir(parents=True)
    code, _, err = fulgurite("diff", "job", "job")
    assert code == 2
    assert "job is the name of 2 folders: " in err


def test_a_folder_that_is_neither_is_refused(fulgurite):
    (SWEEPS / "night").mkdir(parents=True)
    code, _, err = fulgurite("diff", "night", "night")
    assert code == 2
    assert "outputs/sweeps/night is neither a run nor a sweep; fulgurite ls outputs/sweeps/night shows" in err


def test_ls_lists_what_lies_in_outputs_a_task_or_a_sweep(fulgurite, training):
    fulgurite("train", "model=mlp")
    fulgurite("train", "-m", "sweep.name=night", "seed=1,2")
    code, lines, _ = fulgurite("ls")
    assert code == 0
    assert [(line[0], line[-1]) for line in lines[1:]] == [
        ("sweep", "outputs/sweeps/night"),
        ("run", f"outputs/mnist/{training.folders[0].name}"),
    ]
    assert [line[-1] for line in fulgurite("ls", "mnist")[1][1:]] == [f"outputs/mnist/{training.folders[0].name}"]
    jobs = sorted(f"outputs/sweeps/night/{folder.name}" for folder in training.folders[1:])
    assert sorted(line[-1] for line in fulgurite("ls", "night")[1][1:]) == jobs


def test_ls_of_an_empty_folder_says_so(fulgurite):
    Path("outputs").mkdir()
    assert fulgurite("ls")[1] == [["outputs", "holds", "no", "runs."]]


def test_ls_without_outputs_asks_for_a_folder(fulgurite):
    code, _, err = fulgurite("ls")
    assert code == 2
    assert err == "error: there is no folder outputs here; give the folder of your runs: fulgurite ls FOLDER\n"


def test_ls_and_diff_import_no_torch(fulgurite, training):
    names = two_runs(fulgurite, training, ["seed=1"], ["seed=2"])
    script = "import sys; from fulgurite import cli; sys.argv = sys.argv[1:]; cli.main(); print('torch' in sys.modules)"
    for words in (["ls"], ["diff", *names]):
        said = subprocess.run([sys.executable, "-c", script, "fulgurite", *words], capture_output=True, text=True)
        assert said.stdout.splitlines()[-1] == "False", said.stderr


def test_a_sweep_without_its_record_is_compared_by_its_results(fulgurite, training):
    fulgurite("train", "-m", "sweep.name=night", "seed=1,2")
    (SWEEPS / "night" / "sweep.json").write_text(json.dumps([]))
    code, lines, _ = fulgurite("diff", "night", "night")
    assert code == 0
    assert ["finished", "2/2", "2/2"] in lines


@pytest.mark.parametrize("words", [["ls"], ["diff", "."], ["sweep", "show"], ["report"]])
def test_a_name_that_is_too_long_for_a_file_is_one_that_is_not_there(fulgurite, words):
    code, _, err = fulgurite(*words, "x" * 300)
    assert code == 2
    assert "error: there is no " in err


def test_an_override_that_is_too_long_for_a_file_is_explained(fulgurite):
    code, _, err = fulgurite("train", f"{'x' * 300}=1")
    assert code == 2
    assert "Traceback" not in err
