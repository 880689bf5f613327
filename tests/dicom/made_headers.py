"""Made-up headers: hypothesis strategies for datasets of every VR, and pydicom's writer to encode them.

Values are raw bytes, in the byte order of the transfer syntax, so that they may be as wrong as real ones; pydicom
writes raw elements as they are. Every header begins with a SOP class and ends with what a drawn dataset holds.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from hypothesis import strategies as st
from pydicom.charset import convert_encodings, encode_string
from pydicom.datadict import DicomDictionary, private_dictionaries
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
CT_STORAGE = b"1.2.840.10008.5.1.4.1.1.2\0"
NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
BYTES = ("OB", "OD", "OF", "OL", "OV", "OW", "UN")
PLAIN_TEXT = ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR")
TEXT_OF_THE_SET = ("LO", "LT", "PN", "SH", "ST", "UC", "UT")
SHORT_LENGTH = {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST",
                "TM", "UI", "UL", "US"}  # fmt: skip
NEVER_DRAWN = {0x00080005, 0x00080016, 0x00080018, 0x00280103}  # placed on purpose
CREATORS = ("SIEMENS CT VA0  COAD", "GEMS_IDEN_01", "NOBODY KNOWS THIS", None)

# What each character set can write, for text of that set. Names of the sets as in PS3.3 C.12.1.1.2.
ALPHABETS: dict[tuple[str, ...], str] = {
    (): "abzXYZ 019.,-",
    ("ISO_IR 100",): "abc äöüßé",
    ("ISO_IR 101",): "abc łąčž",
    ("ISO_IR 109",): "abc ħĉ",
    ("ISO_IR 110",): "abc ąķ",
    ("ISO_IR 144",): "abc Люкceмбypг",
    ("ISO_IR 127",): "abc قباني",
    ("ISO_IR 126",): "abc Διονυσιος",
    ("ISO_IR 138",): "abc שרון",
    ("ISO_IR 148",): "abc çğış",
    ("ISO_IR 166",): "abc ภาษาไทย",
    ("ISO_IR 13",): "abc ﾔﾏﾀﾞﾀﾛｳ",
    ("ISO_IR 192",): "abc äłЛ王小東 😀",
    ("GB18030",): "abc 王小东欧",
    ("GBK",): "abc 王小东",
    ("ISO-IR 100",): "abc äöü",  # misspelt, and known to pydicom
    ("NO SUCH SET",): "abc",
    ("", "ISO 2022 IR 87"): "abc 山田太郎やまだ",
    ("ISO 2022 IR 13", "ISO 2022 IR 87"): "abc ﾔﾏﾀﾞ山田太郎",
    ("", "ISO 2022 IR 149"): "abc 김희중洪吉洞",
    ("ISO 2022 IR 6", "ISO 2022 IR 58"): "abc 王小东",
    ("ISO 2022 IR 100", "ISO 2022 IR 144"): "abc éüЛюк",
    ("", "ISO 2022 IR 159", "ISO 2022 IR 87"): "abc 山田齬",
}


# Bytes that break most sets; escapes of sets that are declared, of others that are not, and of none.
BROKEN_TEXT = st.lists(
    st.sampled_from([b"a", b"\\", b"^", b"\xe4", b"\xc3\xa4", b"\xff", b"\x1b$B", b"\x1b(B", b"\x1b(J", b"\x1b-L",
                     b"\x1b$)C", b"\x1b", b"\x1b$)A", b"\x1bz9", b"\xb0\xa1", b"\x81", b"01", b"\0", b" ", b"\r\n"]),
    max_size=8,
).map(b"".join)  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A drawn header.

    Parameters
    ----------
    data : bytes
        The entry, as far as its header goes.
    syntax : pydicom.uid.UID
        Its transfer syntax.
    """

    data: bytes
    syntax: UID


@cache
def tags_of(vr: str) -> tuple[int, ...]:
    """Return public tags of one VR that may lie anywhere in a dataset."""
    return tuple(
        tag
        for tag, entry in DicomDictionary.items()
        if entry[0] == vr and 0x0008 <= tag >> 16 < 0x7FE0 and tag not in NEVER_DRAWN and entry[4]
    )


