"""Take measures of finished runs, and keep them beside the runs, so that none is taken twice."""

import json
from collections.abc import Sequence
from hashlib import sha256
from importlib import import_module
from pathlib import Path

from fulgurite.reproduce.measures import MEASURES
from fulgurite.result import FILE_NAME, write_atomically

Values = dict[str, float]
# A finished run's folder and its seed.
Run = tuple[Path, str]


def take(name: str, folder: Path, runs: Sequence[Run]) -> list[str]:
    """Take a measure of all runs that are without it; what went wrong, a line each.

    Args:
        name: of the measure.
        folder: of the sweep.
        runs: the finished ones.
    """
    measure = MEASURES[name]
    wrong = []
    for place, group in _groups(name, folder, runs):
        if _kept(place, group) is not None:
            continue
        try:
            module, _, function = measure.function.rpartition(".")
            values = getattr(import_module(module), function)(group if measure.of_seed else group[0])
            _keep(place, group, {key: float(value) for key, value in values.items()})
        except Exception as error:
            wrong.append(f"measure {name} of {group[0].name}: {type(error).__name__}: {error}")
    return wrong


def measured(name: str, folder: Path, runs: Sequence[Run]) -> list[Values]:
    """What the measure gave for each run, nothing where it was not taken.

    Of a measure of all runs of a seed the first of them has it.

    Args:
        name: of the measure; may be empty.
        folder: of the sweep.
        runs: the finished ones.
    """
    found: dict[Path, Values] = {}
    for place, group in _groups(name, folder, runs) if name else []:
        found[group[0]] = _kept(place, group) or {}
    return [found.get(run, {}) for run, _ in runs]


def _groups(name: str, folder: Path, runs: Sequence[Run]) -> list[tuple[Path, list[Path]]]:
    """Where each value of a measure is kept, and the runs that it is of."""
    if not MEASURES[name].of_seed:
        return [(run / "measures" / f"{name}.json", [run]) for run, _ in runs]
    seeds = dict.fromkeys(seed for _, seed in runs)
    return [
        (folder / "measures" / f"{name}_seed-{seed}.json", [run for run, own in runs if own == seed]) for seed in seeds
    ]


def _keep(place: Path, runs: Sequence[Path], values: Values) -> None:
    place.parent.mkdir(exist_ok=True)
    write_atomically(place, json.dumps({"of": _digest(runs), "values": values}, indent=2, allow_nan=False) + "\n")


def _kept(place: Path, runs: Sequence[Path]) -> Values | None:
    """The values that are kept there, when they are of these very runs."""
    try:
        told = json.loads(place.read_text(encoding="utf-8"))
        values = {str(key): float(value) for key, value in told["values"].items()}
        return values if told["of"] == _digest(runs) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _digest(runs: Sequence[Path]) -> str:
    """Of the runs' records: a run that was trained again is another."""
    digest = sha256()
    for run in sorted(runs):
        digest.update((run / FILE_NAME).read_bytes())
    return digest.hexdigest()[:16]
