"""The page of the table of results in a real browser: readable by eyes and by ears, light and dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from fulgurite.reproduce.goals import Goal
from fulgurite.reproduce.page import write_page
from fulgurite.reproduce.record import Record
from fulgurite.reproduce.rows import Line, Row, Topic
from fulgurite.reproduce.standing import Standing
from fulgurite.reproduce.verdicts import Figures

pytestmark = pytest.mark.browser

GOALS = {"stretch": (0.9, 0.95), "met": (0.95, None), "missed": (0.98, None), "no goal": (None, None)}
LINES = tuple(
    Line("test/acc", name, (f"model.dropout=0.{at}",), unit="percent", goal=None if low is None else Goal(low),
         stretch=None if high is None else Goal(high))
    for at, (name, (low, high)) in enumerate(GOALS.items())
)  # fmt: skip
RUN = Row("a_row", "Something with a rather long description, as they have in earnest", "notes S1", ("x=1",), 3, LINES)
OPEN = Row("open_row", "Something else", "notes S2", ("x=2",), 3, LINES[:1], gpu=True)


@pytest.fixture
def address(tmp_path):
    figures = tuple(Figures((0.95, 0.96, 0.97), 3) for _ in LINES)
    standing = Standing(Record(RUN.words, 12.0, machine="2 cores"), figures, "the last epoch, 3")
    return write_page(tmp_path, [Topic("A topic", (RUN, OPEN))], {"a_row": standing}).as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 400])
def test_the_page_is_accessible_and_no_wider_than_its_window(page, address, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(address)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_each_verdict_is_a_word(page, address):
    page.goto(address)
    words = page.locator("tbody .status").all_inner_texts()
    assert words == ["stretch met", "met", "missed by 2 points", "no goal", "open, needs a GPU"]


def test_a_button_switches_between_light_and_dark(page, address):
    page.emulate_media(color_scheme="light")
    page.goto(address)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    button = page.get_by_role("button", name="Switch between light and dark")
    button.click()
    assert page.evaluate(ground) != light
    assert button.inner_text() == "Light"
    button.click()
    assert page.evaluate(ground) == light


def test_the_name_of_a_row_leads_to_what_is_said_of_it(page, address):
    page.goto(address)
    page.get_by_role("link", name="a_row").click()
    assert page.url.endswith("#a_row")
    assert "Tested at the last epoch, 3. 12 s on 2 cores." in page.locator("#a_row").inner_text()
