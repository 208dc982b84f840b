import pytest

from fulgurite.errors import ConfigError
from fulgurite.search.constraints import Constraint

CHOSEN = {"optimizer.lr": "1e-3", "data.batch_size": "64", "model.hidden": "[128,64]", "model": "mlp"}


@pytest.mark.parametrize(
    ("text", "is_met"),
    [
        ("optimizer.lr * data.batch_size < 0.1", True),
        ("optimizer.lr * data.batch_size < 0.05", False),
        ("model.hidden[0] >= model.hidden[1]", True),
        ("model.hidden[-1] > 64", False),
        ("len(model.hidden) == 2 and max(model.hidden) <= 128", True),
        ("not model == 'mlp' or optimizer.lr > 1", False),
        ("0 < optimizer.lr < 1e-3", False),
        ("(data.batch_size + 6) // 7 % 3 - 1 == 0 and model in_ == 1", None),
    ],
)
def test_a_constraint_is_computed(text, is_met):
    if is_met is None:
        with pytest.raises(ConfigError, match="cannot read"):
            Constraint(text, CHOSEN)
    else:
        assert Constraint(text, CHOSEN).is_met(CHOSEN) is is_met


def test_a_setting_without_one_of_the_keys_meets_it():
    assert Constraint("model.kernel < 5", {"model.kernel"}).is_met({"model": "mlp"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "optimizer.lrr < 1",
            r"speaks of optimizer.lrr, which is neither varied nor set \(did you mean optimizer.lr\?\)",
        ),
        ("__import__('os').system('true')", "may hold keys"),
        ("model.hidden.append(1)", "may hold keys"),
        ("[x for x in model.hidden]", "may hold keys"),
        ("1 < 2", "speaks of no key"),
        ("optimizer.lr <", "cannot read"),
    ],
)
def test_what_is_no_constraint_is_refused(text, words):
    with pytest.raises(ConfigError, match=words):
        Constraint(text, CHOSEN)


def test_one_that_cannot_be_computed_says_for_which_values():
    with pytest.raises(ConfigError, match=r"cannot be computed for model.hidden=\[128, 64\]: list index out of range"):
        Constraint("model.hidden[2] > 1", CHOSEN).is_met(CHOSEN)
