"""Conformance with PS3.15 Table E.1-1, from the standard's table alone: no mark that a row covers comes out.

Nothing here asks the engine what it means to do: the table of the standard says which attributes identify, pydicom
writes files in which each of them carries a mark, and the marks are looked for in the bytes that come out.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom.data
import pytest
from deid_files import CT, rewriter
from pydicom import config, dcmread
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.sequence import Sequence
from pydicom.uid import UID

from cairn.deid.free_text import own_values, packaged_scrubber
from cairn.deid.rewrite import Kept

from .conftest import shared_folder

PACKAGED = Path(__file__).resolve().parents[2] / "lib" / "cairn" / "deid" / "data" / "ps315_e1_1_2026c.json"
SYNTAXES = {"explicit": "1.2.840.10008.1.2.1", "implicit": "1.2.840.10008.1.2", "big": "1.2.840.10008.1.2.2"}
# Sequences that no row of the table names, so that what is within has to be found there.
CARRIERS = (0x5200_9230, 0x0018_9006, 0x0028_9110)
KERNEL = 0x0018_1210  # no row names it: its value stays
DOCUMENT = 0x0042_0011
OPTIONS = {
    "basic": (),
    "research": ("rtnLongModifDatesOpt", "rtnPatCharsOpt", "cleanDescOpt", "cleanStructContOpt", "cleanGraphOpt"),
}
DATES = ("19370203", "19580711", "19791127")
Rewrite = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Row:
    """One attribute of the table: its number among all, tag, VR, and the columns that an open profile retains by."""

    number: int
    tag: int
    vr: str
    action: str
    options: dict[str, str]

    def values(self, count: int) -> list[str]:
        """Marked values, as many as asked for; no two rows' marks are the same, except dates and ages."""
        if self.tag == 0x0010_0020:  # a file with several numbers stays (test_whose_file.py)
            count = min(count, 1)
        form = {
            "UI": "1.2.826.0.1.7777.{n}.{i}",
            "TM": "131415.{n}",
            "DT": "{d}131415.{n}",
            "DA": "{d}",
            "AS": "98{i}M",
            "DS": "7{n}{i}",
            "IS": "7{n}{i}",
            "UR": "http://zq{n}x{i}.org",
        }.get(self.vr, "ZQ{n}X{i}")
        return [form.format(n=100_000 + self.number, i=place, d=DATES[place]) for place in range(count)]

    def retained(self, profile: str) -> str:
        """K or C where an option of the profile retains or cleans the attribute, else nothing."""
        return "".join(self.options.get(option, "") for option in OPTIONS[profile])


def table_rows() -> list[dict[str, str]]:
    """The standard's table; without the shared folder the one that the package has (a test holds them together)."""
    path = shared_folder() / "reference" / "ps315_table_e1_1_2026c.json"
    if path.is_file():
        return list(json.loads(path.read_text("utf-8")))
    columns = {
        "modified_dates": "rtnLongModifDatesOpt",
        "patient_characteristics": "rtnPatCharsOpt",
        "clean_descriptors": "cleanDescOpt",
        "clean_structured_content": "cleanStructContOpt",
        "clean_graphics": "cleanGraphOpt",
    }
    rows = json.loads(PACKAGED.read_text("utf-8"))["rows"]
    return [
        {"id": tag, "name": name, "basicProfile": action} | {columns[k]: v for k, v in options.items() if k in columns}
        for tag, name, action, options in rows
    ]


def attributes() -> Iterator[Row]:
    number = 0
    for row in table_rows():
        for tag in tags_of(row["id"]):
            number += 1
            try:
                vr = dictionary_VR(tag)
            except KeyError:  # newer than pydicom's dictionary
                vr = "LO"
            options = {name: value for name, value in row.items() if name.endswith("Opt")}
            yield Row(number, tag, vr, row["basicProfile"], options)


def tags_of(text: str) -> list[int]:
    if text.startswith("50xx"):
        return [0x5000_2500, 0x5000_3000, 0x5002_2600, 0x501E_3000]
    if text.startswith("60xx"):
        return [int(f"60{group}{text[4:]}", 16) for group in ("00", "02", "1E")]
    return [int(text, 16)] if len(text) == 8 and not text.startswith("gggg") else []


