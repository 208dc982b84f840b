import pytest

from fulgurite.errors import ConfigError
from fulgurite.pictures.budget import Budget


class Clock:
    """Shows the seconds that it is set to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def spend(budget: Budget, clock: Clock, name: str, seconds: float) -> None:
    with budget.timed(name):
        clock.now += seconds


def test_a_guess_has_to_fit_into_the_share_with_a_margin(clock):
    budget = Budget(0.05, 2, clock)
    budget.start()
    clock.now = 20
    # 5 % of 20 s is 1 s, and nothing takes exactly as long as it is guessed.
    assert budget.has_time_for("a", 0.8, is_last=True)
    assert not budget.has_time_for("a", 0.81, is_last=True)


def test_what_a_run_trains_elsewhere_is_earned_until_the_next_start(clock):
    budget = Budget(0.05, 2, clock)
    budget.start()
    budget.earned_s = 20
    assert budget.has_time_for("a", 0.8, is_last=True)
    budget.start()
    assert not budget.has_time_for("a", 0.8, is_last=True)


def test_half_of_the_time_is_kept_for_the_last_epoch(clock):
    budget = Budget(0.05, 2, clock)
    budget.start()
    clock.now = 20
    assert budget.has_time_for("a", 0.4, is_last=False)
    assert not budget.has_time_for("a", 0.41, is_last=False)


def test_what_it_took_the_last_time_counts_more_than_the_guess(clock):
    budget = Budget(0.05, 2, clock)
    budget.start()
    clock.now = 100
    spend(budget, clock, "a", 3.0)
    clock.now = 140
    # 3 of 7 s are spent, and 3.75 are to be reckoned with.
    assert budget.has_time_for("a", 0.0, is_last=True)
    spend(budget, clock, "b", 0.5)
    assert not budget.has_time_for("a", 0.0, is_last=True)


def test_a_share_of_one_is_no_limit(clock):
    budget = Budget(1, 2, clock)
    budget.start()
    assert budget.has_time_for("a", 10.0, is_last=False)


def test_what_was_spent_before_the_start_does_not_count(clock):
    budget = Budget(0.05, 2, clock)
    spend(budget, clock, "a", 50.0)
    budget.start()
    clock.now += 100
    assert budget.spent_s == 0
    assert budget.elapsed_s == 100


def fail(budget: Budget, clock: Clock) -> None:
    with budget.timed("a"):
        clock.now += 2
        raise ValueError("no")


def test_a_fault_costs_its_time_too(clock):
    budget = Budget(0.05, 2, clock)
    budget.start()
    with pytest.raises(ValueError, match="no"):
        fail(budget, clock)
    assert budget.spent_s == 2


def test_bytes_grow_with_the_run_and_half_of_them_are_kept_for_the_last_epoch(clock):
    budget = Budget(0.05, 2, clock)
    budget.start()
    # After a fifth of the run a tenth of 2 MB.
    assert not budget.take(200_001, done=0.2, is_last=False)
    assert budget.take(200_000, done=0.2, is_last=False)
    assert not budget.take(1, done=0.2, is_last=False)
    assert budget.take(1_800_000, done=1.0, is_last=True)
    assert not budget.take(1, done=1.0, is_last=True)


def test_a_run_that_goes_on_has_no_more_bytes_than_one_that_was_never_stopped(clock):
    budget = Budget(0.05, 2, clock)
    budget.start(done=0.5)
    assert not budget.take(100_001, done=0.6, is_last=False)
    assert budget.take(100_000, done=0.6, is_last=False)
    # What may have been taken before is not said to be taken now.
    assert budget.num_bytes == 100_000


@pytest.mark.parametrize("share", [-0.1, 1.1, "much"])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ConfigError, match="share_of_time must be a number"):
        Budget(share, 2)
