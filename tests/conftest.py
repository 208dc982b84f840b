"""What several tests share: composed configs and small finished runs, on real data."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from fulgurite import config

# Tests run in several processes, whose threads would wait for each other's. Torch reads it when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

Compose = Callable[..., DictConfig]


@pytest.fixture
def compose_config(tmp_path: Path) -> Compose:
    """Compose the shipped config with overrides; the run folder is a fresh temporary folder."""

    def composed(*overrides: str, folder: Path = tmp_path) -> DictConfig:
        config.register()
        with initialize_config_dir(str(config.CONF_DIR), version_base="1.3"):
            return compose(config.CONFIG_NAME, overrides=[*overrides, f"folder='{folder}'"])

    return composed
