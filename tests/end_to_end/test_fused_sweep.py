"""`python train.py -m launcher=fused` leaves what the same sweep leaves with `launcher=basic`, job by job."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fulgurite import cli
from fulgurite.fused.group import Group
from fulgurite.fused.member import Member
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
# Runs of a different structure, too; a learning rate and a seed that each model has once.
SWEPT = ["model.activation=relu,tanh", "seed=1,2"]


def swept(launcher: str, *words: str) -> tuple[int, Path]:
    """Run a sweep in the current folder; its exit code and its folder."""
    code = cli.train(["-m", f"launcher={launcher}", *TINY, *words])
    return code, next(Path("outputs", "sweeps").absolute().iterdir())


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory) -> dict[str, Path]:
    """The same sweep by both launchers."""
    folders = {}
    for launcher in ("basic", "fused"):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path_factory.mktemp(launcher))
            code, folders[launcher] = swept(launcher, *SWEPT)
            assert code == 0
    return folders


@pytest.fixture(autouse=True)
def quiet(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def jobs_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def pairs(sweeps: dict[str, Path]) -> list[tuple[Path, Path]]:
    return list(zip(jobs_of(sweeps["basic"]), jobs_of(sweeps["fused"]), strict=True))


def files_in(folder: Path) -> set[str]:
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return {"events" if "tfevents" in name else name for name in names}


def test_both_launchers_leave_the_same_files_in_folders_of_the_same_names(sweeps):
    assert len(pairs(sweeps)) == 4
    for basic, fused in pairs(sweeps):
        assert fused.name == basic.name
        assert files_in(fused) == files_in(basic)
    assert (sweeps["fused"] / "leaderboard.csv").exists()
    assert files_in(sweeps["fused"]) == files_in(sweeps["basic"])


def test_both_launchers_record_the_same_results(sweeps):
    for basic, fused in pairs(sweeps):
        one, other = read_result(basic), read_result(fused)
        texts = ((folder / "result.json").read_text() for folder in (basic, fused))
        assert len({tuple(json.loads(text)) for text in texts}) == 1
        assert (one.status, one.epochs, one.fingerprint) == (other.status, other.epochs, other.fingerprint)
        assert other.metrics == pytest.approx(one.metrics, abs=1e-4)
        assert other.objective.value == pytest.approx(one.objective.value, abs=1e-4)
        assert [each.replace("basic", "fused") for each in one.overrides] == other.overrides
        assert other.samples_per_s > 0


def test_both_launchers_record_the_same_config(sweeps):
    for basic, fused in pairs(sweeps):
        one, other = (OmegaConf.load(folder / ".hydra" / "config.yaml") for folder in (basic, fused))
        for cfg in (one, other):
            del cfg["launcher"]
        assert one == other


def test_both_launchers_write_the_same_rows_into_the_csv(sweeps):
    for basic, fused in pairs(sweeps):
        one, other = ((folder / "metrics.csv").read_text().splitlines() for folder in (basic, fused))
        assert other[0] == one[0]
        assert len(other) == len(one)


def test_each_member_has_its_own_log(sweeps):
    for _, fused in pairs(sweeps):
        log = (fused / "train.log").read_text()
        assert log.count("`Trainer.fit` stopped: `max_epochs=2` reached.") == 1


def test_a_members_folder_can_be_evaluated(sweeps, capsys, monkeypatch):
    folder = jobs_of(sweeps["fused"])[0]
    monkeypatch.setattr(sys, "argv", ["fulgurite", "eval", str(folder)])
    assert cli.main() == 0
    assert f"{read_result(folder).metrics['test/acc']:.4f}" in capsys.readouterr().out


def test_a_job_that_fails_is_named_and_the_others_finish(capsys):
    code, folder = swept("fused", "optimizer.lr=-1.0,0.001,0.002", "trainer.max_epochs=1", "test=false")
    out, err = capsys.readouterr()
    assert code == 1
    assert err == "[1/3] failed: optimizer.lr must be a number > 0, got -1.0\n"
    titles = [line for line in out.splitlines() if line.startswith("[")]
    assert titles == ["[1/3] lr--1.0", "[2/3] lr-0.001", "[3/3] lr-0.002"]
    assert sorted(read_result(job).status for job in jobs_of(folder)) == ["failed", "finished", "finished"]
    assert (folder / "leaderboard.csv").exists()


def test_a_job_that_diverges_is_named_and_counts_as_failed(capsys):
    words = ("optimizer=sgd", "model.norm=none", "optimizer.lr=1e30,0.01,0.02", "trainer.max_epochs=1", "test=false")
    code, folder = swept("fused", *words)
    assert code == 1
    assert capsys.readouterr().err == (
        "[1/3] diverged: the training loss became infinite or not a number; lower optimizer.lr\n"
    )
    assert sorted(read_result(job).status for job in jobs_of(folder)) == ["diverged", "finished", "finished"]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("launcher.max_members=0", "launcher.max_members must be an integer >= 1, got 0"),
        ("launcher.compile=maybe", "launcher.compile must be true or false, got 'maybe'"),
        ("launcher.probe=3", "launcher.probe must be true or false, got 3"),
    ],
)
def test_a_setting_of_the_launcher_that_is_not_allowed_is_refused_in_words(capsys, word, message):
    assert cli.train(["-m", "launcher=fused", *TINY, "seed=1,2", word]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_a_sweep_without_a_progress_callback_trains():
    code, _ = swept("fused", "seed=1,2", "~callbacks.progress", "trainer.max_epochs=1", "test=false")
    assert code == 0


def test_a_value_that_cannot_be_resolved_fails_its_job_alone(capsys):
    code, folder = swept("fused", "optimizer.lr=${nothing},0.001", "trainer.max_epochs=1", "test=false")
    assert code == 1
    assert "nothing" in capsys.readouterr().err
    assert sorted(read_result(job).status for job in jobs_of(folder)) == ["failed", "finished"]


def test_one_run_with_the_fused_launcher_is_an_ordinary_run(tmp_path):
    assert cli.train(["launcher=fused", *TINY, "trainer.max_epochs=1", "test=false", f"output_root={tmp_path}"]) == 0
    (folder,) = (tmp_path / "mnist").iterdir()
    assert read_result(folder).status == "finished"


@pytest.fixture
def pressed(monkeypatch):
    """Sends signals in the second epoch of a fused sweep, and in each end of a member after that."""
    run, end = Group.run, Member.end

    def press(number: int) -> None:
        def run_and_press(group, steps):
            if group.loops[0].trainer.current_epoch == 1:
                os.kill(os.getpid(), number)
            return run(group, steps)

        def end_and_press(member, error):
            os.kill(os.getpid(), number)
            end(member, error)

        monkeypatch.setattr(Group, "run", run_and_press)
        monkeypatch.setattr(Member, "end", end_and_press)

    return press


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_in_a_fused_sweep_are_one_line_and_recorded_for_each_member(capsys, pressed, number):
    pressed(number)
    code, folder = swept("fused", "seed=1,2,3", "launcher.probe=false")
    assert code == 130
    assert [line.partition(";")[0] for line in capsys.readouterr().err.splitlines()] == ["interrupted"]
    assert [read_result(job).status for job in jobs_of(folder)] == ["interrupted"] * 3


def test_sigterm_ends_a_fused_sweep_that_a_script_has_put_into_the_background(pressed, monkeypatch):
    pressed(signal.SIGTERM)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code, folder = swept("fused", "seed=1,2", "launcher.probe=false")
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 130
    assert [read_result(job).status for job in jobs_of(folder)] == ["interrupted"] * 2
