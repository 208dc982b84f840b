"""The figures, read pixel by pixel: is what they show what they were given?"""

import io

import numpy as np
import pytest
from PIL import Image

from fulgurite.figures.colours import CLASSES, INK, PAPER, SEQUENTIAL, VIRIDIS, Scale
from fulgurite.figures.curves import Curve, Points, curves
from fulgurite.figures.heat_map import confusion_matrix, heat_map
from fulgurite.figures.image_grid import image_grid, to_grey_levels
from fulgurite.figures.panel import PLOT, PLOT_BESIDE_LEGEND, Box
from fulgurite.figures.plane import decision_regions, height_map
from fulgurite.figures.png import to_png
from fulgurite.figures.ticks import name_axis

AXIS = name_axis("n", ["a", "b"])


def at(pixels, box: Box, across: float, down: float) -> np.ndarray:
    """The colour at a place of a box, in parts of its width and height."""
    return pixels[round(box.top + down * box.height), round(box.left + across * box.width)].astype(int)


def test_a_cell_of_a_heat_map_has_the_colour_of_its_number():
    values = np.array([[0.0, 1.0], [0.25, 0.5]])
    scale = Scale(VIRIDIS, 0.0, 1.0)
    pixels = heat_map(values, title="t", x=AXIS, y=AXIS, scale=scale)
    assert pixels.shape == (500, 500, 3)
    for row in (0, 1):
        for column in (0, 1):
            place = at(pixels, PLOT_BESIDE_LEGEND, 0.25 + column / 2, 0.25 + row / 2)
            np.testing.assert_array_equal(place, scale(values[row, column]))


def test_the_legend_runs_from_the_smallest_number_below_to_the_largest_above():
    pixels = heat_map(np.eye(2), title="t", x=AXIS, y=AXIS, scale=Scale(VIRIDIS, 0.0, 1.0))
    box = PLOT_BESIDE_LEGEND
    middle = box.left + box.width + 18
    np.testing.assert_array_equal(pixels[box.top, middle], VIRIDIS[-1])
    np.testing.assert_array_equal(pixels[box.top + box.height - 1, middle], VIRIDIS[0])


def test_a_class_that_is_always_right_is_dark_and_one_that_never_was_guessed_is_paper_like():
    pixels = confusion_matrix(np.array([[9, 0], [3, 1]]), ["a", "b"], title="t")
    # Beside the numbers in the middle of the cells.
    np.testing.assert_array_equal(at(pixels, PLOT_BESIDE_LEGEND, 0.1, 0.1), SEQUENTIAL[-1])
    np.testing.assert_array_equal(at(pixels, PLOT_BESIDE_LEGEND, 0.9, 0.1), SEQUENTIAL[0])
    # Three of four: the root of the share.
    expected = SEQUENTIAL[round(0.75**0.5 * 255)]
    np.testing.assert_array_equal(at(pixels, PLOT_BESIDE_LEGEND, 0.1, 0.9), expected)


def test_counts_stand_in_the_cells_and_zeros_do_not():
    pixels = confusion_matrix(np.array([[9, 0], [3, 1]]), ["a", "b"], title="t")
    for across, down, is_written in ((0.25, 0.25, True), (0.75, 0.25, False), (0.25, 0.75, True)):
        left, top = PLOT_BESIDE_LEGEND.left + across * 368, PLOT_BESIDE_LEGEND.top + down * 368
        cell = pixels[round(top) - 20 : round(top) + 20, round(left) - 20 : round(left) + 20]
        assert (len(np.unique(cell.reshape(-1, 3), axis=0)) > 1) == is_written


def test_two_hundred_classes_and_a_class_without_samples_can_be_drawn():
    pixels = confusion_matrix(np.eye(200, dtype=int) * (np.arange(200) > 0), list(map(str, range(200))), title="t")
    assert at(pixels, PLOT_BESIDE_LEGEND, 0.5, 0.5).sum() < at(pixels, PLOT_BESIDE_LEGEND, 0.2, 0.8).sum()


def test_an_image_of_a_grid_is_enlarged_by_a_whole_factor_and_nothing_else():
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8)).astype(np.uint8)
    pixels = image_grid(images, title="t", columns=2)
    enlarged = np.kron(images[3], np.ones((25, 25), dtype=np.uint8))
    windows = np.lib.stride_tricks.sliding_window_view(pixels[..., 0], (200, 200))
    corners = windows[:, :, 0, 0] == enlarged[0, 0]
    found = [(y, x) for y, x in np.argwhere(corners) if np.array_equal(windows[y, x], enlarged)]
    assert len(found) == 1
    assert found[0][0] > 250, "the fourth image stands in the second row"
    assert found[0][1] > 250, "and in the second column"


def test_images_that_are_too_large_are_averaged():
    images = np.zeros((1, 2000, 2000), dtype=np.uint8)
    images[:, ::2] = 200
    assert at(image_grid(images, title="t", columns=1), Box(0, 0, 500, 500), 0.5, 0.5).tolist() == [100, 100, 100]


