"""The restricted Boltzmann machine: units, energies, sampling, and how it learns from data.

Shapes: B batch, V visible units, H hidden units.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from fulgurite.errors import check_bool, check_choice, check_int
from fulgurite.models.layers import INITS, init_weights

RULES = ("cd", "pcd")
# At which the hidden offset follows the units.
_RATE = 0.01
# Units of each sample that the pseudo-likelihood looks at.
_NUM_UNITS = 4


class BoltzmannMachine(nn.Module):
    """Binary visible units v and hidden units h with p(v, h) = exp(-E(v, h)) / Z.

    E(v, h) = -(v - m) b - (h - l) c - (h - l) W (v - m). With the offsets m = l = 0 that is the textbook's; others
    describe the same distributions by other biases, but the gradient by W is then one of covariances, and no longer
    learns the mean again with each unit. Given one layer, the units of the other are independent: p(h = 1 | v) =
    sigmoid(W (v - m) + c), p(v = 1 | h) = sigmoid(W^T (h - l) + b). Visible numbers between 0 and 1 are taken for
    probabilities.

    Sources: Smolensky (1986); Hinton, "Training products of experts by minimizing contrastive divergence" (2002);
    persistent chains: Tieleman (2008); Hinton, "A practical guide to training restricted Boltzmann machines" (2010);
    offsets: Montavon and Müller, "Deep Boltzmann machines and the centering trick" (2012).

    Args:
        num_visible: V.
        num_hidden: H.
        rule: where the chain starts that the data are compared with: ``cd`` at the data, ``pcd`` where it ended last.
        steps: of the chain for each update, hidden and visible layer once each: the k of CD-k.
        num_chains: chains of ``pcd``.
        centred: m is the mean of the data once ``begin`` has seen them, l that of the hidden units over the last
            hundred updates or so; else both are 0. No bias makes up for the small steps of l, as it does in the source.
        mean_field: with ``cd``, take probabilities of the chain's last visible layer for its states: less noise, and a
            gradient that is a little biased (the guide, section 3).
        init: of the weights: ``small``, N(0, 0.01^2) as in the guide, or a name in ``layers.INITS``.

    Attributes:
        up: weights W and hidden biases c.
        visible_bias: b.
        offset: m.
        hidden_offset: l; a half at first.
        chains: of ``pcd``, num_chains x V; drawn at first by a fair coin.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    offset: Tensor
    hidden_offset: Tensor
    chains: Tensor

    def __init__(
        self,
        num_visible: int,
        num_hidden: int,
        rule: str = "cd",
        steps: int = 1,
        num_chains: int = 100,
        centred: bool = True,
        mean_field: bool = True,
        init: str = "small",
    ) -> None:
        super().__init__()
        self.centred = check_bool("centred", centred)
        self.mean_field = check_bool("mean_field", mean_field)
        self.rule = check_choice("rule", rule, RULES)
        self.steps = check_int("steps", steps)
        check_int("num_chains", num_chains)
        self.up = nn.Linear(num_visible, num_hidden)
        self.visible_bias = nn.Parameter(torch.zeros(num_visible))
        self.register_buffer("offset", torch.zeros(num_visible))
        self.register_buffer("hidden_offset", torch.full((num_hidden,), 0.5 if centred else 0.0))
        if check_choice("init", init, ("small", *INITS)) == "small":
            nn.init.normal_(self.up.weight, std=0.01)
            nn.init.zeros_(self.up.bias)
        else:
            init_weights(self.up, init)
        if rule == "pcd":
            self.register_buffer("chains", torch.bernoulli(torch.full((num_chains, num_visible), 0.5)))

    @torch.no_grad()
    def begin(self, v: Tensor) -> None:
        """Make the first guess of an untrained machine the mean of its data, B x V; nothing when it is not centred.

        That is the offset, and the bias that gives it as probability when no hidden unit says anything.
        """
        if self.centred:
            self.offset.copy_(v.mean(dim=0))
            self.visible_bias.copy_(torch.logit(self.offset.clamp(0.01, 0.99)))

    def forward(self, v: Tensor) -> Tensor:
        """Probabilities of the hidden units: B x V to B x H."""
        return torch.sigmoid(self.up(v - self.offset))

    def down(self, h: Tensor) -> Tensor:
        """Probabilities of the visible units: B x H to B x V."""
        return torch.sigmoid(self._heard(h))

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h) of each pair: B x V and B x H to B."""
        h = h - self.hidden_offset
        return -((v - self.offset) * self.visible_bias).sum(dim=1) - (self.up(v - self.offset) * h).sum(dim=1)

    def free_energy(self, v: Tensor) -> Tensor:
        """F(v) = -log sum_h exp(-E(v, h)) of each sample, in nats: B x V to B. p(v) is exp(-F(v)) / Z."""
        heard = self.up(v - self.offset)
        of_hidden = (functional.softplus(heard) - self.hidden_offset * heard).sum(dim=1)
        return -((v - self.offset) * self.visible_bias).sum(dim=1) - of_hidden

    @torch.no_grad()
    def sample(self, v: Tensor, steps: int) -> Tensor:
        """States of the visible units (B x V, 0 or 1) after some steps of Gibbs sampling from ``v``."""
        for _ in range(steps):
            v = draw(self.down(draw(self(v))))
        return v

    def contrast(self, v: Tensor) -> Tensor:
        """A number whose gradient is that of contrastive divergence: mean F of the data less that of the chain.

        The gradient of F(v) by W is -(p(h | v) - l) (v - m)^T, so a step of gradient descent adds to the weights what
        h and v have in common in the data, less what they have in the chain. The value itself means little. Moves the
        chains of ``pcd`` and the hidden offset on.

        Args:
            v: data, B x V.
        """
        if self.centred:
            # In place, as the chains: a fused sweep holds those of all its members in one tensor.
            self.hidden_offset.mul_(1 - _RATE).add_(self(v).detach().mean(dim=0), alpha=_RATE)
        if self.rule == "pcd":
            reached = self.sample(self.chains, self.steps)
            self.chains.copy_(reached)
        else:
            with torch.no_grad():
                reached = self.down(draw(self(self.sample(v, self.steps - 1))))
                reached = reached if self.mean_field else draw(reached)
        return self.free_energy(v).mean() - self.free_energy(reached).mean()

    @torch.no_grad()
    def reconstruction(self, v: Tensor) -> Tensor:
        """Cross entropy, nats a sample, of data and what comes back from the probabilities of the hidden units: B.

        Cheap, and falls as long as the machine learns anything; no measure of its distribution (the guide, section 5).
        """
        heard = self._heard(self(v))
        return functional.binary_cross_entropy_with_logits(heard, v, reduction="none").sum(dim=1)

    @torch.no_grad()
    def pseudo_likelihood(self, v: Tensor) -> Tensor:
        """Estimate of the sum of log p(v_i | all others) over the visible units i, in nats: B x V to B.

        V times the mean over some units, others for each sample but always the same. Numbers between 0 and 1 are
        rounded. Source: Besag, "Statistical analysis of non-lattice data" (1975).
        """
        v = v.round()
        num_visible, energy, total = v.shape[1], self.free_energy(v), torch.zeros_like(v[:, 0])
        rows = torch.arange(len(v), device=v.device)
        for number in range(_NUM_UNITS):
            # Strides of the golden ratio scatter over the units.
            places = (rows * _NUM_UNITS + number) * _stride(num_visible) % num_visible
            flipped = v.clone()
            flipped[rows, places] = 1 - v[rows, places]
            total += functional.logsigmoid(self.free_energy(flipped) - energy)
        return total * num_visible / _NUM_UNITS

    def _heard(self, h: Tensor) -> Tensor:
        """What the visible units hear from the hidden ones: B x H to B x V."""
        return functional.linear(h - self.hidden_offset, self.up.weight.t(), self.visible_bias)


def draw(p: Tensor) -> Tensor:
    """0 or 1 by probabilities of any shape, from the global generator."""
    return (torch.rand_like(p) < p).to(p.dtype)


def _stride(number: int) -> int:
    """A step through ``number`` places that comes to all of them, about a golden section of them."""
    stride = max(1, round(number * 0.618))
    while math.gcd(stride, number) > 1:
        stride += 1
    return stride
