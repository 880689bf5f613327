"""Planted without own values to help: dates, phones, hospitals, names behind modalities, initials."""

from __future__ import annotations

import datetime as dt
import random
import re

import pytest

from cairn.deid.free_text import DESCRIPTOR, PROSE, fold, packaged_scrubber
from cairn.deid.free_text_patterns import is_initials, is_local_phone

CONTEXTS = ["{}", "CT head {}", "{} CT chest", "XR knee, {}, lateral view", "Abdomen ({})", "MRI spine: {}."]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December"]  # fmt: skip
ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"]


def date_spellings(day: dt.date) -> list[str]:
    d, m, y, yy, month = day.day, day.month, day.year, f"{day.year % 100:02d}", MONTHS[day.month - 1]
    short, th = month[:3], {1: "st", 2: "nd", 3: "rd"}.get(d % 10 if d not in (11, 12, 13) else 0, "th")
    numbers = [f"{a}{gap}{b}{gap}{c}" for gap in "/.- _\\" for a, b, c in ((d, m, y), (f"{d:02d}", f"{m:02d}", y))]
    years_first = [f"{y}{gap}{m:02d}{gap}{d:02d}" for gap in "/.- _"]
    two = [f"{d}{gap}{m}{gap}{yy}" for gap in "/.- _"] + [f"{d:02d}{gap}{m:02d}{gap}{yy}" for gap in "/.- _"]
    return [
        *numbers, *years_first, *two, f"{y}{m:02d}{d:02d}", f"{d:02d}{m:02d}{y}", f"{d:02d}{m:02d}{yy}",
        f"{d} {month} {y}", f"{d}{th} {month} {y}", f"{d}{th} of {month}, {y}", f"{d} {short} {yy}", f"{d}{short}{yy}",
        f"{d:02d}{short.upper()}{y}", f"{d}-{short}-{yy}", f"{d}-{short.upper()}-{y}", f"{month} {d}, {y}",
        f"{short} {d} {yy}", f"{month} {d}{th} {y}", f"{y}-{short}-{d:02d}", f"{d}{th} {month}", f"{month} {y}",
        f"{short} '{yy}", f"{m:02d}/{y}", f"{d}.{ROMAN[m - 1]}.{y}", f"{d} {ROMAN[m - 1]} {yy}",
        f"{d:02d}/{m:02d}/{yy} 09:30",
        f"{y}-{m:02d}-{d:02d}T09:30", str(y),
    ]  # fmt: skip


def left_of(text: str, planted: str, kind: str) -> set[str]:
    """Return which words of something planted are left that were not in its surroundings."""
    left = re.findall(r"[^\W_]+", fold(packaged_scrubber().scrub(text, None, kind).text))
    around = re.findall(r"[^\W_]+", fold(text.replace(planted, " ")))
    for word in around:
        if word in left:
            left.remove(word)
    return set(left) & set(re.findall(r"[^\W_]+", fold(planted)))


@pytest.mark.parametrize("kind", [DESCRIPTOR, PROSE])
def test_dates_in_every_spelling_go(kind: str) -> None:
    draw, planted = random.Random(11), 0
    for _ in range(12):
        day = dt.date(1920, 1, 1) + dt.timedelta(days=draw.randrange(38_000))
        if day.year == 2000:
            continue  # is a b value far more often
        for spelling in date_spellings(day):
            text = draw.choice(CONTEXTS).format(spelling)
            left = {word for word in left_of(text, spelling, kind) if word not in ("09", "30", "T09")}
            assert not left, (text, left)
            planted += 1
    assert planted > 500


@pytest.mark.parametrize("kind", [DESCRIPTOR, PROSE])
def test_numbers_of_phones_go_without_area_code_too(kind: str) -> None:
    draw = random.Random(12)
    for _ in range(60):
        local = f"{draw.randrange(201, 999, 7)}{draw.choice(' -')}{draw.randrange(1001, 9999, 3)}"
        extension = str(draw.randrange(1000, 99999))
        phones = [
            local, f"tel {local}", f"Tel. no. {local}", f"ext {extension}", f"ext.{extension}", f"EXT{extension}",
            f"x{extension}", f"extension: {extension}", f"bleep {extension}", f"pager {extension}", f"DECT {extension}",
            f"#{extension}", f"0131 {local}", f"(0131) {local}",
        ]  # fmt: skip
        for phone in phones:
            if is_local_phone(local):
                text = draw.choice(CONTEXTS).format(phone)
                assert not {word for word in left_of(text, phone, kind) if any(map(str.isdigit, word))}, text


