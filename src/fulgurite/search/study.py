"""The history of a search in Optuna's study: what is asked for next follows from all that was told."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from fulgurite.errors import ConfigError
from fulgurite.search.constraints import Constraint, broken
from fulgurite.search.domains import Float, Int
from fulgurite.search.proposals import nothing_left
from fulgurite.search.pruning import make_pruner
from fulgurite.search.samplers import Seeded, quiet
from fulgurite.search.settings import Settings
from fulgurite.search.space import Parameter, Setting, Space
from fulgurite.search.storage import mend_journal, open_storage, study_name
from fulgurite.search.trial import Outcome, Trial

# Marks of trials, beside what Optuna keeps.
_REFUSED, _RETRY_OF, _RETRIES, _STATUS, _REASON = "refused", "retry_of", "retries", "status", "reason"
_SEEDS = "seeds"
# Settings in a row that break a constraint, after which one is drawn at random; and after which the search ends.
_PATIENCE, _MOST = 5, 500


class StudyHistory:
    """Asks Optuna for trials.

    Trials that an earlier process left running go on under their own numbers; those that failed are asked for once
    more, as new ones.

    Args:
        folder: of the sweep; it exists.
        settings: of the search.
        space: what is varied.
        constraints: what a setting must meet.
        proposals: settings of a sampler of our own; ``None`` for one of Optuna's.
        num_trials: that are wanted; ``None`` for as many as the settings say.

    Raises:
        ConfigError: for options that Optuna refuses.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        space: Space,
        constraints: Sequence[Constraint],
        proposals: Iterator[Setting] | None = None,
        num_trials: int | None = None,
    ) -> None:
        self._settings, self._space, self._constraints = settings, space, constraints
        self._proposals = proposals
        self._num_trials = settings.num_trials if num_trials is None else num_trials
        self._sampler = Seeded(settings)
        if settings.storage == "journal":
            mend_journal(folder)
        self.study = optuna.create_study(
            study_name=study_name(folder, settings.storage),
            storage=open_storage(folder, settings.storage),
            sampler=self._sampler,
            pruner=make_pruner(settings.pruner, dict(settings.pruner_options), settings.max_epochs),
            directions=["maximize" if goal.mode == "max" else "minimize" for goal in settings.goals],
            load_if_exists=True,
        )
        if len(settings.goals) > 1:
            with quiet():
                self.study.set_metric_names([goal.metric for goal in settings.goals])
        before = self.study.get_trials(deepcopy=False)
        self._left = [each._trial_id for each in before if each.state == TrialState.RUNNING]
        self._enqueue_failed()
        # Settings that were asked for before are not proposed again.
        for _ in range(sum(_RETRIES not in each.user_attrs for each in before) if proposals else 0):
            next(self._proposals or iter(()), None)

    @property
    def counts(self) -> Counter[str]:
        """Trials by status, those left out that broke a constraint or were run again."""
        return Counter(each.user_attrs.get(_STATUS, "running") for each in self._counted())

    def finished(self) -> list[FrozenTrial]:
        """The trials that count as finished."""
        return self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))

    def seeds(self) -> list[list[float]]:
        """The first objective of each seed, for each trial that has finished."""
        return [list(each.user_attrs.get(_SEEDS, [])) for each in self.finished()]

    def ask(self) -> Trial | None:
        """The next trial; ``None`` when there are as many as were wanted."""
        while self._left:
            asked = self._made(optuna.Trial(self.study, self._left.pop(0)))
            if asked is not None:
                return asked
        for tried in range(_MOST):
            trials = self._counted()
            waiting = any(each.state == TrialState.WAITING for each in trials)
            if not waiting and len(trials) >= (self._num_trials or 0):
                return None
            if not waiting and self._proposals is not None:
                setting = next(self._proposals, None)
                if setting is None:
                    return None
                self.study.enqueue_trial(dict(setting))
            self._sampler.at_random = tried >= _PATIENCE
            asked = self._made(self.study.ask())
            if asked is not None:
                return asked
        raise ConfigError(nothing_left(broken(self._constraints, self._last), _MOST))

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Take note of how a trial has ended. One that has diverged counts as pruned: it was bad, not unlucky."""
        self._mark(trial.number, _STATUS, outcome.status)
        if outcome.status == "finished":
            self._mark(trial.number, _SEEDS, list(outcome.seeds))
            self.study.tell(trial.number, list(outcome.values))
            return
        if outcome.reason:
            self._mark(trial.number, _REASON, outcome.reason[:500])
        is_bad = outcome.status in ("pruned", "diverged")
        self.study.tell(trial.number, state=TrialState.PRUNED if is_bad else TrialState.FAIL)

    def _made(self, trial: optuna.Trial) -> Trial | None:
        """The trial, its values drawn; ``None`` when it breaks a constraint, and is no trial then."""
        setting: dict[str, float | int | str] = {}
        for parameter in self._space.parameters:
            if self._space.counts(parameter, setting):
                setting[parameter.name] = _suggested(trial, parameter)
        self._last = self._space.chosen(setting)
        refused = broken(self._constraints, self._last)
        if refused:
            trial.set_user_attr(_REFUSED, refused)
            self.study.tell(trial, state=TrialState.FAIL)
            return None
        return Trial(trial.number, tuple(self._space.overrides(setting)), self._settings.pruner != "none")

    def _enqueue_failed(self) -> None:
        for each in self._counted():
            retries = each.user_attrs.get(_RETRIES, 0) + 1
            if each.state == TrialState.FAIL and retries <= self._settings.retries:
                self.study.enqueue_trial(each.params, user_attrs={_RETRY_OF: each.number, _RETRIES: retries})

    def _counted(self) -> list[FrozenTrial]:
        """All trials but those that broke a constraint, or were asked for once more."""
        trials = self.study.get_trials(deepcopy=False)
        again = {each.user_attrs.get(_RETRY_OF) for each in trials}
        return [each for each in trials if _REFUSED not in each.user_attrs and each.number not in again]

    def _mark(self, number: int, key: str, value: Any) -> None:
        storage = self.study._storage
        storage.set_trial_user_attr(
            storage.get_trial_id_from_study_id_trial_number(self.study._study_id, number), key, value
        )


def _suggested(trial: optuna.Trial, parameter: Parameter) -> float | int | str:
    domain = parameter.domain
    if isinstance(domain, Float):
        drawn = trial.suggest_float(parameter.name, domain.low, domain.high, step=domain.step, log=domain.log)
        # Three steps of 0.1 are 0.30000000000000004 to Optuna.
        return drawn if domain.step is None else round(drawn, 10)
    if isinstance(domain, Int):
        return trial.suggest_int(parameter.name, domain.low, domain.high, step=domain.step, log=domain.log)
    return trial.suggest_categorical(parameter.name, list(domain.options))
