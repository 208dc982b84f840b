import pytest

from fulgurite.errors import ConfigError
from fulgurite.spec import DataSpec

IMAGE = {"task": "classification", "input_shape": [1, 28, 28], "num_outputs": 10, "metric": "val/acc", "mode": "max"}


def test_three_dimensions_are_an_image():
    assert DataSpec(**IMAGE).is_image
    assert not DataSpec(**IMAGE | {"input_shape": [3]}).is_image


def test_an_unknown_task_is_refused_with_the_known_ones():
    with pytest.raises(
        ConfigError,
        match="spec.task must be one of binary, classification, multilabel, regression; got 'clasification'",
    ):
        DataSpec(**IMAGE | {"task": "clasification"})


def test_an_empty_shape_is_refused():
    with pytest.raises(ConfigError, match="spec.input_shape must be a list of positive integers"):
        DataSpec(**IMAGE | {"input_shape": []})


def test_no_outputs_are_refused():
    with pytest.raises(ConfigError, match="spec.num_outputs must be an integer >= 1, got 0"):
        DataSpec(**IMAGE | {"num_outputs": 0})
