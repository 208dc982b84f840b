import csv
import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from fulgurite.errors import RunFolderError
from fulgurite.report import leaderboard
from fulgurite.report.collect import collect, swept_keys
from fulgurite.report.leaderboard import print_leaderboard
from fulgurite.result import Failure, Objective, Result

BOOM = Failure("RuntimeError", "Traceback (most recent call last):\n  in step\nshapes do not fit", "train.log")


def job(sweep: Path, overrides: list[str], value: float | None = None, *, mode: str = "max", **options) -> Path:
    folder = sweep / "_".join(overrides or ["job"]).replace("=", "-").replace(",", "-")
    folder.mkdir(parents=True)
    (folder / "train.log").touch()
    metric = "val/acc" if mode == "max" else "val/mae"
    metrics = {} if value is None else {metric: value, metric.replace("val", "test"): value - 0.01}
    fields = {"status": "finished", "seconds": 10.0, "metrics": metrics, "overrides": overrides} | options
    Result(objective=Objective(metric, mode, value), **fields).write(folder)
    return folder


def read_csv(sweep: Path) -> list[dict[str, str]]:
    with (sweep / "leaderboard.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_seeds_fold_to_mean_sample_deviation_and_count(tmp_path):
    values = [0.90, 0.92, 0.97]
    for seed, value in enumerate(values):
        job(tmp_path, ["model=mlp", "optimizer.lr=0.1", f"seed={seed}"], value, seconds=10.0 + seed)
    job(tmp_path, ["model=mlp", "optimizer.lr=0.2", "seed=0"], 0.5)
    best, other = collect(tmp_path)
    assert best.setting == {"optimizer.lr": "0.1"}
    assert (best.mean, best.deviation) == pytest.approx((sum(values) / 3, statistics.stdev(values)))
    assert (best.num_finished, best.seconds, best.status) == (3, 11.0, "finished")
    assert best.metrics["test/acc"] == pytest.approx(best.mean - 0.01)
    assert (other.deviation, other.num_finished) == (None, 1)


@pytest.mark.parametrize(("mode", "order"), [("max", ["3", "2", "1"]), ("min", ["1", "2", "3"])])
def test_the_best_comes_first_whichever_direction_is_better(tmp_path, mode, order):
    for lr in ("2", "1", "3"):
        job(tmp_path, [f"optimizer.lr={lr}"], float(lr), mode=mode)
    assert [row.setting["optimizer.lr"] for row in collect(tmp_path)] == order


def test_swept_keys_are_those_whose_overrides_differ():
    jobs = [{"a": "1", "b": "2", "+c": "3"}, {"a": "1", "b": "3"}]
    assert swept_keys(jobs) == ["b", "+c"]


def test_an_override_that_a_job_lacks_is_shown_as_the_default(tmp_path):
    job(tmp_path, ["+trainer.gradient_clip_val=1"], 0.9)
    job(tmp_path, [], 0.8)
    assert [row.setting for row in collect(tmp_path)] == [
        {"trainer.gradient_clip_val": "1"},
        {"trainer.gradient_clip_val": "default"},
    ]


def test_a_single_job_is_one_row_without_a_setting(tmp_path, capsys):
    job(tmp_path, ["model=mlp", "seed=1"], 0.9)
    (row,) = collect(tmp_path)
    assert (dict(row.setting), row.mean, row.deviation) == ({}, 0.9, None)
    print_leaderboard(tmp_path)
    assert "0.9000" in capsys.readouterr().out


def test_a_setting_that_partly_failed_counts_its_finished_jobs_alone(tmp_path):
    job(tmp_path, ["lr=1", "seed=1"], 0.9)
    job(tmp_path, ["lr=1", "seed=2"], 0.1, status="failed", error=BOOM)
    job(tmp_path, ["lr=2", "seed=1"], 0.8)
    row = collect(tmp_path)[0]
    assert (row.mean, row.num_finished, row.status) == (0.9, 1, "1 finished, 1 failed")


def test_settings_without_a_finished_job_come_last(tmp_path):
    job(tmp_path, ["lr=1"], None, status="diverged", error=BOOM, mode="min")
    job(tmp_path, ["lr=2"], 5.0, mode="min")
    assert [row.setting["lr"] for row in collect(tmp_path)] == ["2", "1"]


def test_lost_jobs_are_named_with_the_last_line_of_their_error_and_their_log(tmp_path, capsys):
    job(tmp_path, ["lr=1"], 0.9)
    failed = job(tmp_path, ["lr=2"], status="failed", error=BOOM)
    interrupted = Failure("KeyboardInterrupt", "", "train.log")
    job(tmp_path, ["lr=3"], status="interrupted", error=interrupted)
    job(tmp_path, ["lr=4"], status="running")
    print_leaderboard(tmp_path)
    out = capsys.readouterr().out
    assert "3 of 4 jobs did not finish" in out
    assert "lr-2: failed: RuntimeError: shapes do not fit" in out
    assert "most recent call" not in out
    assert f"{failed}/train.log" in out
    assert "lr-3: interrupted: KeyboardInterrupt" in out
    assert "lr-4: running: still running, or killed" in out


def test_missing_and_damaged_records_are_named_and_do_not_hide_the_others(tmp_path, capsys):
    job(tmp_path, ["lr=1"], 0.9)
    (tmp_path / "lost" / ".hydra").mkdir(parents=True)
    damaged = job(tmp_path, ["lr=2"], 0.8)
    (damaged / "result.json").write_text('{"status": "fini')
    print_leaderboard(tmp_path)
    out = capsys.readouterr().out
    assert "lost: missing:" in out
    assert "lr-2: damaged:" in out
    assert [row.status for row in collect(tmp_path)] == ["finished", "missing", "damaged"]


def test_a_sweep_in_which_nothing_finished_still_has_a_leaderboard(tmp_path, capsys):
    job(tmp_path, ["lr=1"], status="failed", error=BOOM)
    job(tmp_path, ["lr=2"], status="failed", error=BOOM, metrics={})
    print_leaderboard(tmp_path)
    assert "2 of 2 jobs did not finish" in capsys.readouterr().out
    assert [(row["lr"], row["mean"], row["status"]) for row in read_csv(tmp_path)] == [
        ("1", "", "failed"),
        ("2", "", "failed"),
    ]


def test_a_job_that_failed_before_it_had_an_objective_does_not_rename_the_column(tmp_path, capsys):
    job(tmp_path, ["lr=1", "seed=1"], 0.9)
    early = job(tmp_path, ["lr=1", "seed=0"])
    Result("failed", Objective("", "max"), overrides=["lr=1", "seed=0"], error=BOOM).write(early)
    (row,) = collect(tmp_path)
    assert (row.metric, row.mean) == ("val/acc", 0.9)


def test_an_empty_folder_has_no_jobs_and_an_absent_one_is_refused(tmp_path, capsys):
    print_leaderboard(tmp_path)
    assert "holds no jobs" in capsys.readouterr().out
    with pytest.raises(RunFolderError, match="there is no folder .*absent; give a sweep such as"):
        collect(tmp_path / "absent")


def test_a_repetition_beside_a_job_is_not_another_seed_of_it(tmp_path):
    folder = job(tmp_path, ["lr=1"], 0.9)
    (tmp_path / f"{folder.name}_rerun-1").mkdir()
    (tmp_path / f"{folder.name}_rerun-1" / "result.json").write_bytes((folder / "result.json").read_bytes())
    assert [row.num_finished for row in collect(tmp_path)] == [1]


def test_the_csv_has_plain_numbers_that_read_back_exactly(tmp_path):
    job(tmp_path, ["lr=1", "seed=1"], 1 / 3)
    job(tmp_path, ["lr=1", "seed=2"], 2 / 3)
    job(tmp_path, ["lr=2", "seed=1"], 0.1, seconds=12345.678)
    print_leaderboard(tmp_path)
    first, second = read_csv(tmp_path)
    assert float(first["mean"]) == statistics.fmean([1 / 3, 2 / 3])
    assert float(first["deviation"]) == statistics.stdev([1 / 3, 2 / 3])
    assert (first["n"], second["deviation"], second["seconds"]) == ("2", "", "12345.678")
    assert not list(tmp_path.glob("*.tmp"))


def test_different_objectives_are_ranked_apart(tmp_path):
    job(tmp_path, ["data=mnist"], 0.9)
    job(tmp_path, ["data=quadratic"], 0.5, mode="min")
    job(tmp_path, ["data=sine"], 0.1, mode="min")
    assert [row.setting["data"] for row in collect(tmp_path)] == ["mnist", "sine", "quadratic"]


def test_the_table_keeps_every_value_in_a_file_80_columns_wide(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    keys = ["model.hidden", "optimizer.lr", "optimizer.weight_decay", "data.batch_size", "scheduler.warmup_fraction"]
    for number in range(3):
        job(tmp_path, [f"{key}={number}.123456789" for key in keys], 0.9 + number / 100)
    print_leaderboard(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    table = [line for line in lines if line.startswith(("│", "┃"))]
    assert max(map(len, table)) <= 80
    joined = "".join(line.split("│")[2].strip() for line in table if line.startswith("│"))
    for key in keys:
        assert f"{key.rpartition('.')[2]}=2.123456789" in joined.replace(" ", "")
    assert "…" not in "".join(table)


def test_a_huge_objective_does_not_crowd_out_the_other_columns(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for number, value in enumerate((8.0240123, 8.5, 5.3e15, 1.5e15)):
        job(tmp_path, [f"optimizer.lr={1 + number // 2}", f"seed={number}"], value, mode="min")
    print_leaderboard(tmp_path)
    lines = [re.split(r" *│ *", line) for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert [line[1:5] for line in lines] == [
        ["1", "1", "8.2620 ± 0.3366", "2"],
        ["2", "2", "3.40e+15 ± 2.69e+15", "2"],
    ]


def test_reporting_imports_no_torch():
    code = "import sys, fulgurite.report.leaderboard, fulgurite.report.summary; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_setting_whose_jobs_were_all_pruned_comes_after_the_finished_and_says_when(tmp_path, capsys):
    job(tmp_path, ["optimizer.lr=1"], 0.4)
    job(tmp_path, ["optimizer.lr=2", "seed=1"], 0.7, status="pruned", epochs=3)
    job(tmp_path, ["optimizer.lr=2", "seed=2"], 0.9, status="pruned", epochs=3)
    finished, pruned = collect(tmp_path)
    assert finished.setting == {"optimizer.lr": "1"}
    assert (pruned.mean, pruned.num_finished, pruned.status) == (pytest.approx(0.8), 0, "pruned after epoch 3")
    print_leaderboard(tmp_path)
    assert "did not finish" not in capsys.readouterr().out


def test_a_pruned_seed_does_not_count_in_the_mean_of_the_finished(tmp_path):
    job(tmp_path, ["optimizer.lr=1", "seed=1"], 0.4)
    job(tmp_path, ["optimizer.lr=1", "seed=2"], 0.1, status="pruned", epochs=1)
    (row,) = collect(tmp_path)
    assert (row.mean, row.num_finished, row.status) == (0.4, 1, "1 finished, 1 pruned after epoch 1")


def paired_sweep(sweep: Path) -> None:
    """Two settings with the seeds 1 to 3; the differences are 0.01, 0.02 and 0.03."""
    for seed, value in {"1": 0.91, "2": 0.95, "3": 0.93}.items():
        job(sweep, ["lr=1", f"seed={seed}"], value)
        job(sweep, ["lr=2", f"seed={seed}"], value - int(seed) / 100)


def test_a_setting_is_held_against_the_best_over_the_seeds_of_both(tmp_path):
    paired_sweep(tmp_path)
    job(tmp_path, ["lr=3", "seed=1"], 0.1)
    best, other, alone = collect(tmp_path)
    assert (best.to_best, alone.to_best) == (None, None)
    assert other.to_best.difference == pytest.approx(-0.02)
    assert (other.to_best.p, other.to_best.num_pairs) == (pytest.approx(0.0742, abs=1e-4), 3)


def test_failed_and_pruned_jobs_take_no_part_in_the_comparison(tmp_path):
    paired_sweep(tmp_path)
    job(tmp_path, ["lr=2", "seed=4"], 0.5, status="pruned")
    job(tmp_path, ["lr=1", "seed=4"], 0.95)
    assert collect(tmp_path)[1].to_best.num_pairs == 3


def test_the_table_and_the_csv_tell_the_difference_to_the_best(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    paired_sweep(tmp_path)
    print_leaderboard(tmp_path)
    assert "-0.0200 (p 0.074)" in capsys.readouterr().out
    best, other = read_csv(tmp_path)
    assert (best["difference"], best["p"]) == ("", "")
    assert float(other["difference"]) == pytest.approx(-0.02)
    assert float(other["p"]) == pytest.approx(0.0742, abs=1e-4)


def test_without_seeds_in_common_the_table_has_no_such_column(tmp_path, capsys):
    job(tmp_path, ["lr=1", "seed=1"], 0.9)
    job(tmp_path, ["lr=2", "seed=2"], 0.8)
    print_leaderboard(tmp_path)
    assert "to best" not in capsys.readouterr().out


def test_the_json_holds_rows_and_the_record_of_each_job(tmp_path):
    paired_sweep(tmp_path)
    job(tmp_path, ["lr=2", "seed=9"], status="failed", error=BOOM)
    print_leaderboard(tmp_path)
    best, other = json.loads((tmp_path / "leaderboard.json").read_text())
    assert (best["setting"], best["num_finished"], best["to_best"]) == ({"lr": "1"}, 3, None)
    assert best["mean"] == pytest.approx(0.93)
    assert other["to_best"]["num_pairs"] == 3
    assert [each["seed"] for each in other["jobs"]] == ["1", "2", "3", "9"]
    assert other["jobs"][0]["value"] == pytest.approx(0.90)
    assert (other["jobs"][3]["status"], other["jobs"][3]["error"]) == ("failed", "RuntimeError: shapes do not fit")


@pytest.mark.parametrize(("width", "shown"), [(100, True), (80, False)])
def test_the_difference_makes_room_for_whole_settings_on_a_narrow_terminal(tmp_path, capsys, monkeypatch, width, shown):
    monkeypatch.setenv("COLUMNS", str(width))
    for seed in "123":
        for size, loss in (("64", 0.01), ("128", 0.02)):
            job(tmp_path, [f"model.hidden=[{size}]", "optimizer.lr=0.003", f"seed={seed}"], 0.9 - loss * int(seed))
            job(tmp_path, [f"model.hidden=[{size}]", "optimizer.lr=0.001", f"seed={seed}"], 0.8)
    print_leaderboard(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert any("to best" in line for line in lines) is shown
    assert sum("│ [64]   │ 0.003 │" in line for line in lines) == 1
    assert max(map(len, lines[:4])) <= width


@pytest.mark.parametrize("width", [40, 48, 60])
def test_a_very_narrow_terminal_still_shows_setting_objective_and_status(tmp_path, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    for rate, value in (("0.001", 0.9), ("0.003", 0.8)):
        job(tmp_path, [f"optimizer.lr={rate}"], value, metrics={"val/acc": value, "test/acc": 0.7})
    print_leaderboard(tmp_path)
    lines = [re.split(r" *│ *", line)[1:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert [line[0] for line in lines] == ["1", "2"]
    assert [line[1].removeprefix("lr=") for line in lines] == ["0.001", "0.003"]
    assert [line[2] for line in lines] == ["0.9000", "0.8000"]
    assert [line[-1] for line in lines] == ["finished", "finished"]


def test_an_error_in_no_encoding_does_not_hide_the_leaderboard(tmp_path, capsys):
    job(tmp_path, ["optimizer.lr=1"], status="failed", error=Failure("OSError", "no file \udcff.csv", "train.log"))
    print_leaderboard(tmp_path)
    out = capsys.readouterr().out
    assert "OSError: no file \\udcff.csv" in out
    assert out.encode()


def test_a_full_disk_does_not_hide_the_leaderboard(tmp_path, capsys, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    job(tmp_path, ["optimizer.lr=1"], status="failed", error=BOOM)
    monkeypatch.setattr(leaderboard, "write_atomically", full)
    print_leaderboard(tmp_path)
    out = capsys.readouterr().out
    assert "RuntimeError: shapes do not fit" in out
    assert "leaderboard.csv could not be written: No space left on device" in out
