"""The scrubber: clinical words stay, whatever identifies goes, in every spelling."""

from __future__ import annotations

import csv
import datetime as dt
import html
import json
import os
import random
import re
from importlib import resources
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.deid import columns, make_vocabulary
from cairn.deid.free_text import DESCRIPTOR, PROSE, TextScrubber, fold, kept_tokens, own_values, packaged_scrubber
from cairn.deid.keys import MasterKey
from cairn.deid.pseudonyms import Pseudonyms
from cairn.ehr.chi import modulus_10_digit, modulus_11_digit

NAME, NUMBER, ADDRESS = 0x00100010, 0x00100020, 0x00101040
PEOPLE = json.loads((resources.files("cairn.synthetic") / "data" / "people.json").read_text("utf-8"))
DATA = Path(str(resources.files("cairn.synthetic"))) / "data"

KEPT = [
    "AXIALT2", "Circle of Willis", "Hounsfield", "Parkinson", "1.25mm", "CT ABD/PELVIS W CONTRAST",
    "t2_tse_sag_p2", "MR BRAIN", "DR CHEST PA", "C-Spine lat.", "ep2d_diff_b50_1000_2000", "Head 5.0 B30f",
    "CTCAP", "SAG Diffusion 0 100 600 1000", "3D MRCP RESP GATE", "L5/S1", "18F-FDG",
    "Perthes disease ?progression", "Known Hodgkin lymphoma, restaging",
]  # fmt: skip


@pytest.mark.parametrize("text", KEPT)
def test_clinical_words_stay_as_they_are(text: str) -> None:
    made = packaged_scrubber().scrub(text, None, DESCRIPTOR)
    assert (made.text, made.removed) == (text, ())


def chi(stem: str) -> str:
    return stem + (modulus_11_digit(stem) or modulus_10_digit(stem))


TEN = chi("010170123")
GONE = [
    (TEN, "person_number"), (f"{TEN[:6]} {TEN[6:]}", "person_number"),
    (f"{TEN[:6]}-{TEN[6:]}", "person_number"), (f"{TEN[:2]} {TEN[2:4]} {TEN[4:6]} {TEN[6:]}", "person_number"),
    (f"{TEN[:2]}/{TEN[2:4]}/{TEN[4:6]} {TEN[6:]}", "person_number"), (" ".join(TEN), "person_number"),
    ("943 476 5919", "nhs_number"), ("9434765919", "person_number"), ("CHI no. 12345", "person_number"),
    ("0131 536 1000", "phone"), ("+44 131 536 1000", "phone"), ("07700 900123", "phone"),
    ("j.smith@nhs.scot", "mail"), ("https://example.org/x?y=1", "url"), ("www.nhsfife.scot/a", "url"),
    ("EH16 4SA", "postcode"), ("g12 8qq", "postcode"), ("01/02/1950", "date"), ("1.2.1950", "date"),
    ("1950-02-01", "date"), ("19500201", "unknown_word"), ("1 Feb 1950", "date"),
    ("1st of February, 1950", "date"), ("February 1950", "date"), ("01-FEB-50", "date"), ("01/02/50", "date"),
    ("1950", "date"), ("aged 93", "age"), ("93 year old", "age"), ("101yo", "age"), ("095Y", "age"),
    ("12 High Street", "address"), ("Flat 3, 4 Kirk Wynd", "address"), ("Mr Brain", "title"),
    ("Dr. Long", "title"), ("Professor Hand", "title"), ("MRS YOUNG", "title"), ("reported by: Small", "title"),
    ("1.2.826.0.1.3680043.2.1125", "uid"),
    ("943.476.5919", "nhs_number"), (f"{TEN[:6]}_{TEN[6:]}", "person_number"), ("2020_03_01", "date"),
    ("Feb '50", "date"), ("Feb-50", "date"), ("13:02:1950", "date"), ("91M", "age"), ("F/94", "age"),
    ("ninety-three", "age"), ("Ward 12", "address"),
    ("Seen by Small", "title"), ("A12345", "unknown_word"), ("Skye", "unknown_word"), ("Glasgow", "unknown_word"),
]  # fmt: skip


