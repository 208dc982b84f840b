import math

import pytest

from fulgurite.report.paired import paired, two_sided_p


# Quantiles of the t distribution as the tables of textbooks give them: 97.5 % and 99.5 %.
@pytest.mark.parametrize(
    ("dof", "of_5_percent", "of_1_percent"),
    [
        (1, 12.706, 63.657),
        (2, 4.303, 9.925),
        (3, 3.182, 5.841),
        (4, 2.776, 4.604),
        (9, 2.262, 3.250),
        (30, 2.042, 2.750),
    ],
)
def test_the_p_value_is_that_of_the_tables(dof, of_5_percent, of_1_percent):
    assert two_sided_p(of_5_percent, dof) == pytest.approx(0.05, abs=5e-5)
    assert two_sided_p(-of_1_percent, dof) == pytest.approx(0.01, abs=5e-5)


@pytest.mark.parametrize("dof", [1, 2, 5, 8])
def test_the_p_value_is_the_area_under_the_tails(dof):
    t, width = 1.3, 1e-3
    scale = math.gamma((dof + 1) / 2) / (math.sqrt(dof * math.pi) * math.gamma(dof / 2))
    inside = sum((1 + (width * (i + 0.5)) ** 2 / dof) ** (-(dof + 1) / 2) for i in range(round(t / width))) * width
    assert two_sided_p(t, dof) == pytest.approx(1 - 2 * scale * inside, abs=1e-6)


def test_no_difference_is_certain_to_be_chance():
    assert two_sided_p(0.0, 4) == 1.0


def test_settings_are_compared_seed_by_seed():
    # Differences 1, 2, 3: t = 2 / (1 / sqrt(3)) = 3.464 with 2 degrees of freedom.
    found = paired({"1": 11.0, "2": 22.0, "3": 33.0}, {"3": 30.0, "1": 10.0, "2": 20.0})
    assert (found.difference, found.num_pairs) == (2.0, 3)
    assert found.p == pytest.approx(1 - 2 * math.sqrt(3) / math.sqrt(4 * 3 + 2), abs=1e-12)


def test_seeds_that_only_one_has_are_left_out():
    found = paired({"1": 1.0, "2": 2.0, "3": 99.0}, {"1": 0.5, "2": 1.0, "4": -99.0})
    assert (found.difference, found.num_pairs) == (0.75, 2)


def test_below_two_seeds_in_common_there_is_no_comparison():
    assert paired({"1": 1.0, "2": 2.0}, {"2": 1.0, "3": 2.0}) is None


def test_equal_differences_leave_nothing_to_test():
    found = paired({"1": 0.9, "2": 0.8}, {"1": 0.8, "2": 0.7})
    assert (found.difference, found.p) == (pytest.approx(0.1), None)
