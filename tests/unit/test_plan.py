"""The parts of ``fulgurite sweep plan``: composing, checking, timing, counting bytes, saying it."""

import io
import math
import time
from pathlib import Path

import pytest
from hydra.errors import OverrideParseException
from rich.console import Console

from fulgurite.config import CONF_DIR
from fulgurite.errors import ConfigError
from fulgurite.fused.memory import Memory, memory_of
from fulgurite.log import quiet_libraries
from fulgurite.models.supervised import Supervised
from fulgurite.plan import check, jobs, text
from fulgurite.plan.check import Checks, check_schedule
from fulgurite.plan.estimate import JobGroup, StepTimes
from fulgurite.plan.grouping import Settings, group_jobs
from fulgurite.plan.jobs import Job, Problems, compose_jobs, in_words, shared_values
from fulgurite.plan.trial import Trial
from fulgurite.sweep.prepare import prepare

# 100 steps an epoch of ten samples, on a network of one layer.
SMALL = ("model=linear", "trainer=cpu", "data.train_subset=1000", "data.batch_size=10", "data.eval_batch_size=500")


@pytest.fixture
def composed(tmp_path):
    """Compose the jobs of a sweep: those jobs, and what is wrong with them."""

    def compose(*overrides: str) -> tuple[list[Job], Problems]:
        problems = Problems()
        return compose_jobs([*SMALL, *overrides], tmp_path / "run", problems), problems

    return compose


@pytest.fixture
def grouped(composed):
    """Group the jobs of a sweep: the groups, and what is wrong."""

    def group(*overrides: str, max_members: int = 64, probe: bool = False) -> tuple[list[JobGroup], Problems]:
        found, problems = composed(*overrides)
        with quiet_libraries():
            return group_jobs(found, Settings(max_members, probe), problems, lambda line: None), problems

    return group


def told(problems: Problems) -> list[tuple[list[int], str]]:
    return [([job.number for job in each.jobs], each.message) for each in problems.listed()]


def test_jobs_are_numbered_from_1_and_know_their_swept_values(composed):
    found, problems = composed("optimizer.lr=0.1,0.2", "seed=1,2", "test=false")
    assert [job.number for job in found] == [1, 2, 3, 4]
    assert found[2].values == {"optimizer.lr": "0.2", "seed": "1"}
    assert found[2].config.optimizer.lr == 0.2
    assert found[2].plain["data"]["seed"] == 1
    assert told(problems) == []


def test_one_job_without_swept_values_is_a_sweep_of_one(composed):
    found, _ = composed("seed=3")
    assert [(job.number, job.values) for job in found] == [(1, {})]


def test_wrong_values_in_different_jobs_are_told_together(composed):
    _, problems = composed("model=linear,mlpp", "seed=1,a")
    models = ", ".join(sorted(path.stem for path in (CONF_DIR / "model").glob("*.yaml")))
    assert told(problems) == [
        ([2], "seed must be an integer, got a"),
        ([3, 4], f"model must be one of {models}; got mlpp (did you mean mlp?)"),
    ]


def test_a_key_that_one_of_two_models_lacks_is_wrong_with_that_models_jobs_alone(composed):
    _, problems = composed("model=mlp,linear", "model.dropout=0.1,0.2")
    ((numbers, message),) = told(problems)
    assert numbers == [3, 4]
    assert message.startswith("there is no key model.dropout in model=linear")


def test_a_value_that_refers_to_nothing_is_told(composed):
    _, problems = composed("optimizer.lr=0.1,${nothing}")
    assert told(problems)[0][0] == [2]
    assert "optimizer.lr refers to nothing, which the config lacks" in told(problems)[0][1]


def test_a_job_on_several_devices_is_refused(composed):
    _, problems = composed("trainer.devices=1,2")
    ((numbers, message),) = told(problems)
    assert numbers == [2]
    assert message.startswith("a sweep on this launcher needs trainer.devices=1")


def test_an_override_that_cannot_be_read_is_raised(composed):
    with pytest.raises(OverrideParseException):
        composed("model.hidden=[1,2")


@pytest.mark.parametrize("word", ["hydra/launcher=joblib", "hydra/sweeper=optuna", "hydra.sweeper.n_jobs=2"])
def test_jobs_that_something_else_chooses_have_no_plan(composed, word):
    with pytest.raises(ConfigError, match=f"a plan is made of the jobs of a grid, and {word} leaves them"):
        composed(word)