@pytest.mark.parametrize("kind", [DESCRIPTOR, PROSE])
@pytest.mark.parametrize(("planted", "rule"), GONE)
def test_what_identifies_by_its_form_goes(planted: str, rule: str, kind: str) -> None:
    for text in (planted, f"CT head {planted} with contrast", f"{planted}: chest", f"Abdomen ({planted})"):
        made = packaged_scrubber().scrub(text, None, kind)
        assert rule in made.removed
        left = fold(made.text)
        parts = [part for part in fold(planted).replace("/", " ").replace("-", " ").split() if len(part) > 3]
        assert not any(part in left.split() for part in parts)


def spellings(forename: str, surname: str) -> list[str]:
    return [
        f"{forename} {surname}", f"{surname}^{forename}", f"{surname}, {forename}", f"{surname}{forename}",
        f"{forename}{surname}", f"{forename[0]}. {surname}", f"{surname.upper()} {forename[0]}", surname.lower(),
        surname.swapcase(), f"{forename}_{surname}", html.escape(f"{surname}&{forename}"), " ".join(surname.upper()),
        f"CT{surname}", f"{surname}2", f"{forename}-{surname}", "".join(f"&#{ord(c)};" for c in surname),
    ]  # fmt: skip


SURNAMES = [
    *PEOPLE["surnames"],
    *PEOPLE["accented_surnames"],
    "O'Brien",
    "McDonald-Smith",
    "MacKay",
    "Young",
    "Brain",
    "Hand",
    "Long",
]
FORENAMES = [*PEOPLE["male"], *PEOPLE["female"], *PEOPLE["accented_male"], *PEOPLE["accented_female"]]


def test_the_files_own_person_goes_in_every_spelling() -> None:
    draw, scrubber, planted = random.Random(5), TextScrubber(), 0
    for surname in SURNAMES:
        forename = draw.choice(FORENAMES)
        own = own_values({NAME: [f"{surname}^{forename}"], NUMBER: [TEN]})
        for spelling in [*spellings(forename, surname), TEN, f"X{TEN}", f"{TEN[:6]} {TEN[6:]}"]:
            made = scrubber.scrub(f"CT chest {spelling} axial", own, DESCRIPTOR)
            left = fold(made.text).split()
            assert left[:2] == ["CT", "CHEST"], spelling
            assert left[-1] == "AXIAL", spelling
            parts = set(re.findall(r"[^\W\d_]{3,}", fold(f"{surname} {forename}")))
            assert not parts & set(re.findall(r"[^\W\d_]+", " ".join(left))), spelling
            assert fold(surname) not in fold(made.text), spelling
            planted += 1
    assert planted > 2000


def test_names_that_nobody_knows_go_too() -> None:
    """Without own values: whoever is not called like a clinical word."""
    scrubber = packaged_scrubber()
    clinical = [name for name in SURNAMES + FORENAMES if fold(name) in scrubber.vocabulary]
    assert len(clinical) < 25
    for name in SURNAMES + FORENAMES:
        if name in clinical:
            continue
        for text in (name, name.upper(), f"{name} axial", f"chest {name.lower()}"):
            assert fold(name) not in fold(scrubber.scrub(text, None, PROSE).text)


def test_places_and_unknown_words_go() -> None:
    made = packaged_scrubber().scrub("CT head at Kelvinmoor Infirmary, Pittenweem", None, DESCRIPTOR)
    assert made.text == "CT head at"


def test_prose_shows_where_something_went_and_a_descriptor_does_not() -> None:
    assert packaged_scrubber().scrub("Known with Xyzzy today", None, PROSE).text == "Known with [...] today"
    assert packaged_scrubber().scrub("Known with Xyzzy today", None, DESCRIPTOR).text == "Known with today"


@given(st.text(max_size=60))
def test_any_text_is_taken_and_scrubbing_again_changes_nothing_more_than_spaces(text: str) -> None:
    scrubber = packaged_scrubber()
    once = scrubber.scrub(text, None, DESCRIPTOR).text
    assert set(fold(once).split()) >= set(fold(scrubber.scrub(once, None, DESCRIPTOR).text).split())


