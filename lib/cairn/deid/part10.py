"""The file around the data set: finding it, inflating it, and a new preamble and file meta (PS3.10 7.1)."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

from cairn.deid.encoding import Encoding, padded
from cairn.deid.plan import Doubtful, Withheld
from cairn.dicom import tokenise as tk
from cairn.dicom.dictionary import LONG_LENGTH, dictionary

IMPLICIT_UID, EXPLICIT_UID, BIG_UID = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED_UID = "1.2.840.10008.1.2.1.99"
IMPLEMENTATION_UID = "2.25.253617842130948215570413920574816263521"
_PLAIN = frozenset({IMPLICIT_UID, EXPLICIT_UID, BIG_UID, DEFLATED_UID, ""})
_PIXEL_VRS = {b"\xe0\x7f\x10\0": b"OW", b"\xe0\x7f\x08\0": b"OF", b"\xe0\x7f\x09\0": b"OD"}
_REFUSED = {tk.EMPTY: "EMPTY_FILE", tk.NOT_DICOM: "NOT_DICOM", tk.TRUNCATED: "HEADER_TRUNCATED"}


@dataclass(frozen=True)
class Opened:
    """A file whose data set was found.

    Attributes
    ----------
    data : bytes
        The file; of a deflated one, with its data set inflated.
    start : int
        Where the data set begins.
    encoding : Encoding
        How it is written, by its bytes.
    syntax : str
        Transfer syntax of what is made of it.
    media_class, media_instance : str
        Media Storage SOP Class and Instance UID of its old file meta; empty when there is none.
    """

    data: bytes
    start: int
    encoding: Encoding
    syntax: str
    media_class: str
    media_instance: str


def open_file(data: bytes, inflated_limit: int) -> Opened:
    """Find the data set of a file.

    Parameters
    ----------
    data : bytes
        The file, or its header.
    inflated_limit : int
        Most bytes that a deflated data set may have.

    Raises
    ------
    Withheld
        EMPTY_FILE, NOT_DICOM, HEADER_TRUNCATED, DEFLATE_CORRUPT, HEADER_TOO_LARGE.
    Doubtful
        If pydicom should try.
    """
    status, meta, start, implicit, big = _locate(data, tk.AS_STORED)
    if status == tk.DEFLATED:
        values = _meta(data, meta, start)
        data = data[:start] + _inflate(data[start:], inflated_limit)
        status, _, start, implicit, big = _locate(data, tk.INFLATED)
    elif status == tk.OK:
        values = _meta(data, meta, start)
    if status in _REFUSED:
        raise Withheld(_REFUSED[status])
    if status != tk.OK:
        raise Doubtful("no plain file meta")
    encoding = Encoding(bool(implicit), bool(big))
    declared = values.get(0x00020010, "")
    return Opened(
        data, int(start), encoding, _syntax(declared, encoding), values.get(0x00020002, ""), values.get(0x00020003, "")
    )


def _locate(data: bytes, form: int) -> tuple[int, int, int, bool, bool]:
    tables = dictionary()
    found = tk.locate(np.frombuffer(data, np.uint8), 0, len(data), form, tables.vr_of_bytes, tables.vr_is_long, tk.UIDS)
    return int(found[0]), int(found[1]), int(found[2]), bool(found[3]), bool(found[4])


def _syntax(declared: str, encoding: Encoding) -> str:
    """Return the transfer syntax that is true of the bytes; one that compresses pixels is believed."""
    if declared not in _PLAIN and all(letter in "0123456789." for letter in declared):
        return declared
    if encoding.big:
        return BIG_UID
    return IMPLICIT_UID if encoding.implicit else EXPLICIT_UID


def _inflate(raw: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(raw, limit)
    except zlib.error:
        raise Withheld("DEFLATE_CORRUPT") from None
    if inflater.unconsumed_tail:
        raise Withheld("HEADER_TOO_LARGE")
    if not inflater.eof:
        raise Withheld("DEFLATE_CORRUPT")
    return plain


def _meta(data: bytes, p: int, end: int) -> dict[int, str]:
    """Return the UIDs of a file meta group."""
    found: dict[int, str] = {}
    while p + 8 <= end:
        group, element, vr, length = struct.unpack_from("<HH2sH", data, p)
        if not vr.isalpha():
            length, head = struct.unpack_from("<I", data, p + 4)[0], 8
        elif vr.decode("latin-1") in LONG_LENGTH and p + 12 <= end:
            length, head = struct.unpack_from("<I", data, p + 8)[0], 12
        else:
            head = 8
        if group != 2:
            break
        if element in (0x0002, 0x0003, 0x0010):
            found[group << 16 | element] = data[p + head : p + head + length].decode("latin-1").strip(" \0")
        p += head + length
    return found


def file_meta(sop_class: str, sop_instance: str, syntax: str, version: str) -> bytes:
    """Return preamble, prefix and a new file meta group.

    Parameters
    ----------
    sop_class, sop_instance, syntax : str
        UIDs.
    version : str
        Implementation Version Name (0002,0013), at most 16 characters.
    """
    explicit = Encoding(False, False)
    elements = [explicit.element(0x00020001, "OB", b"\0\1")]
    uids = {0x00020002: sop_class, 0x00020003: sop_instance, 0x00020010: syntax, 0x00020012: IMPLEMENTATION_UID}
    elements += [explicit.element(tag, "UI", padded(uid.encode("latin-1"), "UI")) for tag, uid in uids.items()]
    elements.append(explicit.element(0x00020013, "SH", padded(version.encode("ascii"), "SH")))
    group = b"".join(elements)
    return bytes(128) + b"DICM" + explicit.element(0x00020000, "UL", struct.pack("<I", len(group))) + group


def explicit_pixels(rest: bytes) -> bytes:
    """Return a pixel data element, as it stood in a file, for a data set in explicit little endian.

    Parameters
    ----------
    rest : bytes
        What lies behind the header; empty, or a pixel data element in explicit or implicit little endian.

    Raises
    ------
    Withheld
        DEID_UNREADABLE: it is anything else, such as big endian samples, which would have to be made anew.
    """
    if not rest:
        return rest
    vr = _PIXEL_VRS.get(rest[:4])
    if vr is None or len(rest) < 12:
        raise Withheld("DEID_UNREADABLE")
    if rest[4:6] in (b"OB", b"OW", b"UN", b"OF", b"OD"):
        return rest
    return rest[:4] + vr + bytes(2) + rest[4:]
