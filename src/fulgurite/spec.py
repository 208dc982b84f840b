"""What a data set tells the rest: the one place where data, model and objective agree on sizes and task."""

from collections.abc import Sequence
from dataclasses import dataclass

from fulgurite.errors import ConfigError, check_choice, check_int, check_number, check_sizes

TASKS = ("classification", "binary", "multilabel", "regression")
# What follows a network's last layer, and the tasks that it makes sense for.
HEADS = {
    "none": TASKS,
    "softmax": ("classification",),
    "sigmoid": TASKS,
    "tanh": ("classification", "regression"),
    "softplus": ("regression",),
    "relu": ("regression",),
}
_BOUNDED = ("sigmoid", "tanh")


@dataclass(frozen=True)
class DataSpec:
    """Sizes and task of a data set, filled from ``data.spec`` in the config.

    Attributes:
        task: ``classification`` (one of several classes; targets are class numbers), ``binary`` (yes or no),
            ``multilabel`` (several yes or no at once; targets of both are rows of 0.0 and 1.0) or ``regression``
            (targets are rows of numbers).
        input_shape: shape of one sample as the model sees it: ``[1, 28, 28]`` for an image, ``[1]`` for one feature.
        num_outputs: number of classes, of labels (1 for ``binary``), or of numbers to predict.
        metric: the metric that says which run is best, such as ``val/acc``.
        mode: ``max`` when a larger metric is better, else ``min``.
        target_mean: mean of a regression target in its own unit; the network predicts (target - mean) / std.
        target_std: standard deviation of a regression target in its own unit.
        noise_std: standard deviation of the noise in the targets, when it is known: what no model can beat.
        target_low: smallest value that a regression target can have, for a head of bounded range.
        target_high: largest value that a regression target can have.
        names: what the outputs are called, one word each.
        head: what follows the network's last layer (see ``models/heads.py``); chosen with ``head=``, since data and
            objective have to fit it.
    """

    task: str
    input_shape: tuple[int, ...]
    num_outputs: int
    metric: str
    mode: str
    target_mean: float = 0.0
    target_std: float = 1.0
    noise_std: float | None = None
    target_low: float | None = None
    target_high: float | None = None
    names: tuple[str, ...] | None = None
    head: str = "none"

    def __post_init__(self) -> None:
        check_choice("spec.task", self.task, TASKS)
        check_choice("spec.mode", self.mode, ("min", "max"))
        check_int("spec.num_outputs", self.num_outputs)
        object.__setattr__(self, "input_shape", tuple(check_sizes("spec.input_shape", self.input_shape)))
        if self.task == "binary" and self.num_outputs != 1:
            raise ConfigError(f"spec.num_outputs must be 1 for binary, got {self.num_outputs}; use task multilabel")
        if self.names is not None:
            object.__setattr__(self, "names", _checked_names(self.names, self.num_outputs))
        self._check_head()

    def _check_head(self) -> None:
        if self.task not in HEADS[check_choice("spec.head", self.head, HEADS)]:
            fitting = ", ".join(name for name, tasks in HEADS.items() if self.task in tasks)
            raise ConfigError(f"head={self.head} is not for {self.task}; use one of {fitting}")
        if self.task != "regression" or self.head not in _BOUNDED:
            return
        if self.target_low is None or self.target_high is None:
            raise ConfigError(
                f"head={self.head} gives numbers of a bounded range, and this data set names none; set "
                "data.spec.target_low and data.spec.target_high, or use head=none"
            )
        low = check_number("spec.target_low", self.target_low)
        check_number("spec.target_high", self.target_high, above=low)

    @property
    def is_image(self) -> bool:
        """True when a sample is channels x height x width."""
        return len(self.input_shape) == 3

    @property
    def output_names(self) -> tuple[str, ...]:
        """``names``, or numbers from 0."""
        return self.names or tuple(str(number) for number in range(self.num_outputs))


def _checked_names(names: Sequence[str], number: int) -> tuple[str, ...]:
    listed = isinstance(names, Sequence) and not isinstance(names, str)
    if listed and all(isinstance(each, str) and each.isidentifier() for each in names) and len(set(names)) == number:
        return tuple(names)
    raise ConfigError(f"spec.names must be null or {number} different words such as [x,y], got {names!r}")
