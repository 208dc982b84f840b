"""``fulgurite diff``: what two runs, or two sweeps, have other than each other, and what came of it. Without torch."""

import argparse
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from fulgurite import config
from fulgurite.errors import ConfigError
from fulgurite.leaves import deciding_leaves
from fulgurite.places import named_place
from fulgurite.replay.run_folder import read_config
from fulgurite.report.beside import Pair, code_of_runs, of_runs, of_sweeps, print_pairs
from fulgurite.report.collect import collect
from fulgurite.report.leaderboard import nearest
from fulgurite.report.runs import is_run, is_sweep
from fulgurite.result import read_result
from fulgurite.sweep.record import recorded_base, recorded_values

_EXAMPLES = """examples:
  fulgurite diff outputs/mnist/RUN outputs/mnist/RUN
  fulgurite diff night/JOB night/JOB         two jobs of a sweep
  fulgurite diff night day                   two sweeps"""
_SAME = "the same config; where it lands, loggers, launcher, sweep and progress bar are not compared"
_ABSENT = "absent"
# A value that is that of another key, and no name of a run or the like.
_INTERPOLATION = re.compile(r"\$\{[\w.]+\}")


def main(words: Sequence[str]) -> int:
    """Print the difference; returns the exit code.

    Raises:
        FulguriteError: when there is no such run or sweep, one is damaged, or a run is to be compared to a sweep.
    """
    parser = argparse.ArgumentParser(
        prog="fulgurite diff",
        description="Show the keys of the config that two runs, or two sweeps, differ in, and their results.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name in ("A", "B"):
        parser.add_argument(name, help="a run or a sweep: its folder, or its name")
    args = parser.parse_args(words)
    one, other = named_place(args.A), named_place(args.B)
    kinds = _kind(one), _kind(other)
    if kinds[0] != kinds[1]:
        raise ConfigError(
            f"diff takes two runs or two sweeps; {one} is a {kinds[0]} and {other} a {kinds[1]}: give one of its jobs"
        )
    print(f"A  {nearest(one)}\nB  {nearest(other)}", flush=True)
    sections = _of_runs(one, other) if kinds[0] == "run" else _of_sweeps(one, other)
    if not sections["config"]:
        print(_SAME)
    print_pairs(sections)
    return 0


def changed(one: Mapping[str, Any], other: Mapping[str, Any], hidden: Collection[str] = ()) -> list[Pair]:
    """The dotted keys whose values differ, by name; a key that one of them does not have is ``absent`` there.

    Args:
        one: values by dotted key.
        other: the other's.
        hidden: keys that are left out.
    """
    keys = sorted({*one, *other} - {*hidden})
    values = [(key, one.get(key, _ABSENT), other.get(key, _ABSENT)) for key in keys]
    return [Pair(key, str(was), str(now)) for key, was, now in values if was != now]


def _kind(folder: Path) -> str:
    if is_run(folder):
        return "run"
    if is_sweep(folder):
        return "sweep"
    raise ConfigError(f"{folder} is neither a run nor a sweep; fulgurite ls {folder} shows those in it")


def _of_runs(one: Path, other: Path) -> dict[str, list[Pair]]:
    results = read_result(one), read_result(other)
    return {
        "config": changed(_config(one), _config(other), _derived(one, other)),
        "code": code_of_runs(*results),
        "results": of_runs(*results),
    }


def _config(folder: Path) -> dict[str, Any]:
    cfg = read_config(folder)
    cfg.folder = str(folder)
    return dict(deciding_leaves(config.resolve(cfg)))


def _derived(one: Path, other: Path) -> set[str]:
    """Keys whose values are in both runs those of another key, such as ``data.seed``: to show the other is enough."""
    own, theirs = _interpolations(one), _interpolations(other)
    return {key for key, value in own.items() if theirs.get(key) == value}


def _interpolations(folder: Path) -> dict[str, str]:
    try:
        text = (folder / ".hydra" / "config.yaml").read_text(encoding="utf-8")
        raw = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return {
        key: value for key, value in deciding_leaves(raw) if isinstance(value, str) and _INTERPOLATION.fullmatch(value)
    }


def _of_sweeps(one: Path, other: Path) -> dict[str, list[Pair]]:
    swept = {key for folder in (one, other) for key in recorded_values(folder)}
    was, now = (_fixed(folder, swept) | recorded_values(folder) for folder in (one, other))
    jobs = [next(folder.glob("*/.hydra"), folder).parent for folder in (one, other)]
    return {"config": changed(was, now, _derived(*jobs)), "results": of_sweeps(collect(one), collect(other))}


def _fixed(folder: Path, swept: set[str]) -> dict[str, Any]:
    """What the config of a sweep's first job holds, without what one of the two sweeps varies and it does not."""
    own = recorded_values(folder)
    # A group that is varied, such as model, takes its keys along.
    groups = tuple(f"{key}." for key in swept)
    known = dict(deciding_leaves(recorded_base(folder)))
    return {key: value for key, value in known.items() if key not in own and not key.startswith(groups)}
