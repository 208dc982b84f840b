"""The programs of K members, one for each shape of their batches, and whether what they have taken still holds."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.program import Program
from fulgurite.fused.reads import Reads
from fulgurite.fused.signature import differing, lifted
from fulgurite.fused.stack import Stack
from fulgurite.fused.surroundings import HPARAMS
from fulgurite.fused.traced_state import alike, traced_state
from fulgurite.fused.unfusable import UnfusableError


class Programs:
    """Traces a program whenever there is a batch of another shape.

    Args:
        loops: the members' epoch loops.
        stack: their tensors.
    """

    def __init__(self, loops: Sequence[FusedEpochLoop], stack: Stack) -> None:
        self._loops = loops
        self._stack = stack
        models = [loop.model for loop in loops]
        self._lifted, self._differing = lifted(models), differing(models)
        self._precision: Any = loops[0].trainer.precision_plugin
        self._programs: dict[Any, Program] = {}
        self._is_compiled = False
        self._reads = Reads()
        self._traced: dict[int, list[Any]] = {}
        # Before the first trace, and whole: another trace may read more.
        self._whole = [traced_state(loop) for loop in loops]
        self._seen = [_place(loop) for loop in loops]

    def of(self, batch: tuple[Tensor, Tensor], shared: bool, waiting: Sequence[int]) -> Program:
        """The program for batches like this one.

        Args:
            batch: (x, y), each K x B x ..., or B x ... when ``shared``.
            shared: all members see the same batch.
            waiting: numbers of the members that have not ended.

        Raises:
            UnfusableError: when there is none; nothing has changed.
        """
        key = (shared, batch[0].shape, batch[1].shape)
        if key not in self._programs:
            program = self._traced_with(batch, shared, waiting)
            if self._is_compiled:
                program.compile()
            self._programs[key] = program
        return self._programs[key]

    def changed(self, waiting: Sequence[int]) -> list[int]:
        """Which of the waiting members are no longer what was traced; hooks have run since they were."""
        found = []
        for own in waiting:
            place = _place(self._loops[own])
            if place != self._seen[own] and traced_state(self._loops[own], self._reads) != self._traced[own]:
                found.append(own)
            self._seen[own] = place
        return found

    def compile(self) -> None:
        """Compile the programs, those yet to be traced included.

        Raises:
            Exception: see ``Program.compile``.
        """
        for program in self._programs.values():
            program.compile()
        self._is_compiled = True

    def _traced_with(self, batch: tuple[Tensor, Tensor], shared: bool, waiting: Sequence[int]) -> Program:
        model, known = self._loops[waiting[0]].model, self._reads.number
        with self._precision.train_step_context():
            program = Program(model, self._stack, self._lifted, self._differing, self._reads, batch, shared=shared)
        if self._reads.number > known:
            self._compare_what_was_read(waiting)
        return program

    def _compare_what_was_read(self, waiting: Sequence[int]) -> None:
        """Take down what a trace has read, which must be the same in all members, and still be what it was."""
        loops = {own: self._loops[own] for own in waiting}
        # Those that differ and are not lifted are refused when they are read.
        may_differ = {*self._lifted, *((HPARAMS, key) for key in self._differing)}
        is_same = not self._programs or all(traced_state(loop) == self._whole[own] for own, loop in loops.items())
        if not is_same or not alike([loop.model for loop in loops.values()], may_differ, self._reads):
            raise UnfusableError("its training step reads what hooks have changed")
        self._traced = {own: traced_state(loop, self._reads) for own, loop in loops.items()}


def _place(loop: Any) -> tuple[int, int]:
    """Differs where there was a new epoch or a validation in between."""
    return loop.trainer.current_epoch, loop.val_loop.batch_progress.total.ready
