"""What comes after training, on two quick runs that the command line has made: one on MNIST, one on the quadratic."""

import csv
import json
import math
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from fulgurite import cli
from fulgurite.data.idx import find_idx, read_idx
from fulgurite.data.mnist import BUNDLED, SHA256
from fulgurite.errors import ConfigError, DataError, FulguriteError, RunFolderError
from fulgurite.replay import answers, evaluate, predict, rerun
from fulgurite.replay.run_folder import check_targets, open_run
from fulgurite.replay.weights import differing_weights
from fulgurite.result import read_result
from fulgurite.training.checkpoint import load_checkpoint

MNIST = ["model=mlp", "trainer.max_epochs=2", "data.batch_size=128", "optimizer.lr=3e-3"]
QUADRATIC = [
    "data=quadratic",
    "model=mlp",
    "model.hidden=[32]",
    "optimizer.lr=1e-2",
    "trainer.max_epochs=1",
    "data.passes_per_epoch=30",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    here = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        for words in (MNIST, QUADRATIC):
            assert cli.train(words) == 0
    return {data: next((here / "outputs" / data).iterdir()) for data in ("mnist", "quadratic")}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every command is typed in a folder that has nothing to do with the run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def copied(runs, tmp_path) -> Path:
    """The run on MNIST, moved to a folder of this test."""
    return Path(shutil.copytree(runs["mnist"], tmp_path / "moved" / "run 1"))


@pytest.fixture
def points(runs, tmp_path) -> Path:
    return Path(shutil.copytree(runs["quadratic"], tmp_path / "quadratic"))


@pytest.fixture(scope="module")
def test_digits() -> tuple[np.ndarray, list[int]]:
    parts = [f"t10k-{part}" for part in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    images, labels = (read_idx(find_idx(BUNDLED / "MNIST" / "raw", name), SHA256[name])[:100] for name in parts)
    return images.numpy(), labels.tolist()


def set_in(folder: Path, key: str, value) -> None:
    path = folder / ".hydra" / "config.yaml"
    cfg = OmegaConf.load(path)
    OmegaConf.update(cfg, key, value)
    OmegaConf.save(cfg, path)


def set_status(folder: Path, status: str) -> None:
    path = folder / "result.json"
    path.write_text(path.read_text().replace('"status": "finished"', f'"status": "{status}"'))


def files_of(folder: Path) -> dict[Path, float]:
    return {path: path.stat().st_mtime for path in folder.rglob("*")}


# eval


def test_eval_of_a_moved_run_gives_what_result_json_recorded_and_leaves_the_folder_alone(copied, capsys):
    before = files_of(copied)
    assert evaluate.main([str(copied)]) == 0
    out = capsys.readouterr().out
    assert "Identical to result.json." in out
    assert f"{read_result(copied).metrics['test/acc']:.6g}" in out
    assert files_of(copied) == before


def test_eval_of_a_regression_run_gives_what_result_json_recorded(points, capsys):
    assert evaluate.main([str(points)]) == 0
    assert "Identical to result.json in test/" in capsys.readouterr().out


def test_eval_says_when_the_numbers_are_not_those_recorded(copied, capsys):
    path = copied / "result.json"
    path.write_text(re.sub(r'"test/acc": [\d.]+', '"test/acc": 0.5', path.read_text()))
    evaluate.main([str(copied)])
    assert "NOT what result.json recorded" in capsys.readouterr().out


def test_the_verdict_tells_rounding_from_a_difference():
    recorded = {"test/loss": 0.5, "test/acc": 0.9}
    assert "but for rounding" in evaluate.verdict({"test/loss": 0.5000001, "test/acc": 0.9}, recorded)
    assert "NOT what" in evaluate.verdict({"test/loss": 0.501, "test/acc": 0.9}, recorded)
    assert "no test result" in evaluate.verdict({"test/loss": 0.5}, {"val/loss": 0.5})


def test_the_verdict_names_what_was_compared_where_a_callback_measured_more():
    recorded = {"val/acc": 0.8, "test/loss": 0.5, "test/acc": 0.9, "test/forgetting": 0.6}
    same = {"test/loss": 0.5, "test/acc": 0.9}
    rest = "; not computed again, as callbacks measure them: test/forgetting."
    assert evaluate.verdict(same, recorded) == f"Identical to result.json in test/loss, test/acc{rest}"
    rounded = evaluate.verdict(same | {"test/loss": 0.5000001}, recorded)
    assert rounded.startswith("Equal to result.json in test/loss, test/acc but for rounding")
    assert rounded.endswith(rest)


def test_a_number_that_is_none_any_more_is_no_rounding():
    recorded = {"test/loss": 0.5, "test/acc": 0.9, "test/r2": None}
    same = {"test/loss": 0.5, "test/acc": 0.9, "test/r2": math.nan}
    assert evaluate.verdict(same, recorded) == "Identical to result.json."
    assert "but for rounding" in evaluate.verdict(same | {"test/loss": 0.5000001}, recorded)
    for changed in ({"test/acc": math.nan}, {"test/r2": 0.5}):
        assert "NOT what" in evaluate.verdict(same | {"test/loss": 0.5000001} | changed, recorded)


def test_eval_takes_another_test_set_from_the_folder_that_it_is_typed_in(copied, tmp_path, capsys):
    raw = tmp_path / "mine" / "MNIST" / "raw"
    raw.parent.mkdir(parents=True)
    shutil.copytree(BUNDLED / "MNIST" / "raw", raw)
    evaluate.main([str(copied), "--checkpoint", "last", "data.root=mine"])
    assert "Not compared" in capsys.readouterr().out
    with pytest.raises(FulguriteError, match=r"data\.root=absent must hold"):
        evaluate.main([str(copied), "data.root=absent"])


def test_a_recorded_relative_path_is_read_from_where_the_run_was_started(copied, runs):
    set_in(copied, "data.root", "digits")
    assert open_run(copied).cfg.data.root == str(runs["mnist"].parents[2] / "digits")


@pytest.mark.parametrize("status", ["running", "failed"])
def test_a_run_that_has_not_come_to_its_end_is_evaluated_on_demand_only(copied, status, capsys):
    set_status(copied, status)
    with pytest.raises(RunFolderError, match=f"is (still )?{status}.*; add --unfinished"):
        evaluate.main([str(copied)])
    assert evaluate.main([str(copied), "--unfinished"]) == 0


def test_a_folder_that_is_no_run_is_refused(tmp_path, copied):
    with pytest.raises(RunFolderError, match=r"is not a run folder: it has no result\.json"):
        evaluate.main([str(tmp_path)])
    with pytest.raises(
        RunFolderError, match=r"^moved is a folder of 1 run, and a run is wanted; .* its best, 'moved/run 1'$"
    ):
        evaluate.main([str(copied.parent)])
    with pytest.raises(RunFolderError, match="is a file, not a run folder"):
        evaluate.main([str(copied / "metrics.csv")])
    shutil.rmtree(copied / ".hydra")
    with pytest.raises(RunFolderError, match=r"it has no \.hydra/config\.yaml"):
        evaluate.main([str(copied)])


def test_an_absent_checkpoint_is_named_with_the_status_of_the_run(copied):
    (copied / "checkpoints" / "best.ckpt").unlink()
    set_status(copied, "interrupted")
    with pytest.raises(
        RunFolderError, match=r"there is no checkpoint .*best\.ckpt; .* is interrupted; use --checkpoint"
    ):
        evaluate.main([str(copied)])


@pytest.mark.parametrize("size", [0, 1000, -1])
def test_a_truncated_checkpoint_is_refused(copied, size):
    path = copied / "checkpoints" / "best.ckpt"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(RunFolderError, match=r"best\.ckpt is damaged"):
        evaluate.main([str(copied)])


def test_a_checkpoint_of_another_model_is_told_by_the_first_parameter_that_differs(copied):
    set_in(copied, "model.hidden", [100, 512])
    message = (
        r"is the checkpoint of another model: net\.1\.weight is of shape \[512, 784\] there, and of shape \[100, 784\]"
    )
    with pytest.raises(RunFolderError, match=message) as caught:
        evaluate.main([str(copied)])
    assert len(str(caught.value).splitlines()) == 1


def test_a_checkpoint_that_lacks_a_layer_is_told_too(copied):
    set_in(copied, "model.hidden", [512, 512, 10, 10])
    with pytest.raises(RunFolderError, match=r"net\.8\.weight is absent there, and of shape \[10\]"):
        evaluate.main([str(copied)])


def test_a_checkpoint_with_more_than_plain_values_is_not_loaded(copied):
    torch.save({"state_dict": {}, "code": evaluate.main}, copied / "checkpoints" / "best.ckpt")
    with pytest.raises(RunFolderError, match="holds more than plain values and tensors"):
        evaluate.main([str(copied)])


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "subprocess.run",
        "builtins.exec",
        "torch.load",
        "torch.nn.modules.module.torch.load",
        "shutil.rmtree",
    ],
)
def test_a_config_that_wants_anything_but_known_classes_is_refused(copied, target):
    set_in(copied, "model._target_", target)
    with pytest.raises(
        RunFolderError, match=f"_target_={re.escape(target)}, which is not a class of fulgurite, .*--allow"
    ):
        evaluate.main([str(copied)])


