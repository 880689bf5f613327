"""From a described series to the bytes of its instances."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy.typing as npt
from pydicom.pixels.encoders.base import RLELosslessEncoder

from cairn.synthetic import phantoms
from cairn.synthetic.encoding import (
    EXPLICIT,
    JPEG_2000,
    JPEG_BASELINE,
    JPEG_LS,
    RLE,
    UNDEFINED,
    Attributes,
    Syntax,
    Template,
    as_tag,
    count_elements,
    element,
    encapsulate,
    part10,
)
from cairn.synthetic.modules import SeriesContext, date_text, time_text

PIXEL_DATA = 0x7FE00010


class Pixels(NamedTuple):
    """Which phantom fills an instance.

    Parameters
    ----------
    kind : str
        ``ct``, ``mr``, ``grey``, ``colour``, ``projection`` or ``page``.
    rows, columns : int
        Matrix.
    frames : int
        Frames, all of them cycling through the variants.
    bits : int
        Bits stored, for projections.
    words : tuple of str
        Lines written on a page.
    """

    kind: str
    rows: int
    columns: int
    frames: int = 1
    bits: int = 12
    words: tuple[str, ...] = ()


@dataclass
class Built:
    """One series, described but not yet written.

    Parameters
    ----------
    context : SeriesContext
        Whose it is.
    sop_class_uid : str
        Of all instances.
    common : Attributes
        What the instances share.
    own : list of Attributes
        What each has for itself; all with the same keys.
    pixels : Pixels or None
        None for objects without pixel data.
    truth : dict
        What the series table should say about it.
    """

    context: SeriesContext
    sop_class_uid: str
    common: Attributes
    own: list[Attributes]
    pixels: Pixels | None = None
    truth: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Instance:
    """One written instance and what is true about it."""

    data: bytes
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    modality: str
    transfer_syntax_uid: str
    elements: int
    number: int


def frame(pixels: Pixels, variant: int) -> npt.NDArray[Any]:
    """Return one frame of a phantom."""
    if pixels.kind == "projection":
        return phantoms.projection(pixels.rows, pixels.columns, pixels.bits)
    if pixels.kind == "page":
        return phantoms.page(pixels.rows, pixels.words)
    maker: dict[str, Callable[[int, int], npt.NDArray[Any]]] = {
        "ct": phantoms.ct_slice,
        "mr": phantoms.mr_slice,
        "grey": phantoms.grey_frame,
        "colour": phantoms.colour_frame,
    }
    return maker[pixels.kind](pixels.rows, variant % phantoms.VARIANTS)


def _compressed(pixels: Pixels, syntax: Syntax, variant: int) -> bytes:
    """Return one compressed frame: RLE made here, the others out of the package data."""
    if syntax.uid == RLE.uid:
        array = frame(pixels, variant)
        return bytes(
            RLELosslessEncoder.encode(
                array,
                encoding_plugin="pydicom",
                rows=pixels.rows,
                columns=pixels.columns,
                samples_per_pixel=3 if array.ndim == 3 else 1,
                photometric_interpretation="RGB" if array.ndim == 3 else "MONOCHROME2",
                bits_allocated=8 * array.itemsize,
                bits_stored=8 * array.itemsize,
                pixel_representation=0,
                number_of_frames=1,
                planar_configuration=0,
            )
        )
    ending = {JPEG_2000.uid: "j2k", JPEG_LS.uid: "jls", JPEG_BASELINE.uid: "jpg"}[syntax.uid]
    return phantoms.fragment(f"{pixels.kind}_{pixels.rows}.{ending}")


@lru_cache(maxsize=64)
def pixel_element(pixels: Pixels, syntax: Syntax, variant: int) -> tuple[bytes, bytes]:
    """Return the pixel data element in two pieces; between them an instance puts its own four bytes.

    For compressed pixels the second piece is empty and the instance puts nothing.
    """
    if syntax.encapsulated:
        single = [_compressed(pixels, syntax, variant)]
        whole = element(PIXEL_DATA, "OB", encapsulate(single * pixels.frames), syntax, UNDEFINED)
        return whole, b""
    frames = [frame(pixels, variant + number) for number in range(min(pixels.frames, phantoms.VARIANTS))]
    words = frames[0].itemsize == 2
    stored = [f.astype(f"{syntax.order}u2" if words else "u1").tobytes() for f in frames]
    value = b"".join(stored[number % len(stored)] for number in range(pixels.frames))
    whole = element(PIXEL_DATA, "OW" if words or syntax.implicit else "OB", value + b"\0" * (len(value) % 2), syntax)
    head = 8 if syntax.implicit else 12
    return whole[:head], whole[head + 4 :]


def _mark(number: int, pixels: Pixels, syntax: Syntax) -> bytes:
    """Return four pixel bytes that differ between the instances of a series."""
    if pixels.kind in ("grey", "colour", "page"):
        return struct.pack("<I", number)
    return struct.pack(f"{syntax.order}HH", number & 0x3FF, number >> 10 & 0x3FF)


def fits(pixels: Pixels | None, syntax: Syntax) -> bool:
    """Return whether a phantom exists in a transfer syntax."""
    if not syntax.encapsulated or pixels is None:
        return not syntax.encapsulated
    if syntax.uid == RLE.uid:
        return True
    kinds = {JPEG_2000.uid: ("ct",), JPEG_LS.uid: ("ct",), JPEG_BASELINE.uid: ("grey", "colour")}[syntax.uid]
    return pixels.kind in kinds and pixels.rows == pixels.columns and pixels.rows in (phantoms.SMALL, phantoms.FULL)


def own_identity(context: SeriesContext, number: int, seconds: float) -> Attributes:
    """Return what every instance has for itself: UID, number, times."""
    moment = context.time(seconds)
    return {
        "SOPInstanceUID": context.instance_uid(number),
        "InstanceNumber": number,
        "ContentDate": date_text(moment),
        "ContentTime": time_text(moment),
    }


def write(built: Built, syntax: Syntax = EXPLICIT) -> Iterator[Instance]:
    """Yield the instances of a series as files.

    Parameters
    ----------
    built : Built
        The series.
    syntax : Syntax
        Transfer syntax; explicit little endian is taken instead when the phantom does not exist in it.
    """
    used = syntax if fits(built.pixels, syntax) else EXPLICIT
    common = {**built.common, **_lossy(built, used)}
    template = Template(common, built.own[0].keys(), used)
    trailing = [key for key in common if as_tag(key) > PIXEL_DATA]
    if trailing:
        raise ValueError("elements after the pixel data cannot be spliced")
    for number, own in enumerate(built.own, 1):
        pieces = template.fill(own)
        if built.pixels is not None:
            head, tail = pixel_element(built.pixels, used, number % phantoms.VARIANTS)
            pieces += [head, _mark(number, built.pixels, used), tail] if tail else [head]
        yield Instance(
            data=part10(built.sop_class_uid, own["SOPInstanceUID"], b"".join(pieces), used),
            sop_class_uid=built.sop_class_uid,
            sop_instance_uid=own["SOPInstanceUID"],
            series_instance_uid=common["SeriesInstanceUID"],
            study_instance_uid=common["StudyInstanceUID"],
            modality=common["Modality"],
            transfer_syntax_uid=used.uid,
            elements=template.elements - (PIXEL_DATA in common) + count_elements(own),
            number=number,
        )


def _lossy(built: Built, syntax: Syntax) -> Attributes:
    """Return what lossy compression changes in the header (PS3.3 C.7.6.1.1.5)."""
    if syntax.uid != JPEG_BASELINE.uid or built.pixels is None:
        return {}
    colour: Attributes = {"PhotometricInterpretation": "YBR_FULL_422"} if built.pixels.kind == "colour" else {}
    lossy: Attributes = {
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": "10",
        "LossyImageCompressionMethod": "ISO_10918_1",
    }
    return {**lossy, **colour}
