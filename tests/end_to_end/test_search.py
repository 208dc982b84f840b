"""Searches with real jobs: by each launcher, killed and gone on with, pruned, with several seeds."""

import csv
import json
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import optuna
import pytest

from fulgurite import cli
from fulgurite.result import Result, read_result
from fulgurite.search.storage import open_storage

TRAIN = Path(__file__).parents[2] / "train.py"
WORDS = [
    "trainer=cpu",
    "model=mlp",
    "model.hidden=[8]",
    "data.train_subset=500",
    "data.batch_size=50",
    "data.eval_batch_size=2500",
    "trainer.max_epochs=1",
    "logger=none",
    "test=false",
]
RATE = "optimizer.lr=tag(log,interval(1e-5,1e-1))"


def words(name: str, *more: str) -> list[str]:
    return ["-m", *WORDS, f"sweep.name={name}", *more]


def results(name: str) -> list[Result]:
    return [read_result(path.parent) for path in sorted(Path("outputs", "sweeps", name).glob("*/result.json"))]


def trials(name: str) -> list[optuna.trial.FrozenTrial]:
    study = optuna.load_study(study_name="search", storage=open_storage(Path("outputs", "sweeps", name), "journal"))
    return study.get_trials()


def settings(name: str) -> list[tuple[str, float | None]]:
    """Rate and objective of each job, in the order of the rates."""
    rates = [next(each for each in result.overrides if each.startswith("optimizer.lr=")) for result in results(name)]
    return sorted(zip(rates, (result.objective.value for result in results(name)), strict=True))


def test_a_search_by_tpe_runs_to_its_leaderboard_and_a_larger_number_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.train(words("a", "sweep=tpe", "sweep.num_trials=3", RATE)) == 0
    said = capsys.readouterr().out
    assert "[1/3] lr-" in said
    assert "3 trials: 3 finished" in said
    rows = list(csv.DictReader(Path("outputs/sweeps/a/leaderboard.csv").read_text().splitlines()))
    assert len(rows) == 3
    best = max(trials("a"), key=lambda trial: trial.value)
    assert float(rows[0]["optimizer.lr"]) == best.params["optimizer.lr"]
    first = settings("a")
    assert cli.train(words("a", "sweep=tpe", "sweep.num_trials=4", RATE)) == 0
    said = capsys.readouterr().out
    assert "3 trials have ended before: 3 finished" in said
    assert "[4/4] lr-" in said
    assert "[3/4]" not in said
    assert set(first) < set(settings("a"))
    assert [trial.number for trial in trials("a")] == [0, 1, 2, 3]
    # Another search does not get into it.
    assert cli.train(words("a", "sweep=tpe", "sweep.num_trials=4", "optimizer.lr=interval(1e-5,1e-1)")) == 2
    assert (
        "another search: sweep.space: {'optimizer.lr': 'tag(log,interval(1e-05,0.1))'} then, "
        in capsys.readouterr().err
    )
    assert cli.train(words("a", "sweep=tpe", "sweep.num_trials=5", RATE, "model.dropout=0.3")) == 2
    assert "model.dropout" in capsys.readouterr().err


@pytest.mark.slow
def test_the_trials_are_the_same_in_this_process_and_in_processes_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    search = ["sweep=tpe", "sweep.num_trials=4", "+sweep.sampler_options.n_startup_trials=2", RATE]
    assert cli.train(words("basic", *search)) == 0
    assert cli.train(words("processes", *search, "launcher=processes", "launcher.num_workers=1")) == 0
    assert settings("processes") == settings("basic")
    assert [trial.params for trial in trials("processes")] == [trial.params for trial in trials("basic")]


