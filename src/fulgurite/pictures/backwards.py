"""Picture of a network that is asked backwards: which image belongs to each digit.

Shapes: C classes, H height, W width.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from fulgurite.figures.colours import INK, MUTED, WRONG, Pixels
from fulgurite.figures.image_grid import image_grid, to_grey_levels
from fulgurite.models.rashid import Rashid
from fulgurite.pictures.board import Drawn, Image
from fulgurite.pictures.outputs import to_shown
from fulgurite.pictures.scene import Scene
from fulgurite.spec import DataSpec

_MOST = 36


def can_be_asked_backwards(model: object, spec: DataSpec | None) -> bool:
    """Whether a model and its data allow a backward query whose answers are images of classes."""
    return isinstance(model, Rashid) and spec is not None and spec.is_image and spec.task == "classification"


def has_backquery(scene: Scene) -> bool:
    """Whether the network can be asked backwards, and its classes have room in a picture."""
    asked = can_be_asked_backwards(scene.model, scene.spec)
    return asked and scene.is_whole and scene.spec is not None and scene.spec.num_outputs <= _MOST


def draw_backquery(scene: Scene) -> Iterator[Drawn]:
    """The image of each class, our way and the book's, and what the network takes it for."""
    assert isinstance(scene.model, Rashid)
    for by_book, tag in ((False, "backquery"), (True, "backquery_book")):
        images = ask_backwards(scene.model, by_book)
        yield Image(f"viz_outputs/{tag}", draw_images(images, scene.model(images), by_book, f"epoch {scene.epochs}"))


def ask_backwards(model: Rashid, by_book: bool = False) -> Tensor:
    """The image of each class, for outputs of 0.99 for it and 0.01 for the others: C x K x H x W."""
    number, weight = model.spec.num_outputs, model.inner.weight
    return model.backquery(torch.full((number, number), 0.01).fill_diagonal_(0.99).to(weight), by_book)


def draw_images(images: Tensor, outputs: Tensor, by_book: bool, where: str) -> Pixels:
    """Images of the classes in order, each with its class, and with the class and the output that it gets.

    Args:
        images: C x K x H x W.
        outputs: C x C, what the network says to them.
        by_book: how they were made.
        where: for the line below the title.
    """
    sure, guesses = outputs.max(dim=1)
    captions = [
        ((f"{label}:", INK), (f" {guess}", INK if guess == label else WRONG), (f"  {output:.2f}", MUTED))
        for label, (guess, output) in enumerate(zip(guesses.tolist(), sure.tolist(), strict=True))
    ]
    right = sum(label == guess for label, guess in enumerate(guesses.tolist()))
    return image_grid(
        to_grey_levels(to_shown(images).cpu().numpy()),
        title=f"Asked backwards{', as in the book' if by_book else ''}",
        subtitle=f"{where} · {right} of {len(images)} taken for what was asked; with the output",
        columns=4 if len(images) <= 12 else 6,
        captions=captions,
    )
