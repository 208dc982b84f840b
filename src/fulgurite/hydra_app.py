"""``train`` as a Hydra application: its flags, one run or a sweep, shell completion."""

import gc
import os
from argparse import ArgumentError, Namespace
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import _run_hydra, create_config_search_path, get_args_parser
from hydra.core.global_hydra import GlobalHydra

from fulgurite import config
from fulgurite.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from omegaconf import DictConfig

    Task = Callable[[DictConfig], float | None]


_ONE_RUN = "launcher=fused trains the jobs of a sweep; this is one run: use engine=compiled, or add -m"


class JobError(Exception):
    """A bug met inside a job; its cause is what was raised, its text the log with the traceback."""


def run(words: list[str]) -> int:
    """One run, a sweep with ``-m``, or what another flag of Hydra asks for; returns the exit code.

    Raises:
        JobError: for a bug in the run; those of a sweep's jobs are told when they happen.
        Exception: for what Hydra or the run refuses.
    """
    version.setbase("1.3")
    # Composing makes many objects and hardly any garbage; a job turns the collector on again.
    gc.disable()
    args = parse(words)
    if args.multirun or "hydra.mode=MULTIRUN" in args.overrides:
        args.multirun = True
        return _sweep(args)
    config.register()
    job = _Job()
    _hand_to_hydra(args, job)
    if job.error is not None:
        raise job.error
    return 1 if job.diverged else 0


def parse(words: list[str]) -> Namespace:
    """Hydra's flags, anywhere between the overrides.

    Raises:
        ConfigError: for a flag that Hydra does not have, or a value that it does not take.
    """
    parser = get_args_parser()
    parser.exit_on_error = False
    try:
        args, unknown = parser.parse_known_intermixed_args(words)
    except ArgumentError as error:
        raise ConfigError(str(error)) from error
    if unknown:
        known = [flag for action in parser._actions for flag in action.option_strings]
        raise ConfigError(f"there is no flag {unknown[0]}{did_you_mean(unknown[0], known)}; --hydra-help lists them")
    return args


class _Job:
    """The task function of one run. Keeps its error back from Hydra, which would print a line of its own."""

    error: Exception | None = None
    diverged = False

    def __call__(self, cfg: "DictConfig") -> None:
        from hydra.core.hydra_config import HydraConfig

        from fulgurite.explain import explain
        from fulgurite.job import LOG_NAME, run_job
        from fulgurite.report.summary import print_summary

        overrides = list(HydraConfig.get().overrides.task)
        if cfg.launcher.get("name") == "fused" and is_first_process():
            print(_ONE_RUN, flush=True)
        if (sampler := cfg.sweep.get("sampler")) is not None and is_first_process():
            print(f"sweep={sampler} chooses the jobs of a sweep; this is one run: add -m", flush=True)
        try:
            self.diverged = run_job(cfg, overrides).status == "diverged"
            if is_first_process():
                print_summary(Path(cfg.folder))
        except Exception as error:
            self.error = error
            if explain(error, overrides) is None:
                self.error = JobError(os.path.relpath(Path(cfg.folder) / LOG_NAME))
                self.error.__cause__ = error


def is_first_process() -> bool:
    """False in the processes that Lightning starts for the other devices."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def _sweep(args: Namespace) -> int:
    # Here, not at the top: one run needs none of it.
    from fulgurite.errors import is_interrupt
    from fulgurite.search.prepare import prepare as prepare_search
    from fulgurite.sweep import prepare, record
    from fulgurite.sweep.task import Sweep

    _take_config_dir(args)
    own_conf = args.config_dir or args.config_path or args.config_name
    search = None if own_conf else prepare_search(args.overrides)
    swept = search.swept if search else prepare.swept_keys(args.overrides)
    if search:
        plan = prepare.Plan([], search.folder)
    else:
        config.register(swept)
        plan = prepare.Plan([], None) if own_conf else prepare.prepare(args.overrides, _get_ready)
    if plan.folder is not None and (recorded := record.recorded_keys(plan.folder)):
        # Their order is that in the names of the jobs' folders, however they are typed this time.
        swept = recorded
        config.register(swept)
    jobs = Sweep(swept, search.num_jobs if search else len(plan.jobs), plan.folder)
    with ExitStack() as stack:
        stack.callback(jobs.finish)
        if plan.jobs:
            stack.enter_context(prepare.checked_once())
        if plan.folder is not None and not args.cfg and not args.info:
            sought = record.Sought(search.search.domains, search.num_jobs) if search else None
            stack.enter_context(prepare.opened(plan.folder, args.overrides, swept, plan.jobs, sought))
        try:
            _hand_to_hydra(args, jobs)
        except (KeyboardInterrupt, SystemExit) as error:
            if is_interrupt(error) and jobs.folder is not None:
                raise KeyboardInterrupt(prepare.how_to_go_on(jobs.folder)) from error
            raise
    return 1 if jobs.num_failed else 0


def _get_ready(cfg: "DictConfig") -> None:
    """Let the processes of jobs import what they need while a thousand jobs are composed."""
    if cfg.launcher.get("name") == "processes":
        from hydra_plugins.fulgurite_launcher import _server

        _server.context()


def _take_config_dir(args: Namespace) -> None:
    """Say ``--config-dir`` in an override: then the sweep is planned, locked, recorded and resumed as any other."""
    typed = any(each.lstrip("+").startswith("hydra.searchpath") for each in args.overrides)
    # Hydra says it of a folder that is not there.
    if args.config_dir is None or typed or not os.path.isdir(args.config_dir):
        return
    quoted = os.path.abspath(args.config_dir).replace("\\", "\\\\").replace("'", "\\'")
    args.overrides = [f"hydra.searchpath=['file://{quoted}']", *args.overrides]
    args.config_dir = None


def _hand_to_hydra(args: Namespace, task: "Task") -> None:
    if any(value for name, value in vars(args).items() if name not in ("overrides", "run", "multirun")):
        # This makes Hydra raise its errors instead of printing them.
        os.environ["HYDRA_FULL_ERROR"] = "1"
        _run_hydra(args, get_args_parser(), task, config_path=str(config.CONF_DIR), config_name=config.CONFIG_NAME)
        return
    # The same for the plain case, but the config is composed once, not twice.
    try:
        hydra = Hydra.create_main_hydra2("fulgurite", create_config_search_path(str(config.CONF_DIR)))
        start, mode = (hydra.multirun, "MULTIRUN") if args.multirun else (hydra.run, "RUN")
        start(config_name=config.CONFIG_NAME, task_function=task, overrides=[*args.overrides, f"hydra.mode={mode}"])
    finally:
        GlobalHydra.instance().clear()