def test_a_callback_that_is_no_longer_there_stops_a_rerun_but_not_eval(points, capsys):
    set_in(points, "callbacks.best_checkpoint._target_", "fulgurite.callbacks.Gone")
    assert evaluate.main([str(points)]) == 0
    with pytest.raises(
        ConfigError, match=r"_target_=fulgurite\.callbacks\.Gone of the run's config cannot be imported: No mod"
    ):
        rerun.main([str(points)])
    assert "Error getting object" not in capsys.readouterr().err


def test_a_target_is_found_wherever_it_hides():
    node = {"callbacks": {"mine": {"inner": [{"_target_": "pathlib.Path"}]}}}
    with pytest.raises(RunFolderError, match=r"_target_=pathlib\.Path"):
        check_targets(node)
    check_targets(node, allow=["pathlib"])


def test_a_class_of_the_users_own_package_needs_her_word(copied, tmp_path, monkeypatch, capsys):
    (tmp_path / "my_nets.py").write_text("from fulgurite.models.mlp import MLP\n\nclass Mine(MLP):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    set_in(copied, "model._target_", "my_nets.Mine")
    with pytest.raises(RunFolderError, match="if you trust this run, add --allow my_nets"):
        evaluate.main([str(copied)])
    evaluate.main([str(copied), "--allow", "my_nets"])
    assert "Identical" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model=cnn", "model=cnn chooses another group option"),
        ("experiment=best", "experiment=best chooses another group option"),
        ("optimizer.lrr=1", r"optimizer\.lrr is not a key of the run's config \(did you mean optimizer\.lr\?\)"),
        ("seed=1,2", "seed=1,2 names several values; give one"),
        ("seed=x", "seed=x cannot be set: .*Integer"),
        ("seed", "'seed' is no override; write key=value"),
    ],
)
def test_overrides_of_a_recorded_run_are_values_of_its_keys(copied, override, message):
    with pytest.raises(ConfigError, match=message):
        open_run(copied).override([override])


