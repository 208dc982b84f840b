import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR

from fulgurite.build import build
from fulgurite.errors import ConfigError
from fulgurite.fit import fit
from fulgurite.training import schedulers

# Lightning asks torch in a way that torch calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")

STEPS = 20
POINTS = ["data=linear", "model=linear", "data.passes_per_epoch=1", "optimizer=sgd", "test=false", "logger=none"]


def _optimizer(lr: float = 0.5) -> torch.optim.Optimizer:
    parameter = torch.nn.Parameter(torch.zeros(1))
    parameter.grad = torch.zeros(1)
    return torch.optim.SGD([parameter], lr=lr)


def _rates(make: Callable[[torch.optim.Optimizer], Any], num_steps: int = STEPS) -> list[float]:
    """Learning rate of each step of a run."""
    optimizer = _optimizer()
    made = make(optimizer)
    schedule = made["scheduler"] if isinstance(made, dict) else made
    rates = []
    for _ in range(num_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def test_cosine_without_warm_up_is_torchs_cosine() -> None:
    ours = _rates(lambda optimizer: schedulers.cosine(optimizer, STEPS, end_factor=0.1))
    theirs = _rates(lambda optimizer: CosineAnnealingLR(optimizer, STEPS, eta_min=0.05))
    assert ours == pytest.approx(theirs)


def test_cosine_warms_up_in_a_line_to_the_full_rate() -> None:
    rates = _rates(lambda optimizer: schedulers.cosine(optimizer, STEPS, warmup_steps=4))
    assert rates[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert rates[5:] == pytest.approx([0.25 * (1 + math.cos(math.pi * step / 16)) for step in range(1, 16)])


def test_one_cycle_is_torchs_one_cycle() -> None:
    def theirs(optimizer: torch.optim.Optimizer) -> OneCycleLR:
        return OneCycleLR(optimizer, 0.5, total_steps=11, pct_start=0.5, div_factor=25, cycle_momentum=False)

    # torch puts the peak at pct_start * total_steps - 1, ours is at warmup_fraction * num_steps.
    rates = _rates(lambda optimizer: schedulers.one_cycle(optimizer, 11, 4.5 / 11), 11)
    assert rates == pytest.approx(_rates(theirs, 10) + [0.5 * 4e-6])


def test_one_cycle_starts_peaks_and_ends_where_it_says() -> None:
    rates = _rates(lambda optimizer: schedulers.one_cycle(optimizer, STEPS, 0.25, 0.1, 0.01))
    assert rates[0] == pytest.approx(0.05)
    assert rates[5] == max(rates) == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(0.005)
    assert rates[:6] == sorted(rates[:6])
    assert rates[5:] == sorted(rates[5:], reverse=True)


def test_step_multiplies_by_gamma_at_each_milestone() -> None:
    rates = _rates(lambda optimizer: schedulers.step(optimizer, STEPS, milestones=[0.5, 0.75], gamma=0.1))
    assert rates == pytest.approx([0.5] * 10 + [0.05] * 5 + [0.005] * 5)


def test_invscaling_divides_by_a_power_of_the_step() -> None:
    rates = _rates(lambda optimizer: schedulers.invscaling(optimizer, STEPS, power=0.5))
    assert rates == pytest.approx([0.5 / t**0.5 for t in range(1, STEPS + 1)])


def test_invscaling_counts_samples_and_looks_once_an_epoch_when_told_to() -> None:
    def make(optimizer: torch.optim.Optimizer) -> Any:
        return schedulers.invscaling(optimizer, STEPS, power=0.5, samples_per_step=10, every_n_steps=4)

    # Epochs of 4 steps of 10 samples: 0, 40, 80 ... of them lie behind each.
    assert _rates(make) == pytest.approx([0.5 / (1 + 40 * epoch) ** 0.5 for epoch in range(5) for _ in range(4)])


def test_adaptive_holds_each_loss_against_the_least_before_it() -> None:
    optimizer = _optimizer()
    schedule = schedulers.adaptive(optimizer, STEPS, factor=0.2, patience=1, threshold=0.1)["scheduler"]
    rates = []
    for loss in (1.0, 0.8, 0.75, 0.69, 0.5, 0.6, 0.55):
        schedule.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    # 0.69 is less than 0.8 by more than 0.1, but not than 0.75, the least: two in a row without an improvement.
    assert rates == pytest.approx([0.5] * 3 + [0.1] * 3 + [0.02])


def test_adaptive_watches_the_training_loss_of_each_epoch_also_where_few_are_validated(compose_config) -> None:
    overrides = ["scheduler=adaptive", "scheduler.patience=0", "optimizer.lr=1e-3", "scheduler.threshold=100"]
    run = build(compose_config(*POINTS, *overrides, "trainer.max_epochs=4", "trainer.check_val_every_n_epoch=4"))
    fit(run)
    # The first loss is an improvement on none; each of the three others is not.
    assert run.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-3 * 0.2**3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"factor": 1}, "factor must be less than 1"),
        ({"patience": -1}, "patience must be an integer >= 0, got -1"),
        ({"threshold": -1}, "threshold must be a number >= 0, got -1"),
    ],
)
def test_adaptive_refuses_numbers_out_of_range(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        schedulers.adaptive(_optimizer(), STEPS, **options)


def test_every_group_of_parameters_keeps_its_own_scale() -> None:
    optimizer = torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.5, 0.1)])
    schedule = schedulers.invscaling(optimizer, STEPS, power=1.0)["scheduler"]
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.25, 0.05])
    assert schedule.get_last_lr() == pytest.approx([0.25, 0.05])


