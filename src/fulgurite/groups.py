"""Which jobs are built together: those whose configs differ in nothing but numbers that a program can take apart."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

# What members of one program may differ in whatever it is. Folders and names say which job it is.
_FREE = (
    "augmentation",
    "callbacks",
    "checkpoint",
    "folder",
    "hydra",
    "launcher",
    "logger",
    "output_root",
    "scheduler",
    "seed",
    "sweep",
)


def groups(configs: Sequence[DictConfig], max_members: int) -> list[list[int]]:
    """Numbers of jobs, those that belong together in one list of at most ``max_members``."""
    alike: dict[str, list[int]] = {}
    for number, cfg in enumerate(configs):
        try:
            structure = structure_of(cfg)
        except OmegaConfBaseException:
            # A value that cannot be resolved: told when the job is built.
            structure = str(number)
        alike.setdefault(structure, []).append(number)
    return [
        members[start : start + max_members]
        for members in alike.values()
        for start in range(0, len(members), max_members)
    ]


def shares(configs: Sequence[DictConfig], max_members: int, num_drivers: int) -> list[list[list[int]]]:
    """The groups of each of ``num_drivers`` processes: of each kind of job a part that is as large as the others'.

    What cannot be shared out evenly goes to those that have least.
    """
    parts: list[list[list[int]]] = [[] for _ in range(num_drivers)]
    for alike in groups(configs, max(1, len(configs))):
        at_least, left = divmod(len(alike), num_drivers)
        loads = [sum(map(len, part)) for part in parts]
        more = sorted(range(num_drivers), key=lambda own: loads[own])[:left]
        start = 0
        for own, part in enumerate(parts):
            end = start + at_least + (own in more)
            part += [alike[first : min(first + max_members, end)] for first in range(start, end, max_members)]
            start = end
    return parts


def structure_of(cfg: DictConfig) -> str:
    """Equal for configs that may give members of one program: the same but for numbers, and for what needs no equal."""
    nodes = {str(key): cfg[key] for key in cfg if key not in _FREE}
    plain = {
        key: OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        for key, node in nodes.items()
    }
    if "optimizer" in plain:
        plain["optimizer"] = _as_floats(plain["optimizer"])
    return repr(_without_floats(plain))


def _as_floats(node: object) -> object:
    """Numbers of an optimiser as floats: a learning rate of 1 beside one of 0.5."""
    if not isinstance(node, dict):
        return node
    return {key: float(each) if type(each) is int else each for key, each in node.items()}


def _without_floats(value: object) -> object:
    if isinstance(value, dict):
        return [(key, _without_floats(each)) for key, each in sorted(value.items()) if key not in _FREE]
    if isinstance(value, list):
        return [_without_floats(each) for each in value]
    # A weight_decay of 0 beside one of 0.01.
    return float if isinstance(value, float) or value == 0 else value
