"""What pictures look at: that the numbers are right, and that looking leaves no trace."""

import random
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional

from fulgurite.data.augmentation import Rotate
from fulgurite.data.in_memory import InMemoryData, Part
from fulgurite.figures.colours import CLASSES
from fulgurite.models.cnn import CNN
from fulgurite.models.mlp import MLP
from fulgurite.models.recurrent import Recurrent
from fulgurite.pictures.board import Board, Histogram, PrecisionRecall
from fulgurite.pictures.budget import Budget
from fulgurite.pictures.data import draw_plane, draw_samples, has_plane
from fulgurite.pictures.inside import draw_histograms, recorded
from fulgurite.pictures.outputs import draw_curves
from fulgurite.pictures.scene import Scene, untouched
from fulgurite.pictures.seen import Seen

RINGS = {"task": "classification", "input_shape": [2], "num_outputs": 2, "metric": "val/acc", "mode": "max"}
IMAGES = {"task": "classification", "input_shape": [1, 8, 8], "num_outputs": 4, "metric": "val/acc", "mode": "max"}


class Rings(InMemoryData):
    """Points of a plane; class 1 are those on the right."""

    def load_train(self) -> tuple[Part, Part]:
        x = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) * 4 - 2
        part = Part(x, (x[:, 0] > 0).long())
        return part, part

    def load_test(self) -> Part:
        return self.load_train()[0]


class Squares(InMemoryData):
    """Small grey images."""

    def load_train(self) -> tuple[Part, Part]:
        generator = torch.Generator().manual_seed(0)
        part = Part(torch.rand(40, 8, 8, generator=generator), torch.arange(40) % 4)
        return part, part

    def load_test(self) -> Part:
        return self.load_train()[0]

    def encode(self, x: Tensor) -> Tensor:
        return x.unsqueeze(1)


def scene_of(model: pl.LightningModule, data: InMemoryData, epochs: int = 1) -> Scene:
    data.setup("fit")
    trainer: Any = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.datamodule = data
    return Scene(trainer, model, Seen(), epochs)


