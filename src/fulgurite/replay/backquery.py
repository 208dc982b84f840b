"""``fulgurite backquery RUN``: ask a trained network backwards, from a digit to an image.

Shapes: C classes, K channels, H height, W width.
"""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from fulgurite.errors import ConfigError
from fulgurite.replay.arguments import add_checkpoint_options, run_parser
from fulgurite.replay.run_folder import RunFolder, open_run

if TYPE_CHECKING:
    from torch import Tensor

_EXAMPLES = """examples:
  fulgurite backquery RUN             RUN is of experiment=rashid_200 or another of model=rashid
  fulgurite backquery RUN --by-book   each layer stretched from 0.01 to 0.99, as in the book"""
_FOLDER = "backquery"


@dataclass(frozen=True)
class Answers:
    """What a network gives backwards, and what it says to that.

    Attributes:
        images: C x K x H x W as the model reads them, from 0.01 to 0.99.
        outputs: C x C, what it says to them.
    """

    images: "Tensor"
    outputs: "Tensor"

    @property
    def guesses(self) -> list[int]:
        """The class that each image is taken for."""
        return self.outputs.argmax(dim=1).tolist()

    @property
    def num_right(self) -> int:
        """Images that are taken for the class that was asked about."""
        return sum(asked == guess for asked, guess in enumerate(self.guesses))


def main(argv: list[str]) -> int:
    """Run the command; returns the exit code.

    Raises:
        FulguriteError: when the run, its checkpoint or its model cannot be used.
    """
    args = _parser().parse_args(argv)
    run = open_run(Path(args.run), args.allow)
    answers = backquery(run, run.checkpoint(args.checkpoint, unfinished=args.unfinished), args.by_book)
    folder = run.folder / (f"{_FOLDER}_book" if args.by_book else _FOLDER)
    on_board = _write(run, answers, folder, args)
    console = Console(highlight=False)
    table = Table("asked for", "taken for", highlight=False)
    table.add_column("output", justify="right")
    for asked, (guess, row) in enumerate(zip(answers.guesses, answers.outputs.tolist(), strict=True)):
        table.add_row(str(asked), str(guess), f"{row[guess]:.3f}")
    console.print(table)
    console.print(f"{answers.num_right} of {len(answers.guesses)} are taken for what was asked.")
    also = " and the picture in TensorBoard" if on_board else ""
    console.print(f"Wrote {os.path.relpath(folder)}{also}", soft_wrap=True)
    return 0


def backquery(run: RunFolder, checkpoint: Path, by_book: bool = False) -> Answers:
    """Ask a run's network for the image of each class, and what it says to it.

    Args:
        run: the run.
        checkpoint: its checkpoint.
        by_book: stretch each layer as the book does; see ``models.rashid.Rashid.backquery``.

    Raises:
        ConfigError: when the run is of another model, or of no classes of images.
    """
    import torch

    from fulgurite.build import build_model
    from fulgurite.models.rashid import Rashid
    from fulgurite.pictures.backwards import ask_backwards, can_be_asked_backwards
    from fulgurite.replay.weights import load_weights

    model = build_model(run.cfg)
    if not isinstance(model, Rashid):
        raise ConfigError(
            f"backquery undoes two sigmoids, and needs a run of model=rashid; this one's model is "
            f"{type(model).__name__}. For any model of images: fulgurite visualise {run.folder.name}"
        )
    if not can_be_asked_backwards(model, model.spec):
        raise ConfigError(
            f"backquery gives images of classes; this run has task {model.spec.task} on samples of shape "
            f"{list(model.spec.input_shape)}; train on data=mnist"
        )
    load_weights(model, checkpoint)
    model.eval()
    with torch.inference_mode():
        images = ask_backwards(model, by_book)
        return Answers(images, model(images))


def measure(folder: Path) -> dict[str, float]:
    """How many of the classes a finished run recognises in its own images, as shares of 1.

    Returns:
        ``backquery/acc`` by our way, ``backquery/book_acc`` by the book's.
    """
    run = open_run(folder)
    ways = {"backquery/acc": False, "backquery/book_acc": True}
    found = {name: backquery(run, run.checkpoint("best"), by_book) for name, by_book in ways.items()}
    return {name: answers.num_right / len(answers.guesses) for name, answers in found.items()}


def _write(run: RunFolder, answers: Answers, folder: Path, args: argparse.Namespace) -> bool:
    """Write each image and all in one picture; returns whether TensorBoard has it, too."""
    from PIL import Image

    from fulgurite.board.pictures import add_picture
    from fulgurite.figures.image_grid import to_grey_levels
    from fulgurite.figures.png import to_png
    from fulgurite.pictures.backwards import draw_images
    from fulgurite.pictures.outputs import to_shown

    folder.mkdir(exist_ok=True)
    for asked, image in enumerate(to_grey_levels(to_shown(answers.images).numpy())):
        Image.fromarray(image).save(folder / f"{asked}.png")
    pixels = draw_images(answers.images, answers.outputs, args.by_book, f"{args.checkpoint}.ckpt")
    png = to_png(pixels)
    (folder / "all.png").write_bytes(png)
    height, width = pixels.shape[:2]
    return add_picture(run.folder, folder.name, f"viz_backquery/{folder.name}", png, (height, width), run.result.epochs)


def _parser() -> argparse.ArgumentParser:
    parser = run_parser(
        "backquery",
        "Ask a trained network of model=rashid backwards: which image belongs to each digit, and does the\n"
        "network recognise its own image? Writes RUN/backquery/ and a picture for TensorBoard.",
        _EXAMPLES,
    )
    parser.add_argument("--by-book", action="store_true", help="stretch each layer from 0.01 to 0.99, as the book does")
    add_checkpoint_options(parser)
    return parser
