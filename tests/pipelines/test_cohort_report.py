"""`cohort diff | export | list` and `vocabulary --counts`: what is told of lists, and that no small number is."""

from __future__ import annotations

import csv
import io
import itertools
import re
import xml.etree.ElementTree as ET
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from cohort_zone import Rows, people, write
from spark_support import forget, made_settings

from cairn.cohort import memory
from cairn.cohort.codelists import CodeList, load_all
from cairn.cohort.reading import parse
from cairn.cohort.sql import compiled
from cairn.errors import CairnError
from cairn.pipelines.cohort_chart import flow_chart, left_out
from cairn.pipelines.cohort_count import Shown
from cairn.pipelines.cohort_definition import Definition
from cairn.pipelines.cohort_diff import Difference, Side, compare, difference_lines, frozen_side, present_side, reasons
from cairn.pipelines.cohort_export import count, export
from cairn.pipelines.cohort_freeze import Frozen, find_frozen, freeze, members_of
from cairn.pipelines.cohort_list import frozen_lines, frozen_rows, frozen_told, refuse_lists_that_differ
from cairn.pipelines.cohort_page import page
from cairn.pipelines.cohort_profile import Distribution
from cairn.pipelines.cohort_run import Persons
from cairn.pipelines.cohort_words import NONE, shown_words, word_count_lines, word_counts
from cairn.pipelines.job import Job
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.cohort import COHORT

LISTS = load_all(Path(__file__).resolve().parents[2] / "conf" / "codelists")
TEXT = """cohort: scanned
version: 1
title: People with a <CT> & an admission
sets:
  stays: {from: smr01}
  scans: {from: series, where: modality = CT}
persons:
  - having: {first: stays}
    as: stay
  - age_at: stay
    at_least: 30
images: {from: scans, pick: first per person}
"""
OLDER = TEXT.replace("at_least: 30", "at_least: 55")


def definition(text: str = TEXT, **lists: CodeList) -> Definition:
    checked = parse(text, {**LISTS, **lists})
    return Definition("definition", text, {}, checked, compiled(checked).steps)


@pytest.fixture(scope="module")
def rows() -> Rows:
    return people(120, seed=7)


