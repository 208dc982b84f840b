import pytest

from fulgurite.board.values import kind_of, text_of, value_of

CONFIG = {"seed": 0, "model": {"hidden": [512, 512], "bias": True, "name": None, "dropout": 0.1}}


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1e-3", "0.01", "1"], "number"),
        (["true", "False"], "bool"),
        (["relu", "tanh"], "text"),
        (["[8]", "[8,4]"], "text"),
        (["0.1", "null"], "text"),
        (["1", "-"], "text"),
        (["1", "true"], "text"),
        (["0.1", "inf"], "text"),
        ([], "text"),
    ],
)
def test_a_column_is_of_the_kind_that_all_its_values_can_be(texts, kind):
    assert kind_of(texts) == kind


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["model.dropout=0.5"], "0.5"),
        (["model.dropout=0.5", "+model.dropout=0.7"], "0.7"),
        (["model.dropout='0.5'"], "0.5"),
        (["model.dropout='it\\'s'"], "it's"),
        (["model.dropout=\"a 'b'\""], "a 'b'"),
        (["model.dropout='"], "'"),
        (["model.dropout=a=b"], "a=b"),
        (["~model.dropout"], "0.1"),
        ([], "0.1"),
    ],
)
def test_what_was_typed_last_counts_before_what_was_composed(overrides, text):
    assert text_of("model.dropout", overrides, CONFIG) == text


@pytest.mark.parametrize(
    ("key", "text"),
    [("seed", "0"), ("model.hidden", "[512,512]"), ("model.bias", "true"), ("model.name", "null")],
)
def test_a_composed_value_reads_as_if_it_were_typed(key, text):
    assert text_of(key, [], CONFIG) == text


@pytest.mark.parametrize("key", ["model", "model.kernel", "seed.kernel", "optimizer.lr"])
def test_a_job_without_a_key_has_no_value_of_it(key):
    assert text_of(key, [], CONFIG) is None


def test_values_are_of_the_kind_of_their_column():
    assert value_of("1e-3", "number") == 0.001
    assert value_of("1e-3", "text") == "1e-3"
    assert value_of("True", "bool") is True
    assert value_of("false", "bool") is False


def test_only_a_text_can_stand_for_a_value_that_is_not_there():
    assert value_of(None, "text") == "-"
    assert value_of(None, "number") is None
    assert value_of(None, "bool") is None
