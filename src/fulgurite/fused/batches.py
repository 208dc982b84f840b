"""The batches of K members. Shapes: K members, B batch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fulgurite.data.batches import BatchLoader
from fulgurite.data.draws import JointDraws


class Batches:
    """The next batches of K loaders: (x, y), each K x B x ..., or B x ... when ``shared``.

    Args:
        loaders: the members'.
        number: how many batches.

    Attributes:
        shared: all members see the same ones.
    """

    def __init__(self, loaders: Sequence[BatchLoader], number: int) -> None:
        self._loaders = list(loaders)
        first = self._loaders[0]
        self._rows = [loader.next_rows(number) for loader in self._loaders]
        self._start = [loader.consumed for loader in self._loaders]
        self._is_same_data = all(each.x.data_ptr() == first.x.data_ptr() for each in self._loaders)
        # Batches in order depend on the place alone.
        places = {(each.consumed, *each.order) for each in self._loaders}
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
        starts = zip(self._loaders, self._start, strict=True)
        draws = [loader.draws(start + step, global_size) for loader, start in starts]
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
