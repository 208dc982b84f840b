"""The errors of the trainer, in words of the config."""

import pytest

from fulgurite.errors import ConfigError
from fulgurite.training.trainer import Trainer

QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}


@pytest.mark.parametrize("name", ["gpu", "cuda", "mps"])
def test_a_device_that_is_not_there_is_named_beside_those_that_are(name, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    message = f"^trainer.accelerator={name}: this machine has no such device, only cpu; use trainer=auto$"
    with pytest.raises(ConfigError, match=message):
        Trainer(accelerator=name, devices=1, max_epochs=1, **QUIET)


def test_a_number_of_devices_that_cannot_be_is_refused():
    with pytest.raises(ConfigError, match=r"^trainer.accelerator=cpu with trainer.devices=0: .*not a valid input"):
        Trainer(accelerator="cpu", devices=0, max_epochs=1, **QUIET)


@pytest.mark.parametrize("max_epochs", [0, -2, 1.5, "many", True])
def test_training_for_no_epoch_is_refused(max_epochs):
    with pytest.raises(ConfigError, match=r"^max_epochs must be an integer >= 1, got "):
        Trainer(accelerator="cpu", devices=1, max_epochs=max_epochs, **QUIET)


@pytest.mark.parametrize("max_epochs", [None, -1])
def test_epochs_may_be_left_open_when_steps_say_when_to_stop(max_epochs):
    assert Trainer(accelerator="cpu", devices=1, max_epochs=max_epochs, max_steps=3, **QUIET).max_steps == 3
