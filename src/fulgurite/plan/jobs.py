"""The jobs of a sweep, composed; what is wrong with them, job by job."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from fulgurite import config, help
from fulgurite.compose import Composer
from fulgurite.devices import refuse_many_devices
from fulgurite.errors import ConfigError
from fulgurite.explain import explain
from fulgurite.sweep.prepare import refuse_twins, swept_keys

_ELSEWHERE = ("hydra/sweeper", "hydra/launcher", "hydra.sweeper", "hydra.launcher", "hydra.mode", "sweep=")


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes:
        number: from 1, as launchers count.
        overrides: of this job.
        values: what was swept, by key.
        config: the composed one, with a folder that may be written to; empty when it cannot be composed.
        plain: the same, resolved to plain values.
    """

    number: int
    overrides: tuple[str, ...]
    values: dict[str, str]
    config: DictConfig
    plain: dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """What keeps jobs from running.

    Attributes:
        jobs: that it is wrong with.
        message: for the user.
    """

    jobs: list[Job]
    message: str


class Problems:
    """Collects what is wrong, job by job; equal messages become one ``Problem``."""

    def __init__(self) -> None:
        self._jobs: dict[str, list[Job]] = {}

    def add(self, job: Job, message: str) -> None:
        """Note that a job cannot run."""
        jobs = self._jobs.setdefault(message, [])
        if job not in jobs[-1:]:
            jobs.append(job)

    def fail(self, job: Job) -> bool:
        """Whether something is wrong with ``job``."""
        return any(job is each for jobs in self._jobs.values() for each in jobs)

    def listed(self) -> list[Problem]:
        """All problems, in the order of the first job that has each."""
        problems = [Problem(sorted(jobs, key=lambda job: job.number), message) for message, jobs in self._jobs.items()]
        return sorted(problems, key=lambda problem: problem.jobs[0].number)


def words_for(error: BaseException, overrides: Sequence[str]) -> str:
    """What is said of an error met in a job: in one line, that of a bug included."""
    message = explain(error, overrides)
    if message is None and os.environ.get("FULGURITE_DEBUG") == "1":
        raise error
    return message or f"{type(error).__name__}: {' '.join(str(error).split())}; FULGURITE_DEBUG=1 shows the traceback"


def compose_jobs(overrides: Sequence[str], folder: Path, problems: Problems) -> list[Job]:
    """The jobs that ``train -m`` would run.

    Args:
        overrides: as typed, such as ``seed=1,2``.
        folder: for what a job has to write to be tried.
        problems: takes what is wrong with single jobs.

    Raises:
        ConfigError: when something else than the overrides decides which jobs there are, or one is there twice.
        OverrideParseException: for an override that cannot be read.
    """
    for override in overrides:
        if override.lstrip("+").startswith(_ELSEWHERE) and override != "sweep=default":
            raise ConfigError(f"a plan is made of the jobs of a grid, and {override} leaves them to something else")
    swept = swept_keys(overrides)
    config.register(swept)
    jobs = []
    with initialize_config_dir(str(config.CONF_DIR), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        parser = OverridesParser.create(config_loader=loader)
        compose_job = _Remembering(Composer(loader, lambda job: compose(config.CONFIG_NAME, overrides=job)))
        split = BasicSweeper.split_arguments(parser.parse_overrides(list(overrides)), None)[0]
        refuse_twins(split)
        for number, own in enumerate(split, start=1):
            values = {key: value for key, value in map(_pair, own) if key in swept}
            composed = compose_job(own)
            cfg, message = (OmegaConf.create(), composed) if isinstance(composed, str) else (composed, "")
            plain = {}
            if not message:
                cfg.folder = str(folder)
                try:
                    plain = config.resolve(cfg)
                except Exception as error:
                    message = words_for(error, own)
            jobs.append(Job(number, tuple(own), values, cfg, plain))
            if message:
                problems.add(jobs[-1], message)
    return jobs


class _Remembering:
    """Composes jobs, and does not try again what has failed: a failure takes Hydra a tenth of a second.

    Args:
        compose_job: composes from overrides.
    """

    def __init__(self, compose_job: Callable[[Sequence[str]], DictConfig]) -> None:
        self._compose = compose_job
        self._groups = help.groups()
        # What is wrong with (choices of groups, one value, or none), however the other values are.
        self._wrong: dict[tuple[tuple[str, ...], str | None], str] = {}

    def __call__(self, overrides: Sequence[str]) -> DictConfig | str:
        """The config, or what is wrong."""
        choices = tuple(each for each in overrides if self._changes_structure(each))
        values = [each for each in overrides if each not in choices]
        for culprit in (None, *values):
            if (choices, culprit) in self._wrong:
                return self._wrong[choices, culprit]
        try:
            cfg = self._compose(overrides)
            refuse_many_devices(cfg)
            return cfg
        except Exception as error:
            message = explain(error, overrides)
            if message is None:
                raise
            self._blame(choices, values, message)
            return message

    def _changes_structure(self, override: str) -> bool:
        """Whether an override decides which keys there are."""
        key, _ = _pair(override)
        return override.startswith(("+", "~")) or key in self._groups or "/" in key or "@" in key

    def _blame(self, choices: tuple[str, ...], values: Sequence[str], message: str) -> None:
        """Remember which value is at fault, when it is one alone."""
        for culprit in (None, *values):
            try:
                refuse_many_devices(self._compose([*choices, *([culprit] if culprit else [])]))
            except Exception as error:
                if explain(error, [*choices, *values]) == message:
                    self._wrong[choices, culprit] = message
                    return


def _pair(override: str) -> tuple[str, str]:
    key, _, value = override.lstrip("+~").partition("=")
    return key, value


def in_words(numbers: Iterable[int]) -> str:
    """``[1, 2, 3, 5]`` to ``1 to 3, 5``."""
    text = ""
    ordered = sorted(numbers)
    for before, number, after in zip([None, *ordered], ordered, [*ordered[1:], None], strict=False):
        if before is None or number != before + 1:
            text += f", {number}"
        elif after is None or after != number + 1:
            text += f" to {number}"
    return re.sub(r"(\d+) to (\d+)", _pair_of_neighbours, text.removeprefix(", "))


def _pair_of_neighbours(match: re.Match[str]) -> str:
    """Two neighbours are two numbers, not a range."""
    first, last = int(match[1]), int(match[2])
    return f"{first}, {last}" if last == first + 1 else match[0]


def shared_values(jobs: Sequence[Job]) -> dict[str, str]:
    """The swept values in which all of ``jobs`` agree."""
    first = jobs[0].values
    return {key: value for key, value in first.items() if all(job.values.get(key) == value for job in jobs)}
