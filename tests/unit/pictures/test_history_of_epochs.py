"""The metrics of each epoch."""

import math

import torch

from fulgurite.pictures.history import History


def test_a_series_leaves_out_epochs_without_the_metric() -> None:
    history = History()
    for epochs in range(1, 5):
        history.note(epochs, {"a": torch.tensor(epochs / 4)} | ({"b": 7.0} if epochs % 2 else {}))
    assert [each.tolist() for each in history.series("a")] == [[1, 2, 3, 4], [0.25, 0.5, 0.75, 1]]
    assert [each.tolist() for each in history.series("b")] == [[1, 3], [7, 7]]
    assert [each.tolist() for each in history.series("c")] == [[], []]


def test_an_epoch_that_is_noted_again_counts_once() -> None:
    history = History()
    history.note(1, {"a": math.nan})
    history.note(1, {"a": 2.0})
    history.note(0, {"a": 5.0})
    assert [each.tolist() for each in history.series("a")] == [[1], [2]]


def test_of_a_long_run_some_epochs_from_start_to_end_are_kept() -> None:
    history = History()
    for epochs in range(1, 5001):
        history.note(epochs, {"a": float(epochs)})
    kept, values = history.series("a")
    assert len(kept) <= 400
    assert kept.tolist() == values.tolist() == sorted(set(kept.tolist()))
    assert kept[-1] == 5000
    assert kept[0] <= 50
    assert max(b - a for a, b in zip(kept, kept[1:], strict=False)) <= 50
