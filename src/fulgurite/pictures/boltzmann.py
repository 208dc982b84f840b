"""Pictures of what a Boltzmann machine believes: chains of states that start at digits, and chains that start at noise.

Shapes: N chains, V visible units, H hidden units.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from fulgurite.figures.colours import Pixels
from fulgurite.figures.image_grid import image_grid, to_grey_levels
from fulgurite.models.boltzmann import BoltzmannMachine, draw
from fulgurite.models.dbn import DBN
from fulgurite.models.rbm import RBM
from fulgurite.pictures.board import Drawn, Image
from fulgurite.pictures.outputs import to_shown
from fulgurite.pictures.scene import Scene
from fulgurite.randomness import Stream, derive_seed

# Steps of a chain that are shown: the columns of both pictures.
_STEPS = (0, 1, 2, 5, 20, 100, 500)
_ROWS, _COLUMNS = 6, len(_STEPS)


def has_chains(scene: Scene) -> bool:
    """Whether a Boltzmann machine has learned images, and no back-propagation has come after it."""
    return scene.is_callable and scene.spec is not None and scene.spec.is_image and bool(_stack(scene))


def draw_chains(scene: Scene) -> Iterator[Drawn]:
    """What becomes of validation samples step by step, and of noise (or persistent chains) after many steps."""
    assert scene.data is not None
    machines = _stack(scene)
    # Leaves no trace: the generators' states are put back.
    torch.manual_seed(derive_seed(scene.data.seed, Stream.STEP, scene.epochs))
    started = scene.encode(scene.data.part("val").x[:_ROWS]).flatten(1)
    rows = torch.stack(list(_visited(machines, started)), dim=1).flatten(0, 1)
    words = f"after {', '.join(map(str, _STEPS))} steps"
    yield Image("viz_boltzmann/chain", _grid(scene, rows, "Chains from samples on", words))
    top, number = machines[-1], _ROWS * _COLUMNS
    is_persistent = top.rule == "pcd"
    begun = top.chains[:number] if is_persistent else draw(top.offset.new_full((number, len(top.offset)), 0.5))
    reached = _down(machines, top.sample(begun, _STEPS[-1]))
    words = f"{'persistent chains' if is_persistent else 'chains from noise'}, {_STEPS[-1]} steps on"
    yield Image("viz_boltzmann/fantasies", _grid(scene, reached, "Fantasies", words))


def _stack(scene: Scene) -> list[BoltzmannMachine]:
    """Machines that have learned, the lowest first; none where there are none, or they are layers by now."""
    model = scene.model
    if isinstance(model, RBM):
        return [model.machine]
    return model.learned_machines(scene.epochs - 1) if isinstance(model, DBN) else []


def _visited(machines: list[BoltzmannMachine], v: Tensor) -> Iterator[Tensor]:
    """Samples N x V, and probabilities of them after each of ``_STEPS`` of a chain of the top machine."""
    yield v
    for machine in machines[:-1]:
        v = machine(v)
    done = 0
    for step in _STEPS[1:]:
        v = machines[-1].sample(v, step - 1 - done)
        done = step - 1
        yield _down(machines, v)


def _down(machines: list[BoltzmannMachine], v: Tensor) -> Tensor:
    """One more step of the top machine's chain, as probabilities, seen through the machines below."""
    v = machines[-1].down(draw(machines[-1](v)))
    for machine in reversed(machines[:-1]):
        v = machine.down(v)
    return v


def _grid(scene: Scene, v: Tensor, title: str, words: str) -> Pixels:
    """Samples N x V as images."""
    assert scene.spec is not None
    number = len(_stack(scene))
    where = f"epoch {scene.epochs} · " + (f"{number} layers · " if number > 1 else "")
    images = to_grey_levels(to_shown(v.view(-1, *scene.spec.input_shape)).cpu().numpy())
    return image_grid(images, title=title, subtitle=where + words, columns=_COLUMNS)