HOSPITALS = [
    "Western General", "Western General Hospital", "Royal Infirmary of Edinburgh", "Royal Alexandra Hospital",
    "Queen Elizabeth University Hospital", "Golden Jubilee", "Forth Valley Royal", "Victoria Infirmary",
    "Borders General", "St John's Hospital", "New Stobhill", "Royal Hospital for Sick Children", "Sick Children's",
    "Royal Hospital for Children and Young People", "Western Isles Hospital", "Southern General", "Wishaw General",
    "Vale of Leven", "Princess Alexandra Eye Pavilion", "Royal Victoria", "Woodend", "Caithness General",
    "Uist and Barra", "Inverclyde Royal", "State Hospital", "Murray Royal", "Ninewells", "Gartnavel General", "Beatson",
    "Beatson West of Scotland Cancer Centre", "Aberdeen Royal Infirmary", "Aberdeen Maternity", "Raigmore", "Seafield",
    "Portree", "Campbeltown", "East Lothian Community Hospital", "Dumfries and Galloway Royal Infirmary", "Crosshouse",
    "Glasgow Royal", "Monklands", "Hairmyres", "Dr Gray's", "Stracathro", "Law Hospital", "Balfour", "Belford",
]  # fmt: skip
ORDINARY = frozenset(["GENERAL", "HOSPITAL", "OF", "NEW", "AND", "FOR", "COMMUNITY", "CENTRE", "S", "DR", "EAST"])
"""Of a name nothing is left but what any hospital is called."""


@pytest.mark.parametrize("kind", [DESCRIPTOR, PROSE])
def test_names_of_hospitals_go(kind: str) -> None:
    for name in HOSPITALS:
        for spelling in (name, name.upper(), name.lower()):
            for context in CONTEXTS:
                text = context.format(spelling)
                assert left_of(text, spelling, kind) <= ORDINARY, text


@pytest.mark.parametrize("title", ["MR", "DR", "Mr", "Dr", "MRS", "Mrs"])
@pytest.mark.parametrize(
    "surname", ["Long", "Young", "Small", "Short", "Sharp", "Bell", "Ward", "Turner", "Kelvinmoor"]
)
def test_names_behind_a_title_go_though_the_title_be_a_modality(title: str, surname: str) -> None:
    spelling = surname.upper() if title.isupper() else surname
    for text in (f"{title} {spelling}", f"CT chest, {title} {spelling}", f"{title} {spelling}, CT chest"):
        for kind in (DESCRIPTOR, PROSE):
            assert surname.upper() not in fold(packaged_scrubber().scrub(text, None, kind).text).split(), text


SIGNED = ["J.S.", "J. S.", "A. B. Q.", "reported by JS", "Reported: JS", "typed AB", "Dictated AB/cd", "seen by ZF",
          "signed JS", "AB/jk"]  # fmt: skip


@pytest.mark.parametrize("signed", SIGNED)
def test_initials_go(signed: str) -> None:
    for context in ("Normal chest. {}", "CT head, {}", "{}"):
        text = context.format(signed)
        letters = {word for word in re.findall(r"[A-Za-z]+", signed) if len(word) <= 2 and word not in ("by",)}
        made = packaged_scrubber().scrub(text, None, PROSE).text
        assert not letters & set(re.findall(r"[A-Za-z]+", made)), (text, made)


KEPT = [
    "MR LONG AXIS", "MR BRAIN", "MR HAND", "DR CHEST PA", "MR SMALL BOWEL", "DR HAND", "b 0 500 1000", "0 500 1000",
    "DWI 500 1000", "EPI 2 3 256", "256 512", "A.P. view", "T.M.J.", "I.V. contrast", "5/12 slices", "L5/S1", "24/7",
    "1 2 3 4", "2 3 10 mm", "T2 3 5 70 mm", "borders of the mass", "sick patient", "General view", "TE 12 30",
    "AX 3.2.50 mm", "heart long axis", "grade 2/4",
]  # fmt: skip


@pytest.mark.parametrize("text", KEPT)
def test_what_only_looks_alike_stays(text: str) -> None:
    assert packaged_scrubber().scrub(text, None, DESCRIPTOR).text == text


def test_pairs_of_b_values_and_abbreviations_are_told_apart() -> None:
    assert [is_local_phone(text) for text in ("536 1000", "500 1000", "550-2001", "800 1200")] == [
        True,
        False,
        True,
        False,
    ]
    assert [is_initials(text) for text in ("J.S.", "A.P.", "C. T.", "JS")] == [True, False, False, False]
