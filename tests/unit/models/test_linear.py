import pytest
import torch

from fulgurite.errors import ConfigError
from fulgurite.models.linear import Linear

SPEC = {"task": "classification", "input_shape": [1, 4, 4], "num_outputs": 3, "metric": "val/acc", "mode": "max"}


def test_a_softmax_regression_starts_with_equal_odds_for_every_class() -> None:
    model = Linear(spec=SPEC)
    x, y = torch.randn(6, 1, 4, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    assert model.training_step((x, y), 0)["loss"].item() == pytest.approx(torch.tensor(3.0).log().item())


def test_the_output_is_a_matrix_product_and_a_bias() -> None:
    torch.manual_seed(0)
    model = Linear(spec=SPEC, init="xavier_uniform")
    layer, x = model.net[1], torch.randn(6, 1, 4, 4)
    torch.nn.init.normal_(layer.bias)
    torch.testing.assert_close(model(x), torch.einsum("bi,ci->bc", x.flatten(1), layer.weight) + layer.bias)


@pytest.mark.parametrize(("bias", "expected"), [(True, 16 * 3 + 3), (False, 16 * 3)])
def test_the_number_of_parameters_is_that_of_the_formula(bias: bool, expected: int) -> None:
    assert sum(parameter.numel() for parameter in Linear(spec=SPEC, bias=bias).parameters()) == expected


def test_an_unknown_initialisation_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"init must be one of .* zeros; got 'zero' \(did you mean zeros\?\)"):
        Linear(spec=SPEC, init="zero")
