import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fulgurite.data.idx import find_idx, read_idx
from fulgurite.data.mnist import BUNDLED, SHA256
from fulgurite.errors import DataError
from fulgurite.replay.digits import centre_digit, read_digit
from fulgurite.replay.own_digits import FOLDER


@pytest.fixture(scope="module")
def digits():
    name = "t10k-images-idx3-ubyte"
    return read_idx(find_idx(BUNDLED / "MNIST" / "raw", name), SHA256[name])[:200].numpy()


def save(path: Path, pixels, mode: str | None = None) -> Path:
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path)
    return path


def seven() -> np.ndarray:
    """A 7 of one tone on black, 40 x 30."""
    ink = np.zeros((40, 30), dtype=np.uint8)
    ink[5:10, 5:25] = 255
    ink[10:35, 18:23] = 255
    return ink


def centre_of_mass(field) -> tuple[float, float]:
    field = np.asarray(field, dtype=float)
    index = np.arange(28)
    return (field.sum(1) @ index) / field.sum(), (field.sum(0) @ index) / field.sum()


def test_a_digit_of_mnist_comes_back_as_it_was_but_for_a_shift_and_scale_of_a_pixel(tmp_path, digits):
    # MNIST's own boxes are 20 pixels on the longer side, so nothing is left to scale.
    back = np.stack([read_digit(save(tmp_path / "d.png", digit)).numpy() for digit in digits])
    assert np.abs(back.astype(float) - digits).mean() < 2
    assert np.mean([(b > 0).sum() for b in back]) == pytest.approx(np.mean([(d > 0).sum() for d in digits]), rel=0.15)


def test_the_centre_of_mass_is_at_pixel_14_as_in_mnist(tmp_path, digits):
    mnist = np.array([centre_of_mass(digit) for digit in digits])
    ours = np.array([centre_of_mass(read_digit(save(tmp_path / "d.png", digit))) for digit in digits])
    assert mnist.mean() == pytest.approx(14, abs=0.05)
    assert np.abs(ours - 14).max() <= 0.5 + 1e-3


def test_the_longer_side_of_the_box_is_20_pixels(tmp_path):
    for shape in ((400, 80), (80, 400), (7, 5)):
        field = read_digit(save(tmp_path / "bar.png", np.pad(np.full(shape, 255, dtype=np.uint8), 30))).numpy()
        height, width = (np.flatnonzero(field.any(axis=axis)).size for axis in (1, 0))
        assert max(height, width) == 20
        assert height / width == pytest.approx(shape[0] / shape[1], rel=0.08)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "P", "1", "CMYK", "I;16"])
@pytest.mark.parametrize("dark_on_light", [False, True])
def test_neither_mode_nor_polarity_changes_the_result(tmp_path, mode, dark_on_light):
    pixels = 255 - seven() if dark_on_light else seven()
    if mode == "I;16":
        path = save(tmp_path / "seven.png", pixels.astype(np.uint16) * 257)
    else:
        path = save(tmp_path / ("seven.jpg" if mode == "CMYK" else "seven.png"), pixels, mode)
    expected = centre_digit(seven() / 255.0)
    assert (read_digit(path).int() - expected.int()).abs().max() <= (25 if mode == "CMYK" else 1)


@pytest.mark.parametrize("tone", [0, 255])
def test_transparent_parts_are_paper_whatever_their_hidden_tone(tmp_path, tone):
    grey = np.full((40, 30), tone, dtype=np.uint8)
    path = save(tmp_path / "seven.png", np.dstack([grey, grey, grey, seven()]))
    assert np.array_equal(read_digit(path), centre_digit(seven() / 255.0))


def test_grey_ink_on_grey_noisy_paper_is_stretched_to_white_on_black(tmp_path):
    noise = np.random.default_rng(0).normal(0, 3, seven().shape)
    paper = (200 - seven() * 0.5 + noise).astype(np.uint8)
    field = read_digit(save(tmp_path / "photo.jpg", paper)).numpy()
    assert field.max() == 255
    assert np.abs(field.astype(int) - centre_digit(seven() / 255.0).numpy()).mean() < 4


@pytest.mark.parametrize("ink", [-120, 45])
def test_light_from_one_side_leaves_nothing_of_the_paper(tmp_path, ink):
    # Brighter by 80 from one corner to the other, which is nearly as much as ink and paper differ.
    light = np.add.outer(np.linspace(0, 40, 80), np.linspace(0, 40, 70))
    strokes = np.pad(seven(), 20) / 255
    paper = 130 + light + ink * strokes + np.random.default_rng(1).normal(0, 2, light.shape)
    field = read_digit(save(tmp_path / "lit.png", paper.clip(0, 255).astype(np.uint8))).numpy().astype(int)
    assert np.abs(field - centre_digit(strokes).numpy()).mean() < 3


def test_coarse_grain_of_the_paper_is_no_ink(tmp_path):
    grain = np.random.default_rng(2).normal(0, 14, (120, 110))
    strokes = np.pad(seven(), 40) / 255
    field = read_digit(save(tmp_path / "grain.png", (190 + grain - 150 * strokes).clip(0, 255).astype(np.uint8)))
    assert (field[centre_digit(strokes) == 0] > 40).sum() <= 2


