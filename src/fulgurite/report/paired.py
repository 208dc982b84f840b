"""Whether two settings differ by more than chance: a paired t-test over the seeds that both were trained with."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Paired:
    """A setting beside another one, seed by seed.

    Attributes:
        difference: mean of the objective minus the other's, over the seeds that both have.
        p: two-sided p-value of the paired t-test, not corrected for the number of settings; ``None`` where the
            differences do not vary, which leaves nothing to test.
        num_pairs: seeds that both have, at least 2.
    """

    difference: float
    p: float | None
    num_pairs: int


def paired(values: Mapping[str, float], others: Mapping[str, float]) -> Paired | None:
    """Compare objectives by seed; ``None`` below two seeds in common.

    Source: Student, "The probable error of a mean", Biometrika 6 (1908).
    """
    differences = [values[seed] - others[seed] for seed in values if seed in others]
    if len(differences) < 2:
        return None
    mean, error = statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(len(differences))
    # Of equal differences rounding leaves a deviation of the size of the last digit.
    varies = error > 1e-12 * max(map(abs, differences), default=0.0)
    return Paired(mean, two_sided_p(mean / error, len(differences) - 1) if varies else None, len(differences))


def two_sided_p(t: float, dof: int) -> float:
    """Probability that Student's t with ``dof`` degrees of freedom is farther from 0 than ``t``.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.7.3 and 26.7.4.
    """
    angle = math.atan(abs(t) / math.sqrt(dof))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = dof % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for power in range(1 if odd else 0, dof - 1, 2):
        total += term
        term *= cosine**2 * (power + 1) / (power + 2)
    inside = (angle + sine * total) * 2 / math.pi if odd else sine * total
    return max(0.0, 1.0 - inside)
