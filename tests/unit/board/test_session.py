"""What is written of a run at its start and at its end, read back as TensorBoard reads it."""

import math
import os
import time
from dataclasses import replace

import pytest
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import api_pb2
from written_events import CONFIG, result, seen

from fulgurite import resume
from fulgurite.board.experiment import write_experiment
from fulgurite.board.session import write_end, write_start

SWEPT = {"model": ["mlp", "cnn"], "optimizer.lr": ["1e-3", "0.1"], "model.hidden": ["[8]", "-"], "seed": ["1", "2"]}
TYPED = ("model=mlp", "optimizer.lr=1e-3", "model.hidden=[8]", "seed=2", "trainer.max_epochs=3")


@pytest.fixture
def job(tmp_path):
    write_experiment(tmp_path, SWEPT, CONFIG)
    (tmp_path / "job").mkdir()
    return tmp_path / "job"


def test_a_job_of_a_sweep_gives_the_swept_values_and_no_others(job):
    write_start(job, result("running", *TYPED), CONFIG)
    assert seen(job).hparams == {"model": "mlp", "optimizer.lr": 0.001, "model.hidden": "[8]", "seed": 2.0}


def test_a_job_is_a_row_of_its_own(job):
    write_start(job, result("running", *TYPED), CONFIG)
    (start,) = seen(job).starts
    assert start.group_name == "job"
    assert start.start_time_secs == pytest.approx(time.time(), abs=60)


def test_a_key_that_was_not_typed_has_its_composed_value_and_one_that_is_not_there_a_dash(job):
    config = CONFIG | {"optimizer": {"lr": 0.02}, "seed": 7, "model": {"kernel": 3}}
    write_start(job, result("running", "model=cnn"), config)
    assert seen(job).hparams == {"model": "cnn", "optimizer.lr": 0.02, "model.hidden": "-", "seed": 7.0}


def test_a_number_that_nothing_can_stand_for_is_left_out(job):
    write_start(job, result("running", "model=cnn"), CONFIG)
    assert seen(job).hparams == {"model": "cnn", "model.hidden": "-"}


@pytest.mark.parametrize("name", ["alone", "job_rerun_20261122"])
def test_a_run_outside_a_sweep_and_a_repetition_are_no_rows(job, name):
    folder = job.parent / name if name.startswith("job") else job / name
    folder.mkdir()
    write_start(folder, result("running", *TYPED), CONFIG)
    write_end(folder, result("finished", *TYPED, metrics={"val/acc": 0.5}))
    found = seen(folder)
    assert (found.starts, found.ends, found.experiments) == ([], [], [])
    assert list(found.points) == ["final/val/acc"]


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ("finished", api_pb2.STATUS_SUCCESS),
        ("failed", api_pb2.STATUS_FAILURE),
        ("diverged", api_pb2.STATUS_FAILURE),
        ("pruned", api_pb2.STATUS_UNKNOWN),
        ("interrupted", api_pb2.STATUS_UNKNOWN),
    ],
)
def test_only_what_has_finished_is_a_success(job, status, shown):
    write_start(job, result("running", *TYPED), CONFIG)
    write_end(job, result(status, *TYPED))
    found = seen(job)
    assert [end.status for end in found.ends] == [shown]
    assert len(found.starts) == 1


def test_the_numbers_at_the_end_are_those_of_validation_and_test_at_the_last_epoch(job):
    metrics = {"val/acc": 0.5, "test/loss": 1.25, "train/acc": 1.0, "val/loss": None, "test/acc": math.nan}
    write_start(job, result("running", *TYPED), CONFIG)
    write_end(job, result("finished", *TYPED, metrics=metrics, epochs=4))
    assert seen(job).points == {"final/val/acc": [(4, 0.5)], "final/test/loss": [(4, 1.25)]}


def test_a_run_that_goes_on_has_neither_an_end_nor_final_numbers_left(job):
    for status in ("interrupted", "finished"):
        write_start(job, result("running", *TYPED), CONFIG)
        found = seen(job)
        assert (found.ends, found.points, len(found.starts), len(found.layouts)) == ([], {}, 1, 1)
        write_end(job, result(status, *TYPED, metrics={"val/acc": 0.5}))
    found = seen(job)
    assert ([end.status for end in found.ends], len(found.points["final/val/acc"])) == ([api_pb2.STATUS_SUCCESS], 1)


