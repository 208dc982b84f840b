"""Members whose steps are one program: their stacked tensors, their batches, their optimiser."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fulgurite.data.batches import BatchLoader
from fulgurite.data.draws import JointDraws
from fulgurite.fused.device import Clock, draw_mask
from fulgurite.fused.gradients import Gradients
from fulgurite.fused.loop import FusedEpochLoop, Results
from fulgurite.fused.optimizers import stack_optimizers
from fulgurite.fused.program import Dropout, Program, StepOutput
from fulgurite.fused.reads import Reads
from fulgurite.fused.records import Call, UnfusableError
from fulgurite.fused.signature import differing, lifted
from fulgurite.fused.stack import Stack
from fulgurite.fused.surroundings import HPARAMS
from fulgurite.fused.traced_state import alike, traced_state
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
        self._lifted, self._differing = lifted(models), differing(models)
        self._stack = Stack(models)
        self._buffers = [self._stack.constants[name] for name, _ in models[0].named_buffers()]
        self._optimizer = stack_optimizers([loop.optimizer for loop in loops], self._stack)
        self._programs: dict[Any, Program] = {}
        self._compiled = False
        self._gradients = Gradients(self.loops, self._stack)
        self._precision: Any = loops[0].trainer.precision_plugin
        self._reads = Reads()
        self._traced: dict[int, list[Any]] = {}
        # Before the trace, and whole: another trace may read more.
        self._whole = [traced_state(loop) for loop in self.loops]
        batches = Batches(self.loops, 1)
        self._program(self._precision.convert_input(batches[0]), batches.shared)
        self._seen = [self._place(own) for own in range(len(loops))]

    @property
    def waiting(self) -> list[int]:
        """Numbers of the members that have not ended."""
        return [number for number, ended in enumerate(self.ended) if not ended]

    def changed(self) -> list[int]:
        """Numbers of the waiting members that are no longer what was traced; hooks have run since they were."""
        found = []
        for own in self.waiting:
            place = self._place(own)
            if place != self._seen[own] and traced_state(self.loops[own], self._reads) != self._traced[own]:
                found.append(own)
            self._seen[own] = place
        return found

    def _place(self, own: int) -> tuple[int, int]:
        """Differs where there was a new epoch or a validation in between."""
        loop: Any = self.loops[own]
        return loop.trainer.current_epoch, loop.val_loop.batch_progress.total.ready

    def run(self, number: int) -> dict[int, Results]:
        """Make the next steps of all members that have not ended; their results by the number of the member.

        Raises:
            UnfusableError: when batches of this shape cannot be batched; no step was made.
        """
        first = self.waiting[0]
        # Rows of members that have ended go on with another's batches and rates; nobody looks at them.
        stand_in = [first if ended else own for own, ended in enumerate(self.ended)]
        batches = Batches([self.loops[own] for own in stand_in], number)
        batch = self._precision.convert_input(batches[0])
        # Before anything is stepped. Batches of another shape come at the start of a run only.
        with fast_products(self._device):
            program = self._program(batch, batches.shared)
        for own in self.waiting:
            # Else a schedule warns that it was stepped first.
            self.loops[own].optimizer._opt_called = True  # type: ignore[attr-defined]
        rates = {own: self.loops[own].take_rates(partial(self._optimizer.rates, own), number) for own in self.waiting}
        steps: list[StepOutput] = []
        targets = []
        is_update = self.loops[first].updates(number)
        added = self._gradients.held(self.waiting)
        with fast_products(self._device):
            clock = Clock(self._device)
            for step in range(number):
                batch = self._precision.convert_input(batches[step]) if step else batch
                out = program(batch, self._masks(program.dropouts, step))
                added = self._gradients.add(out.gradients, added)
                if is_update[step]:
                    self._ranks.average(added, self._buffers)
                    self._optimizer.step(self._gradients.clipped(added), [rates[own][step] for own in stand_in])
                    added = None
                steps.append(out._replace(gradients=[]))
                targets.append(batch[1])
                clock.mark()
        self.step_s = clock.median_s()
        if added is not None:
            self._gradients.hand_out(added, self.waiting)
        for own in self.waiting:
            self.loops[own].loader.skip(number)
        return self._results(steps, torch.stack(targets), program.calls, batches.shared)

    def _results(
        self, steps: Sequence[StepOutput], targets: Tensor, calls: Sequence[Call], shared: bool
    ) -> dict[int, Results]:
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
            )
            for own in self.waiting
        }

    def compile(self) -> None:
        """Compile the programs, those yet to be traced included.

        Raises:
            Exception: see ``Program.compile``.
        """
        with fast_products(self._device):
            for program in self._programs.values():
                program.compile()
        self._compiled = True

    def _program(self, batch: tuple[Tensor, Tensor], shared: bool) -> Program:
        key = (shared, batch[0].shape, batch[1].shape)
        if key not in self._programs:
            model = self.loops[self.waiting[0]].model
            with self._precision.train_step_context():
                known = self._reads.number
                program = Program(model, self._stack, self._lifted, self._differing, self._reads, batch, shared=shared)
            if self._reads.number > known:
                self._compare_what_was_read()
            self._programs[key] = program
            if self._compiled:
                program.compile()
        return self._programs[key]

    def _compare_what_was_read(self) -> None:
        """Take down what a trace has read, which must be the same in all members, and still be what it was."""
        loops = {own: self.loops[own] for own in self.waiting}
        # Those that differ and are not lifted are refused when they are read.
        may_differ = {*self._lifted, *((HPARAMS, key) for key in self._differing)}
        is_same = not self._programs or all(traced_state(loop) == self._whole[own] for own, loop in loops.items())
        if not is_same or not alike([loop.model for loop in loops.values()], may_differ, self._reads):
            raise UnfusableError("its training step reads what hooks have changed")
        self._traced = {own: traced_state(loop, self._reads) for own, loop in loops.items()}

    def _masks(self, dropouts: Sequence[Dropout], step: int) -> list[Tensor]:
        """What the members' solo runs would multiply with in the step after ``step`` others, K x S for each dropout."""
        masks = [torch.ones(len(self.loops), *each.shape, dtype=each.dtype, device=self._device) for each in dropouts]
        # Not for members that have ended: to draw for them would move another's generator on.
        for own in self.waiting if dropouts else ():
            loop = self.loops[own]
            loop.seed_step(step)
            for mask, dropout in zip(masks, dropouts, strict=True):
                if (p := dropout.probabilities[own]) > 0:
                    draw_mask(mask[own], p, loop.generator)
        return masks


