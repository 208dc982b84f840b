"""``fulgurite predict RUN FILES``: what a trained model says of pictures of digits, or of numbers in a CSV file.

Shapes: N samples, S one sample, C classes or numbers to predict.
"""

import argparse
import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fulgurite.errors import ConfigError, DataError
from fulgurite.replay.arguments import add_checkpoint_options, run_parser
from fulgurite.replay.points import read_points
from fulgurite.replay.run_folder import RunFolder, open_run
from fulgurite.result import write_atomically

if TYPE_CHECKING:
    from torch import Tensor

_EXAMPLES = """examples:
  fulgurite predict RUN digit.png photos/*.jpg     pictures of one digit each; 7_anna.png is known to be a 7
  fulgurite predict RUN points.csv                 a run on numbers: one sample a line, one column a feature
  fulgurite predict RUN *.png --output answers.csv"""
_OUTPUT = "predictions.csv"
# More rows than anyone reads; the file has all of them.
_MOST_SHOWN = 100
_MOST_FEATURES_SHOWN = 4


def main(argv: list[str]) -> int:
    """Run the command; returns the exit code.

    Raises:
        FulguriteError: when the run, a file or the output cannot be used.
    """
    args = _parser().parse_intermixed_args(argv)
    run = open_run(Path(args.run), args.allow)
    output = Path(args.output) if args.output else run.folder / _OUTPUT
    if output.suffix.lower() != ".csv":
        raise ConfigError(f"--output={output} must end in .csv")
    spec = run.cfg.data.spec
    answer = _digits if len(spec.input_shape) == 3 else _points
    checkpoint = run.checkpoint(args.checkpoint, unfinished=args.unfinished)
    answers = answer(run, checkpoint, [Path(file) for file in args.files])
    replaced = write_csv(output, answers.header, answers.rows)
    console = Console(highlight=False)
    console.print(answers.table)
    if len(answers.rows) > _MOST_SHOWN:
        console.print(f"{len(answers.rows) - _MOST_SHOWN} more are in the file.")
    if answers.note:
        console.print(answers.note)
    console.print(f"{'Replaced' if replaced else 'Wrote'} {output}", soft_wrap=True)
    return 0


def predict(run: RunFolder, checkpoint: Path, x: "Tensor") -> "Tensor":
    """Probabilities of classes or of labels, or predicted numbers in the unit of the targets.

    Args:
        run: the run.
        checkpoint: its checkpoint.
        x: raw samples N x ..., as the run's data set holds them before encoding.

    Returns:
        N x C.
    """
    import torch

    from fulgurite.build import build_data, build_model
    from fulgurite.replay.weights import load_weights

    data: Any = build_data(run.cfg)
    model: Any = build_model(run.cfg)
    load_weights(model, checkpoint)
    model.eval()
    with torch.inference_mode():
        return torch.cat([model.predict_step((data.encode(part), None), 0) for part in x.split(1000)])


