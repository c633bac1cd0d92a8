import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from framework.runs import Section, figures, files, report


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
        ("shd.a", "1", "1.2 ± 0.3", "as expected"),
        ("shd.b", "2.5", "1 ± 0.1", "outside"),
        ("rows", "30", "", ""),
    ]


def test_the_terminal_shows_the_expected_numbers_or_all(section):
    assert "rows" not in report.terminal([section])
    everything = report.terminal([section._replace(expected={})])
    assert "rows" in everything
    assert "expected" not in everything
    assert "outside" in report.terminal([section])


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
