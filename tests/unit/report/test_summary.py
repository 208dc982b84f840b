import shlex
from pathlib import Path

import pytest

from fulgurite.errors import RunFolderError
from fulgurite.report.summary import print_summary
from fulgurite.result import Failure, Objective, Result

METRICS = {"val/acc": 0.98765, "val/loss": 0.04, "train/loss": 0.01, "test/acc": 0.98321, "test/loss": 0.0512}


def summary_of(folder: Path, capsys, config: str = "", **options) -> list[str]:
    fields = {
        "status": "finished",
        "objective": Objective("val/acc", "max", 0.98765),
        "metrics": METRICS,
        "epochs": 5,
        "seconds": 12.34,
        "samples_per_s": 25579.6,
    }
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").write_text(config)
    Result(**(fields | options)).write(folder)
    print_summary(folder)
    return capsys.readouterr().out.splitlines()


def test_best_validation_test_time_and_speed_are_told_in_at_most_15_lines(tmp_path, capsys):
    lines = summary_of(tmp_path / "run", capsys)
    assert [line.split() for line in lines[:3]] == [
        ["best", "val/acc", "0.9877"],
        ["test/acc", "0.9832"],
        ["test/loss", "0.0512"],
    ]
    assert "5 epochs in 12.3 s, 25,580 samples/s" in lines
    assert len(lines) <= 15


@pytest.mark.parametrize("chosen", ["best", "last"])
def test_the_value_of_the_last_epoch_is_not_called_the_best(tmp_path, capsys, chosen):
    config = f"callbacks: {{best_checkpoint: {{choose: {chosen}}}}}"
    assert summary_of(tmp_path / "run", capsys, config)[0].split() == [chosen, "val/acc", "0.9877"]


def test_the_next_commands_name_the_run_as_seen_from_here(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = summary_of(tmp_path / "outputs" / "mnist" / "cnn run", capsys)
    commands = [shlex.split(line) for line in lines[lines.index("Next:") + 1 :]]
    assert commands[:3] == [
        ["fulgurite", "eval", "outputs/mnist/cnn run"],
        ["fulgurite", "predict", "outputs/mnist/cnn run", "digit.png"],
        ["fulgurite", "board", "outputs/mnist/cnn run"],
    ]
    assert commands[3][:3] == ["python", "train.py", "-m"]


def test_a_long_path_is_not_broken_over_lines(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    folder = tmp_path / "outputs" / "mnist" / ("cnn_" + "x" * 100)
    assert any("x" * 100 in line for line in summary_of(folder, capsys))


@pytest.mark.parametrize(
    ("shape", "file"),
    [("['${length:${data.features}}']", "points.csv"), ("[2, 28]", "points.csv"), ("[1, 28, 28]", "digit.png")],
)
@pytest.mark.parametrize("metric", ["val/acc", "val/mae"])
def test_a_run_on_images_is_asked_about_a_picture_and_one_on_numbers_about_a_csv_file(
    tmp_path, capsys, shape, file, metric
):
    lines = summary_of(
        tmp_path / "run", capsys, f"data: {{spec: {{input_shape: {shape}}}}}", objective=Objective(metric, "min", 0.4)
    )
    assert lines[0].split() == ["best", metric, "0.4000"]
    assert [line.split()[-1] for line in lines if " predict " in line] == [file]


def test_a_diverged_run_says_so(tmp_path, capsys):
    lost = Failure("Diverged", "the training loss became infinite", "train.log")
    objective = Objective("val/acc", "max")
    lines = summary_of(tmp_path / "run", capsys, status="diverged", error=lost, objective=objective, metrics={})
    assert "The run is diverged: the training loss became infinite" in lines


def test_the_folder_and_the_best_checkpoint_are_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "mnist" / "cnn"
    folder.mkdir(parents=True)
    Result("finished", Objective("val/acc", "max", 0.9)).write(folder)
    print_summary(folder)
    without = capsys.readouterr().out.splitlines()
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "best.ckpt").touch()
    print_summary(folder)
    lines = capsys.readouterr().out.splitlines()
    assert "Run folder: outputs/mnist/cnn" in lines
    assert set(lines) - set(without) == {"Best checkpoint: outputs/mnist/cnn/checkpoints/best.ckpt"}


def test_a_folder_without_a_record_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match=r"is not a run folder: it has no result\.json"):
        print_summary(tmp_path)
