import copy

import pytest
import torch
from torch import Tensor, nn

from fulgurite.fused.stack import Stack, stack_rows

MEMBERS = 3


class Network(nn.Module):
    """A trained and a frozen layer, batch norm's buffers of two types, and a buffer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.frozen = nn.Linear(4, 2).requires_grad_(False)
        self.register_buffer("order", torch.randperm(5), persistent=False)
        self.register_buffer("nothing", None)


def _models() -> list[Network]:
    torch.manual_seed(0)
    return [Network() for _ in range(MEMBERS)]


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def test_the_stack_holds_the_models_values_and_leaves_the_models_theirs() -> None:
    models = _models()
    before = [copy.deepcopy(model) for model in models]
    stack = Stack(models)
    assert len(stack) == MEMBERS
    for name, stacked in (stack.parameters | stack.constants).items():
        assert torch.equal(stacked, torch.stack([_tensors(model)[name].detach() for model in before])), name
        assert all(torch.equal(_tensors(model)[name], stacked[row]) for row, model in enumerate(models)), name


def test_what_is_written_into_the_stack_is_in_the_models() -> None:
    models = _models()
    stack = Stack(models)
    for stacked in (stack.parameters | stack.constants).values():
        for row in range(MEMBERS):
            stacked[row].fill_(row + 1)
    for row, model in enumerate(models):
        assert all((tensor == row + 1).all() for tensor in _tensors(model).values())


@torch.no_grad()
def test_what_is_written_into_a_model_is_in_its_row_of_the_stack_alone() -> None:
    models = _models()
    stack = Stack(models)
    before = {name: stacked.clone() for name, stacked in (stack.parameters | stack.constants).items()}
    for tensor in _tensors(models[1]).values():
        tensor.fill_(7)
    for name, stacked in (stack.parameters | stack.constants).items():
        assert (stacked[1] == 7).all(), name
        assert torch.equal(stacked[[0, 2]], before[name][[0, 2]]), name


def test_a_loaded_state_dict_arrives_in_the_stack() -> None:
    models, other = _models(), Network()
    stack = Stack(models)
    models[2].load_state_dict(other.state_dict())
    for name, tensor in other.state_dict().items():
        assert torch.equal((stack.parameters | stack.constants)[name][2], tensor), name


def test_the_models_go_on_with_the_parameters_that_they_had() -> None:
    models = _models()
    optimizers = [torch.optim.SGD(model.first.parameters(), lr=1.0) for model in models]
    stack = Stack(models)
    assert optimizers[1].param_groups[0]["params"][0] is models[1].first.weight
    before = stack.parameters["first.weight"].clone()
    models[1].first.weight.grad = torch.ones_like(models[1].first.weight)
    optimizers[1].step()
    before[1] -= 1
    assert torch.equal(stack.parameters["first.weight"], before)


def test_buffers_and_frozen_parameters_are_constants() -> None:
    stack = Stack(_models())
    assert list(stack.parameters) == ["first.weight", "first.bias", "norm.weight", "norm.bias"]
    buffers = {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked", "order"}
    assert set(stack.constants) == {"frozen.weight", "frozen.bias", *buffers}
    assert stack.constants["norm.num_batches_tracked"].shape == (MEMBERS,)
    assert stack.constants["order"].dtype == torch.int64


def test_a_tied_parameter_is_one_row() -> None:
    models = [nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)) for _ in range(MEMBERS)]
    for model in models:
        model[1].weight = model[0].weight
    stack = Stack(models)
    stack.parameters["0.weight"].fill_(5)
    assert list(stack.parameters) == ["0.weight", "0.bias", "1.bias"]
    assert all((model[1].weight == 5).all() for model in models)


def test_channels_last_weights_stay_channels_last() -> None:
    models = [model.to(memory_format=torch.channels_last) for model in _models()]
    usual = models[0].first.weight.stride()
    stack = Stack(models)
    assert models[0].first.weight.is_contiguous(memory_format=torch.channels_last)
    assert [model.first.weight.stride() for model in models] == [usual] * MEMBERS
    assert stack.parameters["first.weight"].stride() == (models[0].first.weight.numel(), *usual)


def test_a_transposed_tensor_keeps_its_strides() -> None:
    tensors = [torch.randn(3, 5).t() for _ in range(MEMBERS)]
    expected = torch.stack(tensors)
    stacked = stack_rows(tensors)
    assert torch.equal(stacked, expected)
    assert [each.stride() for each in tensors] == [(1, 5)] * MEMBERS


@pytest.mark.parametrize(
    "tensors",
    [
        [torch.arange(20.0).mul(row + 1).view(4, 5)[:, :2] for row in range(MEMBERS)],
        [torch.full((1, 3), float(row)).expand(4, 3) for row in range(MEMBERS)],
    ],
    ids=["part_of_a_larger_one", "expanded"],
)
def test_tensors_with_gaps_or_repeats_in_memory_become_rows_that_do_not_overlap(tensors: list[Tensor]) -> None:
    expected = torch.stack(tensors)
    stacked = stack_rows(tensors)
    assert torch.equal(stacked, expected)
    assert torch.equal(torch.stack(tensors), expected)
