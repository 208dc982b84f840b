"""``fulgurite ensemble RUN RUN...``: how good finished runs are together, by the mean of their probabilities.

Sources: Cireşan, Meier and Schmidhuber, "Multi-column deep neural networks for image classification" (2012);
Lakshminarayanan, Pritzel and Blundell, "Deep ensembles" (2017).
Shapes: M members, N samples, C classes.
"""

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fulgurite.errors import ConfigError, DataError
from fulgurite.places import named_place
from fulgurite.replay.arguments import add_allow, add_checkpoint
from fulgurite.replay.predict import predict
from fulgurite.replay.run_folder import RunFolder, open_run
from fulgurite.report.collect import read_jobs
from fulgurite.report.runs import is_run, is_sweep

if TYPE_CHECKING:
    from torch import Tensor

    from fulgurite.data.in_memory import Part

_EXAMPLES = """examples:
  fulgurite ensemble RUN RUN RUN
  fulgurite ensemble night                   all finished jobs of a sweep
  fulgurite ensemble night/JOB night/JOB     two of them"""


@dataclass(frozen=True)
class Ensemble:
    """What members reach alone and together on the test part.

    Attributes:
        members: test accuracy of each, in [0, 1].
        accuracy: of the class with the largest mean probability, in [0, 1].
        num_samples: samples of the test part.
    """

    members: list[float]
    accuracy: float
    num_samples: int

    @property
    def standard_error(self) -> float:
        """Of ``accuracy``, as the share of ``num_samples`` independent draws: sqrt(p (1 - p) / N)."""
        return math.sqrt(self.accuracy * (1 - self.accuracy) / self.num_samples)


def main(words: Sequence[str]) -> int:
    """Run the command; returns the exit code.

    Raises:
        FulguriteError: when a run cannot be used, or the runs do not belong together.
    """
    args = _parser().parse_args(words)
    folders = [folder for name in args.runs for folder in _runs_of(named_place(name))]
    together = ensemble([open_run(folder, args.allow) for folder in folders], args.checkpoint)
    table = Table("run", highlight=False)
    table.add_column("test/acc", justify="right")
    for folder, accuracy in zip(folders, together.members, strict=True):
        table.add_row(Text(folder.name, overflow="fold"), f"{accuracy:.2%}")
    table.add_section()
    table.add_row("mean of the runs", f"{sum(together.members) / len(together.members):.2%}")
    table.add_row(f"the {len(folders)} together", f"{together.accuracy:.2%}")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"Each figure has a standard error of about {together.standard_error:.2%} on {together.num_samples:,} samples."
    )
    return 0


def ensemble(runs: Sequence[RunFolder], which: str = "best") -> Ensemble:
    """Average the probabilities of finished runs on the test part that they share.

    Args:
        runs: two or more, each once; of any models.
        which: ``best`` or ``last`` checkpoint.

    Raises:
        ConfigError: when there are fewer than two, one is named twice, or their task is not classes.
        DataError: when their test parts differ.
        RunFolderError: when a run is still running, has failed, or has no checkpoint.
    """
    _check(runs)
    checkpoints = [run.checkpoint(which) for run in runs]
    test = _test_part(runs[0])
    mean: Tensor | None = None
    members = []
    for run, checkpoint in zip(runs, checkpoints, strict=True):
        _check_equal(test, _test_part(run), runs[0], run)
        probabilities = predict(run, checkpoint, test.x)
        members.append(_accuracy(probabilities, test.y))
        mean = probabilities if mean is None else mean + probabilities
    assert mean is not None
    return Ensemble(members, _accuracy(mean, test.y), len(test.y))


def measure(folders: Sequence[Path]) -> Mapping[str, float]:
    """What finished runs reach on their common test part, as shares of 1.

    Returns:
        ``ensemble/acc`` together, ``ensemble/member_acc`` in the mean of the runs.
    """
    together = ensemble([open_run(folder) for folder in folders])
    return {
        "ensemble/acc": together.accuracy,
        "ensemble/member_acc": sum(together.members) / len(together.members),
    }


def _runs_of(place: Path) -> list[Path]:
    """The run itself, or the finished jobs of a sweep.

    Raises:
        ConfigError: when it is neither, or no job has finished.
    """
    if is_run(place):
        return [place]
    if not is_sweep(place):
        raise ConfigError(f"{place} is neither a run nor a sweep; fulgurite ls {place} shows those in it")
    finished = [job.folder for job in read_jobs(place) if job.status == "finished"]
    if not finished:
        raise ConfigError(f"no job of the sweep {place} has finished; fulgurite sweep show {place.name} says more")
    return finished


def _check(runs: Sequence[RunFolder]) -> None:
    if len(runs) < 2:
        raise ConfigError(f"an ensemble needs two runs or more, got {len(runs)}; fulgurite eval RUN tests a single one")
    folders = [run.folder for run in runs]
    for run in runs:
        if folders.count(run.folder) > 1:
            raise ConfigError(f"{run.folder} is named twice; name each run once")
        if run.cfg.data.spec.task != "classification":
            raise ConfigError(
                f"ensemble averages probabilities of classes, and {run.folder.name} has task {run.cfg.data.spec.task}; "
                "give runs on classes, such as data=mnist"
            )


def _test_part(run: RunFolder) -> "Part":
    """The raw samples and labels that the run was tested on."""
    from fulgurite.build import build_data

    data: Any = build_data(run.cfg)
    data.setup("test")
    return data.part("test")


def _check_equal(one: "Part", other: "Part", first: RunFolder, run: RunFolder) -> None:
    """Refuse runs whose probabilities would be of different samples."""
    if not all(_equal(getattr(one, name), getattr(other, name)) for name in ("x", "y")):
        raise DataError(
            f"{run.folder.name} was tested on other samples than {first.folder.name} "
            f"({len(other.y)} and {len(one.y)} of them); an ensemble needs runs with the same test part"
        )


def _equal(one: "Tensor", other: "Tensor") -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and bool((one == other).all())


def _accuracy(probabilities: "Tensor", labels: "Tensor") -> float:
    """The share of N x C probabilities whose largest is that of the label."""
    return float((probabilities.argmax(1) == labels).double().mean())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fulgurite ensemble",
        description="Average the probabilities of finished runs on their common test part: what each reaches alone,\n"
        "and all together.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run or a sweep: its folder, or its name")
    add_checkpoint(parser)
    add_allow(parser)
    return parser
