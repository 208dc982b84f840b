import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fulgurite.fused import stacked_optimizer
from fulgurite.fused.optimizers import Each, Optimizer, stack_optimizers
from fulgurite.fused.stack import Stack
from fulgurite.fused.unfusable import UnfusableError

# Neighbours of one level have equal rates; members of different levels differ in every scheduled one.
LEVELS = (0, 0, 1, 2, 2)
MEMBERS, STEPS = len(LEVELS), 20
# What each hyper-parameter is, by the member's level and the step.
SCHEDULES = {
    "lr": lambda level, step: 0.01 * (1 + level) * 0.97**step,
    "momentum": lambda level, step: 0.5 + 0.1 * level + 0.01 * step,
    "dampening": lambda level, step: 0.1 * level + 0.01 * step,
    # Level 0 has none in the first step.
    "weight_decay": lambda level, step: 0.02 * level + 0.001 * step,
    "betas": lambda level, step: (0.8 + 0.05 * level - 0.001 * step, 0.9 + 0.03 * level + 0.001 * step),
    "eps": lambda level, step: 1e-3 * 10**-level * (1 + step),
    "alpha": lambda level, step: 0.9 + 0.03 * level + 0.001 * step,
}


@dataclass(frozen=True)
class Setting:
    """A class of optimisers, its options, and which of its hyper-parameters differ and change."""

    family: type[torch.optim.Optimizer]
    scheduled: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)


ADAM = ("lr", "betas", "weight_decay", "eps")
RMSPROP = ("lr", "alpha", "weight_decay", "eps")
WITH_RULES = {
    "sgd": Setting(torch.optim.SGD, ("lr",)),
    "sgd_weight_decay": Setting(torch.optim.SGD, ("lr", "weight_decay")),
    "sgd_momentum": Setting(torch.optim.SGD, ("lr", "momentum", "weight_decay")),
    "sgd_dampening": Setting(torch.optim.SGD, ("lr", "momentum", "dampening", "weight_decay")),
    "sgd_nesterov": Setting(torch.optim.SGD, ("lr", "momentum", "weight_decay"), {"nesterov": True}),
    "sgd_fused": Setting(torch.optim.SGD, ("lr", "momentum"), {"fused": True}),
    "adam": Setting(torch.optim.Adam, ("lr",)),
    "adam_everything": Setting(torch.optim.Adam, ADAM),
    "adam_decoupled": Setting(torch.optim.Adam, ADAM, {"decoupled_weight_decay": True}),
    "adam_fused": Setting(torch.optim.Adam, ADAM, {"fused": True}),
    "adamw": Setting(torch.optim.AdamW, ADAM),
    "rmsprop": Setting(torch.optim.RMSprop, RMSPROP),
    "rmsprop_momentum": Setting(torch.optim.RMSprop, (*RMSPROP, "momentum")),
    "rmsprop_centered": Setting(torch.optim.RMSprop, RMSPROP, {"centered": True}),
    "rmsprop_everything": Setting(torch.optim.RMSprop, (*RMSPROP, "momentum"), {"centered": True}),
}
EACH_BY_ITSELF = {
    "adagrad": Setting(torch.optim.Adagrad, ("lr", "weight_decay", "eps")),
    "adam_amsgrad": Setting(torch.optim.Adam, ADAM, {"amsgrad": True}),
    "adam_maximize": Setting(torch.optim.Adam, ADAM, {"maximize": True}),
    "sgd_maximize": Setting(torch.optim.SGD, ("lr", "momentum"), {"maximize": True}),
    "adamax": Setting(torch.optim.Adamax, ADAM),
}
SETTINGS = WITH_RULES | EACH_BY_ITSELF
# A kernel call for each run of equal rates, or one broadcast program; RMSprop has no kernel, the others no program.
ONE_WAY = ("rmsprop", *EACH_BY_ITSELF)
WAYS = [
    pytest.param(name, limit, id=f"{name}-{way}")
    for way, limit in (("kernels", 64), ("broadcast", 0))
    for name in SETTINGS
    if limit or not name.startswith(ONE_WAY)
]


