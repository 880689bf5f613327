"""`cohort check | explain | vocabulary`: everything that needs no table and no Spark."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cairn.cohort import vocabulary
from cairn.cohort.codelists import load_all
from cairn.errors import CairnError
from cairn.pipelines import cohort_definition as definitions

ROOT = Path(__file__).resolve().parents[2]
COHORTS = ROOT / "conf" / "cohorts"
LISTS = load_all(ROOT / "conf" / "codelists")


def job(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "jobs" / "cohort.py"), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "lib"), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("path", sorted(COHORTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_is_right_and_reads_known_tables(path: Path):
    definition = definitions.load(path, LISTS, {})
    assert definition.name == path.stem
    assert "person" in definition.tables
    assert set(definition.tables) <= {"person", "series", "ehr_smr01", "ehr_smr04", "ehr_smr06", "ehr_prescribing",
                                      "ehr_deaths", "ehr_laboratory", "ehr_radiology_report"}  # fmt: skip
    words = definitions.step_words(definition.checked)
    assert len(words) == sum(step.kind != "set" for step in definition.steps)


# statement, as it is with the tables at versions 3 and 40
PINS = [
    ("SELECT * FROM deidentified.series t", "SELECT * FROM deidentified.series VERSION AS OF 3 t"),
    ("FROM deidentified.person p", "FROM deidentified.person VERSION AS OF 40 p"),
    ("x = 'deidentified.series'", "x = 'deidentified.series'"),
    ("x = 'it\\'s deidentified.series' AND y", "x = 'it\\'s deidentified.series' AND y"),
    ("x = 'a' OR EXISTS (SELECT 1 FROM deidentified.series)",
     "x = 'a' OR EXISTS (SELECT 1 FROM deidentified.series VERSION AS OF 3)"),
    ("FROM set_series s", "FROM set_series s"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "expected"), PINS)
def test_tables_are_read_at_versions_and_texts_are_left_alone(statement: str, expected: str):
    assert definitions.pinned(statement, {"series": 3, "person": 40}) == expected


def test_check_tells_what_it_reads_without_java():
    done = job("check", "stroke-ct", "--json", JAVA_HOME="/nowhere", PATH="/nowhere")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["cohort"] == "stroke-ct" and told["members"] == "series"
    assert told["codelists"] == {"anticoagulants": 1, "ischaemic_stroke": 1}
    assert "deidentified.ehr_smr01" in told["tables"]


def test_a_wrong_definition_ends_with_2_file_line_place_and_the_nearest_name(tmp_path: Path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("cohort: wrong\nversion: 1\nsets:\n  scans: {from: series, where: modalty = CT}\n")
    done = job("check", str(wrong))
    assert done.returncode == 2
    assert f"[COHORT_RULE] {wrong}:4: sets.scans: series has no column 'modalty'" in done.stderr
    assert "Did you mean 'modality'?" in done.stderr


# arguments, part of the message
USAGE = [
    (("check", "strok-ct"), "Did you mean 'stroke-ct'?"),
    (("check",), "check needs a DEFINITION"),
    (("chekc", "stroke-ct"), "Did you mean 'check'?"),
    (("check", "stroke-ct", "--parameter", "before"), "'before' is not NAME=VALUE"),
    (("check", "stroke-ct", "--parameter", "befor=3"), "Did you mean 'before'?"),
    (("check", "stroke-ct", "--codelists", "/nowhere"), "SOURCE_MISSING"),
    (("freeze", "stroke-ct", "--csv", "x.csv"), "freeze takes no --csv; export may"),
    (("export", "stroke-ct"), "export needs one of --csv"),
    (("vocabulary", "plan"), "Did you mean 'plane'?"),
]


@pytest.mark.parametrize(("arguments", "message"), USAGE)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...], message: str):
    done = job(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_parameter_changes_the_hash_and_the_words():
    path = COHORTS / "stroke-ct.yaml"
    usual, other = (definitions.load(path, LISTS, given) for given in ({}, {"before": "30"}))
    assert usual.checked.hash != other.checked.hash
    assert "1 to 30 days before stroke" in "\n".join(definitions.explain_lines(other))


def test_explain_has_a_heading_and_the_sql_of_every_step():
    definition = definitions.load(COHORTS / "stroke-ct.yaml", LISTS, {})
    text = "\n".join(definitions.explain_lines(definition))
    for step in definition.steps:
        assert f"\n{step.name} AS (\n  {step.sql}\n" in text
    assert "-- at least 50 years old at stroke\npersons_2 AS (" in text


def test_every_imaging_word_is_told_with_its_values():
    lines = list(definitions.word_lines(None))
    assert [line.split(" ")[0] for line in lines] == list(vocabulary.words())
    told = "\n".join(definitions.word_lines("plane"))
    assert all(f"\n  {value}: " in told for value, _ in vocabulary.words()["plane"].values)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path):
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CairnError, match="COHORT_UNREADABLE"):
        definitions.load(path, LISTS, {})
