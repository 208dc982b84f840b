"""The batch loader: order, state, ranks; alone and under a real Trainer."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from fulgurite.data.batches import BatchLoader
from fulgurite.data.draws import Draws
from fulgurite.data.in_memory import InMemoryData, Part
from fulgurite.errors import ConfigError
from fulgurite.models.mlp import MLP
from fulgurite.training.loop import FastEpochLoop, use_epoch_loop

# pytorch_lightning's own use of torch's pytree.
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")

SPEC: dict[str, Any] = {
    "task": "regression",
    "input_shape": [2],
    "num_outputs": 1,
    "metric": "val/mae",
    "mode": "min",
}


def loader(size: int = 50, batch_size: int = 8, **options: Any) -> BatchLoader:
    """Samples are their own numbers, so a batch shows which it holds."""
    numbers = torch.arange(size, dtype=torch.float32)
    return BatchLoader(numbers.view(-1, 1), numbers, batch_size=batch_size, encode=lambda x: x, **options)


def rows(batches: Iterable[tuple[Tensor, Tensor]]) -> list[list[int]]:
    return [y.int().tolist() for _, y in batches]


def training(epoch: int = 0, **options: Any) -> BatchLoader:
    made = loader(**({"train": True, "shuffle": True, "drop_last": True} | options))
    made.set_epoch(epoch)
    return made


def test_the_order_of_an_epoch_depends_on_seed_and_epoch_alone() -> None:
    used = training(0, seed=1)
    list(used)
    used.set_epoch(3)
    torch.manual_seed(99)
    assert rows(used) == rows(training(3, seed=1))
    assert rows(training(3, seed=1)) != rows(training(4, seed=1))
    assert rows(training(3, seed=1)) != rows(training(3, seed=2))


def test_x_and_y_of_a_batch_belong_together() -> None:
    for x, y in training():
        assert torch.equal(x[:, 0], y)


def test_a_pass_holds_each_sample_once_and_each_pass_has_its_own_order() -> None:
    batches = rows(training(size=48, passes=3))
    passes = [sum(batches[i : i + 6], []) for i in (0, 6, 12)]
    assert all(sorted(one) == list(range(48)) for one in passes)
    assert passes[0] != passes[1] != passes[2] != passes[0]


@pytest.mark.parametrize(("drop_last", "sizes"), [(True, [8] * 6), (False, [8] * 6 + [2])])
def test_drop_last_decides_about_the_smaller_batch(drop_last: bool, sizes: list[int]) -> None:
    made = training(drop_last=drop_last)
    assert [len(batch) for batch in rows(made)] == sizes
    assert len(made) == len(sizes)


@pytest.mark.parametrize("world_size", [2, 3])
@pytest.mark.parametrize("size", [48, 54])
def test_the_ranks_together_have_the_batches_of_one_process(world_size: int, size: int) -> None:
    options: dict[str, Any] = {"size": size, "batch_size": 12, "drop_last": False, "passes": 2}
    cut = [rows(training(1, rank=rank, world_size=world_size, **options)) for rank in range(world_size)]
    assert [sum(parts, []) for parts in zip(*cut, strict=True)] == rows(training(1, **options))
    assert all(len({len(part) for part in parts}) == 1 for parts in zip(*cut, strict=True))


@pytest.mark.parametrize("world_size", [1, 2, 3])
@pytest.mark.parametrize(("size", "batch_size"), [(50, 8), (49, 48), (3, 1), (7, 3)])
def test_validation_has_each_sample_once_and_no_rank_is_left_out(world_size: int, size: int, batch_size: int) -> None:
    cut = [rows(loader(size, batch_size, rank=rank, world_size=world_size)) for rank in range(world_size)]
    assert sorted(sum(sum(cut, []), [])) == list(range(size))
    assert len({len(batches) for batches in cut}) == 1
    assert all(batch for batches in cut for batch in batches)


def test_validation_batches_are_never_larger_than_asked_for() -> None:
    assert max(len(batch) for batch in rows(loader(50, 8))) <= 8
    assert len(loader(50, 8)) == 7


@pytest.mark.parametrize("world_size", [2, 3])
@pytest.mark.parametrize("size", [48, 54])
def test_augmentation_does_not_depend_on_the_number_of_ranks(world_size: int, size: int) -> None:
    def noisy(x: Tensor, draws: Draws) -> Tensor:
        return x + draws.uniform(0, 1, 1) + draws.normal(1)

    def xs(**options: Any) -> list[Tensor]:
        return [x for x, _ in training(size=size, batch_size=12, drop_last=False, augment=noisy, **options)]

    cut = zip(*(xs(rank=rank, world_size=world_size) for rank in range(world_size)), strict=True)
    for parts, whole in zip(cut, xs(), strict=True):
        assert torch.equal(torch.cat(parts), whole)


def test_augmentation_is_drawn_anew_for_each_batch_epoch_and_seed() -> None:
    def only_noise(x: Tensor, draws: Draws) -> Tensor:
        return draws.uniform(0, 1, 1)

    first, second, *_ = [x for x, _ in training(augment=only_noise)]
    other_epoch = next(iter(training(1, augment=only_noise)))[0]
    other_seed = next(iter(training(seed=1, augment=only_noise)))[0]
    again = next(iter(training(augment=only_noise)))[0]
    assert torch.equal(first, again)
    for other in (second, other_epoch, other_seed):
        assert not torch.equal(first, other)


@pytest.mark.parametrize("consumed", [0, 1, 5, 6, 11, 12])
def test_a_loader_goes_on_after_the_batches_that_were_consumed(consumed: int) -> None:
    whole = rows(training(2, passes=2))
    first = training(2, passes=2)
    batches = iter(first)
    for _ in range(consumed):
        next(batches)
    second = training(passes=2)
    second.load_state_dict(first.state_dict())
    assert rows(second) == whole[consumed % 12 :]
    # Only the resumed epoch is short.
    assert rows(second) == whole


def test_an_iteration_that_was_left_does_not_shorten_the_next() -> None:
    made = loader()
    next(iter(made))
    assert len(rows(made)) == len(made)


def test_a_full_batch_is_the_data_itself() -> None:
    made = loader(50, 50, train=True, passes=3)
    batches = list(made)
    assert len(batches) == 3
    assert all(torch.equal(y, torch.arange(50.0)) for _, y in batches)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 64}, r"data\.batch_size=64 is larger than the 50 training samples.*data\.batch_size<=50"),
        ({"world_size": 3}, r"data\.batch_size=8 must be divisible by the 3 devices"),
        ({"size": 49, "drop_last": False, "world_size": 2}, r"last batch of 1 samples, which 2 devices cannot share"),
        ({"size": 2, "train": False, "world_size": 3}, r"2 samples are too few for 3 devices; use trainer\.devices=1"),
    ],
)
def test_batches_that_cannot_be_made_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        training(**options)


def test_a_state_of_another_number_of_batches_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"after batch 3 of 9 of an epoch, and this run has 6 batches"):
        training().load_state_dict({"epoch": 0, "consumed": 3, "num_batches": 9})


class Numbers(InMemoryData):
    """40 points of a plane."""

    def load_train(self) -> tuple[Part, Part]:
        x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
        y = x.sum(dim=1, keepdim=True)
        return Part(x[:40], y[:40]), Part(x[40:], y[40:])

    def load_test(self) -> Part:
        return self.load_train()[1]


class Record(pl.Callback):
    """Keeps each batch trained and validated on, and saves a checkpoint after each training batch and epoch."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.trained: list[Tensor] = []
        self.validated: list[Tensor] = []

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.trained.append(batch[0])
        if self.folder:
            trainer.save_checkpoint(self.folder / f"{len(self.trained)}.ckpt")

    def on_validation_batch_end(self, trainer: pl.Trainer, module: Any, outputs: Any, batch: Any, *args: Any) -> None:
        if not trainer.sanity_checking:
            self.validated.append(batch[0])

    def on_validation_end(self, trainer: pl.Trainer, module: Any) -> None:
        if self.folder and not trainer.sanity_checking:
            trainer.save_checkpoint(self.folder / f"validated{len(self.trained)}.ckpt")