def test_what_cannot_be_composed_is_not_tried_once_a_job(tmp_path, monkeypatch):
    tried = []
    real = jobs.compose
    monkeypatch.setattr(jobs, "compose", lambda *args, **kwargs: tried.append(1) or real(*args, **kwargs))
    problems = Problems()
    found = compose_jobs(["model=linear,mlpp", "seed=range(20)", "test=true,x"], tmp_path, problems)
    assert len(found) == 80
    assert [len(each.jobs) for each in problems.listed()] == [20, 40]
    assert len(tried) < 15


def test_the_same_words_of_several_jobs_are_one_problem_in_the_order_of_its_first_job(composed):
    found, problems = composed("seed=1,2,3")
    for job, message in [(found[2], "b"), (found[0], "a"), (found[1], "b"), (found[1], "b")]:
        problems.add(job, message)
    assert told(problems) == [([1], "a"), ([2, 3], "b")]
    assert problems.fail(found[0])


def test_checks_name_what_no_class_accepts(composed):
    found, _ = composed("model=mlp", "model.dropout=0.1,1.5", "optimizer.lr=0.1,-1.0")
    with quiet_libraries():
        checks = Checks()
        messages = [checks(job) for job in found]
    assert messages == [
        None,
        "optimizer.lr must be a number > 0, got -1.0",
        "model.dropout must be in [0, 1), got 1.5",
        "model.dropout must be in [0, 1), got 1.5",
    ]


def test_a_negative_seed_and_a_wrong_trainer_are_told(composed):
    found, _ = composed("seed=1,-1", "trainer.max_epochs=1,0")
    with quiet_libraries():
        checks = Checks()
        messages = [checks(job) for job in found]
    assert messages == [
        None,
        "trainer.max_epochs must be an integer >= 1, got 0",
        *["seed must be an integer >= 0, got -1"] * 2,
    ]


def test_each_distinct_model_is_built_once_whatever_the_seeds(composed, monkeypatch):
    built = []
    real = check.build_model
    monkeypatch.setattr(check, "build_model", lambda cfg: built.append(cfg.optimizer.lr) or real(cfg))
    found, _ = composed("optimizer.lr=0.1,0.2", "seed=range(10)")
    with quiet_libraries():
        checks = Checks()
        assert [checks(job) for job in found] == [None] * 20
    assert built == [0.1, 0.2]


def test_a_schedule_longer_than_the_run_is_told(composed):
    (job,), _ = composed("scheduler=cosine", "scheduler.warmup_steps=40")
    assert check_schedule(job, 41) is None
    assert check_schedule(job, 40) == "scheduler.warmup_steps must be less than the 40 steps of the run, got 40"


def test_a_trial_makes_one_step_and_counts_bytes(composed):
    """A linear layer of 784 x 10 and 10 under Adam, 10 samples a step."""
    (job,), _ = composed("trainer.max_epochs=3", "optimizer=adam", "logger=csv")
    with quiet_libraries():
        trial = Trial(job, {})
        try:
            memory = memory_of(trial.loop)
            assert trial.error is None
            assert trial.num_steps == 300
            assert trial.loop.batch_progress.current.ready == 1
            assert (trial.setup_s > 0, trial.first_s > 0, trial.validation_s > 0) == (True, True, True)
        finally:
            trial.end()
    assert memory.gradients == 4 * 7850
    assert memory.optimizer == 2 * 4 * 7850 + 2 * 4
    # Raw pixels and labels of 1,000 training and 5,000 validation samples.
    assert memory.data == 6000 * (784 + 8)
    # The batch, the log-probabilities, the labels; at most a few more of the size of the outputs.
    least = 4 * 10 * (784 + 10) + 8 * 10
    assert least <= memory.activations <= least + 4 * 4 * 10 * 10
    assert not list(Path(job.config.folder).parent.glob("**/*.csv"))


def test_a_trial_of_a_job_that_fails_keeps_its_error(composed):
    (job,), _ = composed("data.train_subset=70000")
    with quiet_libraries():
        trial = Trial(job, {})
    assert isinstance(trial.error, ConfigError)
    assert not trial.is_waiting


def test_memory_is_that_of_each_job_and_the_data_once():
    assert Memory(parameters=1, gradients=2, optimizer=3, activations=4, data=100).of(5) == 150


