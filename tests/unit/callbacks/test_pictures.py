"""Pictures of real runs: that they are there, that they are true, and that the run does not notice them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fulgurite.build import Run, build
from fulgurite.callbacks.pictures import Pictures
from fulgurite.errors import ConfigError
from fulgurite.fit import fit
from fulgurite.log import log_to
from fulgurite.pictures import kinds
from fulgurite.pictures.budget import Budget

# What the runs of this file have loaded, for those that load the same.
LOADED: dict[str, Any] = {}
SMALL = ("data.train_subset=640", "data.num_val=200")


def pictures_of(run: Run) -> Pictures:
    return next(each for each in run.trainer.callbacks if isinstance(each, Pictures))  # type: ignore[attr-defined]


def built(compose_config, folder: Path, *overrides: str, share: float = 1.0) -> Run:
    """A run with all the time in the world: its clock stands still, an hour after the start."""
    small = () if any(word.startswith("data=") for word in overrides) else SMALL
    words = ("callbacks.pictures.strict=true", "test=false", *small, *overrides)
    run = build(compose_config(*words, folder=folder), loaded=LOADED)
    pictures = pictures_of(run)
    ticks = iter([0.0, 0.0])
    # The first two looks at it are at the budget's making and at its start.
    pictures.budget = Budget(share, pictures.budget.max_bytes / 1e6, lambda: next(ticks, 3600.0))
    folder.mkdir(exist_ok=True)
    return run


def made(compose_config, folder: Path, *overrides: str, share: float = 1.0) -> tuple[Run, Any]:
    """Such a run, trained."""
    run = built(compose_config, folder, *overrides, share=share)
    with log_to(folder):
        outcome = fit(run)
    return run, outcome


def events(folder: Path) -> EventAccumulator:
    (path, *_) = sorted(folder.glob("events*"))
    read = EventAccumulator(str(path), size_guidance={"images": 0, "tensors": 0, "histograms": 0})
    return read.Reload()


def figures(folder: Path) -> set[str]:
    return {each.stem for each in (folder / "figures").glob("*.png")}


FAMILIES = {
    "model=mlp model.hidden=[16]": {"confusion", "most_wrong", "units", "samples"},
    "model=linear": {"confusion", "most_wrong", "units", "samples"},
    "model=cnn model.channels=[4,4]": {"confusion", "most_wrong", "filters", "samples", "maps_first", "maps_last"},
    "model=gru model.hidden=8": {"confusion", "most_wrong", "state", "samples"},
    "model=mlp model.hidden=[8] data=quadratic data.passes_per_epoch=2": {"fit", "misfit"},
    "model=mlp model.hidden=[8] data=linear data.num_features=2 data.passes_per_epoch=2": {"plane"},
    "model=mlp model.hidden=[8] data=linear data.num_features=3 data.passes_per_epoch=2": set(),
}


@pytest.mark.parametrize("words", FAMILIES)
def test_each_family_and_task_has_its_pictures(compose_config, tmp_path, words):
    made(compose_config, tmp_path, *words.split(), "trainer.max_epochs=1")
    assert figures(tmp_path) == FAMILIES[words]
    tags = events(tmp_path).Tags()
    assert {tag.partition("/")[2] for tag in tags["images"]} == FAMILIES[words]
    assert tags["graph"], "the model graph is there"
    assert any(tag.startswith("viz_gradients/") for tag in tags["histograms"])
    is_class = "confusion" in FAMILIES[words]
    assert len([tag for tag in tags["tensors"] if tag.startswith("viz_precision_recall/")]) == (10 if is_class else 0)
    assert all(tag.startswith("viz_") for tag in tags["images"] + tags["histograms"]), "curves come first"


def test_pictures_are_drawn_ten_times_in_a_run_and_at_its_end(compose_config, tmp_path):
    words = ("model=mlp", "model.hidden=[8]", "trainer.max_epochs=11", "data.train_subset=128", "data.num_val=50")
    made(compose_config, tmp_path, *words)
    steps = [each.step for each in events(tmp_path).Images("viz_outputs/confusion")]
    assert steps == [2, 4, 6, 8, 10, 11]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        # Two steps an epoch: 23 steps end in epoch 12.
        (("trainer.max_epochs=-1", "trainer.max_steps=23"), [2, 4, 6, 8, 10, 12]),
        (("trainer.max_epochs=300", "trainer.max_steps=12", "trainer.accumulate_grad_batches=2"), [2, 4, 6, 8, 10, 12]),
    ],
)
def test_a_run_that_ends_after_steps_is_drawn_ten_times_too(compose_config, tmp_path, words, expected):
    few = ("data.train_subset=128", "data.num_val=50", "scheduler=constant", "data.batch_size=64")
    made(compose_config, tmp_path, "model=mlp", "model.hidden=[8]", *few, *words)
    assert [each.step for each in events(tmp_path).Images("viz_data/samples")] == expected


class StopAfter(pl.Callback):
    """Ends a run that has no end."""

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch == 10


def test_a_run_without_an_end_is_drawn_less_and_less_often(compose_config, tmp_path):
    few = ("data.train_subset=128", "data.num_val=50", "scheduler=constant", "trainer.max_epochs=-1")
    run = built(compose_config, tmp_path, "model=mlp", "model.hidden=[8]", *few)
    run.trainer.callbacks.append(StopAfter())  # type: ignore[attr-defined]
    with log_to(tmp_path):
        fit(run)
    assert [each.step for each in events(tmp_path).Images("viz_data/samples")] == [1, 2, 4, 8, 11]


def test_a_number_of_epochs_says_when_they_are_drawn(compose_config, tmp_path):
    words = ("model=mlp", "model.hidden=[8]", "trainer.max_epochs=5", "callbacks.pictures.every_n_epochs=2")
    made(compose_config, tmp_path, *words)
    assert [each.step for each in events(tmp_path).Images("viz_outputs/confusion")] == [2, 4, 5]


def test_what_a_validation_said_is_drawn_with_its_own_epoch_and_at_the_end(compose_config, tmp_path):
    words = ("model=linear", "trainer.max_epochs=5", "trainer.check_val_every_n_epoch=2")
    run, _ = made(compose_config, tmp_path, *words)
    read = events(tmp_path)
    assert [each.step for each in read.Images("viz_data/samples")] == [1, 2, 3, 4, 5]
    for tag in ("viz_outputs/confusion", "viz_outputs/most_wrong"):
        assert [each.step for each in read.Images(tag)] == [2, 4, 5]
        # The epoch of the subtitle is that of the validation.
        assert read.Images(tag)[1].encoded_image_string == read.Images(tag)[2].encoded_image_string


def test_the_weights_are_the_same_bit_by_bit_with_and_without_pictures(compose_config, tmp_path):
    words = ("model=cnn", "model.channels=[4]", "model.dropout=0.3", "augmentation=affine", "trainer.max_epochs=2")
    with_them, _ = made(compose_config, tmp_path / "with", *words, "callbacks.pictures.graph=true")
    state = torch.get_rng_state()
    without, _ = made(compose_config, tmp_path / "without", *words, "callbacks.pictures.enabled=false")
    assert figures(tmp_path / "with")
    assert not figures(tmp_path / "without")
    for name, value in with_them.model.state_dict().items():
        assert torch.equal(value, without.model.state_dict()[name]), name
    assert torch.equal(state, torch.get_rng_state())


def test_the_counts_are_those_of_the_last_validation(compose_config, tmp_path):
    _, outcome = made(compose_config, tmp_path, "model=linear", "trainer.max_epochs=1")
    table = json.loads((tmp_path / "figures" / "confusion.json").read_text())
    counts = np.array(table["counts"])
    assert counts.sum() == 200
    assert np.trace(counts) / 200 == pytest.approx(outcome.metrics["val/acc"])
    assert table["stage"] == "val"
    assert table["labels"] == list("0123456789")


def test_rows_are_the_truth_and_columns_the_guess(compose_config, tmp_path):
    run, _ = made(compose_config, tmp_path, "model=linear", "trainer.max_epochs=1")
    x, y = run.data.part("val")  # type: ignore[attr-defined]
    guess = run.model(run.data.encode(x)).argmax(dim=1)  # type: ignore[attr-defined]
    counts = np.array(json.loads((tmp_path / "figures" / "confusion.json").read_text())["counts"])
    expected = np.zeros((10, 10), dtype=int)
    for truth, said in zip(y.tolist(), guess.tolist(), strict=True):
        expected[truth, said] += 1
    np.testing.assert_array_equal(counts, expected)


def test_the_events_stay_below_the_megabytes_that_are_allowed(compose_config, tmp_path):
    run, _ = made(compose_config, tmp_path, "model=mlp", "trainer.max_epochs=4", "callbacks.pictures.max_mb=0.08")
    size = sum(each.stat().st_size for each in tmp_path.glob("events*"))
    assert 0 < pictures_of(run).budget.num_bytes <= 80_000
    # The curves, and what frames each event.
    assert size < 80_000 + 12_000
    assert "for want of room" in (tmp_path / "train.log").read_text()


def test_without_time_there_is_nothing_but_the_counts_and_a_word_in_the_log(compose_config, tmp_path):
    made(compose_config, tmp_path, "model=linear", "trainer.max_epochs=2", share=0.0)
    assert [each.name for each in (tmp_path / "figures").iterdir()] == ["confusion.json"]
    assert not events(tmp_path).Tags()["images"]
    lines = [line for line in (tmp_path / "train.log").read_text().splitlines() if "for want of time" in line]
    assert "confusion matrix, most wrong" in lines[0]
    # Of each kind it is said once; losses are there to be drawn from the second epoch on.
    assert [line.rpartition(": ")[2] for line in lines[1:]] == ["losses"]


def test_real_runs_spend_no_more_than_their_share(compose_config, tmp_path):
    words = ("model=mlp", "trainer.max_epochs=1", "data.train_subset=12800", "test=false")
    run = build(compose_config(*words, folder=tmp_path))
    with log_to(tmp_path):
        fit(run)
    budget = pictures_of(run).budget
    # What is drawn for the first time may take longer than guessed.
    assert budget.spent_s < 0.08 * budget.elapsed_s


def test_all_pictures_are_drawn_after_each_epoch_of_the_shortest_run(compose_config, tmp_path):
    words = (*SMALL, "callbacks=pictures", "model=linear", "trainer.max_epochs=2", "test=false")
    with log_to(tmp_path):
        fit(build(compose_config(*words), loaded=LOADED))
    read = events(tmp_path)
    steps = {tag.partition("/")[2]: tuple(each.step for each in read.Images(tag)) for tag in read.Tags()["images"]}
    # One epoch makes no curve.
    assert steps == {**dict.fromkeys(FAMILIES["model=linear"], (1, 2)), "losses": (2,)}
    assert "left out" not in (tmp_path / "train.log").read_text()


def test_without_tensorboard_the_files_are_there_all_the_same(compose_config, tmp_path):
    made(compose_config, tmp_path, "model=linear", "trainer.max_epochs=2", "logger=none")
    assert figures(tmp_path) == FAMILIES["model=linear"] | {"losses"}
    assert not list(tmp_path.glob("events*"))


def test_switched_off_they_leave_nothing(compose_config, tmp_path):
    made(compose_config, tmp_path, "model=linear", "trainer.max_epochs=1", "callbacks.pictures.enabled=false")
    assert not (tmp_path / "figures").exists()
    assert not events(tmp_path).Tags()["images"]


def test_the_files_are_png_of_five_hundred_pixels(compose_config, tmp_path):
    made(compose_config, tmp_path, "model=linear", "trainer.max_epochs=1")
    for path in (tmp_path / "figures").glob("*.png"):
        with Image.open(path) as image:
            assert image.size == (500, 500), path


def broken(scene: Any) -> Any:
    raise ValueError("a fault of ours\nwith a second line")
    yield


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = list(kinds.KINDS)
    place = next(number for number, kind in enumerate(changed) if kind.name == "confusion matrix")
    changed[place] = kinds.Kind("confusion matrix", 0.0, changed[place].applies, broken)
    monkeypatch.setattr("fulgurite.callbacks.pictures.KINDS", changed)


@pytest.mark.usefixtures("fault")
def test_a_fault_in_a_picture_is_a_line_and_the_run_goes_on(compose_config, tmp_path, capsys):
    words = ("model=linear", "trainer.max_epochs=2", "callbacks.pictures.strict=false")
    _, outcome = made(compose_config, tmp_path, *words)
    assert outcome.epochs == 2
    assert figures(tmp_path) == FAMILIES["model=linear"] - {"confusion"} | {"losses"}
    said = [line for line in capsys.readouterr().err.splitlines() if "picture" in line]
    assert said == ["WARNING: no picture of the confusion matrix, the run goes on: a fault of ours"]
    log = (tmp_path / "train.log").read_text()
    assert log.count("Traceback") == 1


@pytest.mark.usefixtures("fault")
def test_a_fault_is_raised_where_it_is_asked_for(compose_config, tmp_path):
    with pytest.raises(ValueError, match="a fault of ours"):
        made(compose_config, tmp_path, "model=linear", "trainer.max_epochs=1")


class Plain(pl.LightningModule):
    """Somebody's own module, without scores and without outputs of its validation."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
        self.calls = 0

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.net(x)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/acc", torch.tensor(0.5))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_of_a_module_without_outputs_the_weights_and_the_data_are_drawn_and_it_is_not_called(compose_config, tmp_path):
    run, model = built(compose_config, tmp_path, "trainer.max_epochs=1", "callbacks.pictures.graph=true"), Plain()
    with log_to(tmp_path):
        run.trainer.fit(model, datamodule=run.data)
    assert figures(tmp_path) == {"units", "samples"}
    assert model.calls == 0


