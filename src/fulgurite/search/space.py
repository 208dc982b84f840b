"""What a search varies: parameters with their domains, and when each of them counts. Knows neither Hydra nor Optuna."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fulgurite.errors import ConfigError, did_you_mean
from fulgurite.search.domains import Choice, Float, Int

# A setting: by the name of each parameter that counts, its number, or the label of its option.
Setting = Mapping[str, "float | int | str"]


@dataclass(frozen=True)
class Condition:
    """``when: model=cnn,mlp``: a parameter counts where ``key`` has one of ``values``."""

    key: str
    values: tuple[str, ...]

    def holds(self, chosen: Mapping[str, str]) -> bool:
        """Whether it does, for values by key."""
        return chosen.get(self.key) in self.values

    def __str__(self) -> str:
        return f"{self.key}={','.join(self.values)}"


@dataclass(frozen=True)
class Parameter:
    """One thing that is varied.

    Attributes:
        name: of the parameter: its key, or what ``zip`` was called.
        keys: of the config that it sets, without a ``+``.
        domain: what it may be.
        when: all of these must hold for it to count.
        prefix: ``+`` for a key that is added to the config.
    """

    name: str
    keys: tuple[str, ...]
    domain: Float | Int | Choice
    when: tuple[Condition, ...] = ()
    prefix: str = ""

    @property
    def described(self) -> str:
        """Its domain and conditions, in words."""
        return f"{self.domain}{''.join(f' when {condition}' for condition in self.when)}"

    def overrides(self, value: float | int | str) -> tuple[str, ...]:
        """What is typed for a value of it."""
        if isinstance(self.domain, Choice):
            return self.domain.options[str(value)]
        return (f"{self.prefix}{self.name}={value!r}",)


@dataclass(frozen=True)
class Space:
    """Everything that is varied.

    Attributes:
        parameters: each after those that decide whether it counts.
        fixed: values by key that all jobs have alike.
    """

    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, str] = field(default_factory=dict)

    @property
    def keys(self) -> list[str]:
        """All keys that are varied."""
        return list(dict.fromkeys(key for each in self.parameters for key in each.keys))

    def chosen(self, setting: Setting) -> dict[str, str]:
        """Values by key, those included that all jobs have alike."""
        return dict(self.fixed) | pairs(self.overrides(setting))

    def counts(self, parameter: Parameter, setting: Setting) -> bool:
        """Whether a parameter counts beside what has been set before it."""
        if not parameter.when:
            return True
        chosen = self.chosen(setting)
        return all(condition.holds(chosen) for condition in parameter.when)

    def overrides(self, setting: Setting) -> list[str]:
        """What is typed for a setting."""
        parts = (each.overrides(setting[each.name]) for each in self.parameters if each.name in setting)
        return [override for part in parts for override in part]

    def at(self, shares: Sequence[float]) -> dict[str, float | int | str]:
        """The setting at one share in [0, 1) for each parameter."""
        setting: dict[str, float | int | str] = {}
        for parameter, share in zip(self.parameters, shares, strict=True):
            if self.counts(parameter, setting):
                setting[parameter.name] = parameter.domain.at(share)
        return setting

    def grid(self) -> Iterator[dict[str, float | int | str]]:
        """All settings, the last parameter varying fastest.

        Raises:
            ConfigError: where a parameter has no countable values.
        """
        for parameter in self.parameters:
            if parameter.domain.all() is None:
                raise ConfigError(
                    f"{parameter.name} is an interval, which has no grid; give it as choice(...), range(...) or "
                    "int(interval(...)), or use sweep=random"
                )
        yield from self._grid({}, 0)

    def _grid(self, setting: dict[str, float | int | str], position: int) -> Iterator[dict[str, float | int | str]]:
        if position == len(self.parameters):
            yield setting
            return
        parameter = self.parameters[position]
        if not self.counts(parameter, setting):
            yield from self._grid(setting, position + 1)
            return
        for value in parameter.domain.all() or ():
            yield from self._grid({**setting, parameter.name: value}, position + 1)

    def probes(self) -> Iterator[dict[str, float | int | str]]:
        """Settings in which each extreme, and each option, is met at least once."""
        for parameter in self.parameters:
            base = self._with(parameter)
            for value in parameter.domain.ends():
                yield self._completed({**base, parameter.name: value})

    def _with(self, parameter: Parameter) -> dict[str, float | int | str]:
        """The least setting in which a parameter counts."""
        needed: dict[str, float | int | str] = {}
        for condition in parameter.when:
            parent = next((each for each in self.parameters if condition.key in each.keys), None)
            if parent is None:
                continue
            values = parent.domain.ends() + (parent.domain.all() or [])
            fitting = (each for each in values if condition.holds(pairs(parent.overrides(each))))
            needed |= {**self._with(parent), parent.name: next(fitting, values[0])}
        return needed

    def _completed(self, setting: Setting) -> dict[str, float | int | str]:
        full: dict[str, float | int | str] = {}
        for parameter in self.parameters:
            if parameter.name in setting or self.counts(parameter, full):
                full[parameter.name] = setting.get(parameter.name, parameter.domain.ends()[0])
        return full


def pairs(overrides: Sequence[str]) -> dict[str, str]:
    """``["+a.b=1"]`` to ``{"a.b": "1"}``."""
    return {key.lstrip("+~"): value for key, _, value in (each.partition("=") for each in overrides)}


def ordered(parameters: Sequence[Parameter], fixed: Mapping[str, str]) -> Space:
    """The space of ``parameters``, each put after those that decide whether it counts; without those that never do.

    Raises:
        ConfigError: for a key that is varied twice, a condition on a key that is neither varied nor set, and for
            conditions that wait for each other.
    """
    keys = list(itertools.chain.from_iterable(each.keys for each in parameters))
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise ConfigError(f"{twice} is varied twice in the search; give it once")
    known = {*keys, *fixed}
    for each in parameters:
        for condition in each.when:
            if condition.key not in known:
                raise ConfigError(
                    f"sweep.space: {each.name} counts when {condition}, but {condition.key} is neither varied nor set"
                    f"{did_you_mean(condition.key, sorted(known))}"
                )
    placed: list[Parameter] = []
    left, done = list(parameters), set(fixed) - set(keys)
    while left:
        free = next((each for each in left if all(condition.key in done for condition in each.when)), None)
        if free is None:
            raise ConfigError(
                f"sweep.space: {' and '.join(each.name for each in left)} wait for each other by their when"
            )
        left.remove(free)
        done |= set(free.keys)
        if all(_can_hold(condition, placed, fixed) for condition in free.when):
            placed.append(free)
    return Space(tuple(placed), dict(fixed))


def _can_hold(condition: Condition, parameters: Sequence[Parameter], fixed: Mapping[str, str]) -> bool:
    """Whether a condition holds in any setting: a key that is typed may have settled it."""
    parent = next((each for each in parameters if condition.key in each.keys), None)
    if parent is None:
        return condition.holds(fixed)
    values = parent.domain.all()
    return values is None or any(condition.holds(pairs(parent.overrides(value))) for value in values)
