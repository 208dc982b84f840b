"""``report.html`` in a real Chromium, opened from disk: what it shows, against ``results.csv``."""

import csv
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from playwright.sync_api import Page

from fulgurite.sweep.report import write_at_end

pytestmark = pytest.mark.browser
UNIT = Path(__file__).parents[1] / "unit" / "report"
LABELS = [str(digit) for digit in range(10)]
NUM_JOBS, NUM_SETTINGS = 36, 18


@pytest.fixture(scope="session")
def written() -> ModuleType:
    """What writes sweeps for the unit tests, too."""
    sys.path.append(str(UNIT))
    try:
        return import_module("written_sweeps")
    finally:
        sys.path.remove(str(UNIT))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, written) -> Path:
    """36 jobs: three learning rates, three widths, two activations, two seeds; the last one failed."""
    folder = written.write_sweep(tmp_path_factory.mktemp("sweeps") / "night", num_epochs=6)
    for run in folder.glob("*/"):
        (run / "figures").mkdir()
        counts = [[90 if at == to else at for to in range(10)] for at in range(10)]
        plain = {"stage": "val", "labels": LABELS, "counts": counts}
        (run / "figures" / "confusion.json").write_text(json.dumps(plain))
    write_at_end(folder)
    return folder


@pytest.fixture
def opened(page: Page, sweep: Path) -> Page:
    page.goto((sweep / "report.html").as_uri())
    return page


