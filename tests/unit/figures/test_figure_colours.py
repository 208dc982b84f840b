import numpy as np
import pytest

from fulgurite.figures.colours import (
    DIVERGING,
    INK,
    PAPER,
    RULE,
    SEQUENTIAL,
    VIRIDIS,
    Scale,
    from_oklab,
    on_colour,
    symmetric_scale,
    to_oklab,
)


def test_white_is_the_lightest_colour_and_has_no_hue():
    np.testing.assert_allclose(to_oklab(np.array([255, 255, 255])), [1, 0, 0], atol=1e-3)


def test_red_is_where_the_author_of_the_space_puts_it():
    # Ottosson (2020), table of reference values for sRGB (1, 0, 0).
    np.testing.assert_allclose(to_oklab(np.array([255, 0, 0])), [0.628, 0.225, 0.126], atol=1e-3)


def test_a_colour_comes_back_from_oklab():
    colours = np.array([[0, 0, 0], [12, 200, 99], [255, 128, 3], [255, 255, 255]])
    np.testing.assert_array_equal(from_oklab(to_oklab(colours)), colours)


@pytest.mark.parametrize("ramp", [SEQUENTIAL, DIVERGING[:128], DIVERGING[128:], VIRIDIS])
def test_the_steps_of_a_ramp_look_equally_large(ramp):
    # Eight steps at a time, or rounding to whole levels would be most of it.
    steps = np.linalg.norm(np.diff(to_oklab(ramp[::8]), axis=0), axis=1)
    assert steps.max() < 1.25 * steps.min()


def test_a_larger_number_is_darker_on_the_sequential_ramp_and_lighter_on_viridis():
    assert (np.diff(to_oklab(SEQUENTIAL[::8])[:, 0]) < 0).all()
    assert (np.diff(to_oklab(VIRIDIS[::8])[:, 0]) > 0).all()


def test_zero_is_in_the_middle_of_a_symmetric_scale():
    scale = symmetric_scale(np.array([-3.0, 0.5, 1.0]), quantile=1.0)
    assert (scale.low, scale.high) == (-3.0, 3.0)
    assert scale(np.array(0.0)).min() >= 249


def test_numbers_beyond_a_scale_have_its_last_colours_and_what_is_no_number_is_grey():
    scale = Scale(VIRIDIS, 0.0, 1.0)
    colours = scale(np.array([-7.0, 0.0, 1.0, 9.0, np.nan]))
    np.testing.assert_array_equal(colours, [VIRIDIS[0], VIRIDIS[0], VIRIDIS[-1], VIRIDIS[-1], RULE])


def test_words_are_dark_on_light_and_light_on_dark():
    assert on_colour(SEQUENTIAL[0]) == INK
    assert on_colour(SEQUENTIAL[-1]) == PAPER
