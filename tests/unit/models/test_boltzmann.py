"""The Boltzmann machine: against enumeration of all its states, and against a step calculated by hand."""

import itertools
import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from fulgurite.errors import ConfigError, DataError
from fulgurite.models.boltzmann import BoltzmannMachine, draw
from fulgurite.models.boltzmann_measures import check_probabilities, free_energy_gap, measured

V, H = 4, 3


def states(number: int) -> Tensor:
    """All states of so many binary units, a row each."""
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=number)), dtype=torch.float64)


def tiny(**options) -> BoltzmannMachine:
    """A machine of 4 and 3 units with weights of about 1, in double precision."""
    torch.manual_seed(0)
    machine = BoltzmannMachine(V, H, **options).double()
    with torch.no_grad():
        for parameter in machine.parameters():
            parameter.normal_()
    if machine.centred:
        machine.offset.uniform_(0.2, 0.8)
        machine.hidden_offset.uniform_(0.2, 0.8)
    return machine


def joint(machine: BoltzmannMachine) -> Tensor:
    """p(v, h) of all states, 2^V x 2^H, from the energies alone."""
    v, h = states(V), states(H)
    energies = torch.stack([machine.energy(v, row.expand(len(v), H)) for row in h], dim=1)
    return (-energies).exp() / (-energies).exp().sum()


@pytest.mark.parametrize("centred", [True, False])
def test_the_energy_is_the_sum_over_pairs_of_units(centred):
    machine = tiny(centred=centred)
    v, h = states(V)[11], states(H)[5]
    m, low = machine.offset.tolist(), machine.hidden_offset.tolist()
    assert centred or m + low == [0.0] * (V + H)
    w, b, c = (each.tolist() for each in (machine.up.weight, machine.visible_bias, machine.up.bias))
    expected = -sum((v[i] - m[i]) * b[i] for i in range(V)) - sum((h[j] - low[j]) * c[j] for j in range(H))
    expected -= sum((h[j] - low[j]) * w[j][i] * (v[i] - m[i]) for i in range(V) for j in range(H))
    assert machine.energy(v[None], h[None]).item() == pytest.approx(float(expected))


@pytest.mark.parametrize("centred", [True, False])
def test_the_free_energy_is_that_of_a_sum_over_all_hidden_states(centred):
    machine = tiny(centred=centred)
    v, h = states(V), states(H)
    energies = torch.stack([machine.energy(v, row.expand(len(v), H)) for row in h], dim=1)
    summed = -torch.logsumexp(-energies, dim=1)
    gap = machine.free_energy(v) - summed
    # Up to a constant, which Z takes up.
    torch.testing.assert_close(gap, gap[:1].expand(len(v)))
    assert centred or gap.abs().max() < 1e-12


@pytest.mark.parametrize("centred", [True, False])
def test_each_layer_has_the_conditional_probabilities_of_the_joint_distribution(centred):
    machine = tiny(centred=centred)
    p = joint(machine)
    of_hidden = (p @ states(H)) / p.sum(dim=1, keepdim=True)
    of_visible = (p.T @ states(V)) / p.sum(dim=0).unsqueeze(1)
    torch.testing.assert_close(machine(states(V)), of_hidden)
    torch.testing.assert_close(machine.down(states(H)), of_visible)


def test_offsets_change_no_distribution_but_the_biases_that_describe_it():
    machine, plain = tiny(centred=True), tiny(centred=False)
    with torch.no_grad():
        plain.up.bias.copy_(machine.up.bias - machine.up.weight @ machine.offset)
        plain.visible_bias.copy_(machine.visible_bias - machine.hidden_offset @ machine.up.weight)
    torch.testing.assert_close(joint(machine), joint(plain))


def exact_gradient(machine: BoltzmannMachine, data: Tensor) -> list[Tensor]:
    """Of the mean of -log p(v) over the data, by automatic differentiation of the enumerated distribution."""
    log_p = -machine.free_energy(data) - torch.logsumexp(-machine.free_energy(states(V)), dim=0)
    return list(torch.autograd.grad(-log_p.mean(), list(machine.parameters())))


