"""``fulgurite eval RUN``: test a run's checkpoint again, from its folder alone."""

import argparse
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fulgurite.replay.arguments import add_checkpoint_options, add_overrides, run_parser
from fulgurite.replay.run_folder import RunFolder, open_run
from fulgurite.result import Result

_EXAMPLES = """examples:
  fulgurite eval outputs/mnist/cnn_20261122-101500-3f2a
  fulgurite eval RUN --checkpoint last
  fulgurite eval RUN data.root=my_digits          another test set, in torchvision's layout
  fulgurite eval RUN trainer.accelerator=cpu"""
# One device, whatever the run was trained on; each sample is tested once.
_ONE_DEVICE = ("++trainer.accelerator=auto", "++trainer.devices=1", "++trainer.strategy=auto", "++trainer.num_nodes=1")
# Relative difference that a change of device, threads or library explains.
_ROUNDING = 1e-4


def main(argv: list[str]) -> int:
    """Run the command; returns the exit code.

    Raises:
        FulguriteError: when the folder, its checkpoint or an override cannot be used.
    """
    args = _parser().parse_intermixed_args(argv)
    run = open_run(Path(args.run), args.allow)
    checkpoint = run.checkpoint(args.checkpoint, unfinished=args.unfinished)
    metrics = evaluate(run.override([*_ONE_DEVICE, *args.overrides]), checkpoint)
    comparable = args.checkpoint == "best" and not args.overrides
    _print(metrics, run.result, f"{run.folder.name}, {args.checkpoint}.ckpt", comparable)
    return 0


def evaluate(run: RunFolder, checkpoint: Path) -> dict[str, float]:
    """Metrics of a checkpoint on the run's test part, by full name such as ``test/acc``.

    The run folder stays as it is: no log, no event file.

    Raises:
        FulguriteError: when data or model cannot be built, or the weights do not fit.
    """
    from fulgurite.build import build
    from fulgurite.fit import products_of
    from fulgurite.log import log_to
    from fulgurite.replay.weights import load_weights

    cfg = run.cfg.copy()
    cfg.logger, cfg.callbacks, cfg.checkpoint = {}, {}, None
    with tempfile.TemporaryDirectory() as elsewhere, log_to(Path(elsewhere)):
        built = build(cfg)
        load_weights(built.model, checkpoint)
        with products_of(built):
            built.trainer.test(built.model, datamodule=built.data, verbose=False)
        return {name: float(value) for name, value in built.trainer.callback_metrics.items()}


def verdict(metrics: Mapping[str, float], recorded: Mapping[str, float | None]) -> str:
    """In one sentence: whether new numbers equal those that were recorded under the same names, and which they are."""
    gaps = {name: _gap(value, recorded[name]) for name, value in metrics.items() if name in recorded}
    if not gaps:
        return "result.json has no test result to compare with."
    largest = max(gaps.values())
    if largest > _ROUNDING:
        return "NOT what result.json recorded: other data, other code, or another checkpoint."
    others = _not_tested(metrics, recorded)
    of_these = f" in {', '.join(gaps)}" if others else ""
    rest = f"; not computed again, as callbacks measure them: {', '.join(others)}" if others else ""
    if largest == 0:
        return f"Identical to result.json{of_these}{rest}."
    return f"Equal to result.json{of_these} but for rounding, a relative difference of {largest:.1e} at most{rest}."


def _not_tested(metrics: Mapping[str, float], recorded: Mapping[str, float | None]) -> list[str]:
    """Names of recorded test metrics that are not among the new ones: those of callbacks, which are left out."""
    return [name for name in recorded if name.startswith("test/") and name not in metrics]


def _gap(new: float, old: float | None) -> float:
    """The relative difference; that of a number and of what is none, which is recorded as ``None``, is infinite."""
    if old is None or not math.isfinite(new):
        return 0.0 if old is None and not math.isfinite(new) else math.inf
    return 0.0 if new == old else abs(new - old) / max(abs(new), abs(old))


def _print(metrics: Mapping[str, float], result: Result, title: str, comparable: bool) -> None:
    table = Table("metric", highlight=False)
    table.add_column("now", justify="right")
    table.add_column("result.json", justify="right")
    for name, value in metrics.items():
        table.add_row(name, f"{value:.6g}", _shown(result.metrics.get(name)))
    for name in _not_tested(metrics, result.metrics) if comparable else ():
        table.add_row(name, "-", _shown(result.metrics[name]))
    console = Console(highlight=False)
    console.print(title, soft_wrap=True)
    console.print(table)
    console.print(
        verdict(metrics, result.metrics)
        if comparable
        else "Not compared: result.json holds the test of best.ckpt without overrides."
    )


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _parser() -> argparse.ArgumentParser:
    parser = run_parser(
        "eval",
        "Test a run's checkpoint on its test data, and say whether that gives what result.json recorded.",
        _EXAMPLES,
    )
    add_overrides(parser)
    add_checkpoint_options(parser)
    return parser