def test_a_run_that_goes_on_without_tensorboard_leaves_no_old_end(job):
    write_start(job, result("running", *TYPED), CONFIG)
    write_end(job, result("failed", *TYPED))
    write_start(job, result("running", *TYPED), CONFIG | {"logger": {}})
    assert list(job.iterdir()) == []


def test_a_run_without_tensorboard_leaves_no_events(tmp_path):
    write_start(tmp_path, result("running", *TYPED), CONFIG | {"logger": {}})
    write_end(tmp_path, result("finished", *TYPED, metrics={"val/acc": 0.5}))
    assert list(tmp_path.iterdir()) == []


def test_a_killed_job_is_a_failure(job):
    write_start(job, result("running", *TYPED).write(job), CONFIG)
    resume.abandon(job, TYPED, "its process was ended by SIGKILL")
    assert [end.status for end in seen(job).ends] == [api_pb2.STATUS_FAILURE]


def test_a_job_that_failed_before_it_began_is_a_row_too(job):
    resume.abandon(job, TYPED, "its process was ended by SIGSEGV")
    found = seen(job)
    assert found.hparams == {"model": "mlp", "optimizer.lr": 0.001, "model.hidden": "[8]", "seed": 2.0}
    assert [end.status for end in found.ends] == [api_pb2.STATUS_FAILURE]


def test_start_and_end_stand_round_the_files_of_a_logger_that_began_in_the_same_second(job):
    write_start(job, result("running", *TYPED), CONFIG)
    write_end(job, result("finished", *TYPED))
    start, end = (next(job.glob(f"*.{which}")) for which in ("start", "end"))
    for host in ("0host", "vm", "Z", "zz-9"):
        for own, before in ((start, False), (end, True)):
            stamp = own.name.split(".")[3]
            assert (f"events.out.tfevents.{stamp}.{host}.{os.getpid()}.0" < own.name) == before


def test_no_part_of_a_file_is_left_when_its_writing_fails(job, monkeypatch):
    monkeypatch.setattr("pathlib.Path.replace", lambda path, other: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_start(job, result("running", *TYPED), CONFIG)
    assert list(job.iterdir()) == []


def test_the_card_tells_command_code_versions_and_config(job):
    record = replace(
        result("running", *TYPED),
        command="train.py model=mlp 'a=[1, 2]'",
        git={"commit": "0123abc", "dirty": True},
        versions={"torch": "2.15.0"},
        fingerprint="feed",
    )
    write_start(job, record, CONFIG | {"seed": 3})
    ((text,),) = seen(job).texts.values()
    assert "    train.py model=mlp 'a=[1, 2]'" in text
    assert "    model=mlp\n    optimizer.lr=1e-3\n" in text
    assert "| commit | 0123abc, with changes that are not committed |" in text
    assert "| torch | 2.15.0 |" in text
    assert "    seed: 3" in text


def test_a_long_command_is_folded_as_a_shell_reads_it(job):
    words = " ".join(f"model.option_{number}={number}" for number in range(20))
    write_start(job, replace(result("running"), command=f"train.py {words}"), CONFIG)
    ((text,),) = seen(job).texts.values()
    command = text.split("### Overrides")[0].removeprefix("### Command\n\n")
    assert max(map(len, command.splitlines())) <= 110
    assert command.replace("\\\n", " ").split() == ["train.py", *words.split()]
    assert "none: the defaults" in text


def test_all_runs_share_one_page_of_charts(job):
    write_start(job, result("running", *TYPED), CONFIG)
    (layout,) = seen(job).layouts
    (page,) = layout_pb2.Layout.FromString(layout).category
    titles = ["loss: validation", "loss: training", "score: validation", "score: training", "learning rate"]
    titles += ["gradient norm", "samples a second", "seconds an epoch"]
    assert [chart.title for chart in page.chart] == titles
