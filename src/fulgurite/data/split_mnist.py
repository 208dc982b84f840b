"""Split MNIST: the ten digits as five tasks of two, learned one after the other by one network of ten outputs.

Sources: Zenke, Poole and Ganguli, "Continual learning through synaptic intelligence" (2017) for the data; van de Ven,
Tuytelaars and Tolias, "Three types of incremental learning" (2022), of which this is the class-incremental one.
"""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fulgurite.data.in_memory import Part
from fulgurite.data.mnist import MNIST
from fulgurite.data.task_sequence import METHODS, TaskSequence
from fulgurite.errors import ConfigError, check_choice, check_fraction, check_int

log = logging.getLogger(__name__)


class SplitMNIST(MNIST):
    """MNIST whose training samples come task by task; validation and test part hold all digits.

    What is learned later makes a network forget what it learned before: McCloskey and Cohen, "Catastrophic
    interference in connectionist networks" (1989); French, "Catastrophic forgetting in connectionist networks" (1999).

    Args:
        method: ``naive``, ``replay`` or ``joint``; see ``TaskSequence``.
        tasks: the digits of each task, in the order of learning; each digit in one of them.
        num_epochs: of the run, shared out evenly to the tasks; the config takes it from ``trainer.max_epochs``.
        memory: samples that ``replay`` keeps.
        replay_share: what part of a batch ``replay`` draws from them, in [0, 1).
        options: see ``MNIST``; batches are always full, so there is no ``drop_last``.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    after_loading = (*MNIST.after_loading, "method", "tasks", "num_epochs", "memory", "replay_share")

    def __init__(
        self,
        method: str = "naive",
        tasks: Sequence[Sequence[int]] = ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9)),
        num_epochs: int = 5,
        memory: int = 2000,
        replay_share: float = 0.5,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if self.batch_size is None:
            raise ConfigError("batch_size must be an integer >= 1 for tasks that come one after the other, got None")
        self.method = check_choice("method", method, METHODS)
        self.tasks = _checked_tasks(tasks, self.spec.num_outputs)
        self.num_epochs = check_int("num_epochs", num_epochs)
        self.memory = check_int("memory", memory)
        self.replay_share = check_fraction("replay_share", replay_share)

    @property
    def task_names(self) -> list[str]:
        """The digits of each task: ``01``, ``23`` ..."""
        return ["".join(map(str, task)) for task in self.tasks]

    def task_of(self, digits: Tensor) -> Tensor:
        """The number of the task that each digit belongs to, N to N."""
        table = torch.empty(self.spec.num_outputs, dtype=torch.int64)
        for number, task in enumerate(self.tasks):
            table[list(task)] = number
        return table.to(digits.device)[digits]

    def last_epochs(self) -> list[int]:
        """The last epoch of each task, counted from 1; 0 for one that the run is too short for."""
        ends = {epoch * len(self.tasks) // self.num_epochs: epoch + 1 for epoch in range(self.num_epochs)}
        return [ends.get(number, 0) for number in range(len(self.tasks))]

    def curriculum(self, train: Part) -> TaskSequence:
        """The tasks in their order."""
        assert self.batch_size is not None
        if self.num_epochs % len(self.tasks):
            log.warning(
                "data.num_epochs=%d (trainer.max_epochs) cannot be shared out evenly to %d tasks; use a multiple of %d",
                self.num_epochs,
                len(self.tasks),
                len(self.tasks),
            )
        return TaskSequence(
            self.task_of(train.y),
            len(self.tasks),
            self.num_epochs,
            self.method,
            self.memory,
            self.replay_share,
            self.batch_size,
            self.seed,
        )


def _checked_tasks(tasks: Any, num_classes: int) -> list[list[int]]:
    """Tasks that hold each class once.

    Raises:
        ConfigError: otherwise.
    """
    listed = [_listed(task) for task in _listed(tasks)]
    digits = sum(listed, [])
    if all(listed) and all(type(each) is int for each in digits) and sorted(digits) == list(range(num_classes)):
        return listed
    raise ConfigError(
        f"tasks must be lists that hold each of the classes 0 to {num_classes - 1} once, such as "
        f"[[0,1],[2,3],[4,5],[6,7],[8,9]], got {tasks!r}"
    )


def _listed(value: Any) -> list[Any]:
    """The parts of a list; none of anything else."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
