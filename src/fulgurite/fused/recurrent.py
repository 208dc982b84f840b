"""Recurrent layers of K members at once: one batched product a time step, and its own back-propagation through time.

torch's fused RNN, LSTM and GRU have no batching rule. Equations and the order of the gates are those of ``nn.RNN``,
``nn.LSTM`` and ``nn.GRU``. Shapes: K members, T time steps, B batch, F features, H hidden size, G gates.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fulgurite.fused.under_vmap import UnderVmap, stacked

Cell = tuple[Any, ...]


def run_recurrent(
    kind: str,
    drop: Callable[[Tensor, Any], Tensor],
    x: Tensor,
    hx: Any,
    weights: list[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    training: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, ...]:
    """One member's layers, as ``torch._VF.lstm`` and its sisters compute them; only ever run under ``vmap``.

    Raises:
        NotImplementedError: for packed sequences and LSTM projections, and for dropout between layers on CUDA.
    """
    drops = training and num_layers > 1 and (torch.is_tensor(dropout) or dropout > 0)
    if drops and x.is_cuda:
        raise NotImplementedError("cuDNN's dropout between layers draws numbers that have no fused form")
    num_directions = 2 if bidirectional else 1
    per_layer = 4 if has_biases else 2
    if len(weights) != num_layers * num_directions * per_layer:
        raise NotImplementedError("LSTM projections (proj_size) have no fused form")
    first, cells = (hx[0], hx[1]) if kind == "lstm" else (hx, None)
    x = x.transpose(0, 1) if batch_first else x
    last_h, last_c = [], []
    for layer in range(num_layers):
        outputs = []
        for direction in range(num_directions):
            slot = layer * num_directions + direction
            w_in, w_state, *biases = weights[slot * per_layer : (slot + 1) * per_layer]
            b_in, b_state = biases or (w_in.new_zeros(w_in.shape[0]), w_in.new_zeros(w_in.shape[0]))
            c = first[slot] if cells is None else cells[slot]
            seen = x.flip(0) if direction else x
            states, c_last = _Recurrence.apply(seen, w_in, w_state, b_in, b_state, first[slot], c, kind)
            last_h.append(states[-1])
            last_c.append(c_last)
            outputs.append(states.flip(0) if direction else states)
        x = torch.cat(outputs, dim=-1) if bidirectional else outputs[0]
        if drops and layer + 1 < num_layers:
            x = drop(x, dropout)
    out = x.transpose(0, 1) if batch_first else x
    h = torch.stack(last_h)
    return (out, h, torch.stack(last_c)) if kind == "lstm" else (out, h)


class _Recurrence(UnderVmap):
    """One layer in one direction for one member."""

    @staticmethod
    def vmap(info: Any, in_dims: Any, *inputs: Any) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        """K layers at once."""
        pairs = zip(inputs[:-1], in_dims[:-1], strict=True)
        tensors = [stacked(each, dim, info.batch_size) for each, dim in pairs]
        return _BatchedRecurrence.apply(*tensors, inputs[-1]), (0, 0)


class _BatchedRecurrence(torch.autograd.Function):
    """K layers: x K x T x B x F to the states K x T x B x H, and an LSTM's last cell state K x B x H."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        w_in: Tensor,
        w_state: Tensor,
        b_in: Tensor,
        b_state: Tensor,
        h: Tensor,
        c: Tensor,
        kind: str,
    ) -> tuple[Tensor, Tensor]:
        """The input's part of all gates in one product, then step by step."""
        size, num_steps, batch, _ = x.shape
        step, _ = KINDS[kind]
        # A GRU scales the state's part of its new gate: the two biases cannot be added up before.
        apart = kind == "gru"
        bias = b_in if apart else b_in + b_state
        gates_in = torch.baddbmm(bias[:, None], x.reshape(size, num_steps * batch, -1), w_in.transpose(1, 2))
        gates_in = gates_in.view(size, num_steps, batch, -1)
        transposed = w_state.transpose(1, 2)
        first, states, kept = (h, c), [], []
        for number in range(num_steps):
            if apart:
                gates: Any = (gates_in[:, number], torch.baddbmm(b_state[:, None], h, transposed))
            else:
                gates = torch.baddbmm(gates_in[:, number], h, transposed)
            h, c, *internal = step(gates, h, c)
            states.append(h)
            kept.append((c, *internal))
        ctx.save_for_backward(x, w_in, w_state)
        ctx.kept = (kind, first, states, kept)
        return torch.stack(states, 1), c

    @staticmethod
    def backward(ctx: Any, grad_states: Tensor, grad_c: Tensor) -> tuple[Tensor | None, ...]:
        """Back-propagation through time (Werbos, 1990)."""
        x, w_in, w_state = ctx.saved_tensors
        kind, (first_h, first_c), states, kept = ctx.kept
        _, step_back = KINDS[kind]
        size, num_steps, batch, _ = x.shape
        grad_h = torch.zeros_like(first_h)
        grads_in: list[Any] = [None] * num_steps
        grads_state: list[Any] = [None] * num_steps
        for number in reversed(range(num_steps)):
            before_h = states[number - 1] if number else first_h
            before_c = kept[number - 1][0] if number else first_c
            from_in, from_state, direct, grad_c = step_back(
                grad_h + grad_states[:, number], grad_c, before_h, before_c, *kept[number]
            )
            grads_in[number], grads_state[number] = from_in, from_state
            product = torch.bmm(from_state, w_state)
            grad_h = product if direct is None else product + direct
        to_in = torch.stack(grads_in, 1).view(size, num_steps * batch, -1)
        to_state = to_in if kind != "gru" else torch.stack(grads_state, 1).view(size, num_steps * batch, -1)
        before = torch.stack([first_h, *states[:-1]], 1).view(size, num_steps * batch, -1)
        return (
            torch.bmm(to_in, w_in).view(x.shape) if ctx.needs_input_grad[0] else None,
            torch.bmm(to_in.transpose(1, 2), x.reshape(size, num_steps * batch, -1)),
            torch.bmm(to_state.transpose(1, 2), before),
            to_in.sum(1),
            to_state.sum(1),
            grad_h if ctx.needs_input_grad[5] else None,
            grad_c if ctx.needs_input_grad[6] else None,
            None,
        )


