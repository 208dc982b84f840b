"""Which runs end early, by curves that are made up; a job sees the study through its storage."""

from dataclasses import replace
from pathlib import Path

import pytest
from searches import SETTINGS, space_of

from fulgurite.errors import ConfigError
from fulgurite.search.pruning import make_pruner
from fulgurite.search.reporting import open_trial
from fulgurite.search.study import StudyHistory
from fulgurite.search.trial import Outcome


def lasts(folder: Path, pruner: str, options: dict, curves: list[list[float]]) -> list[int]:
    """After how many epochs each run ends, one after the other."""
    settings = replace(SETTINGS, pruner=pruner, pruner_options=options, sampler="tpe")
    history = StudyHistory(folder, settings, space_of(), ())
    sweep = {"storage": "journal", "pruner": pruner, "pruner_options": options or None}
    epochs = []
    for curve in curves:
        trial = history.ask()
        assert trial.reports
        job = open_trial(folder, trial.number, sweep, len(curve))
        ended = next((epoch for epoch, value in enumerate(curve, 1) if job.is_worse(epoch, value)), None)
        epochs.append(ended or len(curve))
        history.tell(trial, Outcome("pruned") if ended else Outcome("finished", (max(curve),)))
    return epochs


RISING = [0.5, 0.6, 0.7, 0.8, 0.9, 0.91, 0.92, 0.93, 0.94]


def scaled(share: float) -> list[float]:
    return [share * value for value in RISING]


def test_the_median_ends_what_is_below_the_median_of_those_before(tmp_path):
    curves = [scaled(1.0), scaled(0.8), scaled(0.6), scaled(0.79), scaled(0.81), [0.1, *scaled(2)[1:]]]
    assert lasts(tmp_path, "median", {"n_startup_trials": 3}, curves) == [9, 9, 9, 1, 9, 1]


def test_halving_lets_the_best_third_pass_each_rung(tmp_path):
    curves = [scaled(share) for share in (0.9, 0.5, 0.6, 1.0, 0.7, 0.8)]
    # Rungs after 1, 3 and 9 epochs; with fewer than three others only the best so far passes.
    assert lasts(tmp_path, "halving", {}, curves) == [9, 1, 1, 9, 1, 1]


def test_patience_waits_for_epochs_without_a_better_value(tmp_path):
    stuck = [0.3, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2]
    options = {"n_startup_trials": 1, "patience": 3}
    assert lasts(tmp_path, "patient", options, [scaled(1.0), stuck, scaled(0.5)]) == [9, 5, 9]


def test_hyperband_has_as_many_brackets_as_the_epochs_allow():
    from optuna import create_study
    from optuna.trial import create_trial

    pruner = make_pruner("hyperband", {}, 27)
    study = create_study(direction="maximize")
    study.add_trial(create_trial(value=1.0))
    pruner.prune(study, study.trials[0])
    # 1, 3, 9 and 27 epochs to begin with.
    assert pruner._n_brackets == 4


def test_hyperband_ends_some_runs_and_lets_the_best_finish(tmp_path):
    curves = [scaled(1.0 - number / 30) for number in range(20)]
    epochs = lasts(tmp_path, "hyperband", {}, curves)
    assert epochs[0] == 9
    assert sum(epochs) < 9 * 20 * 0.6


def test_a_trial_that_is_not_there_is_none(tmp_path):
    sweep = {"storage": "journal", "pruner": "median", "pruner_options": None}
    assert open_trial(tmp_path, 0, sweep, 3) is None


def test_negative_patience_is_refused():
    with pytest.raises(ConfigError, match=r"sweep.pruner_options.patience must be an integer >= 0, got -1"):
        make_pruner("patient", {"patience": -1}, 9)
