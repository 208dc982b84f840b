"""From trials to jobs and back: asks for one as a slot falls free, runs it with each of its seeds, tells the mean."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fulgurite.search.racing import Race
from fulgurite.search.trial import History, Outcome, Trial, mean
from fulgurite.sweep.pool import Pool


@dataclass(frozen=True)
class Job:
    """One job of a trial.

    Attributes:
        trial: which.
        repeat: its seed, counted from 0.
        overrides: all of it.
        folder: its run folder.
    """

    trial: Trial
    repeat: int
    overrides: tuple[str, ...]
    folder: Path


@dataclass
class _Begun:
    """A trial with jobs to come."""

    trial: Trial
    left: list[int]
    outcomes: dict[int, Outcome] = field(default_factory=dict)


class Drive:
    """Runs a search.

    Args:
        history: asks for trials and is told.
        pool: runs the jobs.
        job: makes the job of a trial and a repeat.
        outcome: reads what came of the job in a folder.
        repeats: seeds of each trial.
        race: ends trials after their first seed; ``None`` for none.
    """

    def __init__(
        self,
        history: History,
        pool: Pool,
        job: Callable[[Trial, int], Job],
        outcome: Callable[[Path], Outcome],
        repeats: int,
        race: Race | None,
    ) -> None:
        self._history, self._pool = history, pool
        self._job, self._outcome = job, outcome
        self._repeats, self._race = repeats, race
        self._begun: dict[int, _Begun] = {}
        self._running: dict[int, Job] = {}
        # Jobs whose folder another one works in: the same setting, asked for twice.
        self._held: list[Job] = []
        self._num_started = 0
        # Folders of jobs that have ended now.
        self._known: set[Path] = set()

    def run(self, first: int = 0) -> None:
        """Run all trials.

        Args:
            first: number of the first job, as the user is shown it.
        """
        while True:
            while len(self._running) < self._pool.num_slots and (job := self._next()) is not None:
                if any(job.folder == other.folder for other in self._running.values()):
                    self._held.append(job)
                elif job.folder in self._known:
                    print(f"trial {job.trial.number} is a setting that has been tried: {job.folder.name}", flush=True)
                    self._ended(job)
                else:
                    self._running[first + self._num_started] = job
                    self._pool.start(first + self._num_started, job.overrides)
                    self._num_started += 1
            if not self._running:
                return
            number, _ = self._pool.wait()
            self._ended(self._running.pop(number))

    def _next(self) -> Job | None:
        """The job to start next: of a trial that is begun, else of a new one."""
        busy = {job.folder for job in self._running.values()}
        for job in self._held:
            if job.folder not in busy:
                self._held.remove(job)
                return job
        for begun in self._begun.values():
            # The others wait for what the first seed says.
            if begun.left and 0 in begun.outcomes:
                return self._job(begun.trial, begun.left.pop(0))
        trial = self._history.ask()
        if trial is None:
            return None
        self._begun[trial.number] = _Begun(trial, list(range(1, self._repeats)))
        return self._job(trial, 0)

    def _ended(self, job: Job) -> None:
        begun = self._begun[job.trial.number]
        self._known.add(job.folder)
        outcome = begun.outcomes[job.repeat] = self._outcome(job.folder)
        if outcome.status != "finished":
            # A seed that does not come to its end decides.
            begun.left.clear()
        elif begun.left and job.repeat == 0 and self._race and self._race.is_lost(outcome.values[0]):
            print(f"trial {job.trial.number} takes no more seeds: the first is far below the best", flush=True)
            begun.left.clear()
        if begun.left or len(begun.outcomes) < self._asked(begun):
            return
        outcomes = [begun.outcomes[repeat] for repeat in sorted(begun.outcomes)]
        del self._begun[job.trial.number]
        if self._race and all(each.status == "finished" for each in outcomes):
            self._race.note([each.values[0] for each in outcomes])
        self._history.tell(job.trial, mean(outcomes))

    def _asked(self, begun: _Begun) -> int:
        """Jobs of a trial that have been made: those that have ended, run or are held."""
        others = [*self._running.values(), *self._held]
        return len(begun.outcomes) + sum(each.trial is begun.trial for each in others)