def test_a_run_that_goes_on_draws_no_epoch_twice(compose_config, tmp_path):
    words = ("model=linear", "trainer.max_epochs=2", "scheduler=constant")
    made(compose_config, tmp_path / "a", *words)
    last = tmp_path / "a" / "checkpoints" / "last.ckpt"
    words = ("model=linear", "trainer.max_epochs=4", "scheduler=constant", f"checkpoint='{last}'")
    made(compose_config, tmp_path / "b", *words)
    assert [each.step for each in events(tmp_path / "b").Images("viz_outputs/confusion")] == [3, 4]


@pytest.mark.parametrize(
    "words", ["model=mlp model.hidden=[4]", "model=cnn model.channels=[2]", "data=quadratic model=mlp"]
)
def test_a_run_that_is_lost_is_drawn_without_a_fault(compose_config, tmp_path, words):
    lost = ("optimizer.lr=1e30", "trainer.max_epochs=1", "scheduler=constant", "model.norm=none")
    short = ("data.passes_per_epoch=3",) if "quadratic" in words else ()
    run, _ = made(compose_config, tmp_path, *words.split(), *lost, *short)
    assert not all(each.isfinite().all() for each in run.model.parameters())
    assert figures(tmp_path)


def test_a_run_without_validation_is_drawn_without_its_outputs(compose_config, tmp_path):
    words = ("model=linear", "trainer.max_steps=3", "trainer.max_epochs=null", "trainer.limit_val_batches=0")
    made(compose_config, tmp_path, *words, "scheduler=constant")
    assert figures(tmp_path) == {"units", "samples"}


