"""A member of a fused sweep is its solo run: same weights, same optimiser state, same metrics, same counters."""

import math
from pathlib import Path

import pytest
from fused_runs import SMALL, assert_same_curves, difference, some_slow, train_alone, train_together, vary

# Seed, learning rate and whatever else a case varies differ from member to member.
MEMBERS = (("seed=1", "optimizer.lr=0.003"), ("seed=2", "optimizer.lr=0.01"))
# And two of one seed; one case has them, since each member more takes a solo run more.
THREE = (*MEMBERS, ("seed=2", "optimizer.lr=0.001"))
MODELS = {
    "mlp": ("model=mlp", "model.hidden=[12,9]"),
    # Not with Adam: the weight of a pixel that is constant over a batch has no effect before batch norm, so its
    # gradient is rounding noise, and Adam scales noise up to whole steps.
    "mlp, batch norm": ("model=mlp", "model.hidden=[12]", "model.norm=batch", "optimizer=sgd"),
    "mlp, dropout": ("model=mlp", "model.hidden=[12,9]", "model.dropout=0.3", "model.norm=none"),
    "linear": ("model=linear",),
    "perceptron": ("model=perceptron", "optimizer=sgd", "optimizer.momentum=0"),
    "cnn": ("model=cnn", "model.channels=[4,6]", "model.dropout=0.2"),
    "cnn, average": ("model=cnn", "model.channels=[4]", "model.norm=none", "model.head=average", "model.pooling=avg"),
    "lenet5": ("model=lenet5",),
    "rnn": ("model=rnn", "model.hidden=8", "model.activation=relu"),
    "lstm": ("model=lstm", "model.hidden=8", "model.layers=2", "model.dropout=0.3", "model.bidirectional=true"),
    "gru": ("model=gru", "model.hidden=8", "model.readout=mean"),
    "rashid": ("model=rashid", "model.hidden=8", "head=sigmoid", "loss=half_squares", "loss.levels=[0.01,0.99]"),
    "rbm": ("model=rbm", "model.hidden=8", "model.steps=2", "data.scaling=unit"),
    "rbm, persistent": ("model=rbm", "model.hidden=8", "model.rule=pcd", "model.num_chains=7", "data.scaling=unit"),
}
# Tasks, with their heads and losses.
TASKS = {
    "binary": ("data=mnist_even",),
    "multilabel": ("data=mnist_even_large", "head=sigmoid", "loss=mse"),
    "numbers": ("data=mnist_centre", "head=tanh", "loss=huber"),
    "classes by squares": ("head=softmax", "loss=mse", "model.activation=heaviside"),
}
MLP = ("model=mlp", "model.hidden=[8]", "model.dropout=0.1")
OPTIMIZERS = {
    "sgd": ("optimizer=sgd", "optimizer.momentum=0.0"),
    "momentum": ("optimizer=sgd", "optimizer.nesterov=true", "optimizer.weight_decay=0.01"),
    "adam": ("optimizer=adam", "optimizer.weight_decay=0.01", "optimizer.betas=[0.8,0.99]"),
    "adamw": ("optimizer=adamw", "optimizer.weight_decay=0.1"),
    "rmsprop": ("optimizer=rmsprop", "optimizer.momentum=0.5", "optimizer.centered=true"),
    "adam, amsgrad": ("optimizer=adam", "+optimizer.amsgrad=true"),
    "clipped": ("optimizer=sgd", "trainer.gradient_clip_val=0.1"),
    "clipped by value": ("trainer.gradient_clip_val=0.001", "+trainer.gradient_clip_algorithm=value"),
}
SCHEDULERS = ("constant", "cosine", "one_cycle", "step", "plateau", "invscaling", "adaptive")
AUGMENTATIONS = ("rotate", "affine", "elastic", "erase")


