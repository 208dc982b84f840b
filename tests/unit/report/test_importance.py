import random

import pytest
from written_sweeps import write_job

from fulgurite.report.collect import read_jobs
from fulgurite.report.importance import epsilon_squared, importances
from fulgurite.report.swept import swept


def found_in(sweep):
    jobs = read_jobs(sweep)
    return {each.key: each for each in importances(jobs, swept(jobs))}


def test_the_share_is_that_of_a_calculation_by_hand():
    # Means 2 and 6 round 4: 24 of 28 between, 4 within, of which 4 / 4 is due to chance.
    assert epsilon_squared({"a": [1, 2, 3], "b": [5, 6, 7]}) == pytest.approx((24 - 1) / 28)


def test_groups_that_explain_everything_have_the_share_1_and_groups_alike_0():
    assert epsilon_squared({"a": [1, 1], "b": [2, 2]}) == pytest.approx(1)
    assert epsilon_squared({"a": [1, 2], "b": [1, 2]}) == 0


@pytest.mark.parametrize("groups", [{"a": [1, 1], "b": [1, 1]}, {"a": [1], "b": [2]}, {"a": [1, 2]}])
def test_there_is_no_share_where_nothing_varies_or_can_be_compared(groups):
    assert epsilon_squared(groups) is None


def test_chance_alone_is_given_almost_no_share_on_average():
    draw = random.Random(1)
    uncorrected, shares = [], []
    for _ in range(200):
        groups = {name: [draw.gauss(0, 1) for _ in range(3)] for name in "abcd"}
        shares.append(epsilon_squared(groups))
        uncorrected.append((4 - 1) / (12 - 1))
    assert sum(shares) / 200 < 0.12
    assert sum(uncorrected) / 200 > 0.25


def test_the_key_that_decides_comes_first_and_the_seed_is_no_key(tmp_path):
    for lr in ("0.1", "0.2"):
        for act in ("relu", "tanh"):
            for seed in ("1", "2"):
                value = 0.5 + 0.3 * (lr == "0.2") + 0.1 * (act == "tanh") + 0.001 * int(seed)
                write_job(tmp_path, [f"act={act}", f"lr={lr}", f"seed={seed}"], value)
    found = found_in(tmp_path)
    assert list(found) == ["lr", "act"]
    # Squares of the effects, 0.15² and 0.05², and 0.0005² of the seeds, 8 times each; 6 degrees of freedom within.
    total, lr, act = 8 * (0.15**2 + 0.05**2 + 0.0005**2), 8 * 0.15**2, 8 * 0.05**2
    assert found["lr"].share == pytest.approx((lr - (total - lr) / 6) / total)
    assert found["act"].share == pytest.approx(max(0, (act - (total - act) / 6) / total))


def test_many_numbers_are_compared_by_quarters(tmp_path):
    for at in range(16):
        write_job(tmp_path, [f"lr={0.001 * 1.5**at:.6g}"], 0.1 * (at // 4))
    (found,) = found_in(tmp_path).values()
    assert found.num_groups == 4
    assert found.share == pytest.approx(1)


def test_an_objective_over_decades_is_judged_by_its_logarithm(tmp_path):
    for at in range(8):
        write_job(tmp_path, [f"lr={at % 2}", f"wd={at // 4}", f"seed={at}"], 10.0 ** (2 * (at % 2) + at // 4))
    # Effects of 2 and 1 decades: 4 / 5 and 1 / 5 of the variance, less chance.
    shares = {key: each.share for key, each in found_in(tmp_path).items()}
    assert shares == {"lr": pytest.approx((4 - 1 / 6) / 5), "wd": pytest.approx((1 - 4 / 6) / 5)}


def test_too_few_jobs_are_said(tmp_path):
    for at in range(7):
        write_job(tmp_path, [f"lr={at % 2}", f"seed={at}"], 0.1 * at)
    write_job(tmp_path, ["lr=1", "seed=7"], status="failed")
    (found,) = found_in(tmp_path).values()
    assert (found.share, found.reason) == (None, "it needs 8 finished jobs, there are 7")


def test_a_choice_with_hardly_a_job_each_is_not_judged(tmp_path):
    for at in range(9):
        write_job(tmp_path, [f"hidden=[{at}]"], 0.1 * at)
    (found,) = found_in(tmp_path).values()
    assert (found.share, found.reason) == (None, "it needs 18 finished jobs, there are 9")


def test_an_objective_that_does_not_vary_is_said(tmp_path):
    for at in range(8):
        write_job(tmp_path, [f"lr={at % 2}", f"seed={at}"], 0.1)
    (found,) = found_in(tmp_path).values()
    assert found.reason == "the objective does not vary"


def test_the_unit_of_the_objective_does_not_matter_however_large_it_is():
    groups = {"a": [1.0, 2.0, 3.0], "b": [5.0, 6.0, 10.0]}
    vast = {key: [1e300 * value for value in values] for key, values in groups.items()}
    assert epsilon_squared(vast) == pytest.approx(epsilon_squared(groups))
