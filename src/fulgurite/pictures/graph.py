"""TensorBoard's model graph, and its projector with the samples as sprites."""

import contextlib
import io
import warnings
from typing import Any

from torch import Tensor, nn

from fulgurite.pictures.outputs import to_shown
from fulgurite.pictures.scene import Scene

_NUM_EMBEDDED = 500


def trace(scene: Scene) -> Any:
    """The model as ``torch.utils.tensorboard`` draws it, by a trace of one sample.

    Raises:
        RuntimeError: when it cannot be traced.
    """
    from torch.utils.tensorboard._pytorch_graph import graph

    assert scene.data is not None
    x = scene.encode(scene.data.part("val").x[:1])
    # torch.jit warns that it is old, and of each branch; torch prints what it raises.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return graph(scene.model, x)


def has_embedding(scene: Scene) -> bool:
    """Whether the model ends in a dense layer, and tells classes of images apart."""
    is_image = scene.spec is not None and scene.spec.is_image and scene.spec.task == "classification"
    return scene.is_callable and is_image and _last_dense(scene.model) is not None


def add_embedding(scene: Scene, writer: Any) -> None:
    """Write what the last layer reads of some validation samples, with labels and the images themselves."""
    data, layer = scene.data, _last_dense(scene.model)
    assert data is not None
    assert layer is not None
    x, y = (each[:_NUM_EMBEDDED] for each in data.part("val"))
    read: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, args: read.append(args[0]))
    try:
        encoded = scene.encode(x)
        scene.model(encoded)
    finally:
        hook.remove()
    shown = to_shown(encoded)
    shown = shown.permute(0, 3, 1, 2) if shown.dim() == 4 else shown.unsqueeze(1)
    low, high = shown.amin(), shown.amax()
    # White digits on black would be black squares among black squares.
    sprites = 1 - (shown - low) / (high - low).clamp(min=1e-9)
    writer.add_embedding(
        read[0].flatten(1).float().cpu(), y.tolist(), sprites.cpu(), global_step=scene.epochs, tag="last_layer_input"
    )


def _last_dense(model: nn.Module) -> nn.Linear | None:
    return next((each for each in reversed(list(model.modules())) if isinstance(each, nn.Linear)), None)