def assert_equal_to_solo(compose_config, tmp_path: Path, case, members=MEMBERS, tolerance=1e-10):
    base = compose_config(*SMALL, "trainer.precision=64-true", *case)

    def composed(number, kind):
        return vary(base, tmp_path / kind / str(number), *members[number])

    together = train_together([composed(number, "fused") for number in range(len(members))])
    assert not together.errors
    assert "train as one" in " ".join(together.lines), together.lines
    for number, (run, outcome) in enumerate(zip(together.runs, together.outcomes, strict=True)):
        solo, expected = train_alone(composed(number, "solo"))
        assert difference(run, solo) < tolerance
        assert outcome.metrics.keys() == expected.metrics.keys()
        for name, value in expected.metrics.items():
            assert math.isclose(outcome.metrics[name], value, rel_tol=1e-5, abs_tol=1e-6), name
        assert run.trainer.fit_loop.state_dict() == solo.trainer.fit_loop.state_dict()
        assert run.trainer.global_step == solo.trainer.global_step
        assert_same_curves(run.folder, solo.folder)
    return together


@pytest.mark.parametrize("model", some_slow(MODELS, "mlp, dropout", "cnn", "gru"))
def test_each_model_trains_as_it_does_alone(compose_config, tmp_path, model):
    members = THREE if model == "mlp, dropout" else MEMBERS
    assert_equal_to_solo(compose_config, tmp_path, MODELS[model], members)


@pytest.mark.parametrize("optimizer", some_slow(OPTIMIZERS, "momentum", "adam", "rmsprop", "clipped"))
def test_each_optimizer_steps_as_it_does_alone(compose_config, tmp_path, optimizer):
    assert_equal_to_solo(compose_config, tmp_path, (*MLP, *OPTIMIZERS[optimizer]))


@pytest.mark.parametrize("options", [(2,), (3, "trainer.gradient_clip_val=0.1"), (6, "trainer.max_steps=5")], ids=str)
def test_accumulated_gradients_make_the_updates_that_they_make_alone(compose_config, tmp_path, options):
    # 20 batches an epoch: with 3 or 6, the last update of each is made of fewer.
    accumulation = (f"trainer.accumulate_grad_batches={options[0]}", "trainer.max_epochs=2", *options[1:])
    assert_equal_to_solo(compose_config, tmp_path, (*MLP, *accumulation))


@pytest.mark.parametrize("scheduler", some_slow(SCHEDULERS, "one_cycle", "plateau"))
def test_each_schedule_sets_the_rates_that_it_sets_alone(compose_config, tmp_path, scheduler):
    assert_equal_to_solo(compose_config, tmp_path, (*MLP, f"scheduler={scheduler}", "trainer.max_epochs=2"))


@pytest.mark.parametrize("task", TASKS)
def test_members_of_every_task_equal_their_solo_runs(compose_config, tmp_path, task):
    assert_equal_to_solo(compose_config, tmp_path, (*MLP, *TASKS[task]))


@pytest.mark.parametrize("augmentation", some_slow(AUGMENTATIONS, "affine"))
def test_each_augmentation_draws_what_it_draws_alone(compose_config, tmp_path, augmentation):
    assert_equal_to_solo(compose_config, tmp_path, (*MLP, f"augmentation={augmentation}"))


def test_numbers_inside_a_step_may_differ_between_members(compose_config, tmp_path):
    members = (
        ("seed=1", "model.dropout=0.1", "loss.label_smoothing=0.0", "optimizer.weight_decay=0.0"),
        ("seed=1", "model.dropout=0.4", "loss.label_smoothing=0.1", "optimizer.weight_decay=0.1"),
        ("seed=1", "model.dropout=0.4", "loss.label_smoothing=0.2", "optimizer.weight_decay=0.1"),
    )
    case = ("model=mlp", "model.hidden=[12]", "loss=cross_entropy")
    assert_equal_to_solo(compose_config, tmp_path, case, members)


def test_members_of_different_schedules_are_one_program(compose_config, tmp_path):
    schedules = ("constant", "cosine", "one_cycle")

    def composed(kind: str) -> list:
        chosen = (*SMALL, *MLP, "trainer.precision=64-true")
        return [compose_config(*chosen, f"scheduler={each}", folder=tmp_path / kind / each) for each in schedules]

    together = train_together(composed("fused"))
    assert together.lines == [line for line in together.lines if "(3) train as one" in line]
    for run, cfg in zip(together.runs, composed("solo"), strict=True):
        assert difference(run, train_alone(cfg)[0]) < 1e-10
