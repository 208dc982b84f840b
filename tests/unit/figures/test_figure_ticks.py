import numpy as np
import pytest

from fulgurite.figures.ticks import name_axis, nice_ticks, number_axis, short, span


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0, 1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (-15, 15, ["-10", "0", "10"]),
        (0.013, 0.051, ["0.02", "0.03", "0.04", "0.05"]),
        (0, 228, ["0", "50", "100", "150", "200"]),
        (0, 3e6, ["0", "1e6", "2e6", "3e6"]),
    ],
)
def test_ticks_are_round_numbers(low, high, texts):
    ticks = nice_ticks(low, high)
    assert [text.removesuffix(".0") if text in ("0.0", "1.0") else text for _, text in ticks] == texts
    assert all(float(text) == pytest.approx(value, abs=1e-9) for value, text in ticks)


def test_a_number_is_exact_to_the_step_between_ticks():
    assert short(0.30000000000000004, 0.1) == "0.3"
    assert short(-0.0, 0.5) == "0"
    assert short(1234.5678) == "1.23e3"


def test_equal_numbers_still_span_something():
    assert span(np.array([2.0, 2.0])) == (1.5, 2.5)
    assert span(np.array([np.nan, np.inf])) == (0.0, 1.0)


def test_an_axis_that_grows_upwards_has_its_largest_number_at_the_top():
    assert number_axis("y", 0, 4, from_top=True).ticks[-1] == (0.0, "4")
    assert number_axis("x", 0, 4).ticks[-1] == (1.0, "4")


def test_each_class_is_named_in_the_middle_of_its_cell_while_there_is_room():
    assert name_axis("c", ["a", "b"]).ticks == ((0.25, "a"), (0.75, "b"))
    ticks = name_axis("c", [str(each) for each in range(100)], most=15).ticks
    assert [text for _, text in ticks] == [str(each) for each in range(0, 100, 10)]