def test_an_override_reaches_the_keys_that_refer_to_it(copied):
    run = open_run(copied).override(["seed=7", "model.hidden=[8]", "+trainer.profiler=simple", "data.root='/a b'"])
    assert (run.cfg.data.seed, list(run.cfg.model.hidden), run.cfg.trainer.profiler) == (7, [8], "simple")
    assert run.cfg.data.root == "/a b"
    assert open_run(copied).cfg.seed == 0


# predict


def page(digit: np.ndarray, number: int) -> Image.Image:
    """A digit enlarged to 140 x 140, off the centre of a page of 200 x 300, dark on light."""
    paper = Image.new("L", (200, 300), 255)
    enlarged = Image.fromarray(255 - digit).resize((140, 140), Image.Resampling.BICUBIC)
    paper.paste(enlarged, (number % 60, 5 + number % 150))
    return paper


PAGES = {
    "page": page,
    "page_light_on_dark": lambda digit, number: page(digit, number).point(lambda tone: 255 - tone),
    "small": lambda digit, number: Image.fromarray(255 - digit),
    "large_colour": lambda digit, number: page(digit, number).convert("RGB").resize((400, 600)),
}


@pytest.mark.parametrize("kind", PAGES)
def test_at_least_95_of_100_test_digits_are_recognised_on_paper(copied, tmp_path, test_digits, kind, capsys):
    assert read_result(copied).metrics["test/acc"] > 0.965
    files = []
    for number, (digit, label) in enumerate(zip(*test_digits, strict=True)):
        files.append(tmp_path / f"{label}_n{number}.png")
        PAGES[kind](digit, number).save(files[-1])
    assert predict.main([str(copied), *map(str, files)]) == 0
    right = int(re.search(r"(\d+) of 100 right", capsys.readouterr().out)[1])
    assert right >= 95
    with (copied / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(row["prediction"] == row["label"] for row in rows) == right
    for row in rows:
        chances = [float(row[f"probability_{c}"]) for c in range(10)]
        assert sum(chances) == pytest.approx(1, abs=1e-5)
        assert int(row["prediction"]) == int(np.argmax(chances))


def test_the_table_has_the_three_likeliest_classes_and_the_label_of_the_name(copied, tmp_path, test_digits, capsys):
    digit, label = test_digits[0][0], test_digits[1][0]
    names = [f"{label}_anna.png", f"own_{(label + 1) % 10}.png", "unnamed.png"]
    for name in names:
        page(digit, 0).save(tmp_path / name)
    predict.main([str(copied), *names, "--output", "answers.csv"])
    out = capsys.readouterr().out
    lines = {name: next(line for line in out.splitlines() if name in line) for name in names}
    assert "right" in lines[names[0]]
    assert "wrong" in lines[names[1]]
    assert not re.search("right|wrong", lines[names[2]])
    assert all(line.count("%") == 3 for line in lines.values())
    assert "1 of 2 right" in out
    assert (tmp_path / "answers.csv").exists()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("7_anna.png", 7),
        ("own_7.png", 7),
        ("3.png", 3),
        ("IMG_0007.png", None),
        ("page12.png", None),
        ("a_12.png", None),
    ],
)
def test_a_label_is_a_class_at_the_start_or_the_end_of_a_name(name, label):
    assert answers.label_of(Path(name), 10) == label


