"""Lightning's loggers, writing straight into the run folder."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger

from fulgurite.errors import ConfigError


class TensorBoard(TensorBoardLogger):
    """TensorBoard events in the run folder itself.

    Args:
        folder: the run folder.
        options: see Lightning's ``TensorBoardLogger``.
    """

    def __init__(self, folder: str | Path, **options: Any) -> None:
        super().__init__(save_dir=folder, name="", version="", default_hp_metric=False, **options)

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Draw what is logged once an epoch against epochs completed, and what is logged in steps against steps.

        Lightning marks the former with ``epoch``; left in, it would be the first card on the board.
        """
        values = dict(metrics)
        epoch = values.pop("epoch", None)
        super().log_metrics(values, step if epoch is None else int(epoch) + 1)


class CSV(CSVLogger):
    """``metrics.csv`` in the run folder itself.

    Args:
        folder: the run folder.
        options: see Lightning's ``CSVLogger``.
    """

    def __init__(self, folder: str | Path, **options: Any) -> None:
        super().__init__(save_dir=folder, name="", version="", **options)


class MLflow(MLFlowLogger):
    """A run of an MLflow experiment, named like the run folder.

    Args:
        folder: the run folder.
        experiment: name of the experiment.
        tracking_uri: database or server of the experiments; see MLflow's documentation.

    Raises:
        ConfigError: when MLflow is not installed.
    """

    def __init__(self, folder: str | Path, experiment: str, tracking_uri: str) -> None:
        _require("mlflow")
        super().__init__(experiment_name=experiment, run_name=Path(folder).name, tracking_uri=tracking_uri)


class Wandb(WandbLogger):
    """A run of a Weights & Biases project, named like the run folder.

    Args:
        folder: the run folder, where wandb keeps its files.
        project: name of the project.
        offline: keep the run here; ``wandb sync`` sends it later.

    Raises:
        ConfigError: when wandb is not installed.
    """

    def __init__(self, folder: str | Path, project: str, offline: bool) -> None:
        _require("wandb")
        super().__init__(name=Path(folder).name, save_dir=folder, project=project, offline=offline)


def _require(name: str) -> None:
    if find_spec(name) is None:
        raise ConfigError(f'logger={name} needs an extra package: pip install "fulgurite[{name}]"')