@cache
def ambiguous_tags() -> tuple[int, ...]:
    return tuple(tag for tag, entry in DicomDictionary.items() if entry[0] == "US or SS" and tag not in NEVER_DRAWN)


@cache
def private_tags(creator: str) -> tuple[tuple[int, str], ...]:
    """Return (group, element's low byte) as one tag with a block of 10, and the VR, of a creator pydicom knows."""
    found = []
    for mask, entry in private_dictionaries.get(creator, {}).items():
        if mask[4:6] == "xx" and len(entry[0]) == 2 and entry[0] not in ("SQ", "UN"):
            found.append((int(mask[:4] + "10" + mask[6:], 16), entry[0]))
    return tuple(found)


def plain_text(vr: str) -> st.SearchStrategy[bytes]:
    """Return values of a VR of the default repertoire: mostly right, some not."""
    digits = st.integers(-(10**11), 10**11).map(str)
    number = st.one_of(digits, st.floats(allow_nan=False, allow_infinity=False).map(lambda x: f"{x:.10G}"))
    right: dict[str, st.SearchStrategy[str]] = {
        "DS": number,
        "IS": st.one_of(digits, st.sampled_from(["12.0", "+7", "007", "12.5", "99999999999999999999"])),
        "DA": st.one_of(
            st.dates().map(lambda d: f"{d.year:04}{d.month:02}{d.day:02}"), st.sampled_from(["00000000", "2010.03.05"])
        ),
        "TM": st.one_of(st.times().map(lambda t: t.strftime("%H%M%S.%f")), st.sampled_from(["10", "1010", "10:10:10"])),
        "DT": st.one_of(
            st.datetimes().map(lambda t: f"{t.year:04}{t.month:02}{t.day:02}{t.strftime('%H%M%S.%f')}"),
            st.sampled_from(["2020", "20200102030405-0500", "20200102030405.1+0100"]),
        ),
        "AS": st.sampled_from(["045Y", "45", "003M", "045y"]),
        "UI": st.from_regex(r"[12]\.[0-9.]{1,40}", fullmatch=True),
        "UR": st.from_regex(r"https://[a-z/\\]{1,20}", fullmatch=True),
    }
    odd = st.text("AZaz09 .^=\\\n-_", max_size=20)
    one = st.one_of(right.get(vr, odd), odd) if vr in right else odd
    padded = st.tuples(st.sampled_from(["", "", " ", "  "]), one, st.sampled_from(["", "", " ", "\0", " \0 ", "  "]))
    parts = st.lists(padded.map("".join), min_size=1, max_size=3)
    return parts.map(lambda p: "\\".join(p).encode("ascii"))