# Forward: (gates, h, c) to (h, c, what backward needs). Backward: (grad of h, grad of c, h and c before, c, what was
# kept) to (grads of the gates from the input and from the state, what reaches h before past the gates, grad of c
# before). Only an LSTM has a c; the others hand it through.


def _lstm(gates: Tensor, h: Tensor, c: Tensor) -> Cell:
    size = h.shape[-1]
    opened = gates.sigmoid()
    into, forget, _, out = opened.split(size, -1)
    new = gates[..., 2 * size : 3 * size].tanh()
    c = torch.addcmul(into * new, forget, c)
    seen = c.tanh()
    return out * seen, c, seen, into, forget, new, out


def _lstm_back(
    grad_h: Tensor,
    grad_c: Tensor,
    before_h: Tensor,
    before_c: Tensor,
    c: Tensor,
    seen: Tensor,
    into: Tensor,
    forget: Tensor,
    new: Tensor,
    out: Tensor,
) -> Cell:
    sigmoid_back, tanh_back = torch.ops.aten.sigmoid_backward, torch.ops.aten.tanh_backward
    grad_c = grad_c + tanh_back(grad_h * out, seen)
    grad = torch.cat(
        [
            sigmoid_back(grad_c * new, into),
            sigmoid_back(grad_c * before_c, forget),
            tanh_back(grad_c * into, new),
            sigmoid_back(grad_h * seen, out),
        ],
        -1,
    )
    return grad, grad, None, grad_c * forget


def _gru(gates: tuple[Tensor, Tensor], h: Tensor, c: Tensor) -> Cell:
    from_in, from_state = gates
    size = h.shape[-1]
    opened = (from_in[..., : 2 * size] + from_state[..., : 2 * size]).sigmoid()
    reset, update = opened.split(size, -1)
    state_part = from_state[..., 2 * size :]
    new = torch.addcmul(from_in[..., 2 * size :], reset, state_part).tanh()
    return torch.addcmul(new, update, h - new), c, reset, update, new, state_part


def _gru_back(
    grad_h: Tensor,
    grad_c: Tensor,
    before_h: Tensor,
    before_c: Tensor,
    c: Tensor,
    reset: Tensor,
    update: Tensor,
    new: Tensor,
    state_part: Tensor,
) -> Cell:
    sigmoid_back, tanh_back = torch.ops.aten.sigmoid_backward, torch.ops.aten.tanh_backward
    direct = grad_h * update
    grad_new = tanh_back(grad_h - direct, new)
    grad_update = sigmoid_back(grad_h * (before_h - new), update)
    grad_reset = sigmoid_back(grad_new * state_part, reset)
    to_in = torch.cat([grad_reset, grad_update, grad_new], -1)
    to_state = torch.cat([grad_reset, grad_update, grad_new * reset], -1)
    return to_in, to_state, direct, grad_c


def _rnn_tanh(gates: Tensor, h: Tensor, c: Tensor) -> Cell:
    new = gates.tanh()
    return new, c, new


def _rnn_tanh_back(grad_h: Tensor, grad_c: Tensor, before_h: Tensor, before_c: Tensor, c: Tensor, new: Tensor) -> Cell:
    grad = torch.ops.aten.tanh_backward(grad_h, new)
    return grad, grad, None, grad_c


def _rnn_relu(gates: Tensor, h: Tensor, c: Tensor) -> Cell:
    new = gates.relu()
    return new, c, new


def _rnn_relu_back(grad_h: Tensor, grad_c: Tensor, before_h: Tensor, before_c: Tensor, c: Tensor, new: Tensor) -> Cell:
    grad = torch.ops.aten.threshold_backward(grad_h, new, 0)
    return grad, grad, None, grad_c


KINDS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "lstm": (_lstm, _lstm_back),
    "gru": (_gru, _gru_back),
    "rnn_tanh": (_rnn_tanh, _rnn_tanh_back),
    "rnn_relu": (_rnn_relu, _rnn_relu_back),
}
