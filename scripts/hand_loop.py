"""The training loop that an expert writes by hand for one model and one data set: what Fulgurite is measured against.

The same network class, tensors, encoding, fused Adam, schedule and metrics as ``train.py``, and nothing else: no
callbacks, no logs, no checkpoints. Everything known to be fast is done: one gather a batch from flat bytes, one fused
operation to normalise, gradients set to None, learning rates worked out before, nothing read back within an epoch.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class HandRun:
    """What a loop did.

    Attributes:
        seconds: CPU seconds of the epochs that count, validation included.
        samples: samples trained on in them.
        metrics: training and validation metrics of the last epoch.
    """

    seconds: float
    samples: int
    metrics: dict[str, float]


def train_by_hand(
    model: nn.Module,
    train: tuple[Tensor, Tensor],
    val: tuple[Tensor, Tensor],
    encode: Callable[[Tensor], Tensor],
    *,
    batch_size: int | None,
    epochs: int,
    lr: float,
    warm_up_epochs: int = 1,
    passes: int = 1,
    classes: bool = True,
) -> HandRun:
    """Train ``model``.

    Args:
        model: the network.
        train: raw samples and targets.
        val: raw samples and targets.
        encode: raw batch to what the network sees.
        batch_size: samples in a batch; ``None`` for all of them.
        epochs: epochs to train.
        lr: peak of the one-cycle schedule.
        warm_up_epochs: epochs at the start that are not timed.
        passes: passes over the data in one epoch.
        classes: targets are classes, not numbers.
    """
    x, y = train[0].reshape(len(train[0]), -1), train[1]
    shape = train[0].shape[1:]
    loss_of = nn.functional.cross_entropy if classes else nn.functional.mse_loss
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    group = optimizer.param_groups[0]
    steps_per_pass = 1 if batch_size is None else len(x) // batch_size
    rates = iter(one_cycle_rates(lr, epochs * passes * steps_per_pass))
    metrics: dict[str, float] = {}
    started, samples = time.process_time(), 0
    for epoch in range(epochs):
        if epoch == warm_up_epochs:
            started, samples = time.process_time(), 0
        losses, outputs, targets = [], [], []
        for index in _batches(len(x), batch_size, passes):
            bx, by = (x, y) if index is None else (x.index_select(0, index), y.index_select(0, index))
            group["lr"] = next(rates)
            output = model(encode(bx.view(-1, *shape)))
            loss = loss_of(output, by)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
            outputs.append(output.detach())
            targets.append(by)
            samples += len(by)
        metrics = {"train/loss": torch.stack(losses).mean().item()}
        metrics |= _scores("train", torch.cat(outputs), torch.cat(targets), classes)
        metrics |= _validate(model, val, encode, loss_of, classes)
    return HandRun(time.process_time() - started, samples, metrics)


def one_cycle_rates(lr: float, num_steps: int) -> list[float]:
    """The learning rate of each step: ``scheduler=one_cycle`` with its defaults."""
    peak = 0.3 * num_steps

    def along(start: float, end: float, position: float) -> float:
        return end + (start - end) * (1 + math.cos(math.pi * min(1.0, position))) / 2

    last = max(1.0, num_steps - 1 - peak)
    return [
        lr * (along(0.04, 1.0, step / peak) if step < peak else along(1.0, 4e-6, (step - peak) / last))
        for step in range(num_steps)
    ]


def _batches(num_samples: int, batch_size: int | None, passes: int) -> Iterator[Tensor | None]:
    for _ in range(passes):
        if batch_size is None:
            yield None
        else:
            yield from torch.randperm(num_samples)[: num_samples // batch_size * batch_size].split(batch_size)


def _validate(
    model: nn.Module,
    val: tuple[Tensor, Tensor],
    encode: Callable[[Tensor], Tensor],
    loss_of: Callable[[Tensor, Tensor], Tensor],
    classes: bool,
) -> dict[str, float]:
    model.eval()
    with torch.inference_mode():
        outputs = torch.cat([model(encode(part)) for part in val[0].split(1000)])
        loss = loss_of(outputs, val[1]).item()
    model.train()
    return {"val/loss": loss, **_scores("val", outputs, val[1], classes)}


def _scores(stage: str, outputs: Tensor, targets: Tensor, classes: bool) -> dict[str, float]:
    if classes:
        return {f"{stage}/acc": (outputs.argmax(1) == targets).float().mean().item()}
    residuals = outputs - targets
    square = residuals.square().mean()
    return {
        f"{stage}/mae": residuals.abs().mean().item(),
        f"{stage}/rmse": square.sqrt().item(),
        f"{stage}/r2": 1 - (square / targets.var(correction=0)).item(),
    }
