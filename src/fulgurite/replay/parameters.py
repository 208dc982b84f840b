"""``fulgurite parameters RUN...``: what the weights of networks are, and how often each is used."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from fulgurite.replay.arguments import add_allow
from fulgurite.replay.run_folder import RunFolder, open_run

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

_EXAMPLES = """examples:
  fulgurite parameters RUN                 layer by layer
  fulgurite parameters night/cnn night/mlp   networks side by side, with their test results"""


@dataclass(frozen=True)
class Layer:
    """A layer with parameters.

    Attributes:
        name: its place in the model, such as ``net.0``.
        kind: its class.
        shapes: of its parameters.
        number: of its parameters.
        uses: how often each of its weights is used for one sample: places of a filter, steps in time; else 1.
    """

    name: str
    kind: str
    shapes: tuple[tuple[int, ...], ...]
    number: int
    uses: int


@dataclass(frozen=True)
class Network:
    """The layers of a run's model."""

    name: str
    layers: tuple[Layer, ...]
    metrics: dict[str, float | None]

    @property
    def number(self) -> int:
        """All parameters."""
        return sum(layer.number for layer in self.layers)

    @property
    def uses(self) -> int:
        """How often a parameter is used for one sample, summed over all."""
        return sum(layer.number * layer.uses for layer in self.layers)


def main(argv: list[str]) -> int:
    """Print the tables; returns the exit code.

    Raises:
        FulguriteError: when a folder is no run, or its model cannot be built.
    """
    args = _parser().parse_args(argv)
    networks = [network_of(open_run(Path(folder), args.allow)) for folder in args.runs]
    console = Console(highlight=False)
    for network in networks:
        console.print(network.name, soft_wrap=True)
        console.print(_layers(network))
    if len(networks) > 1:
        console.print(_side_by_side(networks))
    return 0


def network_of(run: RunFolder) -> Network:
    """The layers of a run's model, in the order of their calls."""
    import torch

    from fulgurite.build import build_model
    from fulgurite.models.supervised import Supervised
    from fulgurite.pictures.inside import recorded

    model = build_model(run.cfg).eval()
    uses: dict[str, int] = {}
    if isinstance(model, Supervised):
        with torch.no_grad(), recorded(model) as calls:
            model(torch.zeros(1, *model.spec.input_shape))
        for call in calls:
            uses.setdefault(call.name, _uses(call.output))
    named = dict(model.named_modules())
    # Called ones in their order, then those whose weights are used without a call.
    names = sorted((name for name in named if _own(named[name])), key=lambda name: [*uses, *named].index(name))
    layers = tuple(_layer(name, named[name], uses.get(name, 1)) for name in names)
    return Network(run.folder.name, layers, dict(run.result.metrics))


def _own(layer: "Module") -> list["Tensor"]:
    return list(layer.parameters(recurse=False))


def _layer(name: str, layer: "Module", uses: int) -> Layer:
    own = _own(layer)
    shapes = tuple(tuple(each.shape) for each in own)
    return Layer(name or "itself", type(layer).__name__, shapes, sum(each.numel() for each in own), uses)


def _uses(output: "Tensor") -> int:
    """Places of a map B x U x H x W, or steps of a series B x T x U."""
    return {3: output.shape[1], 4: output.shape[-1] * output.shape[-2]}.get(output.dim(), 1)


def _layers(network: Network) -> Table:
    table = Table("layer", "kind", "shapes", highlight=False)
    for name in ("parameters", "uses of each"):
        table.add_column(name, justify="right")
    for layer in network.layers:
        shapes = ", ".join("x".join(map(str, shape)) for shape in layer.shapes)
        table.add_row(layer.name, layer.kind, shapes, f"{layer.number:,}", f"{layer.uses:,}")
    table.add_section()
    table.add_row("all", "", "", f"{network.number:,}", "")
    return table


def _side_by_side(networks: Sequence[Network]) -> Table:
    known = {name for each in networks for name, value in each.metrics.items() if value is not None}
    tests = sorted(name for name in known if name.startswith("test/"))
    table = Table("run", highlight=False)
    for name in ("parameters", "uses for a sample", *tests):
        table.add_column(name, justify="right")
    for each in networks:
        values = [each.metrics.get(name) for name in tests]
        shown = ["-" if value is None else f"{value:.4f}" for value in values]
        table.add_row(each.name, f"{each.number:,}", f"{each.uses:,}", *shown)
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fulgurite parameters",
        description="Show the weights of trained networks layer by layer, and how often each is used for one sample.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders, such as outputs/mnist/<run>")
    add_allow(parser)
    return parser
