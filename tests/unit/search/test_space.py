import math
import statistics

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from fulgurite import config
from fulgurite.errors import ConfigError
from fulgurite.search.domains import Choice, Float, Int
from fulgurite.search.overrides import read_space
from fulgurite.search.space import Space

SHARES = [number / 1000 for number in range(1000)]


def space_of(*overrides: str, **listed) -> Space:
    return read_space(overrides, listed.get("space", {}), OverridesParser.create())[0]


def domain_of(override: str):
    (parameter,) = space_of(override).parameters
    return parameter.domain


@pytest.mark.parametrize(
    ("override", "domain"),
    [
        ("optimizer.lr=tag(log,interval(1e-4,1e-1))", Float(1e-4, 1e-1, log=True)),
        ("model.dropout=interval(0,0.5)", Float(0.0, 0.5)),
        ("a=int(interval(1,10))", Int(1, 10)),
        ("a=tag(log,int(interval(1,100)))", Int(1, 100, log=True)),
        # Hydra's range ends before its second number.
        ("a=range(1,10,2)", Int(1, 9, step=2)),
        ("a=range(0.1,0.5,step=0.1)", Float(0.1, 0.4, step=0.1)),
        (
            "model.activation=choice(relu,gelu)",
            Choice({"relu": ("model.activation=relu",), "gelu": ("model.activation=gelu",)}),
        ),
        (
            "model.hidden=[64],[128,64]",
            Choice({"[64]": ("model.hidden=[64]",), "[128,64]": ("model.hidden=[128,64]",)}),
        ),
        ("+new=1,2", Choice({"1": ("+new=1",), "2": ("+new=2",)})),
    ],
)
def test_hydras_words_for_several_values_are_read(override, domain):
    found = domain_of(override)
    if isinstance(domain, Float) and domain.step is not None:
        assert (found.low, found.high, found.step) == pytest.approx((domain.low, domain.high, domain.step))
    else:
        assert found == domain


@pytest.mark.parametrize(
    ("override", "words"),
    [
        (
            "optimizer.lr=interval(0.1,0.01)",
            "optimizer.lr: the first bound of an interval must be below the second, got 0.1",
        ),
        (
            "optimizer.lr=tag(log,interval(0,0.1))",
            "optimizer.lr: an interval with the tag log needs bounds > 0, got 0.0",
        ),
        ("optimizer.lr=tag(lgo,interval(0.01,0.1))", "the tag of an interval must be log, got lgo"),
        ("launcher.drivers=1,2", "launcher.drivers cannot be varied by a search"),
        ("sweep.num_trials=1,2", "sweep.num_trials cannot be varied by a search"),
    ],
)
def test_what_cannot_be_varied_is_refused(override, words):
    with pytest.raises(ConfigError, match=words):
        space_of(override)


def test_numbers_on_a_log_scale_have_the_logarithms_median():
    drawn = [Float(1e-4, 1.0, log=True).at(share) for share in SHARES]
    assert statistics.median(drawn) == pytest.approx(1e-2, rel=0.01)
    assert min(drawn) == 1e-4
    assert max(drawn) < 1.0


def test_each_whole_number_of_a_range_is_drawn_as_often_as_the_others():
    drawn = [Int(1, 9, step=2).at(share) for share in SHARES]
    assert [drawn.count(number) for number in (1, 3, 5, 7, 9)] == [200] * 5


def test_whole_numbers_on_a_log_scale_have_the_width_of_their_rounding():
    drawn = [Int(1, 4, log=True).at(share) for share in SHARES]
    whole = math.log(4.5 / 0.5)
    assert drawn.count(1) / 1000 == pytest.approx(math.log(1.5 / 0.5) / whole, abs=0.002)
    assert drawn.count(4) / 1000 == pytest.approx(math.log(4.5 / 3.5) / whole, abs=0.002)


def test_a_drawn_number_has_five_digits_and_stays_within_its_bounds():
    assert Float(0.0, 1.0).at(1 / 3) == 0.33333
    assert Float(1.00000001, 2.0).at(0.0) == 1.00000001


CONDITIONAL = {
    "model.hidden": {"values": "[8],[16]", "when": "model=mlp"},
    "model": "mlp,cnn,linear",
    "model.kernel": {"values": [3, 5], "when": ["model=cnn"]},
    "optimizer.momentum": {"values": "choice(0,0.9)", "when": "model=mlp,cnn"},
}


