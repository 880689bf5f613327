"""Values that no writer should write and all readers meet (the part on values of the list of pitfalls)."""

from __future__ import annotations

from typing import Any, NamedTuple

from cairn.synthetic.bench import Bench
from cairn.synthetic.encoding import EXPLICIT, IMPLICIT, Attributes, Raw, Syntax, Typed
from cairn.synthetic.series import PIXEL_DATA

LONG_VALUE = 16 * 1024 * 1024 + 2
"""Bytes of the value over 16 MiB."""


class Odd(NamedTuple):
    """One changed image.

    Parameters
    ----------
    changes : Attributes
        What differs from an ordinary CT slice.
    odd_elements : tuple of str
        Keywords whose value its VR cannot hold.
    findings : tuple of str
        Codes that the row must carry.
    syntax : Syntax
        How it is written.
    """

    changes: Attributes
    odd_elements: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    syntax: Syntax = EXPLICIT


def _raw(keyword: str, vr: str, value: bytes) -> Attributes:
    return {keyword: Raw(vr, value)}


def numbers_and_dates() -> dict[str, Odd]:
    """Return DS, IS, DA, TM, AS, UI and PN as they come."""
    return {
        "ds_no_leading_zero": Odd(_raw("SliceThickness", "DS", b".123")),
        "ds_nul_padded": Odd(_raw("SliceThickness", "DS", b"5\0")),
        "ds_zero_padded": Odd(_raw("SliceThickness", "DS", b" 0000012. ")),
        "ds_negative_no_zero": Odd(_raw("GantryDetectorTilt", "DS", b"-.123 ")),
        "ds_float_maximum": Odd(_raw("TableHeight", "DS", b"3.40282347e+038 ")),
        "ds_text": Odd(_raw("SliceThickness", "DS", b"N/A "), ("SliceThickness",)),
        "ds_decimal_comma": Odd(_raw("SliceThickness", "DS", b"1,25"), ("SliceThickness",)),
        "ds_too_long": Odd(_raw("SliceThickness", "DS", b"1.25000000000000000000")),
        "ds_not_a_number": Odd(_raw("SliceThickness", "DS", b"NaN "), ("SliceThickness",)),
        "is_plus": Odd(_raw("ExposureTime", "IS", b"+123")),
        "is_decimal": Odd(_raw("ExposureTime", "IS", b"12.0")),
        "is_fraction": Odd(_raw("ExposureTime", "IS", b"12.5"), ("ExposureTime",)),
        "is_beyond_int32": Odd(_raw("ExposureTime", "IS", b"3000000000")),
        "is_beyond_int64": Odd(_raw("ExposureTime", "IS", b"99999999999999999999"), ("ExposureTime",)),
        "da_dots": Odd(_raw("AcquisitionDate", "DA", b"2010.03.05")),
        "da_zeros": Odd(_raw("AcquisitionDate", "DA", b"00000000"), ("AcquisitionDate",)),
        "da_month_13": Odd(_raw("AcquisitionDate", "DA", b"20101301"), ("AcquisitionDate",)),
        "da_empty": Odd(_raw("AcquisitionDate", "DA", b"")),
        "tm_no_seconds": Odd(_raw("AcquisitionTime", "TM", b"1230")),
        "tm_colons": Odd(_raw("AcquisitionTime", "TM", b"12:30:45")),
        "as_digits_only": Odd(_raw("PatientAge", "AS", b"45")),
        "as_lower_case": Odd(_raw("PatientAge", "AS", b"045y")),
        "ui_leading_zero": Odd(_raw("FrameOfReferenceUID", "UI", b"1.2.826.0.01.7\0\0")),
        "ui_trailing_spaces": Odd(_raw("FrameOfReferenceUID", "UI", b"1.2.826.0.1.7   ")),
        "ui_leading_dot": Odd(_raw("FrameOfReferenceUID", "UI", b".2.826.0.1.7")),
        "pn_many_groups": Odd(_raw("PatientName", "PN", b"Reid^Isla=a^b=c^d=e^f ")),
        "pn_many_components": Odd(_raw("PatientName", "PN", b"Reid^Isla^M^Dr^OBE^X^Y^Z")),
    }


