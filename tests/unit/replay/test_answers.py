"""Tables of answers, against numbers chosen by hand."""

from pathlib import Path

import pytest

from fulgurite.replay.answers import of_points, of_several

FILE = Path("a.png")


def test_a_label_is_1_where_its_probability_is_more_than_a_half():
    found = of_several(["even", "large"], "multilabel", [FILE], [[0.51, 0.5]])
    assert found.header == ["file", "even", "large", "probability_even", "probability_large"]
    assert found.rows == [[FILE, 1, 0, 0.51, 0.5]]


@pytest.mark.parametrize(("chance", "answer"), [(0.51, 1), (0.49, 0)])
def test_yes_or_no_of_one_output_is_told_by_its_probability(chance, answer):
    found = of_points(["prediction"], "binary", [(FILE, 2, [1.5])], [[chance]])
    assert found.header == ["file", "line", "x", "prediction", "probability_prediction"]
    assert found.rows == [[FILE, 2, 1.5, answer, chance]]


def test_a_class_is_that_of_the_largest_probability():
    found = of_points(["0", "1", "2"], "classification", [(FILE, 1, [0.0, 1.0])], [[0.2, 0.3, 0.5]])
    assert found.header == ["file", "line", "x_1", "x_2", "prediction", *(f"probability_{c}" for c in range(3))]
    assert found.rows == [[FILE, 1, 0.0, 1.0, "2", 0.2, 0.3, 0.5]]


def test_numbers_are_told_as_they_are():
    found = of_several(["x", "y"], "regression", [FILE], [[13.5, 14.25]])
    assert (found.header, found.rows) == (["file", "x", "y"], [[FILE, 13.5, 14.25]])
