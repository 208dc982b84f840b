"""A search is looked through before anything of it is trained, or written. Imports no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fulgurite import config
from fulgurite.devices import refuse_many_devices
from fulgurite.errors import ConfigError
from fulgurite.explain import explain
from fulgurite.search.overrides import fixed_words, is_continuous
from fulgurite.search.plan import Search, read
from fulgurite.search.proposals import num_settings
from fulgurite.search.settings import Settings
from fulgurite.sweep.another import refuse_another
from fulgurite.sweep.folder import folder_of_sweep
from fulgurite.sweep.record import Planned as Composed
from fulgurite.sweep.record import planned

if TYPE_CHECKING:
    from omegaconf import DictConfig

_SWEEPER = "hydra_plugins.fulgurite_sweeper"
# Probes of a parameter with many options at most: a composition takes a tenth of a second where a file is read.
_MOST_PROBES = 500


@dataclass(frozen=True)
class Planned:
    """A search that may start.

    Attributes:
        search: what it is.
        folder: of the sweep.
        num_jobs: trials times seeds.
    """

    search: Search
    folder: Path
    num_jobs: int

    @property
    def swept(self) -> list[str]:
        """Keys that name the jobs' folders."""
        return self.search.swept


def prepare(overrides: Sequence[str]) -> Planned | None:
    """The search that ``overrides`` ask for; ``None`` for an ordinary sweep.

    Raises:
        ConfigError: for a mistake in the search, or in any value of a job.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    if not _may_be_one(overrides):
        return None
    config.register()
    with initialize_config_dir(str(config.CONF_DIR), version_base="1.3"):
        cfg = _explained(lambda words: compose(config.CONFIG_NAME, words, return_hydra_config=True), overrides)
        if not str(cfg.hydra.sweeper._target_).startswith(_SWEEPER):
            _refuse_continuous(overrides)
            return None
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        search = read(cfg, overrides, parser)
        config.register(search.swept)
        sample = _refuse_mistakes(search)
        folder = folder_of_sweep(cfg)
        if folder.is_dir():
            refuse_another(folder, search.swept, [sample], is_search=True)
    number = num_settings(search.settings, search.space, search.constraints)
    if search.settings.needs_history:
        _refuse_options(search.settings)
    return Planned(search, folder, number * search.settings.repeats)


def _may_be_one(overrides: Sequence[str]) -> bool:
    """Whether it is worth a composition to see whether this is a search."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(list(overrides))
    groups = {each.key_or_group for each in parsed}
    return bool(groups & {"sweep", "experiment"}) or any(map(is_continuous, parsed))


def _refuse_continuous(overrides: Sequence[str]) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    for each in OverridesParser.create().parse_overrides(list(overrides)):
        if is_continuous(each):
            raise ConfigError(
                f"{each.input_line} has no end of values: choose who draws from it, such as sweep=tpe or sweep=random, "
                f"or give values, such as {each.get_key_element()}=1e-3,1e-2"
            )


def _refuse_mistakes(search: Search) -> Composed:
    """Compose a job for each extreme and each option; one of them."""
    from hydra import compose
    from hydra.core.global_hydra import GlobalHydra

    from fulgurite.compose import Composer

    loader = GlobalHydra.instance().config_loader()
    composer = Composer(loader, lambda words: compose(config.CONFIG_NAME, words))
    seen: set[str] = set()
    sample = None
    for own, setting in enumerate(search.space.probes()):
        words = search.space.overrides(setting)
        if own >= _MOST_PROBES or seen.issuperset(words):
            continue
        seen.update(words)
        cfg = _explained(composer.peek, [*search.fixed, *words])
        if cfg.launcher.get("name") in ("basic", "fused") and cfg.launcher.get("spread") != "data":
            refuse_many_devices(cfg)
        sample = sample or planned([*search.fixed, *words], cfg.copy())
    assert sample is not None
    return sample


def _explained(compose_job: Any, overrides: Sequence[str]) -> "DictConfig":
    words = fixed_words(overrides)
    try:
        return compose_job(words)
    except Exception as error:
        message = explain(error, words)
        if message is None:
            raise
        raise ConfigError(message) from error


def _refuse_options(settings: Settings) -> None:
    """Have Optuna look at the options of sampler and pruner."""
    try:
        from fulgurite.search.pruning import make_pruner
        from fulgurite.search.samplers import make_sampler
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"sweep={settings.sampler} with sweep.pruner={settings.pruner} needs Optuna: "
            'pip install "fulgurite[search]"'
        ) from error
    make_sampler(settings, 0)
    make_pruner(settings.pruner, dict(settings.pruner_options), settings.max_epochs)