@pytest.mark.parametrize(("num_jobs", "seconds"), [(8, 1.4), (64, 7.0), (4, 1.0)])
def test_a_program_that_was_not_timed_lies_on_the_line_through_those_that_were(num_jobs, seconds):
    assert StepTimes(1.0, {2: 0.8, 8: 1.4}).of_program(num_jobs) == pytest.approx(seconds)


def test_a_larger_program_is_never_taken_to_be_quicker():
    assert StepTimes(1.0, {2: 2.0, 8: 1.0}).of_program(64) == 1.0


def a_group(found: list[Job], programs: list[int], reason: str = "", together: float = 0.5) -> JobGroup:
    times = StepTimes(0.2, {size: together for size in programs[:1]})
    return JobGroup(found, "Linear", 7850, 10, 100, programs, reason, times, 1.0, 2.0, Memory(1, 1, 2, 4, 1000))


def test_seconds_are_those_of_set_up_validation_and_steps_of_all_jobs(composed):
    found, _ = composed("seed=range(5)")
    group = a_group(found, [4])
    assert group.alone_s == pytest.approx(5 * (1.0 + 2.0 + 100 * 0.2))
    # Four of them take half a second a step together, the fifth its own.
    assert group.fused_s == pytest.approx(5 * (1.0 + 2.0) + 100 * (0.5 + 0.2))


def test_jobs_that_differ_in_numbers_are_one_group_and_other_sizes_another(grouped):
    groups, problems = grouped("model=mlp", "model.hidden=[4],[8]", "optimizer.lr=0.1,0.2", "seed=1,2")
    assert told(problems) == []
    assert [[job.number for job in group.jobs] for group in groups] == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert [group.num_parameters for group in groups] == [784 * n + n + 2 * n + 10 * n + 10 for n in (4, 8)]
    assert [group.programs for group in groups] == [[4], [4]]
    assert [group.reason for group in groups] == ["", ""]
    assert [(group.model, group.batch_size) for group in groups] == [("MLP", 10)] * 2
    for group in groups:
        assert group.times.alone > 0
        assert set(group.times.together) == {4}


def test_a_group_is_cut_to_max_members(grouped):
    ((group,), _) = grouped("seed=range(7)", max_members=3)
    assert group.programs == [3, 3]
    assert group.reason == "no other job is like it"


def test_a_group_is_cut_evenly_to_what_fits_into_memory(grouped, monkeypatch):
    monkeypatch.setattr("fulgurite.plan.grouping.num_that_fit", lambda loop: 4)
    ((group,), _) = grouped("seed=range(7)", max_members=5)
    assert group.programs == [2, 3, 2]


def test_one_job_of_a_kind_trains_alone(grouped):
    groups, _ = grouped("data.batch_size=10,20")
    assert [(group.programs, group.reason) for group in groups] == [([], "no other job is like it")] * 2


def test_what_a_program_cannot_do_is_told_in_the_launchers_words(grouped):
    ((group,), _) = grouped("optimizer=lbfgs", "scheduler=constant", "seed=1,2")
    assert group.programs == []
    assert group.reason == "LBFGS looks at each batch several times"


def test_what_is_not_quicker_is_told_to_train_alone(grouped, monkeypatch):
    monkeypatch.setattr("fulgurite.plan.grouping.time_together", lambda trials: math.inf)
    ((group,), _) = grouped("seed=1,2", probe=True)
    assert (group.programs, group.reason) == ([], "it would not be faster")
    assert group.fused_s == group.alone_s


def test_a_step_together_does_not_hold_the_validations_between_steps(grouped, monkeypatch):
    validate = Supervised.validation_step

    def slow(self, batch, batch_idx):
        time.sleep(0.5)
        return validate(self, batch, batch_idx)

    monkeypatch.setattr(Supervised, "validation_step", slow)
    found, _ = grouped("data.train_subset=50", "trainer.limit_val_batches=1", "trainer.max_epochs=20", "seed=1,2")
    # Spread over the five steps of an epoch, the validations of two jobs would be 0.2 s a step.
    assert found[0].times.together[2] < 0.1


def test_jobs_that_fail_at_their_first_step_are_told_and_nothing_is_timed(grouped, monkeypatch):
    monkeypatch.setattr("fulgurite.plan.grouping.time_alone", lambda trials: pytest.fail("timed"))
    _, problems = grouped("data.train_subset=70000,1000", "seed=1,2,3,4,5")
    ((numbers, message),) = told(problems)
    assert numbers == [1, 2, 3, 4, 5]
    assert message.startswith("data.train_subset=70000 is more than the 55000 training samples there are")


