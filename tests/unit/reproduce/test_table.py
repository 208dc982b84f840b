"""The table as Markdown and as a page: what stands in it, and what a row that runs again changes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fulgurite.board.events import write_summaries
from fulgurite.errors import DataError
from fulgurite.reproduce.goals import Goal
from fulgurite.reproduce.markdown import write_markdown
from fulgurite.reproduce.page import write_page
from fulgurite.reproduce.picture import picture
from fulgurite.reproduce.record import Record
from fulgurite.reproduce.rows import Line, Row, Topic
from fulgurite.reproduce.standing import Shown, Standing
from fulgurite.reproduce.table import about, cells, time_text
from fulgurite.reproduce.verdicts import Figures
from fulgurite.result import Objective, Result

ONE = Row(
    "one", "a <net> | work", "a book", ("model=mlp",), 3,
    (Line("test/acc", unit="percent", document="97 %", goal=Goal(low=0.97), stretch=Goal(low=0.99)),),
)  # fmt: skip
LOSSES = tuple(Line("test/mae", name, (f"loss={name}",)) for name in ("mse", "l1"))
TWO = Row("two", "a line", "notes", ("model=linear", "loss=mse,l1"), 3, LOSSES, note="One in ten lies too high")
DEEP = Row("deep", "a large one", "a paper", ("model=cnn",), 3, (Line("test/acc"),), gpu=True)
TOPICS = [Topic("Small", (ONE, TWO)), Topic("Large", (DEEP,))]


def stands(row: Row, *values: tuple[float, ...], **options) -> Standing:
    record = Record(row.words, seconds=41.4, machine="2 cores")
    return Standing(replace(record, **options), tuple(Figures(each, 3) for each in values), "the last epoch, 7")


RUN = {"one": stands(ONE, (0.970, 0.975, 0.980)), "two": stands(TWO, (0.4, 0.5, 0.6), (0.1, 0.1, 0.1), unknown=True)}


def test_a_line_says_goal_ours_number_error_verdict_and_time():
    (line,) = cells(Shown(ONE, RUN["one"]))
    goal = "≥ 97 % (≥ 99 %)"
    assert line == ("one", ONE.what, "97 %", goal, "97.50 ± 0.50 %", "3", "0.29", "met", "41 s")


def test_a_row_of_several_lines_has_a_head_and_lines_with_names():
    head, first, second = cells(Shown(TWO, RUN["two"]))
    assert head == ("two", "a line", "", "", "", "", "", "", "more than 41 s")
    assert first == ("", "mse", "", "", "0.5000 ± 0.1000", "3", "0.058", "no goal", "")
    assert (second[0], second[1], second[4]) == ("", "l1", "0.1000 ± 0.0000")


@pytest.mark.parametrize(
    ("options", "text"),
    [({}, "41 s"), ({"unknown": True}, "more than 41 s"), ({"at_work": True}, "more than 41 s")],
)
def test_a_time_that_is_not_all_known_is_said_to_be_more(options, text):
    assert time_text(Shown(ONE, stands(ONE, (0.97,), **options))) == text


def test_a_row_that_needs_a_gpu_says_so_while_it_is_open():
    assert cells(Shown(DEEP, None))[0][7] == "open, needs a GPU"
    assert cells(Shown(DEEP, stands(DEEP, (1, 2, 3))))[0][7] == "no goal"


def test_source_epoch_machine_ranking_and_note_are_said():
    # The difference is 0.4, its standard error 0.1 / sqrt(3) = 0.058.
    assert about(Shown(TWO, RUN["two"])) == [
        "From notes.",
        "Tested at the last epoch, 7.",
        "More than 41 s on 2 cores.",
        "All lines of one metric are further apart than 2 standard errors.",
        "One in ten lies too high.",
    ]


def test_lines_that_are_close_are_not_ranked():
    close = stands(TWO, (0.4, 0.5, 0.6), (0.45, 0.55, 0.65))
    assert "Further apart than 2 standard errors: none." in about(Shown(TWO, close))


def test_of_many_pairs_the_shorter_list_is_told():
    lines = tuple(Line("test/mae", name) for name in "abcd")
    row = replace(TWO, lines=lines, note="")
    apart_but_one = stands(row, (1, 1, 1), (2, 2, 2), (3, 3, 3), (3, 3, 3))
    said = "All lines of one metric are further apart than 2 standard errors, but c and d."
    assert about(Shown(row, apart_but_one))[-1] == said
    one_is_apart = stands(row, (1, 1, 1), (2, 2, 2), (1, 1, 1), (0, 1, 5))
    assert about(Shown(row, one_is_apart))[-1] == "Further apart than 2 standard errors: a < b, c < b."


def test_why_a_row_is_not_complete_is_said():
    assert about(Shown(ONE, stands(ONE, (), error="boom")))[-1] == "Not complete: boom."
    assert cells(Shown(ONE, stands(ONE, (0.5,), error="boom")))[0][7] == "failed"


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (119, "119 s"), (150, "2.5 min"), (9000, "2.5 h")])
def test_times_are_in_the_unit_that_they_are_two_of(seconds, text):
    assert cells(Shown(ONE, stands(ONE, (0.5, 0.5, 0.5), seconds=seconds)))[0][8] == text


@pytest.fixture
def written(tmp_path):
    """Write the Markdown file; its lines."""

    def write(fresh, named, topics=TOPICS) -> list[str]:
        path = tmp_path / "docs" / "reproduction.md"
        write_markdown(path, topics, fresh, named)
        return path.read_text(encoding="utf-8").splitlines()

    return write


def test_rows_that_never_ran_are_there_as_open(written):
    text = "\n".join(written({}, []))
    assert text.count("| open |  |") == 3
    assert "| open, needs a GPU |  |" in text
    assert "`python train.py -m model=cnn 'seed=range(3)' launcher=fused`" in text


def test_what_markdown_would_format_stands_there_as_it_is(written):
    assert any(line.startswith(r"| one | a \<net\> \| work | 97 % |") for line in written({}, []))


def test_a_row_that_runs_changes_its_own_lines_alone(written):
    before = written(RUN, ["one", "two"])
    again = {"one": stands(ONE, (0.99, 0.99, 0.99))}
    after = written(again, ["one"])
    changed = [line for line in after if line not in before]
    assert len(changed) == 2
    assert changed[0].startswith("| one | ")
    assert "| 99.00 ± 0.00 % | 3 | 0.00 | stretch met | 41 s |" in changed[0]
    assert changed[1].startswith('  <!-- one {"record":')
    assert len(after) == len(before)


def test_the_file_is_the_same_when_it_is_written_again_where_nothing_has_run(written):
    before = written(RUN, ["one", "two"])
    assert written({}, []) == before


def test_a_row_that_did_not_run_now_keeps_what_was_written_of_it(written):
    before = written(RUN, ["one", "two"])
    elsewhere = {"one": stands(ONE, (0.5, 0.5, 0.5)), "two": RUN["two"]}
    assert written(elsewhere, ["two"]) == before


def test_a_row_that_is_not_complete_does_not_replace_one_that_is(written):
    before = written(RUN, ["one", "two"])
    assert written({"one": stands(ONE, (0.5, 0.5))}, ["one"]) == before


def test_another_goal_is_held_against_the_values_that_were_written(written):
    written(RUN, ["one", "two"])
    harder = replace(ONE, lines=(replace(ONE.lines[0], goal=Goal(low=0.98), stretch=None),))
    lines = written({}, [], [Topic("Small", (harder, TWO)), TOPICS[1]])
    assert any("| ≥ 98 % | 97.50 ± 0.50 % | 3 | 0.29 | missed by 0.5 points |" in line for line in lines)


def test_a_row_with_other_words_is_open_again(written):
    written(RUN, ["one", "two"])
    other = replace(ONE, words=("model=mlp", "model.hidden=[7]"))
    lines = written({}, [], [Topic("Small", (other, TWO)), TOPICS[1]])
    assert any(line.startswith("| one |") and "| open |" in line for line in lines)


def test_hyphens_do_not_end_the_comment_that_holds_the_values(written):
    row = replace(ONE, words=("model=a-->b",))
    lines = written({"one": stands(row, (0.5, 0.5, 0.5))}, ["one"], [Topic("Small", (row,))])
    (data,) = [line for line in lines if line.startswith("  <!--")]
    assert data.count("--") == 2
    assert json.loads(data[len("  <!-- one ") : -len(" -->")])["record"]["words"] == ["model=a-->b"]
    assert written({}, [], [Topic("Small", (row,))]) == lines


def test_values_that_cannot_be_read_are_named_with_their_row_and_stay(written, tmp_path):
    written(RUN, ["one", "two"])
    path = tmp_path / "docs" / "reproduction.md"
    path.write_text(damaged := path.read_text(encoding="utf-8").replace('{"record"', '{record"', 1), encoding="utf-8")
    with pytest.raises(DataError, match=r"reproduction\.md: the values of row one cannot be read \(.*restore the line"):
        written({}, [])
    assert path.read_text(encoding="utf-8") == damaged


PNG = b"\x89PNG of "


def write_run(folder: Path, name: str, status: str = "finished") -> Path:
    run = folder / name
    (run / "figures").mkdir(parents=True)
    Result(status, Objective("val/acc", "max")).write(run)
    return run


def test_the_picture_is_that_of_the_first_finished_run(tmp_path):
    write_run(tmp_path, "seed-0", "failed")
    for name in ("seed-1", "seed-2"):
        (write_run(tmp_path, name) / "figures" / "plane.png").write_bytes(PNG + name.encode())
    found = picture(tmp_path, "viz_outputs/plane")
    assert (found.run, found.png) == ("seed-1", PNG + b"seed-1")


def test_a_picture_that_is_no_file_is_the_last_one_in_the_events(tmp_path):
    from tensorboard.compat.proto.summary_pb2 import Summary

    run = write_run(tmp_path, "seed-0")
    images = [Summary.Image(encoded_image_string=PNG + each) for each in (b"1", b"2", b"other")]
    tags = ("viz_inside/state", "viz_inside/state", "viz_inside/maps")
    values = [Summary(value=[Summary.Value(tag=tag, image=each)]) for tag, each in zip(tags, images, strict=True)]
    write_summaries(run / "events.out.tfevents.1.x", values)
    assert picture(tmp_path, "viz_inside/state").png == PNG + b"2"
    assert picture(tmp_path, "viz_inside/absent") is None
    assert picture(tmp_path / "nowhere", "viz_inside/state") is None


def test_the_page_shows_lines_pictures_and_links_and_escapes_all_of_it(tmp_path):
    row = replace(ONE, figure="viz_outputs/plane")
    (write_run(tmp_path / "one", "seed-0") / "figures" / "plane.png").write_bytes(PNG)
    (tmp_path / "one" / "report.html").touch()
    path = write_page(tmp_path, [Topic("Small & large", (row, TWO))], {"one": RUN["one"]})
    page = path.read_text(encoding="utf-8")
    assert path == tmp_path / "report.html"
    assert "a &lt;net&gt; | work" in page
    assert "<net>" not in page
    assert "Small &amp; large" in page
    assert '<li class="status met">1 met</li><li class="status open">2 open</li>' in page
    assert '<img alt="a &lt;net&gt; | work: plane of seed-0" src="data:image/png;base64,iVBORyBvZiA="' in page
    assert '<a href="one/report.html">All runs of one</a>' in page
    assert "two/report.html" not in page
    assert '<td class="whole">97.50 ± 0.50\N{NO-BREAK SPACE}%</td>' in page
    assert "2 rows, 41 s of training, " in page
    assert "{{" not in page


def test_each_verdict_on_the_page_has_the_colour_of_its_kind(tmp_path):
    goals = (Goal(high=0.5), Goal(high=0.05))
    lines = tuple(replace(line, goal=goal) for line, goal in zip(TWO.lines, goals, strict=True))
    row = replace(TWO, lines=lines)
    page = write_page(tmp_path, [Topic("Small", (row,))], {"two": RUN["two"]}).read_text(encoding="utf-8")
    assert '<span class="status met">met</span>' in page
    assert '<span class="status missed">missed by 0.05</span>' in page
