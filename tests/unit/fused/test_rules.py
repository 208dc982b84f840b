from collections.abc import Callable
from typing import Any

import pytest
import torch
from batched_members import call_members, stacked_parameters
from torch import Tensor, nn

from fulgurite.fused.rules import Rules

MEMBERS, INPUTS, OUTPUTS, CLASSES = 3, 4, 2, 5
BATCHES: list[tuple[int, ...]] = [(), (6,), (2, 3), (2, 1, 3)]


class Call(nn.Module):
    """A model without parameters whose forward is a function, and whose attributes the function sees."""

    def __init__(self, function: Callable[..., Tensor], **attributes: Any) -> None:
        super().__init__()
        self.function = function
        for name, value in attributes.items():
            setattr(self, name, value)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(self, *inputs)


def _normal(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64).requires_grad_()


def _linears(bias: bool = True) -> list[nn.Linear]:
    torch.manual_seed(0)
    return [nn.Linear(INPUTS, OUTPUTS, bias=bias).double() for _ in range(MEMBERS)]


def _assert_close(one: Any, other: Any) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("batch", BATCHES)
def test_linear_layers_at_once_are_the_solo_layers(batch: tuple[int, ...], bias: bool, is_shared: bool) -> None:
    models = _linears(bias)
    parameters = stacked_parameters(models)
    x = _normal(*batch, INPUTS) if is_shared else _normal(MEMBERS, *batch, INPUTS)
    out = call_members(models[0], parameters, [x], [None if is_shared else 0])
    gradients = torch.autograd.grad(out.sin().sum(), [*parameters.values(), x])
    solo = torch.stack([model(x if is_shared else x[member]) for member, model in enumerate(models)])
    _assert_close(out, solo)
    leaves = [list(model.parameters()) for model in models]
    expected = torch.autograd.grad(solo.sin().sum(), [*sum(leaves, []), x])
    for number in range(len(leaves[0])):
        _assert_close(gradients[number], torch.stack(expected[number : -1 : len(leaves[0])]))
    _assert_close(gradients[-1], expected[-1])


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("batch", BATCHES)
def test_linear_gradients_have_the_strides_of_the_parameters(batch: tuple[int, ...], is_shared: bool) -> None:
    models = _linears()
    parameters = stacked_parameters(models)
    x = _normal(*batch, INPUTS) if is_shared else _normal(MEMBERS, *batch, INPUTS)
    out = call_members(models[0], parameters, [x], [None if is_shared else 0])
    gradients = torch.autograd.grad(out.square().sum(), list(parameters.values()))
    assert [each.stride() for each in gradients] == [each.stride() for each in parameters.values()]


def test_layers_in_a_row_pass_gradients_through_a_transposed_input() -> None:
    torch.manual_seed(0)
    models = [nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double() for _ in range(MEMBERS)]
    parameters, x = stacked_parameters(models), _normal(MEMBERS, 3, 6)
    # The samples are columns, and the gradient of a sum is expanded: neither is contiguous.
    call_members(models[0], parameters, [x.transpose(1, 2)]).sum().backward()
    given = x.grad
    solo = torch.stack([model(own.t()) for model, own in zip(models, x, strict=True)]).sum()
    (expected,) = torch.autograd.grad(solo, x, retain_graph=True)
    _assert_close(given, expected)
    solo.backward()
    for name, stacked in parameters.items():
        _assert_close(stacked.grad, torch.stack([model.get_parameter(name).grad for model in models]))


def test_a_linear_layer_may_be_called_with_keywords() -> None:
    models, x = _linears(), _normal(MEMBERS, 6, INPUTS)
    parameters = stacked_parameters(models)
    out = call_members(
        Call(lambda _, x, w, b: nn.functional.linear(x, weight=w, bias=b)), {}, [x, *parameters.values()]
    )
    _assert_close(out, torch.stack([model(own) for model, own in zip(models, x, strict=True)]))