def test_classes_that_have_names_are_told_by_them(tmp_path, capsys):
    words = ["data=iris", "data.classes=[setosa,versicolor+virginica]", "model=mlp", "model.hidden=[8]", "logger=none"]
    assert cli.train([*words, "optimizer.lr=0.03", "trainer.max_epochs=3", "test=false"]) == 0
    (run,) = (tmp_path / "outputs" / "iris").iterdir()
    # Flowers 1 and 150 of the file: a setosa and a virginica.
    Path("two.csv").write_text("5.1,3.5,1.4,0.2\n5.9,3.0,5.1,1.8\n")
    capsys.readouterr()
    assert predict.main([str(run), "two.csv"]) == 0
    rows = list(csv.DictReader((run / "predictions.csv").read_text().splitlines()))
    assert [row["prediction"] for row in rows] == ["setosa", "versicolor+virginica"]
    assert float(rows[0]["probability_setosa"]) > 0.5 > float(rows[1]["probability_setosa"])
    assert "setosa" in capsys.readouterr().out


def test_predictions_follow_the_curve_in_the_unit_of_y(points, tmp_path):
    (tmp_path / "x.csv").write_text("x\n-10\n0\n10.0\n")
    assert predict.main([str(points), "x.csv"]) == 0
    rows = [line.split(",") for line in (points / "predictions.csv").read_text().splitlines()]
    assert rows[0] == ["file", "line", "x", "prediction"]
    assert [row[1:3] for row in rows[1:]] == [["2", "-10.0"], ["3", "0.0"], ["4", "10.0"]]
    left, middle, right = (float(row[3]) for row in rows[1:])
    assert left == pytest.approx(103, abs=45)
    assert right == pytest.approx(103, abs=45)
    assert middle < 60


