"""What is ink in a photograph or a scan, and what is paper.

Shapes: H, W height and width of the picture.
"""

import math

import numpy as np

# Grey levels, of 255, that ink must differ from paper by.
LEAST_CONTRAST = 16
# Fraction of the strongest ink below which a pixel is paper: shadows, noise and JPEG's ringing.
_PAPER = 0.15
# Standard deviations of the paper's grain below which a pixel is paper, too.
_GRAIN = 5
# A spot with less of the ink than this is dust. A picture has so many squares along its longer side to find it by.
_SPECK, _SQUARES = 0.03, 64


def ink_of(grey: np.ndarray) -> np.ndarray:
    """How much ink is where: the distance from the paper's tone, on the side where the digit is.

    Which side of the paper's tone the digit is on, the larger distance says.

    Args:
        grey: H x W, in [0, 255].

    Returns:
        H x W in [0, 1], 0 on paper.

    Raises:
        ValueError: when there is no ink.
    """
    paper, noise = _paper(grey)
    from_paper = grey - paper
    distance = from_paper if from_paper.max() >= -from_paper.min() else -from_paper
    strongest = distance.max()
    if strongest < LEAST_CONTRAST:
        raise ValueError(f"is blank: its tones differ by {np.ptp(grey):.0f} of 255")
    if strongest < _GRAIN * noise:
        raise ValueError("shows nothing that stands out from the grain of its edge")
    ink = np.clip(distance / strongest, 0, 1)
    ink[ink < max(_PAPER, min(0.5, _GRAIN * noise / strongest))] = 0
    return _without_specks(ink)


def _paper(grey: np.ndarray) -> tuple[np.ndarray, float]:
    """The paper's tone at each pixel, and the standard deviation of its grain.

    The tone is a plane through what is round the edge, since light falls from one side. What is far from that plane is
    no paper: a stroke that runs off the picture, or the table.
    """
    down, across = (np.linspace(-1, 1, size) for size in grey.shape)
    y, x = np.meshgrid(down, across, indexing="ij")
    is_edge = np.zeros(grey.shape, dtype=bool)
    is_edge[[0, -1]] = is_edge[:, [0, -1]] = True
    places = np.stack([np.ones(is_edge.sum()), x[is_edge], y[is_edge]], axis=1)
    tones = grey[is_edge]
    plane = np.array([np.median(tones), 0.0, 0.0])
    for _ in range(4):
        off = np.abs(tones - places @ plane)
        kept = off <= max(2.0, 4 * np.median(off))
        plane = np.linalg.lstsq(places[kept], tones[kept], rcond=None)[0]
    # Of a normal distribution the median distance from the mean is 0.6745 standard deviations.
    noise = float(np.median(np.abs(tones - places @ plane))) / 0.6745
    return plane[0] + plane[1] * x + plane[2] * y, noise


def _without_specks(ink: np.ndarray) -> np.ndarray:
    """The same without dust and what is left of the grain: spots apart from all else, with little of the ink.

    What hangs together is looked for in squares of some pixels, which are few enough.
    """
    side = math.ceil(max(ink.shape) / _SQUARES)
    height, width = (math.ceil(size / side) for size in ink.shape)
    padded = np.pad(ink, ((0, height * side - ink.shape[0]), (0, width * side - ink.shape[1])))
    amount = padded.reshape(height, side, width, side).sum(axis=(1, 3))
    labels = np.where(amount > 0, np.arange(1, amount.size + 1).reshape(amount.shape), 0)
    while True:
        # Each square takes the largest number round it.
        around = np.pad(labels, 1)
        largest = np.max([around[i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=0)
        largest = np.where(amount > 0, largest, 0)
        if np.array_equal(largest, labels):
            break
        labels = largest
    of_spot = np.bincount(labels.ravel(), amount.ravel())
    kept = (of_spot >= _SPECK * amount.sum())[labels].repeat(side, axis=0).repeat(side, axis=1)
    return np.where(kept[: ink.shape[0], : ink.shape[1]], ink, 0)
