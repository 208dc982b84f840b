"""What is seen of jobs in other processes: their lines above, where each stands below, and nothing more in a file."""

import io
import os
import re
import sys
import threading

import pytest
from rich.console import Console

from fulgurite.report.live import Region
from fulgurite.report.watched import Watched
from hydra_plugins.fulgurite_launcher import _view

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there is no view elsewhere")


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, height=24)


@pytest.fixture
def view(tmp_path, console):
    with Region(Watched(tmp_path, [], 0.0), 1, console) as region:
        yield _view.TerminalView(region)


def shown(console: Console) -> list[str]:
    """Lines of jobs that stand above, in the order in which they came."""
    return re.findall(r"\[\d/3\] \S+", console.file.getvalue())


def test_lines_of_other_processes_are_shown_in_their_order_each_when_it_is_whole(view, console):
    os.write(view.said.fileno(), b"[1/3] one\n[2/3] t")
    view.look()
    assert shown(console) == ["[1/3] one"]
    os.write(view.said.fileno(), b"wo\n")
    view.look()
    assert shown(console) == ["[1/3] one", "[2/3] two"]
    view.close()


def test_what_is_left_at_the_end_is_shown(view, console):
    os.write(view.said.fileno(), b"[1/3] one\n[2/3] two")
    view.close()
    assert shown(console) == ["[1/3] one", "[2/3] two"]


def test_of_a_bar_that_a_job_draws_the_last_state_is_shown(view, console):
    os.write(view.said.fileno(), b"10 %\r50 %\r[1/3] done\r\n")
    view.look()
    assert "10 %" not in console.file.getvalue()
    assert shown(console) == ["[1/3] done"]
    view.close()


def test_letters_in_no_encoding_hurt_nobody(view, console):
    os.write(view.said.fileno(), b"[1/3] \xff\xfe\n")
    view.look()
    assert shown(console) == ["[1/3] \ufffd\ufffd"]
    view.close()


def test_it_is_waited_until_the_next_drawing_at_most(view):
    view.look()
    assert 0 < view.wait_s() <= 1
    assert view.wait_s(60.0) <= 1
    assert view.wait_s(0.25) == 0.25
    view.close()


def test_into_a_file_nothing_is_drawn_and_no_thread_is_started(tmp_path, capsys):
    threads = threading.active_count()
    with _view.opened(tmp_path, []) as view, _view.drawn_meanwhile(tmp_path, []):
        view.look()
        print("[1/3] one")
        assert (view.handles, view.said, view.wait_s(), view.wait_s(2.0)) == ((), None, None, 2.0)
        assert threading.active_count() == threads
    assert capsys.readouterr() == ("[1/3] one\n", "")


@pytest.mark.parametrize(("several", "term"), [(False, "xterm"), (True, "dumb")])
def test_a_single_job_at_a_time_or_a_terminal_without_a_cursor_has_no_region(tmp_path, monkeypatch, several, term):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", term)
    with _view.opened(tmp_path, [], several) as view:
        assert view is _view.UNSEEN
