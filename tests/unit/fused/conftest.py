"""What tests of fused sweeps share as fixtures; ``fused_runs.py`` has the functions."""

from typing import Any

import pytest

from fulgurite.data.mnist import MNIST

LOADED: dict[str, Any] = {}


@pytest.fixture
def loaded_once(monkeypatch):
    """All jobs train on the same samples; to load them takes longer than to train."""
    load = MNIST.load_train

    def load_once(self):
        if "train" not in LOADED:
            LOADED["train"] = load(self)
        return LOADED["train"]

    monkeypatch.setattr(MNIST, "load_train", load_once)