@pytest.mark.parametrize("rest", [(), (3,), (2, 3)])
@pytest.mark.parametrize("is_shared", [False, True])
def test_label_smoothing_may_differ_between_members(rest: tuple[int, ...], is_shared: bool) -> None:
    torch.manual_seed(0)
    smoothing = torch.tensor([0.0, 0.1, 0.4], dtype=torch.float64)
    x = _normal(MEMBERS, 6, CLASSES, *rest)
    y = torch.randint(0, CLASSES, (6, *rest) if is_shared else (MEMBERS, 6, *rest))
    dims = [0, None if is_shared else 0]
    losses = call_members(nn.CrossEntropyLoss(), {}, [x, y], dims, attributes={"label_smoothing": smoothing})
    (gradient,) = torch.autograd.grad(losses.sum(), x)
    solo = torch.stack(
        [
            nn.CrossEntropyLoss(label_smoothing=s)(x[member], y if is_shared else y[member])
            for member, s in enumerate(smoothing.tolist())
        ]
    )
    _assert_close(losses, solo)
    _assert_close(gradient, torch.autograd.grad(solo.sum(), x)[0])


@pytest.mark.parametrize("ignored", [-100, 2])
def test_smoothing_leaves_out_targets_that_are_ignored(ignored: int) -> None:
    torch.manual_seed(0)
    smoothing = torch.tensor([0.0, 0.1, 0.4], dtype=torch.float64)
    x, y = _normal(MEMBERS, 6, CLASSES), torch.randint(0, CLASSES, (MEMBERS, 6))
    y[:, ::2] = ignored
    options = {"ignore_index": ignored}
    losses = call_members(nn.CrossEntropyLoss(**options), {}, [x, y], attributes={"label_smoothing": smoothing})
    for member, s in enumerate(smoothing.tolist()):
        _assert_close(losses[member], nn.CrossEntropyLoss(label_smoothing=s, **options)(x[member], y[member]))


@pytest.mark.parametrize(
    "options",
    [{"weight": torch.ones(CLASSES, dtype=torch.float64)}, {"reduction": "sum"}, {"reduction": "none"}],
)
def test_smoothing_that_differs_is_refused_for_other_losses_than_the_mean(options: dict) -> None:
    x, y = _normal(MEMBERS, 6, CLASSES), torch.zeros(MEMBERS, 6, dtype=torch.long)
    smoothing = torch.tensor([0.0, 0.1, 0.4], dtype=torch.float64)
    with pytest.raises(NotImplementedError, match="differs between members needs the plain mean cross entropy"):
        call_members(nn.CrossEntropyLoss(**options), {}, [x, y], attributes={"label_smoothing": smoothing})


def test_smoothing_that_differs_is_refused_for_targets_that_are_odds() -> None:
    x, odds = _normal(MEMBERS, 6, CLASSES), torch.full((MEMBERS, 6, CLASSES), 1 / CLASSES, dtype=torch.float64)
    smoothing = torch.tensor([0.0, 0.1, 0.4], dtype=torch.float64)
    with pytest.raises(NotImplementedError, match="differs between members needs the plain mean cross entropy"):
        call_members(nn.CrossEntropyLoss(), {}, [x, odds], attributes={"label_smoothing": smoothing})


def test_dropout_goes_to_the_callback_with_its_probability() -> None:
    x, masks, seen = _normal(MEMBERS, 6), torch.rand(MEMBERS, 6, dtype=torch.float64), []

    def drop(own: Tensor, p: Any, mask: Tensor) -> Tensor:
        seen.append((tuple(own.shape), p))
        return own * mask

    out = call_members(nn.Dropout(0.3), {}, [x], drop=drop, given_to_drop=[masks])
    assert torch.equal(out, x * masks)
    assert seen == [((6,), 0.3)]


def test_members_that_share_an_input_drop_what_their_own_masks_say() -> None:
    x, masks = _normal(6), torch.rand(MEMBERS, 6, dtype=torch.float64)
    out = call_members(nn.Dropout(0.3), {}, [x], [None], drop=lambda own, _, mask: own * mask, given_to_drop=[masks])
    assert torch.equal(out, x * masks)


def test_dropout_goes_to_the_callback_with_each_members_probability() -> None:
    x, p = _normal(MEMBERS, 6), torch.tensor([0.0, 0.3, 0.9], dtype=torch.float64)
    out = call_members(
        nn.Dropout(),
        {},
        [x],
        drop=lambda own, p, _: own * p,
        given_to_drop=[torch.zeros(MEMBERS)],
        attributes={"p": p},
    )
    assert torch.equal(out, x * p[:, None])


def test_dropout_in_place_changes_the_tensor_itself() -> None:
    x, masks = _normal(MEMBERS, 6), torch.rand(MEMBERS, 6, dtype=torch.float64)

    def residual(_: Any, x: Tensor) -> Tensor:
        seen = x + 0
        # What is added up is the dropped tensor, twice.
        return nn.functional.dropout(seen, 0.3, True, inplace=True) + seen

    out = call_members(Call(residual), {}, [x], drop=lambda own, _, mask: own * mask, given_to_drop=[masks])
    _assert_close(out, 2 * x * masks)


