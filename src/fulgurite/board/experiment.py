"""The one record at a sweep's root that says which columns the HParams tab has: what is swept, and what came out.

TensorBoard takes an arbitrary one where there are several (tensorflow/tensorboard issue 5596), so no run has its own.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fulgurite.board.events import hparams_summary, read_values, write_summaries
from fulgurite.board.values import Kind, kind_of, value_of

FILE_NAME = "events.out.tfevents.0000000000.experiment"
# Of the numbers at the end of a run.
FINAL = "final/"
_LOGGER = "fulgurite.training.loggers.TensorBoard"


def uses_tensorboard(config: Mapping[str, Any]) -> bool:
    """Whether a composed config has our TensorBoard logger."""
    loggers = config.get("logger") or {}
    return any(isinstance(each, Mapping) and each.get("_target_") == _LOGGER for each in loggers.values())


def write_experiment(folder: Path, values: Mapping[str, Sequence[str]], config: Mapping[str, Any]) -> None:
    """Write the record of a sweep; nothing where its jobs have no TensorBoard logger.

    Values that an earlier record of the sweep knows stay known.

    Args:
        folder: of the sweep.
        values: each swept key, in the order of the columns, with the values or the extremes that it may have.
        config: of any of its jobs, as plain values.
    """
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    path = folder / FILE_NAME
    if not uses_tensorboard(config) or not values:
        path.unlink(missing_ok=True)
        return
    known = {info.name: _known(info) for info in _recorded(folder)}
    infos = [_column(key, list(dict.fromkeys([*texts, *known.get(key, [])]))) for key, texts in values.items()]
    experiment = api_pb2.Experiment(hparam_infos=infos, metric_infos=_metrics(config), time_created_secs=time.time())
    data = plugin_data_pb2.HParamsPluginData(experiment=experiment)
    folder.mkdir(parents=True, exist_ok=True)
    write_summaries(path, [hparams_summary(metadata.EXPERIMENT_TAG, data)])


def columns(folder: Path) -> dict[str, Kind]:
    """The swept keys of the sweep in ``folder`` and what kind their values are; empty without a record."""
    if not (folder / FILE_NAME).is_file():
        return {}
    from tensorboard.plugins.hparams import api_pb2

    kinds: dict[int, Kind] = {api_pb2.DATA_TYPE_FLOAT64: "number", api_pb2.DATA_TYPE_BOOL: "bool"}
    return {info.name: kinds.get(info.type, "text") for info in _recorded(folder)}


def _column(key: str, texts: Sequence[str]) -> Any:
    """What is known of a swept key: numbers lie between two ends, everything else is one of its values."""
    from tensorboard.plugins.hparams import api_pb2

    # Keys that differ come first on the page, and the first five are shown.
    info = api_pb2.HParamInfo(name=key, differs=len(texts) > 1)
    kind = kind_of(texts)
    if kind == "number":
        numbers = [float(text) for text in texts]
        info.type = api_pb2.DATA_TYPE_FLOAT64
        info.domain_interval.min_value, info.domain_interval.max_value = min(numbers), max(numbers)
    else:
        info.type = api_pb2.DATA_TYPE_BOOL if kind == "bool" else api_pb2.DATA_TYPE_STRING
        info.domain_discrete.extend(value_of(text, kind) for text in texts)
    return info


def _metrics(config: Mapping[str, Any]) -> list[Any]:
    """The columns of results: the objective, the same on the test set, and both losses."""
    from tensorboard.plugins.hparams import api_pb2

    objective = str(config["objective"]["metric"])
    on_test = f"test/{objective.removeprefix('val/')}" if objective.startswith("val/") else ""
    names = dict.fromkeys([objective, on_test, "val/loss", "test/loss"])
    return [
        api_pb2.MetricInfo(name=api_pb2.MetricName(tag=f"{FINAL}{name}"), display_name=name)
        for name in names
        if name and (config.get("test", True) or not name.startswith("test/"))
    ]


def _recorded(folder: Path) -> list[Any]:
    from tensorboard.plugins.hparams import metadata

    path = folder / FILE_NAME
    if not path.is_file():
        return []
    contents = [value.metadata.plugin_data.content for value in read_values(path) if value.HasField("metadata")]
    return [info for each in contents for info in metadata.parse_experiment_plugin_data(each).hparam_infos]


def _known(info: Any) -> list[str]:
    from google.protobuf.json_format import MessageToDict

    if info.HasField("domain_interval"):
        return [repr(info.domain_interval.min_value), repr(info.domain_interval.max_value)]
    return [str(each).lower() if isinstance(each, bool) else each for each in MessageToDict(info.domain_discrete)]
