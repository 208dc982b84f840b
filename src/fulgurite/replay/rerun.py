"""``fulgurite rerun RUN``: repeat a run from its recorded config, and say whether the numbers are the same."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.table import Table

from fulgurite.errors import RunFolderError
from fulgurite.replay.arguments import add_overrides, run_parser
from fulgurite.replay.run_folder import RunFolder, open_run
from fulgurite.report.collect import RERUN_MARK
from fulgurite.result import Result

_EXAMPLES = """examples:
  fulgurite rerun outputs/mnist/cnn_20261122-101500-3f2a
  fulgurite rerun RUN seed=1
  fulgurite rerun RUN trainer.max_epochs=20 optimizer.lr=3e-4"""
# Tells the other processes of a run on several devices, which start with the same command line, where it writes.
_SHARED = "FULGURITE_RERUN_FOLDER"


def main(argv: list[str]) -> int:
    """Run the command; returns 0, or 1 when a repetition without overrides gave other numbers.

    Raises:
        FulguriteError: when the folder or an override cannot be used, or as the run itself.
    """
    args = _parser().parse_intermixed_args(argv)
    old = open_run(Path(args.run), args.allow, to_train=True)
    new, result = rerun(old.override(args.overrides), args.overrides)
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return 0
    console = Console(highlight=False)
    console.print(f"Repeated in {new}", soft_wrap=True)
    same = _compare(console, old, new, result)
    for line in changed(old.result, result):
        console.print(line, soft_wrap=True)
    return 0 if same or args.overrides else 1


def rerun(run: RunFolder, overrides: list[str]) -> tuple[Path, Result]:
    """Train again, into a new folder beside the run's.

    Args:
        run: the run, its config as it shall be.
        overrides: what was changed, for the record.

    Returns:
        The new folder and its result.
    """
    from fulgurite.job import run_job

    cfg = run.cfg.copy()
    folder = Path(os.environ[_SHARED]) if _SHARED in os.environ else _new_folder(run, cfg, overrides)
    cfg.folder = str(folder)
    os.environ[_SHARED] = str(folder)
    try:
        return folder, run_job(cfg, [*run.result.overrides, *overrides])
    finally:
        del os.environ[_SHARED]


def changed(old: Result, new: Result) -> list[str]:
    """Versions and commit that are not what they were, one a line."""
    before, now = ({**each.versions, "commit": _commit(each.git)} for each in (old, new))
    names = [name for name in [*before, *now] if before.get(name) != now.get(name)]
    return [f"{name}: {before.get(name, '-')} then, {now.get(name, '-')} now" for name in dict.fromkeys(names)]


def _compare(console: Console, old: RunFolder, new: Path, result: Result) -> bool:
    """Print how the numbers compare; returns whether all are identical."""
    if old.result.status != "finished":
        console.print(f"Nothing to compare: {old.folder.name} is {old.result.status}, the repetition {result.status}.")
        return True
    names = list(dict.fromkeys([*old.result.metrics, *result.metrics]))
    other = [name for name in names if old.result.metrics.get(name) != result.metrics.get(name)]
    weights_differ, of_weights = _compare_weights(old.folder, new)
    if other:
        console.print(_table(other, old.result.metrics, result.metrics))
    numbers = "differ" if other else "are identical"
    console.print(f"The {len(names)} metrics {numbers}; the weights of best.ckpt {of_weights}.", soft_wrap=True)
    return not other and not weights_differ


def _compare_weights(one: Path, other: Path) -> tuple[bool, str]:
    """Whether the weights of two runs are known to differ, and that in words."""
    from fulgurite.replay.weights import differing_weights

    try:
        names = differing_weights(*(folder / "checkpoints" / "best.ckpt" for folder in (one, other)))
    except RunFolderError as error:
        return False, f"are not compared: {error}"
    return bool(names), f"differ in {len(names)} tensors, first {names[0]}" if names else "are bitwise identical"


def _table(names: list[str], old: Mapping[str, float | None], new: Mapping[str, float | None]) -> Table:
    table = Table("metric", highlight=False)
    for title in ("recorded", "now", "difference"):
        table.add_column(title, justify="right")
    for name in names:
        before, now = old.get(name), new.get(name)
        gap = "-" if before is None or now is None else f"{now - before:+.3g}"
        table.add_row(name, *("-" if value is None else f"{value:.8g}" for value in (before, now)), gap)
    return table


def _new_folder(run: RunFolder, cfg: DictConfig, overrides: list[str]) -> Path:
    """Make a folder beside the run's, with the same record of the config that Hydra writes.

    Raises:
        RunFolderError: when it cannot be made.
    """
    number = 1
    while (folder := run.folder.with_name(f"{run.folder.name}{RERUN_MARK}-{number}")).exists():
        number += 1
    cfg.folder = "${hydra:runtime.output_dir}"
    hydra = {"runtime": {"cwd": str(Path.cwd()), "output_dir": str(folder)}, "overrides": {"task": overrides}}
    record = {
        "config": cfg,
        "hydra": OmegaConf.create({"hydra": hydra}),
        "overrides": OmegaConf.create([*run.result.overrides, *overrides]),
    }
    try:
        (folder / ".hydra").mkdir(parents=True)
        for name, content in record.items():
            OmegaConf.save(content, folder / ".hydra" / f"{name}.yaml")
    except OSError as error:
        raise RunFolderError(
            f"{folder} cannot be written ({error.strerror}); copy the run to a folder of yours"
        ) from error
    return folder


def _commit(git: Mapping[str, Any]) -> str:
    return f"{git['commit'][:10]}{' with uncommitted changes' if git.get('dirty') else ''}" if git else "none"


def _parser() -> argparse.ArgumentParser:
    parser = run_parser(
        "rerun",
        "Repeat a run from its recorded config into a new folder beside it, and compare all metrics\n"
        "and the weights of best.ckpt. Exit code 1 when a repetition without overrides gives other numbers.",
        _EXAMPLES,
    )
    add_overrides(parser)
    return parser