def test_each_image_spans_black_to_white_by_its_own_numbers():
    levels = to_grey_levels(np.array([[[-1.0, 0.0], [1.0, 0.0]], [[5.0, 5.0], [5.0, 5.0]]]))
    assert levels.tolist() == [[[0, 128], [255, 128]], [[0, 0], [0, 0]]]


def test_captions_have_the_colours_that_were_asked_for():
    images, red = np.full((1, 8, 8), 255, dtype=np.uint8), (200, 10, 10)
    plain = image_grid(images, title="", columns=1, captions=["a"])
    coloured = image_grid(images, title="", columns=1, captions=[[("a", red), ("b", INK)]])
    assert not (plain == red).all(axis=-1).any()
    assert (coloured == red).all(axis=-1).any()


def test_a_line_runs_through_its_points():
    x = np.linspace(0.0, 1.0, 50)
    pixels = curves([Curve(x, x, "line", CLASSES[1])], title="t", x_label="x", y_label="y")
    np.testing.assert_allclose(at(pixels, PLOT, 0.5, 0.5), CLASSES[1], atol=2)
    np.testing.assert_array_equal(at(pixels, PLOT, 0.25, 0.25), PAPER)


def test_the_noise_band_is_as_wide_as_its_spread():
    x = np.linspace(0.0, 1.0, 50)
    points = Points(np.array([0.0, 1.0]), np.array([-4.0, 4.0]), "points")
    pixels = curves([Curve(x, 0 * x, "truth", CLASSES[0], spread=2.0)], [points], title="t", x_label="x", y_label="y")
    column = pixels[PLOT.top + 2 : PLOT.top + PLOT.height - 2, PLOT.left + PLOT.width // 2].astype(int)
    # Of eight units and a rim of 4 % on both sides, four are band.
    share = (column.sum(axis=1) < sum(PAPER)).mean()
    assert share == pytest.approx(4 / (8 * 1.08), abs=0.01)


def test_a_curve_that_is_lost_does_not_press_the_points_flat():
    x = np.linspace(0.0, 1.0, 50)
    points = Points(x, x, "points")
    pixels = curves([Curve(x, 1e6 * x, "fit", CLASSES[1])], [points], title="t", x_label="x", y_label="y")
    column = pixels[:, PLOT.left + round(0.75 * PLOT.width) - 6 : PLOT.left + round(0.75 * PLOT.width) + 6]
    rows = np.argwhere((abs(column.astype(int) - 165) < 20).all(axis=-1).any(axis=1)) - PLOT.top
    # The points span half of what the window may hold.
    assert rows.min() < PLOT.height * 0.75


def test_a_plane_has_the_colour_of_the_likely_class_and_y_grows_upwards():
    across = np.linspace(0, 1, 10)
    low, high = np.stack([across, 1 - across], axis=-1), np.full((5, 10, 2), 0.5)
    shares = np.concatenate([np.broadcast_to(low, (5, 10, 2)), high])
    none = np.zeros((0, 2))
    pixels = decision_regions(shares, none, np.zeros(0, dtype=int), title="t", x=(0, 1), y=(0, 1))
    right, left, above = at(pixels, PLOT, 0.95, 0.9), at(pixels, PLOT, 0.05, 0.9), at(pixels, PLOT, 0.95, 0.1)
    assert right[2] > right[0], "class 0 is blue"
    assert left[0] > left[2], "class 1 is orange"
    assert above.sum() > right.sum(), "where it is unsure it is paler"


def test_where_a_lost_network_says_nothing_the_plane_is_bare_paper():
    shares = np.full((4, 4, 3), np.nan)
    points = np.array([[0.5, np.nan]])
    picture = decision_regions(shares, points, np.array([0]), title="t", x=(0, 1), y=(0, 1))
    colours = picture[PLOT.top + 5 : PLOT.top + 300, PLOT.left + 5 : PLOT.left + 300].reshape(-1, 3)
    assert np.unique(colours, axis=0).tolist() == [list(PAPER)]


def test_a_point_of_a_height_map_is_drawn_in_the_colour_of_its_number():
    scale = Scale(VIRIDIS, 0.0, 1.0)
    point, height = np.array([[0.25, 0.75]]), np.array([1.0])
    pixels = height_map(np.zeros((4, 4)), point, height, title="t", x=(0, 1), y=(0, 1), scale=scale)
    assert at(pixels, PLOT_BESIDE_LEGEND, 0.25, 0.25).tolist() == VIRIDIS[-1].tolist()
    assert at(pixels, PLOT_BESIDE_LEGEND, 0.25, 0.75).tolist() == VIRIDIS[0].tolist()


def test_a_png_holds_the_figure_in_few_bytes():
    pixels = confusion_matrix(np.eye(10, dtype=int) * 500, list("0123456789"), title="Confusion matrix")
    png = to_png(pixels)
    read = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    assert np.abs(read - pixels).max() < 32
    assert read[0, 0].tolist() == list(PAPER)
    assert len(png) < 20_000
