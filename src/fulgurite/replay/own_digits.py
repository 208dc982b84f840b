"""How well a network reads digits that are not MNIST's: twenty that `scripts/draw_digits.py` draws as people do."""

from pathlib import Path

from fulgurite.errors import ConfigError
from fulgurite.replay.answers import label_of
from fulgurite.replay.predict import predict
from fulgurite.replay.run_folder import open_run

FOLDER = Path(__file__).parents[1] / "data" / "own_digits"


def measure(folder: Path) -> dict[str, float]:
    """The share of our own digits that a finished run reads rightly.

    Args:
        folder: of a run on grey images of ten classes.

    Returns:
        ``own_digits/acc``, in [0, 1].

    Raises:
        ConfigError: when the run is on something else.
    """
    import torch

    from fulgurite.replay.digits import read_digit

    run = open_run(folder)
    spec = run.cfg.data.spec
    shape = list(spec.input_shape)
    if spec.task != "classification" or shape[0] != 1 or len(set(shape[1:])) != 1 or spec.num_outputs != 10:
        raise ConfigError(
            f"own_digits needs a run on grey square images of ten digits; this one has task {spec.task}, samples of "
            f"shape {shape} and {spec.num_outputs} outputs"
        )
    files = sorted(FOLDER.glob("*.png"))
    labels = torch.tensor([label_of(file, spec.num_outputs) for file in files])
    outputs = predict(run, run.checkpoint("best"), torch.stack([read_digit(file, shape[1]) for file in files]))
    return {"own_digits/acc": float((outputs.argmax(1) == labels).float().mean())}
