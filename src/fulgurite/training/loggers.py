"""Lightning's loggers, writing straight into the run folder."""

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from pytorch_lightning.loggers.csv_logs import ExperimentWriter

from fulgurite.errors import ConfigError
from fulgurite.training.curves import read_rows, write_rows


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

    def log_hyperparams(self, params: Any, metrics: dict[str, Any] | None = None, step: int | None = None) -> None:
        """Keep them for ``hparams.yaml``.

        The rows of the HParams tab are written by ``fulgurite.board``: Lightning's own would be one experiment a run.
        """
        super().log_hyperparams(params)


class CSV(CSVLogger):
    """``metrics.csv`` in the run folder itself; a run that goes on in its folder adds to the rows that are there.

    Args:
        folder: the run folder.
        options: see Lightning's ``CSVLogger``.
    """

    def __init__(self, folder: str | Path, **options: Any) -> None:
        super().__init__(save_dir=folder, name="", version="", **options)

    @property
    @rank_zero_experiment
    def experiment(self) -> "_Rows":
        """What writes the file."""
        if not isinstance(self._experiment, _Rows):
            self._experiment = _Rows(self.log_dir)
        return self._experiment


class _Rows(ExperimentWriter):
    """Lightning's writer, which would delete the rows that are there."""

    def __init__(self, log_dir: str) -> None:
        super().__init__(log_dir)
        path = Path(self.metrics_file_path)
        if path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                self.metrics_keys = next(csv.reader(file), [])

    def _check_log_dir_exists(self) -> None:
        pass

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        write_rows(Path(self.metrics_file_path), fieldnames, read_rows(Path(self.metrics_file_path)))


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
