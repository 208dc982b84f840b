"""What tests of fused sweeps share as fixtures; ``fused_runs.py`` has the functions."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from fulgurite import config
from fulgurite.data.mnist import MNIST

_LOADED: dict[str, Any] = {}
_COMPOSED: dict[tuple[str, ...], DictConfig] = {}


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    """All jobs train on the same samples; to load them takes longer than to train."""
    load = MNIST.load_train

    def load_once(self):
        if "train" not in _LOADED:
            _LOADED["train"] = load(self)
        return _LOADED["train"]

    monkeypatch.setattr(MNIST, "load_train", load_once)


@pytest.fixture
def compose_config(tmp_path: Path):
    """As that of all tests, but each choice of groups is composed once: that takes as long as many of these runs."""

    def composed(*overrides: str, folder: Path = tmp_path) -> DictConfig:
        groups = tuple(each for each in overrides if (config.CONF_DIR / each.partition("=")[0]).is_dir())
        if groups not in _COMPOSED:
            _COMPOSED[groups] = _composed(groups)
        cfg = copy.deepcopy(_COMPOSED[groups])
        values = [each for each in overrides if each not in groups]
        for override in OverridesParser.create().parse_overrides(values):
            OmegaConf.update(cfg, override.key_or_group, override.value(), force_add=override.is_add())
        cfg.folder = str(folder)
        return cfg

    return composed


def _composed(groups: tuple[str, ...]) -> DictConfig:
    config.register()
    with initialize_config_dir(str(config.CONF_DIR), version_base="1.3"):
        return compose(config.CONFIG_NAME, overrides=list(groups))
