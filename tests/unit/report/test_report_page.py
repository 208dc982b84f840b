import csv
import json
import math
import re
import statistics

import pytest
from written_sweeps import BOOM, write_job, write_metrics, write_sweep

from fulgurite.report.collect import fold, read_jobs
from fulgurite.report.confusion import Confusion, read_confusion
from fulgurite.report.document import best_job
from fulgurite.report.heading import heading_of_sweep
from fulgurite.report.html import write_report
from fulgurite.result import Objective


def report_of(sweep):
    """The text of the page, and its data."""
    jobs = read_jobs(sweep)
    text = write_report(sweep, heading_of_sweep(sweep, jobs), jobs).read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, flags=re.DOTALL)
    assert found is not None
    return text, json.loads(found[1])


def results_of(sweep) -> list[dict[str, str]]:
    with (sweep / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_results_have_a_row_a_job_with_everything_that_is_known_of_it(tmp_path):
    write_job(tmp_path, ["model.dropout=0.1", "seed=1"], 0.9, seconds=2.5, epochs=4, samples_per_s=123.0)
    write_job(tmp_path, ["model.dropout=0.2", "seed=1"], status="failed", error=BOOM)
    (tmp_path / "lost" / ".hydra").mkdir(parents=True)
    report_of(tmp_path)
    one, other, lost = sorted(
        results_of(tmp_path), key=lambda row: ("finished", "failed", "missing").index(row["status"])
    )
    assert one == {
        **{"folder": "dropout-0.1_seed-1", "status": "finished", "model.dropout": "0.1", "seed": "1"},
        **{"objective": "val/acc", "mode": "max", "value": "0.9", "val/acc": "0.9", "val/loss": str(2 * (1 - 0.9))},
        **{"test/acc": str(0.9 - 0.01), "epochs": "4", "seconds": "2.5", "samples_per_s": "123.0", "error": ""},
    }
    assert (other["value"], other["error"]) == ("", "RuntimeError: shapes </script> do not fit")
    assert (lost["folder"], lost["model.dropout"], lost["value"]) == ("lost", "", "")


def test_the_page_holds_the_numbers_of_the_files(tmp_path):
    sweep = write_sweep(tmp_path / "night", num_epochs=3, num_failed=1)
    _, data = report_of(sweep)
    assert data["counts"] == {"finished": 35, "failed": 1}
    assert [job["folder"] for job in data["jobs"]] == [row["folder"] for row in results_of(sweep)]
    for job, row in zip(data["jobs"], results_of(sweep), strict=True):
        assert job["value"] == (float(row["value"]) if row["value"] else None)
    best = data["rows"][0]
    values = [data["jobs"][number]["value"] for number in best["jobs"]]
    assert (best["mean"], best["deviation"]) == pytest.approx((statistics.fmean(values), statistics.stdev(values)))
    assert [row["mean"] for row in data["rows"][:-1]] == sorted(
        (row["mean"] for row in data["rows"][:-1]), reverse=True
    )


def test_the_head_names_command_commit_and_jobs_to_come(tmp_path):
    sweep = write_sweep(tmp_path / "night", num_epochs=1)
    record = json.loads((sweep / "sweep.json").read_text())
    (sweep / "sweep.json").write_text(json.dumps(record | {"num_jobs": 40}))
    heading = report_of(sweep)[1]["heading"]
    assert heading["title"] == "night"
    assert heading["command"] == "fulgurite train -m model=mlp"
    assert heading["git"] == "aaaaaaaaaa, with uncommitted changes"
    assert heading["num_planned"] == 40


@pytest.mark.parametrize("text", ["{", "[]", '{"num_jobs": null}', '{"num_jobs": 1e400}'])
def test_a_sweep_without_a_readable_record_takes_its_head_from_a_job(tmp_path, text):
    write_job(tmp_path, ["lr=1"], 0.5, command="train.py lr=1", git={"commit": "b" * 40, "dirty": False})
    (tmp_path / "sweep.json").write_text(text)
    heading = report_of(tmp_path)[1]["heading"]
    assert (heading["command"], heading["git"], heading["num_planned"]) == ("train.py lr=1", "b" * 10, 1)


def test_a_head_leaves_out_what_a_record_has_of_the_wrong_kind(tmp_path):
    write_job(tmp_path, ["lr=1"], 0.5)
    (tmp_path / "sweep.json").write_text('{"num_jobs": 3, "git": "abc", "versions": ["a"]}')
    heading = report_of(tmp_path)[1]["heading"]
    assert (heading["git"], heading["versions"], heading["num_planned"]) == ("", [], 3)


def test_nothing_that_a_job_says_ends_the_data_or_is_put_into_the_page_twice(tmp_path):
    text = "</script><b>{{scripts}}<!--"
    write_job(tmp_path, ["model.name={{title}}"], status="failed", error=type(BOOM)("E", text, "train.log"))
    page, data = report_of(tmp_path)
    assert data["jobs"][0]["error"] == f"E: {text}"
    assert "</script><b>" not in page
    assert page.count("<!--") == 0


def test_the_page_asks_for_nothing_outside_itself(tmp_path):
    write_job(tmp_path, ["lr=1"], 0.5)
    page, _ = report_of(tmp_path)
    assert "default-src 'none'" in page
    assert not re.search(r'(src|<link[^>]*href)="?(https?:)?//', page)
    assert re.findall(r'href="(http[^"]*)"', page) == ["https://d3js.org"]


def test_a_page_that_is_mailed_holds_the_licence_of_what_it_is_made_with(tmp_path):
    write_job(tmp_path, ["lr=1"], 0.5)
    page, _ = report_of(tmp_path)
    assert "Copyright 2010-2026 Mike Bostock" in page
    assert "Permission to use, copy, modify, and/or distribute this software" in page


def test_a_report_of_a_hundred_jobs_stays_under_a_megabyte(tmp_path):
    sweep = write_sweep(tmp_path, num_seeds=6, num_epochs=20, lrs=3)
    page, data = report_of(sweep)
    assert len(data["jobs"]) == 108
    assert len(page) < 1_000_000
    assert data["curves"]["every"] == 1


def test_long_curves_of_many_jobs_are_thinned_and_the_page_says_how(tmp_path):
    for at in range(40):
        folder = write_job(tmp_path, [f"lr={at}"], 0.5)
        write_metrics(folder, [{"val/acc": 0.5, "val/loss": epoch / 7} for epoch in range(1000)], steps=False)
    page, data = report_of(tmp_path)
    assert data["curves"]["every"] == 2
    assert data["curves"]["jobs"][0]["epochs"][-1] == 1000
    assert len(page) < 1_000_000


def test_the_best_job_is_that_of_the_best_setting_whichever_direction_is_better(tmp_path):
    for lr, seed, value in (("1", "1", 0.3), ("1", "2", 0.2), ("2", "1", 0.1), ("2", "2", 0.9)):
        write_job(tmp_path, [f"lr={lr}", f"seed={seed}"], value)
    assert best_job(fold(read_jobs(tmp_path))).folder.name == "lr-2_seed-2"
    for folder in tmp_path.iterdir():
        path = folder / "result.json"
        path.write_text(path.read_text().replace('"max"', '"min"'))
    assert best_job(fold(read_jobs(tmp_path))).folder.name == "lr-1_seed-2"


def test_the_commands_of_the_best_can_be_typed_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep = tmp_path / "my sweep"
    write_job(sweep, ["launcher=fused", "model.hidden=[8]", "sweep.name=a", "seed=1"], 0.5)
    commands = [command for _, command in report_of(sweep)[1]["best"]["commands"]]
    assert commands[0] == "fulgurite rerun 'my sweep/launcher-fused_hidden-8_sweep.name-a_seed-1'"
    assert commands[1] == "fulgurite eval 'my sweep/launcher-fused_hidden-8_sweep.name-a_seed-1'"
    assert commands[2] == "fulgurite train 'model.hidden=[8]' seed=1"


def test_objectives_of_other_data_sets_do_not_make_the_axis_of_the_first_logarithmic(tmp_path):
    for seed in (1, 2):
        write_job(tmp_path, ["data=mnist", f"seed={seed}"], 0.4 + 0.1 * seed)
        mse = Objective("val/mse", "min", 1e-5 * seed)
        write_job(tmp_path, ["data=sine", f"seed={seed}"], objective=mse, metrics={})
    assert report_of(tmp_path)[1]["objective"] == {"metric": "val/acc", "mode": "max", "isLog": False}


def test_an_empty_text_is_a_value_like_others(tmp_path):
    for name in ("", "a"):
        write_job(tmp_path, [f"model.name={name}"], 0.5)
    (key,) = report_of(tmp_path)[1]["keys"]
    assert key["choices"] == ["''", "a"]
    assert sorted(row["model.name"] for row in results_of(tmp_path)) == ["''", "a"]


def test_a_sweep_in_which_nothing_finished_has_a_page(tmp_path):
    write_job(tmp_path, ["lr=1"], status="failed", error=BOOM)
    _, data = report_of(tmp_path)
    assert data["best"] is None
    assert data["jobs"][0]["log"] == "lr-1/train.log"


def test_the_counts_of_the_best_are_shown(tmp_path):
    folder = write_job(tmp_path, ["lr=1"], 0.5)
    (folder / "figures").mkdir()
    plain = {"stage": "val", "labels": ["a", "b"], "counts": [[3, 1], [0, 4]]}
    (folder / "figures" / "confusion.json").write_text(json.dumps(plain))
    assert read_confusion(folder) == Confusion("val", ("a", "b"), ((3, 1), (0, 4)))
    assert report_of(tmp_path)[1]["best"]["confusion"] == plain


@pytest.mark.parametrize(
    "counts", [[[1]], [[1, 2]], [[1, 2], [3]], [[1, -2], [3, 4]], [[1, "x"], [3, 4]], 3, None, [[math.inf] * 2] * 2]
)
def test_counts_that_are_no_square_are_left_out(tmp_path, counts):
    (tmp_path / "figures").mkdir()
    text = json.dumps({"stage": "val", "labels": ["a", "b"], "counts": counts})
    (tmp_path / "figures" / "confusion.json").write_text(text)
    assert read_confusion(tmp_path) is None
