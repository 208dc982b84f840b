"""A sweep that is given in the place of a run: which of its runs is named."""

from pathlib import Path

import pytest

from fulgurite import cli
from fulgurite.errors import RunFolderError
from fulgurite.replay.run_folder import open_run
from fulgurite.result import Objective, Result

NIGHT = Path("outputs", "sweeps", "night")


@pytest.fixture
def night(tmp_path, monkeypatch) -> Path:
    """Three jobs of a sweep: of the finished ones the second is the better."""
    monkeypatch.chdir(tmp_path)
    for name, status, value in (("a", "finished", 0.8), ("b", "finished", 0.9), ("c", "failed", None)):
        (NIGHT / name).mkdir(parents=True)
        Result(status, Objective("val/acc", "max", value), overrides=[f"model={name}"]).write(NIGHT / name)
    (NIGHT / "sweep.json").write_text("{}")
    return NIGHT


@pytest.mark.parametrize("command", ["backquery", "visualise", "eval"])
@pytest.mark.parametrize("given", ["night", str(NIGHT)])
def test_a_sweep_is_refused_with_its_best_run(night, monkeypatch, capsys, command: str, given: str):
    monkeypatch.setattr("sys.argv", ["fulgurite", command, given])
    assert cli.main() == 2
    said = f"{night} is a folder of 3 runs, and a run is wanted; give one of them, such as its best, {night / 'b'}\n"
    assert capsys.readouterr().err == f"error: {said}"


def test_where_no_run_has_finished_the_first_is_named(night):
    for name in "ab":
        Result("failed", Objective("val/acc", "max"), overrides=[f"model={name}"]).write(night / name)
    with pytest.raises(RunFolderError, match=r"of 3 runs, and a run is wanted; give one of them, such as \S*/a$"):
        open_run(night)


def test_a_name_of_nothing_is_no_run_folder(night):
    with pytest.raises(RunFolderError, match=r"/nothing is not a run folder: it has no result\.json"):
        open_run(Path("nothing"))
