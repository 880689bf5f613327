"""Made files and a rewriter for the tests of this package."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cairn.deid.keys import MasterKey
from cairn.deid.profile import Profile, load_profile
from cairn.deid.pseudonyms import Pseudonyms
from cairn.deid.rewrite import Kept, Refused, Rewriter
from cairn.deid.rules import RuleSet
from cairn.deid.values import Scrubber

CONF = Path(__file__).resolve().parents[2] / "conf" / "deid"
KEY = MasterKey("site", bytes(range(1, 33)))
OTHER = MasterKey("site", bytes(range(2, 34)))
CT = "1.2.840.10008.5.1.4.1.1.2"
ENCODINGS = {
    "explicit": (ExplicitVRLittleEndian, False, True),
    "implicit": (ImplicitVRLittleEndian, True, True),
    "big": ("1.2.840.10008.1.2.2", False, False),
}


def rewriter(
    profile: str | Profile = "research", keys: tuple[MasterKey, ...] = (KEY,), scrubber: Scrubber | None = None,
    own_values: Callable[..., Any] | None = None,
) -> Rewriter:  # fmt: skip
    made = load_profile(CONF / f"{profile}.yaml") if isinstance(profile, str) else profile
    return Rewriter(RuleSet(made), Pseudonyms(keys), scrubber, own_values)


def minimal(sop_class: str = CT, **attributes: Any) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = "1.2.3.4.5"
    ds.StudyInstanceUID = "1.2.3.4"
    ds.SeriesInstanceUID = "1.2.3.4.1"
    ds.PatientID = "0101011237"
    ds.Modality = "CT"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def written(ds: Dataset, encoding: str = "explicit", undefined: bool = False) -> bytes:
    syntax, implicit, little = ENCODINGS[encoding]
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.get("SOPClassUID", CT)
    meta.MediaStorageSOPInstanceUID = ds.get("SOPInstanceUID") or "1.2.3.4.5"
    meta.TransferSyntaxUID = syntax
    if undefined:
        for element in ds.iterall():
            if element.VR == "SQ":
                element.is_undefined_length = True
                for item in element.value:
                    item.is_undefined_length_sequence_item = True
    target = io.BytesIO()
    file = Dataset()
    file.update(ds)
    file.file_meta, file.preamble = meta, b"SMITH" * 25 + b"\0\0\0"
    file.save_as(target, implicit_vr=implicit, little_endian=little, enforce_file_format=True)
    return target.getvalue()


def kept(made: Kept | Refused) -> Kept:
    assert isinstance(made, Kept), made
    return made


def reread(made: Kept | Refused) -> FileDataset:
    """Read the result by pydicom, every value of it, and hold its lengths against what pydicom would write."""
    data = kept(made).tobytes()
    ds = dcmread(io.BytesIO(data))
    for element in ds.iterall():
        assert element.tag.element != 0, "a group length"
    assert data[:128] == bytes(128)
    return ds