ROWS = list(attributes())


def element_value(row: Row, count: int, profile: str) -> Any:
    values = row.values(max(count, 1))
    if row.vr == "SQ":
        return Sequence(item_of(row, place, profile) for place in range(count))
    if row.vr in ("US", "SS", "US or SS"):
        return 0xBEEF if count else None
    if row.vr in ("OB", "OW", "UN", "OB or OW"):
        data = "".join(values).encode() if count else b""
        return data + b" " * (len(data) % 2)
    if not count:
        return "" if row.vr != "DS" and row.vr != "IS" else None
    return values[0] if count == 1 or row.vr in ("LT", "ST", "UT", "UR", "AS") else values


def item_of(row: Row, place: int, profile: str) -> Dataset:
    """An item with a person's name in it, which must go, and where the sequence goes, with an attribute of no row."""
    item = Dataset()
    item.add_new(0x0040_A123, "PN", f"ZQ{100_000 + row.number}X{place}")
    if "U*" not in row.action and not row.retained(profile):
        item.add_new(KERNEL, "SH", f"ZQ{100_000 + row.number}Y{place}")
    return item


def marked(rows: list[Row], count: int, profile: str) -> Dataset:
    ds = Dataset()
    for row in rows:
        ds.add_new(row.tag, row.vr.split(" ")[0], element_value(row, count, profile))
    ds.add_new(KERNEL, "SH", "KEEPSHARP")
    return ds


def carried(ds: Dataset, depth: int, private: bool) -> Dataset:
    for carrier in CARRIERS[:depth]:
        ds, item = Dataset(), ds
        ds.add_new(carrier, "SQ", Sequence([item]))
        ds.add_new(KERNEL, "SH", "KEEPSHARP")
    if private:
        ds, item = Dataset(), ds
        block = ds.private_block(0x0019, "ZQ MAKER", create=True)
        block.add_new(0x01, "SQ", Sequence([item]))
        block.add_new(0x02, "LO", "ZQ PRIVATE")
        block.add_new(0x03, "UN", b"ZQ UNKNOWN")
    return ds


