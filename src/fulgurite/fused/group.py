"""Members whose steps are one program: their stacked tensors, their batches, their optimiser."""

import time
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fulgurite.fused.answers import Results
from fulgurite.fused.batches import Batches
from fulgurite.fused.device import Clock, draw_mask
from fulgurite.fused.gradients import Gradients, norms_of
from fulgurite.fused.horizon import num_wanted
from fulgurite.fused.loop import FusedEpochLoop
from fulgurite.fused.optimizers import stack_optimizers
from fulgurite.fused.program import Dropout, Program, StepOutput
from fulgurite.fused.programs import Programs
from fulgurite.fused.records import Call
from fulgurite.fused.stack import Stack
from fulgurite.fused.stacked_optimizer import Rates
from fulgurite.fused.unfusable import in_all_ranks
from fulgurite.training.products import fast_products

# Said of a member that is no longer what was traced.
CHANGED = "its model or optimiser was changed between two epochs"


class Group:
    """K members of one signature.

    Args:
        loops: their epoch loops, each waiting for steps.

    Attributes:
        ended: which of them have ended.
        step_s: seconds of a step of all of them, the last time.

    Raises:
        UnfusableError: when their step cannot be batched; the members are as they were.
    """

    def __init__(self, loops: Sequence[FusedEpochLoop]) -> None:
        self.loops = list(loops)
        self._ranks = loops[0].ranks
        # A member that has ended and is tested has no training data any more.
        self._device = loops[0].loader.x.device
        self.ended = [False] * len(loops)
        self.step_s = 0.0
        models = [loop.model for loop in loops]
        self._stack = Stack(models)
        self._buffers = [self._stack.constants[name] for name, _ in models[0].named_buffers()]
        self._optimizer = stack_optimizers([loop.optimizer for loop in loops], self._stack)
        self._gradients = Gradients(self.loops, self._stack)
        self._precision: Any = loops[0].trainer.precision_plugin
        self._programs = Programs(self.loops, self._stack)
        batches = self._next_batches(1)
        # So that what cannot be batched is known at once.
        self._programs.of(self._precision.convert_input(batches[0]), batches.shared, self.waiting)

    @property
    def waiting(self) -> list[int]:
        """Numbers of the members that have not ended."""
        return [number for number, ended in enumerate(self.ended) if not ended]

    def changed(self) -> list[int]:
        """Numbers of the waiting members that are no longer what was traced; hooks have run since they were."""
        return self._programs.changed(self.waiting)

    def num_wanted(self) -> int:
        """Steps until something happens between two of them in one of the waiting members."""
        return min(num_wanted(self.loops[own]) for own in self.waiting)

    def compile(self) -> None:
        """Compile the programs, those yet to be traced included.

        Raises:
            Exception: see ``Program.compile``.
        """
        with fast_products(self._device):
            self._programs.compile()

    def run(self, number: int) -> dict[int, Results]:
        """Make the next steps of all members that have not ended; their results by the number of the member.

        Raises:
            UnfusableError: when batches of this shape cannot be batched in one of the ranks; no step was made.
        """
        started = time.perf_counter()
        batches = self._next_batches(number)
        first = self._precision.convert_input(batches[0])
        # Before anything is stepped. Batches of another shape come at the start of a run only.
        with fast_products(self._device):
            traced = partial(self._programs.of, first, batches.shared, self.waiting)
            program = in_all_ranks(self._ranks, traced)
            rest = (self._precision.convert_input(batches[step]) for step in range(1, number))
            made = self._make_steps(program, chain([first], rest), number)
        for own in self.waiting:
            self.loops[own].loader.skip(number)
        return self._results(made, program.calls, batches.shared, time.perf_counter() - started)

    def _stand_ins(self) -> list[int]:
        """Rows of members that have ended go on with another's batches and rates; nobody looks at them."""
        return [self.waiting[0] if ended else own for own, ended in enumerate(self.ended)]

    def _next_batches(self, number: int) -> Batches:
        return Batches([self.loops[own].loader for own in self._stand_ins()], number)

    def _make_steps(self, program: Program, batches: Iterable[tuple[Tensor, Tensor]], number: int) -> "_Made":
        rates = self._rates(number)
        is_update = self.loops[self.waiting[0]].updates(number)
        shown = {self.loops[own].shown_update(number) for own in self.waiting}
        added, norms = self._gradients.held(self.waiting), None
        steps, targets = [], []
        clock = Clock(self._device)
        for step, batch in enumerate(batches):
            out = program(batch, self._masks(program.dropouts, step))
            added = self._gradients.add(out.gradients, added)
            if is_update[step]:
                self._ranks.average(added, self._buffers)
                norms = norms_of(added) if step in shown else norms
                self._optimizer.step(self._gradients.clipped(added), rates[step])
                added = None
            steps.append(out._replace(gradients=[]))
            targets.append(batch[1])
            clock.mark()
        self.step_s = clock.median_s()
        if added is not None:
            self._gradients.hand_out(added, self.waiting)
        return _Made(steps, torch.stack(targets), norms)

    def _rates(self, number: int) -> list[list[Rates]]:
        """Of each of the next steps, each member's."""
        for own in self.waiting:
            # Else a schedule warns that it was stepped first.
            self.loops[own].optimizer._opt_called = True  # type: ignore[attr-defined]
        rates = {own: self.loops[own].take_rates(partial(self._optimizer.rates, own), number) for own in self.waiting}
        return [[rates[own][step] for own in self._stand_ins()] for step in range(number)]

    def _masks(self, dropouts: Sequence[Dropout], step: int) -> list[Tensor]:
        """What the members' solo runs would multiply with in the step after ``step`` others, K x S for each dropout."""
        masks = [torch.ones(len(self.loops), *each.shape, dtype=each.dtype, device=self._device) for each in dropouts]
        # Not for members that have ended: to draw for them would move another's generator on.
        for own in self.waiting if dropouts else ():
            loop = self.loops[own]
            loop.seed_step(step)
            for mask, dropout in zip(masks, dropouts, strict=True):
                if dropout.probabilities is None:
                    mask[own].uniform_(generator=loop.generator)
                elif (p := dropout.probabilities[own]) > 0:
                    draw_mask(mask[own], p, loop.generator)
        return masks

    def _results(self, made: "_Made", calls: Sequence[Call], shared: bool, seconds: float) -> dict[int, Results]:
        steps, targets, norms = made
        losses = torch.stack([each.losses for each in steps])
        outputs = None if steps[0].output is None else torch.stack([each.output for each in steps])  # type: ignore[misc]
        recorded = [torch.stack(values) for values in zip(*(each.recorded for each in steps), strict=True)]
        return {
            own: Results(
                losses[:, own],
                None if outputs is None else outputs[:, own],
                targets if shared else targets[:, own],
                calls,
                [each[:, own] for each in recorded],
                seconds,
                None if norms is None else norms[own],
            )
            for own in self.waiting
        }


class _Made(NamedTuple):
    """Of N steps of all members: what each gave, but for its gradients; targets; the norms that a log shows, K."""

    steps: list[StepOutput]
    targets: Tensor
    norms: Tensor | None
