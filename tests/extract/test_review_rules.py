"""A project's review rules on headers that would leave: where one reports something, and as what; never the value."""

from __future__ import annotations

from deid_files import minimal, written

from cairn.extract.isidentifiable import Rule, Rules
from cairn.pipelines.extract_task import reported_in

MADE = written(minimal(StudyDescription="CT HEAD WARD 12", SeriesDescription="AXIAL", StationName="WARD7"))


def test_a_report_names_tag_and_kind() -> None:
    wards = Rules((Rule("Report", pattern=r"ward ?\d+", classification="Location"),))
    assert reported_in(MADE, wards) == "Location at (0008,1010); Location at (0008,1030)"


def test_the_column_is_the_keyword_and_ignoring_comes_first() -> None:
    wards = Rule("Report", pattern=r"ward ?\d+", classification="Location")
    stations = Rule("Ignore", column="StationName")
    assert reported_in(MADE, Rules((stations, wards))) == "Location at (0008,1030)"
    allowed = Rule("Ignore", column="StudyDescription", part_pattern="^WARD 12$", classification="Location")
    assert reported_in(MADE, Rules((stations, wards), (allowed,))) == ""


def test_uids_are_no_text() -> None:
    assert reported_in(MADE, Rules((Rule("Report", pattern=r"1\.2\.3\.4\.5", classification="Person"),))) == ""
