"""The distance from the clean curve."""

import pytest
import pytorch_lightning as pl
import torch

from fulgurite.callbacks.clean_curve import CleanCurve
from fulgurite.data.synthetic import Linear
from fulgurite.models.mlp import MLP

SPEC = {"task": "regression", "input_shape": [1], "num_outputs": 1, "metric": "val/mae", "mode": "min"}


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
def test_a_model_that_is_the_curve_plus_a_constant_is_that_constant_away() -> None:
    # The clean curve is 0 everywhere; a network of zero weights says its last bias, whatever the noise.
    data = Linear(spec=SPEC, weights=[0.0], noise_std=3.0)
    model = MLP(SPEC, hidden=[2])
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    model.net[-1].bias.data.fill_(-0.75)  # type: ignore[operator, union-attr]
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[CleanCurve()],
    )
    (metrics,) = trainer.test(model, datamodule=data, verbose=False)
    assert metrics["test/clean_mae"] == pytest.approx(0.75, abs=1e-6)
