"""MNIST as tasks that come one after the other."""

from typing import Any

import pytest
import torch

from fulgurite.data.split_mnist import SplitMNIST
from fulgurite.errors import ConfigError

SPEC: dict[str, Any] = {
    "task": "classification",
    "input_shape": [1, 28, 28],
    "num_outputs": 10,
    "metric": "val/acc",
    "mode": "max",
}
SHARED: dict[str, Any] = {}


def loaded(**options: Any) -> SplitMNIST:
    data = SplitMNIST(**{"spec": SPEC, "batch_size": 100, "num_epochs": 10, **options})
    data.share(SHARED)
    data.setup("fit")
    return data


def digits(data: SplitMNIST, epoch: int) -> set[int]:
    loader = data.train_dataloader()
    loader.set_epoch(epoch)
    return set(torch.cat([y for _, y in loader]).tolist())


def test_each_task_brings_its_two_digits_and_the_next_one_takes_them_away() -> None:
    data = loaded()
    assert digits(data, 0) == digits(data, 1) == {0, 1}
    assert digits(data, 2) == {2, 3}
    assert digits(data, 9) == {8, 9}
    assert digits(loaded(method="replay"), 9) == set(range(10))


def test_tasks_may_be_of_any_size_and_order() -> None:
    data = loaded(tasks=[[9, 0, 4], [1, 2, 3, 5, 6, 7, 8]])
    assert digits(data, 4) == {0, 4, 9}
    assert digits(data, 5) == {1, 2, 3, 5, 6, 7, 8}
    assert data.task_names == ["904", "1235678"]


def test_an_epoch_has_the_batches_of_the_rarest_pair_of_digits() -> None:
    data = loaded()
    y = data.part("train").y
    least = min(int(((y == 2 * pair) | (y == 2 * pair + 1)).sum()) for pair in range(5))
    assert len(data.train_dataloader()) == least // 100


def test_validation_and_test_hold_all_digits() -> None:
    data = loaded()
    assert set(data.part("val").y.tolist()) == set(range(10))
    assert len(data.part("val").y) == 5000


def test_the_last_epoch_of_each_task_is_known() -> None:
    assert loaded().last_epochs() == [2, 4, 6, 8, 10]
    assert loaded(num_epochs=7).last_epochs() == [2, 3, 5, 6, 7]
    assert loaded(num_epochs=1).last_epochs() == [1, 0, 0, 0, 0]


def test_epochs_that_cannot_be_shared_out_are_told(caplog) -> None:
    loaded(num_epochs=7).train_dataloader()
    assert "use a multiple of 5" in caplog.text


def test_an_epoch_goes_on_after_the_batch_where_it_was_left() -> None:
    loader = loaded(method="replay").train_dataloader()
    loader.set_epoch(5)
    batches = list(loader)
    resumed = loaded(method="replay").train_dataloader()
    resumed.load_state_dict({"epoch": 5, "consumed": 3, "num_batches": len(loader)})
    resumed.set_epoch(5)
    for (x, y), (expected_x, expected_y) in zip(resumed, batches[3:], strict=True):
        assert torch.equal(x, expected_x)
        assert torch.equal(y, expected_y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "rehearsal"}, "method must be one of joint, naive, replay; got 'rehearsal'"),
        ({"tasks": [[0, 1], [1, 2]]}, r"tasks must be lists that hold each of the classes 0 to 9 once"),
        ({"tasks": [0, 1]}, r"tasks must be lists that hold each of the classes 0 to 9 once"),
        ({"tasks": [["a"], [1]]}, r"tasks must be lists .*, got \[\['a'\], \[1\]\]"),
        ({"tasks": None}, "tasks must be lists .*, got None"),
        ({"batch_size": None}, "batch_size must be an integer >= 1"),
        ({"replay_share": 1.0}, r"replay_share must be in \[0, 1\), got 1.0"),
        ({"memory": 0}, "memory must be an integer >= 1, got 0"),
        ({"num_epochs": -1}, "num_epochs must be an integer >= 1, got -1"),
    ],
)
def test_what_makes_no_sequence_of_tasks_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SplitMNIST(**{"spec": SPEC, "batch_size": 100, **options})
