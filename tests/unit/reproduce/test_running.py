"""What a row does to its folder: going on, changed words, faults, measures. Training is a stand-in here."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fulgurite import job
from fulgurite.config import fingerprint, resolve
from fulgurite.reproduce import measuring
from fulgurite.reproduce.measures import Measure
from fulgurite.reproduce.record import Record, attempt, note, read_record
from fulgurite.reproduce.rows import Line, Row
from fulgurite.reproduce.run import Stopped, run_row
from fulgurite.reproduce.standing import Shown, from_plain, plain, standing_in
from fulgurite.reproduce.verdicts import Figures
from fulgurite.result import Failure, Objective, Result, read_result

OUT = Path("outputs", "reproduce")
ROW = Row("one", "a network", "a book", ("launcher=basic", "model=mlp"), 3, (Line("test/acc"),))


class Training:
    """Stands in for ``run_job``: ``test/acc`` is the seed's tenth. Some seeds fail, or are interrupted."""

    def __init__(self) -> None:
        self.seeds: list[int] = []
        self.failing: set[int] = set()
        self.interrupting: set[int] = set()

    def __call__(self, cfg, overrides, build=None, begun=None):
        self.seeds.append(cfg.seed)
        if cfg.seed in self.interrupting:
            raise KeyboardInterrupt
        if cfg.seed in self.failing:
            raise RuntimeError("boom")
        metrics = {"test/acc": cfg.seed / 10}
        result = Result("finished", Objective("val/acc", "max", 0.5), metrics, overrides=list(overrides), epochs=7)
        return replace(result, fingerprint=fingerprint(resolve(cfg))).write(Path(cfg.folder))


