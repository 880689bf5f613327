"""IsIdentifiable's formats: its own examples, what a rule does to a value, and every fault of a file."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.errors import CairnError
from cairn.extract.isidentifiable import (
    CLASSIFICATIONS,
    SEPARATOR,
    Failure,
    Part,
    Rules,
    read_report,
    read_rules,
    write_report,
    write_rules,
)

EXAMPLES = """
BasicRules:
  # Report any values which contain 2 digits as a PrivateIdentifier
  - IfPattern: "[0-9][0-9]"
    Action: Report
    As: PrivateIdentifier
  # Do not run any classifiers on the Modality column
  - Action: Ignore
    IfColumn: Modality
AllowlistRules:
 - Action: Ignore
   As: Person
   IfColumn: Manufacturer
   IfPartPattern: ^SIEMENS$
 - Action: Ignore
   IfPartPattern: ^Brian$
   IfPattern: MR Brian And Skull
"""


def rules(tmp_path: Path, text: str = EXAMPLES) -> Rules:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    return read_rules(path)


def person(value: str, word: str, column: str = "StudyDescription") -> Failure:
    return Failure("file", "1.2", column, value, (Part(word, "Person", value.find(word)),))


@pytest.mark.parametrize(
    ("failure", "left"),
    [
        (Failure("f", "k", "StudyDescription", "seen 12 and 345"), [("12", 5), ("34", 12)]),
        (Failure("f", "k", "StudyDescription", "seen 1 and 3"), None),
        (Failure("f", "k", "Modality", "CT"), None),
        (person("SIEMENS", "SIEMENS", "Manufacturer"), None),
        (person("siemens", "siemens", "manufacturer"), None),
        (person("SIEMENS", "SIEMENS"), [("SIEMENS", 0)]),
        (person("SIEMENS AG", "SIEMENS AG", "Manufacturer"), [("SIEMENS AG", 0)]),
        (person("mr brian and skull", "brian"), None),
        (person("MR Brian", "Brian"), [("Brian", 3)]),
        # the first basic rule that holds decides
        (Failure("f", "k", "Modality", "CT 12"), [("12", 3)]),
    ],
)
def test_what_the_rules_leave_of_a_value(tmp_path: Path, failure: Failure, left: list[tuple[str, int]] | None) -> None:
    found = rules(tmp_path).looked_at(failure)
    assert (None if found is None else [(part.word, part.offset) for part in found.parts]) == left


def test_case_counts_where_a_rule_says_so(tmp_path: Path) -> None:
    text = "BasicRules: [{Action: Report, IfPattern: '^[A-Z]{4,}MR[0-9]$', As: Person, CaseSensitive: true}]"
    made = rules(tmp_path, text)
    assert made.looked_at(Failure("f", "k", "ProtocolName", "SMITHMR1")) is not None
    assert made.looked_at(Failure("f", "k", "ProtocolName", "smithmr1")) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("SocketRules: [{Host: h, Port: 1}]", "wrong at SocketRules: such rules ask a service"),
        ("ConsensusRules: []", "wrong at ConsensusRules"),
        ("BasicRule: []", "wrong at BasicRule: there is no such list.*'BasicRules'"),
        ("BasicRules: [{Action: Ignor, IfColumn: A}]", "rule 1: its Action is Ignor.*'Ignore'"),
        ("BasicRules: [{Action: Report, IfPattern: a}]", "rule 1: its As is missing"),
        ("BasicRules: [{Action: Report, IfPattern: a, As: Persn}]", "its As is Persn.*'Person'"),
        ("BasicRules: [{Action: Ignore, IfColum: a}]", "no field IfColum.*'IfColumn'"),
        ("BasicRules: [{Action: Ignore, IfPattern: '('}]", "no regular expression"),
        ("BasicRules: [{Action: Ignore}]", "ignore everything"),
        ("AllowlistRules: [{Action: Report, IfPattern: a, As: Person}]", "rule 1: its Action is Report"),
        ("BasicRules: [x]", "rule 1: it is no rule"),
        ("- x", "holds no lists"),
        ("a: [", "no YAML"),
        ("BasicRules: [{Action: Ignore, IfColumn: a, CaseSensitive: maybe}]", "neither true nor false"),
    ],
)  # fmt: skip
def test_wrong_rules(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(CairnError, match=rf"REVIEW_RULES_WRONG.*{told}"):
        rules(tmp_path, text)


def test_lists_under_their_old_name_are_read(tmp_path: Path) -> None:
    old = rules(tmp_path, EXAMPLES.replace("Allowlist", "WhiteList"))
    assert old == rules(tmp_path)


def test_rules_written_are_the_rules_read(tmp_path: Path) -> None:
    made = rules(tmp_path)
    text = io.StringIO()
    write_rules(made, text)
    assert rules(tmp_path, text.getvalue()) == made


texts = st.text(st.characters(exclude_categories=("Cs", "Cc"))).filter(
    lambda text: SEPARATOR not in text and "#" not in text
)
parts = st.builds(Part, texts, st.sampled_from(CLASSIFICATIONS), st.integers(-1, 1000))
failures = st.builds(Failure, texts, texts, texts, texts, st.lists(parts, min_size=1, max_size=4).map(tuple))


@given(st.lists(failures, max_size=5))
def test_reports_written_are_the_reports_read(tmp_path_factory: pytest.TempPathFactory, listed: list[Failure]) -> None:
    path = tmp_path_factory.mktemp("report") / "report.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        assert write_report(listed, stream) == len(listed)
    assert list(read_report(path)) == listed


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("a,b,c,d,x###y,Person,0", "line 2: words, kinds and offsets differ"),
        ("a,b,c,d,x,Persona,0", "line 2: a kind is none"),
        ("a,b,c,d,x,Person,zero", "line 2: an offset is no number"),
    ],
)
def test_wrong_reports(tmp_path: Path, row: str, told: str) -> None:
    path = tmp_path / "report.csv"
    header = "Resource,ResourcePrimaryKey,ProblemField,ProblemValue,PartWords,PartClassifications,PartOffsets"
    path.write_text(f"{header}\n{row}\n")
    with pytest.raises(CairnError, match=f"REVIEW_REPORT_WRONG.*{told}"):
        list(read_report(path))
    path.write_text("Resource,ProblemField\n")
    with pytest.raises(CairnError, match="no column ResourcePrimaryKey, ProblemValue"):
        list(read_report(path))
    with pytest.raises(CairnError, match="No such file"):
        list(read_report(tmp_path / "none.csv"))
