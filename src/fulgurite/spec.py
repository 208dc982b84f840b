"""What a data set tells the rest: the one place where data, model and objective agree on sizes and task."""

from dataclasses import dataclass

from fulgurite.errors import check_choice, check_int, check_sizes

TASKS = ("classification", "regression")


@dataclass(frozen=True)
class DataSpec:
    """Sizes and task of a data set, filled from ``data.spec`` in the config.

    Attributes:
        task: ``classification`` (targets are class numbers) or ``regression`` (targets are rows of numbers).
        input_shape: shape of one sample as the model sees it: ``[1, 28, 28]`` for an image, ``[1]`` for one feature.
        num_outputs: number of classes, or of numbers to predict.
        metric: the metric that says which run is best, such as ``val/acc``.
        mode: ``max`` when a larger metric is better, else ``min``.
        target_mean: mean of a regression target in its own unit; the network predicts (target - mean) / std.
        target_std: standard deviation of a regression target in its own unit.
        noise_std: standard deviation of the noise in the targets, when it is known: what no model can beat.
    """

    task: str
    input_shape: tuple[int, ...]
    num_outputs: int
    metric: str
    mode: str
    target_mean: float = 0.0
    target_std: float = 1.0
    noise_std: float | None = None

    def __post_init__(self) -> None:
        check_choice("spec.task", self.task, TASKS)
        check_choice("spec.mode", self.mode, ("min", "max"))
        check_int("spec.num_outputs", self.num_outputs)
        object.__setattr__(self, "input_shape", tuple(check_sizes("spec.input_shape", self.input_shape)))

    @property
    def is_image(self) -> bool:
        """True when a sample is channels x height x width."""
        return len(self.input_shape) == 3