def test_a_schedule_that_fits_some_jobs_alone_is_told_for_the_others(grouped):
    words = ("scheduler=cosine", "scheduler.warmup_steps=10,20,4000", "trainer.max_epochs=1")
    _, problems = grouped(*words)
    assert told(problems) == [([3], "scheduler.warmup_steps must be less than the 100 steps of the run, got 4000")]


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([1], "1"),
        ([2, 1], "1, 2"),
        ([1, 2, 3], "1 to 3"),
        ([1, 3, 4, 5, 9, 10], "1, 3 to 5, 9, 10"),
        ([9, 10, 11, 12, 20], "9 to 12, 20"),
    ],
)
def test_numbers_of_jobs_in_words(numbers, words):
    assert in_words(numbers) == words


def test_values_that_all_jobs_share(composed):
    found, _ = composed("optimizer.lr=0.1,0.2", "seed=1,2")
    assert shared_values(found[:2]) == {"optimizer.lr": "0.1"}
    assert shared_values(found) == {}


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.9, "9.9 s"), (9.97, "10 s"), (59.7, "1 min 0 s"), (200, "3 min 20 s"), (7490, "2 h 5 min")],
)
def test_seconds_in_words(seconds, words):
    assert text.duration(seconds) == words


@pytest.mark.parametrize(
    ("num_bytes", "words"), [(900, "1 kB"), (12_300, "12 kB"), (3_400_000, "3.4 MB"), (47e6, "47 MB"), (2e9, "2.0 GB")]
)
def test_bytes_in_words(num_bytes, words):
    assert text.size(num_bytes) == words


def printed(found: list[Job], groups: list[JobGroup]) -> str:
    stream = io.StringIO()
    text.print_plan(Console(file=stream, width=100), found, groups, "basic")
    return stream.getvalue()


def test_a_plan_shows_groups_reasons_and_sums(composed):
    found, _ = composed("model=linear,mlp", "seed=range(5)")
    groups = [a_group(found[:5], [4], "no other job is like it"), a_group(found[5:], [], "LBFGS looks twice")]
    lines = [line.strip() for line in printed(found, groups).splitlines()]
    assert lines[0] == "10 jobs in 2 groups"
    assert "Group 1: 5 jobs (1 to 5), model=linear" in lines
    assert "Linear, 7,850 parameters, batches of 10, 100 steps a job" in lines
    together = "a step of 4 takes 500 ms together, 800 ms one after the other"
    assert f"launcher=fused trains one program: {together}; 1 alone: no other job is like it" in lines
    assert "launcher=fused trains each alone: LBFGS looks twice" in lines
    (total,) = [line.split() for line in lines if line.startswith("all ")]
    assert " ".join(total[1:9]) == "3 min 50 s 3 min 20 s"


def test_many_jobs_are_cut_to_the_first_and_the_last(composed):
    found, _ = composed("seed=range(60)")
    numbers = [line.split()[0] for line in printed(found, [a_group(found, [60])]).splitlines() if line[:1].isdigit()]
    assert numbers[1:] == [str(number) for number in [*range(1, 21), *range(56, 61)]]


def test_problems_name_jobs_and_values(composed):
    found, problems = composed("optimizer.lr=0.1,0.2", "seed=1,2")
    problems.add(found[0], "boom")
    problems.add(found[1], "boom")
    problems.add(found[3], "[red]crash")
    stream = io.StringIO()
    text.say_problems(Console(file=stream, width=40), problems.listed(), 4)
    assert stream.getvalue().splitlines() == [
        "3 of 4 jobs cannot run:",
        "  jobs 1, 2 (optimizer.lr=0.1): boom",
        "  job 4 (optimizer.lr=0.2 seed=2): [red]crash",
    ]


def test_a_job_that_is_there_twice_is_refused_because_both_would_write_one_folder(composed):
    with pytest.raises(ConfigError, match=r"jobs 2 and 4 are the same \(.* seed=1\); give each value of a key once"):
        composed("seed=2,1,3,1")
    with pytest.raises(ConfigError, match="jobs 1 and 2 are the same"):
        prepare([*SMALL, "seed=1,1"])
