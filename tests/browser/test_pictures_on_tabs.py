"""All pictures of three small runs in a real TensorBoard: that each is on its tab."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from board_server import MAIN, TRAIN, Server, serving, until
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

WORDS = ("callbacks=pictures", "callbacks.pictures.strict=true", "trainer=cpu", "trainer.max_epochs=1", "test=false")
DIGITS = ("data.train_subset=128", "data.num_val=100")
# So small that the cards of each group fit on one page of twelve.
RUNS = {
    "cnn": ("model=cnn", "model.channels=[4,4]", "model.norm=none", *DIGITS),
    "gru": ("model=gru", "model.hidden=8", *DIGITS),
    "curve": ("data=quadratic", "model=mlp", "model.hidden=[8]", "data.passes_per_epoch=5"),
}
OF_DIGITS = ("viz_data/samples", "viz_outputs/confusion", "viz_outputs/most_wrong")
IMAGES = {
    "cnn": (*OF_DIGITS, "viz_inside/maps_first", "viz_inside/maps_last", "viz_weights_first_layer/filters"),
    "gru": (*OF_DIGITS, "viz_inside/state"),
    "curve": ("viz_outputs/fit", "viz_outputs/misfit"),
}
LAYERS = {"cnn": ("net.0", "net.3", "net.7"), "gru": ("cell", "head"), "curve": ("net.1", "net.2", "net.4")}
WEIGHTS = {
    "cnn": ("net.0.weight", "net.3.weight", "net.7.weight"),
    "gru": ("cell.weight_ih_l0", "cell.weight_hh_l0", "head.weight"),
    "curve": ("net.1.weight", "net.4.weight"),
}


@pytest.fixture(scope="module")
def board(tmp_path_factory) -> Iterator[Server]:
    """What ``fulgurite board`` shows of the runs, each trained in a process of its own."""
    place = tmp_path_factory.mktemp("pictures")
    commands = {name: [sys.executable, TRAIN, *WORDS, *words, f"folder=outputs/{name}"] for name, words in RUNS.items()}
    processes = [subprocess.Popen(each, cwd=place, stdout=subprocess.DEVNULL) for each in commands.values()]
    assert [each.wait() for each in processes] == [0, 0, 0]

    def has_read(address: str) -> bool:
        with urlopen(f"{address}data/plugin/images/tags") as answer:
            return sorted(json.load(answer)) == sorted(RUNS)

    with serving([sys.executable, "-c", MAIN, "board"], place, has_read) as server:
        yield server


@pytest.fixture(autouse=True)
def no_error(page: Page) -> Iterator[None]:
    """Each tab that a test opens shows no error, and misses no file."""
    wrong: list[str] = []
    page.on("response", lambda answer: wrong.append(answer.url) if answer.status >= 400 else None)
    yield
    faults = page.locator(".error-content, .error-card, .error-message, .no-data-warning")
    assert [each.inner_text() for each in faults.all() if each.is_visible()] == []
    assert wrong == []


def test_each_picture_is_on_the_images_tab_in_its_own_size(page, board):
    board.open(page, "images")
    for group in ("viz_data", "viz_inside", "viz_outputs", "viz_weights_first_layer"):
        tags = {(run, tag) for run, of_run in IMAGES.items() for tag in of_run if tag.startswith(f"{group}/")}
        until(page, lambda group=group: cards(page, "tf-image", group), dict.fromkeys(tags, 500))


@pytest.mark.parametrize("plugin", ["histogram", "distribution"])
def test_each_layer_has_its_histograms(page, board, plugin):
    board.open(page, f"{plugin}s")
    for group, names in (("viz_activations", LAYERS), ("viz_gradients", WEIGHTS), ("viz_weights", WEIGHTS)):
        tags = {(run, f"{group}/{name}") for run, of_run in names.items() for name in of_run}
        until(page, lambda group=group: set(cards(page, f"tf-{plugin}", group)), tags)


def test_each_class_has_its_precision_and_recall_of_both_runs(page, board):
    board.open(page, "pr_curves")
    charts = page.locator("tf-pr-curve-card")
    expect(charts.filter(has_text="cnn is at step 1").filter(has_text="gru is at step 1")).to_have_count(10)
    tags = charts.evaluate_all("all => all.map(each => each.tag)")
    assert tags == [f"viz_precision_recall/class_{number}" for number in range(10)]


def test_the_graph_of_each_run_is_drawn(page, board):
    board.open(page, "graphs")
    nodes = page.locator("tf-graph-scene g.node")
    # Until the first run is drawn, the menu closes again as the runs come in.
    expect(nodes.first).to_be_visible(timeout=20_000)
    for run, name in (("cnn", "CNN"), ("gru", "Recurrent"), ("curve", "MLP")):
        page.locator("tf-graph-controls paper-dropdown-menu").first.click()
        page.locator("tf-graph-controls paper-item").filter(has_text=run).first.click()
        expect(nodes.filter(has_text=name).first).to_be_visible()


def test_the_projector_shows_each_validation_sample(page, board):
    board.open(page, "projector")
    inside = page.frame_locator("iframe").frame_locator("iframe")
    expect(inside.locator(".numDataPoints")).to_have_text("100", timeout=20_000)
    # Which run it shows first, and so how long its vectors are, is TensorBoard's choice.
    expect(inside.locator(".dim")).to_have_text(re.compile("^(196|8)$"))


def cards(page: Page, plugin: str, group: str) -> dict[tuple[str, str], int]:
    """Run and tag of each card of a group, and how wide its image is; 0 where it has none."""
    page.locator(f"{plugin}-dashboard tf-tag-filterer input").first.fill(f"^{group}/")
    # What the filter lets through is the first category.
    filtered = page.locator(f"{plugin}-dashboard tf-category-paginated-view").first
    found = filtered.locator(f"{plugin}-loader").evaluate_all(
        """all => all.map(each => [each.run, each.tag, each.shadowRoot.querySelector("img")?.naturalWidth ?? 0])"""
    )
    return {(run, tag): width for run, tag, width in found}
