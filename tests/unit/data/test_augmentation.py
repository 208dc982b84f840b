"""Augmentations against torchvision's, image by image, and against closed forms."""

import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as reference

from fulgurite.data.augmentation import Affine, Elastic, Erase, Rotate, transform
from fulgurite.data.draws import Draws
from fulgurite.data.idx import find_idx, read_idx
from fulgurite.data.mnist import BUNDLED
from fulgurite.errors import ConfigError

AUGMENTATIONS = {
    "rotate": Rotate(20),
    "affine": Affine(10, 0.1, (0.9, 1.1), 5),
    "elastic": Elastic(),
    "erase": Erase(probability=1.0),
}


def draws(size: int, rank: int = 0, world_size: int = 1) -> Draws:
    return Draws(torch.Generator().manual_seed(1), size, rank, world_size)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return read_idx(find_idx(BUNDLED / "MNIST" / "raw", "t10k-images-idx3-ubyte"))[:60]


def test_the_transform_of_a_batch_is_torchvisions_of_each_image(images: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    size = len(images)
    angle = torch.rand(size, generator=generator) * 90 - 45
    shift = torch.randint(-5, 6, (size, 2), generator=generator).float()
    scale = torch.rand(size, generator=generator) + 0.5
    shear = torch.rand(size, generator=generator) * 40 - 20
    ours = transform(images, angle=angle, shift=shift, scale=scale, shear=shear)
    for i in range(size):
        expected = reference.affine(
            images[i : i + 1].float(),
            angle[i].item(),
            [int(s) for s in shift[i]],
            scale[i].item(),
            [shear[i].item(), 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )
        assert (ours[i] - expected[0]).abs().max() < 2e-3


def test_the_transform_of_an_image_that_is_not_square_is_torchvisions() -> None:
    image = torch.rand(1, 20, 33, generator=torch.Generator().manual_seed(0)) * 255
    ours = transform(
        image,
        angle=torch.tensor([30.0]),
        shift=torch.tensor([[3.0, -2.0]]),
        scale=torch.tensor([1.2]),
        shear=torch.tensor([10.0]),
    )
    expected = reference.affine(image, 30, [3, -2], 1.2, [10.0, 0.0], interpolation=InterpolationMode.BILINEAR)
    assert (ours - expected).abs().max() < 2e-3


def test_a_whole_pixel_shift_moves_the_pixels_and_leaves_black() -> None:
    image = torch.arange(1, 10, dtype=torch.uint8).view(1, 3, 3)
    zero, one = torch.zeros(1), torch.ones(1)
    moved = transform(image, angle=zero, shift=torch.tensor([[1.0, 0.0]]), scale=one, shear=zero)
    assert torch.allclose(moved[0], torch.tensor([[0.0, 1, 2], [0, 4, 5], [0, 7, 8]]), atol=1e-4)


def test_each_transform_uses_the_whole_of_its_range() -> None:
    image = torch.zeros(4000, 1, 1)
    seen: dict[str, Tensor] = {}
    affine = Affine(30, 0.25, (0.5, 2.0), 10)

    class Recorded(Draws):
        def uniform(self, low: float, high: float, *shape: int) -> Tensor:
            seen[f"{low:g}"] = super().uniform(low, high, *shape)
            return seen[f"{low:g}"]

    affine(image, Recorded(torch.Generator().manual_seed(0), 4000))
    for low, high in ((-30, 30), (-0.25, 0.25), (0.5, 2.0), (-10, 10)):
        numbers = seen[f"{low:g}"]
        assert numbers.min() >= low
        assert numbers.max() < high
        assert numbers.mean().item() == pytest.approx((low + high) / 2, abs=0.03 * (high - low))
        assert numbers.std().item() == pytest.approx((high - low) / 12**0.5, rel=0.05)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_copies_of_one_image_give_as_many_results(name: str, images: Tensor) -> None:
    copies = images[:1].expand(64, -1, -1)
    results = AUGMENTATIONS[name](copies, draws(64)).flatten(1)
    # A rectangle of whole pixels may fall twice on the same place, or on black ones.
    assert len(results.unique(dim=0)) >= (55 if name == "erase" else 64)


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("world_size", [2, 3])
def test_the_ranks_together_give_what_one_process_gives(name: str, world_size: int, images: Tensor) -> None:
    whole = AUGMENTATIONS[name](images, draws(60))
    shares = images.tensor_split(world_size)
    cut = [AUGMENTATIONS[name](share, draws(60, rank, world_size)) for rank, share in enumerate(shares)]
    assert torch.allclose(torch.cat(cut).float(), whole.float(), atol=1e-3)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_an_image_stays_within_black_and_white(name: str, images: Tensor) -> None:
    result = AUGMENTATIONS[name](images, draws(60))
    assert result.shape == images.shape
    assert result.min() >= 0
    # Interpolation weights add up to 1 but for rounding.
    assert result.max() < 255.01


def test_rotation_by_nothing_leaves_the_images(images: Tensor) -> None:
    assert torch.allclose(Rotate(0)(images, draws(60)), images.float(), atol=1e-2)


def test_three_angles_are_the_copies_of_the_book_in_equal_shares(images: Tensor) -> None:
    one = images[:1].expand(600, -1, -1)
    turned = Rotate(10, angles="three")(one, draws(600))
    zeros = torch.zeros(3)
    copies = transform(
        one[:3], angle=torch.tensor([-10.0, 0, 10]), shift=torch.zeros(3, 2), scale=torch.ones(3), shear=zeros
    )
    is_copy = (turned[:, None] - copies).abs().amax((2, 3)) < 1e-2
    assert is_copy.sum(1).eq(1).all()
    # 200 of each, with a standard deviation of 11.5.
    assert is_copy.sum(0).sub(200).abs().max() < 40


def test_the_elastic_field_is_noise_under_a_gaussian() -> None:
    # A ramp image shows the displacement itself: value = column, and the field shifts where it is read.
    size, sigma, alpha = 41, 2.0, 3.0
    ramp = torch.arange(size, dtype=torch.float32).expand(1, size, size)
    result = Elastic(alpha=alpha, sigma=sigma)(ramp, draws(1))
    noise = draws(1).uniform(-1, 1, 2, size, size)[0, 0]
    reach = torch.arange(-8.0, 9.0)
    kernel = torch.exp(-(reach**2) / (2 * sigma**2))
    kernel = torch.outer(kernel, kernel) / kernel.sum() ** 2
    field = torch.nn.functional.conv2d(noise[None, None], kernel[None, None], padding=8)[0, 0]
    inner = slice(10, 31)
    expected = ramp[0] + alpha * field
    # The reference cuts its kernel at 4 sigma, ours does not.
    assert (result[0] - expected)[inner, inner].abs().max() < 2e-3


def test_an_erased_rectangle_has_the_area_and_aspect_that_were_asked_for() -> None:
    white = torch.full((500, 40, 40), 255, dtype=torch.uint8)
    result = Erase(probability=1.0, area=(0.1, 0.2), aspect=0.5)(white, draws(500))
    black = result == 0
    heights = black.any(dim=2).sum(dim=1).float()
    widths = black.any(dim=1).sum(dim=1).float()
    assert torch.equal(black.sum(dim=(1, 2)).float(), heights * widths)
    part = heights * widths / 1600
    # Sides are rounded to whole pixels, so the bounds hold but for one pixel a side.
    assert part.min() > 0.085
    assert part.max() < 0.225
    assert part.mean().item() == pytest.approx(0.15, abs=0.005)
    ratio = heights / widths
    assert ratio.min() > 0.42
    assert ratio.max() < 2.4


def test_erasing_paints_on_the_part_of_the_images_that_was_asked_for() -> None:
    white = torch.full((4000, 8, 8), 255, dtype=torch.uint8)
    result = Erase(probability=0.25, area=(0.1, 0.2))(white, draws(4000))
    painted = (result == 0).flatten(1).any(dim=1).float().mean().item()
    assert painted == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rotate(5, angles="two"), r"augmentation\.rotate\.angles must be one of any, three; got 'two'"),
        (lambda: Rotate(-5), r"augmentation\.rotate\.degrees must be a number >= 0 and <= 180, got -5"),
        (lambda: Affine(translate=2), r"augmentation\.affine\.translate must be a number >= 0 and <= 1, got 2"),
        (lambda: Affine(scale=(0, 1)), r"augmentation\.affine\.scale must be two numbers, 0 < low <= high"),
        (lambda: Affine(scale=1.0), r"augmentation\.affine\.scale must be two numbers.*got 1\.0"),  # type: ignore[arg-type]
        (lambda: Affine(shear=90), r"augmentation\.affine\.shear must be .*<= 89, got 90"),
        (lambda: Elastic(alpha=-1), r"augmentation\.elastic\.alpha must be a number >= 0, got -1"),
        (lambda: Elastic(sigma=0), r"augmentation\.elastic\.sigma must be a number > 0 and <= 100, got 0"),
        (lambda: Erase(probability=1.5), r"augmentation\.erase\.probability must be .*<= 1, got 1\.5"),
        (lambda: Erase(area=(0.5, 0.2)), r"augmentation\.erase\.area must be .*<= 1, .*got \(0\.5, 0\.2\)"),
        (lambda: Erase(aspect=0), r"augmentation\.erase\.aspect must be a number > 0 and <= 1, got 0"),
    ],
)
def test_a_bad_argument_is_told_with_its_config_key(make, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
