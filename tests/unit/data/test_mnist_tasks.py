"""Other questions about MNIST's digits."""

from typing import Any

import pytest
import torch

from fulgurite.data.augmentation import Rotate
from fulgurite.data.mnist import MNIST
from fulgurite.data.mnist_tasks import MNISTCentre, MNISTEven, MNISTEvenLarge
from fulgurite.errors import ConfigError, DataError

CLASSES: dict[str, Any] = {
    "task": "classification",
    "input_shape": [1, 28, 28],
    "num_outputs": 10,
    "metric": "val/acc",
    "mode": "max",
}
EVEN = {**CLASSES, "task": "binary", "num_outputs": 1}
BOTH = {**CLASSES, "task": "multilabel", "num_outputs": 2}
CENTRE = {**CLASSES, "task": "regression", "num_outputs": 2, "metric": "val/mae", "mode": "min"}


def loaded(data: MNIST) -> MNIST:
    data.setup("fit")
    data.setup("test")
    return data


@pytest.fixture(scope="module")
def digits() -> MNIST:
    return loaded(MNIST(spec=CLASSES))


def test_labels_say_which_digits_are_even_and_large(digits: MNIST) -> None:
    even, both = loaded(MNISTEven(spec=EVEN)), loaded(MNISTEvenLarge(spec=BOTH))
    for name in ("train", "val", "test"):
        y = digits.part(name).y
        assert torch.equal(even.part(name).x, digits.part(name).x)
        assert even.part(name).y[:, 0].tolist() == [float(each in (0, 2, 4, 6, 8)) for each in y.tolist()]
        assert torch.equal(both.part(name).y[:, 0], even.part(name).y[:, 0])
        assert torch.equal(both.part(name).y[:, 1], (y > 4).float())


def test_a_shifted_digit_is_where_its_target_says(digits: MNIST) -> None:
    data = loaded(MNISTCentre(spec=CENTRE, max_shift=4))
    for name in ("train", "test"):
        before, (x, y) = digits.part(name).x[:300], data.part(name)
        for old, new, centre in zip(before, x[:300], y[:300], strict=True):
            right, down = (int(each) - 14 for each in centre)
            assert -4 <= min(right, down) <= max(right, down) <= 4
            expected = torch.zeros(28, 28, dtype=torch.uint8)
            inside = [(max(0, by), 28 + min(0, by)) for by in (down, right)]
            (top, bottom), (left, rest) = inside
            expected[top:bottom, left:rest] = old[top - down : bottom - down, left - right : rest - right]
            assert torch.equal(new, expected)


def test_shifts_are_uniform_and_their_centre_of_mass_is_the_target() -> None:
    data = loaded(MNISTCentre(spec=CENTRE, max_shift=3))
    x, y = data.part("train")
    for axis in (0, 1):
        counts = (y[:, axis] - 11).long().bincount(minlength=7)
        # Within 5 standard deviations.
        assert (counts - len(y) / 7).abs().max() < 5 * (len(y) / 7 * 6 / 7) ** 0.5
    mass = x[:2000].double()
    places = torch.arange(28, dtype=torch.float64)
    total = mass.sum((1, 2))
    centres = torch.stack([(mass.sum(1) @ places) / total, (mass.sum(2) @ places) / total], dim=1)
    assert (centres - y[:2000]).abs().max() < 1.5
    assert (centres - y[:2000]).abs().mean() < 0.3


def test_shifts_depend_on_the_split_seed_alone() -> None:
    first, again, other = (loaded(MNISTCentre(spec=CENTRE, **o)) for o in ({"seed": 1}, {"seed": 2}, {"split_seed": 1}))
    assert torch.equal(first.part("test").y, again.part("test").y)
    assert not torch.equal(first.part("test").y, other.part("test").y)


@pytest.mark.parametrize(("scaling", "ends"), [("unit", (0.0, 1.0)), ("rashid", (0.01, 1.0))])
def test_a_scaling_gives_its_range(digits: MNIST, scaling: str, ends: tuple[float, float]) -> None:
    data = MNIST(spec=CLASSES, scaling=scaling)
    encoded = data.encode(torch.tensor([[[0, 255]]], dtype=torch.uint8)).flatten()
    torch.testing.assert_close(encoded, torch.tensor(ends))
    middle = data.encode(torch.full((1, 1, 1), 51, dtype=torch.uint8)).item()
    assert middle == pytest.approx(ends[0] + (ends[1] - ends[0]) * 0.2, abs=1e-6)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="scaling must be one of rashid, standard, unit; got 'none'"):
        MNIST(spec=CLASSES, scaling="none")
    with pytest.raises(ConfigError, match="augmentation moves the digit.*use augmentation=none"):
        MNISTCentre(spec=CENTRE, augmentation={"rotate": Rotate(10)})
    with pytest.raises(ConfigError, match="spec.num_outputs must be 1 for binary, got 2; use task multilabel"):
        MNISTEven(spec={**EVEN, "num_outputs": 2})
    with pytest.raises(DataError, match="targets go from 8 to 20, and head=sigmoid gives numbers between"):
        loaded(MNISTCentre(spec={**CENTRE, "head": "sigmoid", "target_low": 10, "target_high": 28}))
    with pytest.raises(DataError, match=r"targets go from 8 to 20, .* data\.spec\.target_high=19; widen them"):
        loaded(MNISTCentre(spec={**CENTRE, "head": "sigmoid", "target_low": 0, "target_high": 19}))
