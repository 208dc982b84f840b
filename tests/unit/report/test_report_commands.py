"""``fulgurite report``, ``fulgurite compare`` and the report at a sweep's end."""

import csv
import math
import subprocess
import sys
import time
from pathlib import Path

import pytest
from written_sweeps import write_job, write_metrics, write_sweep

from fulgurite import cli
from fulgurite.report import static_figures
from fulgurite.report.static_heat_maps import mean_and_error
from fulgurite.sweep import report


@pytest.fixture
def fulgurite(monkeypatch, tmp_path, capsys):
    """The command line, in a folder of its own: exit code, what was printed, what was complained about."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str):
        monkeypatch.setattr(sys, "argv", ["fulgurite", *words])
        return cli.main(), *capsys.readouterr()

    return run


def folders_in(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return [row["folder"] for row in csv.DictReader(file)]


def test_a_report_lands_in_the_folder_of_its_sweep(fulgurite):
    sweep = write_sweep(Path("outputs/sweeps/night"), num_epochs=1)
    code, out, _ = fulgurite("report", "night")
    assert (code, out) == (0, f"Wrote {sweep}/report.html\nWrote {sweep}/results.csv\n")
    assert "<title>night" in (sweep / "report.html").read_text(encoding="utf-8")


def test_a_report_lands_where_it_is_told_to(fulgurite):
    write_sweep(Path("mine"), num_epochs=1)
    assert fulgurite("report", "mine", "--output", "there/night.html")[0] == 0
    assert sorted(path.name for path in Path("there").iterdir()) == ["night.html", "night_results.csv"]
    assert "<code>night_results.csv</code>" in Path("there/night.html").read_text(encoding="utf-8")
    assert folders_in(Path("there/night_results.csv"))[0].startswith("../mine/")


def test_an_output_that_is_no_page_is_refused_before_anything_is_written(fulgurite):
    write_sweep(Path("mine"), num_epochs=1)
    code, _, err = fulgurite("report", "mine", "--output", "there/results.csv", "--figures", "figures")
    assert code == 2
    assert "--output must end in .html, got there/results.csv" in err
    assert not Path("there").exists()
    assert not Path("figures").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--output", "folder.html"),
            r"folder.html cannot be written (Is a directory); choose another place with --output",
        ),
        (
            ("--output", "file/a.html"),
            r"file/a.html cannot be written (File exists); choose another place with --output",
        ),
        (("--figures", "file"), r"file cannot be written (File exists); choose another place with --figures"),
    ],
)
def test_a_place_that_cannot_be_written_is_named_with_its_flag(fulgurite, words, said):
    write_sweep(Path("mine"), num_epochs=1)
    Path("folder.html").mkdir()
    Path("file").touch()
    code, _, err = fulgurite("report", "mine", *words)
    assert code == 2
    assert said in err


def test_a_sweep_that_is_not_there_is_named_with_its_neighbour(fulgurite):
    write_sweep(Path("outputs/sweeps/night"), num_epochs=1)
    code, _, err = fulgurite("report", "nigth")
    assert code == 2
    assert "there is no sweep nigth in outputs/sweeps (did you mean night?)" in err


def test_a_single_run_is_told_about_compare(fulgurite):
    run = write_job(Path("runs"), ["lr=1"], 0.5)
    code, _, err = fulgurite("report", str(run))
    assert code == 2
    assert "runs/lr-1 holds no jobs; give a sweep, or runs to fulgurite compare RUN RUN" in err


def test_runs_from_anywhere_are_compared_in_a_folder_of_their_own(fulgurite):
    runs = [write_job(Path(place), ["model=mlp", f"lr={lr}"], 0.1) for place, lr in (("a", 1), ("b", 2), ("c", 3))]
    code, out, _ = fulgurite("compare", *map(str, runs))
    assert code == 0
    (place,) = Path("outputs/compare").iterdir()
    assert place.name.startswith("3_runs_")
    assert out.startswith(f"Wrote {place}/report.html\n")
    assert folders_in(place / "results.csv") == [f"../../../{run}" for run in runs]
    # The same runs in another order are the same comparison.
    assert fulgurite("compare", *map(str, reversed(runs)))[0] == 0
    assert list(Path("outputs/compare").iterdir()) == [place]


def test_a_sweep_among_the_compared_stands_for_its_jobs_and_each_job_counts_once(fulgurite):
    write_job(Path("a"), ["lr=1"], 0.1)
    one, other = (write_job(Path("b"), [f"lr={lr}"], 0.1) for lr in (2, 3))
    assert fulgurite("compare", "a", str(one), "b", "--output", "page.html")[0] == 0
    assert folders_in(Path("page_results.csv")) == ["a/lr-1", str(one), str(other)]


def test_a_run_without_a_record_is_compared_as_missing(fulgurite):
    one = write_job(Path("a"), ["lr=1"], 0.1)
    Path("a/lost/.hydra").mkdir(parents=True)
    assert fulgurite("compare", str(one), "a/lost", "--output", "page.html")[0] == 0
    assert folders_in(Path("page_results.csv")) == ["a/lr-1", "a/lost"]


def test_a_folder_that_is_neither_run_nor_sweep_is_refused(fulgurite):
    Path("empty").mkdir()
    code, _, err = fulgurite("compare", "empty")
    assert code == 2
    assert "empty is neither a run nor a sweep; give a folder such as outputs/mnist/<run>" in err


@pytest.mark.parametrize("words", [("report", "night"), ("compare", "outputs/sweeps/night")])
def test_neither_torch_nor_hydra_is_imported(tmp_path, words):
    write_sweep(tmp_path / "outputs/sweeps/night", num_epochs=1)
    code = "import sys; from fulgurite.cli import main; code = main(); print(code, 'torch' in sys.modules, "
    code += "'hydra' in sys.modules, 'omegaconf' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines()[-1] == "0 False False False"


def test_a_sweep_ends_with_its_report(fulgurite, training):
    code, out, _ = fulgurite("train", "-m", "sweep.name=night", "seed=1,2")
    assert code == 0
    assert out.endswith("Wrote outputs/sweeps/night/leaderboard.csv\nWrote outputs/sweeps/night/report.html\n")
    assert len(folders_in(Path("outputs/sweeps/night/results.csv"))) == 2


def test_a_fault_of_the_report_is_said_and_does_not_change_the_exit_code(fulgurite, training, monkeypatch):
    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr(report, "write_report", fail)
    code, out, err = fulgurite("train", "-m", "sweep.name=night", "seed=1,2")
    assert code == 0
    assert "the report could not be written: OSError: no space left" in err
    assert "report.html" not in out


def test_the_report_of_a_hundred_jobs_takes_less_than_half_a_second(tmp_path, capsys):
    sweep = write_sweep(tmp_path, num_seeds=6, num_epochs=20, lrs=3)
    start = time.process_time()
    report.write_at_end(sweep)
    assert time.process_time() - start < 0.5
    assert "report.html" in capsys.readouterr().out


def test_figures_are_written_as_png_and_svg_one_column_wide(fulgurite):
    from PIL import Image

    write_sweep(Path("outputs/sweeps/night"), num_epochs=4)
    code, out, _ = fulgurite("report", "night", "--figures", "paper")
    assert code == 0
    assert out.endswith("Wrote 22 figures into paper\n")
    names = {path.name for path in Path("paper").iterdir()}
    parts = ["leaderboard", "curves", "slice_optimizer-lr", "slice_model-hidden", "slice_model-activation"]
    parts += ["heatmap_optimizer-lr_model-hidden", "heatmap_optimizer-lr_model-activation"]
    parts += ["heatmap_model-hidden_model-activation"]
    parts += [f"heatmap_{key}_epoch" for key in ("optimizer-lr", "model-hidden", "model-activation")]
    assert names == {f"{part}.{kind}" for part in parts for kind in ("png", "svg")}
    assert "<!-- 0.001 -->" in Path("paper/slice_optimizer-lr.svg").read_text(encoding="utf-8")
    with Image.open("paper/curves.png") as image:
        assert image.width == 990


def test_a_heat_map_tells_mean_and_standard_error_of_each_cell(tmp_path):
    from fulgurite.report.collect import read_jobs

    curves = {
        (0.1, 0): (0.2, 0.4, 0.6),
        (0.1, 1): (0.4, 0.6, 0.8),
        (1.0, 0): (0.5, 0.5, 0.5),
        (1.0, 1): (0.5, 0.7, 0.9),
    }
    for (rate, seed), values in curves.items():
        folder = write_job(tmp_path, [f"optimizer.lr={rate}", f"seed={seed}"], values[-1])
        write_metrics(folder, [{"val/acc": value} for value in values])
    static_figures.write_figures(tmp_path / "paper", read_jobs(tmp_path))
    text = (tmp_path / "paper" / "heatmap_optimizer-lr_epoch.svg").read_text(encoding="utf-8")
    # Of two values the standard error is half of their difference.
    for cell in ("0.3000", "0.7000", "0.6000", "± 0.1", "± 0.2"):
        assert f"<!-- {cell} -->" in text


def test_the_mean_of_three_has_the_standard_error_of_the_textbook():
    mean, error = mean_and_error([1.0, 2.0, 6.0])
    assert mean == 3.0
    assert error == pytest.approx((((1 - 3) ** 2 + (2 - 3) ** 2 + (6 - 3) ** 2) / 2 / 3) ** 0.5)


def test_the_mean_of_one_has_no_standard_error_that_is_known():
    mean, error = mean_and_error([5.0])
    assert mean == 5.0
    assert math.isnan(error)


def test_the_same_numbers_give_the_same_svg(tmp_path):
    from fulgurite.report.collect import read_jobs

    for seed, value in enumerate((0.5, 0.6)):
        write_job(tmp_path, [f"seed={seed}"], value)
    one, other = (static_figures.write_figures(tmp_path / name, read_jobs(tmp_path)) for name in ("a", "b"))
    assert [path.name for path in one] == ["leaderboard.png", "leaderboard.svg"]
    assert one[1].read_bytes() == other[1].read_bytes()


def test_figures_of_long_texts_and_of_interpolations_keep_their_axes(tmp_path):
    from fulgurite.report.collect import read_jobs

    for at, text in enumerate(("${a}_${b}", "x" * 200, "[256,128]")):
        write_job(tmp_path, [f"model.name={text}", f"lr={at % 2}"], 0.1 * at)
    # Warnings are errors: none of them may say that there is no room for the axes.
    found = static_figures.write_figures(tmp_path / "paper", read_jobs(tmp_path))
    assert len(found) == 8
    text = (tmp_path / "paper" / "slice_model-name.svg").read_text(encoding="utf-8")
    assert "<!-- ${a}_${b} -->" in text
    assert f"<!-- {'x' * 17}… -->" in text


def test_a_sweep_of_which_all_jobs_were_pruned_has_figures_of_what_there_is(tmp_path):
    from fulgurite.report.collect import read_jobs

    for at in range(4):
        write_job(tmp_path, [f"lr={at}"], 0.1 * at, status="pruned")
    found = static_figures.write_figures(tmp_path / "paper", read_jobs(tmp_path))
    assert [path.name for path in found] == ["leaderboard.png", "leaderboard.svg"]


def test_missing_matplotlib_is_named_with_the_extra(fulgurite, monkeypatch):
    write_sweep(Path("outputs/sweeps/night"), num_epochs=1)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, err = fulgurite("report", "night", "--figures", "paper")
    assert code == 2
    assert 'pip install "fulgurite[figures]"' in err


def test_figures_need_a_finished_job(tmp_path):
    from fulgurite.errors import ConfigError
    from fulgurite.report.collect import read_jobs

    write_job(tmp_path, ["lr=1"], status="failed")
    with pytest.raises(ConfigError, match="--figures needs a finished job"):
        static_figures.write_figures(tmp_path / "paper", read_jobs(tmp_path))