@pytest.mark.slow
def test_the_graph_of_a_compiled_model_is_drawn_and_it_is_not_compiled_again(compose_config, tmp_path):
    compiled: list[int] = []

    def backend(graph: Any, inputs: Any) -> Any:
        compiled.append(len(inputs))
        return graph.forward

    words = ("model=mlp", "model.hidden=[8]", "trainer.max_epochs=1", "callbacks.pictures.graph=true")
    run = built(compose_config, tmp_path, *words)
    run.model.net = torch.compile(run.model.net, backend=backend)  # type: ignore[assignment, arg-type]
    before = Before(compiled)
    run.trainer.callbacks.insert(0, before)  # type: ignore[attr-defined]
    with log_to(tmp_path):
        fit(run)
    assert events(tmp_path).Tags()["graph"]
    assert len(compiled) == before.number > 0


class Before(pl.Callback):
    """Notes how much has been compiled before the pictures are drawn."""

    def __init__(self, compiled: list[int]) -> None:
        self.compiled, self.number = compiled, 0

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.number = len(self.compiled)


def test_the_projector_gets_a_sprite_and_a_label_for_each_sample(compose_config, tmp_path):
    words = ("model=mlp", "model.hidden=[8]", "trainer.max_epochs=1", "callbacks.pictures.embedding=true")
    made(compose_config, tmp_path, *words)
    (sprite,) = tmp_path.rglob("sprite.png")
    rows = (sprite.parent / "tensors.tsv").read_text().splitlines()
    assert len(rows) == 200
    assert len(rows[0].split("\t")) == 8
    assert len((sprite.parent / "metadata.tsv").read_text().splitlines()) == 200


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"enabled": "yes"}, "enabled must be true or false, got 'yes'"),
        ({"every_n_epochs": 0}, "every_n_epochs must be an integer >= 1, got 0"),
        ({"max_mb": -1}, "max_mb must be a number >= 0, got -1"),
        ({"graph": "maybe"}, "graph must be auto, true or false, got 'maybe'"),
        ({"embedding": 1}, "embedding must be true or false, got 1"),
    ],
)
def test_what_is_no_option_is_refused(option, message):
    with pytest.raises(ConfigError, match=message):
        Pictures("figures", **option)


def test_a_refusal_names_the_key_in_the_config(compose_config):
    with pytest.raises(ConfigError, match="callbacks.pictures.share_of_time must be a number"):
        build(compose_config("callbacks.pictures.share_of_time=2"))
