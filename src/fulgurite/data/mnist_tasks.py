"""Other questions about MNIST's digits: is it even, is it at least 5, where is it.

Source: Géron, "Hands-on machine learning" (2nd edition, 2019), chapters 3 and 10.
Shapes: N samples, H height, W width.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from fulgurite.data.in_memory import Part
from fulgurite.data.mnist import MNIST
from fulgurite.errors import ConfigError, check_int
from fulgurite.randomness import Stream, derive_seed


class MNISTEven(MNIST):
    """Is the digit even? Targets are N x 1, 1.0 for yes."""

    def load_train(self) -> tuple[Part, Part]:
        """MNIST's two parts with these targets."""
        train, val = super().load_train()
        return self._asked(train), self._asked(val)

    def load_test(self) -> Part:
        """MNIST's test file with these targets."""
        return self._asked(super().load_test())

    def answers(self, digits: Tensor) -> Tensor:
        """Digits N to targets N x labels."""
        return (digits % 2 == 0).float().unsqueeze(1)

    def _asked(self, part: Part) -> Part:
        return Part(part.x, self.answers(part.y))


class MNISTEvenLarge(MNISTEven):
    """Is the digit even, and is it at least 5? Targets are N x 2, 1.0 for yes."""

    def answers(self, digits: Tensor) -> Tensor:
        """Digits N to targets N x labels."""
        return torch.stack([digits % 2 == 0, digits >= 5], dim=1).float()


class MNISTCentre(MNIST):
    """Where is the digit? Each is shifted by whole pixels; targets are x and y of its centre, N x 2, in pixels.

    The centre is that of MNIST's 28 x 28 field, at which the digit's centre of mass lies to the nearest pixel: (14, 14)
    from the upper left corner before the shift. What leaves the field is cut off.

    Args:
        max_shift: pixels in each direction that a digit is shifted by at most; all shifts are equally likely. Drawn by
            ``split_seed``, once for each image.
        options: see ``MNIST``.
    """

    def __init__(self, max_shift: int = 6, **options: Any) -> None:
        super().__init__(**options)
        self.max_shift = check_int("max_shift", max_shift, low=0)
        if self.augmentation:
            raise ConfigError(
                "augmentation moves the digit, and its centre is what is asked for; use augmentation=none"
            )

    def load_train(self) -> tuple[Part, Part]:
        """MNIST's two parts, shifted."""
        train, val = super().load_train()
        return self._shifted(train, 0), self._shifted(val, 1)

    def load_test(self) -> Part:
        """MNIST's test file, shifted."""
        return self._shifted(super().load_test(), 2)

    def _shifted(self, part: Part, number: int) -> Part:
        reach = self.max_shift
        generator = torch.Generator().manual_seed(derive_seed(self.split_seed, Stream.SHIFTS, number))
        shifts = torch.randint(-reach, reach + 1, (len(part.x), 2), generator=generator)
        height, width = part.x.shape[1:]
        centre = torch.tensor([width / 2, height / 2])
        return Part(_shift(part.x, shifts, reach), centre + shifts)


def _shift(images: Tensor, shifts: Tensor, reach: int) -> Tensor:
    """Images N x H x W, each moved by its (right, down) of N x 2, black where nothing was."""
    height, width = images.shape[1:]
    padded = functional.pad(images, (reach,) * 4)
    shifted = torch.empty_like(images)
    # One slice for all images of one shift.
    for right, down in shifts.unique(dim=0).tolist():
        rows = ((shifts[:, 0] == right) & (shifts[:, 1] == down)).nonzero()[:, 0]
        top, left = reach - down, reach - right
        shifted[rows] = padded[rows, top : top + height, left : left + width]
    return shifted
