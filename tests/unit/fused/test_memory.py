"""How much memory members take, and how running out of it is told from other faults."""

from pathlib import Path

import pytest
import torch
from torch import nn

from fulgurite.fused import memory
from fulgurite.fused.memory import Kept, Memory, free_bytes, is_out_of_memory


def test_what_autograd_keeps_is_counted_without_the_models_own_tensors():
    model, x = nn.Sequential(nn.Linear(100, 50), nn.Tanh(), nn.Linear(50, 10)), torch.randn(8, 100)
    with Kept(model) as kept:
        model(x).sum().backward()
    # The input and the output of tanh, which both tanh and the second layer keep, once each.
    assert kept.num_bytes == 4 * 8 * (100 + 50)


def test_data_is_counted_once_for_all_members():
    one = Memory(parameters=10, gradients=10, optimizer=20, activations=5, data=1000)
    assert (one.of(1), one.of(4)) == (1045, 1180)


def test_as_many_members_fit_as_the_free_memory_holds_with_room_to_spare(monkeypatch):
    of_one = Memory(parameters=10, gradients=10, optimizer=20, activations=60, data=10_000)
    monkeypatch.setattr(memory, "memory_of", lambda loop: of_one)
    loop = type("Loop", (), {"model": nn.Linear(1, 1)})
    loop.model.device = torch.device("cpu")
    for free, number in ((3000.0, 20), (100.0, 1), (float("inf"), 10**9)):
        monkeypatch.setattr(memory, "free_bytes", lambda device, free=free: free)
        assert memory.num_that_fit(loop) == number


def test_the_limit_of_a_container_counts_and_files_it_has_read_do_not(tmp_path: Path):
    for name, text in (("max", "1000\n"), ("current", "700\n"), ("stat", "anon 400\ninactive_file 250\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert memory._free_in_group(tmp_path) == 550
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._free_in_group(tmp_path) == float("inf")
    assert memory._free_in_group(tmp_path / "none") == float("inf")


def test_this_machine_has_free_memory_and_not_without_end():
    assert 2**20 < free_bytes(torch.device("cpu")) < 2**50


def test_a_failed_allocation_is_told_from_other_faults():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes differ"))
    assert not is_out_of_memory(ValueError("can't allocate memory"))