def file_of(ds: Dataset, syntax: str) -> bytes:
    """Bytes as pydicom writes them, its objections aside: archives hold what no writer should have written."""
    for tag, value in ((0x0008_0016, CT), (0x0008_0060, "CT")):
        if tag not in ds:
            ds.add_new(tag, "UI" if tag == 0x0008_0016 else "CS", value)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CT, SYNTAXES[syntax]
    meta.MediaStorageSOPInstanceUID = "1.2.826.0.1.7777.1"
    meta.add_new(0x0002_0010, "UI", UID(SYNTAXES[syntax]))
    target = DicomBytesIO()
    target.write(b"ZQ PREAMBLE".ljust(128, b"\0") + b"DICM")
    write_file_meta_info(target, meta, enforce_standard=True)
    target.is_little_endian, target.is_implicit_VR = syntax != "big", syntax == "implicit"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_dataset(target, ds)
    return bytes(target.getvalue())


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pydicom write what it would object to."""
    monkeypatch.setattr(config.settings, "writing_validation_mode", config.IGNORE)
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)


@pytest.fixture(params=sorted(OPTIONS))
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def rewrite(profile: str) -> Rewrite:
    """The engine: the one place where this test knows it."""
    engine = rewriter(profile)

    def call(data: bytes) -> bytes:
        made = engine(data)
        assert isinstance(made, Kept), made
        return made.tobytes()

    return call


def searched(row: Row, count: int, profile: str) -> list[bytes]:
    """The marks of a row that must not come out, as bytes."""
    if "K" in row.retained(profile) or (row.vr == "TM" and row.retained(profile)):
        return []  # what the option retains; times of day stay where dates move by whole days
    if row.vr == "SQ":
        return [f"ZQ{100_000 + row.number}".encode()]
    return [] if row.vr in ("US", "AS") else [value.encode() for value in row.values(count)]


def leaks(made: bytes, rows: list[Row], count: int, profile: str) -> list[str]:
    return [f"{row.tag:08X}" for row in rows if any(mark in made for mark in searched(row, count, profile))]


def at(ds: Dataset, depth: int) -> Dataset:
    for carrier in reversed(CARRIERS[:depth]):
        ds = ds[carrier].value[0]
    return ds


def in_dataset(row: Row) -> bool:
    """Command and file meta elements stand in no data set; a document makes that the whole file is withheld."""
    return row.tag >> 16 not in (0x0000, 0x0002) and row.tag != DOCUMENT


@pytest.mark.parametrize("syntax", sorted(SYNTAXES))
@pytest.mark.parametrize("private", [False, True], ids=["standard", "private"])
@pytest.mark.parametrize("count", [0, 1, 3], ids=["empty", "present", "multiple"])
@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.usefixtures("unchecked")
def test_no_mark_comes_out(rewrite: Rewrite, profile: str, depth: int, count: int, private: bool, syntax: str):
    rows = [row for row in ROWS if in_dataset(row)]
    original = file_of(carried(marked(rows, count, profile), depth, private), syntax)
    made = rewrite(original)
    if count:
        planted = [row for row in rows if searched(row, count, profile)]
        assert len(leaks(original, planted, count, profile)) == len(planted)  # the marks were there
    assert leaks(made, rows, count, profile) == []
    assert [mark for mark in (b"ZQ PREAMBLE", b"ZQ MAKER", b"ZQ PRIVATE", b"ZQ UNKNOWN") if mark in made] == []
    assert made.count(b"KEEPSHARP") == (0 if private else depth + 1)
    ds = dcmread(io.BytesIO(made))
    for element in ds.iterall():
        assert element.value is not Ellipsis  # every value can be read
    if not private and profile == "basic":  # what has no bytes of its own to look for
        inner = at(ds, depth)
        for row in rows:
            if row.vr in ("US", "AS") and count:
                found = inner.get(row.tag)
                assert found is None or found.value not in (0xBEEF, row.values(1)[0]), f"{row.tag:08X}"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("group", [0x0000, 0x0002])
@pytest.mark.parametrize("depth", [1, 3])
def test_command_and_meta_elements_within_items_do_not_come_out(rewrite: Rewrite, profile: str, depth: int, group: int):
    rows = [row for row in ROWS if row.tag >> 16 == group]
    assert leaks(rewrite(file_of(carried(marked(rows, 1, profile), depth, False), "explicit")), rows, 1, profile) == []


@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.usefixtures("unchecked")
def test_a_document_comes_out_nowhere(profile: str, depth: int):
    rows = [row for row in ROWS if row.tag == DOCUMENT]
    made = rewriter(profile)(file_of(carried(marked(rows, 1, profile), depth, False), "explicit"))
    assert not isinstance(made, Kept) or leaks(made.tobytes(), rows, 1, profile) == []


@pytest.mark.usefixtures("unchecked")
def test_uids_are_replaced_the_same_way_everywhere(rewrite: Rewrite, profile: str):
    """Action U: "internally consistent within a set of Instances" (PS3.15 E.1.1)."""
    rows = [row for row in ROWS if row.action == "U" and row.vr == "UI" and in_dataset(row)]
    one, another = "1.2.826.0.1.7777.5.1", "1.2.826.0.1.7777.5.2"
    becomes = {one: set(), another: set()}
    for original, seen in becomes.items():
        for depth in (0, 1, 3):
            ds = Dataset()
            for row in rows:
                ds.add_new(row.tag, "UI", original)
            made = dcmread(io.BytesIO(rewrite(file_of(carried(ds, depth, False), "explicit"))))
            seen |= {str(at(made, depth)[row.tag].value) for row in rows if row.tag in at(made, depth)}
    assert [len(seen) for seen in becomes.values()] == [1, 1] and len(set.union(*becomes.values())) == 2
    assert all(UID(uid).is_valid for seen in becomes.values() for uid in seen)


WRITTEN = ["2019-03-17", "17/03/2019", "17.3.2019", "17 Mar 2019", "17th March 2019", "2019.03.17", "03/17/2019",
           "aged 93", "095Y", "93 years", "20190317101500", "20190317"]  # fmt: skip
"""A study's date and an age over 89, as people and programs write them where no date belongs."""


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("vr", ["LO", "SH", "ST", "UN"])
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_dates_and_ages_written_as_texts_do_not_come_out(profile: str, depth: int, vr: str):
    """In each row that holds a date, a time or an age, and in attributes that stay: shifted, generalised or removed."""
    engine = rewriter(profile, scrubber=packaged_scrubber(), own_values=own_values)
    tags = [row.tag for row in ROWS if row.vr in ("DA", "DT", "AS") and in_dataset(row)]
    for text in WRITTEN:
        value = text.encode() + b" " * (len(text) % 2) if vr == "UN" else text
        ds = Dataset()
        for tag in (*tags, KERNEL, 0x0018_1251, 0x0018_1020):
            ds.add_new(tag, vr, value)
        outer = carried(ds, depth, False)
        outer.add_new(0x0008_0020, "DA", "20190317")
        original = file_of(outer, "explicit")
        made = engine(original)
        assert isinstance(made, Kept)
        assert original.count(text.encode()) >= len(tags)
        assert text.encode() not in made.tobytes(), text