class Silent(MLP):
    """An MLP without metrics: a run resumed at the end of an epoch has none to compute."""

    def _log(self, scores: Any) -> None:
        scores.reset()


def fit(record: Record, *, fast: bool, checkpoint: Path | None = None, **options: Any) -> MLP:
    torch.manual_seed(0)
    model = Silent(SPEC, hidden=[4])
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[record],
        **({"max_epochs": 2, "num_sanity_val_steps": 1} | options),
    )
    if fast:
        use_epoch_loop(trainer, FastEpochLoop)
    data = Numbers(SPEC, batch_size=8, eval_batch_size=3, seed=7)
    trainer.fit(model, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    return model


@pytest.mark.parametrize("fast", [True, False])
def test_a_run_killed_after_any_batch_goes_on_with_the_very_batch_it_would_have_had(fast: bool, tmp_path: Path) -> None:
    whole = Record(tmp_path)
    weights = fit(whole, fast=fast).state_dict()
    assert len(whole.trained) == 10
    # In mid-epoch, at the end of the first epoch, after the first batch of the second, at the very end.
    for done in (1, 3, 5, 6, 10):
        for name in (f"{done}.ckpt", f"validated{done}.ckpt"):
            if (tmp_path / name).exists():
                resumed = Record()
                model = fit(resumed, fast=fast, checkpoint=tmp_path / name)
                assert len(resumed.trained) == 10 - done, name
                assert all(map(torch.equal, resumed.trained, whole.trained[done:])), name
                assert all(torch.equal(model.state_dict()[key], weights[key]) for key in weights), name


@pytest.mark.parametrize("fast", [True, False])
def test_each_epoch_validates_on_all_samples_also_after_the_sanity_check(fast: bool) -> None:
    record = Record()
    fit(record, fast=fast)
    expected = Numbers(SPEC).load_train()[1].x
    assert torch.equal(torch.cat(record.validated), torch.cat([expected, expected]))


def test_overfit_batches_are_the_same_in_each_epoch() -> None:
    record = Record()
    fit(record, fast=True, overfit_batches=2, num_sanity_val_steps=0)
    assert all(map(torch.equal, record.trained[:2], record.trained[2:]))
