"""A sweep of twelve runs in a real TensorBoard, as a real Chromium shows it, with both of its loaders of events."""

import json
import math
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from board_server import MAIN, TRAIN, Server, serving, until
from playwright.sync_api import Page, expect

from fulgurite import resume
from fulgurite.result import Result, read_result

pytestmark = pytest.mark.browser

# Nine MLPs and three convolutional networks: models, numbers, choices, lists that only one model has, and seeds.
WORDS = ("sweep.name=night", "sweep=random", "sweep.num_trials=4", "sweep.seed=2", "sweep.repeats=3")
WORDS += ("sweep.racing=false", "model=mlp,lenet5", "optimizer.lr=tag(log,interval(1e-4,1e-1))")
WORDS += ("model.activation=relu,tanh", 'sweep.space={model.hidden:{values:"[16],[8,8]",when:"model=mlp"}}')
WORDS += ("trainer=cpu", "trainer.max_epochs=2", "trainer.log_every_n_steps=2")
WORDS += ("data.train_subset=200", "data.batch_size=50", "data.eval_batch_size=5000")
KEYS = ("model", "model.activation", "model.hidden", "optimizer.lr", "seed")
NUMBERS = ("val/acc", "test/acc", "val/loss", "test/loss")
CHARTS = ("loss: validation", "loss: training", "score: validation", "score: training", "learning rate")
CHARTS += ("gradient norm", "samples a second", "seconds an epoch")
KILLED = "killed"
# Of a job that its process has not survived.
KILLED_WORDS = ["model=mlp", "model.activation=relu", "model.hidden=[16]", "optimizer.lr=0.05", "seed=7"]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    """The folder of the sweep, with a job more, which was killed."""
    place = tmp_path_factory.mktemp("tensorboard")
    subprocess.run([sys.executable, TRAIN, "-m", *WORDS], cwd=place, check=True, capture_output=True)
    folder = place / "outputs" / "sweeps" / "night"
    resume.abandon(folder / KILLED, KILLED_WORDS, "its process was ended by SIGKILL")
    return folder


def has_read(address: str, number: int) -> bool:
    """Whether the server knows the last numbers and the texts of so many runs."""
    with urlopen(f"{address}data/plugin/scalars/tags") as answer:
        tags = json.load(answer)
    with urlopen(f"{address}data/plugin/text/tags") as answer:
        texts = json.load(answer)
    return sum("final/test/acc" in each for each in tags.values()) == number == sum(map(bool, texts.values()))


def serving_sweep(command: list[str], sweep: Path) -> AbstractContextManager[Server]:
    number = len(jobs(sweep))
    return serving(command, sweep.parents[2], lambda address: has_read(address, number))


@pytest.fixture(scope="module", params=["true", "false"])
def each_loader(sweep, request) -> Iterator[Server]:
    """The same runs, read by either of TensorBoard's loaders."""
    command = [sys.executable, "-m", "tensorboard.main", f"--logdir={sweep}", f"--load_fast={request.param}"]
    with serving_sweep([*command, "--host=127.0.0.1"], sweep) as server:
        yield server


@pytest.fixture(scope="module")
def board(sweep) -> Iterator[Server]:
    """What ``fulgurite board NAME`` starts."""
    with serving_sweep([sys.executable, "-c", MAIN, "board", "night"], sweep) as server:
        yield server


def jobs(folder: Path) -> dict[str, Result]:
    """The records of the jobs that finished, by name."""
    results = {path.parent.name: read_result(path.parent) for path in folder.glob("*/result.json")}
    return {name: result for name, result in results.items() if result.status == "finished"}


def values(overrides: list[str]) -> dict[str, str]:
    return dict(override.split("=", 1) for override in overrides)


def shown(number: float) -> str:
    """Five digits, as the page writes them."""
    return f"{number:#.5g}"


