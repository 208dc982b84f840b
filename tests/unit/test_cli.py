"""The command line inside this process, with training replaced by a stand-in."""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fulgurite import cli, help, job
from fulgurite import devices as devices_of_a_job
from fulgurite.config import CONF_DIR
from fulgurite.errors import ConfigError, DataError
from fulgurite.result import Objective, Result, read_result


@dataclass
class Training:
    """Stands in for ``run_job``: keeps what it was called with, raises what it is told to."""

    errors: dict[str, BaseException] = field(default_factory=dict)
    jobs: list[list[str]] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    argv: list[str] = field(default_factory=list)

    def __call__(self, cfg, overrides, build=None, begun=None):
        self.jobs.append(list(overrides))
        self.folders.append(Path(cfg.folder))
        self.argv = list(sys.argv)
        for override in overrides:
            if override in self.errors:
                raise self.errors[override]
        return Result("finished", Objective("val/acc", "max", 0.9), overrides=list(overrides)).write(Path(cfg.folder))


@pytest.fixture
def training(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FULGURITE_DEBUG", "0")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.setattr(job, "run_job", stand_in := Training())
    return stand_in


def test_argv_stays_as_typed_while_a_job_runs(training, monkeypatch):
    typed = ["/bin/fulgurite", "train", "model=mlp", "seed=3"]
    monkeypatch.setattr(sys, "argv", list(typed))
    assert cli.main() == 0
    assert training.argv == typed
    assert training.jobs == [["model=mlp", "seed=3"]]


def test_what_lightning_adds_for_a_second_process_puts_it_into_the_same_folder(training):
    added = ['hydra.run.dir="outputs/a b"', "hydra.job.name=train_ddp_process_1", "hydra.output_subdir=null"]
    assert cli.train(["model=mlp", "--run", *added]) == 0
    assert training.folders == [Path.cwd() / "outputs" / "a b"]
    assert not (training.folders[0] / ".hydra").exists()


def test_an_error_of_the_user_is_one_line_and_exit_code_2(training, capsys):
    training.errors["seed=1"] = ConfigError("model.dropout must be in [0, 1), got 1.5")
    assert cli.train(["seed=1"]) == 2
    assert capsys.readouterr() == ("", "error: model.dropout must be in [0, 1), got 1.5\n")


def test_a_bug_is_one_line_with_its_log_and_exit_code_1(training, capsys):
    training.errors["seed=1"] = RuntimeError("shapes differ")
    assert cli.train(["seed=1"]) == 1
    out, err = capsys.readouterr()
    log = training.folders[0].relative_to(Path.cwd()) / "train.log"
    assert (out, err) == ("", f"error: RuntimeError: shapes differ; the traceback is in {log}\n")


def test_debug_lets_the_exception_through(training, monkeypatch):
    monkeypatch.setenv("FULGURITE_DEBUG", "1")
    with pytest.raises(Exception, match="Could not override 'lr'"):
        cli.train(["lr=1"])


def test_ctrl_c_is_one_line_and_exit_code_130(training, capsys):
    training.errors["seed=1"] = KeyboardInterrupt()
    assert cli.train(["seed=1"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_sweep_outlives_its_jobs_and_names_the_failed(training, capsys):
    training.errors = {"seed=1": RuntimeError("boom"), "seed=2": SystemExit(3), "seed=3": DataError("no such file")}
    assert cli.train(["-m", "seed=1,2,3,4", "model=mlp"]) == 1
    assert [each[0] for each in training.jobs] == ["seed=1", "seed=2", "seed=3", "seed=4"]
    assert [read_result(folder).status for folder in training.folders] == ["failed"] * 3 + ["finished"]
    out, err = capsys.readouterr()
    assert "[4/4] seed-4" in out
    assert [line.partition(" (")[0] for line in err.splitlines()] == [
        "[1/4] failed: RuntimeError: boom",
        "[2/4] failed: SystemExit: 3",
        "[3/4] failed: no such file",
    ]
    assert (training.folders[0].parent / "leaderboard.csv").exists()


def test_a_sweep_of_finished_jobs_ends_with_0_and_a_leaderboard(training, capsys):
    assert cli.train(["-m", "model=mlp,cnn", "seed=1,2"]) == 0
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("[")] == [
        "[1/4] mlp seed-1",
        "[2/4] mlp seed-2",
        "[3/4] cnn seed-1",
        "[4/4] cnn seed-2",
    ]
    assert "0.9000" in out


def test_ctrl_c_ends_a_sweep_and_still_prints_the_leaderboard(training, capsys):
    training.errors["seed=2"] = KeyboardInterrupt()
    assert cli.train(["-m", "seed=1,2,3"]) == 130
    out, err = capsys.readouterr()
    assert len(training.jobs) == 2
    assert "0.9000" in out
    name = training.folders[0].parent.name
    assert err == f"interrupted; to go on with it, give the same command with sweep.name={name}\n"


def test_job_folders_lie_in_one_sweep_folder_and_are_named_by_what_was_swept(training):
    cli.train(["-m", "optimizer.lr=1e-3,3e-3", "trainer.max_epochs=2"])
    assert [folder.name.rpartition("_")[0] for folder in training.folders] == ["lr-0.001", "lr-0.003"]
    assert len({folder.parent for folder in training.folders}) == 1
    assert training.folders[0].parent.name.startswith("lr_")


@pytest.mark.parametrize(
    "words", [["model=mlp,cnnn"], ["seed=1,abc"], ["model=mlp,linear", "model.dropout=0.1"], ["seed=1,2", "lr=3"]]
)
def test_a_mistake_in_any_job_is_told_before_the_first(training, capsys, words):
    assert cli.train(["-m", *words]) == 2
    assert training.jobs == []
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    "words", [["trainer=ddp_cpu", "seed=1,2"], ["trainer=cpu,ddp_cpu"], ["seed=1,2", "trainer.devices=[0,1]"]]
)
def test_a_sweep_over_several_devices_is_refused(training, capsys, words):
    assert cli.train(["-m", *words]) == 2
    assert training.jobs == []
    assert capsys.readouterr().err.startswith("error: a sweep on this launcher needs trainer.devices=1 and ")


@pytest.mark.parametrize(("devices", "count"), [(3, 3), ("2", 2), ("0,1", 2), ([0, 1, 2], 3), ("auto", 1), (-1, 1)])
def test_devices_are_counted_as_lightning_does(devices, count):
    assert devices_of_a_job.count(devices, "cpu") == count


def test_an_unknown_flag_is_told_the_nearest(training, capsys):
    assert cli.train(["--multrun"]) == 2
    assert capsys.readouterr().err.startswith("error: there is no flag --multrun (did you mean --multirun?)")


def test_an_output_folder_that_cannot_be_made_is_named(training, capsys):
    Path("file").touch()
    assert cli.train(["output_root=file"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_an_unknown_command_is_told_the_nearest(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fulgurite", "evl"])
    assert cli.main() == 2
    assert capsys.readouterr().err.startswith("error: there is no command evl (did you mean eval?)")


def test_overrides_without_a_command_are_told_to_train(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fulgurite", "model=cnn"])
    assert cli.main() == 2
    assert "fulgurite train model=cnn" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_sweep_without_a_word_says_what_there_is(monkeypatch, capsys, words):
    monkeypatch.setattr(sys, "argv", ["fulgurite", "sweep", *words])
    assert cli.main() == 0
    out = capsys.readouterr().out
    for name, purpose in help.SWEEP_COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(purpose)}$", out, flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("plam", "there is no command sweep plam (did you mean plan?); after sweep comes plan or show or resume"),
        ("seed=1,2", "a command comes first: fulgurite sweep plan seed=1,2"),
    ],
)
def test_an_unknown_word_after_sweep_is_told_what_there_is(monkeypatch, capsys, word, message):
    monkeypatch.setattr(sys, "argv", ["fulgurite", "sweep", word])
    assert cli.main() == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_each_command_of_sweep_has_a_help_text(monkeypatch, capsys):
    for name in help.SWEEP_COMMANDS:
        monkeypatch.setattr(sys, "argv", ["fulgurite", "sweep", name, "--help"])
        assert cli.main() == 0
        assert f"fulgurite sweep {name}" in capsys.readouterr().out


def test_help_lists_each_option_with_its_purpose():
    text = help.train()
    for path in CONF_DIR.glob("*/*.yaml"):
        if path.parent.name != "hydra":
            purpose = help.options(path.parent.name)[path.stem]
            assert purpose, f"{path} opens with no one-line purpose"
            assert f"{path.stem} " in text
            assert purpose in text


def test_help_marks_the_defaults():
    lines = [line.split() for line in help.train().splitlines()]
    assert [line[0] for line in lines if line[1:2] == ["*"]] == [option for option in help.groups().values() if option]


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("fulgurite tr", "train"),
        ("fulgurite sweep p", "plan"),
        ("fulgurite sweep plan model=ml", "model=mlp"),
        ("fulgurite train model=ml", "model=mlp"),
        ("fulgurite eval outputs/", ""),
    ],
)
def test_the_shell_completes_commands_and_the_overrides_of_train(training, monkeypatch, capsys, line, completed):
    monkeypatch.setattr(sys, "argv", ["fulgurite", "-sc", "query=bash"])
    monkeypatch.setenv("COMP_LINE", line)
    assert cli.main() == 0
    assert capsys.readouterr().out.strip() == completed
