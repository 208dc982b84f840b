"""What a job tells its search while it runs: its values, epoch by epoch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna

from fulgurite.search.pruning import make_pruner
from fulgurite.search.storage import open_storage, study_name


class ReportingTrial:
    """A trial as its job sees it."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def is_worse(self, epoch: int, value: float) -> bool:
        """Report the objective after an epoch; whether the pruner has no use for the run.

        Args:
            epoch: counted from 1.
            value: of the objective.
        """
        # One that goes on after a kill may report an epoch once more.
        if epoch not in self._trial.storage.get_trial(self._trial._trial_id).intermediate_values:
            self._trial.report(value, epoch)
        return self._trial.should_prune()


def open_trial(folder: Path, number: int, sweep: Mapping[str, Any], max_epochs: int) -> ReportingTrial | None:
    """The trial of a job; ``None`` when there is none.

    Args:
        folder: of the sweep.
        number: of the trial.
        sweep: the ``sweep`` group as plain values.
        max_epochs: of the job.
    """
    storage = open_storage(folder, sweep["storage"])
    name = study_name(folder, sweep["storage"])
    if name not in {each.study_name for each in storage.get_all_studies()}:
        return None
    study = optuna.load_study(
        study_name=name,
        storage=storage,
        # Nothing is asked for here.
        sampler=optuna.samplers.RandomSampler(),
        pruner=make_pruner(sweep["pruner"], dict(sweep["pruner_options"] or {}), max_epochs),
    )
    found = next((each for each in study.get_trials(deepcopy=False) if each.number == number), None)
    return None if found is None else ReportingTrial(optuna.Trial(study, found._trial_id))
