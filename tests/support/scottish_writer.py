"""Documents as the Scottish service writes them, made by pydicom: the oracle of `catalogue pull`.

It follows the service's public sources (SMI/SmiServices, SMI/DicomTypeTranslation) and shares no code with what reads
the documents.
"""

from __future__ import annotations

import re
import uuid
import warnings
from pathlib import Path
from typing import Any

import pydicom
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import TEXT_VR_DELIMS

MAJOR = {"CR", "CT", "DX", "MG", "MR", "NM", "OT", "PR", "PT", "RF", "SR", "US", "XA"}
NEVER_KEPT = {"OB", "OW", "OV", "UN"}  # unless it is told to serialise binary data
GOVERNED = {"LO", "LT", "PN", "SH", "ST", "UC", "UT"}
TEXTS = GOVERNED | {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"}


def document(path: Path | bytes, name: str, size: int) -> dict[str, Any]:
    """Return an image's document without its ``_id``."""
    source = pydicom.filebase.DicomBytesIO(path) if isinstance(path, bytes) else path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(source, force=True)
        header = {"DicomFilePath": name, "DicomFileSize": size, "MessageHeader": message()}
        return {"header": header, **elements(dataset, ["iso8859"])}


def message() -> dict[str, Any]:
    return {"MessageGuid": str(uuid.UUID(int=7)), "ProducerProcessID": 4711, "ProducerExecutableName": "DicomTagReader",
            "Parents": "", "OriginalPublishTimestamp": 1_700_000_000}  # fmt: skip


def collection(made: dict[str, Any]) -> str:
    return f"image_{made['Modality'] if made.get('Modality') in MAJOR else 'OTHER'}"


def elements(dataset: Dataset, encodings: list[str]) -> dict[str, Any]:
    declared = dataset.get_item(0x00080005)
    if declared is not None and declared.value:
        raw = declared.value if isinstance(declared.value, bytes) else "\\".join(listed(declared.value)).encode()
        encodings = convert_encodings([part.strip(" \0") for part in raw.decode("latin-1").split("\\")])
    out: dict[str, Any] = {}
    for tag in sorted(dataset.keys()):
        if tag.element == 0:
            continue
        raw = dataset.get_item(tag)
        vr = str(raw.VR) if raw.VR else str(dataset[tag].VR)  # an explicit UN stays UN
        if vr not in {*TEXTS, "SQ", "AT"} and len(vr) != 2:
            vr = str(dataset[tag].VR)
        value = value_of(dataset, tag, raw, vr, encodings)
        key, ambiguous = key_of(dataset, tag)
        states_vr = (tag.is_private or ambiguous) and not (vr == "SQ" and value)
        out[key] = {"vr": vr, "val": value} if states_vr else value
    return out


def listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [str(part) for part in value]


def key_of(dataset: Dataset, tag: Any) -> tuple[str, bool]:
    """Return an element's key, and whether the dictionary allows several VRs."""
    number = f"({tag.group:04x},{tag.element:04x})"
    if tag.is_private:
        if tag.is_private_creator:
            return f"{number}-PrivateCreator", True
        creator = dataset.get_item((tag.group, tag.element >> 8))
        text = "" if creator is None else decoded(creator.value).strip(" \0")
        return f"({tag.group:04x},{tag.element:04x}:{text})-Unknown".replace(".", "_"), True
    keyword = keyword_for_tag(tag)
    vrs = dictionary_VR(tag) if keyword else "UN or OB"
    if re.fullmatch(r"(50|60)[0-9A-F]{2}", f"{tag.group:04X}"):  # repeating groups
        return f"{number}-{keyword}", " or " in vrs
    return keyword or f"{number}-Unknown", " or " in vrs


def decoded(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def value_of(dataset: Dataset, tag: Any, raw: Any, vr: str, encodings: list[str]) -> Any:
    if vr == "SQ":
        return [elements(item, encodings) for item in dataset[tag].value] or None
    if vr in NEVER_KEPT or raw.value is None or len(raw.value if hasattr(raw.value, "__len__") else [0]) == 0:
        return None
    if vr in TEXTS:
        return text_of(raw, vr, encodings)
    element = dataset[tag].value
    if vr == "AT":
        tags = [element] if isinstance(element, (int, pydicom.tag.BaseTag)) else element
        return "\\".join(f"{int(one):08X}" for one in tags)
    if isinstance(element, bytes):  # OF, OD, OL
        width, kind = {"OF": (4, "f"), "OD": (8, "d"), "OL": (4, "I")}[vr]
        return list(memoryview(element[: len(element) // width * width]).cast(kind))
    numbers = list(element) if isinstance(element, (list, pydicom.multival.MultiValue)) else [element]
    wrapped = [n - (1 << 64) if isinstance(n, int) and n >= 1 << 63 else n for n in numbers]
    return [float(n) for n in wrapped] if vr in ("FL", "FD") else wrapped


def text_of(raw: Any, vr: str, encodings: list[str]) -> str | None:
    if not isinstance(raw, RawDataElement):  # pydicom read it already, such as the character set itself
        return "\\".join(listed(raw.value)) or None
    data = bytes(raw.value).rstrip(b"\0 ")
    if not data:
        return None
    return decode_bytes(data, encodings, TEXT_VR_DELIMS) if vr in GOVERNED else data.decode("latin-1")
