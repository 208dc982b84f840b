"""`python train.py engine=compiled`: what a user sees, and what the run leaves."""

import re
import sys
from pathlib import Path

import pytest

from fulgurite import cli
from fulgurite.fused.group import Group
from fulgurite.result import read_result

TINY = [
    "trainer=cpu",
    "model=mlp",
    "model.hidden=[6]",
    "data.train_subset=500",
    "data.batch_size=50",
    "data.eval_batch_size=1000",
    "trainer.max_epochs=2",
]


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch, tmp_path):
    """In a folder of its own, with programs as they are traced: to compile one takes seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Group, "compile", lambda group: None)


def runs_in(*parts: str) -> list[Path]:
    return sorted(path for path in Path("outputs", *parts).absolute().iterdir() if path.is_dir())


def test_a_run_says_in_one_line_what_was_decided_and_ends_as_without_a_program(capsys):
    for engine in ("compiled", "auto", "eager"):
        assert cli.train([*TINY, "data.train_subset=2000", f"engine={engine}"]) == 0
    said = re.findall("the training step is .*", capsys.readouterr().out)
    assert len(said) == 2
    assert re.fullmatch(r"the training step is compiled in [\d.e-]+ s", said[0])
    assert re.fullmatch(r"the training step is not compiled, .*: \d+ steps of [\d.]+ ms are left.*", said[1])
    results = [read_result(folder) for folder in runs_in("mnist")]
    assert len(results) == 3
    assert len({result.fingerprint for result in results}) == 3
    for result in results:
        assert (result.status, result.epochs) == ("finished", 2)
        assert result.metrics == pytest.approx(results[0].metrics, abs=1e-4)


def test_a_compiled_run_can_be_evaluated_and_repeated_with_identical_numbers(capsys, monkeypatch):
    assert cli.train([*TINY, "engine=compiled"]) == 0
    (folder,) = runs_in("mnist")
    for command, words in (("eval", "Identical to result.json"), ("rerun", "are bitwise identical")):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["fulgurite", command, str(folder)])
        assert cli.main() == 0
        assert words in capsys.readouterr().out


def test_a_sweep_compiles_each_of_its_jobs(capsys):
    assert cli.train(["-m", *TINY, "engine=compiled", "seed=1,2", "test=false"]) == 0
    assert capsys.readouterr().out.count("the training step is compiled in ") == 2
    (sweep,) = runs_in("sweeps")
    assert [read_result(folder).status for folder in runs_in("sweeps", sweep.name)] == ["finished"] * 2


def test_fused_jobs_are_compiled_by_their_launcher(capsys):
    assert cli.train(["-m", "launcher=fused", *TINY, "engine=compiled", "seed=1,2"]) == 2
    assert capsys.readouterr().err == (
        "error: engine=compiled is for jobs that train one by one; with launcher=fused leave it out and use "
        "launcher.compile=true\n"
    )


def test_an_engine_that_there_is_not_is_refused_with_the_nearest(capsys):
    assert cli.train([*TINY, "engine=compild"]) == 2
    assert capsys.readouterr().err == (
        "error: engine must be one of eager, compiled, auto, got compild (did you mean compiled?)\n"
    )