def expected_row(name: str, result: Result) -> list[str]:
    typed = values(result.overrides)
    setting = [typed["model"], typed["model.activation"], typed.get("model.hidden", "-")]
    numbers = [float(typed["optimizer.lr"]), float(typed["seed"])]
    final = [result.metrics.get(each) for each in NUMBERS]
    cells = ["" if each is None else shown(float(np.float32(each))) for each in final]
    return [name, *setting, *map(shown, numbers), *cells]


def rows(page: Page) -> list[list[str]]:
    """All cells of the table, without the boxes to tick."""
    table = page.locator("tf-hparams-table-view").first
    found = table.evaluate(
        """element => [...element.shadowRoot.querySelector("vaadin-grid").shadowRoot.querySelectorAll("#items > tr")]
        .filter(row => !row.hidden)
        .map(row => [...row.querySelectorAll("td")].map(cell =>
            cell.querySelector("slot").assignedNodes().map(node => node.textContent.trim()).join("")))"""
    )
    return sorted([cells[0], *cells[2:-1]] for cells in found)


def open_table(page: Page, server: Server, names: list[str]) -> None:
    server.open(page, "hparams")
    expect(page.locator("tf-hparams-table-view vaadin-grid-cell-content").filter(has_text=KILLED)).to_be_visible()
    until(page, lambda: [row[0] for row in rows(page)], names)


def columns_of_paths(page: Page) -> list[list[float]]:
    """Where each line of the parallel coordinates meets each axis, in pixels from the top."""
    paths = page.locator("tf-hparams-parallel-coords-plot g.foreground path")
    return [
        [float(point.split(",")[1]) for point in re.split("[ML]", path.get_attribute("d") or "")[1:]]
        for path in paths.all()
    ]


def is_even(pairs: list[tuple[float, float]]) -> bool:
    """Whether the second of each pair is a linear function of the first."""
    first, second = (np.array(column) for column in zip(*pairs, strict=True))
    slope, start = np.polyfit(first, second, 1)
    return bool(np.abs(slope * first + start - second).max() < 0.01)


def test_the_table_shows_every_job_cell_by_cell(page, sweep, each_loader):
    finished = jobs(sweep)
    typed = values(KILLED_WORDS)
    killed = [
        KILLED,
        typed["model"],
        typed["model.activation"],
        typed["model.hidden"],
        shown(0.05),
        shown(7),
        *[""] * 4,
    ]
    wanted = sorted([killed, *(expected_row(name, result) for name, result in finished.items())])
    assert len(wanted) == 13
    open_table(page, each_loader, [row[0] for row in wanted])
    heads = page.locator("tf-hparams-table-view vaadin-grid-cell-content").all_inner_texts()
    assert [head for head in heads[: 2 + len(KEYS + NUMBERS)]] == ["Trial ID", "Show Metrics", *KEYS, *NUMBERS]
    assert rows(page) == wanted


def test_a_job_that_was_killed_is_a_failure_and_the_others_are_successes(page, sweep, each_loader):
    names = sorted(jobs(sweep))
    open_table(page, each_loader, sorted([KILLED, *names]))
    statuses = page.locator("tf-hparams-query-pane paper-checkbox")
    statuses.filter(has_text="Success").click()
    until(page, lambda: [row[0] for row in rows(page)], [KILLED])
    statuses.filter(has_text="Success").click()
    statuses.filter(has_text="Failure").click()
    until(page, lambda: [row[0] for row in rows(page)], names)


def test_parallel_coordinates_draw_every_finished_job_on_real_axes(page, sweep, each_loader):
    open_table(page, each_loader, sorted([KILLED, *jobs(sweep)]))
    page.get_by_text("Parallel Coordinates View").click()
    until(page, lambda: len(columns_of_paths(page)), 12)
    # Lines are in the order of their names, as rows are.
    rates = [float(values(result.overrides)["optimizer.lr"]) for _, result in sorted(jobs(sweep).items())]
    axis = KEYS.index("optimizer.lr")
    drawn = columns_of_paths(page)
    assert {len(line) for line in drawn} == {len(KEYS + NUMBERS)}
    assert all(math.isfinite(place) for line in drawn for place in line)
    assert is_even(list(zip(rates, (line[axis] for line in drawn), strict=True)))
    page.locator('tf-hparams-parallel-coords-view [id="logScaleButton_optimizer.lr"]').click()
    until(page, lambda: columns_of_paths(page) == drawn, False)
    page.wait_for_timeout(500)
    logarithms = [math.log(rate) for rate in rates]
    assert is_even(list(zip(logarithms, (line[axis] for line in columns_of_paths(page)), strict=True)))