class Batches:
    """The next batches of K loaders: (x, y), each K x B x ..., or B x ... when ``shared``.

    Args:
        loops: the members.
        number: how many batches.

    Attributes:
        shared: all members see the same ones.
    """

    def __init__(self, loops: Sequence[FusedEpochLoop], number: int) -> None:
        self._loaders = [loop.loader for loop in loops]
        first = self._loaders[0]
        self._rows = [loader.next_rows(number) for loader in self._loaders]
        self._start = [loader.consumed for loader in self._loaders]
        self._is_same_data = all(each.x.data_ptr() == first.x.data_ptr() for each in self._loaders)
        # Batches in order depend on the place alone.
        places = {(each.consumed, *((each.seed, each.epoch) if each.shuffle else ())) for each in self._loaders}
        is_augmented = {each.augment is not None for each in self._loaders}
        self._one_by_one = not self._is_same_data or len(is_augmented) > 1
        self._is_same_augmentation = all(each.augment == first.augment for each in self._loaders)
        self.shared = self._is_same_data and len(places) == 1 and is_augmented == {False}

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        first, size = self._loaders[0], len(self._loaders)
        if self.shared:
            return first._gather(self._rows[0][step], self._start[0] + step)
        if self._one_by_one or any(each[step] is None for each in self._rows):
            pairs = [
                loader._gather(rows[step], start + step)
                for loader, rows, start in zip(self._loaders, self._rows, self._start, strict=True)
            ]
            return torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs])
        rows = torch.cat([self._own_part(each[step]) for each in self._rows])
        x = first.x.index_select(0, rows).view(-1, *first.sample_shape)
        if first.augment is not None:
            x = self._augmented(x, step)
        y = first.y.index_select(0, rows)
        x = first.encode(x)
        return x.view(size, -1, *x.shape[1:]), y.view(size, -1, *y.shape[1:])

    def _augmented(self, x: Tensor, step: int) -> Tensor:
        first, size = self._loaders[0], len(self._loaders)
        global_size = len(x) // size * first.world_size
        draws = [loader.draws(start + step, global_size) for loader, start in self._each()]
        if self._is_same_augmentation:
            assert first.augment is not None
            return first.augment(x, JointDraws(draws))
        parts = zip(self._loaders, x.chunk(size), draws, strict=True)
        return torch.cat([loader.augment(part, own) for loader, part, own in parts if loader.augment])

    def _own_part(self, rows: Tensor | None) -> Tensor:
        """Rows of a global batch that this rank computes with, as ``BatchLoader`` cuts it."""
        assert rows is not None
        first = self._loaders[0]
        return rows if first.world_size == 1 else rows.tensor_split(first.world_size)[first.rank]

    def _each(self) -> Iterable[tuple[BatchLoader, int]]:
        return zip(self._loaders, self._start, strict=True)
