"""What follows a network's last layer, and what its outputs mean.

===========  =============================================  ==========================================================
head         for                                            output
===========  =============================================  ==========================================================
``none``     all tasks                                      logits, or a number of any size
``softmax``  classes, with a loss of numbers                shares of 1
``sigmoid``  classes and labels, with a loss of numbers     numbers in (0, 1)
``sigmoid``  regression                                     numbers in (target_low, target_high)
``tanh``     classes, with a loss of numbers                numbers in (-1, 1)
``tanh``     regression                                     numbers in (target_low, target_high)
``softplus`` regression on positive numbers                 positive numbers, about proportional to the input
``relu``     regression on positive numbers                 positive numbers or 0; where it is 0, nothing is learned
===========  =============================================  ==========================================================

A number is always in the unit of the targets: scaling is undone here, before loss, metrics and predictions.
Source: Géron, "Hands-on machine learning" (2nd edition, 2019), tables 10-1 and 10-2.
Shapes: B batch, C outputs (``spec.num_outputs``).
"""

import torch
from torch import Tensor
from torch.nn import functional

from fulgurite.spec import DataSpec


def apply_head(spec: DataSpec, raw: Tensor) -> Tensor:
    """What the last layer says (B x C) to the model's output (B x C)."""
    if spec.task == "regression":
        return _number(spec, raw)
    if spec.head == "softmax":
        return raw.softmax(dim=-1)
    if spec.head == "none":
        return raw
    return torch.sigmoid(raw) if spec.head == "sigmoid" else torch.tanh(raw)


def to_probabilities(spec: DataSpec, output: Tensor) -> Tensor:
    """A model's output as probabilities: of classes, which sum to 1, or of each label by itself.

    The bounded outputs of classes by ``sigmoid`` and ``tanh`` are no probabilities by themselves; they are taken as
    shares of their sum.
    """
    if spec.task in ("binary", "multilabel"):
        return torch.sigmoid(output) if spec.head == "none" else output
    if spec.head == "none":
        return output.softmax(dim=-1)
    shares = (output + 1) / 2 if spec.head == "tanh" else output
    return shares / shares.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(shares.dtype).tiny)


def to_scores(spec: DataSpec, output: Tensor) -> Tensor:
    """A model's output for classes as scores whose softmax is their probabilities; of ``binary`` for no and yes, B x 2.

    Raises:
        ValueError: for another task.
    """
    if spec.task not in ("classification", "binary"):
        raise ValueError(f"outputs of {spec.task} tell no classes apart")
    if spec.head == "none":
        return output if spec.task == "classification" else torch.cat([torch.zeros_like(output), output], dim=-1)
    shares = to_probabilities(spec, output)
    shares = shares if spec.task == "classification" else torch.cat([1 - shares, shares], dim=-1)
    return shares.clamp(min=torch.finfo(shares.dtype).tiny).log()


def to_labels(spec: DataSpec, output: Tensor) -> Tensor:
    """A model's output for ``binary`` or ``multilabel`` as 0 and 1."""
    return (output > (0.0 if spec.head == "none" else 0.5)).long()


def _number(spec: DataSpec, raw: Tensor) -> Tensor:
    mean, std = spec.target_mean, spec.target_std
    if spec.head in ("sigmoid", "tanh"):
        assert spec.target_low is not None
        assert spec.target_high is not None
        share = torch.sigmoid(raw) if spec.head == "sigmoid" else (torch.tanh(raw) + 1) / 2
        return spec.target_low + (spec.target_high - spec.target_low) * share
    if spec.head == "none":
        return raw * std + mean
    # Shifted, so that a network starts near the mean of the targets, not at the dead end of the function.
    bend = functional.softplus if spec.head == "softplus" else functional.relu
    return bend(raw + mean / std) * std