def test_each_cell_of_the_scatter_plot_has_a_point_for_every_finished_job(page, sweep, each_loader):
    open_table(page, each_loader, sorted([KILLED, *jobs(sweep)]))
    page.get_by_text("Scatter Plot Matrix View").click()
    plot = page.locator("tf-hparams-scatter-plot-matrix-plot")
    cells = len(KEYS + NUMBERS) * len(NUMBERS)
    until(page, lambda: plot.locator("g.cell").count(), cells)
    until(page, lambda: plot.locator("circle.data-marker").count(), 12 * cells)


def test_each_shared_chart_has_a_line_for_every_finished_job(page, sweep, board):
    board.open(page, "custom_scalars")
    charts = page.locator("tf-custom-scalar-multi-line-chart-card")
    expect(charts).to_have_count(len(CHARTS))
    for chart, title in zip(charts.all(), CHARTS, strict=True):
        chart.scroll_into_view_if_needed()
        expect(chart.get_by_text(title, exact=True)).to_be_visible()
        until(page, lambda chart=chart: chart.get_by_text("Matches (").inner_text().strip(), "Matches (12)")


def test_curves_of_epochs_end_at_the_last_epoch_and_those_of_steps_at_the_last_step(page, board):
    board.open(page, "timeseries")
    for tag, last in (("val/acc", "2"), ("train/loss_step", "8"), ("lr", "8")):
        page.get_by_role("combobox", name="Filter tags (regex)").fill(f"^{tag}$")
        card = page.locator("scalar-card").filter(has=page.get_by_text(tag, exact=True)).first
        steps = card.locator("tb-data-table-content-cell")
        expect(steps.first).to_be_visible()
        until(page, lambda steps=steps, last=last: last in [each.strip() for each in steps.all_inner_texts()], True)


def test_there_is_no_card_of_epochs_or_of_lightnings_own_metric(page, board):
    board.open(page, "timeseries")
    groups = page.locator("metrics-card-groups .group-title")
    expect(groups.filter(has_text=re.compile("^val$"))).to_be_visible()
    assert {"final", "grad_norm", "lr", "speed", "train", "val"} <= set(groups.all_inner_texts())
    assert not {"epoch", "hp_metric"} & set(groups.all_inner_texts())


def test_each_run_has_its_card_of_text(page, sweep, board):
    board.open(page, "text")
    cards = page.locator("tf-text-loader")
    expect(cards).to_have_count(12)
    expect(cards.first).to_contain_text("Resolved config")
    expect(cards.first).to_contain_text("model.activation=")
    expect(cards.first).to_contain_text("commit")


def test_no_tab_shows_an_error(page, board):
    with urlopen(f"{board.address}data/plugins_listing") as answer:
        tabs = [name for name, about in json.load(answer).items() if about["enabled"]]
    assert {"timeseries", "scalars", "custom_scalars", "text", "hparams"} <= set(tabs)
    for tab in tabs:
        board.open(page, tab)
        page.wait_for_timeout(2000)
        faults = page.locator(".error-content, .error-card, .error-message, .no-data-warning")
        assert [each.inner_text() for each in faults.all() if each.is_visible()] == []


def test_the_command_ends_on_ctrl_c_without_a_word(sweep):
    command = [sys.executable, "-c", MAIN, "board", str(sweep)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline()
    assert re.match(r"http://127\.0\.0\.1:\d+/ shows .*night; Ctrl-C ends it", address)
    with urlopen(address.split()[0]) as answer:
        assert answer.status == 200
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0
