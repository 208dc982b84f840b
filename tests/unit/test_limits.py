"""How long a job of a sweep may last, and how often it runs again. Training is a stand-in here."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fulgurite import cli, job
from fulgurite.errors import ConfigError
from fulgurite.result import Failure, Objective, Result, read_result
from fulgurite.resume import abandon, follows_at_once, is_over, next_attempt, record_in
from fulgurite.sweep.limits import JobTimeout, Limits, limits_of, time_limit


def record(status: str, attempts: int = 1, error: str = "RuntimeError") -> Result:
    failure = Failure(error, "", "train.log") if status == "failed" else None
    return Result(status, Objective("val/acc", "max"), error=failure, attempts=attempts)


def test_by_default_a_failed_job_runs_again_once_and_takes_any_time():
    assert limits_of({}) == Limits(1, None)
    assert limits_of({"retries": 0, "job_timeout_s": 2}) == Limits(0, 2.0)


@pytest.mark.parametrize(
    ("sweep", "launcher", "message"),
    [
        ({"retries": -1}, "basic", "sweep.retries must be an integer >= 0, got -1"),
        ({"retries": 1.5}, "basic", "sweep.retries must be an integer >= 0, got 1.5"),
        ({"job_timeout_s": 0}, "basic", "sweep.job_timeout_s must be a number > 0, got 0"),
        (
            {"job_timeout_s": 5},
            "fused",
            "sweep.job_timeout_s must be null with launcher=fused, whose jobs train together, got 5; leave it out, or "
            "use launcher=processes",
        ),
    ],
)
def test_limits_that_cannot_be_kept_are_refused(sweep, launcher, message):
    with pytest.raises(ConfigError) as caught:
        limits_of(sweep, launcher)
    assert str(caught.value) == message


def test_a_job_is_left_where_it_is_when_its_time_is_over():
    started = time.monotonic()
    with pytest.raises(JobTimeout, match=r"took longer than sweep.job_timeout_s=0.2$"), time_limit(Limits(0, 0.2)):
        time.sleep(30)
    assert 0.2 <= time.monotonic() - started < 5
    # Nothing comes later.
    time.sleep(0.3)


def test_a_job_that_is_quick_enough_hears_of_no_limit():
    with time_limit(Limits(0, 0.2)):
        pass
    time.sleep(0.3)


def test_other_threads_have_no_limit_of_their_own():
    passed = []

    def work() -> None:
        with time_limit(Limits(0, 0.01)):
            time.sleep(0.05)
        passed.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert passed


@pytest.mark.parametrize(
    ("before", "retries", "over"),
    [
        (None, 0, False),
        (record("finished"), 1, True),
        (record("diverged"), 1, True),
        (record("interrupted", 9), 0, False),
        (record("running", 9), 0, False),
        (record("failed", 1), 1, False),
        (record("failed", 2), 1, True),
        (record("failed", 2), 2, False),
        (record("failed", 1), 0, True),
        (record("failed", 9, "ConfigError"), 0, False),
    ],
)
def test_a_job_is_over_when_it_has_ended_or_failed_too_often(before, retries, over):
    assert is_over(before, retries) is over


@pytest.mark.parametrize(
    ("before", "number"),
    [
        (None, 1),
        (record("finished", 3), 1),
        (record("failed", 2), 3),
        (record("failed", 2, "ConfigError"), 2),
        (record("interrupted", 2), 2),
        (record("running", 2), 2),
    ],
)
def test_an_attempt_that_was_interrupted_or_refused_counts_as_the_same(before, number):
    assert next_attempt(before) == number


@pytest.mark.parametrize(("attempts", "retries", "again"), [(1, 1, False), (1, 2, True), (2, 2, False), (1, 0, False)])
def test_the_last_time_is_kept_for_the_same_command_given_again(attempts, retries, again):
    assert follows_at_once(record("failed", attempts), retries) is again


def test_a_config_that_is_refused_does_not_run_again_at_once():
    assert not follows_at_once(record("failed", 1, "ConfigError"), 5)


def test_a_process_that_ends_before_its_job_begins_has_used_an_attempt(tmp_path):
    for number in (1, 2, 3):
        assert abandon(tmp_path, [], "was ended").attempts == number
    running = replace(read_result(tmp_path), status="running").write(tmp_path)
    assert abandon(tmp_path, [], "was ended").attempts == running.attempts == 3


def test_what_cannot_be_recorded_is_known_all_the_same(tmp_path):
    (tmp_path / "file").touch()
    result = abandon(tmp_path / "file" / "job", ["seed=1"], "was ended")
    assert (result.status, result.overrides) == ("failed", ["seed=1"])
    assert record_in(tmp_path / "file" / "job") is None


class Training:
    """Stands in for ``run_job``: fails as often as it is told."""

    def __init__(self) -> None:
        self.failures = 100
        self.error: type[Exception] = RuntimeError
        self.begun: list[str] = []

    def __call__(self, cfg, overrides, build=None, begun=None):
        folder = Path(cfg.folder)
        result = replace(record("finished"), attempts=next_attempt(record_in(folder)), overrides=list(overrides))
        self.begun.append(overrides[-1])
        if cfg.seed == 1 and self.failures:
            self.failures -= 1
            failure = Failure(self.error.__name__, "no", "train.log")
            replace(result, status="failed", error=failure).write(folder)
            raise self.error("no")
        return result.write(folder)


@pytest.fixture
def training(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "run_job", stand_in := Training())
    return stand_in


def night(*words: str) -> int:
    return cli.train(["-m", "sweep.name=night", "model=mlp", *words, "seed=1,2"])


def test_a_failed_job_runs_again_with_the_same_command_as_often_as_it_may(training, capsys):
    assert [night(), night(), night()] == [1, 1, 1]
    assert training.begun == ["seed=1", "seed=2", "seed=1"]
    said = [line for line in capsys.readouterr().out.splitlines() if "seed-1" in line and line.startswith("[")]
    assert said[-1] == "[1/2] seed-1 failed 2 times before; sweep.retries=2 runs it again"
    training.failures = 0
    assert night("sweep.retries=2") == 0
    assert training.begun[3:] == ["seed=1"]


def test_a_failed_job_runs_again_at_once_but_for_the_last_time(training):
    training.failures = 2
    assert night("sweep.retries=3") == 0
    assert training.begun == ["seed=1", "seed=1", "seed=1", "seed=2"]


def test_a_refused_config_is_tried_once_in_each_sweep(training):
    training.error = ConfigError
    assert [night("sweep.retries=5"), night("sweep.retries=5")] == [1, 1]
    assert training.begun == ["seed=1", "seed=2", "seed=1"]


def test_the_line_of_a_failed_job_is_one(training, capsys):
    class Long(Exception):
        def __str__(self) -> str:
            return "one\ntwo\n"

    training.error = Long
    night()
    assert capsys.readouterr().err.startswith("[1/2] failed: Long: two (traceback in outputs/sweeps/night/seed-1_")
