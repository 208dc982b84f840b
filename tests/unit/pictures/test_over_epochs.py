"""How a run went, as pictures: that they show the numbers of the history."""

from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl

from fulgurite.data.split_mnist import SplitMNIST
from fulgurite.figures.colours import CLASSES, MUTED, RULE, SEQUENTIAL
from fulgurite.figures.panel import PLOT, PLOT_BESIDE_LEGEND
from fulgurite.pictures.board import Image
from fulgurite.pictures.history import History
from fulgurite.pictures.over_epochs import (
    draw_forgetting,
    draw_gradients,
    draw_losses,
    has_forgetting,
    has_gradients,
    has_losses,
)
from fulgurite.pictures.scene import Scene
from fulgurite.pictures.seen import Seen

SPEC = {"task": "classification", "input_shape": [1, 28, 28], "num_outputs": 10, "metric": "val/acc", "mode": "max"}


def scene_of(rows: list[dict[str, float]], data: Any = None) -> Scene:
    history = History()
    for epochs, row in enumerate(rows, start=1):
        history.note(epochs, row)
    trainer: Any = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    trainer.datamodule = data
    return Scene(trainer, pl.LightningModule(), Seen(), len(rows), history)


def drawn(pictures: Any) -> dict[str, np.ndarray]:
    found = list(pictures)
    assert all(isinstance(each, Image) for each in found)
    return {each.tag: each.pixels.astype(int) for each in found}


def rows_of(pixels: np.ndarray, colour: tuple[int, int, int], column: int) -> np.ndarray:
    """Where a colour stands in a column of the plot, from its top."""
    strip = pixels[PLOT.top + 1 : PLOT.top + PLOT.height - 1, PLOT.left + column]
    return np.flatnonzero((np.abs(strip - colour) < 20).all(axis=1))


def losses(train: list[float], val: list[float]) -> Scene:
    return scene_of([{"train/loss": t, "val/loss": v} for t, v in zip(train, val, strict=True)])


def test_the_least_validation_loss_is_marked_in_its_epoch() -> None:
    scene = losses([2.0, 1.0, 0.5, 0.2, 0.1], [1.8, 1.2, 1.5, 1.7, 1.9])
    pixels = drawn(draw_losses(scene))["viz_outputs/losses"]
    # Five epochs from the left to the right side: the second stands at a quarter.
    marks = [len(rows_of(pixels, MUTED, round(part * (PLOT.width - 1)))) for part in (0.25, 0.5, 0.75)]
    assert marks[0] > 100
    assert max(marks[1:]) < 10
    # In the middle of epoch 3 and 4 training stands below validation.
    column = round(0.6 * PLOT.width)
    assert rows_of(pixels, CLASSES[0], column).min() > rows_of(pixels, CLASSES[1], column).max()


def test_losses_that_are_lost_are_drawn_without_a_mark() -> None:
    scene = losses([np.nan, np.nan], [np.nan, np.inf])
    assert drawn(draw_losses(scene))["viz_outputs/losses"].shape == (500, 500, 3)


def test_one_epoch_makes_no_curve() -> None:
    assert not has_losses(losses([1.0], [1.0]))
    assert has_losses(losses([1.0, 0.5], [1.0, 0.9]))
    assert not has_losses(scene_of([{"train/loss": 1.0}, {"train/loss": 1.0}]))


@pytest.fixture
def data() -> SplitMNIST:
    return SplitMNIST(spec=SPEC, batch_size=10, tasks=[[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]], num_epochs=4)


def known(first: float, second: float) -> dict[str, float]:
    return {"val/acc_task_01234": first, "val/acc_task_56789": second}


def cell(pixels: np.ndarray, row: int, column: int) -> tuple[int, ...]:
    """The colour of a cell of two rows and columns, near its upper left corner: the number is in its middle."""
    box = PLOT_BESIDE_LEGEND
    return tuple(pixels[box.top + row * box.height // 2 + 8, box.left + column * box.width // 2 + 8].tolist())


def test_the_matrix_shows_what_is_known_after_the_last_epoch_of_each_task(data: SplitMNIST) -> None:
    scene = scene_of([known(0.4, 0.0), known(1.0, 0.0), known(0.5, 0.5), known(0.0, 1.0)], data)
    assert has_forgetting(scene)
    pixels = drawn(draw_forgetting(scene))
    matrix = pixels["viz_outputs/forgetting"]
    nothing, all_of_it = tuple(SEQUENTIAL[0].tolist()), tuple(SEQUENTIAL[-1].tolist())
    assert [cell(matrix, *at) for at in ((0, 0), (0, 1), (1, 0), (1, 1))] == [all_of_it, nothing, nothing, all_of_it]
    # Over the epochs, the first task falls from all to nothing: its curve goes down to the right.
    falling = [rows_of(pixels["viz_outputs/tasks"], CLASSES[0], round(part * PLOT.width)) for part in (0.45, 0.9)]
    assert falling[0].mean() < falling[1].mean() - 50


def test_tasks_that_have_not_been_learned_are_grey(data: SplitMNIST) -> None:
    assert not has_forgetting(scene_of([known(0.4, 0.0)], data))
    matrix = drawn(draw_forgetting(scene_of([known(0.4, 0.0), known(1.0, 0.0)], data)))["viz_outputs/forgetting"]
    assert cell(matrix, 1, 0) == cell(matrix, 1, 1) == RULE


def test_gradients_are_drawn_by_their_power_of_ten_from_the_first_layer_on() -> None:
    names = [f"layer_gradient/{number:02d}_net.{number}" for number in range(1, 4)]
    scene = scene_of([dict(zip(names, (1e-8, 1e-4, 1.0), strict=True))])
    assert has_gradients(scene)
    pixels = drawn(draw_gradients(scene))["viz_inside/gradients"]
    untrained = (68, 1, 84)
    heights = [rows_of(pixels, untrained, round(part * PLOT.width)).mean() for part in (0.25, 0.5, 0.75)]
    # Equal steps in the logarithm are a straight line, which rises.
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=3)
    assert heights[0] - heights[1] == pytest.approx(0.25 * PLOT.height / 1.08, rel=0.05)
    assert not has_gradients(scene_of([{"grad_norm": 1.0}]))
