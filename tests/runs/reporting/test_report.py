import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from framework.runs import Section, files
from framework.runs.reporting import figures, report
from tests import browser


@pytest.fixture
def section(tmp_path):
    picture = tmp_path / "figures" / "shd.png"
    bars = figures.bars({"a": (1.0, 0.1), "b": (2.0, 0.2)}, "SHD", {"a": [1, 1], "b": [2]})
    files.write_bytes(picture, figures.to_png(bars, "Caption with <angle> & ampersand"))
    numbers = report.scalars({"shd": {"a": 1.0, "b": 2.5}, "rows": 30, "each": [1, 2]})
    return Section("study", "First.\n\nSecond <b>.", numbers, {"shd.a": (1.2, 0.3), "shd.b": (1.0, 0.1)}, (picture,))


def test_scalars_have_dotted_names_and_lists_are_left_out(section):
    assert section.numbers == {"shd.a": 1.0, "shd.b": 2.5, "rows": 30}


def test_numbers_are_judged_against_the_expected_ones(section):
    assert report.rows(section) == [
        ("shd.a", "1", "1.2 ± 0.3", "as expected", ""),
        ("shd.b", "2.5", "1 ± 0.1", "outside", ""),
        ("rows", "30", "", "", ""),
    ]


def test_numbers_compared_over_too_few_seeds_say_so(section):
    words = "one seed, no interval"
    few = section._replace(no_interval={"shd": words}, numbers=section.numbers | {"shde.a": 1.0})
    assert [row[-1] for row in report.rows(few)] == [words, words, "", ""]
    assert [line.count(words) for line in report.terminal([few]).splitlines()] == [0, 0, 1, 1]
    assert report.page("title", "", [few]).count(f"<small>{words}</small>") == 2
    assert "no interval" not in report.terminal([section]) + report.page("title", "", [section])


def test_the_terminal_shows_the_expected_numbers_or_all(section):
    assert "rows" not in report.terminal([section])
    everything = report.terminal([section._replace(expected={})])
    assert "rows" in everything
    assert "expected" not in everything
    assert "outside" in report.terminal([section])


def test_a_section_without_expectations_shows_numbers(section):
    many = section._replace(expected={}, numbers={f"n{i}": i for i in range(9)})
    lines = report.terminal([section, many]).splitlines()
    assert [line.split()[1] for line in lines if "n5" in line or "n6" in line] == ["n5"]
    assert lines[-1].split(maxsplit=1)[1] == "and 3 more in the report"


def test_large_numbers_are_written_out():
    numbers = (53308.2, -81299.0, 1e12, 0.00012346, 2000)
    assert [report.number(value) for value in numbers] == ["53,308", "-81,299", "1e+12", "0.0001235", "2000"]


def cells(page):
    """The tables of a page, as rows of texts."""
    plain = lambda row: [re.sub("<.*?>", "", cell) for cell in re.findall("<t[hd]>.*?</t[hd]>", row)]
    return [[plain(row) for row in table.split("</tr>")[:-1]] for table in re.findall("<table>(.*?)</table>", page)]


def test_kinds_with_the_same_columns_share_a_table(section):
    result = {"rows": 3, "shd": {"a": 1, "b": 2, "c": 3}, "f1": {"a": 4, "b": 5, "c": 6}, "time": {"x": 7}, "seeds": 8}
    page = report.page("title", "", [section._replace(numbers=report.scalars(result), expected={})])
    assert cells(page) == [
        [[], ["rows", "3"], ["seeds", "8"]],
        [["", "shd", "f1"], ["a", "1", "4"], ["b", "2", "5"], ["c", "3", "6"]],
        [["", "x"], ["time", "7"]],
    ]


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.sources = [], []

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_self_contained_and_well_formed(section):
    page = report.page("title", "intro", [section, section._replace(title="other")])
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert all(source.startswith(("data:", "#")) for source in reader.sources)
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)


def test_text_is_escaped_and_captions_come_from_the_pictures(section):
    page = report.page("title", "", [section])
    assert "Second &lt;b&gt;." in page
    assert "Caption with &lt;angle&gt; &amp; ampersand" in page


def test_columns_without_content_are_left_out_of_a_text_table():
    assert report.text_table(("a", "b"), [("1", ""), ("22", "")]) == "a\n--\n1\n22"


def test_the_same_figure_is_the_same_file():
    draw = lambda: figures.to_png(figures.matrices({"m": np.eye(3)}, "abc"), "x")
    assert draw() == draw()


def test_a_figure_carries_its_caption(section):
    with Image.open(section.figures[0]) as picture:
        assert picture.info[report.CAPTION] == "Caption with <angle> & ampersand"


@pytest.fixture
def wide_section(section, tmp_path):
    """What hardly fits a page: nine panels side by side, forty long names, a word that cannot be broken."""
    picture = tmp_path / "figures" / "wide.png"
    panels = figures.matrices({f"method {i}": np.eye(3) for i in range(9)}, "abc")
    files.write_bytes(picture, figures.to_png(panels, "Nine panels"))
    numbers = {f"structural_hamming_distance.method_{i}": 1e5 * i for i in range(40)}
    numbers |= {f"seconds.{size}_nodes_and_more": 1.5 for size in range(12)}
    claim = f"A path that cannot be broken: {'long_' * 30}."
    return section._replace(title="wide", claim=claim, numbers=numbers, figures=(*section.figures, picture))


@pytest.mark.slow
@pytest.mark.skipif(browser.executable() is None, reason="no Chromium is installed")
def test_the_page_is_faultless_in_a_browser(section, wide_section, tmp_path):
    page = tmp_path / "report.html"
    page.write_text(report.page("title", "intro", [section, wide_section]))
    with browser.opened(tmp_path / "profile") as opened:
        for width in (400, 1400):
            opened.open(page, width)
            outcome = opened.look()
            assert opened.errors() == []
            assert (outcome["width"], outcome["figures"], outcome["broken"], outcome["hidden"]) == (width, 3, 0, 0)
            assert outcome["wide"] <= width
            assert outcome["smallest"] >= 12


@pytest.mark.slow
@pytest.mark.skipif(browser.executable() is None, reason="no Chromium is installed")
def test_the_browser_tells_a_page_with_faults(tmp_path):
    page = tmp_path / "report.html"
    page.write_text(
        '<p style="font-size: 5px; width: 900px">small</p><img src="data:image/png;base64,AAAA">'
        '<script>console.error("a"); missing()</script><script src="nowhere.js"></script>'
    )
    with browser.opened(tmp_path / "profile") as opened:
        opened.open(page, 400)
        outcome = opened.look()
    assert len(opened.errors()) == 3
    assert (outcome["wide"] > 400, outcome["broken"], outcome["smallest"]) == (True, 1, 5)
