"""A callback that writes down the learning rate of each process of a run."""

from pathlib import Path

from pytorch_lightning import Callback


class Rates(Callback):
    """Writes ``rate-<rank>``.

    Args:
        folder: where to.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def on_train_start(self, trainer, pl_module):
        rate = pl_module.hparams.get("lr") or trainer.optimizers[0].defaults["lr"]
        (self._folder / f"rate-{trainer.global_rank}").write_text(f"{rate:g}")
