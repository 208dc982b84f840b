"""Measures of finished runs that training does not take: which there are, and the functions that take them.

A measure of a run is ``measure(run: Path) -> Mapping[str, float]`` and gets the run's folder. A measure of all runs of
one seed is ``measure(runs: Sequence[Path]) -> Mapping[str, float]``, as an ensemble needs it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """A measure.

    Attributes:
        function: its dotted name; imported when it is needed.
        of_seed: it gets the folders of all runs of one seed, not one folder.
    """

    function: str
    of_seed: bool = False


MEASURES = {
    "backquery": Measure("fulgurite.replay.backquery.measure"),
    "own_digits": Measure("fulgurite.replay.own_digits.measure"),
    "coefficients": Measure("fulgurite.replay.coefficients.measure"),
    "ensemble": Measure("fulgurite.replay.ensemble.measure", of_seed=True),
}