def texts() -> dict[str, Odd]:
    """Return texts that are too long, doubled, full of control characters, or in a surprising character set."""
    japanese = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B "
    korean = b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
    return {
        "sh_over_long": Odd(_raw("StationName", "SH", b"A STATION NAME THAT IS FAR LONGER THAN SIXTEEN")),
        "lo_over_long": Odd(_raw("SeriesDescription", "LO", b"over long " * 12)),
        "nul_inside": Odd(_raw("SeriesDescription", "LO", b"CHEST\0AXIAL ")),
        "nul_padded_text": Odd(_raw("SeriesDescription", "LO", b"CHEST\0\0\0")),
        "control_characters": Odd(_raw("SeriesDescription", "LO", b"CHEST\t\r\n\x07\x1f AXIAL")),
        "odd_length": Odd(_raw("SeriesDescription", "LO", b"CHEST")),
        "charset_iso_2022_japanese": Odd(
            {"SpecificCharacterSet": "\\ISO 2022 IR 87", **_raw("PatientName", "PN", japanese)}
        ),
        "charset_iso_2022_korean": Odd(
            {"SpecificCharacterSet": "\\ISO 2022 IR 149", **_raw("PatientName", "PN", korean)}
        ),
        "charset_cyrillic": Odd({"SpecificCharacterSet": "ISO_IR 144", "PatientName": "Иванова^Анна"}),
        "charset_gb18030": Odd({"SpecificCharacterSet": "GB18030", "PatientName": "Wang^XiaoDong=王^小东"}),
        "charset_utf8": Odd({"SpecificCharacterSet": "ISO_IR 192", "PatientName": "MacDhòmhnaill^Seòras=王^小东"}),
        "charset_latin1": Odd({"SpecificCharacterSet": "ISO_IR 100", "PatientName": "NicÌomhair^Mòrag"}),
        "charset_undeclared_utf8": Odd(
            {"SpecificCharacterSet": None, **_raw("PatientName", "PN", "NicÌomhair^Mòrag".encode())},
            findings=("CHARSET_UNDECLARED_UTF8",),
        ),
        "charset_undeclared_latin1": Odd(
            {"SpecificCharacterSet": None, **_raw("PatientName", "PN", "NicÌomhair^Sìne ".encode("latin-1"))},
            findings=("CHARSET_UNDECLARED",),
        ),
        "charset_broken": Odd(
            {"SpecificCharacterSet": "ISO_IR 192", **_raw("PatientName", "PN", b"M\xfcller^J\xf6rg")},
            findings=("CHARSET_BROKEN",),
        ),
        "charset_unknown": Odd({"SpecificCharacterSet": "ISO_IR 999", "PatientName": "Reid^Isla"}),
        "charset_misspelt": Odd({"SpecificCharacterSet": "ISO-IR 100", "PatientName": "Reid^Isla"}),
        "image_type_doubled_backslashes": Odd(_raw("ImageType", "CS", b"ORIGINAL\\\\PRIMARY\\\\AXIAL ")),
        "image_type_empty": Odd(_raw("ImageType", "CS", b"")),
        "modality_multi_valued": Odd({"Modality": "REG\\MR"}),
        "series_description_multi_valued": Odd({"SeriesDescription": "CHEST\\AXIAL"}),
        "slice_thickness_multi_valued": Odd({"SliceThickness": "5\\5"}),
        "body_part_blank": Odd({"BodyPartExamined": ""}),
        "lower_case_cs": Odd({"BodyPartExamined": "Chest", "PatientSex": "f"}),
    }


