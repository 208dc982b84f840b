"""Optuna's pruners, which say of a run whether others are better after as many epochs."""

from typing import Any

import optuna
from optuna.pruners import BasePruner

from fulgurite.errors import ConfigError, check_int
from fulgurite.search.samplers import made, quiet


def make_pruner(name: str, options: dict[str, Any], max_epochs: int) -> BasePruner:
    """The pruner called ``name``. Steps are epochs, counted from 1.

    Args:
        name: ``none``, ``median``, ``halving`` (asynchronous; Li et al., 2020), ``hyperband`` (Li et al., 2018) or
            ``patient``.
        options: further arguments of its class; ``patience`` of ``patient`` is 2 without one.
        max_epochs: of a run; hyperband divides it.

    Raises:
        ConfigError: for an option that its class does not take, or a value that it refuses.
    """
    group = "sweep.pruner_options"
    if name == "median":
        return made(group, optuna.pruners.MedianPruner, {}, options)
    if name == "halving":
        return made(group, optuna.pruners.SuccessiveHalvingPruner, {"min_resource": 1, "reduction_factor": 3}, options)
    if name == "hyperband":
        return made(group, optuna.pruners.HyperbandPruner, {"min_resource": 1, "max_resource": max_epochs}, options)
    if name == "patient":
        patience = check_int(f"{group}.patience", options.get("patience", 2), low=0)
        rest = {key: value for key, value in options.items() if key not in ("patience", "min_delta")}
        inner = made(group, optuna.pruners.MedianPruner, {}, rest)
        with quiet():
            return optuna.pruners.PatientPruner(inner, patience, float(options.get("min_delta", 0.0)))
    if options:
        raise ConfigError(f"{group} must be empty with sweep.pruner=none, got {options}")
    return optuna.pruners.NopPruner()