class Sweep:
    """Members as one beside their solo runs: equal models, optimisers and gradients."""

    def __init__(self, setting: Setting, warm_up: int, begun: Sequence[int] | None = None) -> None:
        torch.manual_seed(0)
        self.setting = setting
        # Channels-last weights: a kernel that reads gradients in the order of memory must find them laid out alike.
        self.models = [
            nn.Sequential(nn.Conv2d(2, 3, 2), nn.Linear(3, 2)).double().to(memory_format=torch.channels_last)
            for _ in range(MEMBERS)
        ]
        self.optimizers = [self.made(member, model) for member, model in enumerate(self.models)]
        for step in range(warm_up):
            self.solo_step(self.models, self.optimizers, self.gradients(), step, begun)
        # In one go, for the copies to belong together.
        self.solo_models, self.solo = copy.deepcopy((self.models, self.optimizers))
        self.stack = Stack(self.models)
        self.stacked: Optimizer = stack_optimizers(self.optimizers, self.stack)

    def made(self, member: int, model: nn.Module) -> torch.optim.Optimizer:
        start = {key: SCHEDULES[key](LEVELS[member], 0) for key in self.setting.scheduled}
        return self.setting.family(model.parameters(), **start, **self.setting.options)

    def gradients(self) -> list[Tensor]:
        """Random ones, K x S each."""
        parameters = zip(*(model.parameters() for model in self.models), strict=True)
        return [torch.stack([torch.randn_like(one) for one in each]).detach() for each in parameters]

    def laid_out(self, gradients: list[Tensor]) -> list[Tensor]:
        """With the strides of the stacked parameters, as a program gives them."""
        stacked = self.stack.parameters.values()
        return [torch.empty_like(one).copy_(each) for one, each in zip(stacked, gradients, strict=True)]

    def schedule(self, group: dict[str, Any], member: int, step: int) -> None:
        """Set what the member's next step shall read."""
        group.update({key: SCHEDULES[key](LEVELS[member], step) for key in self.setting.scheduled})

    def solo_step(
        self, models: list, made: list, gradients: list[Tensor], step: int, members: Sequence[int] | None = None
    ) -> None:
        for member in range(MEMBERS) if members is None else members:
            model, optimizer = models[member], made[member]
            self.schedule(optimizer.param_groups[0], member, step)
            for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                parameter.grad = torch.empty_like(parameter).copy_(gradient[member])
            optimizer.step()
            optimizer.zero_grad()

    def step(self, step: int) -> None:
        """One step of all members as one, and of their solo runs."""
        gradients = self.gradients()
        self.solo_step(self.solo_models, self.solo, gradients, step)
        for member, optimizer in enumerate(self.optimizers):
            self.schedule(optimizer.param_groups[0], member, step)
        self.stacked.step(self.laid_out(gradients), [self.stacked.rates(member) for member in range(MEMBERS)])

    def assert_equal_parameters(self) -> None:
        for model, solo in zip(self.models, self.solo_models, strict=True):
            _assert_close(list(model.parameters()), list(solo.parameters()))


def _assert_close(one: Any, other: Any) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def _assert_equal_states(member: torch.optim.Optimizer, solo: torch.optim.Optimizer) -> None:
    one, other = member.state_dict(), solo.state_dict()
    assert one["param_groups"] == other["param_groups"]
    assert one["state"].keys() == other["state"].keys()
    for number, expected in other["state"].items():
        assert set(one["state"][number]) == set(expected)
        for name, value in expected.items():
            _assert_close(one["state"][number][name], value)


def _set_limit(monkeypatch: pytest.MonkeyPatch, most_kernel_calls: int) -> None:
    monkeypatch.setattr(stacked_optimizer, "_MOST_KERNEL_CALLS", most_kernel_calls)