def test_conditional_parameters_count_where_their_condition_holds():
    grid = [dict(setting) for setting in space_of(space=CONDITIONAL).grid()]
    expected = [
        {"model": model, size: value, "optimizer.momentum": momentum}
        for model, size, values in (("mlp", "model.hidden", ("[8]", "[16]")), ("cnn", "model.kernel", ("3", "5")))
        for value in values
        for momentum in ("0", "0.9")
    ]
    assert grid == [*expected, {"model": "linear"}]


def test_a_condition_on_a_key_that_is_typed_is_settled_by_it():
    grid = list(space_of("model=cnn", space=CONDITIONAL).grid())
    assert grid == [
        {"model.kernel": kernel, "optimizer.momentum": momentum} for kernel in ("3", "5") for momentum in ("0", "0.9")
    ]


def test_what_a_typed_key_rules_out_is_not_varied():
    listed = {**CONDITIONAL, "model.stride": {"values": [1, 2], "when": "model.kernel=5"}}
    space = space_of("model=mlp", space=listed)
    assert space.keys == ["model.hidden", "optimizer.momentum"]
    assert all("model.kernel" not in setting for setting in space.probes())
    assert "model.stride" in space_of(space=listed).keys


def test_a_condition_on_an_option_that_a_group_has_not_is_refused():
    config.register()
    with initialize_config_dir(str(config.CONF_DIR), version_base="1.3"):
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        listed = {"model": "mlp,cnn", "model.kernel": {"values": [3, 5], "when": "model=cnnn"}}
        words = r"sweep.space: model.kernel.when: model must be one of cnn, .*; got 'cnnn' \(did you mean cnn\?\)"
        with pytest.raises(ConfigError, match=words):
            read_space([], listed, parser)


def test_zipped_lists_go_together():
    space = space_of(space={"size": {"zip": {"model.hidden": [[8], [16, 8]], "optimizer.lr": [0.1, 0.01]}}})
    assert [space.overrides(setting) for setting in space.grid()] == [
        ["model.hidden=[8]", "optimizer.lr=0.1"],
        ["model.hidden=[16,8]", "optimizer.lr=0.01"],
    ]
    assert space.keys == ["model.hidden", "optimizer.lr"]


def test_an_entry_with_one_value_is_fixed_unless_it_is_typed():
    parser = OverridesParser.create()
    listed = {"optimizer.lr": "interval(0,1)", "model.dropout": 0.1, "seed": 3}
    _, fixed = read_space(["seed=5"], listed, parser)
    assert fixed == ["seed=5", "model.dropout=0.1"]


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ({"a": {"vlaues": [1, 2]}}, r"sweep.space: a has the key vlaues \(did you mean values\?\)"),
        ({"a": {"when": "b=1"}}, "sweep.space: a needs values or zip, and not both"),
        (
            {"a": {"values": [1, 2], "when": "b"}},
            "sweep.space: a.when must be such as model=cnn, or a list of such, got b",
        ),
        (
            {"model": [1, 2], "a": {"values": [1, 2], "when": "modle=1"}},
            r"modle is neither varied nor set \(did you mean model\?\)",
        ),
        ({"a": {"zip": {"b": [1, 2], "c": [1]}}}, "the lists of a.zip must be of one length: b has 2, c has 1"),
        ({"a": {"zip": {"b": 1}}}, "a.zip needs a list for each of its keys"),
        ({"a": []}, r"a needs at least one value, got \[\]"),
        ({"a": "interval(1"}, r"cannot read a=interval\(1"),
        (
            {"a": {"values": [1, 2], "when": "b=1"}, "b": {"values": [1, 2], "when": "a=1"}},
            "sweep.space: a and b wait for each other by their when",
        ),
        ({"a": [1, 2], "b": {"zip": {"a": [1, 2]}}}, "a is varied twice in the search"),
    ],
)
def test_mistakes_in_the_listed_space_are_told(listed, words):
    with pytest.raises(ConfigError, match=words):
        space_of(space=listed)


def test_probes_meet_each_extreme_and_option_with_its_conditions():
    probes = [" ".join(space_of(space=CONDITIONAL).overrides(each)) for each in space_of(space=CONDITIONAL).probes()]
    for override in (
        "model=linear",
        "model=cnn model.kernel=5",
        "model=mlp model.hidden=[16]",
        "optimizer.momentum=0.9",
    ):
        assert any(override in probe for probe in probes), override
    assert not any("model=linear model." in probe or "model=cnn model.hidden" in probe for probe in probes)


def test_an_interval_has_no_grid():
    with pytest.raises(ConfigError, match="optimizer.lr is an interval, which has no grid"):
        list(space_of("optimizer.lr=interval(0,1)").grid())
