"""Redaction of every kind of native image: boxes blank, all else as it was, by pydicom's reading."""

from __future__ import annotations

import io
import itertools
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from redaction_sample import BIG, DEFLATED, EXPLICIT, IMPLICIT, dataset_of, decoded, inside, native_file, read

from cairn.errors import EntryError
from cairn.pixels.redaction import words
from cairn.pixels.redaction.boxes import EVERY_FRAME, Areas, Box, of_regions
from cairn.pixels.redaction.redactor import Redacted, Redactor, redact

ROWS, COLUMNS = 12, 14
BOXES = ((2, 2, 4, 3, 5, 2), (2, 3, 0, 0, 3, 4))
STALE = {"PixelData", "SmallestImagePixelValue", "LargestImagePixelValue", "IconImageSequence"}


def box(first: int, last: int, x: int, y: int, width: int, height: int) -> Box:
    return Box(x, y, width, height, first, last)


def check(data: bytes, boxes: tuple[tuple[int, ...], ...], fill: tuple[float, ...]) -> Redacted:
    """Redact, and hold the result against pydicom's decoding of both files."""
    made = redact(data, [box(*each) for each in boxes])
    before, after = decoded(data), decoded(made.data)
    assert after.shape == before.shape and after.dtype == before.dtype
    mask = inside(before.shape, boxes)
    assert np.array_equal(after[~mask], before[~mask])
    assert np.all(after[mask] == np.array(fill, after.dtype))
    assert made.frames_changed == tuple(sorted({f for first, last, *_ in boxes for f in range(first, last + 1)}))
    return made


def same_header(before: bytes, after: bytes, but: set[str] = STALE) -> None:
    old, new = read(before), read(after)
    assert old.file_meta == new.file_meta or "TransferSyntaxUID" in but
    for dataset in (old, new):
        for keyword in but:
            if keyword in dataset:
                del dataset[keyword]
    assert old == new


GREY = [
    # photometric, bits, signed, black: a stored value, or None for the frame's own darkest
    ("MONOCHROME2", 1, 0, 0),
    ("MONOCHROME1", 1, 0, 1),
    ("MONOCHROME2", 8, 0, 0),
    ("MONOCHROME1", 8, 0, 255),
    ("MONOCHROME2", 8, 1, None),
    ("MONOCHROME2", 10, 0, 0),
    ("MONOCHROME1", 10, 0, 1023),
    ("MONOCHROME2", 12, 0, 0),
    ("MONOCHROME2", 12, 1, None),
    ("MONOCHROME1", 12, 1, None),
    ("MONOCHROME1", 14, 0, 16383),
    ("MONOCHROME2", 16, 0, 0),
    ("MONOCHROME1", 16, 0, 65535),
    ("MONOCHROME2", 16, 1, None),
    ("MONOCHROME2", 32, 0, 0),
    ("MONOCHROME2", 32, 1, None),
]


def grey_values(frames: int, bits: int, signed: int) -> np.ndarray:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    size = 8 if bits <= 8 else 16 if bits <= 16 else 32
    made = np.random.default_rng(7).integers(low, high, (frames, ROWS, COLUMNS), np.int64, endpoint=True)
    return made.astype(f"{'i' if signed else 'u'}{size // 8}")


def packed(values: np.ndarray, bits: int, syntax: str) -> bytes:
    if bits == 1:
        return np.packbits(values.reshape(-1), bitorder="little").tobytes()
    return values.astype(values.dtype.newbyteorder(">" if syntax == BIG else "<")).tobytes()


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG, DEFLATED], ids=["implicit", "explicit", "big", "deflated"])
@pytest.mark.parametrize(("photometric", "bits", "signed", "black"), GREY)
def test_grey(photometric: str, bits: int, signed: int, black: int | None, syntax: str, frames: int) -> None:
    values = grey_values(frames, bits, signed)
    header = dataset_of(frames, ROWS, COLUMNS, photometric, bits, PixelRepresentation=signed)
    data = native_file(header, packed(values, bits, syntax), syntax)
    boxes = BOXES if frames == 3 else tuple((1, 1, *rest) for _, _, *rest in BOXES)
    if black is None:
        first = values[boxes[0][0] - 1]
        black = int(first.min() if photometric == "MONOCHROME2" else first.max())
    made = check(data, boxes, (black,))
    assert made.fill == (black,) and made.lossless and made.boxes_applied == 2 and not made.findings
    assert read(made.data).file_meta.TransferSyntaxUID == syntax == made.transfer_syntax_uid
    same_header(data, made.data)


