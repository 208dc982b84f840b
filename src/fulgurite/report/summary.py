"""The end of a run: what came out, where it is, and what to type next."""

import shlex
from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fulgurite.report.leaderboard import nearest
from fulgurite.report.table import rounded
from fulgurite.result import Result, read_result

_BEST = Path("checkpoints", "best.ckpt")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def print_summary(folder: Path) -> None:
    """Print the numbers of a run's ``result.json`` and the next commands.

    Raises:
        RunFolderError: when the folder has no readable ``result.json``.
    """
    result = read_result(folder)
    console = Console(highlight=False)
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    for name, value in _numbers(folder, result):
        table.add_row(Text(name), Text(value))
    console.print(table)
    speed = "" if result.samples_per_s is None else f", {result.samples_per_s:,.0f} samples/s"
    epochs = f"{result.epochs} epoch{'' if result.epochs == 1 else 's'}"
    console.print(f"{epochs} in {result.seconds:.1f} s{speed}")
    if result.status != "finished":
        reason = "" if result.error is None else f": {result.error.message or result.error.type}"
        console.print(Text(f"The run is {result.status}{reason}"), soft_wrap=True)
    for name, path in _places(folder):
        console.print(Text(f"{name}: {nearest(path)}"), soft_wrap=True)
    console.print("Next:")
    for command in next_commands(folder, result):
        console.print(Text(f"  {command}"), soft_wrap=True)


def next_commands(folder: Path, result: Result) -> list[str]:
    """Command lines for this run, as they can be typed in the current folder."""
    run = shlex.quote(nearest(folder))
    return [
        f"fulgurite eval {run}",
        f"fulgurite predict {run} {'points.csv' if _has_points(folder) else 'digit.png'}",
        f"fulgurite board {run}",
        "python train.py -m model=mlp,cnn optimizer.lr=1e-3,3e-3 seed=1,2,3",
    ]


def _has_points(folder: Path) -> bool:
    """Whether the run's samples are numbers in a row, and no images."""
    shape = _configured(folder, "data", "spec", "input_shape")
    return isinstance(shape, list) and len(shape) < 3


def _configured(folder: Path, *keys: str) -> object:
    """A value of the run's config, interpolations unresolved; ``None`` where it cannot be read."""
    try:
        value = yaml.load((folder / ".hydra" / "config.yaml").read_text(encoding="utf-8"), Loader=_LOADER)
        for key in keys:
            value = value[key]
        return value
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return None


def _numbers(folder: Path, result: Result) -> list[tuple[str, str]]:
    """The objective, of the epoch that was tested, and the tests."""
    name, value = result.objective.metric, result.objective.value
    which = "last" if _configured(folder, "callbacks", "best_checkpoint", "choose") == "last" else "best"
    chosen = [] if value is None else [(f"{which} {name}", rounded(value))]
    tests = {name: value for name, value in result.metrics.items() if name.startswith("test/") and value is not None}
    return chosen + [(name, rounded(value)) for name, value in tests.items()]


def _places(folder: Path) -> list[tuple[str, Path]]:
    """The run folder, and the best checkpoint where there is one."""
    best = folder / _BEST
    return [("Run folder", folder), *([("Best checkpoint", best)] if best.is_file() else [])]
