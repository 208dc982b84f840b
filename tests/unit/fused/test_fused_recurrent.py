from collections.abc import Callable
from typing import Any

import pytest
import torch
from batched_members import call_members, stacked_parameters
from fused_runs import some_slow
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

MEMBERS, STEPS, BATCH, FEATURES, HIDDEN = 3, 5, 4, 3, 2
KINDS: dict[str, Callable[..., nn.RNNBase]] = {
    "rnn_tanh": nn.RNN,
    "rnn_relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}


def _models(kind: str, **options: Any) -> list[nn.RNNBase]:
    torch.manual_seed(0)
    return [KINDS[kind](FEATURES, HIDDEN, **options).double() for _ in range(MEMBERS)]


def _normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64).requires_grad_()


def _input(batch_first: bool = False) -> Tensor:
    return _normal(MEMBERS, BATCH, STEPS, FEATURES) if batch_first else _normal(MEMBERS, STEPS, BATCH, FEATURES)


def _flat(out: Any) -> list[Tensor]:
    """Outputs, last states, and an LSTM's last cell states."""
    states, last = out
    return [states, *(last if isinstance(last, tuple) else [last])]


def _weighted_sum(tensors: list[Tensor], weights: list[Tensor]) -> Tensor:
    return sum((each * weight).sum() for each, weight in zip(tensors, weights, strict=True))


def _assert_all_close(one: Any, other: Any) -> None:
    torch.testing.assert_close(list(one), list(other), rtol=0, atol=1e-10)


def _assert_equal_to_solo(
    models: list[nn.RNNBase],
    x: Tensor,
    state: Any = None,
    in_dims: tuple = (0, 0),
    used: tuple[int, ...] = (0, 1, 2),
) -> None:
    """Outputs, and the gradients of parameters and inputs of a loss that looks at those outputs that are ``used``."""
    parameters = stacked_parameters(models)
    given = [x] if state is None else [x, state]
    out = _flat(call_members(models[0], parameters, given, in_dims[: len(given)]))
    weights = [torch.randn_like(each) * (number in used) for number, each in enumerate(out)]
    leaves = [x, *(state if isinstance(state, tuple) else [state] if state is not None else [])]
    seen = [number for number in used if number < len(out)]
    loss = _weighted_sum([out[number] for number in seen], [weights[number] for number in seen])
    gradients = torch.autograd.grad(loss, [*parameters.values(), *leaves])

    def row_of(each: Any, dim: Any, member: int) -> Any:
        if isinstance(each, tuple):
            return tuple(one[member] for one in each)
        return each if dim is None else each[member]

    solo_out = [
        _flat(model(*(row_of(each, dim, member) for each, dim in zip(given, in_dims, strict=False))))
        for member, model in enumerate(models)
    ]
    solo_loss = sum(
        _weighted_sum([outs[n] for n in seen], [weights[n][member] for n in seen])
        for member, outs in enumerate(solo_out)
    )
    solo_parameters = [list(model.parameters()) for model in models]
    solo = torch.autograd.grad(solo_loss, [*sum(solo_parameters, []), *leaves])
    per_model = len(solo_parameters[0])
    rows = [torch.stack(solo[number : MEMBERS * per_model : per_model]) for number in range(per_model)]
    _assert_all_close(out, [torch.stack(each) for each in zip(*solo_out, strict=True)])
    _assert_all_close(gradients, [*rows, *solo[MEMBERS * per_model :]])


