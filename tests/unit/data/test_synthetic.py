"""Synthetic regression: points, curve, noise, split and units."""

import math
from typing import Any

import pytest
import torch

from fulgurite.data.in_memory import InMemoryData, Part
from fulgurite.data.synthetic import Linear, Quadratic, Sine, Synthetic
from fulgurite.errors import ConfigError, DataError

SPEC: dict[str, Any] = {
    "task": "regression",
    "input_shape": [1],
    "num_outputs": 1,
    "metric": "val/mae",
    "mode": "min",
}
PARTS = ("train", "val", "test")


def ready(data: Synthetic) -> Synthetic:
    data.setup("fit")
    data.setup("test")
    return data


def spec(num_features: int) -> dict[str, Any]:
    return SPEC | {"input_shape": [num_features]}


def points(data: Synthetic) -> Part:
    parts = [ready(data).part(name) for name in PARTS]
    return Part(torch.cat([part.x for part in parts]), torch.cat([part.y for part in parts]))


@pytest.mark.parametrize(
    ("data", "x", "y"),
    [
        (Quadratic(spec=SPEC), [[-2.0], [0.0], [15.0]], [[7.0], [3.0], [228.0]]),
        (Sine(spec=SPEC, frequency=2.0), [[0.0], [math.pi / 4], [-math.pi / 12]], [[0.0], [1.0], [-0.5]]),
        (Linear(spec=spec(2), num_features=2, weights=[2, -3], bias=1), [[1.0, 1.0], [0.5, 2.0]], [[0.0], [-4.0]]),
    ],
)
def test_the_clean_curve_is_the_formula(data: Synthetic, x: list[list[float]], y: list[list[float]]) -> None:
    assert torch.allclose(data.clean(torch.tensor(x)), torch.tensor(y), atol=1e-6)


def test_the_noise_has_the_deviation_that_was_asked_for() -> None:
    data = Quadratic(spec=SPEC, num_points=20_000, noise_std=5.0)
    x, y = points(data)
    noise = y - data.clean(x)
    assert noise.mean().item() == pytest.approx(0, abs=0.15)
    assert noise.std().item() == pytest.approx(5, rel=0.02)
    assert noise.abs().mean().item() == pytest.approx(5 * math.sqrt(2 / math.pi), rel=0.02)


def test_x_is_uniform_and_encoded_with_mean_0_and_deviation_1() -> None:
    data = Quadratic(spec=SPEC, num_points=20_000, low=2.0, high=10.0)
    x = points(data).x
    assert x.min() >= 2
    assert x.max() < 10
    assert x.histc(4, 2, 10).sub(len(x) / 4).abs().max() < 250
    assert data.encode(x).mean().item() == pytest.approx(0, abs=0.02)
    assert data.encode(x).std().item() == pytest.approx(1, abs=0.01)


def test_each_part_has_points_of_its_own() -> None:
    data = ready(Quadratic(spec=SPEC, num_points=800, num_val=200, num_test=100))
    assert [len(data.part(name).x) for name in PARTS] == [800, 200, 100]
    assert len(points(data).x.unique()) == 1100


def test_the_size_of_one_part_leaves_the_others_alone() -> None:
    few, many = ready(Quadratic(spec=SPEC, num_val=10)), ready(Quadratic(spec=SPEC, num_val=1000))
    assert torch.equal(few.part("train").y, many.part("train").y)
    assert torch.equal(few.part("test").y, many.part("test").y)


def test_the_points_depend_on_points_seed_alone() -> None:
    first = points(Quadratic(spec=SPEC, seed=1))
    again = points(Quadratic(spec=SPEC, seed=2))
    other = points(Quadratic(spec=SPEC, points_seed=1))
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.y, again.y)
    assert not torch.equal(first.x, other.x)


def test_drawn_weights_give_clean_targets_of_deviation_1_and_do_not_depend_on_the_number_of_points() -> None:
    few, many = (Linear(spec=spec(3), num_features=3, bias=2.0, num_points=n) for n in (300, 20_000))
    assert torch.equal(few.weights, many.weights)
    clean = many.clean(points(many).x)
    assert clean.std().item() == pytest.approx(1, abs=0.02)
    assert clean.mean().item() == pytest.approx(2, abs=0.03)


def test_a_batch_is_encoded_and_keeps_the_unit_of_its_targets() -> None:
    data = ready(Quadratic(spec=SPEC, noise_std=0.0, batch_size=80))
    x, y = next(iter(data.train_dataloader()))
    assert x.shape == y.shape == (80, 1)
    assert torch.allclose(y, (x * 30 / math.sqrt(12)) ** 2 + 3, atol=1e-3)


def test_no_batch_size_means_full_batches() -> None:
    data = ready(Quadratic(spec=SPEC, batch_size=None, passes_per_epoch=4))
    assert [len(y) for _, y in data.train_dataloader()] == [1000] * 4