@pytest.mark.parametrize("warm_up", [0, 3])
@pytest.mark.parametrize(("name", "limit"), WAYS)
def test_members_as_one_step_as_their_solo_runs(
    name: str, limit: int, warm_up: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set_limit(monkeypatch, limit)
    sweep = Sweep(SETTINGS[name], warm_up)
    for step in range(warm_up, warm_up + STEPS):
        sweep.step(step)
    sweep.assert_equal_parameters()


@pytest.mark.parametrize("begun", [(0, 3), (1, 4)])
@pytest.mark.parametrize(("name", "limit"), WAYS)
def test_members_that_have_begun_and_those_that_have_not_step_as_their_solo_runs(
    name: str, limit: int, begun: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    _set_limit(monkeypatch, limit)
    sweep = Sweep(SETTINGS[name], 2, begun)
    for step in range(2, 5):
        sweep.step(step)
    sweep.assert_equal_parameters()
    for member, solo in zip(sweep.optimizers, sweep.solo, strict=True):
        _assert_equal_states(member, solo)


@pytest.mark.parametrize("name", WITH_RULES)
def test_members_whose_program_makes_no_step_go_on_as_their_solo_runs(name: str) -> None:
    sweep = Sweep(SETTINGS[name], 0)
    for step in range(2):
        gradients = sweep.gradients()
        sweep.solo_step(sweep.models, sweep.optimizers, gradients, step)
        sweep.solo_step(sweep.solo_models, sweep.solo, gradients, step)
    sweep.assert_equal_parameters()


@pytest.mark.parametrize("name", SETTINGS)
def test_optimisers_without_a_rule_step_each_by_itself(name: str) -> None:
    assert isinstance(Sweep(SETTINGS[name], 0).stacked, Each) == (name in EACH_BY_ITSELF)


@pytest.mark.parametrize(("name", "distinct"), [("adam_everything", 3), ("sgd_momentum", 3), ("rmsprop", 0)])
def test_neighbours_of_equal_rates_share_a_kernel_call_where_there_is_a_kernel(
    name: str, distinct: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, calls = Sweep(SETTINGS[name], 0), []
    update = sweep.stacked.update_alike
    monkeypatch.setattr(sweep.stacked, "update_alike", lambda *given: (calls.append(given), update(*given)))
    sweep.step(1)
    assert len(calls) == distinct


@pytest.mark.parametrize("warm_up", [0, 3])
@pytest.mark.parametrize(("name", "limit"), WAYS)
def test_a_members_state_dict_is_that_of_its_solo_run(
    name: str, limit: int, warm_up: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set_limit(monkeypatch, limit)
    sweep = Sweep(SETTINGS[name], warm_up)
    for step in range(warm_up, warm_up + 5):
        sweep.step(step)
    for member, solo in zip(sweep.optimizers, sweep.solo, strict=True):
        _assert_equal_states(member, solo)


@pytest.mark.parametrize(("name", "limit"), WAYS)
def test_a_member_goes_on_alone_from_its_state_dict(name: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _set_limit(monkeypatch, limit)
    sweep = Sweep(SETTINGS[name], warm_up=0)
    for step in range(STEPS):
        sweep.step(step)
    models = copy.deepcopy(sweep.models)
    # Made as if for member 0: what differs comes from the state_dict.
    alone = [sweep.made(0, model) for model in models]
    for optimizer, member in zip(alone, sweep.optimizers, strict=True):
        optimizer.load_state_dict(copy.deepcopy(member.state_dict()))
    for step in range(STEPS, STEPS + 3):
        gradients = sweep.gradients()
        sweep.solo_step(models, alone, gradients, step)
        sweep.solo_step(sweep.solo_models, sweep.solo, gradients, step)
    for model, solo in zip(models, sweep.solo_models, strict=True):
        _assert_close(list(model.parameters()), list(solo.parameters()))


@pytest.mark.parametrize("name", ["sgd_momentum", "adam_everything", "rmsprop_everything", "adagrad"])
def test_rates_may_be_read_before_the_steps_that_use_them(name: str) -> None:
    sweep = Sweep(SETTINGS[name], warm_up=0)
    gradients, rates = [sweep.gradients() for _ in range(3)], []
    for step in range(3):
        for member, optimizer in enumerate(sweep.optimizers):
            sweep.schedule(optimizer.param_groups[0], member, step)
        rates.append([sweep.stacked.rates(member) for member in range(MEMBERS)])
    for member, optimizer in enumerate(sweep.optimizers):
        sweep.schedule(optimizer.param_groups[0], member, 3)
    for step in range(3):
        sweep.solo_step(sweep.solo_models, sweep.solo, gradients[step], step)
        sweep.stacked.step(sweep.laid_out(gradients[step]), rates[step])
    sweep.assert_equal_parameters()
    # The schedules have gone on meanwhile, and are not turned back.
    assert [each.param_groups[0]["lr"] for each in sweep.optimizers] == [SCHEDULES["lr"](level, 3) for level in LEVELS]


@pytest.mark.parametrize(("name", "limit"), WAYS)
def test_a_step_leaves_the_gradients_as_they_were(name: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _set_limit(monkeypatch, limit)
    sweep = Sweep(SETTINGS[name], warm_up=2)
    gradients = sweep.laid_out(sweep.gradients())
    before = copy.deepcopy(gradients)
    sweep.stacked.step(gradients, [sweep.stacked.rates(member) for member in range(MEMBERS)])
    assert all(torch.equal(one, other) for one, other in zip(gradients, before, strict=True))


@pytest.mark.parametrize("name", ["adam", "adam_amsgrad"])
def test_the_models_hold_no_gradients_after_a_step(name: str) -> None:
    sweep = Sweep(SETTINGS[name], warm_up=0)
    sweep.step(0)
    assert all(parameter.grad is None for model in sweep.models for parameter in model.parameters())


@pytest.mark.parametrize("limit", [0, 64])
@pytest.mark.parametrize("name", ["adam_everything", "adamw"])
def test_members_that_have_made_different_numbers_of_steps_count_their_own(
    name: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _set_limit(monkeypatch, limit)
    sweep = Sweep(SETTINGS[name], warm_up=2)
    for made in (sweep.optimizers, sweep.solo):
        # Neighbours with equal rates, the second of which has done more.
        for state in made[1].state.values():
            state["step"] += 5
    for step in range(2, 7):
        sweep.step(step)
    sweep.assert_equal_parameters()


@pytest.mark.parametrize(("name", "limit"), WAYS)
def test_one_member_is_enough(name: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _set_limit(monkeypatch, limit)
    monkeypatch.setattr(f"{__name__}.MEMBERS", 1)
    sweep = Sweep(SETTINGS[name], warm_up=1)
    for step in range(1, 4):
        sweep.step(step)
    sweep.assert_equal_parameters()


def _by_kind(model: nn.Module) -> list[dict[str, Any]]:
    """Biases first, and without decay: two groups, in an order that is not the model's."""
    kinds = [[each for each in model.parameters() if (each.dim() == 1) == is_bias] for is_bias in (True, False)]
    return [{"params": kinds[0], "weight_decay": 0.0, "lr": 0.1}, {"params": kinds[1]}]


@pytest.mark.parametrize("name", ["sgd_momentum", "adam", "adamw", "rmsprop_momentum", "adagrad", "adam_amsgrad"])
@pytest.mark.parametrize("warm_up", [0, 3])
def test_each_group_of_parameters_has_its_own_rates(name: str, warm_up: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class ByKind(Sweep):
        def made(self, member: int, model: nn.Module) -> torch.optim.Optimizer:
            return self.setting.family(_by_kind(model), lr=0.01 * (1 + member), **self.setting.options)

        def schedule(self, group: dict[str, Any], member: int, step: int) -> None:
            group["weight_decay"] = 0.01 * step

    sweep = ByKind(SETTINGS[name], warm_up)
    for step in range(warm_up, warm_up + STEPS):
        sweep.step(step)
    sweep.assert_equal_parameters()
    for member, solo in zip(sweep.optimizers, sweep.solo, strict=True):
        _assert_equal_states(member, solo)


def test_parameters_in_another_order_get_their_own_gradients() -> None:
    class Reversed(Sweep):
        def made(self, member: int, model: nn.Module) -> torch.optim.Optimizer:
            return torch.optim.SGD(list(model.parameters())[::-1], lr=0.01)

        def schedule(self, group: dict[str, Any], member: int, step: int) -> None:
            pass

    sweep = Reversed(SETTINGS["sgd"], 0)
    sweep.step(0)
    sweep.assert_equal_parameters()


def test_an_optimiser_without_some_of_the_parameters_is_refused() -> None:
    models = [nn.Linear(3, 2) for _ in range(2)]
    made = [torch.optim.SGD([model.weight], lr=0.1) for model in models]
    with pytest.raises(UnfusableError, match="does not have all of its parameters"):
        stack_optimizers(made, Stack(models))
