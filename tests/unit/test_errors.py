import math
import sys

import pytest

from fulgurite.errors import (
    ConfigError,
    check_bool,
    check_choice,
    check_fraction,
    check_int,
    check_number,
    check_sizes,
    did_you_mean,
    is_interrupt,
)


@pytest.mark.parametrize("value", [0, 0.5, 0.999])
def test_a_fraction_lies_in_the_half_open_unit_interval(value):
    assert check_fraction("dropout", value) == value


@pytest.mark.parametrize("value", [1, 1.5, -0.1, math.nan, "0.5", True, None])
def test_what_is_no_fraction_is_refused_with_its_value(value):
    with pytest.raises(ConfigError, match=r"^dropout must be in \[0, 1\), got "):
        check_fraction("dropout", value)


def test_a_number_must_lie_above_its_bound():
    assert check_number("lr", 1e-9, above=0) == 1e-9
    with pytest.raises(ConfigError, match="^lr must be a number > 0, got 0$"):
        check_number("lr", 0, above=0)


def test_a_number_may_equal_its_closed_bounds():
    assert [check_number("factor", value, low=0, high=1) for value in (0, 1)] == [0.0, 1.0]
    with pytest.raises(ConfigError, match="^factor must be a number >= 0 and <= 1, got 1.01$"):
        check_number("factor", 1.01, low=0, high=1)


@pytest.mark.parametrize("value", [0, 1.0, True, "3", None])
def test_what_is_no_positive_integer_is_refused(value):
    with pytest.raises(ConfigError, match="^batch_size must be an integer >= 1, got "):
        check_int("batch_size", value)


def test_zero_is_an_integer_where_the_lowest_is_zero():
    assert check_int("seed", 0, low=0) == 0


@pytest.mark.parametrize("value", [0, 1, "true", None])
def test_only_true_and_false_are_bools(value):
    assert check_bool("bias", False) is False
    with pytest.raises(ConfigError, match="^bias must be true or false, got "):
        check_bool("bias", value)


@pytest.mark.parametrize("value", [[], [0], [2.0], [True], "12", 12, None])
def test_what_is_no_list_of_sizes_is_refused(value):
    with pytest.raises(ConfigError, match=r"^hidden must be a list of positive integers such as \[256,128\], got "):
        check_sizes("hidden", value)


def test_an_empty_list_of_sizes_passes_where_it_may():
    assert check_sizes("hidden", [], empty=True) == []


def test_a_bad_choice_is_told_the_nearest_and_all():
    text = r"^norm must be one of batch, layer, none; got 'bach' \(did you mean batch\?\)$"
    with pytest.raises(ConfigError, match=text):
        check_choice("norm", "bach", ["none", "batch", "layer"])


def test_nothing_is_suggested_for_a_word_like_no_other():
    assert did_you_mean("zzz", ["relu", "tanh"]) == ""


def test_a_suggestion_ignores_case():
    assert did_you_mean("RELU", ["ReLU"]) == " (did you mean ReLU?)"


def interrupted_as_lightning_does_it():
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        sys.exit(1)


def test_ctrl_c_is_recognised_behind_the_exit_that_lightning_makes_of_it():
    with pytest.raises(SystemExit) as caught:
        interrupted_as_lightning_does_it()
    assert is_interrupt(caught.value)
    assert is_interrupt(KeyboardInterrupt())
    assert not is_interrupt(SystemExit(1))
