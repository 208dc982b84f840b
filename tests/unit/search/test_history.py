"""Samplers over whole searches, on functions whose best is known; no job is trained."""

import json
from dataclasses import replace
from math import log10
from pathlib import Path

import pytest
from searches import SETTINGS, space_of

from fulgurite.errors import ConfigError
from fulgurite.search.constraints import Constraint
from fulgurite.search.listed import Listed
from fulgurite.search.proposals import proposals
from fulgurite.search.settings import OPTUNA, Goal
from fulgurite.search.space import pairs
from fulgurite.search.storage import JOURNAL
from fulgurite.search.study import StudyHistory
from fulgurite.search.trial import Outcome, Trial


def value(trial: Trial) -> float:
    """Best at x = 0.5, y = 0.01, n = 3."""
    at = {key: float(text) for key, text in pairs(trial.overrides).items()}
    return -((at["x"] - 0.5) ** 2) - (log10(at["y"]) + 2) ** 2 / 4 - (at["n"] - 3) ** 2 / 10


def go(history, most: int = 1000) -> list[Trial]:
    asked = []
    while len(asked) < most and (trial := history.ask()) is not None:
        asked.append(trial)
        history.tell(trial, Outcome("finished", (value(trial),)))
    return asked


def overrides(asked: list[Trial]) -> list[tuple[str, ...]]:
    return [trial.overrides for trial in asked]


@pytest.mark.parametrize("sampler", [*OPTUNA[:3], "qmc"])
def test_a_search_that_is_killed_and_goes_on_asks_for_what_it_would_have_asked_for(tmp_path, sampler):
    options = {"qmc_type": "halton", "scramble": True} if sampler == "qmc" else {}
    settings = replace(SETTINGS, sampler=sampler, sampler_options=options, num_trials=14)
    (tmp_path / "whole").mkdir()
    whole = go(StudyHistory(tmp_path / "whole", settings, space_of(), ()))
    begun = StudyHistory(tmp_path, settings, space_of(), ())
    first = go(begun, 7)
    # Killed with this one running, and half a line in the journal.
    left = begun.ask()
    with (tmp_path / JOURNAL).open("a") as file:
        file.write('{"op_code":4,"tr')
    again = StudyHistory(tmp_path, settings, space_of(), ())
    rest = go(again)
    assert overrides(rest)[0] == left.overrides
    assert overrides([*first, *rest]) == overrides(whole)
    assert len(set(overrides(whole))) == 14
    assert again.counts == {"finished": 14}
    # A larger number goes on, a smaller one is reached.
    more = StudyHistory(tmp_path, replace(settings, num_trials=16), space_of(), ())
    assert len(go(more)) == 2
    assert StudyHistory(tmp_path, settings, space_of(), ()).ask() is None


def test_tpe_finds_a_better_setting_than_drawing_at_random(tmp_path):
    (tmp_path / "tpe").mkdir()
    settings = replace(SETTINGS, num_trials=60)
    found = max(map(value, go(StudyHistory(tmp_path / "tpe", settings, space_of(), ()))))
    drawn = Listed(proposals(replace(settings, sampler="random"), space_of(), ()), space_of(), 60)
    assert found > max(map(value, go(drawn)))
    assert found > -0.05


def test_a_failed_trial_is_asked_for_once_more_and_counts_once(tmp_path):
    settings = replace(SETTINGS, num_trials=4)
    history = StudyHistory(tmp_path, settings, space_of(), ())
    first = history.ask()
    history.tell(first, Outcome("failed", reason="RuntimeError"))
    go(history)
    assert history.counts == {"failed": 1, "finished": 3}
    again = StudyHistory(tmp_path, settings, space_of(), ())
    second = again.ask()
    assert second.overrides == first.overrides
    again.tell(second, Outcome("failed"))
    assert again.ask() is None
    assert again.counts == {"finished": 3, "failed": 1}
    # It has had its retry.
    assert StudyHistory(tmp_path, settings, space_of(), ()).ask() is None


def test_conditional_parameters_are_drawn_where_they_count(tmp_path):
    listed = {
        "model": "mlp,cnn",
        "model.hidden": {"values": "[8],[16]", "when": "model=mlp"},
        "model.kernel": {"values": "range(3,8,2)", "when": "model=cnn"},
    }
    space = space_of("optimizer.lr=interval(0,1)", listed=listed)
    history = StudyHistory(tmp_path, replace(SETTINGS, num_trials=20), space, ())
    seen = set()
    while (trial := history.ask()) is not None:
        chosen = pairs(trial.overrides)
        seen.add(frozenset(chosen))
        history.tell(trial, Outcome("finished", (float(chosen["optimizer.lr"]),)))
    assert seen == {
        frozenset({"optimizer.lr", "model", "model.hidden"}),
        frozenset({"optimizer.lr", "model", "model.kernel"}),
    }


@pytest.mark.parametrize("sampler", ["tpe", "random", "sobol"])
def test_no_trial_breaks_a_constraint_and_those_asked_for_are_as_many_as_wanted(tmp_path, sampler):
    space = space_of("x=interval(-1,1)", "y=interval(0.1,1)", "n=1,2")
    constraints = [Constraint("x + y < 0.3", space.keys)]
    settings = replace(SETTINGS, sampler=sampler, num_trials=15)
    if sampler in OPTUNA:
        history = StudyHistory(tmp_path, settings, space, constraints)
    else:
        history = Listed(proposals(settings, space, constraints), space, 15)
    asked = go(history)
    assert len(asked) == 15
    assert all(float(at["x"]) + float(at["y"]) < 0.3 for at in map(pairs, overrides(asked)))


