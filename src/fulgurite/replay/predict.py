"""``fulgurite predict RUN FILES``: what a trained model says of pictures of digits, or of numbers in a CSV file.

Shapes: N samples, S one sample, C classes or numbers to predict.
"""

import argparse
import csv
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console

from fulgurite.errors import ConfigError, DataError
from fulgurite.replay.answers import MOST_SHOWN, Answers, numbered, of_classes, of_points, of_several
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
_Read = TypeVar("_Read")


def main(argv: list[str]) -> int:
    """Run the command; returns the exit code, 2 when a file of several could not be read.

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
    answers, refused = answer(run, checkpoint, [Path(file) for file in args.files])
    replaced = write_csv(output, answers.header, answers.rows)
    console = Console(highlight=False)
    console.print(answers.table)
    if len(answers.rows) > MOST_SHOWN:
        console.print(f"{len(answers.rows) - MOST_SHOWN} more are in the file.")
    if answers.note:
        console.print(answers.note)
    console.print(f"{'Replaced' if replaced else 'Wrote'} {output}", soft_wrap=True)
    for why in refused:
        print(f"error: {why}", file=sys.stderr)
    return 2 if refused else 0


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


def _digits(run: RunFolder, checkpoint: Path, files: Sequence[Path]) -> tuple[Answers, list[str]]:
    """Answers for pictures of digits, and why there is none for some of them."""
    channels, height, width = run.cfg.data.spec.input_shape
    if channels != 1 or height != width:
        raise ConfigError(f"predict reads square grey pictures; this run's have shape {[channels, height, width]}")
    import torch

    from fulgurite.replay.digits import read_digit, read_field

    task = run.cfg.data.spec.task
    # A digit that is centred before it is asked about has lost where it was.
    read = read_field if task == "regression" else read_digit

    def read_picture(file: Path) -> "Tensor":
        if file.suffix.lower() == ".csv":
            raise DataError(f"{file} is a CSV file, and this run reads pictures; give PNG or JPEG files")
        return read(file, height)

    pictures, refused = _read_each(files, read_picture)
    outputs = predict(run, checkpoint, torch.stack(list(pictures.values()))).tolist()
    if task == "classification":
        return of_classes(list(pictures), outputs), refused
    return of_several(_output_names(run), task, list(pictures), outputs), refused


def _points(run: RunFolder, checkpoint: Path, files: Sequence[Path]) -> tuple[Answers, list[str]]:
    """Answers for rows of numbers, and why there is none for some files."""
    import torch

    spec = run.cfg.data.spec
    shape = list(spec.input_shape)
    num_features = torch.Size(shape).numel()
    tables, refused = _read_each(files, lambda file: read_points(file, num_features))
    points = [(file, number, row) for file, rows in tables.items() for number, row in rows]
    x = torch.tensor([row for _, _, row in points], dtype=torch.float32).reshape(-1, *shape)
    outputs = predict(run, checkpoint, x).tolist()
    return of_points(_output_names(run), spec.task, points, outputs), refused


def _read_each(files: Sequence[Path], read: Callable[[Path], _Read]) -> tuple[dict[Path, _Read], list[str]]:
    """What each file holds, and for those that cannot be read, why: one bad file among good ones loses nothing.

    Raises:
        DataError: when none can be read.
    """
    found: dict[Path, _Read] = {}
    refused = []
    for file in files:
        try:
            found[file] = read(file)
        except DataError as error:
            refused.append(str(error))
    if not found:
        raise DataError(refused[0] + (f" ({len(refused) - 1} more cannot be read)" if refused[1:] else ""))
    return found, refused


def _output_names(run: RunFolder) -> list[str]:
    """What the data set calls its outputs or classes, else numbers: ``prediction_1``, and ``0`` of a class."""
    spec = run.cfg.data.spec
    if names := spec.get("names"):
        return list(names)
    if spec.task != "classification":
        return numbered("prediction", spec.num_outputs)
    # As iris names its species; a data set of somebody's own may mean something else by the word.
    classes = run.cfg.data.get("classes")
    named = list(classes) if isinstance(classes, Sequence) and not isinstance(classes, str) else []
    if len(named) == spec.num_outputs and all(isinstance(each, str) for each in named):
        return named
    return [str(c) for c in range(spec.num_outputs)]


def _parser() -> argparse.ArgumentParser:
    parser = run_parser(
        "predict", "What a trained model says of pictures of digits, or of numbers in a CSV file.", _EXAMPLES
    )
    parser.add_argument("files", nargs="+", metavar="FILES", help="PNG or JPEG pictures; or CSV, for a run on numbers")
    parser.add_argument("--output", metavar="FILE.csv", help=f"where to write the answers (default: RUN/{_OUTPUT})")
    add_checkpoint_options(parser)
    return parser