def test_a_stroke_that_runs_off_the_picture_leaves_the_paper_paper(tmp_path):
    page = np.full((60, 60), 200, dtype=np.uint8)
    page[:, 25:32] = 30
    field = read_digit(save(tmp_path / "one.png", page)).numpy()
    assert np.flatnonzero(field.any(axis=0)).size <= 4
    assert field.max() == 255


def test_dust_does_not_move_the_box(tmp_path):
    page = np.pad(255 - seven(), 30, constant_values=255)
    clean = read_digit(save(tmp_path / "clean.png", page))
    page[3, 3] = page[95, 80] = 0
    assert np.array_equal(read_digit(save(tmp_path / "dusty.png", page)), clean)


@pytest.mark.parametrize("kind", ["png", "gif"])
def test_of_an_animated_picture_the_first_one_is_read(tmp_path, kind):
    first, second = Image.fromarray(seven()), Image.fromarray(seven().T.copy()).resize((30, 40))
    first.save(tmp_path / f"moving.{kind}", save_all=True, append_images=[second], duration=100)
    assert (read_digit(tmp_path / f"moving.{kind}").int() - centre_digit(seven() / 255.0).int()).abs().max() <= 1


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.png")), ids=lambda file: file.stem)
def test_a_digit_of_our_own_is_as_bright_and_as_large_as_those_of_mnist(file, digits):
    field = read_digit(file).numpy()
    lit = [(digit > 60).sum() for digit in digits]
    assert min(lit) * 0.7 <= (field > 60).sum() <= max(lit)
    assert max(np.flatnonzero(field.any(axis=axis)).size for axis in (0, 1)) == 20


def test_a_thin_line_on_a_large_page_does_not_fade(tmp_path):
    page = np.full((1200, 900), 255, dtype=np.uint8)
    page[300:1000, 450:452] = 0
    field = read_digit(save(tmp_path / "one.png", page)).numpy()
    assert field.max() == 255
    assert np.flatnonzero(field.any(axis=1)).size == 20


def test_a_photograph_of_megapixels_gives_what_a_small_one_gives(tmp_path):
    small = np.pad(255 - seven(), 20, constant_values=255).repeat(2, axis=0).repeat(2, axis=1)
    expected = read_digit(save(tmp_path / "small.png", small)).int()
    large = small.repeat(16, axis=0).repeat(16, axis=1)
    for pixels in (large, large.astype(np.uint16) * 257):
        assert (read_digit(save(tmp_path / "large.png", pixels)).int() - expected).abs().max() <= 25


@pytest.mark.parametrize("tone", [0, 128, 255])
def test_a_blank_page_is_refused(tmp_path, tone):
    path = save(tmp_path / "blank.png", np.full((50, 50), tone, dtype=np.uint8))
    with pytest.raises(
        DataError, match=r"blank\.png is blank: its tones differ by 0 of 255; give a picture of one digit"
    ):
        read_digit(path)


def test_a_photograph_that_pillow_suspects_is_read_without_a_word_up_to_twice_its_limit(tmp_path, monkeypatch):
    path = save(tmp_path / "7.png", seven())
    expected, size = read_digit(path), seven().size
    # Warnings are errors here.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", round(size / 1.5))
    assert (read_digit(path) == expected).all()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", round(size / 2.5))
    with pytest.raises(DataError, match=r"7\.png cannot be read as a picture \(Image size"):
        read_digit(path)


def test_a_wholly_transparent_picture_is_blank(tmp_path):
    with pytest.raises(DataError, match="is blank"):
        read_digit(save(tmp_path / "clear.png", np.zeros((20, 20, 4), dtype=np.uint8)))


def test_noise_alone_is_no_digit(tmp_path):
    noise = np.random.default_rng(3).integers(0, 255, (40, 40), dtype=np.uint8)
    with pytest.raises(DataError, match=r"noise\.png shows nothing that stands out from the grain of its edge; give a"):
        read_digit(save(tmp_path / "noise.png", noise))


def test_what_is_no_picture_is_refused(tmp_path):
    text = tmp_path / "notes.png"
    text.write_text("not a picture")
    with pytest.raises(DataError, match=r"notes\.png cannot be read as a picture .*; give a PNG or JPEG file"):
        read_digit(text)


def test_a_truncated_picture_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (90, 90), dtype=np.uint8)
    path = save(tmp_path / "cut.png", noise)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"cut\.png cannot be read as a picture"):
        read_digit(path)


def test_a_folder_and_an_absent_file_are_told_apart(tmp_path):
    with pytest.raises(DataError, match=f"{re.escape(str(tmp_path))} is a folder; name the pictures in it"):
        read_digit(tmp_path)
    with pytest.raises(DataError, match=r"there is no file .*absent\.png; give PNG or JPEG files"):
        read_digit(tmp_path / "absent.png")
