"""Whether the jobs of a sweep can be built. What many jobs have in common is built once."""

from collections.abc import Callable
from typing import Any

from fulgurite.build import build, build_model
from fulgurite.errors import FulguriteError, check_int
from fulgurite.plan.jobs import Job, words_for


class Checks:
    """Builds each distinct model, with its optimiser and schedule, and each distinct set of everything else."""

    def __init__(self) -> None:
        self._done: dict[str, str | None] = {}

    def __call__(self, job: Job) -> str | None:
        """What is wrong with a job that was composed; ``None`` when it can be built."""
        cfg, plain = job.config, job.plain
        try:
            check_int("seed", cfg.seed, low=0)
        except FulguriteError as error:
            return str(error)
        learning = _part(plain, "model", "loss", "optimizer", "scheduler") + repr(plain["data"].get("spec"))
        wrong = self._once(job, learning, lambda: build_model(cfg))
        # With a model that cannot be built, nothing would be learnt of the rest.
        known = _part(plain, "data", "trainer", "callbacks", "logger", "objective", "augmentation")
        return wrong or self._once(job, known, lambda: build(cfg))

    def _once(self, job: Job, key: str, make: Callable[[], Any]) -> str | None:
        if key not in self._done:
            self._done[key] = None
            try:
                make()
            except Exception as error:
                self._done[key] = words_for(error, job.overrides)
        return self._done[key]


def check_schedule(job: Job, num_steps: int) -> str | None:
    """What is wrong with the optimiser and the schedule of a job of ``num_steps`` steps; ``None`` when nothing is."""
    try:
        model: Any = build_model(job.config)
        make_scheduler = getattr(model, "make_scheduler", None)
        if make_scheduler is not None:
            make_scheduler(model.make_optimizer(model.parameters()), num_steps=num_steps)
    except FulguriteError as error:
        return words_for(error, job.overrides)
    return None


def _part(plain: dict[str, Any], *groups: str) -> str:
    """The named groups as text; the seed decides on nothing that is built."""
    data = {key: value for key, value in plain["data"].items() if key != "seed"}
    return repr([(group, data if group == "data" else plain.get(group)) for group in groups])
