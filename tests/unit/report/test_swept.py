import pytest
from written_sweeps import write_job

from fulgurite.report.collect import read_jobs
from fulgurite.report.swept import Swept, grid_pairs, swept


def keys_of(sweep, **values: list[str]) -> dict[str, Swept]:
    for at, row in enumerate(zip(*values.values(), strict=True)):
        write_job(sweep, [f"{key}={value}" for key, value in zip(values, row, strict=True)] + [f"seed={at}"], 0.5)
    return {key.key: key for key in swept(read_jobs(sweep))}


def test_numbers_over_two_decades_have_a_logarithmic_axis(tmp_path):
    found = keys_of(tmp_path, a=["0.001", "0.01", "0.1"], b=["0.001", "0.01", "0.09"], c=["0", "0.01", "1"])
    assert (found["a"].is_log, found["b"].is_log, found["c"].is_log) == (True, False, False)


def test_two_decades_are_two_decades_where_the_ratio_is_rounded_to_less(tmp_path):
    assert 0.7 / 0.007 < 100
    assert keys_of(tmp_path, a=["0.7", "0.007"])["a"].is_log


def test_values_of_which_one_is_no_number_are_choices(tmp_path):
    found = keys_of(tmp_path, a=["1e-3", "2", "3"], b=["1", "null", "2"], c=["true", "false", "true"])
    assert found["a"].numbers == pytest.approx((1e-3, 2.0, 3.0))
    assert found["b"].numbers is None
    assert found["c"].numbers is None


def test_choices_stand_in_natural_order(tmp_path):
    found = keys_of(tmp_path, a=["[128]", "[32]", "[128,64]"], b=["10", "9", "1e2"], c=["b", "a", "b"])
    assert found["a"].choices == ("[32]", "[128,64]", "[128]")
    assert found["b"].choices == ("9", "10", "1e2")
    assert found["c"].choices == ("a", "b")


def test_the_seed_comes_last_and_what_is_the_same_in_all_jobs_is_left_out(tmp_path):
    for seed in ("1", "2"):
        for lr in ("0.1", "0.2"):
            write_job(tmp_path, [f"seed={seed}", "model=mlp", f"optimizer.lr={lr}"], 0.5)
    found = swept(read_jobs(tmp_path))
    assert [(key.key, key.name) for key in found] == [("optimizer.lr", "lr"), ("seed", "seed")]


def test_a_job_without_a_record_has_no_values_and_takes_none_from_the_others(tmp_path):
    for lr in ("0.1", "0.2"):
        write_job(tmp_path, [f"lr={lr}"], 0.5)
    (tmp_path / "lost" / ".hydra").mkdir(parents=True)
    (key,) = swept(read_jobs(tmp_path))
    assert [job.folder.name for job in read_jobs(tmp_path)] == ["lost", "lr-0.1", "lr-0.2"]
    assert key.values == ("", "0.1", "0.2")
    assert key.numbers == (None, 0.1, 0.2)


def test_pairs_on_a_grid_have_finished_jobs_for_half_of_the_combinations(tmp_path):
    # All four combinations of a and b; of a and c, and of b and c, four of eight.
    for at, (a, b) in enumerate([("1", "1"), ("1", "2"), ("2", "1"), ("2", "2")]):
        write_job(tmp_path, [f"a={a}", f"b={b}", f"c={at}"], 0.5)
    jobs = read_jobs(tmp_path)
    names = [(one.key, other.key) for one, other in grid_pairs(jobs, swept(jobs))]
    assert names == [("a", "b"), ("a", "c"), ("b", "c")]
    for folder in sorted(tmp_path.iterdir())[1:]:
        path = folder / "result.json"
        path.write_text(path.read_text().replace("finished", "failed"))
    jobs = read_jobs(tmp_path)
    assert grid_pairs(jobs, swept(jobs)) == []


def test_a_key_of_more_than_twelve_values_is_on_no_grid(tmp_path):
    for at in range(13):
        for b in ("1", "2"):
            write_job(tmp_path, [f"a={at}", f"b={b}"], 0.5)
    jobs = read_jobs(tmp_path)
    assert grid_pairs(jobs, swept(jobs)) == []
