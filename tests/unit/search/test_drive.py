"""How trials become jobs and jobs trials again, on slots and histories made up for it; no job is trained."""

import statistics
from collections import deque
from pathlib import Path

import pytest
from hydra.core.utils import JobReturn

from fulgurite.search.drive import Drive, Job
from fulgurite.search.racing import Race
from fulgurite.search.trial import Outcome, Trial
from fulgurite.sweep.pool import BatchPool, pool_of


class Asks:
    """Trials 0, 1, 2 ... with the settings that are listed."""

    def __init__(self, *settings: str) -> None:
        self.left = deque(enumerate(settings))
        self.told: list[tuple[int, Outcome]] = []
        self.known_when_asked: list[int] = []

    def ask(self) -> Trial | None:
        if not self.left:
            return None
        self.known_when_asked.append(len(self.told))
        number, setting = self.left.popleft()
        return Trial(number, (setting,))

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        self.told.append((trial.number, outcome))


class Fake:
    """Slots in which the job that was started last ends first."""

    def __init__(self, num_slots: int) -> None:
        self.num_slots = num_slots
        self.running: list[int] = []
        self.started: list[tuple[str, ...]] = []
        self.most = 0

    def start(self, number: int, overrides) -> None:
        self.running.append(number)
        self.started.append(tuple(overrides))
        self.most = max(self.most, len(self.running))

    def wait(self) -> tuple[int, JobReturn]:
        return self.running.pop(), JobReturn()


def make(trial: Trial, repeat: int) -> Job:
    overrides = (*trial.overrides, f"seed={repeat}")
    return Job(trial, repeat, overrides, Path("_".join(overrides)))


def drive(history, slots, outcomes=None, repeats: int = 1, race=None) -> None:
    def outcome(folder: Path) -> Outcome:
        found = (outcomes or {}).get(str(folder), 1.0)
        return Outcome("finished", (found,)) if isinstance(found, float) else Outcome(found)

    Drive(history, slots, make, outcome, repeats, race).run()


def test_a_trial_is_asked_for_as_soon_as_a_slot_falls_free():
    history, slots = Asks(*"abcde"), Fake(2)
    drive(history, slots)
    assert slots.most == 2
    # Each but the first two knows of all that had ended: there is no barrier.
    assert history.known_when_asked == [0, 0, 1, 2, 3]
    assert sorted(number for number, _ in history.told) == [0, 1, 2, 3, 4]


def test_the_mean_over_the_seeds_is_told():
    history = Asks("a")
    drive(history, Fake(3), {"a_seed=0": 1.0, "a_seed=1": 2.0, "a_seed=2": 6.0}, repeats=3)
    assert history.told == [(0, Outcome("finished", (3.0,), seeds=(1.0, 2.0, 6.0)))]


def test_the_other_seeds_wait_for_the_first_and_then_run_at_once():
    history, slots = Asks("a"), Fake(4)
    drive(history, slots, repeats=3)
    assert slots.started == [("a", "seed=0"), ("a", "seed=1"), ("a", "seed=2")]
    assert slots.most == 2


@pytest.mark.parametrize("status", ["pruned", "failed", "diverged"])
def test_a_seed_that_does_not_come_to_its_end_ends_the_trial(status):
    history, slots = Asks("a", "b"), Fake(1)
    drive(history, slots, {"a_seed=0": status}, repeats=3)
    assert history.told[0] == (0, Outcome(status))
    assert slots.started.count(("a", "seed=1")) == 0
    assert slots.started.count(("b", "seed=2")) == 1


def test_the_same_setting_asked_for_twice_is_run_once():
    history, slots = Asks("a", "a", "b", "a"), Fake(2)
    drive(history, slots, {"a_seed=0": 0.5})
    assert sorted(slots.started) == [("a", "seed=0"), ("b", "seed=0")]
    assert sorted((number, outcome.values) for number, outcome in history.told) == [
        (0, (0.5,)),
        (1, (0.5,)),
        (2, (1.0,)),
        (3, (0.5,)),
    ]


def test_a_batch_of_a_launcher_without_slots_runs_as_one_and_is_told_whole_before_the_next():
    class Launcher:
        batches: list[tuple[list[list[str]], int]] = []

        def launch(self, job_overrides, initial_job_idx):
            self.batches.append((job_overrides, initial_job_idx))
            return [JobReturn() for _ in job_overrides]

    history = Asks(*"abcde")
    with pool_of(Launcher(), 2) as slots:
        assert isinstance(slots, BatchPool)
        drive(history, slots)
    assert [(len(batch), first) for batch, first in Launcher.batches] == [(2, 0), (2, 2), (1, 4)]
    assert history.known_when_asked == [0, 0, 2, 2, 4]


def test_the_slots_of_a_launcher_that_has_some_are_taken():
    from contextlib import contextmanager

    fake = Fake(3)

    class Launcher:
        @contextmanager
        def pool(self):
            yield fake

    with pool_of(Launcher(), 1) as slots:
        assert slots is fake


def test_a_race_ends_a_setting_whose_first_seed_is_clearly_worse_than_the_best_mean():
    race = Race(2, "max")
    for values in ([0.90, 0.92], [0.80, 0.82], [0.85, 0.83]):
        # Two settings are too few to know how far seeds are apart.
        assert not race.is_lost(0.0)
        race.note(values)
    deviation = statistics.fmean([statistics.variance([0.90, 0.92])] * 3) ** 0.5
    margin = 3 * deviation * 1.5**0.5
    assert race.is_lost(0.91 - margin - 1e-6)
    assert not race.is_lost(0.91 - margin + 1e-6)
    assert not race.is_lost(0.99)


def test_a_race_for_the_smallest_goes_the_other_way():
    race = Race(2, "min")
    for values in ([0.1, 0.12], [0.2, 0.22], [0.3, 0.32]):
        race.note(values)
    assert race.is_lost(0.5)
    assert not race.is_lost(0.05)


def test_a_lost_trial_is_told_with_the_seed_that_it_has():
    history, slots = Asks(*"abcd"), Fake(1)
    outcomes = {f"{name}_seed={seed}": 0.9 + 0.01 * seed for name in "abc" for seed in range(2)}
    drive(history, slots, outcomes | {"d_seed=0": 0.1}, repeats=2, race=Race(2, "max"))
    assert history.told[-1] == (3, Outcome("finished", (0.1,), seeds=(0.1,)))
    assert ("d", "seed=1") not in slots.started
