"""Processes that train one run compare their configs. What they say to each other is a stand-in here."""

from types import SimpleNamespace

import pytest
import torch
from torch import distributed

from fulgurite.errors import ConfigError
from fulgurite.training.same_config import SameConfig, check_same_config

ONE, OTHER = "0123456789abcdef", "0123456789abceef"
LARGEST = "ffffffffffffffff"


def compare(monkeypatch, fingerprints: list[str], rank: int) -> None:
    def all_gather(of_all, own):
        for each, digest in zip(of_all, fingerprints, strict=True):
            each.fill_(int(digest[:15], 16))
        assert of_all[rank] == own

    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: len(fingerprints))
    monkeypatch.setattr(distributed, "all_gather", all_gather)
    trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cpu")))
    SameConfig(fingerprints[rank]).setup(trainer, None, "fit")  # type: ignore[arg-type]


@pytest.mark.parametrize("digest", [ONE, LARGEST, "0" * 16])
def test_equal_configs_pass(monkeypatch, digest):
    compare(monkeypatch, [digest] * 3, rank=1)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_each_process_ends_when_one_has_another_config(monkeypatch, rank):
    with pytest.raises(ConfigError, match="0123456789abcde in process 0 and 0123456789abcee in process 2"):
        compare(monkeypatch, [ONE, ONE, OTHER], rank)


def test_one_process_has_nobody_to_compare_with():
    SameConfig(ONE).setup(SimpleNamespace(), None, "fit")  # type: ignore[arg-type]
    alone = SimpleNamespace(world_size=1, callbacks=[])
    check_same_config(alone, ONE)  # type: ignore[arg-type]
    assert alone.callbacks == []


def test_it_comes_before_all_other_callbacks():
    trainer = SimpleNamespace(world_size=2, callbacks=["first"])
    check_same_config(trainer, ONE)  # type: ignore[arg-type]
    assert isinstance(trainer.callbacks[0], SameConfig)