COLOUR = [
    ("RGB", 8, (0, 0, 0)),
    ("RGB", 16, (0, 0, 0)),
    ("YBR_FULL", 8, (0, 128, 128)),
    ("YBR_FULL", 16, (0, 32768, 32768)),
]


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG, DEFLATED], ids=["implicit", "explicit", "big", "deflated"])
@pytest.mark.parametrize(("photometric", "bits", "black"), COLOUR)
def test_colours(photometric: str, bits: int, black: tuple[int, ...], syntax: str, planar: int, frames: int) -> None:
    values = np.random.default_rng(8).integers(1, 1 << bits, (frames, ROWS, COLUMNS, 3)).astype(f"u{bits // 8}")
    stored = values.transpose(0, 3, 1, 2) if planar else values
    header = dataset_of(frames, ROWS, COLUMNS, photometric, bits, PlanarConfiguration=planar)
    data = native_file(header, packed(np.ascontiguousarray(stored), bits, syntax), syntax)
    boxes = BOXES if frames == 3 else tuple((1, 1, *rest) for _, _, *rest in BOXES)
    same_header(data, check(data, boxes, black).data)


def test_subsampled_colours_are_blanked_by_pairs() -> None:
    stored = np.random.default_rng(9).integers(1, 256, (2, ROWS, COLUMNS // 2, 4)).astype(np.uint8)
    data = native_file(dataset_of(2, ROWS, COLUMNS, "YBR_FULL_422", 8), stored.tobytes())
    made = redact(data, [box(2, 2, 3, 3, 4, 2)])  # columns 3 to 6 are in the pairs 1 to 3
    after = np.frombuffer(read(made.data).PixelData, np.uint8).reshape(stored.shape)
    mask = inside((2, ROWS, COLUMNS // 2), ((2, 2, 1, 3, 3, 2),))
    assert np.array_equal(after[~mask], stored[~mask])
    assert np.all(after[mask] == (0, 0, 128, 128))
    assert [finding.code for finding in made.findings] == ["REDACTION_BOX_WIDENED"]


def test_colours_that_only_claim_to_be_subsampled() -> None:
    stored = np.random.default_rng(9).integers(1, 256, (ROWS, COLUMNS, 3)).astype(np.uint8)
    data = native_file(dataset_of(1, ROWS, COLUMNS, "YBR_FULL_422", 8), stored.tobytes())
    made = redact(data, [box(1, 1, 3, 3, 4, 2)])
    after = np.frombuffer(read(made.data).PixelData, np.uint8).reshape(stored.shape)
    mask = inside((1, ROWS, COLUMNS), ((1, 1, 3, 3, 4, 2),))[0]
    assert np.array_equal(after[~mask], stored[~mask]) and np.all(after[mask] == (0, 128, 128))


def palette(header: Dataset, colours: np.ndarray) -> None:
    for name, column in zip(("Red", "Green", "Blue"), colours.T, strict=True):
        setattr(header, f"{name}PaletteColorLookupTableDescriptor", [len(colours), 0, 16])
        setattr(header, f"{name}PaletteColorLookupTableData", column.astype("<u2").tobytes())


def test_a_palette_is_blanked_to_its_darkest_colour() -> None:
    colours = np.random.default_rng(10).integers(100, 65536, (256, 3))
    colours[77] = (3, 2, 1)
    header = dataset_of(1, ROWS, COLUMNS, "PALETTE COLOR", 8)
    palette(header, colours)
    values = np.random.default_rng(11).integers(0, 256, (ROWS, COLUMNS)).astype(np.uint8)
    check(native_file(header, values.tobytes()), ((1, 1, 2, 2, 5, 5),), (77,))


@pytest.mark.parametrize(("keyword", "dtype"), [("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")])
def test_floats(keyword: str, dtype: str) -> None:
    values = np.random.default_rng(12).normal(size=(ROWS, COLUMNS)).astype(dtype)
    header = dataset_of(1, ROWS, COLUMNS, "MONOCHROME2", 32)
    header.BitsAllocated = 8 * values.itemsize
    del header.BitsStored, header.HighBit, header.PixelRepresentation
    check(native_file(header, values.tobytes(), keyword=keyword), ((1, 1, 2, 2, 5, 5),), (float(values.min()),))


def twelve(values: np.ndarray) -> bytes:
    flat = np.append(values.reshape(-1), np.zeros(values.size % 2, values.dtype)).astype(int).reshape(-1, 2)
    return b"".join(bytes([a & 0xFF, a >> 8 | (b & 15) << 4, b >> 4]) for a, b in flat)


@pytest.mark.parametrize("columns", [6, 7])
def test_two_pixels_in_three_bytes(columns: int) -> None:
    values = np.random.default_rng(13).integers(0, 4096, (2, 4, columns)).astype(np.uint16)
    header = dataset_of(2, 4, columns, "MONOCHROME2", 12, BitsAllocated=12)
    made = redact(native_file(header, twelve(values)), [box(2, 2, 1, 1, 3, 2)])
    values[1, 1:3, 1:4] = 0
    assert read(made.data).PixelData == twelve(values)


def test_bits_beside_the_stored_value_are_blanked_too() -> None:
    raw = np.random.default_rng(14).integers(0, 65536, (ROWS, COLUMNS)).astype("<u2")
    header = dataset_of(1, ROWS, COLUMNS, "MONOCHROME2", 12)
    data = native_file(header, raw.tobytes())
    whole = np.frombuffer(read(redact(data, [box(1, 1, 2, 2, 5, 5)]).data).PixelData, "<u2").reshape(raw.shape)
    bits = np.frombuffer(read(redact(data, [Box(2, 2, 5, 5, plane="bit 14")]).data).PixelData, "<u2").reshape(raw.shape)
    mask = inside((1, ROWS, COLUMNS), ((1, 1, 2, 2, 5, 5),))[0]
    assert np.all(whole[mask] == 0) and np.array_equal(whole[~mask], raw[~mask])
    assert np.array_equal(bits[mask], raw[mask] & 0x0FFF) and np.array_equal(bits[~mask], raw[~mask])


def test_a_value_at_the_upper_end_of_its_word() -> None:
    raw = np.random.default_rng(15).integers(0, 65536, (ROWS, COLUMNS)).astype("<u2")
    header = dataset_of(1, ROWS, COLUMNS, "MONOCHROME1", 12, HighBit=15)
    made = redact(native_file(header, raw.tobytes()), [box(1, 1, 2, 2, 5, 5)])
    after = np.frombuffer(read(made.data).PixelData, "<u2").reshape(raw.shape)
    mask = inside((1, ROWS, COLUMNS), ((1, 1, 2, 2, 5, 5),))[0]
    assert np.all(after[mask] == 0xFFF0) and np.array_equal(after[~mask], raw[~mask])


@pytest.mark.parametrize(
    ("photometric", "signed", "slope", "padding", "expected"),
    [
        ("MONOCHROME2", 1, None, -2000, -2000),
        ("MONOCHROME2", 0, None, 5, 5),
        ("MONOCHROME2", 0, None, 4000, 0),  # bright: no black
        ("MONOCHROME1", 0, None, 4095, 4095),
        ("MONOCHROME1", 0, None, 0, 4095),
        ("MONOCHROME2", 0, -1, None, 4095),  # the rescaling turns it round
        ("MONOCHROME1", 0, -1, None, 0),
    ],
)
def test_padding_is_taken_where_it_is_dark(
    photometric: str, signed: int, slope: int | None, padding: int | None, expected: int
) -> None:
    values = grey_values(1, 12, signed)
    header = dataset_of(1, ROWS, COLUMNS, photometric, 12, PixelRepresentation=signed)
    if slope is not None:
        header.RescaleSlope, header.RescaleIntercept = slope, 0
    if padding is not None:
        header.PixelPaddingValue = padding
    check(native_file(header, values.tobytes()), ((1, 1, 2, 2, 5, 5),), (expected,))


def with_overlay(bits: np.ndarray, syntax: str = EXPLICIT, frames: int = 1) -> bytes:
    header = dataset_of(1, ROWS, COLUMNS, "MONOCHROME2", 8)
    raw = np.packbits(bits.reshape(-1), bitorder="little")
    raw = np.append(raw, np.zeros(raw.size % 2, np.uint8))
    for group in (0x6000, 0x6002):
        header.add_new(group << 16 | 0x0010, "US", bits.shape[-2])
        header.add_new(group << 16 | 0x0011, "US", bits.shape[-1])
        if frames > 1:
            header.add_new(group << 16 | 0x0015, "IS", str(frames))
        header.add_new(group << 16 | 0x0050, "SS", [3, 2])  # its corner is at row 3, column 2 of the image, from 1
        header.add_new(group << 16 | 0x0100, "US", 1)
        header.add_new(group << 16 | 0x0102, "US", 0)
        value = raw.view("<u2").byteswap().tobytes() if syntax == BIG else raw.tobytes()
        header.add_new(group << 16 | 0x3000, "OW", value)
    return native_file(header, bytes(ROWS * COLUMNS), syntax)


def overlay_of(data: bytes, group: int, shape: tuple[int, ...], big: bool = False) -> np.ndarray:
    raw = np.frombuffer(read(data)[group, 0x3000].value, np.uint8)
    raw = raw.view("<u2").byteswap().view(np.uint8) if big else raw
    return np.unpackbits(raw, bitorder="little")[: int(np.prod(shape))].reshape(shape)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_an_overlay_is_a_target_of_its_own(syntax: str) -> None:
    bits = np.random.default_rng(16).integers(0, 2, (7, 9)).astype(np.uint8)
    data = with_overlay(bits, syntax)
    made = redact(data, [Box(4, 5, 3, 2, plane="overlay 6000")])
    expected = bits.copy()
    expected[3:5, 3:6] = 0  # the image's row 5 is the overlay's row 3, column 4 its column 3
    assert np.array_equal(overlay_of(made.data, 0x6000, bits.shape, syntax == BIG), expected)
    assert np.array_equal(overlay_of(made.data, 0x6002, bits.shape, syntax == BIG), bits)
    assert made.frames_changed == () and made.boxes_applied == 1
    assert read(made.data).PixelData == read(data).PixelData
    whole = redact(data, [Box(0, 0, 0, 0, plane="overlay 6002")])
    assert not overlay_of(whole.data, 0x6002, bits.shape).any()


def test_an_overlay_of_frames_is_blanked_whole() -> None:
    bits = np.random.default_rng(17).integers(0, 2, (3, 7, 9)).astype(np.uint8)
    made = redact(with_overlay(bits, frames=3), [Box(4, 5, 3, 2, plane="overlay 6000")])
    assert not overlay_of(made.data, 0x6000, bits.shape).any()


def test_an_overlay_in_the_pixels_is_blanked_in_all_of_them() -> None:
    raw = np.random.default_rng(18).integers(0, 65536, (ROWS, COLUMNS)).astype("<u2")
    header = dataset_of(1, ROWS, COLUMNS, "MONOCHROME2", 12)
    header.add_new(0x60000010, "US", ROWS)
    header.add_new(0x60000011, "US", COLUMNS)
    header.add_new(0x60000102, "US", 15)
    made = redact(native_file(header, raw.tobytes()), [Box(1, 1, 2, 2, plane="overlay 6000")])
    assert np.array_equal(np.frombuffer(read(made.data).PixelData, "<u2"), raw.reshape(-1) & 0x0FFF)


def test_what_became_wrong_goes_and_the_rest_stays() -> None:
    header = dataset_of(1, ROWS, COLUMNS, "MONOCHROME2", 8, SmallestImagePixelValue=1, LargestImagePixelValue=9)
    header.BurnedInAnnotation = "YES"
    icon = dataset_of(1, 2, 2, "MONOCHROME2", 8)
    icon.PixelData = bytes(4)
    header.IconImageSequence = [icon]
    header.add_new(0x00280000, "UL", 8)  # a group length, which the edit makes wrong
    signature = Dataset()
    signature.MACIDNumber = 1
    header.DigitalSignaturesSequence = [signature]
    header.DataSetTrailingPadding = bytes(8)
    data = native_file(header, bytes(ROWS * COLUMNS))
    made = redact(data, [box(1, 1, 1, 1, 2, 2)])
    out = read(made.data)
    for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue", "IconImageSequence"):
        assert keyword not in out
    assert "DigitalSignaturesSequence" not in out and (0x0028, 0x0000) not in out
    assert out.BurnedInAnnotation == "YES" and out.PatientName == "Nobody^Real"
    assert read(redact(data, [box(1, 1, 1, 1, 2, 2)], text_removed=True).data).BurnedInAnnotation == "NO"


def test_without_boxes_the_bytes_come_back() -> None:
    data = native_file(dataset_of(1, ROWS, COLUMNS, "MONOCHROME2", 8), bytes(ROWS * COLUMNS))
    made = redact(data, [])
    assert made.data == data and made.boxes_applied == 0


@pytest.mark.parametrize(
    ("wanted", "codes", "applied"),
    [
        (Box(10, 10, 50, 50), ["REDACTION_BOX_CLIPPED"], 1),
        (Box(-3, -3, 5, 5), ["REDACTION_BOX_CLIPPED"], 1),
        (Box(50, 50, 5, 5), ["REDACTION_BOX_OUTSIDE"], 0),
        (Box(3, 3, 0, 5), ["REDACTION_BOX_OUTSIDE"], 0),
        (Box(3, 3, 1, 5), [], 1),
    ],
)
def test_boxes_are_clipped_and_it_is_told(wanted: Box, codes: list[str], applied: int) -> None:
    values = np.random.default_rng(19).integers(1, 256, (ROWS, COLUMNS)).astype(np.uint8)
    data = native_file(dataset_of(1, ROWS, COLUMNS, "MONOCHROME2", 8), values.tobytes())
    made = redact(data, [wanted])
    assert [finding.code for finding in made.findings] == codes and made.boxes_applied == applied
    mask = inside((1, ROWS, COLUMNS), ((1, 1, wanted.x, wanted.y, wanted.width, wanted.height),))[0]
    assert np.array_equal(decoded(made.data)[0, ..., 0], np.where(mask, 0, values))


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (Box(1, 1, 2, 2, frame=4), "REDACTION_FRAME_MISSING"),
        (Box(1, 1, 2, 2, frame=2, last_frame=4), "REDACTION_FRAME_MISSING"),
        (Box(1, 1, 2, 2, frame=3, last_frame=2), "REDACTION_FRAME_MISSING"),
        (Box(1, 1, 2, 2, frame=-1), "REDACTION_FRAME_MISSING"),
        (Box(1, 1, 2, 2, plane="overlay 6000"), "REDACTION_PLANE_UNKNOWN"),
        (Box(1, 1, 2, 2, plane="bit 8"), "REDACTION_PLANE_UNKNOWN"),
        (Box(1, 1, 2, 2, plane="elsewhere"), "REDACTION_PLANE_UNKNOWN"),
    ],
)
def test_a_box_of_another_image_is_an_error(wanted: Box, code: str) -> None:
    data = native_file(dataset_of(3, ROWS, COLUMNS, "MONOCHROME2", 8), bytes(3 * ROWS * COLUMNS))
    target = io.BytesIO()
    with Redactor() as redactor, pytest.raises(EntryError) as fault:
        redactor.stream(io.BytesIO(data), target, [wanted])
    assert fault.value.code == code and target.getvalue() == b""


def test_a_cut_file_is_not_redacted() -> None:
    data = native_file(dataset_of(3, ROWS, COLUMNS, "MONOCHROME2", 8), bytes(3 * ROWS * COLUMNS))
    for cut in (data[:-1], data[:-200]):
        with pytest.raises(EntryError, match="REDACTION_PIXELS_BROKEN"):
            redact(cut, [Box(1, 1, 2, 2)])
    with pytest.raises(EntryError, match=r"PIXELS_EMPTY|HEADER"):
        redact(data[:300], [Box(1, 1, 2, 2)])


def test_what_lies_behind_the_frames_is_blanked() -> None:
    pixels = np.full((2, ROWS, COLUMNS), 9, np.uint8)  # two frames, of which the header tells of one
    data = native_file(dataset_of(1, ROWS, COLUMNS, "MONOCHROME2", 8), pixels.tobytes())
    made = redact(data, [Box(0, 0, 2, 2)])
    after = np.frombuffer(read(made.data).PixelData, np.uint8).reshape(pixels.shape)
    assert not after[1].any() and (after[0] == 9).sum() == ROWS * COLUMNS - 4
    assert [finding.code for finding in made.findings] == ["REDACTION_SURPLUS_BLANKED"]


def test_a_file_without_meta_group_and_one_that_pydicom_reads(tmp_path: Path) -> None:
    values = np.arange(1, ROWS * COLUMNS + 1).astype(np.uint8)
    data = native_file(dataset_of(1, ROWS, COLUMNS, "MONOCHROME2", 8), values.tobytes(), IMPLICIT)
    start = data.index(struct.pack("<HH", 8, 0x16))
    made = redact(data[start:], [Box(1, 1, 2, 2)])
    whole = redact(data, [Box(1, 1, 2, 2)])
    assert made.data == whole.data[start:]


def test_big_endian_bytes_in_words() -> None:
    values = np.random.default_rng(20).integers(1, 256, (3, 5, 3)).astype(np.uint8)  # frames of odd length
    header = dataset_of(3, 5, 3, "MONOCHROME2", 8)
    raw = np.append(values.reshape(-1), np.uint8(0)).view("<u2").byteswap().tobytes()
    data = native_file(header, raw, BIG)
    data = data.replace(b"\x7f\xe0\x00\x10OB", b"\x7f\xe0\x00\x10OW")
    made = redact(data, [Box(1, 1, 2, 4, frame=3)])
    values[2, 1:5, 1:3] = 0
    after = np.frombuffer(made.data[-46:], "<u2").byteswap().view(np.uint8)
    assert np.array_equal(after[:45], values.reshape(-1))


SIZES = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))


