"""The command line. Knows Hydra; imports torch only inside a job.

``sys.argv`` stays as typed: to train on several devices, Lightning starts the other processes by typing it again.
"""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from fulgurite import __version__, help

if TYPE_CHECKING:
    from argparse import Namespace

    from omegaconf import DictConfig

_MODULES = {"eval": "fulgurite.evaluate", "predict": "fulgurite.predict", "rerun": "fulgurite.rerun"}
_HELP_FLAGS = ("--help", "-h")
_COMPLETION_FLAGS = ("--shell-completion", "-sc")


def main() -> int:
    """The console command ``fulgurite``; returns the exit code."""
    words = sys.argv[1:]
    command = words[0] if words else "--help"
    if command in _HELP_FLAGS:
        print(help.overview())
        return 0
    if command == "--version":
        return _print_version()
    if command == "train" or command in _COMPLETION_FLAGS:
        return train(words[command == "train" :])
    if command not in _MODULES:
        return _complain(help.unknown_command(command), 2)
    return _guarded(lambda: import_module(_MODULES[command]).main(words[1:]))


def train(argv: Sequence[str] | None = None) -> int:
    """What ``python train.py`` does: one run, or with ``-m`` a sweep; returns the exit code.

    Args:
        argv: the words after ``train``; without them those after the name of the program.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if any(flag in words for flag in _HELP_FLAGS):
        print(help.train())
        return 0
    if "--version" in words:
        return _print_version()
    if any(flag in words for flag in _COMPLETION_FLAGS) and not _train_is_completed():
        return 0
    return _guarded(lambda: _train(words), [word for word in words if not word.startswith("-")])


def _train(words: list[str]) -> int:
    from hydra import version
    from hydra._internal.utils import get_args_parser

    from fulgurite import config, sweep

    version.setbase("1.3")
    args = get_args_parser().parse_args(words)
    if not args.multirun:
        config.register()
        job = _Job()
        _hand_to_hydra(args, job)
        if job.error is not None:
            raise job.error
        return 1 if job.diverged else 0
    swept = sweep.swept_keys(args.overrides)
    config.register(swept)
    own_conf = args.config_dir or args.config_path or args.config_name
    jobs = sweep.Sweep(swept, num_jobs=0 if own_conf else len(sweep.plan(args.overrides)))
    try:
        _hand_to_hydra(args, jobs)
    finally:
        jobs.finish()
    return 1 if jobs.num_failed else 0


def _hand_to_hydra(args: "Namespace", task: Callable[["DictConfig"], float | None]) -> None:
    from hydra._internal.utils import _run_hydra, get_args_parser

    from fulgurite import config

    # Who set this herself wants tracebacks; otherwise it makes Hydra raise its errors instead of printing them. The
    # note for the processes that Lightning starts is in FULGURITE_DEBUG.
    os.environ.setdefault("FULGURITE_DEBUG", os.environ.get("HYDRA_FULL_ERROR", "0"))
    os.environ["HYDRA_FULL_ERROR"] = "1"
    _run_hydra(args, get_args_parser(), task, config_path=str(config.CONF_DIR), config_name=config.CONFIG_NAME)


class JobError(Exception):
    """A bug met inside a job; its cause is what was raised, its text the log with the traceback."""


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
        try:
            self.diverged = run_job(cfg, overrides).status == "diverged"
            if _is_first_process():
                print_summary(Path(cfg.folder))
        except Exception as error:
            self.error = error
            if explain(error, overrides) is None:
                self.error = JobError(os.path.relpath(Path(cfg.folder) / LOG_NAME))
                self.error.__cause__ = error


def _guarded(command: Callable[[], int], overrides: Sequence[str] = ()) -> int:
    """Run ``command``; tell what it raises in one line and an exit code: 2 the user's, 1 a bug, 130 Ctrl-C."""
    debug = "1" in (os.environ.get("FULGURITE_DEBUG"), os.environ.get("HYDRA_FULL_ERROR"))
    try:
        return command()
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        from fulgurite.errors import is_interrupt

        if is_interrupt(error):
            print("interrupted", file=sys.stderr)
            return 130
        if debug or isinstance(error, SystemExit):
            raise
        return _explained(error, overrides)


def _explained(error: BaseException, overrides: Sequence[str]) -> int:
    from fulgurite.explain import explain, explain_folder

    if isinstance(error, JobError):
        cause = error.__cause__
        return _complain(f"{type(cause).__name__}: {cause}; the traceback is in {error}", 1)
    if message := explain(error, overrides):
        return _complain(message, 2)
    if isinstance(error, OSError) and error.filename:
        return _complain(explain_folder(error), 2)
    return _complain(f"{type(error).__name__}: {error}; FULGURITE_DEBUG=1 shows the traceback", 1)


def _complain(message: str, code: int) -> int:
    who = "" if _is_first_process() else f" in process {os.environ['LOCAL_RANK']}"
    print(f"error{who}: {message}", file=sys.stderr)
    return code


def _is_first_process() -> bool:
    return os.environ.get("LOCAL_RANK", "0") == "0"


def _print_version() -> int:
    print(f"fulgurite {__version__}")
    return 0


def _train_is_completed() -> bool:
    """Whether Hydra is to complete the line that the shell asks about, without its word ``train``.

    Completes the commands of ``fulgurite`` itself.
    """
    program, _, rest = os.environ.get("COMP_LINE", "").lstrip().partition(" ")
    if os.path.basename(program) != "fulgurite":
        return True
    command, space, words = rest.lstrip().partition(" ")
    if not space:
        print(" ".join(name for name in help.COMMANDS if name.startswith(command)))
        return False
    os.environ["COMP_LINE"] = f"{program} {words}"
    return command == "train"
