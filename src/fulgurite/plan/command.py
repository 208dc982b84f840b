"""``fulgurite sweep plan``: what ``train -m`` with the same words would do. Leaves nothing behind."""

import gc
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from rich.console import Console

from fulgurite import config, hydra_app
from fulgurite.errors import ConfigError
from fulgurite.plan.jobs import Job, Problems, compose_jobs
from hydra_plugins.fulgurite_launcher.fused import FusedLauncher


def main(words: Sequence[str]) -> int:
    """Print the plan, or what is wrong with each job; returns the exit code.

    Args:
        words: overrides, as after ``train -m``.

    Raises:
        ConfigError: for words that belong to no single job.
    """
    overrides = _parse(words).overrides
    problems = Problems()
    with TemporaryDirectory(prefix="fulgurite-plan-", ignore_cleanup_errors=True) as folder, _few_collections():
        jobs = compose_jobs(overrides, Path(folder), problems)
        launcher: dict[str, Any] = next((job.plain["launcher"] for job in jobs if job.plain), {})
        try:
            max_members, probe = _launcher(launcher)
        except ConfigError as error:
            max_members, probe = 1, True
            for job in jobs:
                problems.add(job, str(error))
        # Here, not at the top: a word that Hydra does not know must not wait for torch.
        groups = _try(jobs, Path(folder), max_members, probe, problems)
    from fulgurite.plan import text

    found = problems.listed()
    if found:
        text.say_problems(Console(stderr=True, highlight=False), found, len(jobs))
        return 2
    text.print_plan(Console(highlight=False), jobs, groups, str(launcher["name"]))
    return 0


def _parse(words: Sequence[str]) -> Namespace:
    """Overrides; ``-m`` goes without saying.

    Raises:
        ConfigError: for any other flag.
    """
    args = hydra_app.parse(list(words))
    given = [name for name, value in vars(args).items() if value and name not in ("overrides", "multirun")]
    if given:
        raise ConfigError(f"fulgurite sweep plan takes overrides alone, not --{given[0].replace('_', '-')}")
    return args


def _launcher(node: dict[str, Any]) -> tuple[int, bool]:
    """``max_members`` and ``probe``: those of the jobs, or what ``launcher=fused`` would bring."""
    if node.get("name") != "fused":
        path = config.CONF_DIR / "launcher" / "fused.yaml"
        node = yaml.safe_load(path.read_text(encoding="utf-8"))["launcher"]
    launcher = FusedLauncher(**{key: value for key, value in node.items() if key != "name"})
    return launcher.max_members, launcher.probe


def _try(jobs: Sequence[Job], folder: Path, max_members: int, probe: bool, problems: Problems) -> list[Any]:
    """Check all jobs, then build and step those of each structure; the groups."""
    from fulgurite.log import log_to
    from fulgurite.plan.check import Checks
    from fulgurite.plan.grouping import Settings, group_jobs
    from fulgurite.training.allocator import keep_freed_memory

    keep_freed_memory()
    with log_to(folder):
        check = Checks()
        for job in jobs:
            message = None if problems.fail(job) else check(job)
            if message:
                problems.add(job, message)
        gc.freeze()
        healthy = [job for job in jobs if not problems.fail(job)]
        return group_jobs(healthy, Settings(max_members, probe), problems, _tell)


def _tell(line: str) -> None:
    """Say what is being done, where somebody waits."""
    if sys.stderr.isatty():
        print(line, file=sys.stderr, flush=True)


@contextmanager
def _few_collections() -> Iterator[None]:
    """Keep garbage collections out of composing, and what has been imported out of collections afterwards."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()
