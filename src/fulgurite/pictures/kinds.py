"""The kinds of pictures, the most telling first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fulgurite.pictures import backwards, boltzmann, data, descent, inside, misfit, outputs, over_epochs, weights
from fulgurite.pictures.board import Drawn
from fulgurite.pictures.scene import Scene


@dataclass(frozen=True)
class Kind:
    """A kind of picture.

    Attributes:
        name: for messages.
        guess_s: seconds that it takes on a slow machine, as long as nothing is known.
        applies: whether there is something to draw.
        draw: draws it.
        is_figure: false for what only TensorBoard shows.
    """

    name: str
    guess_s: float
    applies: Callable[[Scene], bool]
    draw: Callable[[Scene], Iterator[Drawn]]
    is_figure: bool = True


KINDS = (
    Kind("forgetting", 0.024, over_epochs.has_forgetting, over_epochs.draw_forgetting),
    Kind("gradients of layers", 0.012, over_epochs.has_gradients, over_epochs.draw_gradients),
    Kind("fit", 0.012, data.has_fit, data.draw_fit),
    Kind("misfit", 0.012, misfit.has_misfit, misfit.draw_misfit),
    Kind("shares", 0.012, data.has_shares, data.draw_shares),
    Kind("plane", 0.015, data.has_plane, data.draw_plane),
    Kind("loss surface", 0.150, descent.has_surface, descent.draw_surface),
    Kind("confusion matrix", 0.012, outputs.has_matrix, outputs.draw_matrix),
    Kind("most wrong", 0.012, outputs.has_wrong, outputs.draw_wrong),
    Kind("backward query", 0.020, backwards.has_backquery, backwards.draw_backquery),
    Kind("weights", 0.012, weights.has_units, weights.draw_units),
    Kind("chains", 0.500, boltzmann.has_chains, boltzmann.draw_chains),
    Kind("filters", 0.010, weights.has_filters, weights.draw_filters),
    Kind("state over time", 0.012, inside.has_states, inside.draw_states),
    Kind("samples", 0.012, data.has_samples, data.draw_samples),
    Kind("losses", 0.012, over_epochs.has_losses, over_epochs.draw_losses),
    Kind("histograms", 0.030, inside.has_histograms, inside.draw_histograms, False),
    Kind("precision and recall", 0.015, outputs.has_curves, outputs.draw_curves, False),
    Kind("feature maps", 0.020, inside.has_maps, inside.draw_maps),
)