def test_looking_leaves_modes_generators_gradients_and_buffers_as_they_were():
    model = CNN(IMAGES, channels=[3], dropout=0.5)
    model.train()
    model.net[1].eval()  # type: ignore[operator, union-attr]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3), np.random.seed(3), random.seed(3)
    expected = torch.rand(1), np.random.rand(), random.random()
    torch.manual_seed(3), np.random.seed(3), random.seed(3)
    with untouched(model):
        assert not any(each.training for each in model.modules())
        torch.rand(5), np.random.rand(5), random.random()
        list(draw_histograms(scene_of(model, Squares(spec=IMAGES))))
    assert (torch.rand(1), np.random.rand(), random.random()) == expected
    assert [each.training for each in model.net[:2]] == [True, False]  # type: ignore[index, union-attr]
    assert all(each.grad is None for each in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(each._forward_hooks for each in model.modules())


def test_modules_that_are_compiled_are_called_as_they_were_written_and_stay_compiled():
    model = MLP(RINGS, hidden=[3])
    model.net = torch.compile(model.net, backend=lambda graph, inputs: pytest.fail("compiled"))  # type: ignore
    with untouched(model):
        assert model(torch.zeros(1, 2)).shape == (1, 2)
    assert hasattr(model.net, "_orig_mod")


def test_the_gradients_are_those_of_the_loss_on_a_small_batch():
    model, data = MLP(RINGS, hidden=[3]), Rings(spec=RINGS)
    scene = scene_of(model, data)
    drawn: dict[str, Any] = {each.tag: each.values for each in draw_histograms(scene)}  # type: ignore[union-attr]
    x, y = data.part("train")
    functional.cross_entropy(model(x[:32]), y[:32]).backward()
    weight = model.net[1].weight  # type: ignore[union-attr, index]
    torch.testing.assert_close(drawn["viz_gradients/net.1.weight"], weight.grad)
    torch.testing.assert_close(drawn["viz_weights/net.1.weight"], weight)
    torch.testing.assert_close(drawn["viz_activations/net.4"], model(x[:32]))


def test_calls_are_recorded_in_their_order_with_the_states_of_a_recurrent_layer():
    spec = {**IMAGES, "input_shape": [6]}
    model = Recurrent(spec, cell="lstm", hidden=5, by="features")
    x = torch.rand(2, 6)
    with recorded(model) as calls:
        model(x)
    assert [each.name for each in calls] == ["cell", "dropout", "head"]
    assert calls[0].output.shape == (2, 6, 5)
    torch.testing.assert_close(model.states(x), calls[0].output)
    torch.testing.assert_close(model.states(x)[:, -1], calls[1].output)


class Writer:
    """In the place of TensorBoard's writer."""

    def __init__(self) -> None:
        self.summaries: list[Any] = []

    def _get_file_writer(self) -> "Writer":
        return self

    def add_summary(self, summary: Any, step: int) -> None:
        self.summaries.append(summary)


def written(tmp_path, drawn) -> Any:
    writer = Writer()
    budget = Budget(1, 2, lambda: 0.0)
    assert Board(writer, tmp_path, budget).add(drawn, epochs=1, done=1.0, is_last=True)
    return writer.summaries[0].value[0] if writer.summaries else None


def test_a_histogram_holds_each_number_once(tmp_path):
    values = torch.randn(3, 1000, generator=torch.Generator().manual_seed(0))
    histogram = written(tmp_path, Histogram("h", values)).histo
    assert histogram.num == sum(histogram.bucket) == 3000
    assert histogram.min == pytest.approx(float(values.min()))
    assert histogram.sum_squares == pytest.approx(float(values.square().sum()), rel=1e-5)
    below = sum(histogram.bucket[:20])
    assert below == int((values < histogram.bucket_limit[19]).sum())


def test_a_histogram_leaves_out_what_is_not_finite_and_can_be_of_one_number(tmp_path):
    assert written(tmp_path, Histogram("h", torch.tensor([1.0, torch.nan, torch.inf]))).histo.num == 1
    assert written(tmp_path, Histogram("h", torch.full((7,), -2.0))).histo.num == 7
    assert written(tmp_path, Histogram("h", torch.tensor([torch.nan]))) is None


def seen(scores: Tensor, y: Tensor) -> Seen:
    collected = Seen()
    for rows in torch.arange(len(y)).tensor_split(3):
        collected.add((torch.arange(len(y))[rows].view(-1, 1, 1, 1).float(), y[rows]), {"output": scores[rows]})
    return collected


def test_precision_and_recall_are_those_at_each_threshold(tmp_path):
    generator = torch.Generator().manual_seed(0)
    scores, y = torch.randn(300, 4, generator=generator), torch.randint(4, (300,), generator=generator)
    scene = Scene(None, None, seen(scores, y), 1)  # type: ignore[arg-type]
    curve = list(draw_curves(scene))[2]
    assert isinstance(curve, PrecisionRecall)
    share, is_class = scores.softmax(dim=1)[:, 2], y == 2
    for index in (0, 7, 20, 50):
        alarmed = share >= index / 50
        assert curve.true_positives[index] == int((alarmed & is_class).sum())
        assert curve.false_positives[index] == int((alarmed & ~is_class).sum())
        assert curve.true_negatives[index] == int((~alarmed & ~is_class).sum())
        assert curve.false_negatives[index] == int((~alarmed & is_class).sum())
    data = np.array(written(tmp_path, curve).tensor.float_val).reshape(6, -1)
    assert data[4, 7] == pytest.approx(data[0, 7] / (data[0, 7] + data[1, 7]))
    assert data[5, 7] == pytest.approx(data[0, 7] / int(is_class.sum()))


def test_the_most_wrong_are_those_with_the_surest_wrong_guess():
    generator = torch.Generator().manual_seed(1)
    scores, y = torch.randn(300, 4, generator=generator) * 3, torch.randint(4, (300,), generator=generator)
    worst = seen(scores, y).worst()
    share, guess = scores.softmax(dim=1).max(dim=1)
    order = [each for each in share.argsort(descending=True).tolist() if guess[each] != y[each]][:25]
    assert worst.x.flatten().int().tolist() == order
    assert worst.label.tolist() == y[order].tolist()
    assert worst.guess.tolist() == guess[order].tolist()
    torch.testing.assert_close(worst.share, share[order])


def test_of_many_small_batches_few_images_are_kept_and_the_most_wrong_are_among_them():
    generator = torch.Generator().manual_seed(2)
    scores, y = torch.randn(600, 4, generator=generator) * 3, torch.randint(4, (600,), generator=generator)
    x = torch.arange(600.0).view(-1, 1)
    collected = Seen()
    for rows in torch.arange(600).split(4):
        collected.add((x[rows], y[rows]), {"output": scores[rows]})
        assert sum(len(each.x) for each in collected._worst) <= 25 + 8 * 4
    expected = seen(scores, y).worst()
    assert collected.worst().x.flatten().tolist() == expected.x.flatten().tolist()
    np.testing.assert_array_equal(collected.counts(), seen(scores, y).counts())


def test_where_all_are_right_nothing_is_most_wrong():
    y = torch.arange(8) % 4
    assert len(seen(functional.one_hot(y, 4).float() * 9, y).worst().label) == 0


def test_outputs_of_other_kinds_are_not_collected():
    collected = Seen()
    collected.add((torch.zeros(2, 1), torch.zeros(2, 1)), {"output": torch.zeros(2, 1)})
    collected.add((torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64)), None)
    collected.add({"image": 1}, {"output": torch.zeros(2, 4)})
    batch = torch.zeros(2, 1), torch.zeros(2, dtype=torch.int64)
    for output in ("words", torch.zeros(2), torch.zeros(1, 4), torch.zeros(2, 1), torch.zeros(2, 4, 5)):
        collected.add(batch, {"output": output})
    collected.add((["a", "b"], batch[1]), {"output": torch.zeros(2, 4)})
    collected.add((batch[0], [0, 1]), {"output": torch.zeros(2, 4)})
    assert len(collected) == 0