def packaged_texts() -> list[str]:
    files = [DATA / "series_descriptions.csv", DATA / "study_descriptions.csv"]
    return make_vocabulary.descriptions(files)


def test_packaged_descriptions_survive() -> None:
    kept, total = kept_tokens(packaged_scrubber(), packaged_texts())
    assert total > 2000
    assert kept / total >= 0.99


@pytest.fixture
def shared() -> Path:
    folder = Path(os.environ.get("CAIRN_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    if not (folder / "reference").is_dir():
        pytest.skip("there is no shared folder with reference data")
    return folder


def test_real_descriptions_survive(shared: Path) -> None:
    files = [shared / "reference" / f"real_{kind}_descriptions.csv" for kind in ("series", "study")]
    texts = make_vocabulary.descriptions(files)
    kept, total = kept_tokens(packaged_scrubber(), texts)
    assert kept / total >= 0.99
    draw = random.Random(7)
    draw.shuffle(texts)
    half = len(texts) // 2
    kept, total = kept_tokens(TextScrubber(make_vocabulary.vocabulary(texts[:half])), texts[half:])
    assert kept / total >= 0.97


def test_the_vocabulary_is_the_one_that_its_sources_give(shared: Path) -> None:
    files = [shared / "reference" / f"real_{kind}_descriptions.csv" for kind in ("series", "study")]
    made = make_vocabulary.vocabulary(make_vocabulary.descriptions(files))
    packaged = packaged_scrubber().vocabulary
    assert packaged <= made  # made with more lists of names than may be installed here
    assert make_vocabulary.typed_words() <= packaged
    assert len(packaged) > 10_000


def test_every_description_file_has_texts() -> None:
    for name in ("series_descriptions.csv", "study_descriptions.csv"):
        with (DATA / name).open(encoding="utf-8") as stream:
            assert any(row["text"] for row in csv.DictReader(stream))


def test_ages_and_postcodes_are_generalised_as_columns() -> None:
    ages = columns.generalise_age(pa.array(["045Y", "089Y", "090Y", "101Y", "006M", "old", None]))
    assert ages.to_pylist() == ["045Y", "089Y", "090Y", "090Y", "006M", None, None]
    assert columns.generalise_age(pa.array([45, 89, 90, 120, None])).to_pylist() == [45, 89, 90, 90, None]
    codes = columns.generalise_postcode(pa.array(["EH16 4SA", "g128qq", "EH16", "W1A 1AA", "nowhere", "", None]))
    assert codes.to_pylist() == ["EH16", "G12", "EH16", "W1A", None, None, None]


def test_dates_move_by_the_days_of_their_person_and_intervals_stay() -> None:
    pseudonyms = Pseudonyms([MasterKey("site", bytes(range(32)))])
    day = dt.date(2020, 3, 17)
    persons = pa.array([TEN, f"{TEN[:6]} {TEN[6:]}", TEN, None, TEN])
    dates = pa.array([day, day, day + dt.timedelta(days=10), day, dt.date(9999, 12, 31)], pa.date32())
    moved = columns.shift_date(dates, persons, pseudonyms).to_pylist()
    days = pseudonyms.days(TEN)
    assert moved[0] == moved[1] == day + dt.timedelta(days=days) != day
    assert moved[2] - moved[0] == dt.timedelta(days=10)
    assert moved[3] is None
    assert moved[4] is None or days < 0
    moments = pa.array([dt.datetime(2020, 3, 17, 9, 30, tzinfo=dt.UTC)], pa.timestamp("us", "UTC"))
    (made,) = columns.shift_date(moments, pa.array([TEN]), pseudonyms).to_pylist()
    assert made == dt.datetime(2020, 3, 17, 9, 30, tzinfo=dt.UTC) + dt.timedelta(days=days)


def test_texts_are_scrubbed_as_columns() -> None:
    texts = columns.scrub_text(pa.array(["CT head for Kelvinmoor", "CT head", None]), DESCRIPTOR)
    assert texts.to_pylist() == ["CT head for", "CT head", None]
