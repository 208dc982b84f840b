"""What goes on from a checkpoint has its optimiser and kind of schedule. One run is made; others begin at its end."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from fulgurite import config
from fulgurite.errors import RunFolderError
from fulgurite.job import run_job

TINY = ("data=iris", "model=mlp", "model.hidden=[3]", "trainer=cpu", "logger=none", "callbacks.progress=null")
FAST = ("callbacks.pictures.enabled=false", "test=false")


def train(folder: Path, *words: str):
    config.register()
    with initialize_config_dir(str(config.CONF_DIR), version_base="1.3"):
        cfg = compose(config.CONFIG_NAME, overrides=[*TINY, *FAST, *words, f"folder='{folder}'"])
    return run_job(cfg, [])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one epoch of Adam with one_cycle, as by default."""
    folder = tmp_path_factory.mktemp("first")
    train(folder, "trainer.max_epochs=1")
    return folder / "checkpoints" / "last.ckpt"


def go_on(checkpoint: Path, folder: Path, *words: str):
    return train(folder, "trainer.max_epochs=2", *words, f"checkpoint='{checkpoint}'")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("optimizer=sgd", r"the optimizer of the checkpoint .*last\.ckpt is Adam, and that of the config is SGD; use "),
        (
            "optimizer=adamw",
            r"the optimizer of the checkpoint .* is Adam, and that of the config is AdamW; use the ",
        ),
        ("scheduler=plateau", "the scheduler of .* is StepwiseLR, and that of the config is ReduceLROnPlateau; use "),
        ("scheduler=constant", r"is StepwiseLR, and that of the config is none; use the scheduler= of the run that "),
    ],
)
def test_another_optimizer_or_kind_of_schedule_is_refused(checkpoint: Path, tmp_path: Path, word: str, said: str):
    with pytest.raises(RunFolderError, match=said):
        go_on(checkpoint, tmp_path, word)


@pytest.mark.parametrize("words", [(), ("scheduler=cosine",), ("optimizer.lr=0.01", "optimizer.betas=[0.8,0.9]")])
def test_the_same_goes_on_for_longer_and_with_other_numbers(checkpoint: Path, tmp_path: Path, words: tuple[str, ...]):
    result = go_on(checkpoint, tmp_path, *words)
    assert (result.status, result.epochs) == ("finished", 2)


def test_a_checkpoint_without_notes_is_told_by_its_hyperparameters(checkpoint: Path, tmp_path: Path):
    content = torch.load(checkpoint, weights_only=True)
    assert content.pop("optimised_by") == {"optimizer": ["Adam"], "scheduler": ["StepwiseLR"]}
    torch.save(content, older := tmp_path / "older.ckpt")
    with pytest.raises(RunFolderError, match=r"older\.ckpt is one with amsgrad, betas, .*eps, and .* is SGD; use"):
        go_on(older, tmp_path / "other", "optimizer=sgd")
    assert go_on(older, tmp_path / "same").epochs == 2