def test_the_packaged_table_is_the_standards(reference: Callable[[str], Any]):
    rows = {row["id"]: row["basicProfile"] for row in reference("ps315_table_e1_1_2026c.json")}
    assert rows.pop("ggggeeee-where-gggg-is-odd") == "X"
    packaged = {tag: action for tag, _, action, _ in json.loads(PACKAGED.read_text("utf-8"))["rows"]}
    assert packaged.pop("private") == "X"
    assert packaged == rows and len(rows) == 655


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_no_mark_comes_out_of_a_file_with_one_attribute(rewrite: Rewrite, profile: str, depth: int):
    """Each row alone: what happens to it does not hang on its neighbours."""
    found = []
    for row in filter(in_dataset, ROWS):
        for count in (1, 3):
            made = rewrite(file_of(carried(marked([row], count, profile), depth, False), "explicit"))
            found += leaks(made, [row], count, profile)
    assert found == []


def real_files() -> list[Path]:
    """Small files that pydicom packages, of every kind."""
    packaged = (Path(pydicom.data.__file__).parent / "test_files").rglob("*.dcm")
    return sorted(path for path in packaged if path.stat().st_size < 200_000)


@pytest.mark.usefixtures("unchecked")
def test_no_mark_comes_out_of_packaged_files(profile: str):
    """Marks planted into real files, at the top and in a carrier; whatever is readable, nearly all comes out."""
    engine, rows = rewriter(profile), [row for row in ROWS if in_dataset(row) and row.tag >> 16 != 0xFFFC]
    planted, out, found = 0, 0, {}
    for path in real_files():
        try:
            original = planted_into(path, rows, profile)
        except (AttributeError, InvalidDicomError, KeyError, NotImplementedError, TypeError, ValueError):
            continue  # what pydicom cannot read and write again
        planted += 1
        made = engine(original)
        out += isinstance(made, Kept)
        if isinstance(made, Kept) and (places := leaks(header_of(made.tobytes()), rows, 1, profile)):
            found[path.name] = places
    assert found == {}
    assert planted > 30 and out >= 0.9 * planted


def planted_into(path: Path, rows: list[Row], profile: str) -> bytes:
    ds = dcmread(path)
    marks = marked([row for row in rows if row.tag not in (0x0008_0016, 0x0008_0018)], 1, profile)
    del marks[KERNEL]
    ds.update(marks)
    ds.update(carried(marked(rows, 1, profile), 1, False))
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds.save_as(target)
    return target.getvalue()


def header_of(data: bytes) -> bytes:
    """Without pixels, among which bytes of a date may stand by chance."""
    pixels = data.rfind(b"\xe0\x7f\x10\x00")
    return data if pixels < 0 else data[:pixels]
