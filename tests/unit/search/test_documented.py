"""What docs/search.md shows is what the search reads."""

import re
from pathlib import Path

import pytest
import yaml
from searches import space_of

from fulgurite.search.constraints import Constraint
from fulgurite.search.settings import OPTUNA, OWN, PRUNERS

PAGE = (Path(__file__).parents[3] / "docs" / "search.md").read_text(encoding="utf-8")


def test_the_listed_space_is_read_with_its_conditions_and_constraints():
    (block,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    sweep = yaml.safe_load(block)["sweep"]
    space = space_of("trainer=cpu", listed=sweep["space"])
    assert [parameter.name for parameter in space.parameters] == [
        "optimizer.lr",
        "model",
        "model.hidden",
        "model.kernel",
        "batch",
    ]
    (constraint,) = (Constraint(each, space.keys) for each in sweep["constraints"])
    met = [constraint.is_met(space.chosen(setting)) for setting in space.probes()]
    # The highest rate beside the default batch of 64 is 6.4, and the largest batch beside the lowest rate 0.03.
    assert met == [True] * len(met)


@pytest.mark.parametrize("name", [*OWN, *OPTUNA])
def test_each_sampler_is_in_the_table(name):
    assert f"| `{name}` |" in PAGE


@pytest.mark.parametrize("name", PRUNERS)
def test_each_pruner_is_named(name):
    assert f"`{name}`" in PAGE


def test_each_override_of_the_tables_is_read():
    typed = [
        word for line in PAGE.splitlines() if line.startswith("| `") for word in re.findall(r"`([\w.]+=[^`]+)`", line)
    ]
    varied = [word for word in typed if not word.startswith("sweep")]
    assert len(varied) > 5
    assert all(space_of(word).parameters for word in varied if "launcher" not in word)
