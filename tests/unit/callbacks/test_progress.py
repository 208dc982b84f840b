import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from fulgurite.build import build
from fulgurite.callbacks.progress import Bar, EpochLines, make_progress
from fulgurite.fit import fit
from fulgurite.log import log_to

TINY = ("model=mlp", "model.hidden=[16]", "data.train_subset=512", "data.batch_size=64", "trainer.max_epochs=2")


def test_into_a_file_there_is_one_line_an_epoch(compose_config, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with log_to(tmp_path):
        fit(build(compose_config(*TINY, "logger=none")))
    lines = capsys.readouterr().out.splitlines()
    pattern = r"epoch (\d)/2  train/acc 0\.\d+  train/loss \d\.\d+  val/acc 0\.\d+  val/loss \d\.\d+  \d+\.\d s"
    assert [re.fullmatch(pattern, line).group(1) for line in lines] == ["1", "2"]


def test_a_run_that_ends_after_steps_has_no_number_of_epochs(
    compose_config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ("trainer.max_epochs=-1", "trainer.max_steps=8", "logger=none", "test=false")
    with log_to(tmp_path):
        fit(build(compose_config(*TINY, *words)))
    assert [line.split()[:3] for line in capsys.readouterr().out.splitlines()] == [["epoch", "1", "train/acc"]]


def test_a_line_shows_the_training_metrics_of_its_own_epoch(
    compose_config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with log_to(tmp_path):
        outcome = fit(build(compose_config(*TINY, "logger=none")))
    last = capsys.readouterr().out.splitlines()[-1]
    assert f"train/loss {outcome.metrics['train/loss']:.4g} " in last


def test_on_a_terminal_the_bar_counts_batches_and_the_lines_stay(compose_config, tmp_path: Path):
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    run = build(compose_config(*TINY, "logger=none", "callbacks.progress=null"))
    run.trainer.callbacks.insert(0, Bar(refresh_s=0.0, console=console))
    with log_to(tmp_path):
        fit(run)
    drawn = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", console.file.getvalue())
    assert "epoch 2/2" in drawn
    assert "8/8" in drawn
    assert drawn.count("train/loss") == 2


def test_stdout_decides_between_bar_and_lines(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert isinstance(make_progress(), Bar)
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert type(make_progress()) is EpochLines
