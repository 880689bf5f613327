"""The pages of quality: great-expectations' words in a frame that asks nobody outside."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from cairn.quality.conditions import broken, is_null, pass_of
from cairn.quality.judging import judge, judge_zone
from cairn.quality.measures import Measures, Slice
from cairn.quality.pages import Trend, trend_svg, write_pages
from cairn.quality.verdict import Limits
from cairn.tables.instance import INSTANCE
from cairn.tables.quality import Between
from cairn.tables.quality_suites import suites

DAY = dt.date(2026, 3, 1)
WHEN = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)


def rows(**faults: int) -> list[dict[str, object]]:
    """Rows of `quality` for `instance`, with rows at fault by column of a :class:`Between`."""
    suite = suites()[INSTANCE.full_name]
    wanted = pass_of(suite, INSTANCE.arrow_schema.names, DAY)
    ranges = {e.column: broken(e, INSTANCE, DAY) for e in suite.expectations if isinstance(e, Between)}
    at = {ranges[name]: count for name, count in faults.items()} | {is_null("kvp"): 70}
    counts = tuple(at.get(text, 0) for text in wanted.conditions)
    measures = Measures(tuple(INSTANCE.arrow_schema.names), wanted.conditions, (Slice("CT", 2020, 100, counts),), 0, {})
    told = judge(suite, measures, {}, Limits(0.1, 0.2, 0.05, 20), DAY)
    return [{**asdict(one), "run": "r1", "judged": WHEN, "table_version": 3} for one in told]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages") / "docs"
    zone = {**asdict(judge_zone("deidentified", [])), "run": "r1", "judged": WHEN, "table_version": 0}
    trend = [Trend(WHEN, 50, 9, 0, 0), Trend(WHEN, 100, 8, 1, 0)]
    write_pages(folder, {INSTANCE.full_name: rows(rows=7), "deidentified.*": [zone]}, {INSTANCE.full_name: trend})
    return folder


def test_the_list_leads_to_every_table(pages: Path) -> None:
    index = (pages / "index.html").read_text("utf-8")
    links = re.findall(r'href="([^"]+)"', index)
    assert links == ["identifiable.instance.html", "deidentified.tables.html"]
    assert all((pages / link).exists() for link in links)
    assert '<tr class="error">' in index and '<tr class="passed">' in index
    assert "rows lies between 1 and 1000000" in index
    assert "kvp is there in 80% or more of the rows of CT" in index


def test_a_table_has_great_expectations_words_and_numbers(pages: Path) -> None:
    text = (pages / "identifiable.instance.html").read_text("utf-8")
    plain = " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)).split())
    assert "values must be unique" in plain
    assert "values must never be null" in plain
    assert re.search(r"7 unexpected values found\. \W*7\S* of 100 total rows", plain)
    assert "30.00% (2020, the least of 1 years)" in plain
    assert "Success Percent" in plain


def test_no_page_asks_anybody_outside(pages: Path) -> None:
    for page in pages.glob("*.html"):
        text = page.read_text("utf-8")
        assert "<script" not in text
        assert not re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?(?:https?:)?//", text)


def test_the_trend_shows_rows_and_outcome() -> None:
    points = [Trend(WHEN, 50, 9, 0, 0), Trend(WHEN, 100, 8, 0, 1), Trend(WHEN, 100, 8, 2, 0)]
    picture = trend_svg(points)
    assert re.findall(r'<rect class="(\w+)"', picture) == ["passed", "warning", "error"]
    assert re.findall(r'height="(\d+)"><title>', picture) == ["11", "22", "22"]
    assert trend_svg([]).startswith("<svg")
