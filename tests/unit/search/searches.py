"""What tests of searches share: settings and a small space."""

from hydra.core.override_parser.overrides_parser import OverridesParser

from fulgurite.search.overrides import read_space
from fulgurite.search.settings import Goal, Settings
from fulgurite.search.space import Space

SETTINGS = Settings(
    sampler="tpe",
    sampler_options={},
    num_trials=30,
    seed=0,
    constraints=(),
    goals=(Goal("val/acc", "max"),),
    pruner="none",
    pruner_options={},
    max_epochs=9,
    repeats=1,
    first_seed=0,
    racing=True,
    storage="journal",
    num_workers=1,
    retries=1,
)
OVERRIDES = ["x=interval(-1,1)", "y=tag(log,interval(1e-4,1))", "n=int(interval(1,5))"]


def space_of(*overrides: str, listed=None) -> Space:
    return read_space(overrides or OVERRIDES, listed or {}, OverridesParser.create())[0]
