"""Which samples are learned when classes come as tasks."""

import pytest
import torch

from fulgurite.data.task_sequence import TaskSequence
from fulgurite.errors import ConfigError

# 60, 40 and 50 samples of three tasks, mixed.
TASKS = torch.repeat_interleave(torch.arange(3), torch.tensor([60, 40, 50]))[
    torch.randperm(150, generator=torch.Generator().manual_seed(0))
]


def sequence(method: str = "naive", *, epochs: int = 6, memory: int = 20, share: float = 0.3, seed: int = 0):
    return TaskSequence(TASKS, 3, epochs, method, memory, share, batch_size=10, seed=seed)


def test_the_epochs_are_shared_out_evenly_to_the_tasks() -> None:
    assert [sequence().task(epoch) for epoch in range(6)] == [0, 0, 1, 1, 2, 2]
    # A run that goes on after its end stays with the last one.
    assert sequence().task(9) == 2


@pytest.mark.parametrize("method", ["naive", "replay", "joint"])
def test_every_pass_has_as_many_full_batches_as_the_smallest_task(method: str) -> None:
    for epoch in range(6):
        batches = sequence(method).batches(0, epoch, 0)
        assert [len(each) for each in batches] == [10] * 4
    assert sequence(method).num_batches == 4


def test_the_naive_way_sees_samples_of_one_task_alone_and_none_twice_in_a_pass() -> None:
    for epoch in range(6):
        rows = torch.cat(sequence().batches(0, epoch, 0))
        assert set(TASKS[rows].tolist()) == {epoch // 2}
        assert len(rows.unique()) == 40


def test_joint_learning_draws_from_all_tasks_at_any_time() -> None:
    for epoch in (0, 5):
        rows = torch.cat(sequence("joint").batches(0, epoch, 0))
        assert set(TASKS[rows].tolist()) == {0, 1, 2}
        assert len(rows.unique()) == 40


def test_replay_draws_its_share_of_each_batch_from_the_memory_of_earlier_tasks() -> None:
    tasks = sequence("replay")
    assert set(TASKS[torch.cat(tasks.batches(0, 1, 0))].tolist()) == {0}
    for epoch, task in ((2, 1), (5, 2)):
        kept = set(tasks.memory(task).tolist())
        for batch in tasks.batches(0, epoch, 0):
            assert (TASKS[batch[:7]] == task).all()
            assert (TASKS[batch[7:]] < task).all()
            assert set(batch[7:].tolist()) <= kept


def test_a_memory_larger_than_what_was_seen_holds_all_of_it() -> None:
    tasks = sequence("replay", memory=80)
    assert sorted(tasks.memory(1).tolist()) == (TASKS == 0).nonzero()[:, 0].tolist()
    assert len(tasks.memory(2)) == 80


def test_the_memory_loses_samples_only_to_later_tasks() -> None:
    # As a reservoir does: what it holds of a task later, it held of it before.
    tasks = sequence("replay")
    before, after = (set(tasks.memory(number).tolist()) for number in (1, 2))
    assert len(before) == len(after) == 20
    assert {row for row in after if TASKS[row] == 0} <= before


def test_each_sample_has_the_same_chance_to_be_in_the_memory() -> None:
    counts = torch.zeros(150)
    for seed in range(600):
        counts[sequence("replay", seed=seed).memory(2)] += 1
    seen = counts[TASKS < 2]
    # 20 of 100 samples in each of 600 memories; the deviation of a count is sqrt(600 * 0.2 * 0.8) = 9.8.
    assert float((seen - 120).abs().max()) < 4 * 9.8
    assert float(seen.std()) == pytest.approx(9.8, rel=0.25)
    assert not counts[TASKS == 2].any()


def test_the_batches_depend_on_seed_epoch_and_pass_alone() -> None:
    first = sequence("replay").batches(7, 3, 1)
    assert all(map(torch.equal, first, sequence("replay").batches(7, 3, 1)))
    for other in ((8, 3, 1), (7, 2, 1), (7, 3, 0)):
        assert not all(map(torch.equal, first, sequence("replay").batches(*other)))


def test_a_task_that_does_not_fill_a_batch_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.batch_size=41 is larger than the smallest task, which has 40"):
        TaskSequence(TASKS, 3, 6, "naive", 20, 0.3, batch_size=41, seed=0)


def test_a_share_that_leaves_no_place_for_new_samples_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.replay_share=0\.96 leaves none of the 10 places of a batch"):
        sequence("replay", share=0.96)
    assert [len(each) for each in sequence("replay", share=0.94).batches(0, 5, 0)] == [10] * 4
    assert sequence("naive", share=0.96).num_batches == 4