def set_text(vr: str, sets: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    """Return text in a character set, with the delimiters of its VR encoded apart as PS3.5 6.1.2.5.3 wants it."""
    encodings = convert_encodings(list(sets)) if len(sets) > 1 else convert_encodings(sets[0] if sets else "")
    if sets == ("ISO_IR 13",):  # both halves of JIS X 0201 in one value; pydicom writes one only
        run = st.text(ALPHABETS[sets], max_size=12).map(lambda text: text.encode("shift_jis"))
    else:
        run = st.text(ALPHABETS[sets], max_size=12).map(lambda text: encode_string(text, encodings))
    delimiters = {"PN": [b"^", b"=", b"\\"], "LT": [b"\r\n"], "ST": [b"\r\n"], "UT": [b"\r\n"]}.get(vr, [b"\\"])
    joint = st.tuples(run, st.lists(st.tuples(st.sampled_from(delimiters), run), max_size=3))
    ending = st.sampled_from([b"", b"", b" ", b"\0", b"   "])
    right = st.tuples(joint, ending).map(lambda drawn: drawn[0][0] + b"".join(d + r for d, r in drawn[0][1]) + drawn[1])
    return st.one_of(right, right, right, BROKEN_TEXT)


def raw_value(vr: str, little: bool, sets: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    """Return bytes of one value of a VR; sometimes empty, and of a length that does not fit."""
    order = "<" if little else ">"
    if vr in NUMBERS:
        size = struct.calcsize(NUMBERS[vr])
        right = st.lists(st.binary(min_size=size, max_size=size), max_size=4).map(b"".join)
        return st.one_of(right, right, right, st.binary(max_size=9))
    if vr == "AT":
        word = st.integers(0, 0xFFFF)
        pair = st.tuples(word, word).map(lambda p: struct.pack(order + "HH", *p))
        return st.lists(pair, max_size=3).map(b"".join)
    if vr in BYTES:
        return st.one_of(st.binary(max_size=40), st.integers(16_380, 16_390).map(lambda n: b"\7" * n))
    return plain_text(vr) if vr in PLAIN_TEXT else set_text(vr, sets)


def raw(tag: int, vr: str, value: bytes, syntax: UID) -> RawDataElement:
    """Return an element that pydicom writes as it is."""
    return RawDataElement(Tag(tag), vr, len(value), value, 0, syntax.is_implicit_VR, syntax.is_little_endian, True)


@st.composite
def datasets(draw: st.DrawFn, syntax: UID, depth: int = 0, sets: tuple[str, ...] = ()) -> Dataset:
    """Return a dataset; `depth` counts the sequences around it, `sets` is the character set that it inherits."""
    dataset = Dataset()
    little = syntax.is_little_endian

    def put(tag: int, vr: str, value: bytes) -> None:
        dataset._dict[Tag(tag)] = raw(tag, vr, value, syntax)

    if depth == 0:
        put(0x00080016, "UI", CT_STORAGE)
        put(0x00080018, "UI", b"1.2.3." + str(draw(st.integers(1, 999))).encode())
    if draw(st.booleans()) if depth else True:
        sets = draw(st.sampled_from(list(ALPHABETS)))
        # An empty one within an item is left out: an open difference, tested on its own.
        if sets or (depth == 0 and draw(st.booleans())):
            put(0x00080005, "CS", "\\".join(sets).encode())
    if draw(st.booleans()):
        put(0x00280103, "US", struct.pack("<H" if little else ">H", draw(st.integers(0, 1))))
    for vr in draw(st.lists(st.sampled_from([*NUMBERS, "AT", *BYTES, *PLAIN_TEXT, *TEXT_OF_THE_SET]), max_size=12)):
        if tags_of(vr):
            put(draw(st.sampled_from(tags_of(vr))), vr, draw(raw_value(vr, little, sets)))
    for tag in draw(st.lists(st.sampled_from(ambiguous_tags()), max_size=2)):
        put(tag, draw(st.sampled_from(["US", "SS"])), draw(raw_value("US", little, sets)))
    draw_private(draw, put, little, sets)
    draw_repeating(draw, put, little)
    if depth < 3:
        for tag in draw(st.lists(st.sampled_from(tags_of("SQ")), max_size=2 if depth < 2 else 1)):
            dataset._dict[Tag(tag)] = draw(sequences(tag, syntax, depth, sets))
    return dataset


@st.composite
def sequences(draw: st.DrawFn, tag: int, syntax: UID, depth: int, sets: tuple[str, ...]) -> DataElement:
    """Return a sequence, it and its items each of defined or undefined length."""
    items = draw(st.lists(datasets(syntax, depth + 1, sets), max_size=2))
    for item in items:
        item.is_undefined_length_sequence_item = draw(st.booleans())
    return DataElement(Tag(tag), "SQ", Sequence(items), is_undefined_length=draw(st.booleans()))


def draw_private(draw: Any, put: Callable[[int, str, bytes], None], little: bool, sets: tuple[str, ...]) -> None:
    """Add a private block: of a creator that pydicom knows, of one nobody knows, or of none."""
    if not draw(st.booleans()):
        return
    creator = draw(st.sampled_from(CREATORS))
    known = private_tags(creator) if creator else ()
    group = known[0][0] >> 16 if known else 0x0019
    if creator:
        put(group << 16 | 0x10, "LO", creator.encode())
    for tag, vr in draw(st.lists(st.sampled_from(known), max_size=3)) if known else ():
        if tag >> 16 == group and vr in (*NUMBERS, "AT", *BYTES, *PLAIN_TEXT, *TEXT_OF_THE_SET):
            put(tag, draw(st.sampled_from([vr, "UN"])), draw(raw_value(vr, little, sets)))
    for low in draw(st.lists(st.integers(0xE0, 0xFF), max_size=2)):
        vr = draw(st.sampled_from(["UN", "LO", "DS", "OB", "US"]))
        put(group << 16 | 0x1000 | low, vr, draw(raw_value(vr, little, ())))


def draw_repeating(draw: Any, put: Callable[[int, str, bytes], None], little: bool) -> None:
    """Add an overlay or curve in a first or other group, a group length, an unknown tag, known tags as UN."""
    for group in draw(st.lists(st.sampled_from([0x5000, 0x5002, 0x6000, 0x6002, 0x601E]), max_size=2)):
        element = draw(st.sampled_from([0x0010, 0x0011] if group >= 0x6000 else [0x0005, 0x0010]))
        put(group << 16 | element, "US", draw(raw_value("US", little, ())))
    if draw(st.booleans()):
        put(draw(st.sampled_from([0x00080000, 0x00100000, 0x60000000])), "UL", draw(st.binary(min_size=4, max_size=4)))
    if draw(st.booleans()):
        put(0x00220F0F, "UN", draw(st.binary(max_size=12)))
    if draw(st.booleans()):
        put(0x00101010, "UN", draw(raw_value("AS", little, ())))


def fits(dataset: Dataset, syntax: UID) -> bool:
    """Whether no value is longer than its length field: 65,535 bytes for most VRs when explicit."""
    return syntax.is_implicit_VR or not any(
        element.VR in SHORT_LENGTH and len(element.value) > 0xFFFF
        for element in dataset.values()
        if isinstance(element, RawDataElement)
    )


def written(dataset: Dataset, syntax: UID) -> bytes:
    """Return a dataset's bytes as pydicom writes it; not deflated."""
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = syntax.is_little_endian, syntax.is_implicit_VR
    # pydicom writes raw values as they are only into the encoding that they are said to come from.
    mark_original(dataset, syntax)
    write_dataset(out, dataset)
    return out.getvalue()


def mark_original(dataset: Dataset, syntax: UID) -> None:
    dataset.set_original_encoding(syntax.is_implicit_VR, syntax.is_little_endian, dataset._character_set)
    for element in dataset.values():
        if isinstance(element, DataElement) and element.VR == "SQ":
            for item in element.value:
                mark_original(item, syntax)


def file_of(dataset_bytes: bytes, syntax: UID, preamble: bool = True) -> bytes:
    """Return preamble, file meta and dataset; the dataset deflated when the syntax says so."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(CT_STORAGE.decode().rstrip("\0")), UID("1.2.3")
    meta.TransferSyntaxUID = syntax
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = True, False
    write_file_meta_info(out, meta, enforce_standard=False)
    if syntax == DeflatedExplicitVRLittleEndian:
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        dataset_bytes = deflate.compress(dataset_bytes) + deflate.flush()
        dataset_bytes += b"\0" * (len(dataset_bytes) % 2)
    return (bytes(128) + b"DICM" if preamble else b"") + out.getvalue() + dataset_bytes


@st.composite
def headers(draw: st.DrawFn) -> Made:
    """Return a header in one of the transfer syntaxes, with or without preamble and file meta."""
    syntax = draw(st.sampled_from(SYNTAXES))
    dataset = draw(datasets(syntax).filter(lambda made: fits(made, syntax)))
    body = written(dataset, syntax)
    # Nothing tells big endian or deflate where there is no file meta.
    bare = syntax in SYNTAXES[:2] and draw(st.integers(0, 4)) == 0
    return Made(body if bare else file_of(body, syntax, draw(st.integers(0, 3)) > 0), syntax)


LONG_FORM = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}


def element(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    """Return one element in explicit VR little endian; `length` is what it claims, if not its value's own."""
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    size = len(value) if length is None else length
    return head + (struct.pack("<HI", 0, size) if vr in LONG_FORM else struct.pack("<H", size)) + value


def small_file(elements: bytes, meta: bytes = b"", sop_instance_uid: bytes = b"1.2.3\0") -> bytes:
    """Return a file of explicit VR little endian with the given elements; `meta` stands before its transfer syntax."""
    syntax = element(0x00020010, "UI", b"1.2.840.10008.1.2.1\0")
    own = element(0x00080018, "UI", sop_instance_uid) if sop_instance_uid else b""
    late = elements[:4] > b"\x02\x00" and elements[:2] == b"\x02\x00"  # file meta elements stay in their group
    return bytes(128) + b"DICM" + meta + syntax + (elements + own if late else own + elements)
