"""Optuna's samplers, made anew for each trial from its number: a search that is killed and goes on draws the same."""

import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from fulgurite.errors import ConfigError, did_you_mean
from fulgurite.search.domains import rounded
from fulgurite.search.settings import Settings

_CLASSES: dict[str, type[BaseSampler]] = {
    "tpe": optuna.samplers.TPESampler,
    "gp": optuna.samplers.GPSampler,
    "cmaes": optuna.samplers.CmaEsSampler,
    "nsgaii": optuna.samplers.NSGAIISampler,
    "qmc": optuna.samplers.QMCSampler,
}
# What they are given beside the options; independent draws of conditional parameters need no warning.
_QUIET: dict[str, dict[str, Any]] = {
    # Trials that run count as bad ones, so that several workers do not try the same.
    "tpe": {"constant_liar": True},
    "gp": {"warn_independent_sampling": False},
    "cmaes": {"warn_independent_sampling": False},
    "qmc": {"warn_independent_sampling": False, "warn_asynchronous_seeding": False},
}


class Seeded(BaseSampler):
    """A sampler that is made anew for each trial, seeded by the number of the trial, and draws numbers of few digits.

    So no generator has a state that would be lost with the process. What a sampler has learned is in the study.

    Args:
        settings: name, options and seed of the sampler.
        at_random: draw without the sampler.
    """

    def __init__(self, settings: Settings, at_random: bool = False) -> None:
        self._settings = settings
        self.at_random = at_random
        self._inner: BaseSampler = make_sampler(settings, 0)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Make the sampler of this trial."""
        if self.at_random:
            self._inner = optuna.samplers.RandomSampler(seed=_seed(self._settings.seed, trial.number))
        else:
            self._inner = make_sampler(self._settings, trial.number)
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """What the sampler draws together."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw together."""
        drawn = self._inner.sample_relative(study, trial, search_space)
        return {name: _short(value, search_space[name]) for name, value in drawn.items()}

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Draw one by itself."""
        drawn = self._inner.sample_independent(study, trial, param_name, param_distribution)
        return _short(drawn, param_distribution)

    def after_trial(self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Let the sampler take note."""
        self._inner.after_trial(study, trial, state, values)


def make_sampler(settings: Settings, number: int) -> BaseSampler:
    """Optuna's sampler for the trial of that number.

    Raises:
        ConfigError: for an option that its class does not take, or a value that it refuses.
    """
    if settings.sampler not in _CLASSES:
        return optuna.samplers.RandomSampler(seed=_seed(settings.seed, number))
    options = {"seed": _seed(settings.seed, number), **_QUIET.get(settings.sampler, {})}
    if settings.sampler == "qmc":
        # One sequence, whose place in it Optuna keeps; the first trial, which comes before it, is drawn.
        options |= {"seed": settings.seed, "independent_sampler": optuna.samplers.RandomSampler(options["seed"])}
    return made("sweep.sampler_options", _CLASSES[settings.sampler], options, settings.sampler_options)


def made(group: str, of: type, defaults: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """An object of Optuna's with options of the user's.

    Raises:
        ConfigError: for an option that its class does not take, or a value that it refuses.
    """
    known = [name for name in inspect.signature(of).parameters if name != "seed"]
    unknown = [key for key in options if key not in known]
    if unknown:
        raise ConfigError(
            f"{group}.{unknown[0]} is no argument of {of.__name__}{did_you_mean(str(unknown[0]), known)}; it takes "
            f"{', '.join(known)}"
        )
    try:
        with quiet():
            return of(**{**defaults, **options})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{group}: {error}") from error
    except ImportError as error:
        raise ConfigError(f'{of.__name__} needs a package more: pip install "fulgurite[search]" ({error})') from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without the notes that Optuna may change an argument one day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def _short(value: Any, of: BaseDistribution) -> Any:
    if isinstance(of, FloatDistribution) and of.step is None:
        return rounded(float(value), of.low, of.high)
    return value
