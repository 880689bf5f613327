"""The linkage report: each way in which a number leads to a person, or does not, is counted under its name."""

from __future__ import annotations

import csv
import datetime as dt

from cohort_zone import full

from cairn.pipelines.linkage import Line, lines, linkage, write_csv
from cairn.spark.delta_log import Token
from cairn.tables.instance import INSTANCE
from cairn.tables.person import PERSON, PERSON_ALIAS
from cairn.tables.registry import contract

STAYS = contract("identifiable.ehr_smr01")
ANNA, OLD_ANNA, NOBODY = "0101501234", "0101501226", "0202601239"
IMAGES = {
    ("0101501234", None): "current_number",
    ("010150 1234", "ANYBODY"): "current_number",
    (OLD_ANNA, None): "replaced_chi",
    ("x77", "rie"): "local_number",
    ("X77", None): "local_number",
    ("X78", None): "unknown_number",  # two issuers gave it to two people
    ("X79", "RIE"): "unknown_number",
    (NOBODY, None): "unknown_chi",
    ("  ", None): "no_number",
    (None, None): "no_number",
}


def test_every_image_and_record_is_counted_once_under_its_reason(store, tmp_path) -> None:  # type: ignore[no-untyped-def]
    alias = [("CHI", OLD_ANNA, ANNA), ("RIE", "X77", ANNA), ("RIE", "X78", ANNA), ("WGH", "X78", NOBODY)]
    tables = {
        PERSON: [{"patient_id": ANNA, "linked": True, "opted_out": False}],
        PERSON_ALIAS: [{"issuer": i, "number": n, "patient_id": p, "basis": "register"} for i, n, p in alias],
        STAYS: [
            {"record_id": f"s{n}", "patient_id": who, "admission_date": dt.date(2014 + n, 1, 1)}
            for n, who in enumerate((ANNA, OLD_ANNA, NOBODY, "RIE\0X77"))
        ],
        INSTANCE: [
            {"uri": f"file:///a/{n}", "patient_id": number, "issuer_of_patient_id": issuer, "is_primary": True,
             "modality": "CT", "study_date": dt.date(2015, 3, 1)}
            for n, (number, issuer) in enumerate(IMAGES)
        ],
    }  # fmt: skip
    for table, listed in tables.items():
        store.ensure(table)
        store.append_rows(table, [full(table, row) for row in listed], Token(f"test/{table.name}", 1), 1)
    report = linkage(store)
    counted = {line.outcome: line.rows for line in report if line.source == "images"}
    expected = list(IMAGES.values())
    assert counted == {outcome: expected.count(outcome) for outcome in expected}
    assert {(line.modality, line.year) for line in report if line.source == "images"} == {("CT", 2015)}
    assert [line for line in report if line.source == "smr01"] == [
        Line("smr01", None, 2014, "current_number", 1, 1),
        Line("smr01", None, 2015, "replaced_chi", 1, 1),
        Line("smr01", None, 2016, "unknown_chi", 1, 1),
        Line("smr01", None, 2017, "local_number", 1, 1),
    ]
    told = list(lines(report))
    assert told[0].startswith("images CT: 5 of 10 linked (50.0%); ")
    assert told[1].startswith("smr01: 3 of 4 linked (75.0%); ")
    write_csv(report, tmp_path / "report.csv")
    with open(tmp_path / "report.csv", encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) == len(report)
    assert ANNA not in (tmp_path / "report.csv").read_text()
