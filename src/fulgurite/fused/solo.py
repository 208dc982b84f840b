"""One job through the program of a fused sweep: ``engine=compiled`` and ``engine=auto``.

The traced step of a single member (K = 1), compiled. It is an ordinary run, whose epoch loop answers its own requests.
"""

import math
import statistics
import time
from collections.abc import Generator, Iterator
from typing import Any

from fulgurite.fused.answers import Answer, Results
from fulgurite.fused.group import CHANGED, Group
from fulgurite.fused.horizon import num_left
from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.probe import PROBED_STEPS, compiling_pays, in_ms
from fulgurite.fused.signals import ctrl_c_waits
from fulgurite.fused.unfusable import UnfusableError, why_not_compiled

# The part of a small network's plain step that compiling takes off, or more.
_COMPILE_GAIN = 0.35


class CompiledEpochLoop(FusedEpochLoop):
    """Compiles the training step, and makes all steps with it as far as it can be compiled.

    Nothing of that depends on the clock: the same run makes the same steps in the same way.
    """

    asks = True
    _ways: Iterator[Answer | Group] | None = None
    _way: Answer | Group = Answer.STEP
    # Steps of the program before the next choice.
    _at_most: float = math.inf

    def advance(self, data_fetcher: Any) -> None:
        """Make the next steps in the way that is chosen."""
        if not self._alone and not self._restarting:
            self._ways = self._ways or self._choose()
            self._way = next(self._ways)
            if isinstance(self._way, Group):
                # Steps are made before they are accounted for.
                with ctrl_c_waits():
                    super().advance(data_fetcher)
                return
        super().advance(data_fetcher)

    def _ask(self) -> Answer | Results:
        if not isinstance(self._way, Group):
            return self._way
        try:
            return self._way.run(int(min(self._way.num_wanted(), self._at_most)))[0]
        except UnfusableError as error:
            self._tell(f"compiled no longer: {error}")
            return Answer.ALONE

    def _account(self, data_fetcher: Any, results: Results) -> None:
        super()._account(data_fetcher, results)
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if not self._looks_at_each_batch(callback):
                number = self.batch_progress.current.ready - 1
                callback.on_train_batch_end(self.trainer, self.model, None, None, number)

    def _looks_at_each_batch(self, callback: Any) -> bool:
        return not getattr(callback, "samples_batches", False)

    def _choose(self) -> Iterator[Answer | Group]:
        """How the next steps are made, until it is asked again: ``STEP``, ``ALONE``, or by a group of this one run."""
        group = self._grouped()
        seconds = None if group is None else self._compile(group)
        if group is None or seconds is None:
            yield Answer.ALONE
            return
        self._tell(f"compiled in {seconds:.2g} s")
        while not group.changed():
            yield group
        self._tell(f"compiled no longer: {CHANGED}")
        yield Answer.ALONE

    def _grouped(self) -> Group | None:
        """A group of this one run; where its step cannot be a program, a line says why."""
        reason = self.why_alone()
        try:
            if reason is None:
                return Group([self])
        except UnfusableError as error:
            reason = str(error)
        self._tell(f"not compiled: {reason}")
        return None

    def _compile(self, group: Group) -> float | None:
        """Compile; the seconds that it took. ``None`` where it failed, and a line says why."""
        started = time.perf_counter()
        try:
            group.compile()
        except Exception as error:
            self._tell(f"not compiled: {why_not_compiled(error)}")
            return None
        return time.perf_counter() - started

    def _tell(self, line: str) -> None:
        print(f"the training step is {line}", flush=True)


class AutoEpochLoop(CompiledEpochLoop):
    """Times some steps of each kind and goes on with the quickest; compiles where that saves more than it takes."""

    def _choose(self) -> Iterator[Answer | Group]:
        alone_s = yield from self._timed()
        group = self._grouped()
        if group is not None:
            group_s = yield from self._timed(group)
            if self._pays(alone_s, group_s) and (seconds := self._compile(group)) is not None:
                group_s = yield from self._timed(group)
                self._tell(_compared(seconds, group_s, alone_s))
            while group_s < alone_s and not group.changed():
                yield group
        yield Answer.ALONE

    def _timed(self, group: Group | None = None) -> Generator[Answer | Group, None, float]:
        """Make some steps alone, or with a program; the seconds of one."""
        self._at_most = PROBED_STEPS
        # The first is slower than all others.
        yield group or Answer.STEP
        times, start = [], self.batch_progress.total.ready
        while self.batch_progress.total.ready < start + PROBED_STEPS:
            yield group or Answer.STEP
            times.append(group.step_s if group else self.step_s)
        self._at_most = math.inf
        return statistics.median(times)

    def _pays(self, alone_s: float, traced_s: float) -> bool:
        """Whether the steps that are left are worth compiling; if not, a line says so."""
        left = num_left(self)
        if compiling_pays(left, alone_s, _COMPILE_GAIN):
            return True
        traced = f", of {in_ms(traced_s)} as a traced program" if traced_s < alone_s else ""
        self._tell(
            f"not compiled, which takes longer than it saves: {left:,} steps of {in_ms(alone_s)} are left{traced}"
        )
        return False


def _compared(seconds: float, compiled_s: float, alone_s: float) -> str:
    if compiled_s < alone_s:
        return f"compiled in {seconds:.2g} s: it takes {in_ms(compiled_s)} instead of {in_ms(alone_s)}"
    return f"not compiled: it would take {in_ms(compiled_s)} instead of {in_ms(alone_s)}"
