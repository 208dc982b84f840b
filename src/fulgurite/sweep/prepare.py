"""What a sweep is going to do: its jobs and its folder, all mistakes told before anything is trained."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import open_dict

from fulgurite import config
from fulgurite.devices import refuse_many_devices
from fulgurite.errors import ConfigError
from fulgurite.explain import explain
from fulgurite.sweep.another import refuse_another
from fulgurite.sweep.folder import folder_of_sweep, only_driver
from fulgurite.sweep.limits import limits_of
from fulgurite.sweep.record import Planned, Sought, planned, write_record

if TYPE_CHECKING:
    from omegaconf import DictConfig

# Who decides on the jobs; with one of these set, the plan is theirs.
_PLANNED_ELSEWHERE = ("hydra/sweeper", "hydra.sweeper")


def swept_keys(overrides: Sequence[str]) -> list[str]:
    """Keys with several values.

    Raises:
        OverrideParseException: for an override that cannot be read.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [each.get_key_element().lstrip("+~") for each in parsed if each.is_sweep_override()]


@dataclass(frozen=True)
class Plan:
    """What a sweep is going to do.

    Attributes:
        jobs: what each job is; empty when another sweeper plans.
        folder: the sweep folder; ``None`` when nobody knows it yet.
    """

    jobs: list[Planned]
    folder: Path | None


def prepare(overrides: Sequence[str], look: "Callable[[DictConfig], None]" = lambda cfg: None) -> Plan:
    """The jobs of a sweep and its folder.

    Composes all of them: a mistake in any is told before anything is trained, and their configs are put on record.

    Args:
        overrides: as typed.
        look: is shown the first job's config before the others are composed.

    Raises:
        ConfigError: for a job on several devices, one that is there twice, or one that does not belong to the sweep of
            that name.
    """
    from hydra import compose, initialize_config_dir
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from fulgurite.compose import Composer

    if any(override.lstrip("+").startswith(_PLANNED_ELSEWHERE) for override in overrides):
        return Plan([], None)
    folders: list[Path] = []

    def load(job: list[str]) -> "DictConfig":
        if folders:
            return compose(config.CONFIG_NAME, overrides=job)
        cfg = compose(config.CONFIG_NAME, overrides=job, return_hydra_config=True)
        folders.append(folder_of_sweep(cfg))
        with open_dict(cfg):
            del cfg["hydra"]
        look(cfg)
        return cfg

    with initialize_config_dir(str(config.CONF_DIR), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        parser = OverridesParser.create(config_loader=loader)
        compose_job = Composer(loader, load)
        jobs = BasicSweeper.split_arguments(parser.parse_overrides(list(overrides)), None)[0]
        refuse_twins(jobs)
        planned = [_planned(job, compose_job.peek) for job in jobs]
    if folders and folders[0].is_dir():
        refuse_another(folders[0], swept_keys(overrides), planned)
    return Plan(planned, folders[0] if folders else None)


def refuse_twins(jobs: Sequence[Sequence[str]]) -> None:
    """Refuse a job that is there twice: both would write the same folder, at the same time in a fused sweep.

    Raises:
        ConfigError: with what was typed twice.
    """
    numbers: dict[tuple[str, ...], int] = {}
    for number, job in enumerate(jobs, start=1):
        first = numbers.setdefault(tuple(job), number)
        if first != number:
            same = " ".join(job)
            raise ConfigError(f"jobs {first} and {number} are the same ({same}); give each value of a key once")


def _planned(job: list[str], compose_job: "Callable[[list[str]], DictConfig]") -> Planned:
    try:
        cfg = compose_job(job)
        # This launcher starts a process for each device itself, and looks at the devices, too.
        if cfg.launcher.get("spread") != "data":
            refuse_many_devices(cfg)
        limits_of(cfg.sweep, str(cfg.launcher.get("name")))
    except Exception as error:
        # Told with this job's choices: a key may exist in model=mlp and not in model=cnn.
        message = explain(error, job)
        if message is None:
            raise
        raise ConfigError(message) from error
    return planned(job, cfg)


@contextmanager
def checked_once() -> Iterator[None]:
    """Keep Hydra from composing each job one time more, only to see whether it can: ``plan`` has done so."""
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    before = BasicSweeper.validate_batch_is_legal
    BasicSweeper.validate_batch_is_legal = lambda self, batch: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        BasicSweeper.validate_batch_is_legal = before  # type: ignore[method-assign]


@contextmanager
def opened(
    folder: Path,
    overrides: Sequence[str],
    swept: Sequence[str],
    jobs: Sequence[Planned],
    sought: Sought | None = None,
) -> Iterator[None]:
    """Work on the sweep in ``folder`` alone, its record written, while the context lasts.

    Args:
        folder: of the sweep.
        overrides: as typed.
        swept: keys that are varied.
        jobs: that are planned.
        sought: by a search; ``None`` for an ordinary sweep.

    Raises:
        ConfigError: while another process works on it.
    """
    with only_driver(folder):
        write_record(folder, overrides, swept, jobs, sought)
        yield


def how_to_go_on(folder: Path) -> str:
    """What is said of a sweep that was interrupted."""
    return f"to go on with it, give the same command with sweep.name={folder.name}"