@pytest.mark.parametrize("rule", ["cd", "pcd"])
@pytest.mark.parametrize("centred", [True, False])
def test_long_chains_give_the_gradient_of_the_likelihood(rule, centred):
    machine = tiny(rule=rule, steps=30, num_chains=40_000, centred=centred, mean_field=False)
    data = states(V)[[1, 3, 3, 14]].repeat(10_000, 1)
    torch.manual_seed(1)
    # The gradient holds for the offset that the contrast has moved.
    found = torch.autograd.grad(machine.contrast(data), list(machine.parameters()))
    for one, expected in zip(found, exact_gradient(machine, data), strict=True):
        # Means of 40,000 numbers of size 1: 0.005 each way, in the worst of 19 about three of them.
        torch.testing.assert_close(one, expected, rtol=0, atol=0.016)
        assert expected.abs().max() > 0.1


def test_one_step_of_contrastive_divergence_is_far_from_the_likelihood_where_chains_mix_slowly():
    machine = tiny(steps=1, centred=False, mean_field=False)
    data = states(V)[[1, 3, 3, 14]].repeat(5_000, 1)
    torch.manual_seed(1)
    found = torch.autograd.grad(machine.contrast(data), list(machine.parameters()))
    gaps = [(a - b).abs().max().item() for a, b in zip(found, exact_gradient(machine, data), strict=True)]
    assert max(gaps) > 0.05


def test_an_update_is_what_the_data_have_in_common_less_what_the_chain_has(monkeypatch):
    # Two visible units and one hidden: W = (ln 3, 0), b = (0, ln 3), c = 0; data (1, 0). p(h = 1 | v) = 3/4, drawn 1;
    # p(v = 1 | h = 1) = (3/4, 3/4), drawn (0, 1); p(h = 1 | (0, 1)) = 1/2.
    machine = BoltzmannMachine(2, 1, centred=False, mean_field=False).double()
    with torch.no_grad():
        machine.up.weight.copy_(torch.tensor([[math.log(3), 0.0]]))
        machine.visible_bias.copy_(torch.tensor([0.0, math.log(3)]))
    drawn = iter([torch.tensor([[0.7]]).double(), torch.tensor([[0.8, 0.7]]).double()])
    monkeypatch.setattr(torch, "rand_like", lambda p: next(drawn))
    torch.optim.SGD(machine.parameters(), lr=1.0).zero_grad()
    machine.contrast(torch.tensor([[1.0, 0.0]]).double()).backward()
    # <h v> of the data is (3/4, 0), of the chain (0, 1/2); gradients descend.
    torch.testing.assert_close(-machine.up.weight.grad, torch.tensor([[0.75, -0.5]]).double())
    torch.testing.assert_close(-machine.visible_bias.grad, torch.tensor([1.0, -1.0]).double())
    torch.testing.assert_close(-machine.up.bias.grad, torch.tensor([0.75 - 0.5]).double())


def test_the_mean_field_of_the_last_visible_layer_takes_the_place_of_its_states():
    machine = tiny(steps=2, centred=False)
    data = states(V)[[1, 7]]
    torch.manual_seed(3)
    found = torch.autograd.grad(machine.contrast(data), machine.up.weight)[0]
    torch.manual_seed(3)
    reached = machine.down(draw(machine(machine.sample(data, 1)))).detach()
    assert 0 < reached.min() <= reached.max() < 1
    expected = (machine(reached).T @ reached - machine(data).T @ data) / 2
    torch.testing.assert_close(found, expected.detach())


def test_persistent_chains_go_on_where_they_ended_and_the_data_do_not_move_them():
    machine, again = (tiny(rule="pcd", num_chains=50) for _ in range(2))
    for number, data in enumerate((states(V), states(V).flip(0)[:3])):
        torch.manual_seed(number)
        machine.contrast(data)
    expected = again.chains
    for number in range(2):
        torch.manual_seed(number)
        expected = again.sample(expected, 1)
    assert torch.equal(machine.chains, expected)
    assert not torch.equal(machine.chains, again.chains)


def test_the_hidden_offset_follows_the_hidden_units_on_the_data_and_nothing_else():
    machine, plain = tiny(), tiny(centred=False)
    data = states(V)[[1, 3, 14]]
    expected = 0.99 * machine.hidden_offset + 0.01 * machine(data).mean(dim=0)
    for each in (machine, plain):
        each.contrast(data)
    torch.testing.assert_close(machine.hidden_offset, expected)
    assert not plain.hidden_offset.any()


def test_a_long_chain_visits_states_as_often_as_they_are_probable():
    machine = tiny()
    torch.manual_seed(0)
    reached = machine.sample(torch.zeros(20_000, V, dtype=torch.float64), 30)
    counts = torch.bincount((reached @ torch.tensor([8.0, 4.0, 2.0, 1.0]).double()).long(), minlength=2**V)
    torch.testing.assert_close(counts / 20_000.0, joint(machine).sum(dim=1), rtol=0, atol=0.012, check_dtype=False)