def kill_when(command: list[str], is_time) -> None:
    with subprocess.Popen(
        [sys.executable, TRAIN, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        until = time.monotonic() + 60
        while not is_time() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.002)
        process.kill()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_a_search_whose_driver_is_killed_reaches_its_number_and_goes_on_with_the_running_trial(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    command = ["sweep=tpe", "sweep.num_trials=4", RATE, "trainer.max_epochs=6"]
    assert cli.train(words("whole", *command)) == 0
    folder = Path("outputs", "sweeps", "killed")
    kill_when(words("killed", *command), lambda: len(list(folder.glob("*/checkpoints/last.ckpt"))) == 2)
    statuses = Counter(result.status for result in results("killed"))
    assert statuses["running"] == 1
    before = {path: path.stat().st_mtime for path in folder.glob("*/result.json") if "finished" in path.read_text()}
    capsys.readouterr()
    assert cli.train(words("killed", *command)) == 0
    said = capsys.readouterr().out
    assert "goes on after epoch" in said
    assert "4 trials: 4 finished" in said
    # The finished one was not touched; nothing was lost, or is there twice.
    assert all(path.stat().st_mtime == then for path, then in before.items())
    assert [trial.state.name for trial in trials("killed")] == ["COMPLETE"] * 4
    assert settings("killed") == settings("whole")


def test_a_pruned_job_ends_cleanly_and_keeps_its_checkpoint(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pruner = ["sweep.pruner=median", "sweep.pruner_options={n_startup_trials:2}"]
    rates = "optimizer.lr=3e-2,1e-2,1e-6,3e-3"
    assert cli.train(words("a", "sweep=grid", *pruner, rates, "trainer.max_epochs=3", "model.norm=none")) == 0
    said = capsys.readouterr().out
    assert "pruned" in said
    (folder,) = Path("outputs/sweeps/a").glob("lr-1e-06*")
    pruned = read_result(folder)
    assert (pruned.status, pruned.epochs, pruned.error) == ("pruned", 1, None)
    assert {path.name for path in (folder / "checkpoints").iterdir()} >= {"best.ckpt", "last.ckpt"}
    found = trials("a")
    assert [trial.state.name for trial in found][:3] == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert list(found[2].intermediate_values) == [1]
    assert list(found[0].intermediate_values) == [1, 2, 3]
    # All that ended are skipped, with their statuses.
    assert cli.train(words("a", "sweep=grid", *pruner, rates, "trainer.max_epochs=3", "model.norm=none")) == 0
    assert "4 trials have ended before" in capsys.readouterr().out


def test_repeats_run_each_setting_with_each_seed_and_tell_the_mean(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.train(words("a", "sweep=tpe", "sweep.num_trials=2", "sweep.repeats=2", "seed=5", RATE)) == 0
    seeds = [next(each for each in result.overrides if each.startswith("seed=")) for result in results("a")]
    assert sorted(seeds) == ["seed=5", "seed=5", "seed=6", "seed=6"]
    for trial in trials("a"):
        rate = f"optimizer.lr={trial.params['optimizer.lr']!r}"
        values = [value for own, value in settings("a") if own == rate]
        assert len(values) == 2
        assert trial.value == pytest.approx(sum(values) / 2)
        assert sorted(trial.user_attrs["seeds"]) == sorted(values)
    rows = csv.DictReader(Path("outputs/sweeps/a/leaderboard.csv").read_text().splitlines())
    assert [row["n"] for row in rows] == ["2", "2"]


def test_a_grid_takes_conditional_parts_and_zipped_lists_and_trains_no_setting_twice(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    space = (
        "sweep.space={optimizer:[sgd,adam],optimizer.momentum:{values:[0,0.9],when:'optimizer=sgd'},"
        "size:{zip:{model.hidden:[[8],[16]],optimizer.lr:[0.01,0.02]}}}"
    )
    constraint = 'sweep.constraints=["optimizer.lr < 0.015"]'
    command = [word for word in words("a", "sweep=grid", space, constraint) if word != "model.hidden=[8]"]
    assert cli.train(command) == 0
    said = capsys.readouterr().out
    assert "3 trials: 3 finished" in said
    swept = json.loads(Path("outputs/sweeps/a/sweep.json").read_text())["swept"]
    assert swept["optimizer.momentum"] == "0,0.9 when optimizer=sgd"
    assert swept["optimizer.lr"] == "(model.hidden=[8] optimizer.lr=0.01),(model.hidden=[16] optimizer.lr=0.02)"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([RATE], "optimizer.lr=tag(log,interval(1e-5,1e-1)) has no end of values: choose who draws from it, such as"),
        (["sweep=tpe"], "sweep=tpe has nothing to vary: give a key several values, as tag(log,interval(1e-4,1e-1))"),
        (["sweep=tpe", "optimizer.lrr=interval(0,1)"], "there is no key optimizer.lrr; did you mean optimizer.lr?"),
        (["sweep=tpe", "model=mlp,cnnn"], "model must be one of cnn,"),
        (["sweep=tpe", RATE, "seed=1,2"], "seed cannot be varied by a search, whose best would be luck"),
        (["sweep=tep", RATE], "sweep must be one of cmaes, default, "),
        (["sweep=tpe", RATE, "sweep.num_trials=0"], "sweep.num_trials must be an integer >= 1, got 0"),
        (
            ["sweep=tpe", RATE, "sweep.pruner=medain"],
            "sweep.pruner must be one of halving, hyperband, median, none, pa",
        ),
        (["sweep=tpe", RATE, "sweep.storage=redis"], "sweep.storage must be journal, sqlite or a URL such as"),
        (["sweep=grid", RATE], "optimizer.lr is an interval, which has no grid; give it as choice(...), range(...)"),
        (["sweep=nsgaii", RATE, "sweep.pruner=median"], "sweep.pruner must be none with several sweep.objectives, got"),
        (["sweep=tpe", RATE, "+sweep.sampler_options.nei=3"], "sweep.sampler_options.nei is no argument of TPESampler"),
        (["sweep=tpe", RATE, 'sweep.constraints=["model.drop < 1"]'], "speaks of model.drop, which is neither varied"),
        (
            ["sweep=tpe", "model=mlp", 'sweep.space={model.kernel:{values:[3,5],when:["model=cnn"]}}'],
            "has nothing to vary",
        ),
        (["sweep=tpe", RATE, "sweep.num_trails=5"], "there is no key sweep.num_trails in sweep=tpe; did you mean"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(tmp_path, monkeypatch, capsys, more, message):
    monkeypatch.chdir(tmp_path)
    assert cli.train(words("a", *more)) == 2
    assert message in capsys.readouterr().err
    assert not Path("outputs").exists()


def test_the_record_of_a_search_says_what_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.train(words("a", "sweep=random", "sweep.num_trials=1", RATE)) == 0
    record = json.loads(Path("outputs/sweeps/a/search.json").read_text())
    assert (record["sampler"], record["seed"], list(record["space"])) == ("random", 0, ["optimizer.lr"])
    # No history where none is needed.
    assert not Path("outputs/sweeps/a/study.journal").exists()
    for damaged in ('{"sampl', "[1]"):
        Path("outputs/sweeps/a/search.json").write_text(damaged)
        assert cli.train(words("a", "sweep=random", "sweep.num_trials=1", RATE)) == 0
        assert json.loads(Path("outputs/sweeps/a/search.json").read_text()) == record


def test_the_dashboard_of_optuna_opens_the_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    goal = "sweep.pruner=median"
    assert cli.train(words("a", "sweep=random", goal, "sweep.num_trials=2", RATE)) == 0
    port = _free_port()
    command = [sys.executable, "-m", "optuna_dashboard._cli"]
    script = Path(sys.executable).parent / "optuna-dashboard"
    command = [str(script)] if script.exists() else command
    server = subprocess.Popen(
        [*command, "outputs/sweeps/a/study.journal", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        (study,) = _answer(f"{address}/api/studies")["study_summaries"]
        assert study["study_name"] == "search"
        shown = _answer(f"{address}/api/studies/{study['study_id']}?after=0")["trials"]
    finally:
        server.terminate()
        server.wait()
    told = sorted(float(trial["values"][0]) for trial in shown)
    assert told == sorted(value for _, value in settings("a"))
    assert [trial["state"] for trial in shown] == ["Complete", "Complete"]


def _answer(address: str) -> dict:
    """What a server says that may still be starting."""
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(address) as answer:
                return json.load(answer)
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.mark.slow
def test_a_search_over_processes_that_is_killed_again_and_again_loses_and_doubles_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["sweep=tpe", "sweep.num_trials=10", RATE, "trainer.max_epochs=3", "sweep.pruner=median"]
    command += ["launcher=processes", "launcher.num_workers=2"]
    draw = random.Random(0)
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, TRAIN, *words("a", *command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            time.sleep(draw.uniform(2, 15))
            process.kill()
    assert cli.train(words("a", *command)) == 0
    found = trials("a")
    assert [trial.number for trial in found] == list(range(10))
    assert {trial.state.name for trial in found} <= {"COMPLETE", "PRUNED"}
    assert sorted({result.status for result in results("a")} - {"pruned"}) == ["finished"]
    rates = {f"optimizer.lr={trial.params['optimizer.lr']!r}" for trial in found}
    assert {rate for rate, _ in settings("a")} == rates
    assert len(results("a")) == len(rates) == 10


def test_several_objectives_end_with_the_settings_that_no_other_beats(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    goals = "sweep.objectives=[{metric:val/acc,mode:max},{metric:val/loss,mode:min}]"
    assert cli.train(words("a", "sweep=nsgaii", "sweep.num_trials=3", goals, RATE)) == 0
    said = capsys.readouterr().out
    assert "no other trial is better in each objective than" in said
    best = max(settings("a"), key=lambda own: own[1])
    assert f"val/acc {best[1]:.4g}" in said
    wrong = goals.replace("val/loss", "val/lss")
    assert cli.train(words("b", "sweep=nsgaii", "sweep.num_trials=3", wrong, RATE)) == 2
    said = capsys.readouterr().err
    assert "sweep.objectives: val/lss is not in the record of lr-" in said
    assert "(did you mean val/loss?)" in said
    assert len(results("b")) == 1


def test_a_failed_trial_is_named_and_tried_once_more_by_the_same_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = words("a", "sweep=tpe", "sweep.num_trials=2", "sweep.sampler_options={n_startup_trials:1}", RATE)
    broken = pytest.MonkeyPatch()
    fit = "fulgurite.fit.fit"
    with broken.context() as patch:
        patch.setattr(fit, lambda run: (_ for _ in ()).throw(RuntimeError("no more memory")))
        assert cli.train(command) == 1
    said = capsys.readouterr()
    assert "2 trials: 2 failed" in said.out
    assert "[1/2] failed: RuntimeError: no more memory" in said.err
    assert cli.train(command) == 0
    assert "2 trials: 2 finished" in capsys.readouterr().out
    states = [trial.state.name for trial in trials("a")]
    assert states == ["FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    assert [trial.params for trial in trials("a")[:2]] == [trial.params for trial in trials("a")[2:]]
    assert len(results("a")) == 2


@pytest.mark.slow
def test_a_search_over_jobs_on_two_devices_gives_both_the_same_rate_and_prunes_both(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    several = [word for word in words("a") if word != "trainer=cpu"]
    search = ["sweep=tpe", "sweep.num_trials=4", "sweep.pruner=median", "sweep.pruner_options={n_startup_trials:1}"]
    launcher = ["trainer=ddp_cpu", "launcher=processes", "launcher.num_workers=1", "trainer.max_epochs=3"]
    # Ranks whose configs differ end the job before its first step, and it would have failed.
    assert cli.train([*several, *search, *launcher, "optimizer.lr=tag(log,interval(1e-6,1e-1))"]) == 0
    assert {result.status for result in results("a")} == {"finished", "pruned"}
    assert {result.epochs for result in results("a") if result.status == "pruned"} <= {1, 2}
