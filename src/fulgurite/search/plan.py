"""What a search is: read off a composed config and what was typed. Imports no torch and no Optuna."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fulgurite import config
from fulgurite.board.values import ABSENT
from fulgurite.errors import ConfigError
from fulgurite.search.constraints import Constraint
from fulgurite.search.overrides import read_space
from fulgurite.search.settings import OWN, Settings, read_settings
from fulgurite.search.space import Space, pairs

if TYPE_CHECKING:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import DictConfig

_HOW = "tag(log,interval(1e-4,1e-1)), choice(a,b) or a,b"


@dataclass(frozen=True)
class Search:
    """A search.

    Attributes:
        settings: what is asked of it.
        space: what is varied.
        fixed: overrides that all jobs have.
        constraints: what a setting must meet.
    """

    settings: Settings
    space: Space
    fixed: tuple[str, ...]
    constraints: tuple[Constraint, ...]

    @property
    def swept(self) -> list[str]:
        """Keys that name the jobs' folders."""
        return self.space.keys + ["seed"] * (self.settings.repeats > 1 and "seed" not in self.space.keys)

    @property
    def values(self) -> dict[str, list[str]]:
        """Of each key the extremes, or all options, as they are typed; a dash where a job may be without it."""
        found: dict[str, list[str]] = {}
        for each in self.space.parameters:
            for end in each.domain.ends():
                for key, value in pairs(each.overrides(end)).items():
                    found.setdefault(key, []).append(value)
            found |= {key: [*found[key], ABSENT] for key in each.keys if each.when}
        seeds = range(self.settings.first_seed, self.settings.first_seed + self.settings.repeats)
        return found | ({"seed": [str(seed) for seed in seeds]} if len(seeds) > 1 else {})

    @property
    def domains(self) -> dict[str, str]:
        """What each key may be, in words."""
        repeats, first = self.settings.repeats, self.settings.first_seed
        seeds = {"seed": f"range({first},{first + repeats})"} if repeats > 1 else {}
        return {key: each.described for each in self.space.parameters for key in each.keys} | seeds


def read(cfg: "DictConfig", overrides: Sequence[str], parser: "OverridesParser") -> Search:
    """The search of a composed config.

    Args:
        cfg: composed without what is varied.
        overrides: all, as typed.
        parser: knows the config groups.

    Raises:
        ConfigError: for a mistake in it.
    """
    plain = {key: config.resolve(cfg[key]) for key in ("sweep", "launcher", "trainer")}
    plain |= {"seed": cfg.seed, "objective": _objective(cfg)}
    plain["sweep"]["objectives"] = _plain_modes(plain["sweep"]["objectives"])
    settings = read_settings(plain)
    space, fixed = read_space(overrides, plain["sweep"]["space"] or {}, parser)
    if not space.parameters:
        raise ConfigError(f"sweep={settings.sampler} has nothing to vary: give a key several values, as {_HOW}")
    if "seed" in space.keys and (settings.sampler not in OWN or settings.repeats > 1):
        raise ConfigError("seed cannot be varied by a search, whose best would be luck; sweep.repeats=3 takes 3 seeds")
    if settings.repeats > 1:
        # Each job has its own.
        fixed = [each for each in fixed if each.lstrip("+").partition("=")[0] != "seed"]
    known = {*space.keys, *pairs(fixed)}
    constraints = tuple(Constraint(each, known) for each in settings.constraints)
    return Search(settings, space, tuple(fixed), constraints)


def _objective(cfg: "DictConfig") -> dict[str, str]:
    return {"metric": cfg.objective.metric, "mode": str(cfg.objective.mode.value)}


def _plain_modes(goals: Any) -> Any:
    """Directions as words: a reference to ``objective.mode`` gives the member of an enumeration."""
    if not isinstance(goals, list):
        return goals
    return [
        {key: getattr(value, "value", value) for key, value in each.items()} if isinstance(each, dict) else each
        for each in goals
    ]
