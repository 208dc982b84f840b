"""Searches without a history: a setting follows from its number alone, so a search that goes on draws what it would."""

from collections.abc import Iterator, Sequence

import numpy as np

from fulgurite.errors import ConfigError
from fulgurite.search.constraints import Constraint, broken
from fulgurite.search.settings import Settings
from fulgurite.search.space import Setting, Space

# Draws in a row that may break a constraint.
MOST_REFUSED = 10_000
_CHUNK = 64
# Primitive polynomials of torch's Sobol generator.
_MOST_DIMENSIONS = 21_201


def proposals(settings: Settings, space: Space, constraints: Sequence[Constraint]) -> Iterator[Setting]:
    """The settings of ``random``, ``grid`` or ``sobol``, in order and without those that break a constraint.

    Raises:
        ConfigError: when a constraint leaves nothing over, or a grid is asked of an interval.
    """
    drawn = {"random": _random, "grid": _grid, "sobol": _sobol}[settings.sampler](settings, space)
    refused, found, last = 0, False, ""
    for setting in drawn:
        last = broken(constraints, space.chosen(setting)) or last
        if broken(constraints, space.chosen(setting)):
            refused += 1
            if refused >= MOST_REFUSED:
                raise ConfigError(nothing_left(last, refused))
            continue
        refused, found = 0, True
        yield setting
    if not found:
        raise ConfigError(nothing_left(last, refused))


def nothing_left(text: str, tried: int) -> str:
    """What is said where a constraint leaves no setting over."""
    return f"sweep.constraints: {text!r} is met by none of {tried} settings; widen the space or the constraint"


def num_settings(settings: Settings, space: Space, constraints: Sequence[Constraint]) -> int:
    """How many settings there will be.

    Raises:
        ConfigError: as ``proposals`` does.
    """
    if settings.sampler != "grid":
        assert settings.num_trials is not None
        return settings.num_trials
    number = sum(1 for _ in proposals(settings, space, constraints))
    return number if settings.num_trials is None else min(number, settings.num_trials)


def _random(settings: Settings, space: Space) -> Iterator[Setting]:
    generator = np.random.default_rng(settings.seed)
    while True:
        yield space.at(generator.random(len(space.parameters)).tolist())


def _grid(settings: Settings, space: Space) -> Iterator[Setting]:
    yield from space.grid()


def _sobol(settings: Settings, space: Space) -> Iterator[Setting]:
    """Sobol, 1967, scrambled as by Owen, 1998."""
    # Here, not at the top: the others need no torch.
    import torch
    from torch.quasirandom import SobolEngine

    if len(space.parameters) > _MOST_DIMENSIONS:
        raise ConfigError(f"sweep=sobol varies at most {_MOST_DIMENSIONS} parameters, got {len(space.parameters)}")
    engine = SobolEngine(len(space.parameters), scramble=True, seed=settings.seed)
    while True:
        for shares in engine.draw(_CHUNK, dtype=torch.float64).tolist():
            yield space.at([min(share, 1 - 1e-12) for share in shares])