@pytest.mark.parametrize("name", ["quadratic", "sine", "linear"])
def test_the_shipped_target_mean_and_deviation_are_those_of_the_clean_curve(name: str, compose_config: Any) -> None:
    from fulgurite.build import build_data

    data = build_data(compose_config(f"data={name}", "model=mlp", "data.num_points=20000"))
    assert isinstance(data, Synthetic)
    clean = data.clean(points(data).x)
    assert clean.mean().item() == pytest.approx(data.spec.target_mean, abs=0.02 * data.spec.target_std)
    assert clean.std().item() == pytest.approx(data.spec.target_std, rel=0.02)
    assert data.spec.noise_std == data.noise_std > 0


def test_the_number_of_features_sizes_the_model(compose_config: Any) -> None:
    cfg = compose_config("data=linear", "model=mlp", "data.num_features=3")
    assert cfg.model.spec.input_shape == [3]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Quadratic(spec=SPEC, num_points=0), r"^num_points must be an integer >= 1, got 0"),
        (lambda: Quadratic(spec=SPEC, low=1.0, high=1.0), r"^high must be a number > 1, got 1\.0"),
        (lambda: Quadratic(spec=SPEC, noise_std=-1), r"^noise_std must be a number >= 0, got -1"),
        (lambda: Sine(spec=SPEC, frequency=0), r"^frequency must be a number > 0, got 0"),
        (lambda: Linear(spec=SPEC, weights=[1, 2]), r"^weights must be null or a list of 1 numbers .*, got \[1, 2\]"),
        (lambda: Linear(spec=SPEC, weights=["a"]), r"^weights must be null or .*, got \['a'\]"),
        (lambda: Quadratic(spec=SPEC, augmentation={"rotate": None}), r"augmentation=rotate is for images.* \[1\]"),
    ],
)
def test_a_bad_argument_is_told(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


class Given(InMemoryData):
    """Whatever it is given."""

    def __init__(self, part: Part, **options: Any) -> None:
        super().__init__(**options)
        self.given = part

    def load_train(self) -> tuple[Part, Part]:
        return self.given, self.given


@pytest.mark.parametrize(
    ("x", "y", "task", "message"),
    [
        (torch.ones(4, 1), torch.ones(4), "regression", r"training targets must be float32 of shape \[4,1\].* \[4\]"),
        (torch.ones(4, 1), torch.ones(4, 2), "regression", r"must be float32 of shape \[4,1\] .*got .* \[4,2\]"),
        (torch.ones(4, 1), torch.ones(4, 1).double(), "regression", r"must be float32 .*got torch\.float64"),
        (torch.ones(4, 1), torch.ones(4, 1), "classification", r"targets must be class numbers from 0"),
        (torch.ones(4, 1), torch.tensor([0, -1, 0, 0]), "classification", r"class numbers from 0.*from -1"),
        (torch.ones(4, 1), torch.ones(3, 1), "regression", r"has 4 samples and 3 targets"),
        (torch.ones(0, 1), torch.ones(0, 1), "regression", r"has 0 samples and 0 targets"),
    ],
)
def test_targets_that_do_not_fit_the_task_are_refused(x: Any, y: Any, task: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Given(Part(x, y), spec=SPEC | {"task": task}).setup("fit")


def test_outliers_are_a_share_of_the_training_points_and_of_no_others() -> None:
    options: dict[str, Any] = {"spec": SPEC, "weights": [1.0], "noise_std": 0.1, "num_points": 10_000}
    plain = ready(Linear(**options))
    led_astray = ready(Linear(**options, outlier_share=0.1, outlier_offset=5.0))
    offsets = led_astray.part("train").y - plain.part("train").y
    is_outlier = offsets.abs() > 1
    assert torch.allclose(offsets[is_outlier], torch.tensor(5.0))
    assert not offsets[~is_outlier].any()
    # Within 4 standard deviations of 1,000.
    assert abs(int(is_outlier.sum()) - 1000) < 4 * 30
    for name in ("val", "test"):
        assert torch.equal(led_astray.part(name).y, plain.part(name).y)


def test_a_line_through_outliers_is_where_its_loss_says() -> None:
    data = ready(
        Linear(spec=SPEC, weights=[0.0], noise_std=0.1, num_points=20_000, outlier_share=0.1, outlier_offset=5.0)
    )
    y = data.part("train").y
    # The mean minimises squares: a tenth of 5 too high; the median absolute errors: it hardly moves.
    assert y.mean().item() == pytest.approx(0.5, abs=0.03)
    assert y.median().item() == pytest.approx(0.1 * 0.1397, abs=0.005)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outlier_share": 1.0}, r"outlier_share must be in \[0, 1\), got 1.0"),
        ({"outlier_offset": "far"}, "outlier_offset must be a number, got 'far'"),
    ],
)
def test_bad_outliers_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Linear(spec=SPEC, **options)