@pytest.fixture
def training(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(job, "run_job", stand_in := Training())
    return stand_in


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A place where the row has run; composing its jobs takes most of the time of a test."""
    place = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(job, "run_job", Training())
        assert run_row(ROW, OUT)
    return place


@pytest.fixture
def finished(training, whole):
    """The row has run before; what is trained now is noted."""
    shutil.copytree(whole / OUT, OUT)
    return training


def values(row: Row = ROW) -> list[tuple[float, ...]]:
    standing = standing_in(row, OUT / row.name)
    assert standing is not None
    return [figures.values for figures in standing.figures]


def test_a_row_is_an_ordinary_sweep_in_its_own_folder(finished):
    assert values() == [(0.0, 0.1, 0.2)]
    assert {"sweep.json", "leaderboard.csv", "report.html"} <= {path.name for path in (OUT / "one").iterdir()}
    record = read_record(OUT / "one")
    assert (record.words, record.error, record.at_work) == (ROW.words, "", False)
    assert record.seconds > 0
    assert "core" in record.machine


def test_a_row_that_is_finished_is_skipped(finished, capsys):
    seconds = read_record(OUT / "one").seconds
    assert run_row(ROW, OUT)
    assert finished.seeds == []
    assert read_record(OUT / "one").seconds == seconds
    assert "one: all runs have ended before" in capsys.readouterr().out


def test_more_seeds_train_those_that_are_not_there(finished):
    assert run_row(ROW, OUT, seeds=5)
    assert finished.seeds == [3, 4]
    assert values() == [(0.0, 0.1, 0.2, 0.3, 0.4)]
    # The row's own number is there already.
    assert run_row(ROW, OUT)
    assert len(finished.seeds) == 2


def test_a_row_with_other_words_begins_anew_and_what_was_there_is_kept(finished, capsys):
    other = replace(ROW, words=(*ROW.words, "model.hidden=[7]"))
    assert standing_in(other, OUT / "one") is None
    # Of what was kept before, somebody has removed the first.
    (OUT / "earlier" / "one-2").mkdir(parents=True)
    (OUT / "earlier" / "one-2" / "kept").touch()
    assert run_row(other, OUT)
    assert finished.seeds == [0, 1, 2]
    assert values(other) == [(0.0, 0.1, 0.2)]
    assert len(list((OUT / "earlier" / "one-1").glob("*/result.json"))) == 3
    assert f"what was there is now {OUT}/earlier/one-1" in capsys.readouterr().out


@pytest.mark.slow
def test_a_preset_that_has_changed_makes_a_row_begin_anew(finished):
    for path in (OUT / "one").glob("*/result.json"):
        replace(read_result(path.parent), fingerprint="of another config").write(path.parent)
    assert run_row(ROW, OUT)
    assert finished.seeds == [0, 1, 2]


def test_jobs_of_values_that_are_given_no_more_do_not_count(finished):
    # As if another value of a key had been given before.
    folder = next((OUT / "one").glob("seed-2*"))
    result = read_result(folder)
    shutil.copytree(folder, OUT / "one" / "seed-9_abcdef")
    replace(result, fingerprint="abcdef").write(OUT / "one" / "seed-9_abcdef")
    assert values() == [(0.0, 0.1, 0.2)]


@pytest.mark.slow
def test_a_line_takes_the_runs_with_its_words(training):
    lines = tuple(Line("test/acc", name, (f"optimizer.lr={name}",)) for name in ("0.1", "0.2"))
    row = replace(ROW, words=(*ROW.words, "optimizer.lr=0.1,0.2"), lines=lines)
    run_row(row, OUT)
    assert values(row) == [(0.0, 0.1, 0.2)] * 2


@pytest.mark.slow
def test_a_row_may_be_a_search_over_a_grid(training):
    row = replace(ROW, words=("launcher=basic", "model=mlp", "sweep=grid", "optimizer.lr=0.1,0.2"))
    row = replace(row, lines=tuple(Line("test/acc", lr, (f"optimizer.lr={lr}",)) for lr in ("0.1", "0.2")))
    assert run_row(row, OUT)
    assert values(row) == [(0.0, 0.1, 0.2)] * 2
    assert run_row(row, OUT)
    assert len(training.seeds) == 6


def test_a_failed_run_is_said_and_the_row_goes_on_later(training, capsys):
    training.failing = {1}
    assert not run_row(ROW, OUT)
    assert "one failed: not all of its runs have finished" in capsys.readouterr().err
    shown = Shown(ROW, standing_in(ROW, OUT / "one"))
    assert (shown.outcomes[0].verdict, shown.outcomes[0].num) == ("failed: 1 of 3 runs", 2)
    training.failing = set()
    assert run_row(ROW, OUT)
    assert values() == [(0.0, 0.1, 0.2)]


def test_a_row_that_another_process_runs_is_waited_for_as_its_sweep_has_no_other_name(finished, capsys):
    held = "from pathlib import Path; from fulgurite.sweep.folder import only_driver\n"
    held += f"with only_driver(Path({str(OUT / 'one')!r})): print(flush=True); input()"
    words = [sys.executable, "-c", held]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert not run_row(ROW, OUT, seeds=4)
        other.communicate("\n")
    said = capsys.readouterr().err
    assert f"one failed: the sweep one is being worked on by process {other.pid} on " in said
    assert said.endswith("; wait for it or stop it\n")


def test_ctrl_c_leaves_what_is_done(training):
    training.interrupting = {1}
    with pytest.raises(Stopped):
        run_row(ROW, OUT)
    assert values() == [(0.0,)]
    training.interrupting = set()
    assert run_row(ROW, OUT)
    assert training.seeds == [0, 1, 1, 2]


def test_a_mistake_in_the_words_is_one_line(training, capsys):
    row = replace(ROW, words=("launcher=basic", "model=mlp", "model.hiden=[7]"))
    assert not run_row(row, OUT)
    assert "one failed: " in (said := capsys.readouterr().err)
    assert "did you mean model.hidden?" in said
    assert Shown(row, standing_in(row, OUT / "one")).outcomes[0].verdict == "failed"
    assert "model.hidden" in read_record(OUT / "one").error


def test_a_mistake_in_changed_words_leaves_what_is_there(finished):
    wrong = replace(ROW, words=(*ROW.words, "model.hiden=[7]"))
    assert not run_row(wrong, OUT)
    assert standing_in(wrong, OUT / "one") is None
    assert values() == [(0.0, 0.1, 0.2)]
    assert len(list((OUT / "one").glob("*/result.json"))) == 3
    assert not (OUT / "earlier").exists()


def test_a_metric_that_no_run_has_is_named_with_the_nearest(finished, capsys):
    row = replace(ROW, lines=(Line("test/ac"),))
    assert not run_row(row, OUT)
    expected = "one failed: its runs have no test/ac (did you mean test/acc?); they have test/acc"
    assert expected in capsys.readouterr().err
    assert Shown(row, standing_in(row, OUT / "one")).outcomes[0].kind == "failed"


@pytest.mark.parametrize("lost", [0, 2])
def test_a_metric_that_is_no_number_in_one_run_is_named(finished, capsys, lost):
    folder = next((OUT / "one").glob(f"seed-{lost}*"))
    replace(read_result(folder), metrics={"test/acc": None}).write(folder)
    assert not run_row(ROW, OUT)
    assert "one failed: test/acc is no finite number in 1 of 3 runs" in capsys.readouterr().err
    assert Shown(ROW, standing_in(ROW, OUT / "one")).outcomes[0].kind == "failed"


def test_a_line_whose_words_no_run_has_is_named(finished, capsys):
    assert not run_row(replace(ROW, lines=(Line("test/acc", where=("model=cnn",)),)), OUT)
    assert "no finished run has the words model=cnn" in capsys.readouterr().err


def test_the_time_of_an_attempt_that_was_killed_is_not_known(tmp_path):
    with attempt(("a=1",), tmp_path):
        shutil.copy(tmp_path / "reproduce.json", tmp_path / "killed.json")
    assert not read_record(tmp_path).unknown
    (tmp_path / "killed.json").rename(tmp_path / "reproduce.json")
    assert read_record(tmp_path).at_work
    note(("a=1",), tmp_path, "")
    record = read_record(tmp_path)
    assert (record.unknown, record.at_work) == (True, False)


def test_a_record_that_cannot_be_read_is_none(tmp_path):
    assert read_record(tmp_path) is None
    (tmp_path / "reproduce.json").write_text('{"words": ["a=1"], "colour": 1}')
    assert read_record(tmp_path) is None


taken: list[tuple[str, ...]] = []


def measure_run(run: Path) -> dict[str, float]:
    taken.append((run.name,))
    return {"extra": read_result(run).metrics["test/acc"] + 1}


def measure_seed(runs) -> dict[str, float]:
    taken.append(tuple(run.name for run in runs))
    return {"extra": float(len(runs))}


def measure_nothing(run: Path) -> dict[str, float]:
    raise ValueError(f"nothing in {run.name[:6]}")


@pytest.fixture
def measured(monkeypatch, finished):
    """A row that takes the measure of a function here."""
    taken.clear()

    def row(function, of_seed: bool = False, **options) -> Row:
        named = Measure(f"{__name__}.{function.__name__}", of_seed)
        monkeypatch.setitem(measuring.MEASURES, "own", named)
        return replace(ROW, after="own", lines=(Line("extra"),), **options)

    return row


def test_a_measure_is_taken_of_each_finished_run_and_once(measured):
    row = measured(measure_run)
    assert run_row(row, OUT)
    assert values(row) == [(1.0, 1.1, 1.2)]
    assert run_row(row, OUT)
    assert len(taken) == 3


def test_a_measure_is_taken_again_of_a_run_that_was_trained_again(measured):
    row = measured(measure_run)
    run_row(row, OUT)
    folder = next((OUT / "one").glob("seed-2*"))
    replace(read_result(folder), metrics={"test/acc": 0.9}).write(folder)
    run_row(row, OUT)
    assert len(taken) == 4
    assert values(row) == [(1.0, 1.1, 1.9)]


@pytest.mark.slow
def test_a_measure_of_a_seed_sees_all_of_its_runs(measured):
    row = measured(measure_seed, of_seed=True, words=(*ROW.words, "optimizer.lr=0.1,0.2"))
    assert run_row(row, OUT)
    assert [len(runs) for runs in taken] == [2, 2, 2]
    assert standing_in(row, OUT / "one").figures == (Figures((2.0, 2.0, 2.0), planned=3),)


def test_a_measure_that_fails_is_said_for_each_run(measured, capsys):
    assert not run_row(measured(measure_nothing), OUT)
    assert "measure own of seed-0_" in (said := capsys.readouterr().err)
    assert "ValueError: nothing in seed-2" in said


def test_a_standing_comes_back_from_its_plain_values(finished):
    standing = standing_in(ROW, OUT / "one")
    assert standing.is_over
    assert standing.tested == "the last epoch, 7"
    assert from_plain(ROW, json.loads(json.dumps(plain(ROW, standing)))) == standing


def test_plain_values_of_other_words_or_lines_are_not_taken(finished):
    told = plain(ROW, standing_in(ROW, OUT / "one"))
    assert from_plain(replace(ROW, words=("model=cnn",)), told) is None
    assert from_plain(replace(ROW, lines=(Line("test/loss"),)), told).figures == (Figures(),)
    assert from_plain(ROW, {"record": {}}) is None


def test_the_epoch_that_was_tested_is_said(finished):
    folder = next((OUT / "one").glob("seed-0*"))
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "best.ckpt").touch()
    assert standing_in(ROW, OUT / "one").tested == "the epoch with the best val/acc"
    cfg = folder / ".hydra" / "config.yaml"
    cfg.write_text("callbacks: {best_checkpoint: {choose: last}}")
    assert standing_in(ROW, OUT / "one").tested == "the last epoch, 7"


def test_a_run_that_was_lost_before_is_no_value(tmp_path):
    Record(("a=1",))
    folder = tmp_path / "one"
    (folder / "job").mkdir(parents=True)
    note(ROW.words, folder, "")
    lost = Result("diverged", Objective("val/acc", "max"), error=Failure("Diverged", "nan", "train.log"))
    lost.write(folder / "job")
    assert standing_in(ROW, folder).figures == (Figures((), 3, 1),)
