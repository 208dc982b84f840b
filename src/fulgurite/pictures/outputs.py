"""Pictures of what a network says: which classes it takes for which, where it is most wrong, precision and recall.

Shapes: N samples, C classes, T thresholds.
"""

from collections.abc import Iterator

import numpy as np
import torch

from fulgurite.figures.colours import INK, MUTED, WRONG
from fulgurite.figures.heat_map import confusion_matrix
from fulgurite.figures.image_grid import image_grid, to_grey_levels
from fulgurite.pictures.board import Drawn, Image, PrecisionRecall
from fulgurite.pictures.scene import Scene

# More classes have no room in a picture, or a card each.
_MOST_IN_MATRIX, _MOST_CURVES = 200, 20
_NUM_THRESHOLDS = 51


def has_matrix(scene: Scene) -> bool:
    """Whether there was a validation of a moderate number of classes."""
    return len(scene.seen) > 0 and (scene.spec is None or scene.spec.num_outputs <= _MOST_IN_MATRIX)


def draw_matrix(scene: Scene) -> Iterator[Drawn]:
    """The confusion matrix of the last validation."""
    counts = scene.seen.counts()
    right = np.trace(counts) / counts.sum()
    where = f"epoch {scene.seen.epochs} · {counts.sum():,} {_samples(scene)} · {100 * right:.2f} % right"
    names = [str(each) for each in range(len(counts))]
    yield Image("viz_outputs/confusion", confusion_matrix(counts, names, title="Confusion matrix", subtitle=where))


def has_wrong(scene: Scene) -> bool:
    """Whether there was a validation of images."""
    return len(scene.seen) > 0 and scene.spec is not None and scene.spec.is_image


def draw_wrong(scene: Scene) -> Iterator[Drawn]:
    """The images that the network is most sure of and wrong about, with label, guess and its probability."""
    worst = scene.seen.worst()
    if not len(worst.label):
        return
    captions = [
        ((str(label), INK), (f"  {guess}", WRONG), (f"  {100 * share:.0f} %", MUTED))
        for label, guess, share in zip(worst.label.tolist(), worst.guess.tolist(), worst.share.tolist(), strict=True)
    ]
    pixels = image_grid(
        to_grey_levels(to_shown(worst.x).numpy()),
        title="Most wrong",
        subtitle=f"epoch {scene.seen.epochs} · the label, in red the guess, and its probability",
        columns=5,
        rows=5,
        captions=captions,
    )
    yield Image("viz_outputs/most_wrong", pixels)


def has_curves(scene: Scene) -> bool:
    """Whether there was a validation of few classes."""
    return len(scene.seen) > 0 and scene.spec is not None and scene.spec.num_outputs <= _MOST_CURVES


def draw_curves(scene: Scene) -> Iterator[Drawn]:
    """Precision and recall of each class against all others, for the PR curve plugin."""
    scores, y = scene.seen.outputs()
    num_classes = scores.shape[1]
    # The threshold below each probability; classes follow each other in the counts.
    bins = (scores.softmax(dim=1).nan_to_num() * (_NUM_THRESHOLDS - 1)).long() + torch.arange(
        num_classes
    ) * _NUM_THRESHOLDS
    is_class = torch.nn.functional.one_hot(y, num_classes).bool()
    found, alarmed = (
        torch.bincount(bins[mask], minlength=num_classes * _NUM_THRESHOLDS)
        .view(num_classes, -1)
        .flip(1)
        .cumsum(1)
        .flip(1)
        .numpy()
        for mask in (is_class, ~is_class)
    )
    for each in range(num_classes):
        tp, fp = found[each], alarmed[each]
        yield PrecisionRecall(f"viz_precision_recall/class_{each}", tp, fp, fp[0] - fp, tp[0] - tp)


def to_shown(x: torch.Tensor) -> torch.Tensor:
    """Encoded images, N x K x H x W, as N x H x W, or N x H x W x 3 where they have three channels."""
    x = x.float()
    return x.permute(0, 2, 3, 1) if x.shape[1] == 3 else x.mean(dim=1)


def _samples(scene: Scene) -> str:
    return "validation samples" if scene.trainer.world_size == 1 else "of the first device"
