"""Recurrent networks: the Elman network, LSTM and GRU, which read a sample step by step.

Shapes: B batch, T time steps, F features of a step, H hidden size, D directions (1 or 2), K channels, C classes or
numbers to predict.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fulgurite.errors import ConfigError, check_bool, check_choice, check_fraction, check_int, check_number
from fulgurite.models.supervised import Supervised

CELLS: dict[str, type[nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
READINGS = ("rows", "pixels", "permuted_pixels", "features")
READOUTS = ("last", "mean")
INITS = ("default", "orthogonal", "chrono")
# Which H of a cell's stacked biases belong to the gate that keeps the old state: PyTorch stacks an LSTM's gates as
# input, forget, cell, output, and a GRU's as reset, update, new.
_KEEP_GATE = {"lstm": 1, "gru": 1}
# And to the one that lets the new one in, where that is another.
_INPUT_GATE = {"lstm": 0}


class Recurrent(Supervised):
    """A recurrent network that starts from a zero state, and a linear head on what it remembers.

    Sources: Elman, "Finding structure in time" (1990); Hochreiter and Schmidhuber, "Long short-term memory" (1997),
    with the forget gate of Gers et al. (2000); Cho et al. (2014) for the GRU, in PyTorch's variant. Permuted pixels:
    Le, Jaitly and Hinton (2015).

    Args:
        spec: sizes and task of the data.
        cell: ``rnn`` (tanh or relu), ``lstm`` or ``gru``.
        hidden: size of the state.
        layers: layers, each reading the states of the one below.
        bidirectional: read the sequence from both ends, with a state for each.
        dropout: probability of zeroing what a layer hands to the next one or to the head, in [0, 1).
        by: an image's ``rows`` from top to bottom (T = height, F = channels x width), its ``pixels`` (T = height x
            width, F = channels) in reading order or as ``permuted_pixels``; or single ``features`` of other data.
        permutation_seed: seed of the one order in which permuted pixels are read.
        readout: what the head sees: the ``last`` state of each direction, or the ``mean`` over time.
        init: ``default`` (PyTorch's uniform numbers), or ``orthogonal`` recurrent weights with Xavier-uniform input
            weights and zero biases (Saxe et al., 2014), or ``chrono``: the same, but for biases that let the units of
            ``lstm`` and ``gru`` remember for 1 to T steps (Tallec and Ollivier, 2018): for long sequences.
        keep_bias: with ``init=orthogonal``, the bias of the gate that keeps the old state: an LSTM's forget gate
            (Jozefowicz et al., 2015), a GRU's update gate. Not for ``rnn``.
        activation: ``tanh`` or ``relu``; ``rnn`` only.
        loss: name and arguments of the loss.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    permutation: Tensor

    def __init__(
        self,
        spec: Mapping[str, Any],
        cell: str = "lstm",
        hidden: int = 128,
        layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        by: str = "rows",
        permutation_seed: int = 0,
        readout: str = "last",
        init: str = "orthogonal",
        keep_bias: float = 1.0,
        activation: str = "tanh",
        loss: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(spec, loss)
        self.save_hyperparameters()
        self.by = check_choice("by", by, READINGS)
        self.readout = check_choice("readout", readout, READOUTS)
        dropout = check_fraction("dropout", dropout)
        num_steps, num_features = self._sequence_shape()
        options: dict[str, Any] = {
            "input_size": num_features,
            "hidden_size": check_int("hidden", hidden),
            "num_layers": check_int("layers", layers),
            "bidirectional": check_bool("bidirectional", bidirectional),
            # PyTorch's is between layers only, and warns when there is one.
            "dropout": dropout if layers > 1 else 0.0,
            "batch_first": True,
        }
        check_choice("activation", activation, ("tanh", "relu"))
        if check_choice("cell", cell, CELLS) == "rnn":
            options["nonlinearity"] = activation
        elif activation != "tanh":
            raise ConfigError(f"activation={activation} is for model=rnn; the gates of {cell} need activation=tanh")
        self.cell = CELLS[cell](**options)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden * (2 if bidirectional else 1), self.spec.num_outputs)
        if check_choice("init", init, INITS) != "default":
            init_recurrent(self.cell, _KEEP_GATE.get(cell), check_number("keep_bias", keep_bias))
        if init == "chrono":
            if cell not in _KEEP_GATE:
                raise ConfigError(f"init=chrono sets the gates of lstm and gru, and {cell} has none; use orthogonal")
            init_chrono(self.cell, _KEEP_GATE[cell], _INPUT_GATE.get(cell), num_steps)
        generator = torch.Generator().manual_seed(check_int("permutation_seed", permutation_seed, low=0))
        self.register_buffer("permutation", None)
        if by == "permuted_pixels":
            self.permutation = torch.randperm(num_steps, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """A batch of samples (B x K x H x W, or B x T) to B x C."""
        states, last = self.cell(self.sequence(x))
        if self.readout == "mean":
            seen = states.mean(dim=1)
        else:
            last = last[0] if isinstance(last, tuple) else last
            seen = torch.cat((last[-2], last[-1]), dim=1) if self.cell.bidirectional else last[-1]
        return self.unscale(self.head(self.dropout(seen)))

    def states(self, x: Tensor) -> Tensor:
        """What the last layer remembers after each step, B x T x (D * H); of an LSTM what it shows of its cells."""
        return self.cell(self.sequence(x))[0]

    def sequence(self, x: Tensor) -> Tensor:
        """A batch of samples as the cell reads them, B x T x F."""
        if self.by == "features":
            return x.unsqueeze(2)
        if self.by == "rows":
            return x.transpose(1, 2).flatten(2)
        pixels = x.flatten(2).transpose(1, 2)
        return pixels if self.by == "pixels" else pixels.index_select(1, self.permutation)

    def _sequence_shape(self) -> tuple[int, int]:
        """T and F of a sample.

        Raises:
            ConfigError: when samples of this shape cannot be read that way.
        """
        shape = self.spec.input_shape
        if self.spec.is_image:
            num_channels, height, width = shape
            if self.by == "features":
                raise ConfigError(
                    "model.by=features is for data without rows and columns; use model.by=rows for images"
                )
            return (height, num_channels * width) if self.by == "rows" else (height * width, num_channels)
        if self.num_inputs == 1 or len(shape) > 1:
            raise ConfigError(
                f"model=rnn, lstm and gru read sequences, and this data set's samples have shape {list(shape)}; "
                "use model=mlp or model=linear, or data=mnist"
            )
        if self.by != "features":
            raise ConfigError(
                f"model.by={self.by} is for images, and this data set's samples have shape {list(shape)}; "
                f"use model.by=features to read the {shape[0]} numbers one at a time, or model=mlp"
            )
        return shape[0], 1


def init_recurrent(cell: nn.RNNBase, keep_gate: int | None, keep_bias: float) -> None:
    """Initialise a cell in place, gate by gate.

    Args:
        cell: its weights stack G gates: G*H x F from the input, G*H x H from the state, and two biases of G*H.
        keep_gate: number of the gate that keeps the old state, or ``None``.
        keep_bias: that gate's bias; all others are 0.
    """
    size = cell.hidden_size
    for name, parameter in cell.named_parameters():
        if name.startswith("weight"):
            initialise = nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_
            for gate in parameter.data.split(size):
                initialise(gate)
        else:
            nn.init.zeros_(parameter)
            if name.startswith("bias_ih") and keep_gate is not None:
                parameter.data[keep_gate * size : (keep_gate + 1) * size] = keep_bias


def init_chrono(cell: nn.RNNBase, keep_gate: int, input_gate: int | None, num_steps: int) -> None:
    """Set the gates' biases so that unit by unit the state lasts for 1 to ``num_steps`` steps, in place.

    Source: Tallec and Ollivier, "Can recurrent neural networks warp time?" (2018), equation 16: log(u) for the gate
    that keeps the old state, u uniform in [1, T - 1], and -log(u) for the gate that lets the new one in.

    Args:
        cell: its biases are 0 but for that of the gate that keeps.
        keep_gate: number of that gate.
        input_gate: number of the gate that lets in, or ``None`` where it is 1 less the other.
        num_steps: T, the longest time to remember.
    """
    size = cell.hidden_size
    for name, parameter in cell.named_parameters():
        if name.startswith("bias_ih"):
            kept = torch.empty(size).uniform_(1, max(2, num_steps - 1)).log()
            parameter.data[keep_gate * size : (keep_gate + 1) * size] = kept
            if input_gate is not None:
                parameter.data[input_gate * size : (input_gate + 1) * size] = -kept
