"""The path of descent of a member of a fused sweep."""

import torch
from fused_runs import train_alone, train_together

from fulgurite.pictures.descent import path_of

LINE = ("experiment=linear_regression", "trainer=cpu", "trainer.max_epochs=4", "logger=none", "test=false")


def test_a_member_has_the_path_of_its_solo_run(compose_config, tmp_path):
    quiet = ("callbacks.progress=null", "callbacks.pictures.enabled=false", "trainer.precision=64-true")

    def composed(kind: str) -> list:
        rates = (0.1, 0.2)
        words = [(*LINE, *quiet, f"optimizer.lr={rate}") for rate in rates]
        return [compose_config(*each, folder=tmp_path / kind / str(number)) for number, each in enumerate(words)]

    together = train_together(composed("fused"))
    assert not together.errors
    assert "train as one" in " ".join(together.lines)
    for run, cfg in zip(together.runs, composed("solo"), strict=True):
        path = path_of(run.trainer)
        assert path.shape == (5, 2)
        torch.testing.assert_close(path, path_of(train_alone(cfg)[0].trainer))