def test_the_boundary_lies_where_the_network_changes_its_mind():
    model = MLP(RINGS, hidden=[2], activation="identity")
    # Says the second class where the first input is positive.
    first, last = model.net[1], model.net[4]  # type: ignore[index, union-attr]
    with torch.no_grad():
        for layer in (first, last):
            layer.bias.zero_()
        first.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
        last.weight.copy_(torch.tensor([[-9.0, 0.0], [9.0, 0.0]]))
    scene = scene_of(model, Rings(spec=RINGS))
    assert has_plane(scene)
    with untouched(model):
        (image,) = draw_plane(scene)
    pixels = image.pixels.astype(int)  # type: ignore[union-attr]
    blue, orange = (np.abs(pixels[80:420] - (128 + np.array(each) // 2)).sum(axis=-1) < 60 for each in CLASSES[:2])
    middle = 62 + 422 // 2
    assert blue[:, 70 : middle - 20].mean() > 0.5 > 0.01 > blue[:, middle + 20 : 480].mean()
    assert orange[:, middle + 20 : 480].mean() > 0.5 > 0.01 > orange[:, 70 : middle - 20].mean()


class Line(Rings):
    """Points of which the second number is always the same, and one is not known."""

    def load_train(self) -> tuple[Part, Part]:
        x, y = super().load_train()[0]
        x[:, 1] = 3.0
        x[0, 0] = torch.nan
        return Part(x, y), Part(x, y)


def test_a_plane_can_be_drawn_of_points_on_a_line_and_of_some_that_are_nowhere():
    with untouched(model := MLP(RINGS, hidden=[2])):
        (image,) = draw_plane(scene_of(model, Line(spec=RINGS)))
    assert image.pixels.shape == (500, 500, 3)  # type: ignore[union-attr]


def test_samples_are_augmented_by_numbers_of_their_own_epoch_by_epoch():
    data = Squares(spec=IMAGES, augmentation={"rotate": Rotate(90.0)})
    first, again, later = (
        next(draw_samples(scene_of(MLP(IMAGES, hidden=[2]), data, epochs))).pixels  # type: ignore[union-attr]
        for epochs in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != later).any()
