"""Composes the jobs of a sweep. Those that differ from one another in plain values share one composition.

Hydra composes each job anew from a score of files, in 0.12 seconds: for a small network as long as half an epoch.
"""

import copy
from collections.abc import Sequence
from typing import Any

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict


class Composer:
    """Composes a job from its overrides, as ``load_sweep_config`` does.

    Args:
        hydra_context: Hydra's, with its loader.
        sweep: the config of the sweep.
    """

    def __init__(self, hydra_context: HydraContext, sweep: DictConfig) -> None:
        self._loader: Any = hydra_context.config_loader
        self._sweep = sweep
        self._parser = OverridesParser.create(config_loader=self._loader)
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def __call__(self, overrides: Sequence[str], number: int) -> DictConfig:
        """The config of one job.

        Args:
            overrides: of the job.
            number: of the job in its sweep.
        """
        parsed = self._parser.parse_overrides(list(overrides))
        values = [each for each in parsed if self._is_plain_value(each)]
        others = tuple(each.key_or_group if each in values else str(each.input_line) for each in parsed)
        if others not in self._composed:
            self._composed[others] = self._loader.load_sweep_config(self._sweep, list(overrides))
        config = copy.deepcopy(self._composed[others])
        for each in values:
            OmegaConf.update(config, each.key_or_group, each.value())
        with open_dict(config):
            self._describe(config, parsed)
            config.hydra.job.id = number
            config.hydra.job.num = number
        return config

    def _is_plain_value(self, override: Override) -> bool:
        """True for ``key=number or word``, where the key is in the config and no group."""
        return (
            override.type == OverrideType.CHANGE
            and override.package is None
            and not override.is_hydra_override()
            and not isinstance(override.value(), dict | list)
            and not self._loader.repository.group_exists(override.key_or_group)
        )

    def _describe(self, config: DictConfig, parsed: Sequence[Override]) -> None:
        """Write down the overrides where Hydra does."""
        of_task = [each for each in parsed if not each.is_hydra_override()]
        naming = config.hydra.job.config.override_dirname
        config.hydra.overrides.task = [each.input_line for each in of_task]
        config.hydra.job.override_dirname = get_overrides_dirname(
            overrides=of_task, kv_sep=naming.kv_sep, item_sep=naming.item_sep, exclude_keys=naming.exclude_keys
        )
