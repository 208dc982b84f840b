"""What is asked of a search: the ``sweep`` group as checked values. Imports no torch and no Optuna."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fulgurite.errors import ConfigError, check_bool, check_choice, check_int, did_you_mean

# Of our own: a setting follows from its number alone, so no history is kept and read.
OWN = ("random", "grid", "sobol")
OPTUNA = ("tpe", "gp", "cmaes", "nsgaii", "qmc")
PRUNERS = ("none", "median", "halving", "hyperband", "patient")
# Of the group ``sweep``, as conf/sweep/ lists them.
_KEYS = (
    *("name", "retries", "job_timeout_s", "sampler", "sampler_options", "num_trials", "seed", "space", "constraints"),
    *("objectives", "pruner", "pruner_options", "repeats", "racing", "storage", "num_workers", "trial"),
)
# Trials that launcher=fused trains as one program when nothing is said.
_BATCH = 16


@dataclass(frozen=True)
class Goal:
    """One objective of a search.

    Attributes:
        metric: a metric of the jobs, ``seconds`` or ``epochs``.
        mode: ``max`` or ``min``.
    """

    metric: str
    mode: str


@dataclass(frozen=True)
class Settings:
    """What is asked of a search.

    Attributes:
        sampler: its name.
        sampler_options: further arguments of the sampler.
        num_trials: settings to try; ``None`` for all of a grid.
        seed: of the sampler.
        constraints: what a setting must meet.
        goals: the objectives, one or more.
        pruner: its name, or ``none``.
        pruner_options: further arguments of the pruner.
        max_epochs: of the jobs, which is what hyperband divides.
        repeats: seeds of each setting.
        first_seed: the first of them.
        racing: end a setting after its first seed when it can hardly become the best.
        storage: ``journal``, ``sqlite`` or a URL.
        num_workers: trials at a time where the launcher does not say.
        retries: how often a trial that has failed is run again.
    """

    sampler: str
    sampler_options: Mapping[str, Any]
    num_trials: int | None
    seed: int
    constraints: Sequence[str]
    goals: tuple[Goal, ...]
    pruner: str
    pruner_options: Mapping[str, Any]
    max_epochs: int
    repeats: int
    first_seed: int
    racing: bool
    storage: str
    num_workers: int
    retries: int

    @property
    def needs_history(self) -> bool:
        """Whether Optuna keeps the trials: its samplers and its pruners read them."""
        return self.sampler in OPTUNA or self.pruner != "none"

    def identity(self) -> dict[str, Any]:
        """What must not change in a search that goes on, as plain values."""
        free = ("num_trials", "pruner", "pruner_options", "max_epochs", "racing", "num_workers", "retries")
        return {key: value for key, value in asdict(self).items() if key not in free}


def read_settings(plain: Mapping[str, Any]) -> Settings:
    """The settings of a search, checked.

    Args:
        plain: the composed config as plain values.

    Raises:
        ConfigError: for a value that is not allowed.
    """
    sweep = plain["sweep"]
    _refuse_unknown(sweep)
    sampler = check_choice("sweep.sampler", sweep["sampler"], (*OWN, *OPTUNA))
    num_trials = sweep["num_trials"]
    if num_trials is not None or sampler != "grid":
        num_trials = check_int("sweep.num_trials", num_trials)
    num_workers = sweep["num_workers"]
    if num_workers is None:
        num_workers = _BATCH if plain["launcher"].get("name") == "fused" else 1
    settings = Settings(
        sampler=sampler,
        sampler_options=_mapping("sweep.sampler_options", sweep["sampler_options"]),
        num_trials=num_trials,
        seed=check_int("sweep.seed", sweep["seed"], low=0),
        constraints=_listed("sweep.constraints", sweep["constraints"]),
        goals=_goals(sweep["objectives"], plain["objective"]),
        pruner=check_choice("sweep.pruner", sweep["pruner"] or "none", PRUNERS),
        pruner_options=_mapping("sweep.pruner_options", sweep["pruner_options"]),
        max_epochs=plain["trainer"].get("max_epochs") or 1,
        repeats=check_int("sweep.repeats", sweep["repeats"]),
        first_seed=plain["seed"],
        racing=check_bool("sweep.racing", sweep["racing"]),
        storage=_storage(sweep["storage"]),
        num_workers=check_int("sweep.num_workers", num_workers),
        retries=check_int("sweep.retries", sweep["retries"], low=0),
    )
    _refuse_what_does_not_go_together(settings)
    return settings


def _refuse_unknown(sweep: Mapping[str, Any]) -> None:
    """Hydra refuses a key that is typed; one in a file of the user's own is its own to it."""
    for key in sweep:
        if key not in _KEYS:
            raise ConfigError(
                f"there is no key sweep.{key}{did_you_mean(str(key), _KEYS)}; there are {', '.join(_KEYS)}"
            )


def _refuse_what_does_not_go_together(settings: Settings) -> None:
    if len(settings.goals) > 1:
        if settings.pruner != "none":
            raise ConfigError(
                f"sweep.pruner must be none with several sweep.objectives, got {settings.pruner}: which of two runs "
                "is worse cannot be told by one number"
            )
        if settings.sampler in ("cmaes",):
            raise ConfigError("sweep=cmaes takes one objective; use sweep=nsgaii or sweep=tpe for several")
    if settings.sampler in OWN and settings.sampler_options:
        raise ConfigError(
            f"sweep={settings.sampler} takes no sweep.sampler_options, got {dict(settings.sampler_options)}"
        )


def _goals(listed: Any, objective: Mapping[str, Any]) -> tuple[Goal, ...]:
    if listed is None:
        return (Goal(objective["metric"], objective["mode"]),)
    if not isinstance(listed, list) or not listed or not all(isinstance(each, Mapping) for each in listed):
        raise ConfigError(f"sweep.objectives must be null or such as [{{metric: val/acc, mode: max}}], got {listed}")
    for each in listed:
        if set(each) != {"metric", "mode"}:
            raise ConfigError(f"sweep.objectives: each needs a metric and a mode, got {dict(each)}")
    return tuple(Goal(str(each["metric"]), check_choice("mode", each["mode"], ("max", "min"))) for each in listed)


def _mapping(name: str, value: Any) -> Mapping[str, Any]:
    if value is None or isinstance(value, Mapping):
        return value or {}
    raise ConfigError(f"{name} must be such as {{n_startup_trials: 5}}, got {value!r}")


def _listed(name: str, value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(each) for each in value]
    raise ConfigError(f"{name} must be a list such as ['optimizer.lr < 0.1'], got {value!r}")


def _storage(value: Any) -> str:
    if value in ("journal", "sqlite") or "://" in str(value):
        return str(value)
    raise ConfigError(f"sweep.storage must be journal, sqlite or a URL such as postgresql://host/base, got {value!r}")