def structures() -> dict[str, Odd]:
    """Return elements whose VR, creator, group or length surprises."""
    item: Attributes = {0x00091001: Typed("LO", "inner"), "CodeValue": "X"}
    undefined = Syntax(EXPLICIT.uid, undefined_sequences=True)
    return {
        "us_or_ss_signed": Odd({"PixelRepresentation": 1, "PixelPaddingValue": Typed("SS", -2000)}),
        "us_or_ss_signed_implicit": Odd(
            {"PixelRepresentation": 1, "PixelPaddingValue": Typed("SS", -2000)}, syntax=IMPLICIT
        ),
        "repeating_group_overlays": Odd({**_overlay(0x6000), **_overlay(0x6002), **_overlay(0x601E)}),
        "repeating_group_curve": Odd(
            {
                0x50000005: Typed("US", 1),
                0x50000010: Typed("US", 4),
                0x50020005: Typed("US", 1),
                0x50003000: Typed("OW", bytes(8)),
            }
        ),
        "un_known_tag": Odd(_raw("SliceThickness", "UN", b"5.0 ")),
        "un_sequence": Odd(
            _raw(
                "RequestAttributesSequence",
                "UN",
                b"\xfe\xff\x00\xe0\x0e\x00\x00\x00\x40\x00\x09\x00\x06\x00\x00\x00SPS-1 ",
            )
        ),
        "un_undefined_length": Odd(
            {0x00410010: Typed("LO", "CAIRN UN 1"), 0x00411001: Raw("UN", _UNDEFINED_SEQUENCE, 0xFFFFFFFF)}
        ),
        "private_unknown_creator_sequence": Odd(
            {0x00390010: Typed("LO", "NOBODY KNOWS 1.0"), 0x00391001: Typed("SQ", [item, item])}
        ),
        "private_unknown_creator_implicit": Odd(
            {
                0x00390010: Typed("LO", "NOBODY KNOWS 1.0"),
                0x00391001: Typed("SQ", [item]),
                0x00391002: Typed("LO", "x"),
            },
            syntax=IMPLICIT,
        ),
        "private_no_creator": Odd({0x00371001: Typed("LO", "orphan"), 0x00371002: Typed("US", 7)}),
        "private_second_block": Odd(
            {0x00390010: Typed("LO", "FIRST"), 0x00390011: Typed("LO", "SECOND"), 0x00391101: Typed("SH", "b")}
        ),
        "private_creator_padded": Odd({0x00090010: Raw("LO", b"GEMS_IDEN_01 \0")}),
        "group_lengths": Odd(
            {0x00080000: Typed("UL", 400), 0x00100000: Typed("UL", 100), 0x00280000: Typed("UL", 120)}
        ),
        "undefined_length_sequences": Odd({}, syntax=undefined),
        "empty_sequence_and_item": Odd({"ReferencedStudySequence": [], "ReferencedPatientSequence": [{}]}),
        "deep_nesting": Odd({"ContentSequence": _nested(12)}),
        "binary_length_not_multiple": Odd({"SamplesPerPixel": Raw("US", b"\1\0\0")}, findings=("VALUE_LENGTH",)),
        "long_value": Odd({0x00430010: Typed("LO", "GEMS_PARM_01"), 0x00431029: Typed("OB", bytes(range(256)) * 100)}),
        "empty_values": Odd(
            {
                "SeriesDescription": "",
                "SliceThickness": "",
                "WindowCenter": "",
                "PatientBirthDate": "",
                "InstanceNumber": "",
            }
        ),
        "vr_disagrees": Odd({"SeriesNumber": Typed("LO", "12"), "Rows": Typed("IS", "64")}),
        "unknown_tags": Odd({0x00080FFF: Typed("LO", "nobody's"), 0x77770011: Typed("LO", "odd group")}),
    }


_UNDEFINED_SEQUENCE = (
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff"  # item, undefined length; inside, implicit VR (PS3.5 6.2.2 note 2)
    b"\x10\x00\x20\x00\x04\x00\x00\x00ABCD"
    b"\xfe\xff\x0d\xe0\x00\x00\x00\x00\xfe\xff\xdd\xe0\x00\x00\x00\x00"
)


def _nested(depth: int) -> list[Attributes]:
    item: Attributes = {"TextValue": "bottom"}
    for _ in range(depth):
        item = {"RelationshipType": "CONTAINS", "ContentSequence": [item]}
    return [item]


