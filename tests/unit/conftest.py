"""What unit tests of sweeps share."""

from pathlib import Path

import pytest

from fulgurite import job
from fulgurite.config import fingerprint, resolve
from fulgurite.result import Objective, Result


class Training:
    """Stands in for ``run_job``; records each job with ``status``."""

    def __init__(self) -> None:
        self.status = "finished"
        self.folders: list[Path] = []

    def __call__(self, cfg, overrides, build=None, begun=None):
        folder = Path(cfg.folder)
        self.folders.append(folder)
        objective = Objective("val/acc", "max", 0.9)
        digest = fingerprint(resolve(cfg))
        return Result(self.status, objective, overrides=list(overrides), fingerprint=digest).write(folder)


@pytest.fixture
def training(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "run_job", stand_in := Training())
    return stand_in