def test_the_columns_of_a_csv_are_the_features_of_the_data(tmp_path, capsys):
    words = ["data=linear", "data.num_features=3", "model=linear", "trainer.max_epochs=1", "data.passes_per_epoch=1"]
    assert cli.train(words) == 0
    (run,) = (tmp_path / "outputs" / "linear").iterdir()
    (tmp_path / "x.csv").write_text("a,b,c\n1,2,3\n")
    predict.main([str(run), "x.csv"])
    assert (run / "predictions.csv").read_text().startswith("file,line,x_1,x_2,x_3,prediction\nx.csv,2,1.0,2.0,3.0,")
    (tmp_path / "x.csv").write_text("1,2\n")
    with pytest.raises(DataError, match=r"line 1 has 2 columns, and this run's samples have 3"):
        predict.main([str(run), "x.csv"])


def test_a_csv_without_a_header_gives_the_same(points, tmp_path):
    (tmp_path / "x.csv").write_text("1.5\n\n2e0\n")
    predict.main([str(points), "x.csv"])
    rows = [line.split(",") for line in (points / "predictions.csv").read_text().splitlines()]
    assert [row[1:3] for row in rows[1:]] == [["1", "1.5"], ["3", "2.0"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x\n1\n2,3\n", r"x\.csv line 3 has 2 columns, and this run's samples have 1"),
        ("1\ntwo\n", r"x\.csv line 2: 'two' is not a finite number"),
        ("1\nnan\n", r"x\.csv line 2: 'nan' is not a finite number"),
        ("x\n", r"x\.csv holds no numbers"),
        ("", r"x\.csv holds no numbers"),
        ("\0\xff", r"x\.csv"),
    ],
)
def test_a_csv_that_does_not_fit_the_data_is_refused_with_its_line(points, tmp_path, text, message):
    (tmp_path / "x.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=message):
        predict.main([str(points), "x.csv"])
    assert not (points / "predictions.csv").exists()


def test_pictures_and_numbers_are_not_mixed_up(copied, points, tmp_path):
    (tmp_path / "x.csv").write_text("1\n")
    Image.new("L", (9, 9)).save(tmp_path / "d.png")
    with pytest.raises(DataError, match=r"x\.csv is a CSV file, and this run reads pictures"):
        predict.main([str(copied), "x.csv"])
    with pytest.raises(DataError, match=r"d\.png .*give a text file of numbers|d\.png"):
        predict.main([str(points), "d.png"])


def test_a_bad_file_among_good_ones_loses_none_of_their_answers(copied, tmp_path, test_digits, capsys):
    page(test_digits[0][0], 0).save(tmp_path / f"{test_digits[1][0]}_good.png")
    (tmp_path / "notes.png").write_text("not a picture")
    Image.new("L", (40, 40), 200).save(tmp_path / "blank.png")
    good = f"{test_digits[1][0]}_good.png"
    assert predict.main([str(copied), "notes.png", good, "absent.png", "blank.png", "x.csv"]) == 2
    told = capsys.readouterr()
    assert "1 of 1 right" in told.out
    assert [row.split(",")[0] for row in (copied / "predictions.csv").read_text().splitlines()[1:]] == [good]
    beginnings = [
        "notes.png cannot be read",
        "there is no file absent.png",
        "blank.png is blank",
        "x.csv is a CSV file",
    ]
    for line, beginning in zip(told.err.splitlines(), beginnings, strict=True):
        assert line.startswith(f"error: {beginning}")


def test_bad_files_alone_are_one_error_and_write_nothing(copied, tmp_path):
    (tmp_path / "notes.png").write_text("not a picture")
    with pytest.raises(DataError, match=r"notes\.png cannot be read .* \(1 more cannot be read\)"):
        predict.main([str(copied), "notes.png", "absent.png"])
    assert not (copied / "predictions.csv").exists()


def test_a_bad_csv_among_good_ones_loses_none_of_their_answers(points, tmp_path, capsys):
    (tmp_path / "good.csv").write_text("1\n2\n")
    (tmp_path / "bad.csv").write_text("1\ntwo\n")
    assert predict.main([str(points), "bad.csv", "good.csv"]) == 2
    assert "error: bad.csv line 2: 'two' is not a finite number" in capsys.readouterr().err
    assert len((points / "predictions.csv").read_text().splitlines()) == 3


def test_only_a_table_of_the_same_kind_is_overwritten(copied, tmp_path, test_digits, capsys):
    page(test_digits[0][0], 0).save(tmp_path / "d.png")
    (tmp_path / "mine.csv").write_text("name,grade\nanna,1\n")
    with pytest.raises(DataError, match=r"mine\.csv exists and is not a table of these predictions"):
        predict.main([str(copied), "d.png", "--output", "mine.csv"])
    assert (tmp_path / "mine.csv").read_text() == "name,grade\nanna,1\n"
    with pytest.raises(ConfigError, match=r"--output=d\.png must end in \.csv"):
        predict.main([str(copied), "d.png", "--output", "d.png"])
    with pytest.raises(DataError, match=r"absent/p\.csv cannot be written \(No such file or directory\)"):
        predict.main([str(copied), "d.png", "--output", "absent/p.csv"])
    assert "Wrote" in (predict.main([str(copied), "d.png"]), capsys.readouterr().out)[1]
    assert "Replaced" in (predict.main([str(copied), "d.png"]), capsys.readouterr().out)[1]


# rerun


def test_a_repeated_run_is_bitwise_the_same(points, capsys):
    assert rerun.main([str(points)]) == 0
    out = capsys.readouterr().out
    assert "metrics are identical; the weights of best.ckpt are bitwise identical" in out
    new = points.with_name("quadratic_rerun-1")
    assert read_result(new).metrics == read_result(points).metrics
    assert read_result(new).fingerprint == read_result(points).fingerprint
    states = [load_checkpoint(each / "checkpoints" / "best.ckpt")["state_dict"] for each in (points, new)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_a_repetition_can_itself_be_evaluated_and_repeated(points, capsys):
    rerun.main([str(points)])
    new = points.with_name("quadratic_rerun-1")
    evaluate.main([str(new)])
    assert "Identical to result.json in test/" in capsys.readouterr().out
    assert rerun.main([str(new)]) == 0
    assert rerun.main([str(points)]) == 0
    assert points.with_name("quadratic_rerun-2").is_dir()
    assert "FULGURITE_RERUN_FOLDER" not in os.environ


def test_a_repetition_with_another_seed_is_recorded_and_differs(points, capsys):
    assert rerun.main([str(points), "seed=1"]) == 0
    out = capsys.readouterr().out
    assert "metrics differ; the weights of best.ckpt differ in" in out
    assert "val/mae" in out
    new = points.with_name("quadratic_rerun-1")
    assert read_result(new).overrides == [*QUADRATIC, "seed=1"]
    assert OmegaConf.load(new / ".hydra" / "config.yaml").seed == 1


def test_other_numbers_from_the_same_config_give_exit_code_1(points, capsys):
    path = points / "result.json"
    path.write_text(re.sub(r'"test/mae": [\d.]+', '"test/mae": 0.5', path.read_text()))
    assert rerun.main([str(points)]) == 1
    assert re.search(r"test/mae\W+0\.5\W", capsys.readouterr().out)


def test_weights_that_are_not_there_are_not_called_identical(points, capsys):
    (points / "checkpoints" / "best.ckpt").unlink()
    assert rerun.main([str(points)]) == 0
    out = capsys.readouterr().out
    assert "metrics are identical; the weights of best.ckpt are not compared: " in out
    assert "bitwise" not in out


def test_versions_and_commit_that_changed_are_named(points, capsys):
    path = points / "result.json"
    text = re.sub(r'"torch": "[^"]+"', '"torch": "1.0"', path.read_text())
    path.write_text(re.sub(r'"git": \{[^}]*\}', '"git": {"commit": "0123456789abcdef", "dirty": true}', text))
    rerun.main([str(points)])
    out = capsys.readouterr().out
    assert f"torch: 1.0 then, {torch.__version__.partition('+')[0]} now" in out
    assert "commit: 0123456789 with uncommitted changes then, none now" in out
    assert "python:" not in out


def test_a_bit_of_one_weight_is_enough_to_differ(points, tmp_path):
    one = points / "checkpoints" / "best.ckpt"
    checkpoint = load_checkpoint(one)
    name = next(name for name, value in checkpoint["state_dict"].items() if value.is_floating_point() and value.dim())
    value = checkpoint["state_dict"][name].view(-1)
    value[0] = torch.nextafter(value[0], value[0] + 1)
    torch.save(checkpoint, tmp_path / "other.ckpt")
    assert differing_weights(one, one) == []
    assert differing_weights(one, tmp_path / "other.ckpt") == [name]


def test_a_rerun_with_another_group_is_refused_before_a_folder_is_made(points):
    with pytest.raises(ConfigError, match=r"model=cnn chooses another group option, .* or start a new run with"):
        rerun.main([str(points), "model=cnn"])
    assert not points.with_name("quadratic_rerun-1").exists()


def test_each_command_has_help_with_examples(capsys):
    for command in (evaluate, predict, rerun):
        with pytest.raises(SystemExit) as exit_:
            command.main(["--help"])
        assert exit_.value.code == 0
        assert "examples:" in capsys.readouterr().out


QUICK = [
    "model=mlp",
    "model.hidden=[32]",
    "data.train_subset=2000",
    "trainer.max_epochs=1",
    "callbacks.pictures.strict=true",
]


def trained(data: str, *words: str) -> Path:
    assert cli.train([f"data={data}", *QUICK, *words]) == 0
    return next(Path("outputs", data).iterdir())


def test_labels_are_told_by_name_with_a_probability_each(tmp_path, test_digits):
    run = trained("mnist_even_large", "head=sigmoid", "loss=mse")
    Image.fromarray(test_digits[0][0]).save("7.png")
    assert predict.main([str(run), "7.png"]) == 0
    with (run / "predictions.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert list(row) == ["file", "even", "large", "probability_even", "probability_large"]
    assert [row["even"], row["large"]] == ["0", "1"]
    assert float(row["probability_even"]) < 0.5 < float(row["probability_large"]) < 1
    recorded = read_result(run).metrics
    assert recorded["test/acc"] == pytest.approx((recorded["test/acc_even"] + recorded["test/acc_large"]) / 2)
    assert evaluate.main([str(run)]) == 0


def test_a_shifted_digit_is_read_where_it_is(tmp_path, test_digits, capsys):
    run = trained("mnist_centre", "head=tanh", "trainer.max_epochs=6")
    for name, shift in (("left", -5), ("right", 5)):
        Image.fromarray(np.roll(test_digits[0][0], shift, axis=1)).save(f"{name}.png")
    assert predict.main([str(run), "left.png", "right.png"]) == 0
    with (run / "predictions.csv").open(newline="") as file:
        left, right = ((float(row["x"]), float(row["y"])) for row in csv.DictReader(file))
    assert right[0] - left[0] > 3
    assert abs(left[1] - 14) < 2.5
    Image.fromarray(np.zeros((28, 30), dtype=np.uint8) + np.eye(28, 30, dtype=np.uint8) * 255).save("wide.png")
    with pytest.raises(DataError, match=r"wide.png is 30 x 28 pixels; where a digit is, a square picture says"):
        predict.main([str(run), "wide.png"])


def test_yes_and_no_have_a_confusion_matrix_of_two(tmp_path):
    run = trained("mnist_even")
    table = json.loads((run / "figures" / "confusion.json").read_text())
    counts = np.array(table["counts"])
    assert counts.shape == (2, 2)
    accuracy = read_result(run).metrics["val/acc"]
    assert np.trace(counts) / counts.sum() == pytest.approx(accuracy, abs=1e-6)


def test_a_softmax_head_before_cross_entropy_is_a_config_error(capsys):
    assert cli.train([*QUICK, "head=softmax", "loss=cross_entropy"]) == 2
    assert "head=softmax cannot meet loss=cross_entropy" in capsys.readouterr().err
