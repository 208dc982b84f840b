"""A decision tree beside networks of step functions, on the petals of irises.

A tree cuts the plane along its axes, one question after the other. A network of Heaviside units asks all of its
questions at once, along any line. Written by hand it can ask the tree's own: a unit for each question, a unit for each
leaf that is on when all answers on its way are right (Sethi, "Entropy nets: from decision trees to neural networks",
1990). Trained, its first layer stays as it was drawn, since a step has no slope; only the last layer learns.

    python scripts/tree_beside_mlp.py [PNG]

Shapes: P points, C classes, D splits of the tree, L leaves, G places along a side.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from fulgurite.data.iris import Iris
from fulgurite.figures.plane import decision_regions
from fulgurite.figures.png import to_png
from fulgurite.models.mlp import MLP

DEFAULT = Path(__file__).parents[1] / "docs" / "images" / "tree_beside_mlp.png"
FEATURES = ["petal_length", "petal_width"]
SPEC: dict[str, Any] = {
    "task": "classification",
    "input_shape": [2],
    "num_outputs": 3,
    "metric": "val/acc",
    "mode": "max",
}
_DEPTH, _UNITS, _STEPS, _SIDE = 3, 40, 300, 200
# A unit that is on only when all of its conditions are met fires when their sum is above this much less than all.
_LESS = 0.5


def petals() -> tuple[NDArray, NDArray]:
    """Length and width in cm of 90 training flowers, P x 2, and their species."""
    data = Iris(spec=SPEC, features=FEATURES)
    data.setup("fit")
    part = data.part("train")
    return part.x.double().numpy(), part.y.numpy()


def network_of(tree: DecisionTreeClassifier) -> MLP:
    """The Heaviside network that says what a tree says, at every place: 2-D-L-C."""
    nodes = tree.tree_
    splits: list[int] = []
    leaves: list[tuple[int, list[tuple[int, bool]]]] = []
    _walk(nodes, 0, [], splits, leaves)
    model = MLP(spec=SPEC, hidden=[len(splits), len(leaves)], activation="heaviside").double()
    questions, ways, answers = (each for each in model.modules() if isinstance(each, nn.Linear))
    with torch.no_grad():
        for layer in (questions, ways, answers):
            layer.weight.zero_()
            layer.bias.zero_()
        for row, node in enumerate(splits):
            # On at and below the threshold, as the tree goes left there.
            questions.weight[row, nodes.feature[node]] = -1.0
            questions.bias[row] = nodes.threshold[node]
        for row, (leaf, way) in enumerate(leaves):
            for node, is_left in way:
                ways.weight[row, splits.index(node)] = 1.0 if is_left else -1.0
            ways.bias[row] = _LESS - sum(is_left for _, is_left in way)
            answers.weight[:, row] = torch.from_numpy(nodes.value[leaf][0])
    return model


def _walk(nodes: Any, node: int, way: list[tuple[int, bool]], splits: list[int], leaves: list[Any]) -> None:
    """Collect the splits, and the leaves with the answers that lead to them."""
    if nodes.children_left[node] < 0:
        leaves.append((node, way))
        return
    splits.append(node)
    _walk(nodes, nodes.children_left[node], [*way, (node, True)], splits, leaves)
    _walk(nodes, nodes.children_right[node], [*way, (node, False)], splits, leaves)


def trained_network(x: NDArray, y: NDArray, seed: int = 0) -> Callable[[NDArray], NDArray]:
    """A network of one layer of Heaviside units, trained on points (P x 2); gives probabilities (P x C)."""
    torch.manual_seed(seed)
    middle, spread = x.mean(axis=0), x.std(axis=0)
    model = MLP(spec=SPEC, hidden=[_UNITS], activation="heaviside").double()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    samples = torch.from_numpy((x - middle) / spread), torch.from_numpy(y)
    for _ in range(_STEPS):
        optimizer.zero_grad()
        model.training_step(samples, 0)["loss"].backward()
        optimizer.step()

    return lambda places: softmax(said(model, (places - middle) / spread), axis=1)


def said(model: MLP, places: NDArray) -> NDArray:
    """What a network gives at places (P x 2), P x C."""
    with torch.no_grad():
        return model(torch.from_numpy(places)).numpy()


def draw() -> NDArray[np.uint8]:
    """The three boundaries side by side."""
    x, y = petals()
    tree = DecisionTreeClassifier(max_depth=_DEPTH, random_state=0).fit(x, y)
    by_hand = network_of(tree)
    splits, leaves = by_hand.hparams["hidden"]
    asked: list[tuple[str, str, Callable[[NDArray], NDArray]]] = [
        ("Decision tree", f"scikit-learn, {leaves} leaves", tree.predict_proba),
        ("The tree as a network", f"2-{splits}-{leaves}-3, Heaviside, by hand", lambda at: said(by_hand, at)),
        ("Trained network", f"2-{_UNITS}-3, Heaviside; the last layer learns", trained_network(x, y)),
    ]
    low, high = x.min(axis=0) - 0.3, x.max(axis=0) + 0.3
    across, up = (np.linspace(low[axis], high[axis], _SIDE) for axis in (0, 1))
    places = np.stack(np.meshgrid(across, up), axis=2).reshape(-1, 2)
    x_span, y_span = ((float(low[axis]), float(high[axis])) for axis in (0, 1))
    panels = [
        decision_regions(
            shares(places).reshape(_SIDE, _SIDE, 3),
            x,
            y,
            title=title,
            subtitle=subtitle,
            x=x_span,
            y=y_span,
            names=("petal length in cm", "petal width in cm"),
        )
        for title, subtitle, shares in asked
    ]
    return np.concatenate(panels, axis=1)


def main() -> None:
    """Write the picture."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    path.write_bytes(to_png(draw()))
    print(f"Wrote {path}")


if __name__ == "__main__":
    main()
