"""Documents of the Scottish service: how they name elements and keep values.

An image's document is ``{_id: ObjectId, header: {DicomFilePath, DicomFileSize, MessageHeader}, <key>: <value>, …}``:

- The key is the DICOM keyword; of private elements and repeating groups ``(gggg,eeee)-Keyword`` or
  ``(gggg,eeee:CREATOR)-Keyword``, dots replaced by underscores. Group lengths and the file meta are left out.
- Text is one string, several values separated by backslashes; AT the same of eight hexadecimal digits. Numbers are
  arrays, also a single one; unsigned ones of 64 bits wrap. Sequences are arrays of documents. What is empty is null.
- Private elements, and those for which the dictionary allows several VRs, are ``{vr, val}``.
- Bytes (OB, OW, OV, UN) are null, unless the service was told to keep them.
- ``DicomFilePath`` is relative to the archive's root, members of zip files are ``some.zip!member``.

Source: SMI/SmiServices (MongoDocumentHeaders, MongoModalityGroups, ImageMessageProcessor) and SMI/DicomTypeTranslation
(DicomTypeTranslaterReader, its tests), both public, as of 2025. Read for the layout; no code of theirs is here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR

from cairn.archive.address import MEMBER, quote
from cairn.catalogue.canonical import FIRST_PIXELS, NUMBERS, OTHERS, TEXT, Element, Items, Written, write
from cairn.dicom.dictionary import VR, keywords
from cairn.errors import CairnError, EntryError, Finding

ELEMENT = "CATALOGUE_ELEMENT"
_KEYED = re.compile(r"\(([0-9a-fA-F]{4}),([0-9a-fA-F]{4})(?::.*)?\)-.*", re.DOTALL)
_NO_ELEMENT = frozenset({"_id", "header"})
_ZIP = re.compile(r"(.+\.zip)!(.+)", re.IGNORECASE | re.DOTALL)
_WRAP = 1 << 64
_DEEPEST = 200


@dataclass
class Told:
    """What a document says of a header.

    Attributes
    ----------
    elements : tuple of Element
        Of the top level.
    findings : list of Finding
        Elements that DICOM does not have.
    """

    elements: tuple[Element, ...] = ()
    findings: list[Finding] = field(default_factory=list)


def entry_of(document: Mapping[str, Any]) -> tuple[str, int | None]:
    """Return the path and size that a document states for its entry.

    Raises
    ------
    EntryError
        CATALOGUE_DOCUMENT.
    """
    header = document.get("header")
    path = header.get("DicomFilePath") if isinstance(header, Mapping) else None
    size = header.get("DicomFileSize") if isinstance(header, Mapping) else None
    if not isinstance(path, str) or not path or not (size is None or isinstance(size, int)):
        raise EntryError("CATALOGUE_DOCUMENT")
    return path, size if size is None or size >= 0 else None


def uri_of(path: str, root: str) -> str:
    """Return the address of an entry, as `inventory` writes it.

    Parameters
    ----------
    path : str
        As the document has it.
    root : str
        What paths are relative to; empty: all are absolute.

    Raises
    ------
    CairnError
        CATALOGUE_ROOT_UNSET.
    """
    if path.startswith("/"):
        store = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*", root)
        base = store[0] if store else "file://"
    elif root:
        base = f"{root.rstrip('/')}/"
    else:
        raise CairnError("CATALOGUE_ROOT_UNSET")
    if member := _ZIP.fullmatch(path):
        return f"{base}{quote(member[1])}{MEMBER}{quote(member[2].lstrip('/'))}"
    return base + quote(path)


def header_of(document: Mapping[str, Any]) -> tuple[Written, list[Finding]]:
    """Return a document's elements as header bytes, and what could not be taken over.

    Parameters
    ----------
    document : mapping
        Plain Python values, as BSON is decoded.
    """
    told = Told()
    told.elements = _elements(document, told.findings, "", 0)
    written = write(told.elements)
    if written.recoded:
        told.findings.append(Finding("CATALOGUE_CHARSET", "(0008,0005)"))
    return written, told.findings


def _elements(document: Mapping[str, Any], findings: list[Finding], place: str, depth: int) -> tuple[Element, ...]:
    out = []
    for key, value in document.items():
        if depth == 0 and key in _NO_ELEMENT:
            continue
        tag = tag_of(key)
        if tag is None:
            findings.append(Finding(ELEMENT, place))
        elif tag & 0xFFFF and not (depth == 0 and tag >= FIRST_PIXELS):
            own = f"{place}({tag >> 16:04X},{tag & 0xFFFF:04X})"
            try:
                out.append(_element(tag, value, findings, own, depth))
            except (struct.error, ValueError, TypeError, OverflowError):
                findings.append(Finding(ELEMENT, own))
    return tuple(out)


def tag_of(key: str) -> int | None:
    """Return the tag that a key names, or None when it names none."""
    if key in keywords():
        return keywords()[key][0]
    named = _KEYED.fullmatch(key)
    return int(named[1] + named[2], 16) if named else None


def _element(tag: int, value: Any, findings: list[Finding], place: str, depth: int) -> Element:
    vr = ""
    if isinstance(value, Mapping):
        vr, value = str(value["vr"]) if "vr" in value else "", value.get("val")
        if vr not in VR or len(vr) != 2:
            raise ValueError("no VR")
    if not vr:
        vr = _usual_vr(tag, value)
    if vr == "SQ":
        if depth >= _DEEPEST:
            raise ValueError("nests too deep")
        items = [] if value is None else value
        return Element(tag, vr, Items(tuple(_elements(one, findings, place, depth + 1) for one in _documents(items))))
    if isinstance(value, str) and (vr in NUMBERS or vr in OTHERS):
        vr = "LO"  # the file gave the element a VR of text; the kernel knows such files
    return Element(tag, vr, stored(vr, value))


@lru_cache(maxsize=16_384)
def _public_vr(tag: int) -> str:
    """Return the dictionary's VR, of several the first (such values state theirs); empty when it has none."""
    try:
        return dictionary_VR(tag)[:2]
    except KeyError:
        return ""


def _usual_vr(tag: int, value: Any) -> str:
    """Return the dictionary's VR; of a private element that states none only a sequence is told by its value."""
    if vr := _public_vr(tag):
        return vr
    return "SQ" if isinstance(value, Sequence) and not isinstance(value, (str, bytes)) else "UN"


def _documents(value: Any) -> Sequence[Mapping[str, Any]]:
    if isinstance(value, (str, bytes, Mapping)) or not all(isinstance(one, Mapping) for one in value):
        raise ValueError("no items")
    return list(value)


def stored(vr: str, value: Any) -> str | bytes:
    """Return a value as text, or as the bytes of its VR.

    Raises
    ------
    ValueError, TypeError, OverflowError, struct.error
        When the VR cannot hold it.
    """
    if value is None:
        return b""
    if vr in TEXT:
        if not isinstance(value, str):
            raise TypeError("no text")
        return value
    if vr == "AT":
        tags = [int(part, 16) for part in value.split("\\")]
        return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in tags)
    if isinstance(value, bytes):
        return value
    form = {**NUMBERS, **OTHERS}[vr]
    numbers = [value] if isinstance(value, (int, float)) else list(value)
    if form == "Q":
        numbers = [number % _WRAP for number in numbers]
    return struct.pack(f"<{len(numbers)}{form}", *numbers)