def test_a_draw_is_one_as_often_as_its_probability():
    torch.manual_seed(0)
    p = torch.tensor([0.0, 0.1, 0.5, 1.0]).repeat(20_000, 1)
    assert draw(p).mean(dim=0).tolist() == pytest.approx([0.0, 0.1, 0.5, 1.0], abs=0.01)


def test_the_pseudo_likelihood_of_many_samples_is_that_of_all_conditionals():
    machine = tiny()
    # Four bits are looked at in each sample of four: all of them.
    v = states(V)
    p = joint(machine).sum(dim=1).tolist()
    expected = []
    for number in range(len(v)):
        # A state's number has its units for bits.
        flipped = [number ^ 1 << unit for unit in range(V)]
        expected.append(sum(math.log(p[number] / (p[number] + p[other])) for other in flipped))
    torch.testing.assert_close(machine.pseudo_likelihood(v), torch.tensor(expected).double())


def test_the_reconstruction_error_is_the_cross_entropy_of_what_comes_back():
    machine, v = tiny(), torch.tensor([[1.0, 0.0, 0.25, 1.0]]).double()
    back = machine.down(machine(v))
    expected = -(v * back.log() + (1 - v) * (1 - back).log()).sum()
    assert machine.reconstruction(v).item() == pytest.approx(expected.item())
    assert measured(machine, v)["reconstruction"].item() == pytest.approx(expected.item())


def test_a_machine_begins_with_the_mean_of_its_data():
    machine, plain = BoltzmannMachine(3, 2), BoltzmannMachine(3, 2, centred=False)
    data = torch.tensor([[1.0, 0.0, 0.2], [1.0, 0.0, 0.6]])
    for each in (machine, plain):
        torch.nn.init.zeros_(each.up.weight)
        each.begin(data)
    assert machine.down(machine.hidden_offset.unsqueeze(0)).flatten().tolist() == pytest.approx([0.99, 0.01, 0.4])
    assert machine(data.mean(dim=0, keepdim=True)).tolist() == [[0.5, 0.5]]
    assert not plain.visible_bias.any()
    assert not plain.offset.any()


class _Data:
    """Samples as a data module has them."""

    def __init__(self, **parts: Tensor) -> None:
        self.parts = parts

    def part(self, name: str) -> "_Data":
        self.x = self.parts[name]
        return self

    def encode(self, x: Tensor) -> Tensor:
        return x / 2


def test_the_free_energy_gap_is_that_of_validation_and_training_samples():
    machine = tiny()
    val, train = states(V)[:5], states(V)[5:].repeat(200, 1)
    expected = machine.free_energy(val / 2).mean() - machine.free_energy(train[:1000] / 2).mean()
    model = torch.nn.Linear(1, 1).double()
    model.trainer = SimpleNamespace(datamodule=_Data(val=val, train=train))
    assert free_energy_gap(machine, model).item() == pytest.approx(expected.item())
    assert abs(expected.item()) > 0.1
    model.trainer.datamodule = object()
    assert free_energy_gap(machine, model) is None


@pytest.mark.parametrize(("low", "high"), [(-0.42, 1.0), (0.0, 2.82)])
def test_samples_that_are_no_probabilities_are_refused(low, high):
    words = rf"model=rbm reads numbers from 0 to 1, .* go from {low:.3g} to {high:.3g}; use data.scaling=unit"
    with pytest.raises(DataError, match=words):
        check_probabilities(torch.tensor([low, 0.5, high]), "rbm")
    check_probabilities(torch.tensor([0.0, 1.0]), "rbm")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "pdc"}, r"^rule must be one of cd, pcd; got 'pdc' \(did you mean pcd\?\)"),
        ({"steps": 0}, "^steps must be an integer >= 1, got 0"),
        ({"num_chains": 0}, "^num_chains must be an integer >= 1, got 0"),
        ({"centred": "no"}, "^centred must be true or false, got 'no'"),
        ({"init": "smal"}, r"^init must be one of .*small.*; got 'smal' \(did you mean small\?\)"),
    ],
)
def test_what_a_machine_cannot_be_is_told(options, message):
    with pytest.raises(ConfigError, match=message):
        BoltzmannMachine(V, H, **options)
