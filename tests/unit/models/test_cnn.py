import pytest
import torch

from fulgurite.errors import ConfigError
from fulgurite.models.cnn import CNN
from fulgurite.models.lenet5 import LeNet5

SPEC = {"task": "classification", "input_shape": [1, 28, 28], "num_outputs": 10, "metric": "val/acc", "mode": "max"}
POINTS = {"task": "regression", "input_shape": [1], "num_outputs": 1, "metric": "val/loss", "mode": "min"}


def _count(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # 28 is halved to 14 and 7; batch norm instead of biases.
        ({"channels": [4, 8]}, 9 * 4 + 8 + 9 * 4 * 8 + 16 + 8 * 7 * 7 * 10 + 10),
        ({"channels": [4, 8], "head": "average"}, 9 * 4 + 8 + 9 * 4 * 8 + 16 + 8 * 10 + 10),
        ({"channels": [4], "norm": "none", "kernel": 5, "pooling": "none"}, 25 * 4 + 4 + 4 * 28 * 28 * 10 + 10),
        # A stride of 2 takes 28 to 14, and pooling to 7.
        ({"channels": [4], "norm": "none", "stride": 2}, 9 * 4 + 4 + 4 * 7 * 7 * 10 + 10),
        # The stride is the first convolution's; the second reads 4 channels of 14 x 14.
        (
            {"channels": [4], "norm": "none", "stride": 2, "convs_per_block": 2},
            9 * 4 + 4 + 9 * 4 * 4 + 4 + 4 * 7 * 7 * 10 + 10,
        ),
        # Dropout has none.
        ({"channels": [4, 8], "dropout": 0.5, "block_dropout": 0.5}, 9 * 4 + 8 + 9 * 32 + 16 + 8 * 7 * 7 * 10 + 10),
        # ceil(28 / 3) = 10.
        ({"channels": [4], "norm": "none", "stride": 3, "pooling": "none"}, 9 * 4 + 4 + 4 * 10 * 10 * 10 + 10),
    ],
)
def test_the_number_of_parameters_is_that_of_the_formula(options: dict, expected: int) -> None:
    model = CNN(spec=SPEC, **options)
    assert _count(model) == expected
    assert model(torch.randn(3, 1, 28, 28)).shape == (3, 10)


def test_images_may_have_colours_and_sides_of_different_length() -> None:
    model = CNN(spec={**SPEC, "input_shape": [3, 20, 33]}, channels=[4, 8])
    assert model(torch.randn(2, 3, 20, 33)).shape == (2, 10)


def test_dropout_stands_between_blocks_and_before_the_head() -> None:
    model = CNN(spec=SPEC, channels=[4, 8, 8], convs_per_block=2, dropout=0.5, block_dropout=0.25)
    kinds = [(type(layer).__name__, getattr(layer, "p", 0)) for layer in model.net]
    block = [("Conv2d", 0), ("BatchNorm2d", 0), ("ReLU", 0)] * 2 + [("MaxPool2d", 0)]
    between = [("Dropout", 0.25)]
    head = [("Flatten", 0), ("Dropout", 0.5), ("Linear", 0)]
    assert kinds == [*block, *between, *block, *between, *block, *head]


def test_the_average_head_does_not_see_where_a_pattern_is() -> None:
    torch.manual_seed(0)
    model = CNN(spec=SPEC, channels=[4], head="average", pooling="none").eval()
    x = torch.zeros(2, 1, 28, 28)
    pattern = torch.randn(5, 5)
    x[0, 0, 5:10, 5:10] = pattern
    x[1, 0, 12:17, 15:20] = pattern
    first, moved = model(x)
    torch.testing.assert_close(first, moved)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": 4}, "kernel must be odd, got 4"),
        ({"kernel": 0}, "kernel must be an integer >= 1, got 0"),
        ({"stride": 5}, "stride must be at most kernel=3, or pixels are never read; got 5"),
        (
            {"channels": [8] * 6},
            "channels has 6 blocks, but in block 5 the image is 1 x 1, .* nothing to pool",
        ),
        ({"channels": []}, "channels must be a list of positive integers"),
        ({"pooling": "mean"}, "pooling must be one of avg, max, none; got 'mean'"),
        ({"norm": "layer"}, "norm must be one of batch, none; got 'layer'"),
        ({"head": "flat"}, r"head must be one of average, flatten; got 'flat' \(did you mean flatten\?\)"),
        ({"dropout": -0.1}, r"dropout must be in \[0, 1\), got -0.1"),
        ({"block_dropout": 1}, r"block_dropout must be in \[0, 1\), got 1"),
        ({"convs_per_block": 0}, "convs_per_block must be an integer >= 1, got 0"),
    ],
)
def test_a_bad_argument_is_refused(options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CNN(spec=SPEC, **options)


@pytest.mark.parametrize(("family", "name"), [(CNN, "cnn"), (LeNet5, "lenet5")])
def test_data_without_images_is_refused_with_the_reason(family: type, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"model={name} reads images .* have shape \[1\]; use model=mlp"):
        family(spec=POINTS)


@pytest.mark.parametrize("shape", [[1, 28, 28], [1, 32, 32]])
def test_lenet5_has_61706_parameters(shape: list[int]) -> None:
    model = LeNet5(spec={**SPEC, "input_shape": shape})
    layers = [6 * 25 + 6, 16 * 6 * 25 + 16, 120 * 16 * 25 + 120, 84 * 120 + 84, 10 * 84 + 10]
    assert _count(model) == sum(layers) == 61_706
    assert model(torch.randn(2, *shape)).shape == (2, 10)


def test_lenet5_pads_28_to_32() -> None:
    torch.manual_seed(0)
    small, large = LeNet5(spec=SPEC), LeNet5(spec={**SPEC, "input_shape": [1, 32, 32]})
    large.load_state_dict(small.state_dict())
    x = torch.randn(2, 1, 28, 28)
    torch.testing.assert_close(small(x), large(torch.nn.functional.pad(x, (2, 2, 2, 2))), rtol=1e-4, atol=1e-5)


def test_lenet5_refuses_other_sizes() -> None:
    with pytest.raises(ConfigError, match="model=lenet5 reads images of 28 x 28 or 32 x 32, .* 20 x 28; use model=cnn"):
        LeNet5(spec={**SPEC, "input_shape": [1, 20, 28]})


def test_lenet5_refuses_an_unknown_pooling() -> None:
    with pytest.raises(ConfigError, match="pooling must be one of avg, max; got 'none'"):
        LeNet5(spec=SPEC, pooling="none")