def _overlay(group: int, rows: int = 64, columns: int = 64, data: bool = True) -> Attributes:
    """Return a graphics overlay (PS3.3 C.9.2), one bit a pixel."""
    base = group << 16
    overlay: Attributes = {
        base | 0x0010: Typed("US", rows),
        base | 0x0011: Typed("US", columns),
        base | 0x0022: Typed("LO", "Overlay"),
        base | 0x0040: Typed("CS", "G"),
        base | 0x0050: Typed("SS", [1, 1]),
        base | 0x0100: Typed("US", 1),
        base | 0x0102: Typed("US", 0),
    }
    if data:
        overlay[base | 0x3000] = Typed("OW", bytes([0x0F]) * (rows * columns // 8))
    return overlay


def pixel_descriptions(size: int) -> dict[str, Odd]:
    """Return pixel descriptions, with pixels that fit them unless the pitfall is that they do not."""

    def pixels(bits: int, samples: int = 1) -> Attributes:
        vr = "OB" if bits == 8 else "OW"
        return {PIXEL_DATA: Typed(vr, bytes(n % 251 for n in range(size * 4)) * (size * samples * bits // 32))}

    def depth(bits: int, stored: int, signed: int) -> Attributes:
        return {
            "BitsAllocated": bits,
            "BitsStored": stored,
            "HighBit": stored - 1,
            "PixelRepresentation": signed,
            **pixels(bits),
        }

    colour: Attributes = {**depth(8, 8, 0), "SamplesPerPixel": 3, **pixels(8, 3)}
    table: dict[str, Any] = {
        "RedPaletteColorLookupTableDescriptor": [256, 0, 16],
        "RedPaletteColorLookupTableData": Typed("OW", bytes(512)),
    }
    palette: Attributes = {
        key.replace("Red", name): value for name in ("Red", "Green", "Blue") for key, value in table.items()
    }
    multi_frame_overlay: Attributes = {
        **_overlay(0x6000, 32, 32, data=False),
        0x60000015: Typed("IS", "3"),
        0x60000051: Typed("US", 1),
        0x60003000: Typed("OW", bytes(3 * 32 * 32 // 8)),
    }
    high_bit: Attributes = {
        **_overlay(0x6000, size, size, data=False),
        0x60000100: Typed("US", 16),
        0x60000102: Typed("US", 12),
    }
    return {
        "pixels_monochrome1": Odd({"PhotometricInterpretation": "MONOCHROME1"}),
        "pixels_palette": Odd({**depth(8, 8, 0), "PhotometricInterpretation": "PALETTE COLOR", **palette}),
        "pixels_ybr_full": Odd({**colour, "PhotometricInterpretation": "YBR_FULL", "PlanarConfiguration": 0}),
        "pixels_planar": Odd({**colour, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 1}),
        "pixels_unsigned_8": Odd(depth(8, 8, 0)),
        "pixels_signed_8": Odd(depth(8, 8, 1)),
        "pixels_signed_12": Odd(depth(16, 12, 1)),
        "pixels_signed_16": Odd(depth(16, 16, 1)),
        "pixels_unsigned_32": Odd(depth(32, 32, 0)),
        "pixels_high_bit_overlay": Odd(high_bit),
        "pixels_multi_frame_overlay": Odd(multi_frame_overlay),
        "pixels_padding": Odd({"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 63}),
        "pixels_slope": Odd({"RescaleSlope": "0.5", "RescaleIntercept": "-1024.5"}),
        "pixels_blank": Odd({PIXEL_DATA: Typed("OW", bytes(2 * size * size))}),
        "pixels_length_mismatch": Odd({"Rows": size * 2}),
        "pixels_absent": Odd({PIXEL_DATA: None}),
        "pixels_empty": Odd({PIXEL_DATA: Typed("OW", b"")}),
    }


def names_and_lookalikes() -> dict[str, Odd]:
    """Return texts that look like a name and are not, and the reverse."""
    return {
        "text_protocol_like_name": Odd({"ProtocolName": "AXIALT2"}),
        "text_name_like_protocol": Odd({"ProtocolName": "SMITHJOHNMR1"}),
        "text_eponyms": Odd({"SeriesDescription": "Circle of Willis, Hounsfield, Parkinson"}),
        "text_brain_and_brian": Odd({"SeriesDescription": "Brian brain"}),
        "text_date_in_software": Odd({"SoftwareVersions": "20160504"}),
        "text_institution_in_station": Odd({"StationName": "KELVINMOOR_CT1"}),
        "text_initials_in_description": Odd({"OperatorsName": "KM", "SeriesDescription": "AXIAL KM"}),
    }


def write_values(bench: Bench, long_values: bool) -> None:
    """Put every odd value on the shelf, one image each."""
    tables: tuple[dict[str, Odd], ...] = (
        numbers_and_dates(),
        texts(),
        structures(),
        pixel_descriptions(bench.pixel_size),
        names_and_lookalikes(),
    )
    for label, odd in (pair for table in tables for pair in table.items()):
        bench.image(label, odd.changes, odd.syntax, **_expected(odd))
    if long_values:
        bench.image(
            "value_over_16_mib", {0x00430010: Typed("LO", "GEMS_PARM_01"), 0x00431029: Typed("OB", bytes(LONG_VALUE))}
        )


def _expected(odd: Odd) -> dict[str, Any]:
    """Return what the row must say; the truth's modality is the one in the header, whatever it is worth."""
    expected: dict[str, Any] = {"findings": list(odd.findings), "odd_elements": list(odd.odd_elements)}
    hidden = [value for value in odd.changes.values() if isinstance(value, Typed) and value.vr == "SQ"]
    if any(isinstance(value, Raw) and value.vr == "UN" for value in odd.changes.values()) or (
        hidden and odd.syntax.implicit
    ):
        expected["elements"] = None  # readers may or may not look into it
    return expected