@given(size=SIZES, bits=st.sampled_from((1, 8, 12, 16)), data=st.data())
def test_any_box_of_any_image(size: tuple[int, int, int], bits: int, data: st.DataObject) -> None:
    frames, rows, columns = size
    values = np.random.default_rng(sum(size)).integers(0, 1 << bits, size).astype(np.uint8 if bits <= 8 else np.uint16)
    header = dataset_of(frames, rows, columns, "MONOCHROME2", bits)
    source = native_file(header, packed(values, bits, EXPLICIT))
    place = st.integers(-4, 12)
    boxes = data.draw(
        st.lists(st.tuples(st.integers(1, frames), place, place, st.integers(0, 9), st.integers(0, 9)), max_size=4)
    )
    made = redact(source, [Box(x, y, w, h, frame) for frame, x, y, w, h in boxes])
    mask = inside(size, [(frame, frame, *rest) for frame, *rest in boxes])
    assert np.array_equal(decoded(made.data)[..., 0], np.where(mask, 0, values))


def test_these_tests_see_a_row_that_was_left(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = words.blank

    def lazy(values, areas, fill, made):  # type: ignore[no-untyped-def]
        whole(values, Areas([(x, y, w, h - 1) for x, y, w, h in areas.pixels], areas.bits), fill, made)

    def greedy(values, areas, fill, made):  # type: ignore[no-untyped-def]
        whole(values, Areas([(x, y, w + 1, h) for x, y, w, h in areas.pixels], areas.bits), fill, made)

    for wrong, (bits, black) in itertools.product((lazy, greedy), ((8, 0), (12, 0), (1, 0))):
        monkeypatch.setattr(words, "blank", wrong)
        header = dataset_of(1, ROWS, COLUMNS, "MONOCHROME2", bits)
        values = np.ones((ROWS, COLUMNS), np.uint8 if bits <= 8 else np.uint16)
        with pytest.raises(AssertionError):
            check(native_file(header, packed(values, bits, EXPLICIT)), ((1, 1, 3, 3, 4, 4),), (black,))


def test_a_large_file_is_redacted_in_little_memory(tmp_path: Path) -> None:
    """The file is larger than what may be held of it; reads stay small."""
    frames = 400
    header = dataset_of(frames, 128, 128, "MONOCHROME2", 16)
    values = np.random.default_rng(21).integers(1, 65536, (frames, 128, 128)).astype("<u2")
    data = native_file(header, values.tobytes())
    from cairn.pixels.reader import PixelLimits

    source = Counting(data)
    target = io.BytesIO()
    with Redactor(replace(PixelLimits(), whole_limit_bytes=1 << 16)) as redactor:
        made = redactor.stream(source, target, [Box(5, 5, 20, 20, 7), Box(0, 0, 3, 3, frames)])
    assert source.largest <= 8 << 20 and made.frames_changed == (7, frames)
    mask = np.zeros(values.shape, bool)
    mask[6, 5:25, 5:25] = mask[-1, :3, :3] = True
    assert np.array_equal(decoded(target.getvalue())[..., 0], np.where(mask, 0, values))


class Counting(io.BytesIO):
    largest = 0

    def read(self, size: int | None = -1) -> bytes:  # type: ignore[override]
        made = super().read(size)
        self.largest = max(self.largest, len(made))
        return made


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="DCMTK is not installed")
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG, DEFLATED])
def test_dcmtk_reads_it(syntax: str, tmp_path: Path) -> None:
    values = grey_values(1, 12, 0)
    data = native_file(dataset_of(1, ROWS, COLUMNS, "MONOCHROME2", 12), packed(values, 12, syntax), syntax)
    path = tmp_path / "made.dcm"
    path.write_bytes(redact(data, [Box(1, 1, 4, 4, EVERY_FRAME), *of_regions([(0, 0, 1, 1)])]).data)
    for program in ("dcmdump", "dcm2pnm"):
        done = subprocess.run(
            [program, str(path), *([str(tmp_path / "o.pnm")] if program == "dcm2pnm" else [])],
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0 and b"E:" not in done.stderr, done.stderr
