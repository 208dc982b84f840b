"""The rows of the table: what is read, what is refused, and that the shipped ones can be run."""

import textwrap
from collections.abc import Sequence
from importlib import import_module

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from fulgurite import config
from fulgurite.config import CONF_DIR
from fulgurite.errors import ConfigError
from fulgurite.reproduce.goals import Goal
from fulgurite.reproduce.measures import MEASURES
from fulgurite.reproduce.rows import Line, Row, read_topics
from fulgurite.reproduce.standing import matches
from fulgurite.reproduce.words import train_command, train_words
from fulgurite.search.prepare import prepare as prepare_search
from fulgurite.sweep import prepare

TOPIC = """\
title: Small
rows:
  one:
    what: a network
    source: a book
    words: [model=mlp]
    seeds: 3
    lines:
      - metric: test/acc
"""


def is_search(row: Row) -> bool:
    """Whether the jobs are known only when the row is composed."""
    return any(word.startswith("sweep=") for word in row.words)


SHIPPED = {row.name: row for topic in read_topics() for row in topic.rows}


@pytest.fixture
def read(tmp_path):
    """Read a topic from its text; further texts are further files."""

    def topics(*texts: str):
        for name, text in zip("abc", texts, strict=False):
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        return read_topics(tmp_path)

    return topics


def test_a_row_is_read_with_all_of_its_keys(read):
    text = """\
    title: All
    rows:
      one:
        what: a network
        source: a book
        words: [model=mlp, "loss=mse,l1"]
        seeds: 5
        gpu: true
        figure: viz_outputs/plane
        after: backquery
        note: noisy
        lines:
          - {name: mse, where: [loss=mse], metric: test/mae, statistic: max, unit: pixels, document: 0.5 px,
             goal: {at_most: 0.5}, stretch: {at_most: 1e-1}}
          - {name: share, metric: test/acc, statistic: {share_at_least: 1.0}, goal: {between: [0.5, 1]}}
    """
    (topic,) = read(textwrap.dedent(text))
    assert topic.title == "All"
    mse = Line("test/mae", "mse", ("loss=mse",), "max", 0.0, "pixels", "0.5 px", Goal(high=0.5), Goal(high=0.1))
    share = Line("test/acc", "share", statistic="share", least=1.0, goal=Goal(0.5, 1.0))
    words = ("model=mlp", "loss=mse,l1")
    expected = Row(
        "one", "a network", "a book", words, 5, (mse, share), True, "viz_outputs/plane", "backquery", "noisy"
    )
    assert topic.rows == (expected,)


def test_what_may_be_absent_has_a_default(read):
    ((row,),) = (topic.rows for topic in read(TOPIC))
    assert row == Row("one", "a network", "a book", ("model=mlp",), 3, (Line("test/acc"),))


REFUSED = {
    "seeds: 2": ("seeds: 3", r"a.yaml: rows: one: seeds must be an integer >= 3, got 2"),
    "seedz: 3": ("seeds: 3", r"one: there is no key seedz \(did you mean seeds\?\); the keys are what, source, words"),
    "source: 7": ("source: a book", r"one: source must be a text of one line, got 7"),
    "words: model=mlp": ("words: [model=mlp]", r"words must be a list of words such as \[experiment=rashid_200\], got"),
    "words: [seed=1]": ("words: [model=mlp]", r"words must be overrides such as .* got 'seed=1'"),
    "words: [-m]": ("words: [model=mlp]", r"got '-m'"),
    "gpu: 1\n    seeds: 3": ("seeds: 3", r"one: gpu must be true or false, got 1"),
    "after: backqery\n    seeds: 3": ("seeds: 3", r"one: after must be one of .* \(did you mean backquery\?\)"),
    "- {}": ("- metric: test/acc", r"one: lines\[0\]: metric is missing"),
    "- {metric: a, unit: inch}": ("- metric: test/acc", r"lines\[0\]: unit must be one of percent, pixels; got 'inch'"),
    "- {metric: a, statistic: median}": (
        "- metric: test/acc",
        r"statistic must be one of max, mean, min; got 'medi",
    ),
    "- {metric: a, statistic: {share: 1}}": (
        "- metric: test/acc",
        r"statistic: there is no key share; the",
    ),
    "- {metric: a, where: [fast]}": ("- metric: test/acc", r"where must be words such as .* got 'fast'"),
    "- {metric: a, goal: {at_least: high}}": (
        "- metric: test/acc",
        r"lines\[0\]: goal: at_least must be a number, got 'high'",
    ),
    "- {metric: a, goal: {above: 1}}": ("- metric: test/acc", r"goal: there is no key above"),
    "- {metric: a, goal: {}}": ("- metric: test/acc", r"goal: must be one of at_least, .* got nothing"),
    "- {metric: a, goal: {between: [1]}}": ("- metric: test/acc", r"between must be two numbers such as .* got \[1\]"),
    "- {metric: a, goal: {between: [2, 1]}}": ("- metric: test/acc", r"the smaller first, got \[2, 1\]"),
    "- {metric: a, goal: }": ("- metric: test/acc", r"goal must be keys with values, got None"),
    "- {metric: a, goal: {at_least: 2}, stretch: {at_least: 1}}": (
        "- metric: test/acc",
        r"stretch must be more than the goal, got ≥ 1 for the goal ≥ 2",
    ),
    "- {metric: a, stretch: {at_least: 1}}": ("- metric: test/acc", r"stretch must stand beside a goal"),
    "- {metric: a}\n      - {metric: b}": (
        "- metric: test/acc",
        r"one: lines must have names of their own, got '",
    ),
    "title: [Small]": ("title: Small", r"a.yaml: title must be a text of one line"),
    "tilte: Small": ("title: Small", r"a.yaml: there is no key tilte \(did you mean title\?\)"),
    "o/ne:": ("one:", r"rows: o/ne: the name of a row may have letters, digits"),
    "seeds: 3\n    seeds: 4": ("seeds: 3", r"a.yaml cannot be read: seeds is there twice .* line 8"),
    "lines: {}": ("lines:\n      - metric: test/acc", r"one: lines must be a list, got \{\}"),
    "rows: {}": (TOPIC.partition("\n")[2].strip("\n"), r"a.yaml: rows: must have a row, got none"),
    "[": ("title: Small", r"a.yaml cannot be read: .* line"),
}


