"""What the header says of burnt-in text, before any pixel is looked at, and how it shows the pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from cairn.dicom.dictionary import keywords
from cairn.pixels.description import PixelDescription, header_dataset
from cairn.pixels.text.device_rules import CLEAN, REGIONS, SUSPECT, DeviceRule, keywords_of
from cairn.pixels.text.header_values import HeaderValues, said

SUSPECT_MODALITIES = frozenset({"US", "IVUS", "SC", "OT", "ES", "XC", "GM", "DOC", "BDUS"})
"""Modalities whose images usually carry text: ultrasound, captured screens, photographs, scanned documents."""

SUSPECT_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture Image Storage and its multi-frame kin
    "1.2.840.10008.5.1.4.1.1.6.1",  # Ultrasound Image
    "1.2.840.10008.5.1.4.1.1.3.1",  # Ultrasound Multi-frame Image
    "1.2.840.10008.5.1.4.1.1.77.1.4",  # VL Photographic Image
)
SUSPECT_IMAGE_TYPES = ("SCREEN SAVE", "SCREENSHOT", "DOSE", "REPORT", "DEMOGRAPHICDATA")
CROSS_SECTIONAL = frozenset({"CT", "MR", "PT"})
"""Modalities whose slices some makers give a Conversion Type without having captured a screen."""

OWN = (
    "Modality", "BurnedInAnnotation", "ImageType", "ConversionType", "WindowCenter", "WindowWidth", "SOPClassUID",
    "Rows", "Columns",
)  # fmt: skip
_REGIONS_TAG = 0x00186011
OVERLAY_GROUPS = range(0x6000, 0x6020, 2)
OVERLAY_ELEMENTS = (0x0010, 0x0011, 0x0050, 0x3000)
MOST_WINDOWS = 3


@dataclass(frozen=True)
class Overlay:
    """One overlay plane (PS3.3 C.9.2).

    Attributes
    ----------
    group : int
        0x6000, 0x6002 …
    plane : numpy.ndarray of uint8
        Its bits as 0 and 255, (rows, columns) or (frames · rows, columns).
    x, y : int
        Where its first column and row lie in the image, from 0; may be negative.
    """

    group: int
    plane: np.ndarray
    x: int
    y: int


@dataclass
class Evidence:
    """What the header says.

    Attributes
    ----------
    reasons : list of str
        Why the image is searched whatever the pixels look like: ``burned_in_annotation``, ``modality``, ``sop_class``,
        ``image_type``, ``conversion_type``, ``device_rule``.
    suspect : bool
        Whether the first sign in the pixels is enough for a search.
    rule : str or None
        Label of the first device rule with regions, else of the first that holds.
    regions : tuple of (x, y, width, height)
        Where that rule says that text stands.
    windows : tuple of (low, high)
        The header's windows in stored values.
    overlays : tuple of Overlay
        Its overlay planes.
    ultrasound_regions : tuple of (x, y, width, height)
        Where the Sequence of Ultrasound Regions (PS3.3 C.8.5.5) says that echoes, traces and spectra stand: what is
        written about the patient stands outside of them.
    """

    reasons: list[str] = field(default_factory=list)
    suspect: bool = False
    rule: str | None = None
    regions: tuple[tuple[int, int, int, int], ...] = ()
    windows: tuple[tuple[float, float], ...] = ()
    overlays: tuple[Overlay, ...] = ()
    ultrasound_regions: tuple[tuple[int, int, int, int], ...] = ()


class EvidenceReader:
    """Reads the evidence of one header after the other.

    Parameters
    ----------
    rules : sequence of DeviceRule
        Device rules.
    """

    def __init__(self, rules: Sequence[DeviceRule]) -> None:
        self._rules = tuple(rules)
        known = keywords()
        self._names = {name: known[name][0] for name in {*OWN, *keywords_of(rules)}}
        overlays = [group << 16 | element for group in OVERLAY_GROUPS for element in OVERLAY_ELEMENTS]
        self._tags = [*self._names.values(), *overlays, _REGIONS_TAG]

    def __call__(self, buf: np.ndarray, form: int, described: PixelDescription) -> Evidence:
        """Return what the header in `buf` says; see :class:`~cairn.pixels.text.header_values.HeaderValues`."""
        values = HeaderValues(buf, form, self._tags)
        header = said(values, self._names)
        header["Rows"], header["Columns"] = str(described.rows), str(described.columns)
        evidence = Evidence(_reasons(header), windows=_windows(values, self._names, described))
        for rule in self._rules:
            if rule.holds(header):
                self._apply(rule, evidence)
        evidence.overlays = _overlays(values)
        if values.has(_REGIONS_TAG):
            evidence.ultrasound_regions = _ultrasound_regions(buf, described.value_at)
        return evidence

    def _apply(self, rule: DeviceRule, evidence: Evidence) -> None:
        if rule.kind == REGIONS:
            if not evidence.regions:
                evidence.rule, evidence.regions = rule.label, rule.regions
                evidence.reasons.append("device_rule")
        elif rule.kind == SUSPECT:
            evidence.suspect = True
        if rule.kind != CLEAN:
            evidence.rule = evidence.rule or rule.label


def _reasons(header: dict[str, str | None]) -> list[str]:
    reasons = []
    if (header["BurnedInAnnotation"] or "").upper() == "YES":
        reasons.append("burned_in_annotation")
    if (header["Modality"] or "").upper() in SUSPECT_MODALITIES:
        reasons.append("modality")
    uid = header["SOPClassUID"] or ""
    if any(uid == kind or uid.startswith(kind + ".") for kind in SUSPECT_CLASSES):
        reasons.append("sop_class")
    kind = (header["ImageType"] or "").upper()
    if any(name in kind for name in SUSPECT_IMAGE_TYPES):
        reasons.append("image_type")
    if header["ConversionType"] and header["Modality"] not in CROSS_SECTIONAL:
        reasons.append("conversion_type")
    return reasons


def _windows(
    values: HeaderValues, names: dict[str, int], described: PixelDescription
) -> tuple[tuple[float, float], ...]:
    """Return the windows in stored values (PS3.3 C.11.2.1.2: centre and width are in rescaled units)."""
    line = described.rescale_of(0)
    slope, intercept = (line.slope, line.intercept) if line else (1.0, 0.0)
    made = []
    centres, widths = values.decimals(names["WindowCenter"]), values.decimals(names["WindowWidth"])
    for centre, width in list(zip(centres, widths, strict=False))[:MOST_WINDOWS]:
        if width >= 1:
            ends = sorted((end - intercept) / slope for end in (centre - width / 2, centre + width / 2))
            made.append((ends[0], ends[1]))
    return tuple(made)


def _ultrasound_regions(buf: np.ndarray, place: int) -> tuple[tuple[int, int, int, int], ...]:
    dataset = header_dataset(buf, place, ["SequenceOfUltrasoundRegions"])
    found = []
    for item in (dataset.get("SequenceOfUltrasoundRegions") if dataset is not None else None) or ():
        corners = [item.get(f"RegionLocation{name}") for name in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
        if all(isinstance(corner, int) for corner in corners):
            left, top, right, below = corners
            if right > left and below > top:
                found.append((left, top, right - left + 1, below - top + 1))
    return tuple(found)


def _overlays(values: HeaderValues) -> tuple[Overlay, ...]:
    made = []
    for group in OVERLAY_GROUPS:
        at = group << 16
        rows, columns = values.short(at | 0x0010), values.short(at | 0x0011)
        if not rows or not columns:
            continue
        origin = values.shorts(at | 0x0050)
        y, x = (origin[0] - 1, origin[1] - 1) if len(origin) >= 2 else (0, 0)
        bits = np.frombuffer(values.raw(at | 0x3000), np.uint8)
        frames = bits.size * 8 // (rows * columns)
        if frames:  # otherwise it lies in unused bits of the pixels, which are looked at with them
            plane = np.unpackbits(bits, bitorder="little")[: frames * rows * columns]
            made.append(Overlay(group, plane.reshape(frames * rows, columns) * np.uint8(255), x, y))
    return tuple(made)
