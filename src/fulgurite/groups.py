"""Which jobs are built together: those whose configs differ in nothing but numbers that a program can take apart."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf

# What members of one program may differ in whatever it is. Folders and names say which job it is.
_FREE = ("hydra", "folder", "seed", "output_root", "launcher", "logger", "callbacks", "scheduler", "augmentation")


def groups(configs: Sequence[DictConfig], max_members: int) -> list[list[int]]:
    """Numbers of jobs, those that belong together in one list of at most ``max_members``."""
    alike: dict[str, list[int]] = {}
    for number, cfg in enumerate(configs):
        alike.setdefault(structure_of(cfg), []).append(number)
    return [
        members[start : start + max_members]
        for members in alike.values()
        for start in range(0, len(members), max_members)
    ]


def structure_of(cfg: DictConfig) -> str:
    """Equal for configs that may give members of one program: the same but for numbers, and for what needs no equal."""
    nodes = {str(key): cfg[key] for key in cfg if key not in _FREE}
    plain = {
        key: OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
        for key, node in nodes.items()
    }
    return repr(_without_floats(plain))


def _without_floats(value: object) -> object:
    if isinstance(value, dict):
        return [(key, _without_floats(each)) for key, each in sorted(value.items()) if key not in _FREE]
    if isinstance(value, list):
        return [_without_floats(each) for each in value]
    # A weight_decay of 0 beside one of 0.01.
    return float if isinstance(value, float) or value == 0 else value
