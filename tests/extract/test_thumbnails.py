"""Pictures of what was blanked: original left, what leaves right, the box outlined; none where there are no pixels."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from cairn.extract.thumbnails import SIZE, Thumbnail, page, thumbnail

BOX = (20, 30, 50, 20)


def file(value: int | None = None, photometric: str = "MONOCHROME2") -> bytes:
    """Return a CT slice of 128 x 128, with a box of one value."""
    ds = dcmread(str(get_testdata_file("CT_small.dcm", download=False)))
    pixels = ds.pixel_array.copy()
    if value is not None:
        x, y, width, height = BOX
        pixels[y : y + height, x : x + width] = value
    ds.PixelData = pixels.tobytes()
    ds.PhotometricInterpretation = photometric
    out = io.BytesIO()
    ds.save_as(out)
    return out.getvalue()


@pytest.mark.parametrize(("photometric", "dark"), [("MONOCHROME2", True), ("MONOCHROME1", False)])
def test_before_and_after_stand_side_by_side(photometric: str, dark: bool) -> None:
    made = thumbnail("file:///a.dcm", file(None, photometric), file(-2000, photometric), 1, [BOX])
    assert made is not None
    picture = cv2.imdecode(np.frombuffer(made.png, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape[0] == SIZE and picture.shape[1] > 2 * SIZE
    scale = SIZE / 128
    top, bottom = round(33 * scale), round(47 * scale)
    left, right = round(23 * scale), round(67 * scale)
    before, after = picture[top:bottom, left:right], picture[top:bottom, SIZE + 8 + left : SIZE + 8 + right]
    assert after.std() < 2 < before.std()
    assert bool(after.mean() < 30) == dark
    red = (picture[..., 2] > 200) & (picture[..., 1] < 80) & (picture[..., 0] < 80)
    assert red[:, :SIZE].sum() > 100 and red[:, SIZE + 8 :].sum() > 100


def test_what_has_no_pixels_has_no_picture() -> None:
    assert thumbnail("a", b"no DICOM", file(), 1, []) is None
    assert thumbnail("a", file(), b"", 1, []) is None
    assert thumbnail("a", file(None, "YBR_FULL"), file(), 1, []) is None, "one sample is no colour"
    assert thumbnail("a", file(None, "YBR_RCT"), file(), 1, []) is not None


def test_the_page_tells_addresses_as_text_and_how_many_are_not_shown() -> None:
    told = page("scans-1", [("blanked-001.png", Thumbnail("file:///<b>&", b""))], 3)
    assert "file:///&lt;b&gt;&amp;" in told and "<b>" not in told
    assert "3 more were blanked" in told and 'src="blanked-001.png"' in told
