"""``fulgurite visualise RUN``: images that excite the outputs, the filters or the units of a trained network.

Shapes: N images.
"""

import argparse
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fulgurite.errors import ConfigError
from fulgurite.replay.arguments import add_checkpoint_options, run_parser
from fulgurite.replay.run_folder import RunFolder, open_run

if TYPE_CHECKING:
    from torch import Tensor

    from fulgurite.figures.colours import Pixels as Figure
    from fulgurite.models.supervised import Supervised
    from fulgurite.replay.activation_maximisation import Ascent, Pixels

_EXAMPLES = """examples:
  fulgurite visualise RUN                      an image for each class: what does it take for a 3?
  fulgurite visualise RUN --layer net.4        for each filter of a layer; a wrong name lists them all
  fulgurite visualise RUN --layer net.4 --units 0-7,12"""
_OUTPUTS = "outputs"
_MOST, _FIRST = 64, 25
_LARGEST_UNIT = 1_000_000


def main(argv: list[str]) -> int:
    """Run the command; returns the exit code.

    Raises:
        FulguriteError: when the run, its checkpoint, a layer or a unit cannot be used.
    """
    args = _parser().parse_args(argv)
    units = None if args.units is None else read_units(args.units)
    run = open_run(Path(args.run), args.allow)
    from fulgurite.replay.activation_maximisation import Ascent

    ascent = Ascent(steps=args.steps, decay=args.decay, blur=args.blur, jitter=args.jitter, seed=args.seed)
    checkpoint = run.checkpoint(args.checkpoint, unfinished=args.unfinished)
    figure = visualise(run, checkpoint, args.layer, units, ascent)
    name = _OUTPUTS if args.layer is None else args.layer
    path = run.folder / "visualise" / f"{name}.png"
    on_board = _write(run, figure, path, name)
    print(f"Wrote {os.path.relpath(path)}{' and the picture in TensorBoard' if on_board else ''}")
    return 0


def read_units(text: str) -> list[int]:
    """``0-3,7`` to 0, 1, 2, 3, 7.

    Raises:
        ConfigError: for anything else, and for more units than a picture has room for.
    """
    units: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        ends = [int(each) for each in ([first, last] if dash else [first]) if each.isdecimal() and each.isascii()]
        if len(ends) != 1 + bool(dash) or ends[0] > ends[-1] or ends[-1] > _LARGEST_UNIT:
            raise ConfigError(f"--units must be numbers and ranges such as 0-15,20, got {text!r}")
        units += range(ends[0], min(ends[-1], ends[0] + _MOST) + 1)
    if len(units) > _MOST:
        raise ConfigError(f"--units must be {_MOST} at most, as a picture has room for no more; got {text!r}")
    return units


def visualise(
    run: RunFolder, checkpoint: Path, layer: str | None, units: Sequence[int] | None, ascent: "Ascent"
) -> "Figure":
    """The picture of a run's outputs or of a layer.

    Args:
        run: a run on images.
        checkpoint: its checkpoint.
        layer: name of a layer, as in the model graph; ``None`` for the outputs.
        units: their numbers; ``None`` for all outputs, or the first units of a layer.
        ascent: how to climb.

    Raises:
        ConfigError: when the samples are no images, or there is no such layer or unit.
    """
    import torch

    from fulgurite.build import build_data, build_model
    from fulgurite.data.in_memory import InMemoryData
    from fulgurite.models.supervised import Supervised
    from fulgurite.replay.activation_maximisation import activation, maximise
    from fulgurite.replay.weights import load_weights

    model, data = build_model(run.cfg), build_data(run.cfg)
    if not isinstance(model, Supervised) or not isinstance(data, InMemoryData) or not model.spec.is_image:
        raise ConfigError(f"visualise makes images, and the samples of {run.folder.name} are none; train on data=mnist")
    load_weights(model, checkpoint)
    model.eval().requires_grad_(False)
    data.setup("fit")
    pixels, sizes = _pixels_of(data), model.spec.input_shape
    activate = activation(model, layer, sizes)
    number = activate(torch.full((1, *sizes), pixels.ground)).shape[1]
    chosen = range(min(number, _MOST if layer is None else _FIRST)) if units is None else units
    images = maximise(activate, sizes, chosen, pixels, ascent)
    return _figure(model, images, chosen, layer, number)


def _pixels_of(data: object) -> "Pixels":
    """What the first training images have."""
    from fulgurite.data.in_memory import InMemoryData
    from fulgurite.replay.activation_maximisation import Pixels

    assert isinstance(data, InMemoryData)
    x = data.encode(data.part("train").x[:500]).float()
    return Pixels(float(x.min()), float(x.max()), float(x.median()))


def _figure(model: "Supervised", images: "Tensor", units: Sequence[int], layer: str | None, number: int) -> "Figure":
    import torch

    from fulgurite.figures.image_grid import image_grid, to_grey_levels
    from fulgurite.pictures.outputs import to_shown

    captions = [str(unit) for unit in units]
    if layer is None and model.spec.task == "classification":
        with torch.no_grad():
            shares = model.predict_step((images, torch.zeros(len(images))), 0)
        captions = [f"{unit}  {100 * row[unit]:.0f} %" for unit, row in zip(units, shares.tolist(), strict=True)]
    elif layer is None:
        captions = [model.spec.output_names[unit] for unit in units]
    sure = " · with how sure the network is" if layer is None and model.spec.task == "classification" else ""
    what = f"{len(images)} of {number} units, by gradient ascent{sure}"
    title = f"What excites {layer or 'each output'} most"
    columns = math.ceil(math.sqrt(len(images)))
    levels = to_grey_levels(to_shown(images).numpy())
    return image_grid(levels, title=title, subtitle=what, columns=columns, captions=captions)


def _write(run: RunFolder, figure: "Figure", path: Path, name: str) -> bool:
    """Write the picture; returns whether TensorBoard has it, too."""
    from fulgurite.board.pictures import add_picture
    from fulgurite.figures.png import to_png

    path.parent.mkdir(exist_ok=True)
    png = to_png(figure)
    path.write_bytes(png)
    word, size = f"visualise_{name}", (figure.shape[0], figure.shape[1])
    return add_picture(run.folder, word, f"viz_inside/excites_{name}", png, size, run.result.epochs)


def _parser() -> argparse.ArgumentParser:
    parser = run_parser(
        "visualise",
        "Make the images that excite each output, filter or unit of a trained network most, by gradient ascent.\n"
        "Writes RUN/visualise/ and a picture for TensorBoard.",
        _EXAMPLES,
    )
    parser.add_argument("--layer", metavar="NAME", help="units of this layer (default: the outputs)")
    parser.add_argument("--units", metavar="0-15", help=f"which ones, {_MOST} at most (default: the first {_FIRST})")
    parser.add_argument("--steps", type=int, default=200, help="steps of gradient ascent (default: 200)")
    parser.add_argument("--decay", type=float, default=0.02, help="how fast pixels fade, in [0, 1) (default: 0.02)")
    parser.add_argument("--blur", type=float, default=0.5, help="blur in pixels, 0 for none (default: 0.5)")
    parser.add_argument("--jitter", type=int, default=2, help="random shift in pixels, 0 for none (default: 2)")
    parser.add_argument("--seed", type=int, default=0, help="of first image and shifts (default: 0)")
    add_checkpoint_options(parser)
    return parser