@pytest.fixture(scope="module")
def job(spark, rows: Rows, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("report")
    forget(spark)
    store = Store(spark, made_settings(folder / "ware house"))
    write(store, {name: rows[name] for name in ("person", "smr01", "series")})
    ticks = itertools.count(1_800_000_000)
    made = Job(store, Folder(str(folder / "scratch")).make(), lambda: float(next(ticks)), io.StringIO())
    freeze(store, made.run("cohort"), definition())
    yield made
    forget(spark)


def persons(text: str, rows: Rows) -> set[str]:
    return {member["person_id"] for member in memory.resolve(definition(text).checked, rows).members}


def test_diff_tells_who_came_and_went_and_at_which_step(job: Job, rows: Rows):
    old = frozen_side(find_frozen(job.store, "scanned"))
    new = present_side(job.store, definition(OLDER))
    found = compare(job.store, old, new)
    were, are = persons(TEXT, rows), persons(OLDER, rows)
    assert [n.count for n in (found.stayed, found.gone, found.new)] == [len(were & are), len(were - are), 0]
    assert found.gone.count > 10
    assert found.lost == {"step 2: at least 55 years old at stay": found.gone}
    assert found.gained == {}
    assert (found.before.without(found.gone), found.after) == (found.stayed, found.stayed)
    back = compare(job.store, new, old)
    assert (back.gone.count, back.new) == (0, found.gone)
    assert back.gained == found.lost
    told = list(difference_lines(found, old, new))
    assert told[:2] == ["scanned: frozen 1 -> now", "What it rests on:"]
    assert "  definition: another text" in told
    assert "    -    at_least: 30" in told and "    +    at_least: 55" in told


def test_what_lists_rest_on():
    text = "cohort: c\nversion: 1\nsets:\n  s: {from: smr01, where: main_condition in codes.stroke}\n"
    grown = CodeList("stroke", 2, "", ("G46",), ("I61", "I63"))
    old = Side("frozen 1", definition(text), {"ehr_smr01": 3, "person": 1}, "v")
    new = Side("now", definition(text.replace("cohort: c", "# noted\ncohort: c"), stroke=grown), {"ehr_smr01": 4}, "w")
    assert list(reasons(old, new)) == [
        "definition: another text",
        "  +# noted",
        "code list stroke: version 1 -> version 2, with G46; without I62*, I64*",
        "imaging words: their definitions changed",
        "table deidentified.ehr_smr01: version 3 -> version 4",
        "table deidentified.person: version 1 -> not read",
    ]
    assert list(reasons(old, old)) == []
    same = Side("now", definition(text + "# a comment\n"), old.versions, "v")
    assert next(reasons(old, same)) == "definition: another text, which means the same"


def test_diff_shows_no_small_number():
    side = Side("frozen 1", definition(), {}, "v")
    before, after = Persons(1000, "7"), Persons(1003, "8")
    parts = Persons(997, "1"), Persons(3, "2"), Persons(6, "3")
    found = Difference(
        (), before, after, (1500, 1502), *parts, {"a": Persons(2, "4"), "b": Persons(1, "5")}, {"a": Persons(6, "6")}
    )
    text = "\n".join(difference_lines(found, side, side))
    shown = re.search(r"persons: (1,0[01]0) -> (1,0[01]0)\n", text)
    assert shown is not None and shown[1] == shown[2]
    assert "gone small, new small" in text
    numbers = re.findall(r"(?<![\w,])[\d,]+\b(?! or fewer)", text.replace("frozen 1", "").partition("persons:")[2])
    assert all(number.strip(",").endswith("0") for number in numbers)


def test_files_of_a_frozen_list(job: Job, rows: Rows, tmp_path: Path):
    row = find_frozen(job.store, "scanned")
    files = {kind: tmp_path / f"out.{kind}" for kind in ("csv", "attrition", "chart", "page")}
    slow = memory.resolve(definition().checked, rows)
    assert export(job.store, row, files) == {"rows": len(slow.members)}
    with files["csv"].open(newline="") as file:
        listed = list(csv.DictReader(file))
    assert [line["member"] for line in listed] == sorted(m["series_instance_uid"] for m in slow.members)
    assert {line["index_date"] for line in listed} == {str(m["index_date"]) for m in slow.members}
    with files["attrition"].open(newline="") as file:
        counts = [line["persons"] for line in csv.DictReader(file)]
    assert all(n == "small" or abs(int(n) - true) < 30 for n, true in zip(counts, slow.attrition, strict=True))
    assert counts[0] == "120" and len(set(counts)) > 2
    ET.parse(files["chart"])
    told = Text(files["page"].read_text("utf-8"))
    assert "People with a <CT> & an admission" in told.text
    _profile_is_right(told, slow, rows)


class Text(HTMLParser):
    """The words of a page, and its table rows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.cells = "", [[]]
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.cells.append([])

    def handle_data(self, data: str) -> None:
        self.text += data
        self.cells[-1].append(data.strip())


def _profile_is_right(told: Text, slow: memory.Result, rows: Rows) -> None:
    sexes = {person["person_id"]: person["sex"] or "unknown" for person in rows["person"]}
    found = Counter(sexes[member["person_id"]] for member in slow.members)
    seen = {cells[0]: cells[1] for cells in told.cells if len(cells) > 1}
    assert found["F"] > 20 and found["M"] > 20
    for sex, true in found.items():
        assert abs(int(seen[sex]) - true) < 10 if true > 20 and seen[sex] != "small" else seen[sex] == "small"
    assert abs(int(seen["CT"]) - len(slow.members)) < 10


def test_lists_are_listed_and_come_out_the_same_again(job: Job, rows: Rows):
    listed = frozen_rows(job.store)
    (line,) = [line.split() for line in frozen_lines(listed)][1:]
    assert line[:2] == ["scanned", "1"] and line[-3] == listed[0]["list_hash"][:8]
    refuse_lists_that_differ(job.store, listed)
    assert frozen_rows(job.store, "unknown") == []


def test_a_list_that_comes_out_otherwise_closes_the_gate(job: Job):
    row = find_frozen(job.store, "scanned")
    forged = type(row)(**{**row.asDict(recursive=False), "list_hash": "0" * 64})
    with pytest.raises(CairnError, match="COHORT_DIFFERS") as closed:
        refuse_lists_that_differ(job.store, [forged])
    assert closed.value.exit_code == 3


def test_small_lists_are_told_without_numbers():
    told = frozen_told(Frozen("c", 1, "ab", Persons(4, "1"), 3000, 9, True))
    assert told == "c, list 1: frozen. persons small, members small, controls small. List ab"
    assert "nothing changed" in frozen_told(Frozen("c", 1, "ab", Persons(40, "1"), 55, None, False))


def test_words_are_counted_and_small_ones_hidden(job: Job, rows: Rows):
    counts = {(c.word, c.value): c for c in word_counts(job.store)}
    kept = [row for row in rows["series"] if row["localizer"]]
    assert counts["is_localizer", "yes"].series == len(kept)
    assert counts["is_localizer", "yes"].persons.count == len({row["person_id"] for row in kept})
    assert counts["mr_weighting", "FLAIR"].series == sum(
        row["modality"] == "MR" and row["series_description"] == "ax T2 FLAIR" for row in rows["series"]
    )
    for word in {word for word, _ in counts}:
        own = [c.series for c in counts.values() if c.word == word]
        assert sum(own) == len(rows["series"]) and len(own) >= 2
    assert counts["blank", "yes"].series == 0
    told = shown_words(list(counts.values()))
    assert told["blank"] == {"yes": None, NONE: None}
    assert abs(told["is_localizer"]["yes"] - len(kept)) < 10
    assert "  small  yes" in list(word_count_lines(told))


def test_members_are_exported_of_frozen_lists_only(job: Job, tmp_path: Path):
    with pytest.raises(CairnError, match="frozen before it is exported"):
        count(job.store, definition(), {"csv": tmp_path / "x.csv"})
    with pytest.raises(CairnError, match="SOURCE_MISSING"):
        count(job.store, definition(), {"chart": tmp_path / "none" / "x.svg"})
    assert not list(tmp_path.iterdir())
    assert job.store.read(COHORT).count() == 1 and members_of(job.store, "scanned", 1).count() > 0


def test_counts_of_the_day_have_chart_and_page(job: Job, rows: Rows, tmp_path: Path):
    files = {kind: tmp_path / kind for kind in ("attrition", "chart", "page")}
    told = count(job.store, definition(OLDER), files)
    true = memory.resolve(definition(OLDER).checked, rows).attrition
    assert all(n is None or abs(n - t) < 30 for (_, n), t in zip(told.steps, true, strict=True))
    assert "Not frozen" in files["page"].read_text()


# shown before, shown after, what the chart says
LEFT_OUT = [(100, 60, "40"), (100, 100, "none or small"), (100, None, "not shown"), (None, None, "not shown")]


@pytest.mark.parametrize(("before", "after", "words"), LEFT_OUT)
def test_who_is_left_out(before: int | None, after: int | None, words: str):
    assert left_out(before, after) == words


def test_the_chart_is_sound_and_says_every_step():
    steps = [("persons", 12340), ('with <b> & "c", ' * 9, 500), ("at least 50", 500), ("with images", None)]
    chart = flow_chart("A title & <more>", steps)
    root = ET.fromstring(chart)
    words = " ".join(node.text or "" for node in root.iter("{http://www.w3.org/2000/svg}text"))
    for said in (
        "n = 12,340",
        "left out: 11,840",
        "left out: none or small",
        "n = small",
        "A title & <more>",
    ):
        assert said in words
    boxes = [node.attrib for node in root.iter("{http://www.w3.org/2000/svg}rect") if "class" not in node.attrib]
    edges = [(int(box["y"]), int(box["y"]) + int(box["height"])) for box in boxes]
    assert all(low[1] < high[0] for low, high in itertools.pairwise(edges))
    assert edges[-1][1] < int(root.attrib["height"])


def test_a_page_of_a_small_cohort_has_no_number_of_it():
    told = Shown((("persons", 500), ("with images", None)), None, {}, None)
    made = page(definition(), told, [Distribution("Sex", "", {"F": Persons(3, "1"), "M": Persons(40, "2")})], "now")
    cells = [row[:2] for row in Text(made).cells]
    assert ["F", "small"] in cells and ["M", "small"] in cells
