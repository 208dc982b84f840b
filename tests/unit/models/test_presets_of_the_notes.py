"""Presets whose shapes the teaching notes give."""

import pytest
from torch import nn

from fulgurite.build import build


@pytest.mark.parametrize(
    ("preset", "widths"),
    [
        ("mlp_100", [10, 100, 2]),
        ("mlp_100_200_100", [10, 100, 200, 100, 2]),
        ("mlp_10_100_100_10", [10, 100, 100, 10]),
        ("geron_fashion", [784, 300, 100, 10]),
        ("linear_regression_5", [5, 1]),
    ],
)
def test_a_preset_has_the_widths_of_its_network(compose_config, preset, widths) -> None:
    model = build(compose_config(f"experiment={preset}")).model
    layers = [each for each in model.modules() if isinstance(each, nn.Linear)]
    assert [layers[0].in_features, *(each.out_features for each in layers)] == widths
