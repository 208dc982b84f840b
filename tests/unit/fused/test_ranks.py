"""What processes that train the same jobs agree on, and what becomes of one that the others do not follow."""

import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from fulgurite.errors import ConfigError
from fulgurite.fused.ranks import Ranks, Turn
from fulgurite.fused.spread import _forget_redirection
from hydra_plugins.fulgurite_launcher import _devices

START = """
    import json, os, sys, threading, torch
    from fulgurite.fused import ranks as module
    from fulgurite.fused.ranks import JoinedRanks, Turn
    rank = int(os.environ["LOCAL_RANK"])

    def end(line):
        print(json.dumps(line), flush=True)
        os._exit(3)

    module._FAILED_S = 1.0
    ranks = JoinedRanks(rank, 2, torch.device("cpu"), end)
"""


@pytest.fixture
def two():
    """Run code in two processes that have met; for each its exit code and the line that it ends with."""

    def run(code: str) -> list[tuple[int, object]]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        command = [sys.executable, "-c", textwrap.dedent(START) + textwrap.dedent(code)]
        processes = [
            subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | where | {"LOCAL_RANK": str(rank)})
            for rank in range(2)
        ]
        said = [process.communicate(timeout=60)[0] for process in processes]
        return [(process.returncode, json.loads(out or "null")) for process, out in zip(processes, said, strict=True)]

    return run


def test_ranks_decide_together_and_average_gradients_in_place(two):
    asked = two(
        """
        gradient = torch.tensor([[1.0, 5.0], [3.0, 7.0]]).t() * (1 + 2 * rank)
        stride = gradient.stride()
        held = [torch.tensor([2.0 + rank]), torch.tensor([4 + rank]), torch.tensor([rank == 0])]
        ranks.average([gradient], held)
        ranks.meet(Turn.WAITS, 1, 7)
        ranks.meet_failed("in both")
        assert gradient.stride() == stride
        asked = [ranks.first(rank + 1.5, float("inf")) == [1.5, float("inf")], ranks.least(4 - rank)]
        found = [asked, ranks.any(False, rank == 1, rank == 0)]
        print(json.dumps([found, gradient.tolist(), [each.item() for each in held]]))
        ranks.part()
        """
    )
    assert asked == [(0, [[[True, 3.0], [False, True, True]], [[2.0, 6.0], [10.0, 14.0]], [2.0, 4, True]])] * 2


@pytest.mark.slow
def test_a_rank_that_fails_alone_ends_with_its_reason_and_the_other_without(two):
    assert two('ranks.meet_failed("OSError: disk") if rank else ranks.meet(Turn.WAITS, 0, 3)') == [
        (3, ""),
        (3, "failed, and the others did not: OSError: disk"),
    ]


def test_a_rank_that_fails_while_the_other_waits_for_it_elsewhere_ends_both(two):
    began = time.monotonic()
    assert two('ranks.meet_failed("OSError: disk") if rank else ranks.average([torch.ones(3)], [])') == [
        (3, ""),
        (3, "failed, and the others did not: OSError: disk"),
    ]
    assert time.monotonic() - began < 30


@pytest.mark.slow
def test_ranks_in_different_places_end(two):
    line = "is not where the others are"
    assert two("ranks.meet(Turn.WAITS, 1, 50 + rank)") == [(3, line), (3, line)]


@pytest.mark.slow
def test_a_rank_whose_peer_was_killed_ends_at_once(two):
    assert two("os.kill(os.getpid(), 9) if rank else ranks.any(False)") == [(3, ""), (-9, None)]


def test_one_process_has_nobody_to_ask():
    ranks, gradient = Ranks(), torch.ones(2)
    ranks.meet(Turn.WAITS, 0, 0)
    ranks.meet_failed("alone")
    ranks.average([gradient], [])
    ranks.part()
    assert (ranks.first(1.0, 2.0), ranks.least(3.0), ranks.any(False, True)) == ([1.0, 2.0], 3.0, [False, True])
    assert gradient.tolist() == [1, 1]


def test_a_forward_that_lightning_has_led_through_ddp_is_the_models_own_again():
    model = nn.Linear(2, 2)
    model.forward = model.forward  # type: ignore[method-assign]
    _forget_redirection(model)  # type: ignore[arg-type]
    assert "forward" not in vars(model)
    model.forward = lambda x: x  # type: ignore[method-assign]
    _forget_redirection(model)  # type: ignore[arg-type]
    assert "forward" in vars(model)


def on(accelerator: str, **trainer: object) -> list:
    return [OmegaConf.create({"trainer": {"accelerator": accelerator, "strategy": "ddp", "devices": 2, **trainer}})]


def test_ranks_are_told_who_they_are_and_nothing_of_another_launcher(monkeypatch):
    monkeypatch.setattr(_devices, "num_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for name in ("SLURM_NTASKS", "RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "7")
    devices = _devices.of_ranks(on("cpu"), None)
    assert (devices.num_drivers, devices.are_ranks, devices.sharers(2)) == (2, True, 2)
    first, second = devices.rank_environments()
    assert (first["LOCAL_RANK"], second["LOCAL_RANK"]) == ("0", "1")
    assert first["MASTER_PORT"] == second["MASTER_PORT"]
    assert first["OMP_NUM_THREADS"] == "4"
    assert not {"SLURM_NTASKS", "RANK", "WORLD_SIZE"} & first.keys()


def test_ranks_see_all_gpus(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1,0")
    devices = _devices.of_ranks(on("gpu"), 2)
    assert devices.sharers(2) == 1
    assert [each["CUDA_VISIBLE_DEVICES"] for each in devices.rank_environments()] == ["3,1,0"] * 2


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"devices": [0, 1]}, r"trainer\.devices must be a number with launcher\.spread=data, got \[0, 1\]"),
        ({"devices": "0,1"}, r"trainer\.devices must be a number .* got 0,1; CUDA_VISIBLE_DEVICES=0,2 chooses"),
        ({"num_nodes": 2}, r"trainer\.num_nodes must be 1 with launcher\.spread=data, got 2"),
        ({"devices": 3}, r"trainer\.devices=3 with launcher\.spread=data needs 3 GPUs, and 2 can be used here"),
    ],
)
def test_devices_that_ranks_cannot_have_are_refused(monkeypatch, trainer, message):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(ConfigError, match=message):
        _devices.of_ranks(on("gpu", **trainer), None)


def test_a_program_is_out_of_memory_in_all_ranks_when_it_is_in_one(monkeypatch):
    from fulgurite.fused import together

    class OtherIsOut(Ranks):
        def any(self, *flags: bool) -> list[bool]:
            return [True, *flags[1:]]

    monkeypatch.setattr(together, "Group", lambda loops: SimpleNamespace())
    members = [SimpleNamespace(request=None)] * 2
    settings = together.Settings(tell=lambda line: None, ranks=OtherIsOut())
    assert together.train(members, 1.0, settings) is False  # type: ignore[arg-type]
