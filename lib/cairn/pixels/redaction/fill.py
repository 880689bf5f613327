"""What a blanked pixel is: black as displayed, or the image's own padding."""

from __future__ import annotations

import warnings

import numpy as np
from pydicom.pixels.processing import apply_color_lut

from cairn.pixels.description import UNREADABLE, PixelDescription, header_dataset

Fill = tuple[float, ...]
"""A stored value for each sample; of integer pixels whole numbers."""

_PALETTE = tuple(
    f"{kind}{colour}PaletteColorLookupTable{part}"
    for colour in ("Red", "Green", "Blue")
    for kind, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
)


def fill_of(d: PixelDescription, stored: np.ndarray, photometric: str, header: np.ndarray) -> Fill:
    """Return the stored value that is black (PS3.3 C.7.6.3.1.2).

    Grey pixels take the Pixel Padding Value where it lies at the dark end; else unsigned ones take the darkest value
    that they can hold, and signed and float ones the darkest of the first frame that changes, for the lowest number
    that a type can hold would spoil every automatic window.

    Parameters
    ----------
    d : PixelDescription
        The image.
    stored : numpy.ndarray
        Stored values of the first frame that changes.
    photometric : str
        Photometric interpretation of the samples as they are blanked.
    header : numpy.ndarray of uint8
        The bytes before the pixel data; of a deflated entry inflated.
    """
    top = (1 << d.bits_stored) - 1
    middle = 1 << (d.bits_stored - 1)
    if d.samples == 3:
        if photometric.startswith("YBR_PARTIAL"):
            return (float(top // 16 + 1), middle, middle)
        return (0, middle, middle) if photometric in ("YBR_FULL", "YBR_FULL_422") else (0, 0, 0)
    if d.samples == 4:
        return (0, 0, 0, top) if photometric == "CMYK" else (0, 0, 0, 0)
    if photometric == "PALETTE COLOR":
        return (float(_darkest_index(d, header)),)
    return (_grey(d, stored, photometric),) * d.samples


def _grey(d: PixelDescription, stored: np.ndarray, photometric: str) -> float:
    line = d.rescale_of(0)
    low_is_dark = (photometric == "MONOCHROME1") == (line is not None and line.slope < 0)
    finite = stored[np.isfinite(stored)] if d.kind != "i" else stored
    low, high = (finite.min().item(), finite.max().item()) if finite.size else (0, 0)
    if d.padding is not None and d.kind == "i":
        padding = d.padding[0] if low_is_dark else d.padding[1]
        half = (low + high) / 2
        fits = -(1 << (d.bits_stored - 1)) <= padding < 1 << (d.bits_stored - 1) if d.signed else _fits(d, padding)
        if fits and (padding <= half if low_is_dark else padding >= half):
            return padding
    if d.kind != "i" or d.signed:
        return float(low if low_is_dark else high)
    return 0 if low_is_dark else (1 << d.bits_stored) - 1


def _fits(d: PixelDescription, value: int) -> bool:
    return 0 <= value < 1 << d.bits_stored


def _darkest_index(d: PixelDescription, header: np.ndarray) -> int:
    """Return the index of the darkest colour; 0 when the palette cannot be read."""
    dataset = header_dataset(header, header.size, list(_PALETTE))
    if dataset is None:
        return 0
    indices = np.arange(1 << min(d.bits_stored, 16), dtype=np.uint16)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            colours = apply_color_lut(indices, dataset)
    except UNREADABLE:
        return 0
    return int(colours.astype(np.int64).sum(axis=-1).argmin())
