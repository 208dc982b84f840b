"""How far a fit is from the curve without noise, where that is known."""

import pytorch_lightning as pl

from fulgurite.data.synthetic import Synthetic


class CleanCurve(pl.Callback):
    """Logs ``test/clean_mae``: the mean absolute difference of prediction and clean curve at the test points.

    Does nothing for data whose curve is not known.
    """

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare all test points at once; on each rank the same."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(data, Synthetic):
            x = data.part("test").x
            error = (pl_module(data.encode(x)) - data.clean(x)).abs().mean()
            pl_module.log("test/clean_mae", error, on_step=False, on_epoch=True, sync_dist=True)
