"""What several tests share: composed configs and small finished runs, on real data."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from fulgurite import config

Compose = Callable[..., DictConfig]


@pytest.fixture
def compose_config(tmp_path: Path) -> Compose:
    """Compose the shipped config with overrides; the run folder is a fresh temporary folder."""

    def composed(*overrides: str, folder: Path = tmp_path) -> DictConfig:
        config.register()
        with initialize_config_dir(str(config.CONF_DIR), version_base="1.3"):
            return compose(config.CONFIG_NAME, overrides=[*overrides, f"folder='{folder}'"])

    return composed
