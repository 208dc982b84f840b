"""The base of every data set of this project: load once, split once, keep it on the training device.

A data set's own file says how to load its tensors and how to encode a raw batch; splitting, subsets, loaders and the
check against ``data.spec`` are here.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor

from fulgurite.data.batches import Augment, Batch, BatchLoader, Curriculum
from fulgurite.data.draws import Draws, JointDraws
from fulgurite.data.targets import bracketed, check_targets
from fulgurite.errors import ConfigError, DataError, check_bool, check_int
from fulgurite.spec import DataSpec

# Numbers in a part whose encoded batches are kept: 256 MB of float32.
_MOST_KEPT = 64_000_000


class Part(NamedTuple):
    """One part of a data set: raw samples x (N x ...) and targets y (N or N x outputs)."""

    x: Tensor
    y: Tensor


class InMemoryData(pl.LightningDataModule):
    """Train, validation and test parts as tensors.

    Args:
        spec: sizes and task, as in ``data.spec``; what is loaded is checked against it.
        batch_size: samples in a training batch, over all devices; ``null`` for the whole training part.
        eval_batch_size: samples in a validation, test or prediction batch.
        seed: seed of the order of the samples and of their augmentation.
        augmentation: transforms of a raw training batch, applied in order.
        drop_last: leave out a smaller last training batch.
        passes_per_epoch: passes over the training part that make one epoch; small sets use many.
        train_subset: keep this many training samples only, the first of the shuffled part.
    """

    # What the numbers of a sample are, for pictures; empty where they have no names.
    input_names: Sequence[str] = ()
    # Arguments that have no part in what is loaded.
    after_loading: tuple[str, ...] = (
        "batch_size",
        "eval_batch_size",
        "seed",
        "augmentation",
        "drop_last",
        "passes_per_epoch",
    )

    def __init__(
        self,
        spec: Mapping[str, Any],
        batch_size: int | None = 64,
        eval_batch_size: int = 1000,
        seed: int = 0,
        augmentation: Mapping[str, Augment] | None = None,
        drop_last: bool = True,
        passes_per_epoch: int = 1,
        train_subset: int | None = None,
    ) -> None:
        super().__init__()
        self.spec = DataSpec(**spec)
        self.batch_size = None if batch_size is None else check_int("batch_size", batch_size)
        self.eval_batch_size = check_int("eval_batch_size", eval_batch_size)
        self.seed = check_int("seed", seed, low=0)
        self.augmentation = list((augmentation or {}).values())
        self.drop_last = check_bool("drop_last", drop_last)
        self.passes_per_epoch = check_int("passes_per_epoch", passes_per_epoch)
        self.train_subset = None if train_subset is None else check_int("train_subset", train_subset)
        if self.augmentation and not self.spec.is_image:
            raise ConfigError(
                f"augmentation={','.join(augmentation or ())} is for images, and this data set's samples have shape "
                f"{bracketed(self.spec.input_shape)}; use augmentation=none"
            )
        self._parts: dict[str, Part] = {}
        # Encoded batches of the parts to measure on, where several runs share them.
        self._shared: dict[str, dict[tuple[int, int], Batch]] | None = None

    @abstractmethod
    def load_train(self) -> tuple[Part, Part]:
        """Load the training and the validation part, raw."""

    @abstractmethod
    def load_test(self) -> Part:
        """Load the test part, raw. Called once, after training."""

    def encode(self, x: Tensor) -> Tensor:
        """Turn a raw batch into the float batch that the model sees (B x input_shape)."""
        return x

    def curriculum(self, train: Part) -> Curriculum | None:
        """What chooses the training samples of each epoch; ``None`` for all of them in a random order."""
        return None

    def setup(self, stage: str) -> None:
        """Load what ``stage`` (``fit``, ``validate`` or ``test``) needs, to the training device.

        Raises:
            ConfigError: when ``train_subset`` is more than there is.
            DataError: when the loaded tensors are not what ``data.spec`` says.
        """
        if stage in ("fit", "validate") and "train" not in self._parts:
            train, val = self.load_train()
            self._parts |= {
                "train": self._place("training", self._subset(train)),
                "val": self._place("validation", val),
            }
        if stage == "test" and "test" not in self._parts:
            self._parts["test"] = self._place("test", self.load_test())

    def share(self, shared: dict[str, Any]) -> None:
        """Use what another data module of equal samples has loaded or will load, and let others use it.

        Args:
            shared: handed to all of them; empty at first.
        """
        self._parts = shared.setdefault("parts", {})
        self._shared = shared.setdefault("encoded", {})

    def part(self, name: str) -> Part:
        """The ``train``, ``val`` or ``test`` part, after ``setup``."""
        return self._parts[name]

    def train_dataloader(self) -> BatchLoader:
        """Shuffled, augmented batches of the training part."""
        train = self._parts["train"]
        # A full batch has no order; keeping it unshuffled saves a permutation and a gather a step. To overfit a few
        # batches, they must be the same ones in each epoch.
        shuffle = self.batch_size is not None and not getattr(self.trainer, "overfit_batches", 0)
        return self._loader(
            train,
            batch_size=len(train.x) if self.batch_size is None else self.batch_size,
            augment=Augmentations(self.augmentation) if self.augmentation else None,
            train=True,
            shuffle=shuffle,
            drop_last=self.drop_last,
            passes=self.passes_per_epoch,
            curriculum=self.curriculum(train),
            seed=self.seed,
        )

    def val_dataloader(self) -> BatchLoader:
        """Batches of the validation part, in order."""
        return self._eval_loader("val")

    def test_dataloader(self) -> BatchLoader:
        """Batches of the test part, in order."""
        return self._eval_loader("test")

    def _eval_loader(self, name: str) -> BatchLoader:
        part = self._parts[name]
        kept = None if self._shared is None or part.x.numel() > _MOST_KEPT else self._shared.setdefault(name, {})
        return self._loader(part, batch_size=self.eval_batch_size, kept=kept)

    def _loader(self, part: Part, **options: Any) -> BatchLoader:
        rank, world_size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return BatchLoader(part.x, part.y, encode=self.encode, rank=rank, world_size=world_size, **options)

    def _subset(self, train: Part) -> Part:
        if self.train_subset is None:
            return train
        if self.train_subset > len(train.x):
            raise ConfigError(
                f"data.train_subset={self.train_subset} is more than the {len(train.x)} training samples there are; "
                "use a smaller number or null"
            )
        return Part(train.x[: self.train_subset], train.y[: self.train_subset])

    def _place(self, name: str, part: Part) -> Part:
        self._check(name, part)
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        return Part(part.x.to(device), part.y.to(device))

    def _check(self, name: str, part: Part) -> None:
        """Refuse tensors that ``data.spec`` does not describe, before a model is fed with them."""
        if not len(part.x) or len(part.x) != len(part.y):
            raise DataError(
                f"the {name} part has {len(part.x)} samples and {len(part.y)} targets; it needs one target a sample, "
                "and one sample at least"
            )
        sample = tuple(self.encode(part.x[:1]).shape[1:])
        if sample != self.spec.input_shape:
            raise DataError(
                f"the {name} samples have shape {bracketed(sample)}, but data.spec.input_shape is "
                f"{bracketed(self.spec.input_shape)}; set data.spec.input_shape={bracketed(sample)}"
            )
        check_targets(self.spec, name, part.y)


class Augmentations:
    """Transforms of a raw batch in order; equal to others that do the same."""

    def __init__(self, transforms: Sequence[Augment]) -> None:
        self._transforms = transforms

    def __call__(self, x: Tensor, draws: Draws | JointDraws) -> Tensor:
        """Raw samples to raw samples."""
        for transform in self._transforms:
            x = transform(x, draws)
        return x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Augmentations) and self._described() == other._described()

    def __hash__(self) -> int:
        return id(self)

    def _described(self) -> list[tuple[type, dict[str, Any]]]:
        return [(type(each), vars(each)) for each in self._transforms]
