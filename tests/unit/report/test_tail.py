"""How far a run has come, by a file that grows."""

import pytest

from fulgurite.report.tail import Tail

HEADER = "epoch,step,train/loss,val/acc\n"


def append(folder, text: str) -> None:
    with (folder / "metrics.csv").open("a") as file:
        file.write(text)


@pytest.fixture
def tail(tmp_path):
    append(tmp_path, HEADER)
    return Tail(tmp_path, "val/acc", "max")


def test_epochs_are_counted_by_the_objective(tail, tmp_path):
    append(tmp_path, "0,9,,0.5\n0,9,0.3,\n1,19,,0.7\n")
    tail.read_on()
    assert (tail.epochs, tail.progress, tail.best) == (2, 2.0, 0.7)


def test_steps_logged_since_are_a_part_of_an_epoch(tail, tmp_path):
    append(tmp_path, "0,9,,0.5\n1,12,0.3,\n")
    tail.read_on()
    assert (tail.epochs, tail.progress) == (1, 1.3)


@pytest.mark.parametrize(("mode", "best"), [("max", 0.9), ("min", 0.2)])
def test_the_best_is_kept_as_more_is_read(tmp_path, mode, best):
    tail = Tail(tmp_path, "val/acc", mode)
    append(tmp_path, HEADER)
    for epoch, value in enumerate((0.9, 0.2, 0.4)):
        append(tmp_path, f"{epoch},{10 * epoch + 9},,{value}\n")
        tail.read_on()
    assert (tail.best, tail.epochs) == (best, 3)


def test_a_line_that_is_written_in_part_is_read_when_it_is_whole(tail, tmp_path):
    append(tmp_path, "0,9,,0.5\n1,19,,0.")
    tail.read_on()
    assert (tail.epochs, tail.best) == (1, 0.5)
    append(tmp_path, "625\n")
    tail.read_on()
    assert (tail.epochs, tail.best) == (2, 0.625)


def test_a_file_that_is_written_anew_with_another_column_is_read_from_its_start(tail, tmp_path):
    append(tmp_path, "0,9,,0.8\n")
    tail.read_on()
    (tmp_path / "new").write_text("epoch,lr,step,train/loss,val/acc\n0,1,9,,0.6\n1,1,19,,0.7\n2,1,29,,0.65\n")
    (tmp_path / "new").replace(tmp_path / "metrics.csv")
    tail.read_on()
    assert (tail.epochs, tail.best) == (3, 0.7)


def test_a_value_that_is_no_number_is_not_the_best(tail, tmp_path):
    append(tmp_path, "0,9,,0.5\n1,19,,nan\n")
    tail.read_on()
    assert (tail.epochs, tail.best) == (2, 0.5)


@pytest.mark.parametrize("damage", ["-1,9,,0.9\n", "x" * 200_000 + ",9,,0.9\n", "\x00,,\n"])
def test_a_damaged_line_tells_nothing_and_ends_nothing(tail, tmp_path, damage):
    append(tmp_path, "0,9,,0.5\n")
    append(tmp_path, damage)
    tail.read_on()
    assert (tail.epochs, tail.best) == (1, 0.5)


def test_without_a_file_nothing_is_known(tmp_path):
    tail = Tail(tmp_path, "val/acc", "max")
    tail.read_on()
    assert (tail.epochs, tail.progress, tail.best, tail.changed) == (0, 0.0, None, 0.0)
