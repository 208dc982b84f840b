"""Logic gates: truth tables of two inputs, or one.

A gate has no more than its table, so the same rows train, choose and test: what is measured is whether a network can
represent the gate and finds it. Source: Minsky and Papert, "Perceptrons" (1969), on XOR.
"""

from typing import Any

import torch

from fulgurite.data.in_memory import InMemoryData, Part
from fulgurite.errors import ConfigError, check_choice

# Outputs for the inputs in binary order: 00, 01, 10, 11; of NOT: 0, 1.
TABLES = {"and": (0, 0, 0, 1), "or": (0, 1, 1, 1), "xor": (0, 1, 1, 0), "not": (1, 0)}


class Logic(InMemoryData):
    """The truth table of a gate: inputs 0 and 1 as floats, the output as class 0 or 1.

    Args:
        gate: ``and``, ``or``, ``xor`` or ``not``.
        options: see ``InMemoryData``.

    Raises:
        ConfigError: naming the argument, its value and what is allowed.
    """

    def __init__(self, gate: str = "xor", **options: Any) -> None:
        super().__init__(**options)
        self.gate = check_choice("gate", gate, TABLES)
        num_inputs = 1 if gate == "not" else 2
        if self.spec.input_shape != (num_inputs,):
            raise ConfigError(
                f"spec.input_shape must be [{num_inputs}] for gate={gate}, got {list(self.spec.input_shape)}; "
                "leave data.spec.input_shape to data.gate"
            )

    def load_train(self) -> tuple[Part, Part]:
        """The whole table, twice."""
        return self._table(), self._table()

    def load_test(self) -> Part:
        """The whole table."""
        return self._table()

    def _table(self) -> Part:
        y = torch.tensor(TABLES[self.gate])
        bits = torch.tensor([0.0, 1.0])
        x = bits.unsqueeze(1) if self.gate == "not" else torch.cartesian_prod(bits, bits)
        return Part(x, y)