@pytest.mark.parametrize("changed", REFUSED)
def test_a_key_or_value_that_cannot_be_used_is_refused_with_its_place(read, changed):
    original, message = REFUSED[changed]
    assert original in TOPIC
    with pytest.raises(ConfigError, match=message):
        read(TOPIC.replace(original, changed))


def test_a_file_that_is_no_mapping_is_refused(read):
    with pytest.raises(ConfigError, match=r"a.yaml must be keys with values, got \[1\]"):
        read("[1]")


def test_a_row_in_two_files_is_refused(read):
    with pytest.raises(ConfigError, match="b.yaml: one is a row of a.yaml, too; give it another name"):
        read(TOPIC, TOPIC)


def test_a_folder_without_rows_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="rows must be a folder with files such as classics.yaml, got .*nowhere"):
        read_topics(tmp_path / "nowhere")


def words_of(*words: str) -> list[str]:
    return train_words(Row("one", "a", "b", words, 3, ()))


def test_seeds_and_the_fused_launcher_are_added_to_the_words():
    assert words_of("model=mlp") == ["model=mlp", "seed=range(3)", "launcher=fused"]
    assert train_command(Row("one", "a", "b", ("model=mlp",), 3, ())) == (
        "python train.py -m model=mlp 'seed=range(3)' launcher=fused"
    )


def test_a_row_with_a_launcher_of_its_own_keeps_it():
    assert words_of("launcher=processes") == ["launcher=processes", "seed=range(3)"]


def test_more_seeds_may_be_asked_for_and_fewer_change_nothing():
    row = Row("one", "a", "b", (), 3, ())
    assert train_words(row, 5, ["launcher=basic"]) == ["seed=range(5)", "launcher=basic"]
    assert train_words(row, 2)[0] == "seed=range(3)"


@pytest.mark.parametrize("name", SHIPPED)
def test_each_word_of_a_shipped_row_names_an_option_that_is_there(name):
    for word in SHIPPED[name].words:
        group, _, values = word.partition("=")
        for option in values.split(",") if (CONF_DIR / group).is_dir() else ():
            assert (CONF_DIR / group / f"{option}.yaml").is_file(), word


def assert_one_run_a_seed(row: Row, jobs: Sequence[Sequence[str]]) -> None:
    """Each line is over as many jobs as there are seeds; of a measure of all runs of a seed over as many each."""
    for line in row.lines:
        own = [job for job in jobs if matches(job, line)]
        seeds = [next(word for word in job if word.startswith("seed=")) for job in own]
        assert len(set(seeds)) == row.seeds, (row.name, line.name)
        assert len(own) == row.seeds or (row.after and MEASURES[row.after].of_seed), (row.name, line.name)


@pytest.mark.parametrize("name", [name for name, row in SHIPPED.items() if not is_search(row)])
def test_each_line_of_a_shipped_row_is_over_one_run_a_seed(name):
    parsed = OverridesParser.create().parse_overrides(train_words(SHIPPED[name]))
    assert_one_run_a_seed(SHIPPED[name], BasicSweeper.split_arguments(parsed, None)[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", SHIPPED)
def test_each_shipped_row_can_be_planned(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = train_words(SHIPPED[name])
    planned = prepare_search(words)
    if planned is None:
        config.register(prepare.swept_keys(words))
        assert len(prepare.prepare(words).jobs) >= SHIPPED[name].seeds
    else:
        space, fixed = planned.search.space, planned.search.fixed
        assert_one_run_a_seed(SHIPPED[name], [[*fixed, *space.overrides(setting)] for setting in space.grid()])


def test_each_experiment_that_needs_no_download_has_a_row():
    words = {word for row in SHIPPED.values() for word in row.words}
    shipped = {path.stem for path in (CONF_DIR / "experiment").glob("*.yaml")} - {"geron_fashion"}
    # What a sweep over it is named after.
    of_sweeps = {path.stem for path in (CONF_DIR / "sweep").glob("*.yaml") if f"sweep={path.stem}" in words}
    assert sorted(name for name in shipped - of_sweeps if f"experiment={name}" not in words) == []


def test_each_measure_of_a_shipped_row_can_be_imported():
    for name in {row.after for row in SHIPPED.values()} - {""}:
        module, _, function = MEASURES[name].function.rpartition(".")
        assert callable(getattr(import_module(module), function))


@pytest.mark.parametrize(
    ("typed", "where"),
    [("lr=0.001", "lr=1e-3"), ("n=[1,2]", "n=[1, 2]"), ("+a=b", "a=b"), ("gate='xor'", "gate=xor"), ("lr=1", "lr=1.0")],
)
def test_a_word_is_the_same_however_it_is_written(typed, where):
    assert matches(["seed=1", typed], Line("test/acc", where=(where,)))
    assert not matches(["seed=1", typed], Line("test/acc", where=(f"{where}_",)))
    assert not matches(["seed=1", typed], Line("test/acc", where=(where, "seed=2")))
