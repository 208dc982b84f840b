"""What tests of event files share."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.hparams import metadata

from fulgurite.result import Objective, Result

LOGGER = {"tensorboard": {"_target_": "fulgurite.training.loggers.TensorBoard"}}
CONFIG: dict[str, Any] = {"objective": {"metric": "val/acc", "mode": "max"}, "logger": LOGGER, "test": True}


@dataclass
class Seen:
    """What TensorBoard finds in a folder, its files read in the order of their names."""

    starts: list[Any] = field(default_factory=list)
    ends: list[Any] = field(default_factory=list)
    experiments: list[Any] = field(default_factory=list)
    points: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    layouts: list[bytes] = field(default_factory=list)

    @property
    def hparams(self) -> dict[str, Any]:
        """The values in the only row."""
        (start,) = self.starts
        return {key: getattr(value, value.WhichOneof("kind")) for key, value in start.hparams.items()}


def seen(folder: Path) -> Seen:
    """Read all event files of ``folder`` itself."""
    found = Seen()
    for path in sorted(folder.glob("*tfevents*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                _sort_in(found, value, event.step)
    return found


def _sort_in(found: Seen, value: Any, step: int) -> None:
    content = value.metadata.plugin_data.content
    if value.tag == metadata.SESSION_START_INFO_TAG:
        found.starts.append(metadata.parse_session_start_info_plugin_data(content))
    elif value.tag == metadata.SESSION_END_INFO_TAG:
        found.ends.append(metadata.parse_session_end_info_plugin_data(content))
    elif value.tag == metadata.EXPERIMENT_TAG:
        found.experiments.append(metadata.parse_experiment_plugin_data(content))
    elif value.metadata.plugin_data.plugin_name == "text":
        found.texts.setdefault(value.tag, []).append(value.tensor.string_val[0].decode())
    elif value.metadata.plugin_data.plugin_name == "custom_scalars":
        found.layouts.append(value.tensor.string_val[0])
    else:
        found.points.setdefault(value.tag, []).append((step, value.tensor.float_val[0]))


def result(status: str = "running", *overrides: str, **options: Any) -> Result:
    """A record of a run."""
    return Result(status, Objective("val/acc", "max"), overrides=list(overrides), **options)  # type: ignore[arg-type]
