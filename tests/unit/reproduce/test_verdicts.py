"""Statistics, deviations and verdicts against numbers reckoned by hand."""

import math

import pytest
import torch

from fulgurite.reproduce.goals import Goal, shown, spread
from fulgurite.reproduce.rows import Line
from fulgurite.reproduce.verdicts import Figures, comparable, goal_text, judge

PERCENT = Line("test/acc", unit="percent", goal=Goal(low=0.97), stretch=Goal(low=0.98))
# Mean 0.975; squares of the differences 25, 0 and 25 in 1e-6, so a deviation of 0.005.
THREE = (0.970, 0.975, 0.980)


def test_mean_deviation_and_standard_error_are_those_reckoned_by_hand():
    outcome = judge(PERCENT, Figures(THREE, planned=3))
    assert outcome.value == pytest.approx(0.975)
    assert outcome.standard_error == pytest.approx(0.005 / 3**0.5)
    assert (outcome.ours, outcome.num) == ("97.50 ± 0.50 %", 3)


@pytest.mark.parametrize(
    ("goal", "kind", "verdict"),
    [
        (Goal(low=0.975), "met", "met"),
        (Goal(low=0.9764), "missed", "missed by 0.14 points"),
        (Goal(high=0.97), "missed", "missed by 0.5 points"),
        (Goal(high=0.975), "met", "met"),
        (Goal(0.97, 0.98), "met", "met"),
        (Goal(0.98, 0.99), "missed", "missed by 0.5 points"),
        (None, "shown", "no goal"),
    ],
)
def test_a_verdict_says_whether_the_statistic_is_in_the_range_and_how_far_out(goal, kind, verdict):
    outcome = judge(Line("test/acc", unit="percent", goal=goal), Figures(THREE, planned=3))
    assert (outcome.kind, outcome.verdict) == (kind, verdict)


def test_a_mean_that_is_the_goal_but_for_rounding_meets_it():
    assert judge(Line("test/acc", goal=Goal(low=0.99)), Figures((0.99, 0.99, 0.99), 3)).verdict == "met"
    assert judge(Line("test/acc", goal=Goal(low=0.99)), Figures((0.99, 0.99, 0.989999), 3)).kind == "missed"


def test_a_goal_is_met_by_the_number_of_32_bits_that_stands_for_it():
    values = tuple(torch.full((3,), 0.95).tolist())
    assert values[0] < 0.95
    assert judge(Line("test/acc", goal=Goal(low=0.95)), Figures(values, 3)).verdict == "met"
    assert judge(Line("test/acc", statistic="share", least=0.95), Figures(values, 3)).value == 1.0


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_no_finite_number_meets_no_goal(value):
    assert judge(Line("test/mae", goal=Goal(0.0, 0.5)), Figures((value,), 1)).kind == "missed"


def test_the_stretch_goal_is_told_apart_from_the_goal():
    assert judge(PERCENT, Figures(THREE, 3)).kind == "met"
    assert judge(PERCENT, Figures((0.98, 0.98, 0.981), 3)).kind == "stretch"


def test_largest_and_smallest_value_have_no_deviation():
    figures = Figures((0.5, 0.75, 0.5), 3)
    largest = judge(Line("test/acc", statistic="max", unit="percent", goal=Goal(high=0.75)), figures)
    smallest = judge(Line("test/acc", statistic="min", unit="percent", goal=Goal(low=0.6)), figures)
    assert (largest.ours, largest.kind, largest.standard_error) == ("75.00 % (max)", "met", None)
    assert (smallest.ours, smallest.verdict) == ("50.00 % (min)", "missed by 10 points")


def test_a_share_counts_the_runs_that_reach_the_value():
    line = Line("test/acc", statistic="share", least=1.0, goal=Goal(low=0.75))
    outcome = judge(line, Figures((1.0, 1.0, 1.0, 0.75), 4))
    assert (outcome.value, outcome.kind, outcome.ours) == (0.75, "met", "75.00 % of seeds")
    assert goal_text(line, line.goal) == "≥ 75 % of seeds"


def test_a_run_that_diverged_has_not_reached_the_value():
    outcome = judge(Line("test/acc", statistic="share", least=0.1, goal=Goal(low=0.75)), Figures((1.0, 1.0), 4, lost=2))
    assert (outcome.value, outcome.num, outcome.verdict) == (0.5, 4, "missed by 25 points")


def test_nothing_is_judged_before_all_runs_have_ended():
    outcome = judge(PERCENT, Figures(THREE[:2], 3))
    assert (outcome.kind, outcome.verdict, outcome.num) == ("open", "open: 2 of 3 runs", 2)
    assert judge(PERCENT, Figures()).verdict == "open"


def test_a_mean_without_its_lost_runs_is_no_success():
    outcome = judge(PERCENT, Figures(THREE[1:], 3, lost=1))
    assert (outcome.kind, outcome.verdict) == ("failed", "failed: 1 of 3 runs")


def test_one_value_has_no_deviation():
    outcome = judge(PERCENT, Figures((0.975,), 1))
    assert (outcome.ours, outcome.standard_error) == ("97.50 %", None)


def outcomes_of(*values: tuple[float, ...]):
    lines = [Line("test/mae", name=str(at)) for at in range(len(values))]
    return lines, [judge(line, Figures(each, len(each))) for line, each in zip(lines, values, strict=True)]


def test_lines_are_told_apart_from_two_standard_errors_of_their_difference_on():
    # Each a standard error of 1 / sqrt(3), so that of the difference is sqrt(2 / 3) = 0.816: two are 1.633.
    lines, outcomes = outcomes_of((9, 10, 11), (10.7, 11.7, 12.7), (10.6, 11.6, 12.6))
    first, second, third = lines
    assert comparable(lines, outcomes) == [(first, third, False), (first, second, True), (third, second, False)]


@pytest.mark.parametrize("part", [Figures((1, 1, 2), planned=4), Figures((1, 1, 2), planned=4, lost=1)])
def test_a_mean_of_a_part_of_the_runs_is_not_compared(part):
    lines, outcomes = outcomes_of((5, 5, 6), (1, 1, 2))
    assert len(comparable(lines, outcomes)) == 1
    assert comparable(lines, [outcomes[0], judge(lines[1], part)]) == []


def test_means_of_other_metrics_are_not_compared():
    lines, outcomes = outcomes_of((5, 5, 5), (1, 1, 1))
    assert comparable([lines[0], Line("test/r2", name="1")], outcomes) == []


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.97534, "percent", "97.53 %"), (0.2871, "pixels", "0.287 px"), (3.989, "", "3.989"), (4.0, "", "4.000")],
)
def test_a_number_is_shown_in_its_unit(value, unit, text):
    assert shown(value, unit) == text


def test_a_deviation_has_the_decimals_of_its_mean():
    assert spread(0.4412, 0.008696, "") == "0.4412 ± 0.0087"
    assert spread(0.97534, 0.00138, "percent") == "97.53 ± 0.14 %"
    assert spread(1.234e-6, 5.5e-7, "") == "1.234e-06 ± 5.5e-07"


def test_goals_are_written_without_noughts_at_their_ends():
    assert Goal(low=0.9735).text("percent") == "≥ 97.35 %"
    assert Goal(high=0.5).text("pixels") == "≤ 0.5 px"
    assert Goal(0.45, 0.6).text("percent") == "45 to 60 %"
    assert Goal(low=100.0).text("") == "≥ 100"
