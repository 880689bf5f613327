"""What is known of a person: the identifying values of an original, as pydicom reads it."""

from __future__ import annotations

import io
import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import pydicom
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import TEXT_VR_DELIMS

from cairn.verify.elements import Odd, Raw, known_keyword, plain_elements

STANDARD_ROOT = "1.2.840.10008."
_CHARACTER_SET, _META_LENGTH = 0x00080005, 0x00020000
_OWN = re.compile(
    r"^(Patient|OtherPatient|Issuer|Responsible|Person|Mother|Confidentiality|Military|Region|Country|Insurance|Accession"
    r"|AdmissionID|Referring|Performing|Operators|Physicians|Requesting|Ordered|Order|NameOf|Verifying|Scheduled.*Name"
    r"|Consulting|Attending|ContentCreator|Reviewer|Evaluator|HumanPerformer|Custodial|StudyID|Filler|Placer|Requested"
    r"ProcedureID|ServiceEpisodeID|Visit|CurrentPatientLocation)"
)  # fmt: skip
_NO_PERSON = re.compile(
    r"(Sex|Age|Size|Weight|Position|Orientation|Description|Comments|State|Species|Breed|Sequence|Priority|Date|Time"
    r"|Type|Gantry|Support|Frame|Code|Status|Reason|History|Allerg|Alert|Pregnan|Smoking|Transport|Motion|Algorithm)"
)  # fmt: skip
# No CS: its values are terms of the standard.
_TEXTS = frozenset({"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UT", "UR", "IS", "DS"})
_NUMBERS = frozenset({"US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT", "OW", "OF", "OD", "OL", "OV"})
"""Binary: no texts."""
_SHORTEST, _SHORTEST_NUMBER = 3, 4
_LOGOGRAPHS = re.compile(r"[\u3400-\u9fff\uac00-\ud7a3]")
_SHORTEST_LOGOGRAPHS = 2
_SAYS_NOTHING = frozenset(
    ("ANON", "ANONYMIZED", "ANONYMISED", "ANONYMOUS", "UNKNOWN", "NONE", "NULL", "TEST", "PATIENT", "NAME", "PHANTOM",
     "FEMALE", "MALE", "OTHER", "DOCTOR", "THE", "AND", "YES", "NOT", "STUDY", "DICOM", "IMAGE", "SERIES", "HOSPITAL")
)  # fmt: skip
_OF_DEVICES = re.compile(r"Calibration|Manufactur|Install|Harmoni|Device|Detector|Software|Effective|Version|Expir")
_FIRST_IMAGE = "19000102"
_NO_INSTANCE = re.compile(r"(SOPClass|TransferSyntax|CodingSchemeUID|ContextUID|MappingResource|ImplementationClass)")
"""UIDs of kinds, also of makers' own kinds: they name no instance."""


@dataclass(frozen=True, repr=False)
class Known:
    """Values that must not be found again. Never printed: its representation counts them.

    Attributes
    ----------
    words : frozenset of str
        Folded (see :func:`fold`) names, numbers and their parts.
    uids : frozenset of str
        UIDs, without those of the standard.
    dates : dict of str to str
        Dates and date-times by the path of their tag.
    birth_dates : frozenset of str
        Dates of birth, ``yyyymmdd``.
    event_dates : frozenset of str
        Days on which something was done to the person, ``yyyymmdd``; not those of a device.
    initials : frozenset of str
        The person's initials.
    """

    words: frozenset[str]
    uids: frozenset[str]
    dates: dict[str, str]
    birth_dates: frozenset[str] = frozenset()
    event_dates: frozenset[str] = frozenset()
    initials: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"Known({len(self.words)} words, {len(self.uids)} UIDs, {len(self.dates)} dates)"


_SEPARATORS = re.compile(r"[\^=\\,;:/()\[\]{}<>\"'`_|\s\0-]+")


@lru_cache(maxsize=1 << 16)
def fold(text: str) -> str:
    """Return a text in capitals, without accents, and with every separator as one blank."""
    if text.isascii():
        return _SEPARATORS.sub(" ", text.upper()).strip()
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    plain = plain.upper().replace("Ø", "O").replace("Æ", "AE").replace("Œ", "OE").replace("Ł", "L").replace("Đ", "D")
    return _SEPARATORS.sub(" ", plain).strip()