@pytest.fixture
def results(sweep: Path) -> list[dict[str, str]]:
    with (sweep / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def table(page: Page) -> list[list[str]]:
    """The cells of the rows of the leaderboard that are shown."""
    rows = page.locator("#leaderboard tbody tr:not([hidden])")
    return [row.locator("td").all_inner_texts() for row in rows.all()]


def shown(page: Page) -> str:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.locator("#shown").inner_text()


def settings(results: list[dict[str, str]]) -> dict[tuple[str, ...], list[float]]:
    """Values of the objective by setting."""
    found: dict[tuple[str, ...], list[float]] = {}
    for row in results:
        key = (row["optimizer.lr"], row["model.hidden"], row["model.activation"])
        found.setdefault(key, []).extend([float(row["value"])] if row["value"] else [])
    return found


def test_the_leaderboard_shows_mean_and_deviation_of_the_results(opened, results):
    rows = {tuple(cells[1:4]): cells[4] for cells in table(opened)}
    assert len(rows) == NUM_SETTINGS
    for key, values in settings(results).items():
        wanted = f"{statistics.fmean(values):.4f}"
        if len(values) > 1:
            wanted += f" ± {statistics.stdev(values):.4f}"
        assert rows[key] == wanted


def test_a_column_sorts_up_and_down_by_mouse_and_keyboard(opened):
    head = opened.locator("#leaderboard thead th", has=opened.get_by_role("button", name="val/acc", exact=True))
    button = head.get_by_role("button")
    button.click()
    means = [float(cells[4].split()[0]) for cells in table(opened)]
    assert means == sorted(means)
    assert head.get_attribute("aria-sort") == "ascending"
    button.press("Enter")
    assert [float(cells[4].split()[0]) for cells in table(opened)] == sorted(means, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    assert opened.locator("th[aria-sort]").count() == 1


def test_numbers_sort_as_numbers_and_lists_by_their_length(opened):
    opened.get_by_role("button", name="hidden", exact=True).click()
    assert [cells[2] for cells in table(opened)] == ["[16]"] * 6 + ["[64]"] * 6 + ["[256]"] * 6
    opened.get_by_role("button", name="lr", exact=True).click()
    assert [cells[1] for cells in table(opened)] == ["0.001"] * 6 + ["0.01"] * 6 + ["0.1"] * 6


def test_a_row_unfolds_to_its_seeds(opened, results):
    first = opened.locator(".unfold").first
    first.click()
    assert first.get_attribute("aria-expanded") == "true"
    jobs = [row for row in table(opened) if row[0].startswith("seed")]
    best = tuple(table(opened)[0][1:4])
    assert [row[1] for row in jobs] == [f"{value:.4f}" for value in settings(results)[best]]
    first.click()
    assert len(table(opened)) == NUM_SETTINGS


def test_the_filter_box_filters_all_of_the_page(opened):
    opened.get_by_role("searchbox").fill("lr=0.01 RELU")
    assert shown(opened) == f"6 of {NUM_JOBS} jobs"
    assert {(cells[1], cells[3]) for cells in table(opened)} == {("0.01", "relu")}
    assert opened.locator("#curves .mark").count() == 6
    assert opened.locator("#slices figure").first.locator(".mark").count() == 6
    assert opened.locator("#parallel .mark:not(.out)").count() == 6
    opened.get_by_role("button", name="Clear filters").click()
    assert shown(opened) == f"{NUM_JOBS} of {NUM_JOBS} jobs"
    assert len(table(opened)) == NUM_SETTINGS


def test_a_whole_setting_in_the_filter_box_is_that_value_alone(page, written, tmp_path):
    for seed in (1, 2, 10, 11):
        written.write_job(tmp_path, ["lr=0.1", f"seed={seed}"], 0.5)
        written.write_job(tmp_path, ["lr=0.15", f"seed={seed}"], 0.5)
    write_at_end(tmp_path)
    page.goto((tmp_path / "report.html").as_uri())
    found = {}
    for words in ("seed=1", "seed=10", "seed=3", "seed=", "lr=0.1", "lr=0.1 seed=1", "lr=0.", "0.1"):
        page.get_by_role("searchbox").fill(words)
        found[words] = int(shown(page).split()[0])
    assert found == {
        **{"seed=1": 2, "seed=10": 2, "seed=3": 0, "seed=": 8},
        **{"lr=0.1": 4, "lr=0.1 seed=1": 1, "lr=0.": 8, "0.1": 8},
    }


def test_long_names_of_choices_are_neither_cut_nor_on_each_other_and_leave_room_for_the_numbers(
    page, written, tmp_path
):
    for at in range(60):
        written.write_job(
            tmp_path, [f"model.hidden=[{256 + at},128,64,32]", f"model.name={'long' * (at // 2)}"], at / 60
        )
    write_at_end(tmp_path)
    page.goto((tmp_path / "report.html").as_uri())
    boxes = [tick.bounding_box() for tick in page.locator("#parallel .axis").first.locator(".tick text").all()]
    left = page.locator("#parallel .scroll").bounding_box()["x"]
    assert len(boxes) >= 10
    assert min(box["x"] for box in boxes) >= left
    tops = sorted(box["y"] for box in boxes)
    assert min(b - a for a, b in zip(tops, tops[1:], strict=False)) >= 12
    assert page.locator("tr.setting").first.locator("td").nth(2).get_attribute("title") == "long" * 29
    assert page.locator("#leaderboard table").bounding_box()["width"] <= 1140
    page.get_by_label("Colour by").select_option("model.hidden")
    assert page.locator("#legend").inner_text().endswith("and 48 more")


def test_a_job_without_a_record_stays_last_however_the_table_is_sorted(page, written, tmp_path):
    for name in ("a", "b"):
        written.write_job(tmp_path, [f"model.name={name}"], 0.5)
    (tmp_path / "0_lost" / ".hydra").mkdir(parents=True)
    write_at_end(tmp_path)
    page.goto((tmp_path / "report.html").as_uri())
    button = page.locator("#leaderboard thead").get_by_role("button", name="name")
    for order in (["a", "b", ""], ["b", "a", ""]):
        button.click()
        assert [cells[1] for cells in table(page)] == order


def test_brushing_an_axis_keeps_the_jobs_in_that_range(opened, results):
    box = opened.locator('#parallel .brush[data-key="objective"] .overlay')
    box.scroll_into_view_if_needed()
    area = box.bounding_box()
    opened.mouse.move(area["x"] + 14, area["y"] + 1)
    opened.mouse.down()
    opened.mouse.move(area["x"] + 14, area["y"] + area["height"] / 4, steps=4)
    opened.mouse.up()
    said = shown(opened)
    low = opened.evaluate("filters.get('objective').low")
    kept = [row for row in results if row["value"] and float(row["value"]) >= low]
    assert 0 < len(kept) < NUM_JOBS
    assert said == f"{len(kept)} of {NUM_JOBS} jobs"
    assert opened.locator("#curves .mark").count() == len(kept)
    assert float(opened.get_by_label("val/acc from").input_value()) == pytest.approx(low, rel=1e-3)
    opened.mouse.click(area["x"] + 14, area["y"] + area["height"] - 2)
    assert shown(opened) == f"{NUM_JOBS} of {NUM_JOBS} jobs"


def test_fields_filter_as_a_brush_does_by_keyboard_alone(opened, results):
    opened.locator("#parallel summary").press("Enter")
    opened.get_by_label("lr from").focus()
    opened.keyboard.type("0.005")
    wanted = [row for row in results if float(row["optimizer.lr"]) >= 0.005]
    assert shown(opened) == f"{len(wanted)} of {NUM_JOBS} jobs"
    assert opened.locator('#parallel .brush[data-key="optimizer.lr"] .selection').bounding_box()["height"] > 20
    opened.get_by_role("checkbox", name="tanh").press("Space")
    wanted = [row for row in wanted if row["model.activation"] == "relu"]
    assert shown(opened) == f"{len(wanted)} of {NUM_JOBS} jobs"
    opened.get_by_role("button", name="Clear filters").press("Enter")
    assert shown(opened) == f"{NUM_JOBS} of {NUM_JOBS} jobs"
    assert opened.get_by_label("lr from").input_value() == ""
    assert opened.get_by_role("checkbox", name="tanh").is_checked()


def test_pointing_at_a_row_highlights_its_jobs_everywhere(opened):
    opened.locator("tr.setting").nth(3).hover()
    numbers = opened.locator("tr.setting").nth(3).get_attribute("data-jobs").split(",")
    for place in ("#parallel .mark", "#curves .mark", "#slices figure:first-child .mark"):
        hot = opened.locator(f"{place}.hot")
        assert sorted(hot.evaluate_all("marks => marks.map((mark) => mark.dataset.jobs)")) == sorted(numbers)
    opened.locator("h1").hover()
    assert opened.locator(".hot").count() == 0


def test_arrow_keys_walk_through_the_curves_and_highlight_their_rows(opened):
    opened.locator("#curves .mark[tabindex='0']").focus()
    opened.keyboard.press("End")
    label = opened.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label == opened.locator("#tip").inner_text()
    # The best is drawn last.
    best = opened.evaluate("data.best.job")
    assert opened.evaluate("document.activeElement.dataset.jobs") == str(best)
    assert opened.locator("tr.setting.hot").count() == 1
    assert opened.locator("tr.setting").first.get_attribute("class") == "setting hot"
    opened.keyboard.press("ArrowLeft")
    assert opened.evaluate("document.activeElement.getAttribute('aria-label')") != label
    assert opened.locator("#curves .mark[tabindex='0']").count() == 1


def test_curves_show_the_chosen_metric_and_fold_the_seeds(opened):
    opened.get_by_label("Metric").select_option("train/loss")
    marks = opened.locator("#curves .mark")
    assert marks.count() == NUM_JOBS - 1
    assert "train/loss" in marks.first.get_attribute("aria-label")
    opened.get_by_label("mean over seeds").check()
    assert marks.count() == NUM_SETTINGS
    assert opened.locator("#curves .band").count() == NUM_SETTINGS - 1


def test_curves_are_drawn_against_seconds_too(opened):
    opened.get_by_label("Metric").select_option("train/loss")
    marks, across = opened.locator("#curves .mark"), opened.locator("#curves text.name")
    assert across.text_content().startswith("epoch")
    assert marks.first.get_attribute("aria-label").endswith("at epoch 6")
    opened.get_by_label("against seconds").check()
    assert across.text_content().startswith("seconds")
    # 10 seconds for 6 epochs each, evenly.
    assert marks.count() == NUM_JOBS - 1
    assert marks.first.get_attribute("aria-label").endswith("after 10 s")
    ticks = [float(each) for each in opened.locator("#curves .axis").first.locator(".tick text").all_text_contents()]
    assert max(ticks) == 10
    assert "shared out evenly over its epochs" in opened.locator("#curves > .note").text_content()
    opened.get_by_label("mean over seeds").check()
    assert marks.count() == NUM_SETTINGS
    assert opened.locator("#curves .mark").last.get_attribute("aria-label").endswith("s")


def test_the_axes_of_rates_are_logarithmic_and_those_of_choices_are_not(opened):
    ticks = opened.locator("#parallel .axis").first.locator(".tick text").all_text_contents()
    assert sorted(ticks) == ["0.001", "0.01", "0.1"]
    places = [opened.evaluate(f"brushes.get('optimizer.lr').scale({rate})") for rate in (0.001, 0.01, 0.1)]
    assert places[0] - places[1] == pytest.approx(places[1] - places[2])
    kinds = opened.locator("#parallel .kind").all_text_contents()
    assert kinds == ["logarithmic", "", "", "higher is better"]


def test_heat_maps_show_the_means_over_everything_else_and_their_standard_errors(opened, results):
    label = opened.locator('#heatmaps .mark[aria-label^="lr=0.01 hidden=[64]"]').get_attribute("aria-label")
    values = [float(r["value"]) for r in results if (r["optimizer.lr"], r["model.hidden"]) == ("0.01", "[64]")]
    error = statistics.stdev(values) / 2
    assert label == f"lr=0.01 hidden=[64]: mean {statistics.fmean(values):.4f} ± {float(f'{error:.2g}')} of 4 jobs"


def test_a_heat_map_of_each_key_over_the_epochs_follows_the_pairs(opened, sweep, results):
    names = [each.get_attribute("aria-label") for each in opened.locator("#heatmaps svg").all()]
    assert len(names) == 6
    assert sum(" and epoch;" in name for name in names) == 3
    label = opened.locator('#heatmaps .mark[aria-label^="lr=0.01 epoch=4"]').get_attribute("aria-label")
    finished = [r for r in results if r["optimizer.lr"] == "0.01" and r["status"] == "finished"]
    values = []
    for row in finished:
        with (sweep / row["folder"] / "metrics.csv").open(newline="") as file:
            lines = [each for each in csv.DictReader(file) if each["val/acc"]]
        values.append(float(lines[3]["val/acc"]))
    assert label.startswith(f"lr=0.01 epoch=4: mean {statistics.fmean(values):.4f} ±")
    assert label.endswith(f"of {len(finished)} jobs")


def test_bars_of_the_slices_reach_one_standard_error_up_and_down(opened, results):
    first = opened.locator("#slices figure").first
    assert first.locator(".errors path").count() == 3
    values = [float(r["value"]) for r in results if r["optimizer.lr"] == "0.001" and r["value"]]
    path = first.locator(".errors path").first.get_attribute("d")
    top, bottom = (float(number) for number in re.match(r"M[-\d.]+,([-\d.]+)h10m-5,0V([-\d.]+)m", path).groups())
    # Pixels of one unit, from two jobs of this chart.
    units = opened.evaluate(
        """() => { const dots = [...document.querySelectorAll("#slices figure:first-child circle")];
        const [a, b] = dots.filter((dot) => dot.getAttribute("cy") !== dots[0].getAttribute("cy")).slice(0, 1)
          .concat(dots[0]); const value = (dot) => objectiveColumn.value(Number(dot.dataset.jobs));
        return Math.abs((a.getAttribute("cy") - b.getAttribute("cy")) / (value(a) - value(b))); }"""
    )
    error = statistics.stdev(values) / len(values) ** 0.5
    assert bottom - top == pytest.approx(2 * error * units, rel=1e-3)


def test_importance_confusion_failures_and_commands_are_there(opened, results):
    assert opened.locator(".shares .key").all_inner_texts()[0] == "optimizer.lr"
    assert opened.locator("table.confusion tbody td").nth(11).inner_text() == "90"
    (lost,) = [row for row in results if row["status"] == "failed"]
    said = opened.locator("#failed li").inner_text()
    assert lost["error"] == "RuntimeError: shapes </script> do not fit"
    assert lost["error"] in said
    assert f"{lost['folder']}/train.log" in said
    best = max((row for row in results if row["value"]), key=lambda row: float(row["value"]))
    commands = opened.locator(".commands code").all_inner_texts()
    assert commands[0].startswith("fulgurite rerun")
    assert commands[0].endswith(best["folder"])
    assert commands[1].startswith("fulgurite eval")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(opened, scheme):
    from axe_playwright_python.sync_playwright import Axe

    opened.emulate_media(color_scheme=scheme)
    opened.locator(".unfold").first.click()
    opened.locator("#parallel summary").click()
    found = Axe().run(opened).response["violations"]
    assert [(each["impact"], each["id"], each["nodes"][0]["html"]) for each in found] == []


def test_the_theme_follows_the_system_until_the_button_is_pressed(opened):
    ground = "getComputedStyle(document.body).backgroundColor"
    light = opened.evaluate(ground)
    opened.emulate_media(color_scheme="dark")
    dark = opened.evaluate(ground)
    assert dark != light
    opened.get_by_role("button", name="Switch between light and dark").click()
    assert opened.evaluate(ground) == light


@pytest.mark.parametrize("width", [400, 320])
def test_a_narrow_page_scrolls_within_its_tables_alone(opened, width):
    opened.set_viewport_size({"width": width, "height": 800})
    opened.reload()
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    assert opened.evaluate("document.querySelector('#leaderboard .scroll').scrollWidth") > width
    assert opened.evaluate("document.querySelector('#curves svg').getBoundingClientRect().right") <= width


def test_on_paper_all_is_there_and_light(opened):
    # A4 with margins.
    opened.set_viewport_size({"width": 720, "height": 1000})
    opened.emulate_media(media="print", color_scheme="dark")
    assert not opened.locator("#controls").is_visible()
    assert opened.locator("#leaderboard table").is_visible()
    assert opened.evaluate("document.querySelector('#leaderboard table').offsetWidth") <= 720
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert opened.evaluate("getComputedStyle(document.body).color") == "rgb(29, 35, 44)"


def test_a_real_sweep_of_four_runs_shows_the_numbers_of_its_runs(page, tmp_path):
    words = "launcher=fused model=linear optimizer.lr=1e-3,1e-1 seed=1,2 trainer.max_epochs=2 trainer=cpu"
    words += " data.train_subset=500 sweep.name=four"
    line = [sys.executable, "-c", "from fulgurite.cli import main; main()", "train", "-m", *words.split()]
    subprocess.run(line, cwd=tmp_path, check=True, capture_output=True)
    folder = tmp_path / "outputs" / "sweeps" / "four"
    page.goto((folder / "report.html").as_uri())
    values: dict[str, list[float]] = {}
    for path in sorted(folder.glob("*/result.json")):
        result = json.loads(path.read_text())
        (lr,) = [each for each in result["overrides"] if each.startswith("optimizer.lr=")]
        values.setdefault(lr.partition("=")[2], []).append(result["objective"]["value"])
    assert {cells[1]: cells[2].split()[0] for cells in table(page)} == {
        lr: f"{statistics.fmean(both):.4f}" for lr, both in values.items()
    }
    assert page.locator("#curves .mark").count() == 4
    assert page.locator("#importance .reason").inner_text() == "cannot be told: it needs 8 finished jobs, there are 4"


def odd_sweeps(write_job: Callable, write_metrics: Callable) -> dict[str, Callable[[Path], None]]:
    """What writes sweeps at the edges of what a page can show, by name."""

    def alone(sweep: Path) -> None:
        write_job(sweep, [], 0.5)

    def seeds(sweep: Path) -> None:
        for seed in range(4):
            write_metrics(write_job(sweep, [f"seed={seed}"], 0.5 + seed / 10), [{"val/acc": 0.5}])

    def failed(sweep: Path) -> None:
        for lr in ("1", "2"):
            write_job(sweep, [f"lr={lr}"], status="failed")

    def lost(sweep: Path) -> None:
        (sweep / "lost" / ".hydra").mkdir(parents=True)

    def equal(sweep: Path) -> None:
        for lr in range(8):
            write_job(sweep, [f"lr={lr % 2}", f"seed={lr}"], 0.0)

    def search(sweep: Path) -> None:
        for at in range(40):
            own = [f"a={1e-5 * 1.4**at:.5g}", f"b={at * 7 % 40}", f"model={'abcde'[at % 5]}-{'long' * 9}"]
            write_job(sweep, [*own, "new=1"] if at % 3 else own, 1e-6 * 2**at)

    def texts(sweep: Path) -> None:
        markup = '"</script><img src=x onerror=alert(1)>"'
        for at, text in enumerate(["", markup, "x" * 900, "__proto__", "${lr}", "ü 日本"]):
            folder = write_job(sweep, [f"at={at}"], 0.1 * at)
            path = folder / "result.json"
            path.write_text(path.read_text().replace(f'"at={at}"', json.dumps(f"model.name={text}")))

    return {each.__name__: each for each in (alone, seeds, failed, lost, equal, search, texts)}


@pytest.mark.parametrize("name", ["alone", "seeds", "failed", "lost", "equal", "search", "texts"])
def test_an_odd_sweep_has_a_page_without_a_fault(page, written, tmp_path, name):
    odd_sweeps(written.write_job, written.write_metrics)[name](tmp_path)
    write_at_end(tmp_path)
    page.goto((tmp_path / "report.html").as_uri())
    total = len(list(tmp_path.glob("*/")))
    assert shown(page) == f"{total} of {total} jobs"
    drawn = page.locator("svg [d*=NaN], svg [cx*=NaN], svg [cy*=NaN], svg [x*=NaN], svg [transform*=NaN]")
    assert drawn.count() == 0
    page.get_by_role("searchbox").fill("nothing has this name")
    assert shown(page) == f"0 of {total} jobs"
    page.get_by_role("button", name="Clear filters").click()
    for option in page.locator("#colour option").all():
        page.get_by_label("Colour by").select_option(option.get_attribute("value"))
    page.set_viewport_size({"width": 400, "height": 800})
    shown(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 400
