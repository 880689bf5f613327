"""Colour profiles: Pillow's own, before and after."""

from __future__ import annotations

import io
import struct

import pytest
from deid_files import minimal, reread, rewriter, written

from cairn.deid.icc import without_texts

ImageCms = pytest.importorskip("PIL.ImageCms")


def profile() -> bytes:
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())


def test_colours_stay_and_texts_go():
    before = profile()
    after = without_texts(before)
    assert after is not None and len(after) == len(before)
    one, other = (ImageCms.ImageCmsProfile(io.BytesIO(data)).profile for data in (before, after))
    for name in ("red_colorant", "green_colorant", "blue_colorant", "media_white_point", "xcolor_space", "version"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.profile_description and not (other.profile_description or "").strip()
    assert not (other.copyright or "").strip()
    assert after[24:36] == bytes(12)
    assert without_texts(after) == after


def test_a_name_in_any_text_is_gone():
    before = bytearray(profile())
    count = struct.unpack_from(">I", before, 128)[0]
    for number in range(count):
        name, start, size = struct.unpack_from(">4sII", before, 132 + 12 * number)
        if name in (b"desc", b"cprt"):
            before[start + size - 10 : start + size] = "SMITH".encode("utf-16-be")
    after = without_texts(bytes(before))
    assert after is not None and "SMITH".encode("utf-16-be") not in after


@pytest.mark.parametrize("data", [b"", b"SMITH" * 50, profile()[:200], profile()[:128] + b"\xff" * 100])
def test_what_is_no_profile_is_removed(data: bytes):
    assert without_texts(data) is None


def test_the_rewriter_blanks_profiles():
    ds = minimal(ICCProfile=profile())
    assert reread(rewriter()(written(ds))).ICCProfile == without_texts(profile())
    assert "ICCProfile" not in reread(rewriter()(written(minimal(ICCProfile=b"SMITH JOHN"))))