def words_of(values: Iterable[str]) -> frozenset[str]:
    """Return what to look for of some identifying values: each whole, and the parts that are long enough.

    Shorter than three letters or four digits a part is everywhere and says nothing; the same holds for words such as
    ANONYMIZED or HEAD, which stand in for names on phantoms.
    """
    found: set[str] = set()
    for value in values:
        whole = fold(value)
        parts = whole.split()
        if "^" not in value and any(letter.isdigit() for letter in whole):
            # TRIAL-BREAST-01 is no name: what it is made of may be said of anybody.
            parts = [part for part in parts if not part.isalpha() or (len(part) > _SHORTEST and part not in terms())]
        found |= {whole, whole.replace(" ", ""), *parts}
    return frozenset(word for word in found if _tells(word))


@lru_cache(maxsize=1)
def terms() -> frozenset[str]:
    """Return the words of the standard's own vocabulary: meanings of its codes (PS3.16, as pydicom ships them)."""
    from pydicom.sr._concepts_dict import concepts

    words: set[str] = set()
    for scheme in concepts.values():
        for name in scheme:
            words |= {part.upper() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
    return frozenset(words)


def _tells(word: str) -> bool:
    if word in _SAYS_NOTHING or len(set(word)) < 2:
        return False
    if _LOGOGRAPHS.search(word):
        return len(word) >= _SHORTEST_LOGOGRAPHS
    return len(word) >= (_SHORTEST if any(c.isalpha() for c in word) else _SHORTEST_NUMBER)


def known_of(original: bytes) -> Known:
    """Return what an original tells of its person.

    Parameters
    ----------
    original : bytes
        A DICOM file or header.

    Raises
    ------
    ValueError
        When pydicom cannot read it: what cannot be read cannot be verified.
    """
    words: set[str] = set()
    uids: set[str] = set()
    dates: dict[str, str] = {}
    births: set[str] = set()
    events: set[str] = set()
    letters: set[str] = set()
    for path, keyword, vr, texts in elements_of(original):
        if vr == "UI":
            if not _NO_INSTANCE.search(keyword):
                uids |= {text for text in texts if not text.startswith(STANDARD_ROOT) and text.count(".") >= 2}
        elif vr in ("DA", "DT"):
            dates[path] = "\\".join(texts)
            days = {digits for text in texts if len(digits := re.sub(r"\D", "", text)[:8]) == 8}
            if "Birth" in keyword:
                births |= days
            elif not _OF_DEVICES.search(keyword):
                events |= {day for day in days if day >= _FIRST_IMAGE}
        elif vr == "PN" or (_OWN.match(keyword) and vr in _TEXTS and not _NO_PERSON.search(keyword)):
            words |= set(texts)
            if keyword in ("PatientName", "OtherPatientNames"):
                letters |= {form for text in texts for form in _initials_of(text)}
    return Known(
        words_of(words), frozenset(uids), dates, frozenset(births), frozenset(events - births), frozenset(letters)
    )


def _initials_of(name: str) -> Iterator[str]:
    """Yield a person's initials, surname last and surname first; none of a name of one part or of more than four."""
    parts = re.findall(r"[^\W\d_]{2,}", fold(name.partition("=")[0]))
    if 2 <= len(parts) <= 4 and not any(part in _SAYS_NOTHING for part in parts):
        letters = "".join(part[0] for part in parts)
        yield from (letters, letters[1:] + letters[0])


def elements_of(data: bytes) -> Iterator[tuple[str, str, str, list[str]]]:
    """Yield path, keyword, VR and texts of every element with text in a file, sequences and private ones included.

    Raises
    ------
    ValueError
        When pydicom cannot read it.
    """
    try:
        meta, dataset = plain_elements(data)
    except Odd:
        yield from elements_by_pydicom(data)
        return
    if not dataset:
        raise ValueError("it holds no element")
    yield from _plain([raw for raw in meta if raw.tag != _META_LENGTH], "", [])
    yield from _plain(dataset, "", [])


def elements_by_pydicom(data: bytes) -> Iterator[tuple[str, str, str, list[str]]]:
    """Do what :func:`elements_of` does for a file that is not plain.

    Raises
    ------
    ValueError
        When pydicom cannot read it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(io.BytesIO(data), force=True, stop_before_pixels=True)
            # Without its mark any bytes may be taken for a file: forced, pydicom reads zeros as commands.
            least = 0x0001 if data[128:132] == b"DICM" else 0x0008
            if not any(tag.group >= least for tag in dataset.keys()):  # noqa: SIM118 - a data set is no dict
                raise ValueError("no element of a data set")
            dataset.file_meta.pop(_META_LENGTH, None)
            yield from _walk(dataset.file_meta, "", [])
            yield from _walk(dataset, "", [])
            if not len(dataset):
                raise ValueError("it holds no element")
        except Exception as fault:  # noqa: BLE001 - pydicom raises nearly anything for bytes that are no DICOM
            raise ValueError(f"pydicom cannot read it: {type(fault).__name__}") from None


def _plain(raws: list[Raw], above: str, around: list[str]) -> Iterator[tuple[str, str, str, list[str]]]:
    declared = next((raw.value for raw in raws if raw.tag == _CHARACTER_SET), None)
    encodings = around if declared is None else _encodings_of(declared)
    for raw in raws:
        path = f"{above}({raw.tag >> 16:04X},{raw.tag & 0xFFFF:04X})"
        if raw.vr == "SQ":
            for number, item in enumerate(raw.items, start=1):
                yield from _plain(item, f"{path}[{number}].", encodings)
        else:
            yield path, known_keyword(raw.tag), raw.vr, _texts_of(raw.value, raw.vr, encodings)


@lru_cache(maxsize=256)
def _encodings_of(declared: bytes) -> list[str]:
    names = [name.strip(" \0") for name in declared.decode("latin-1").split("\\")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(convert_encodings(names if len(names) > 1 else names[0]))


def _walk(dataset: Dataset, above: str, around: list[str]) -> Iterator[tuple[str, str, str, list[str]]]:
    encodings = around
    if (0x0008, 0x0005) in dataset:
        declared = dataset[0x0008, 0x0005].value
        encodings = convert_encodings(list(declared) if isinstance(declared, MultiValue) else declared or "")
    for tag in list(dataset.keys()):
        element = dataset.get_item(tag)
        path = f"{above}({tag.group:04X},{tag.element:04X})"
        keyword = keyword_for_tag(tag)
        vr = element.VR if element.VR and element.VR != "UN" else _vr_of(tag)
        if vr == "SQ" or (element.VR == "SQ"):
            for number, item in enumerate(dataset[tag].value or (), start=1):
                yield from _walk(item, f"{path}[{number}].", encodings)
        else:
            yield path, keyword, vr, _texts(element, vr, encodings)


def _vr_of(tag: pydicom.tag.BaseTag) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return "UN"


def _texts(element: RawDataElement | DataElement, vr: str, encodings: list[str]) -> list[str]:
    value = element.value
    if vr in _NUMBERS:
        return []
    if isinstance(value, bytes):
        return _texts_of(value, vr, encodings)
    parts = [str(part) for part in (value if isinstance(value, (MultiValue, list)) else [value or ""])]
    return [part.strip(" \0") for part in parts if part.strip(" \0")]


def _texts_of(value: bytes, vr: str, encodings: list[str]) -> list[str]:
    if vr in _NUMBERS:
        return []
    if len(value) > 1 << 20:
        return []  # the bytes are searched as they are
    text = _decoded(value, encodings)
    parts = [text] if vr in ("LT", "ST", "UT", "UR") else text.split("\\")
    return [part for found in parts if (part := found.strip(" \0"))]


def _decoded(value: bytes, encodings: list[str]) -> str:
    if not encodings or (value.isascii() and b"\x1b" not in value):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")
    try:
        return decode_bytes(value, encodings, TEXT_VR_DELIMS)
    except (UnicodeError, LookupError):
        return value.decode("latin-1")