@pytest.mark.parametrize("layer", [nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout])
def test_nothing_is_dropped_in_evaluation(layer: type[nn.Module]) -> None:
    x = _normal(MEMBERS, 2, 3, 6, 6) if layer is nn.Dropout2d else _normal(MEMBERS, 2, 3, 6)
    # ``call_members`` fails when something reaches the callback.
    assert torch.equal(call_members(layer(0.5).eval(), {}, [x]), x)


@pytest.mark.parametrize(
    ("layer", "shape", "mask"),
    [
        (nn.Dropout1d, (5, 4, 6), (5, 4, 1)),
        (nn.Dropout1d, (4, 6), (4, 1)),
        (nn.Dropout2d, (5, 4, 6, 7), (5, 4, 1, 1)),
        (nn.Dropout3d, (5, 4, 2, 6, 7), (5, 4, 1, 1, 1)),
        (nn.Dropout3d, (4, 2, 6, 7), (4, 1, 1, 1)),
    ],
)
def test_a_dropout_of_channels_draws_what_it_would_alone(layer: type[nn.Module], shape: tuple, mask: tuple) -> None:
    x, masks = _normal(MEMBERS, *shape), torch.empty(MEMBERS, *mask, dtype=torch.float64)
    alone = []
    for seed in range(MEMBERS):
        torch.manual_seed(seed)
        alone.append(layer(0.4)(x[seed]))
        masks[seed].bernoulli_(0.6, generator=torch.Generator().manual_seed(seed)).div_(0.6)
    out = call_members(layer(0.4), {}, [x], drop=lambda own, _, mask: own * mask, given_to_drop=[masks])
    assert torch.equal(out, torch.stack(alone))


@pytest.mark.parametrize(
    ("layer", "name"),
    [
        (nn.AlphaDropout, "alpha_dropout"),
        (nn.FeatureAlphaDropout, "feature_alpha_dropout"),
    ],
)
def test_dropouts_of_another_kind_are_refused(layer: type[nn.Module], name: str) -> None:
    with pytest.raises(NotImplementedError, match=name):
        call_members(layer(0.5), {}, [_normal(MEMBERS, 2, 3, 4, 4, 4)])


@pytest.mark.parametrize(
    "model",
    [
        nn.Linear(INPUTS, OUTPUTS),
        nn.LSTM(INPUTS, OUTPUTS, proj_size=1),
        nn.GRU(INPUTS, OUTPUTS),
        nn.RNN(INPUTS, OUTPUTS, num_layers=2),
        nn.BatchNorm1d(INPUTS),
    ],
    ids=lambda model: type(model).__name__,
)
def test_an_ordinary_call_is_left_alone(model: nn.Module) -> None:
    model, x = model.double(), _normal(6, INPUTS)

    def gradients() -> list[Tensor]:
        out = model(x)
        loss = (out[0] if isinstance(out, tuple) else out).sin().sum()
        return [loss, *torch.autograd.grad(loss, [x, *model.parameters()], allow_unused=True)]

    usual = gradients()
    with Rules(lambda x, p: pytest.fail("nothing is dropped here")):
        under_rules = gradients()
    assert all(one is other or torch.equal(one, other) for one, other in zip(under_rules, usual, strict=True))


@pytest.mark.parametrize(
    ("weighted", "options"),
    [
        (False, {}),
        (True, {}),
        (False, {"ignore_index": 1}),
        (True, {"reduction": "sum"}),
        (False, {"label_smoothing": 0.2}),
        (True, {"label_smoothing": 0.2, "reduction": "sum"}),
    ],
    ids=str,
)
def test_cross_entropy_and_its_gradient_are_each_members(weighted: bool, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    weight = torch.rand(CLASSES, dtype=torch.float64) if weighted else None
    loss = nn.CrossEntropyLoss(weight=weight, **options)
    x, y = _normal(MEMBERS, 6, CLASSES), torch.randint(0, CLASSES, (MEMBERS, 6))
    out = call_members(loss, {}, [x, y])
    expected = torch.stack([loss(*own) for own in zip(x, y, strict=True)])
    _assert_close(out, expected)
    gradients = [torch.autograd.grad(values.sum(), x)[0] for values in (out, expected)]
    _assert_close(*gradients)