def test_a_schedule_goes_on_from_its_state() -> None:
    whole = _rates(lambda optimizer: schedulers.cosine(optimizer, STEPS))
    optimizer = _optimizer()
    first = schedulers.cosine(optimizer, STEPS)["scheduler"]
    for _ in range(7):
        first.step()
    second = schedulers.cosine(optimizer, STEPS)["scheduler"]
    second.load_state_dict(first.state_dict())
    second.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(whole[8])


def test_plateau_reduces_after_more_than_patience_validations_without_improvement() -> None:
    optimizer = _optimizer()
    schedule = schedulers.plateau(optimizer, STEPS, "val/acc", "max", factor=0.5, patience=1, min_lr=0.2)["scheduler"]
    rates = []
    for accuracy in (0.7, 0.8, 0.8, 0.79, 0.8, 0.9, 0.5, 0.5, 0.5, 0.5):
        schedule.step(accuracy)
        rates.append(optimizer.param_groups[0]["lr"])
    # 0.8 comes back twice, then 0.9 is followed by worse ones; 0.125 would be below min_lr.
    assert rates == pytest.approx([0.5] * 3 + [0.25] * 4 + [0.2] * 3)


@pytest.mark.parametrize(("every", "expected"), [(1, 0.5**3), (2, 0.5)])
def test_plateau_watches_the_objective_after_each_validation(compose_config, every: int, expected: float) -> None:
    # A learning rate of 1e-12 makes no progress: every validation after the first is without improvement.
    overrides = ["scheduler=plateau", "scheduler.patience=0", "scheduler.factor=0.5", "optimizer.lr=1e-12"]
    length = ["trainer.max_epochs=4", f"trainer.check_val_every_n_epoch={every}"]
    run = build(compose_config(*POINTS, *overrides, *length))
    # torch ignores a reduction by less than eps.
    run.model.make_scheduler = _without_eps(run.model.make_scheduler)
    fit(run)
    assert run.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-12 * expected)


def _without_eps(make: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def made(*args: Any, **kwargs: Any) -> dict[str, Any]:
        schedule = make(*args, **kwargs)
        schedule["scheduler"].eps = 0.0
        return schedule

    return made


def test_a_run_steps_its_schedule_after_every_batch(compose_config) -> None:
    run = build(compose_config(*POINTS, "scheduler=invscaling", "scheduler.power=1", "trainer.max_epochs=3"))
    fit(run)
    num_steps = run.trainer.global_step
    assert num_steps == 3 * (1000 // 100)
    assert run.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1 / (num_steps + 1))


def test_constant_is_no_schedule(compose_config) -> None:
    run = build(compose_config(*POINTS, "scheduler=constant", "trainer.max_epochs=1"))
    fit(run)
    assert run.trainer.lr_scheduler_configs == []
    assert run.trainer.optimizers[0].param_groups[0]["lr"] == 0.1


def test_a_schedule_over_a_run_without_an_end_is_refused(compose_config) -> None:
    run = build(compose_config(*POINTS, "scheduler=cosine", "trainer.max_epochs=-1"))
    with pytest.raises(ConfigError, match="trainer.max_epochs=-1 gives the run no end, .* scheduler=constant"):
        fit(run)


def test_an_error_in_a_schedule_names_its_key(compose_config) -> None:
    run = build(compose_config(*POINTS, "scheduler=cosine", "scheduler.warmup_steps=50", "trainer.max_epochs=1"))
    with pytest.raises(ConfigError, match="scheduler.warmup_steps must be less than the 10 steps of the run, got 50"):
        fit(run)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("one_cycle", {"warmup_fraction": 1.5}, "warmup_fraction must be a number >= 0 and <= 1, got 1.5"),
        ("one_cycle", {"start_factor": -1}, "start_factor must be a number >= 0 and <= 1, got -1"),
        ("cosine", {"warmup_steps": -1}, "warmup_steps must be an integer >= 0, got -1"),
        ("cosine", {"end_factor": 2}, "end_factor must be a number >= 0 and <= 1, got 2"),
        ("step", {"gamma": 0}, "gamma must be a number > 0 and <= 1, got 0"),
        ("step", {"milestones": [0.5, 30]}, r"milestones must be fractions of the run .* got \[0.5, 30\]"),
        ("invscaling", {"power": -1}, "power must be a number >= 0, got -1"),
        ("plateau", {"factor": 1.0}, "factor must be less than 1, .* got 1.0"),
        ("plateau", {"patience": -1}, "patience must be an integer >= 0, got -1"),
        ("plateau", {"mode": "most"}, "mode must be one of max, min; got 'most'"),
    ],
)
def test_a_bad_argument_is_refused(name: str, options: dict, message: str) -> None:
    if name == "plateau":
        options = {"metric": "val/acc", "mode": "max", **options}
    with pytest.raises(ConfigError, match=message):
        getattr(schedulers, name)(_optimizer(), STEPS, **options)
