"""Which jobs are built together: those whose configs differ in nothing but numbers that a program can take apart."""

from collections.abc import Sequence

from omegaconf import DictConfig, OmegaConf


def groups(configs: Sequence[DictConfig], max_members: int) -> list[list[int]]:
    """Numbers of jobs, those that belong together in one list of at most ``max_members``."""
    alike: dict[str, list[int]] = {}
    for number, cfg in enumerate(configs):
        alike.setdefault(structure(cfg), []).append(number)
    return [
        members[start : start + max_members]
        for members in alike.values()
        for start in range(0, len(members), max_members)
    ]


def structure(cfg: DictConfig) -> str:
    """Equal for configs that may give members of one program."""
    model = OmegaConf.to_container(cfg.model, resolve=False)
    return repr(_without_floats(model))


def _without_floats(value: object) -> object:
    if isinstance(value, dict):
        return [(key, _without_floats(each)) for key, each in sorted(value.items())]
    if isinstance(value, list):
        return [_without_floats(each) for each in value]
    return float if isinstance(value, float) else value