def label_of(path: Path, num_classes: int) -> int | None:
    """The class that a file's name starts or ends with: 7 for ``7_anna.png`` and ``own_7.png``; otherwise ``None``."""
    words = re.split(r"[_\-. ]+", path.stem)
    numbers = [int(word) for word in (words[0], words[-1]) if re.fullmatch("0|[1-9][0-9]{0,3}", word)]
    return next((number for number in numbers if number < num_classes), None)


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> bool:
    """Write a table atomically; returns whether an older one of the same columns was replaced.

    Raises:
        DataError: when the file is there with other content, or cannot be written.
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    first_line = ",".join(header)
    there = path.exists()
    try:
        if there and (path.is_dir() or path.read_bytes()[: len(first_line) + 1] != f"{first_line}\n".encode()):
            raise DataError(f"{path} exists and is not a table of these predictions; give another --output, or move it")
        write_atomically(path, text.getvalue())
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}); give another --output") from error
    return there


@dataclass(frozen=True)
class Answers:
    """Predictions: all of them as rows for the file, the first ones as a table for the screen."""

    header: list[str]
    rows: list[list[object]]
    table: Table
    note: str = ""


def _digits(run: RunFolder, checkpoint: Path, files: Sequence[Path]) -> Answers:
    """Answers for pictures of digits."""
    channels, height, width = run.cfg.data.spec.input_shape
    if channels != 1 or height != width:
        raise ConfigError(f"predict reads square grey pictures; this run's have shape {[channels, height, width]}")
    for file in files:
        if file.suffix.lower() == ".csv":
            raise DataError(f"{file} is a CSV file, and this run reads pictures; give PNG or JPEG files")
    import torch

    from fulgurite.replay.digits import read_digit, read_field

    task = run.cfg.data.spec.task
    # A digit that is centred before it is asked about has lost where it was.
    read = read_field if task == "regression" else read_digit
    chances = predict(run, checkpoint, torch.stack([read(file, height) for file in files])).tolist()
    if task != "classification":
        return _several(_output_names(run), task, files, chances)
    table = Table("file", "prediction", "most likely", "label", "", highlight=False)
    table.columns[0].overflow = "fold"
    rows: list[list[object]] = []
    for file, chance in zip(files, chances, strict=True):
        ranked = sorted(range(len(chance)), key=chance.__getitem__, reverse=True)
        label = label_of(file, len(chance))
        right = "" if label is None else "right" if label == ranked[0] else "wrong"
        told = [file, ranked[0], "" if label is None else label, right]
        rows.append([*told, *(f"{p:.6f}" for p in chance)])
        if len(rows) <= _MOST_SHOWN:
            top = "  ".join(f"{c} {chance[c]:.1%}" for c in ranked[:3])
            table.add_row(*(Text(str(cell)) for cell in (*told[:2], top, *told[2:])))
    header = ["file", "prediction", "label", "right", *(f"probability_{c}" for c in range(len(chances[0])))]
    verdicts = [row[3] for row in rows if row[3]]
    return Answers(header, rows, table, f"{verdicts.count('right')} of {len(verdicts)} right." if verdicts else "")


def _several(names: Sequence[str], task: str, files: Sequence[Path], outputs: Sequence[Sequence[float]]) -> Answers:
    """Answers for pictures by labels or by numbers, of which a picture has one of each name."""
    told = _told(names, task)
    rows: list[list[object]] = [[file, *told.cells(each)] for file, each in zip(files, outputs, strict=True)]
    header = ["file", *told.header]
    table = Table(*header, highlight=False)
    table.columns[0].overflow = "fold"
    for row in rows[:_MOST_SHOWN]:
        table.add_row(*(Text(f"{cell:.4g}" if isinstance(cell, float) else str(cell)) for cell in row))
    return Answers(header, rows, table)


@dataclass(frozen=True)
class _Told:
    """How outputs of one sample are told: columns, and what fills them."""

    header: list[str]
    cells: Callable[[Sequence[float]], list[object]]


def _told(names: Sequence[str], task: str) -> _Told:
    """For labels 0 or 1 and a probability each; for numbers themselves."""
    if task == "regression":
        return _Told(list(names), list)
    return _Told(
        [*names, *(f"probability_{name}" for name in names)], lambda each: [*(int(p > 0.5) for p in each), *each]
    )


def _output_names(run: RunFolder) -> list[str]:
    """What the data set calls its outputs, or ``prediction`` with a number."""
    spec = run.cfg.data.spec
    return list(spec.get("names") or _numbered("prediction", spec.num_outputs))


def _points(run: RunFolder, checkpoint: Path, files: Sequence[Path]) -> Answers:
    """Answers for rows of numbers."""
    import torch

    spec = run.cfg.data.spec
    shape = list(spec.input_shape)
    num_features = torch.Size(shape).numel()
    points = [(file, number, row) for file in files for number, row in read_points(file, num_features)]
    x = torch.tensor([row for _, _, row in points], dtype=torch.float32).reshape(-1, *shape)
    outputs = predict(run, checkpoint, x)
    if spec.task == "classification":
        found = ["prediction", *(f"probability_{c}" for c in range(spec.num_outputs))]
        answers = [[int(best), *chance] for best, chance in zip(outputs.argmax(1), outputs.tolist(), strict=True)]
    else:
        told = _told(_output_names(run), spec.task)
        found, answers = told.header, [told.cells(each) for each in outputs.tolist()]
    rows: list[list[object]] = [[f, n, *row, *y] for (f, n, row), y in zip(points, answers, strict=True)]
    header = ["file", "line", *_numbered("x", num_features), *found]
    # The features of a wide sample do not fit on a screen.
    shown = [i for i in range(len(header)) if num_features <= _MOST_FEATURES_SHOWN or not 2 <= i < 2 + num_features]
    table = Table(*(header[i] for i in shown), highlight=False)
    for row in rows[:_MOST_SHOWN]:
        cells = [f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row]
        table.add_row(*(Text(cells[i]) for i in shown))
    return Answers(header, rows, table)


def _numbered(name: str, count: int) -> list[str]:
    """``["x"]`` for one column, ``["x_1", "x_2"]`` for two."""
    return [name] if count == 1 else [f"{name}_{i}" for i in range(1, count + 1)]


def _parser() -> argparse.ArgumentParser:
    parser = run_parser(
        "predict", "What a trained model says of pictures of digits, or of numbers in a CSV file.", _EXAMPLES
    )
    parser.add_argument("files", nargs="+", metavar="FILES", help="PNG or JPEG pictures; or CSV, for a run on numbers")
    parser.add_argument("--output", metavar="FILE.csv", help=f"where to write the answers (default: RUN/{_OUTPUT})")
    add_checkpoint_options(parser)
    return parser
