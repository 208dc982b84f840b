"""A search from Hydra's hands to its last trial."""

import json
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from fulgurite import config
from fulgurite.board.experiment import write_experiment
from fulgurite.compose import Composer
from fulgurite.errors import ConfigError
from fulgurite.result import write_atomically
from fulgurite.search.drive import Drive, Job
from fulgurite.search.listed import Listed
from fulgurite.search.plan import Search, read
from fulgurite.search.proposals import num_settings, proposals
from fulgurite.search.racing import Race
from fulgurite.search.settings import OWN
from fulgurite.search.trial import Trial, outcome_in
from fulgurite.sweep.folder import ANOTHER_NAME, job_folder
from fulgurite.sweep.pool import pool_of

if TYPE_CHECKING:
    from hydra_plugins.fulgurite_sweeper.search import SearchSweeper

RECORD = "search.json"


def run(sweeper: "SearchSweeper", arguments: list[str]) -> None:
    """Run the search that the config and the overrides describe.

    Raises:
        ConfigError: when the sweep folder holds another search.
    """
    loader = sweeper.hydra_context.config_loader
    search = read(sweeper.config, arguments, OverridesParser.create(config_loader=loader))
    folder = Path(str(sweeper.config.hydra.sweep.dir))
    folder.mkdir(parents=True, exist_ok=True)
    _take_up(folder, search)
    write_experiment(folder, search.values, _of_all_jobs(sweeper.config, search))
    OmegaConf.save(sweeper.config, folder / "multirun.yaml")
    _name(sweeper.task_function, search, folder)
    history = _history(folder, search)
    before: Counter[str] = Counter(history.counts)
    sweeper.task_function.num_failed_before = before["failed"] + before["diverged"]
    ended = sum(count for status, count in before.items() if status != "running")
    if ended:
        told = ", ".join(f"{count} {status}" for status, count in before.items() if status != "running")
        print(f"{ended} trials have ended before: {told}", flush=True)
    with pool_of(sweeper.launcher, search.settings.num_workers) as pool:
        race = _race(search, history)
        outcome = partial(outcome_in, goals=search.settings.goals)
        jobs = _Jobs(search, Composer(loader, partial(loader.load_sweep_config, sweeper.config)))
        drive = Drive(history, pool, jobs.make, outcome, search.settings.repeats, race)
        drive.run(ended * search.settings.repeats)
    _say(search, history)


def _name(task: Any, search: Search, folder: Path) -> None:
    """Have jobs named by what is varied, also where the config is the user's own and nothing was known before."""
    task.folder = folder
    if not set(search.swept) <= set(task.swept):
        task.swept = search.swept
        config.register(search.swept, unnamed=folder.name)


class _Jobs:
    """Makes the jobs of trials."""

    def __init__(self, search: Search, compose: Composer) -> None:
        self._search, self._compose = search, compose

    def make(self, trial: Trial, repeat: int) -> Job:
        """The job of a trial and a repeat."""
        settings = self._search.settings
        own = [f"seed={settings.first_seed + repeat}"] if settings.repeats > 1 else []
        # Its first seed alone speaks for a trial to the pruner.
        own += [f"sweep.trial={trial.number}"] if trial.reports and repeat == 0 else []
        overrides = (*self._search.fixed, *trial.overrides, *own)
        cfg = self._compose.peek(overrides)
        folder = job_folder(cfg)
        # It is looked at for the next job, too.
        OmegaConf.set_readonly(cfg.hydra, False)
        return Job(trial, repeat, overrides, folder)


def _history(folder: Path, search: Search) -> Any:
    """Optuna's, where its samplers or pruners are used; else none."""
    settings, space, constraints = search.settings, search.space, search.constraints
    own = proposals(settings, space, constraints) if settings.sampler in OWN else None
    number = num_settings(settings, space, constraints)
    if own is not None and not settings.needs_history:
        return Listed(own, space, number)
    from fulgurite.search.study import StudyHistory

    return StudyHistory(folder, settings, space, constraints, own, number)


def _race(search: Search, history: Any) -> Race | None:
    """The race, with what it knew before; settings that need no history are all asked for again."""
    settings = search.settings
    if settings.repeats == 1 or len(settings.goals) > 1 or not settings.racing:
        return None
    race = Race(settings.repeats, settings.goals[0].mode)
    for values in [] if isinstance(history, Listed) else history.seeds():
        race.note(values)
    return race


def _take_up(folder: Path, search: Search) -> None:
    """Put the search on record, or see that it is the one on record.

    Raises:
        ConfigError: with the difference, when it is another.
    """
    space = {each.name: each.described for each in search.space.parameters}
    now = json.loads(json.dumps({**search.settings.identity(), "space": space}))
    path = folder / RECORD
    then = _recorded(path) or now
    # Another value of a grid is one more job, and moves no other.
    free = ("space",) if search.settings.sampler == "grid" and not search.settings.needs_history else ()
    changed = [key for key in now if key not in free and now[key] != then.get(key)]
    if changed:
        shown = "; ".join(f"sweep.{key}: {then.get(key)} then, {now[key]} now" for key in changed)
        raise ConfigError(
            f"the sweep {folder.name} is another search: {shown}; take the change back, or {ANOTHER_NAME}"
        )
    write_atomically(path, json.dumps(now, indent=2) + "\n")


def _of_all_jobs(cfg: Any, search: Search) -> dict[str, Any]:
    """What the config of each job says of loggers, objective and test."""
    plain = OmegaConf.to_container(OmegaConf.masked_copy(cfg, ["logger", "test"]), resolve=False)
    assert isinstance(plain, dict)
    return {**plain, "objective": {"metric": search.settings.goals[0].metric}}  # type: ignore[dict-item]


def _recorded(path: Path) -> Mapping[str, Any]:
    """What is on record; empty where nothing can be read."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, Mapping) else {}


def _say(search: Search, history: Any) -> None:
    counts = history.counts
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    print(f"{sum(counts.values())} trials: {told}", flush=True)
    if len(search.settings.goals) > 1:
        front = sorted(history.study.best_trials, key=lambda trial: trial.values)
        print(f"no other trial is better in each objective than {'these' if len(front) > 1 else 'this one'}:")
        for trial in front:
            values = zip(search.settings.goals, trial.values, strict=True)
            reached = "  ".join(f"{goal.metric} {value:.4g}" for goal, value in values)
            print(f"  {reached}  {' '.join(f'{key}={value}' for key, value in trial.params.items())}", flush=True)