@pytest.mark.parametrize("has_state", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_members_at_once_are_the_solo_layers(
    kind: str, layers: int, bidirectional: bool, bias: bool, batch_first: bool, has_state: bool
) -> None:
    options = {"num_layers": layers, "bidirectional": bidirectional, "bias": bias, "batch_first": batch_first}
    models = _models(kind, **options)
    shape = (MEMBERS, layers * (2 if bidirectional else 1), BATCH, HIDDEN)
    state: Any = None
    if has_state:
        state = (_normal(*shape), _normal(*shape)) if kind == "lstm" else _normal(*shape)
    _assert_equal_to_solo(models, _input(batch_first), state)


@pytest.mark.parametrize(("kind", "used"), [*((kind, used) for kind in KINDS for used in (0, 1)), ("lstm", 2)])
def test_a_loss_may_look_at_one_of_the_outputs_alone(kind: str, used: int) -> None:
    models = _models(kind, bidirectional=True)
    _assert_equal_to_solo(models, _input(), used=(used,))


@pytest.mark.parametrize("kind", KINDS)
def test_members_may_share_their_input(kind: str) -> None:
    models = _models(kind, num_layers=2)
    _assert_equal_to_solo(models, _normal(STEPS, BATCH, FEATURES), in_dims=(None,))


@pytest.mark.parametrize("kind", KINDS)
def test_members_may_share_their_initial_state(kind: str) -> None:
    models = _models(kind)
    state = _normal(1, BATCH, HIDDEN)
    if kind != "lstm":
        _assert_equal_to_solo(models, _input(), state, in_dims=(0, None))
        return
    cell = _normal(1, BATCH, HIDDEN)
    x = _input()
    out = call_members(models[0], stacked_parameters(models), [x, (state, cell)], [0, None])
    solo = [model(own, (state, cell)) for model, own in zip(models, x, strict=True)]
    _assert_all_close(_flat(out), [torch.stack(each) for each in zip(*map(_flat, solo), strict=True)])


@pytest.mark.parametrize("kind", KINDS)
def test_one_time_step_is_enough(kind: str) -> None:
    _assert_equal_to_solo(_models(kind, bidirectional=True), _normal(MEMBERS, 1, BATCH, FEATURES))


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_may_come_without_a_batch_dimension(kind: str) -> None:
    _assert_equal_to_solo(_models(kind, num_layers=2), _normal(MEMBERS, STEPS, FEATURES))


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradients_have_the_strides_of_the_parameters(kind: str) -> None:
    models = _models(kind, num_layers=2, bidirectional=True)
    parameters = stacked_parameters(models)
    states, _ = call_members(models[0], parameters, [_input()])
    gradients = torch.autograd.grad(states.square().sum(), list(parameters.values()))
    assert [each.stride() for each in gradients] == [each.stride() for each in parameters.values()]


@pytest.mark.parametrize("kind", some_slow(KINDS, "lstm", "gru"))
def test_the_traced_layers_give_the_same_for_other_numbers(kind: str) -> None:
    models = _models(kind, num_layers=2, bidirectional=True)
    names = list(stacked_parameters(models))

    def gradients_of(x: Tensor, *values: Tensor) -> list[Tensor]:
        leaves = [each.detach().requires_grad_() for each in values]
        out = _flat(call_members(models[0], dict(zip(names, leaves, strict=True)), [x]))
        return list(torch.autograd.grad(sum(each.square().sum() for each in out), leaves))

    def numbers() -> list[Tensor]:
        drawn = [
            _normal(MEMBERS, 2, BATCH, FEATURES),
            *(torch.randn_like(each) for each in stacked_parameters(models).values()),
        ]
        return [each.detach() for each in drawn]

    traced = make_fx(gradients_of)(*numbers())
    others = numbers()
    _assert_all_close(traced(*others), gradients_of(*others))


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_as_it_was_after_it_was_called_for_others(kind: str) -> None:
    models = _models(kind)
    x = _input()
    before, _ = models[0](x[0])
    call_members(models[0], stacked_parameters(models), [x])
    after, _ = models[0](x[0])
    assert torch.equal(before, after)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_dropout_between_layers_multiplies_what_goes_from_one_to_the_next(kind: str, batch_first: bool) -> None:
    models = _models(kind, num_layers=2, bidirectional=True, batch_first=batch_first, dropout=0.25)
    x, masks = _input(batch_first), torch.rand(MEMBERS, STEPS, BATCH, 2 * HIDDEN, dtype=torch.float64)
    seen: list[Any] = []

    def drop(between: Tensor, p: Any, mask: Tensor) -> Tensor:
        seen.append(p)
        return between * mask

    parameters = stacked_parameters(models)
    states, _ = call_members(models[0], parameters, [x], drop=drop, given_to_drop=[masks])
    gradients = torch.autograd.grad(states.square().sum(), list(parameters.values()))
    for member, model in enumerate(models):
        first = KINDS[kind](FEATURES, HIDDEN, bidirectional=True, batch_first=batch_first).double()
        second = KINDS[kind](2 * HIDDEN, HIDDEN, bidirectional=True, batch_first=batch_first).double()
        own = model.state_dict()
        first.load_state_dict({name: value for name, value in own.items() if "_l0" in name})
        second.load_state_dict({name.replace("_l1", "_l0"): own[name] for name in own if "_l1" in name})
        mask = masks[member].transpose(0, 1) if batch_first else masks[member]
        by_hand, _ = second(first(x[member])[0] * mask)
        by_hand.square().sum().backward()
        _assert_all_close([states[member]], [by_hand])
        solo = [each.grad for each in (*first.parameters(), *second.parameters())]
        _assert_all_close([each[member] for each in gradients], solo)
    assert seen == [0.25]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_masks_drawn_with_a_solo_runs_seed_drop_what_the_solo_run_drops(kind: str, batch_first: bool) -> None:
    models = _models(kind, num_layers=3, batch_first=batch_first, dropout=0.4)
    x = _input(batch_first)
    shapes: list[torch.Size] = []

    def note(between: Tensor, p: Any, mask: Any) -> Tensor:
        shapes.append(between.shape)
        return between

    unused = torch.zeros(MEMBERS)
    call_members(models[0], stacked_parameters(models), [x], drop=note, given_to_drop=[unused, unused])
    masks = [torch.empty(MEMBERS, *shape, dtype=torch.float64) for shape in shapes]
    for member in range(MEMBERS):
        generator = torch.Generator().manual_seed(member)
        for mask in masks:
            mask[member].bernoulli_(0.6, generator=generator).div_(0.6)
    states, _ = call_members(
        models[0],
        stacked_parameters(models),
        [x],
        drop=lambda between, _, mask: between * mask,
        given_to_drop=masks,
    )
    for member, model in enumerate(models):
        torch.manual_seed(member)
        _assert_all_close([states[member]], [model(x[member])[0]])


def test_nothing_is_dropped_between_layers_in_evaluation() -> None:
    models = [model.eval() for model in _models("gru", num_layers=2, dropout=0.5)]
    _assert_equal_to_solo(models, _input())


def test_dropout_between_layers_may_differ_between_members() -> None:
    models = _models("lstm", num_layers=2, dropout=0.5)
    kept = torch.tensor([0.9, 0.5, 0.2], dtype=torch.float64)
    x = _input()
    # A stand-in for dropout that shows whose probability arrived.
    states, _ = call_members(
        models[0],
        stacked_parameters(models),
        [x],
        drop=lambda between, p, _: between * (1 - p),
        given_to_drop=[kept],
        attributes={"dropout": 1 - kept},
    )
    masks = kept.view(-1, 1, 1, 1).expand(MEMBERS, STEPS, BATCH, HIDDEN)
    expected, _ = call_members(
        models[0],
        stacked_parameters(models),
        [x],
        drop=lambda between, _, mask: between * mask,
        given_to_drop=[masks],
    )
    _assert_all_close([states], [expected])


def test_an_lstm_with_projections_is_refused() -> None:
    models = _models("lstm", proj_size=1)
    with pytest.raises(NotImplementedError, match=r"LSTM projections \(proj_size\) have no fused form"):
        call_members(models[0], stacked_parameters(models), [_input()])