def test_a_constraint_that_nothing_meets_ends_the_search(tmp_path, monkeypatch):
    monkeypatch.setattr("fulgurite.search.study._MOST", 20)
    space = space_of()
    constraints = [Constraint("x > 2", space.keys)]
    with pytest.raises(ConfigError, match=r"'x > 2' is met by none of 20 settings"):
        StudyHistory(tmp_path, SETTINGS, space, constraints).ask()
    with pytest.raises(ConfigError, match=r"'x > 2' is met by none of 10000 settings"):
        next(proposals(replace(SETTINGS, sampler="random"), space, constraints))
    with pytest.raises(ConfigError, match=r"'n > 2' is met by none of 2 settings"):
        next(proposals(replace(SETTINGS, sampler="grid"), space_of("n=1,2"), [Constraint("n > 2", ["n"])]))


def test_sobol_fills_each_half_and_quarter_alike():
    space = space_of("x=interval(0,1)", "y=interval(0,1)")
    listed = Listed(proposals(replace(SETTINGS, sampler="sobol"), space, ()), space, 64)
    points = []
    while (trial := listed.ask()) is not None:
        at = pairs(trial.overrides)
        points.append((int(float(at["x"]) * 8), int(float(at["y"]) * 8)))
    # A (0, 2)-sequence: each elementary box of a 64th holds one point.
    assert len(set(points)) == 64


def test_several_objectives_are_told_and_kept(tmp_path):
    goals = (Goal("val/acc", "max"), Goal("seconds", "min"))
    settings = replace(SETTINGS, sampler="nsgaii", sampler_options={"population_size": 4}, goals=goals, num_trials=12)
    history = StudyHistory(tmp_path, settings, space_of(), ())
    while (trial := history.ask()) is not None:
        history.tell(trial, Outcome("finished", (value(trial), float(pairs(trial.overrides)["n"]))))
    front = history.study.best_trials
    assert len(history.finished()) == 12
    best = max(history.finished(), key=lambda trial: trial.values[0])
    assert best.number in {trial.number for trial in front}


def test_a_random_search_with_a_pruner_has_the_settings_that_it_has_without(tmp_path):
    settings = replace(SETTINGS, sampler="random", num_trials=6)
    alone = go(Listed(proposals(settings, space_of(), ()), space_of(), 6))
    pruning = replace(settings, pruner="median")
    first = go(StudyHistory(tmp_path, pruning, space_of(), (), proposals(pruning, space_of(), ())), 2)
    rest = go(StudyHistory(tmp_path, pruning, space_of(), (), proposals(pruning, space_of(), ())))
    assert overrides([*first, *rest]) == overrides(alone)
    assert all(trial.reports for trial in rest)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"sampler_options": {"n_startup_trails": 3}},
            r"sweep.sampler_options.n_startup_trails is no argument of TPESampler \(did",
        ),
        (
            {"pruner": "median", "pruner_options": {"patience": 3}},
            "sweep.pruner_options.patience is no argument of MedianPruner",
        ),
        (
            {"pruner": "median", "pruner_options": {"n_startup_trials": -1}},
            "sweep.pruner_options: Number of startup trials",
        ),
        ({"pruner_options": {"patience": 3}}, "sweep.pruner_options must be empty with sweep.pruner=none"),
        ({"storage": "sqlite:////nowhere/at/all.db"}, "sweep.storage=sqlite:////nowhere/at/all.db cannot be opened"),
    ],
)
def test_options_that_optuna_refuses_are_told(tmp_path, changes, words):
    with pytest.raises(ConfigError, match=words):
        StudyHistory(tmp_path, replace(SETTINGS, **changes), space_of(), ())


def test_sqlite_keeps_the_trials_in_the_sweep_folder(tmp_path):
    settings = replace(SETTINGS, storage="sqlite", num_trials=3)
    go(StudyHistory(tmp_path, settings, space_of(), ()))
    assert (tmp_path / "study.db").is_file()
    assert StudyHistory(tmp_path, settings, space_of(), ()).counts == {"finished": 3}


def test_the_journal_holds_whole_lines(tmp_path: Path):
    go(StudyHistory(tmp_path, replace(SETTINGS, num_trials=3), space_of(), ()))
    assert all(json.loads(line) for line in (tmp_path / JOURNAL).read_text().splitlines())


@pytest.mark.parametrize("at", [0, 5])
def test_a_damaged_journal_is_named_with_the_remedy(tmp_path: Path, at):
    history = StudyHistory(tmp_path, SETTINGS, space_of(), ())
    history.ask()
    journal = tmp_path / "study.journal"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([*lines[:at], "no record\n", *lines[at:]]))
    with pytest.raises(ConfigError, match="study.journal is damaged .*; remove it: the search begins anew"):
        StudyHistory(tmp_path, SETTINGS, space_of(), ())


def test_numbers_in_steps_are_those_that_were_listed(tmp_path: Path):
    space = space_of("model.dropout=range(0,0.5,step=0.1)")
    history = StudyHistory(tmp_path, replace(SETTINGS, num_trials=20), space, ())
    drawn = {trial.overrides for trial in iter(history.ask, None) if history.tell(trial, Outcome("failed")) is None}
    assert drawn <= {(f"model.dropout={value}",) for value in ("0.0", "0.1", "0.2", "0.3", "0.4")}
    assert ("model.dropout=0.3",) in drawn
