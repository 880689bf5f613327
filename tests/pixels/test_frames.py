"""Made files in every encoding: what comes out is what numpy put in."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pixel_sample import END, JPEG_2000, JPEG_BASELINE, NATIVE_BE, NATIVE_LE, RLE, InMemory, item, made_file
from pydicom.pixels.encoders.native import _encode_segment
from pydicom.pixels.processing import convert_color_space

from cairn.errors import EntryError
from cairn.pixels import codecs
from cairn.pixels.description import describe
from cairn.pixels.frames import FrameReader
from cairn.pixels.isolation import IsolatedDecoder
from cairn.pixels.rle import decode_rle
from cairn.pixels.source import EntryBytes


@pytest.fixture(scope="module")
def decoder():
    with IsolatedDecoder(30, 4 << 30) as made:
        yield made


def frames_of(data: bytes, decoder: IsolatedDecoder, whole: int = 1 << 26) -> tuple[list[np.ndarray], set[str]]:
    source = EntryBytes(InMemory(data), len(data), whole)
    described = describe(source.head)
    assert described is not None
    reader = FrameReader(source, described, decoder, 1 << 28)
    return [frame.values for frame in reader.frames()], reader.findings


SHAPES = {
    "grey": (5, 7),
    "frames": (3, 5, 7),
    "colour": (5, 7, 3),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("syntax", [NATIVE_LE, NATIVE_BE])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4"])
def test_native_integers(decoder, shape, syntax, dtype):
    info = np.iinfo(dtype)
    pixels = np.random.default_rng(1).integers(info.min, info.max, SHAPES[shape], dtype, endpoint=True)
    count = 3 if shape == "frames" else 1
    made, findings = frames_of(made_file(pixels, syntax, frames=count), decoder)
    expected = list(pixels) if count > 1 else [pixels]
    assert not findings
    assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(made, expected, strict=True))


ONE_BIT = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5))


@given(pixels=hnp.arrays(np.uint8, ONE_BIT, elements=st.integers(0, 1)))
def test_one_bit_frames_that_end_within_a_byte(pixels):
    packed = np.packbits(pixels.reshape(-1), bitorder="little").tobytes()
    frames, rows, columns = pixels.shape
    data = made_file(packed, frames=frames, rows=rows, columns=columns, bits_allocated=1)
    with IsolatedDecoder(30, 4 << 30) as decoder:
        made, _ = frames_of(data, decoder)
        assert decoder.started == 0, "native pixels need no other process"
    assert np.array_equal(np.stack(made), pixels)


def test_colours_by_plane(decoder):
    pixels = np.random.default_rng(2).integers(0, 256, (4, 6, 3), np.uint8)
    data = made_file(
        pixels.transpose(2, 0, 1).tobytes(), rows=4, columns=6, bits_allocated=8, SamplesPerPixel=3,
        PhotometricInterpretation="RGB", PlanarConfiguration=1,
    )  # fmt: skip
    assert np.array_equal(frames_of(data, decoder)[0][0], pixels)


def test_ybr_becomes_rgb(decoder):
    ybr = np.random.default_rng(3).integers(0, 256, (4, 6, 3), np.uint8)
    data = made_file(ybr, PhotometricInterpretation="YBR_FULL")
    assert np.array_equal(frames_of(data, decoder)[0][0], convert_color_space(ybr, "YBR_FULL", "RGB"))


def test_twelve_bits_of_two_pixels_in_three_bytes(decoder):
    pixels = np.array([[0x123, 0xABC], [0xFFF, 0x001]], np.uint16)
    packed = b"".join(bytes([a & 0xFF, a >> 8 | (b & 0xF) << 4, b >> 4]) for a, b in pixels.astype(int).reshape(-1, 2))
    data = made_file(packed, rows=2, columns=2, bits_allocated=12)
    assert np.array_equal(frames_of(data, decoder)[0][0], pixels)


@pytest.mark.parametrize(
    ("stored", "high", "signed", "word", "value"),
    [
        (12, 11, 0, 0xF123, 0x123),  # an overlay in the unused bits above
        (12, 11, 1, 0x0FFF, -1),  # sign in bit 11, zeros above
        (12, 11, 1, 0xF800, -2048),
        (12, 15, 0, 0x1234, 0x123),  # stored at the upper end
        (16, 15, 1, 0x8000, -32768),
        (10, 9, 0, 0x03FF, 0x3FF),
    ],
)
def test_the_stored_value_is_cut_out_of_its_word(decoder, stored, high, signed, word, value):
    data = made_file(
        struct.pack("<2H", word, 0), rows=1, columns=2, bits_stored=stored, HighBit=high, PixelRepresentation=signed
    )
    assert frames_of(data, decoder)[0][0][0, 0] == value


def test_set_unused_bits_are_told(decoder):
    data = made_file(struct.pack("<2H", 0xF123, 0), rows=1, columns=2, bits_stored=12)
    assert frames_of(data, decoder)[1] == {"PIXELS_UNUSED_BITS"}


@given(pixels=hnp.arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_rle_gives_back_what_went_in(pixels):
    plain = made_file(pixels)
    described = describe(np.frombuffer(plain, np.uint8))
    assert described is not None

    high, low = (pixels >> 8).astype(np.uint8), (pixels & 255).astype(np.uint8)
    segments = [bytes(_encode_segment(plane.tobytes(), pixels.shape[1])) for plane in (high, low)]
    head = struct.pack("<16I", 2, 64, 64 + len(segments[0]), *[0] * 13)
    made, complete = decode_rle(head + segments[0] + segments[1], described)
    assert complete and np.array_equal(made, pixels)


CODED = [
    (JPEG_2000, lambda image: imagecodecs.jpeg2k_encode(image, level=0, codecformat="J2K", reversible=True)),
    ("1.2.840.10008.1.2.4.80", imagecodecs.jpegls_encode),
    ("1.2.840.10008.1.2.4.110", lambda image: imagecodecs.jpegxl_encode(image, lossless=True)),
    ("1.2.840.10008.1.2.4.70", lambda image: imagecodecs.jpeg8_encode(image, lossless=True)),
]


@pytest.mark.parametrize(("syntax", "encode"), CODED, ids=["jpeg-2000", "jpeg-ls", "jpeg-xl", "jpeg-lossless"])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("colour", [False, True])
def test_lossless_codecs(decoder, syntax, encode, dtype, colour):
    shape = (16, 24, 3) if colour else (16, 24)
    pixels = np.random.default_rng(4).integers(0, np.iinfo(dtype).max, shape, dtype)
    if colour and syntax == "1.2.840.10008.1.2.4.70":
        pytest.skip("libjpeg-turbo turns colours into YCbCr, which is not lossless")
    data = made_file(
        item(b"") + item(even(encode(pixels))) + END, syntax, rows=16, columns=24, bits_allocated=8 * pixels.itemsize,
        SamplesPerPixel=3 if colour else 1, PhotometricInterpretation="RGB" if colour else "MONOCHROME2",
    )  # fmt: skip
    made, findings = frames_of(data, decoder)
    assert not findings and np.array_equal(made[0], pixels)


def even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


def coded(images: list[np.ndarray]) -> list[bytes]:
    return [even(imagecodecs.jpegls_encode(image)) for image in images]


IMAGES = [np.random.default_rng(k).integers(0, 4096, (8, 8), np.uint16) for k in range(3)]
JPEG_LS = "1.2.840.10008.1.2.4.80"


def encapsulated(value: bytes, frames: int = 3, **attributes: object) -> bytes:
    return made_file(value, JPEG_LS, rows=8, columns=8, frames=frames, bits_stored=12, **attributes)


def halves(data: bytes) -> list[bytes]:
    middle = len(data) // 4 * 2
    return [data[:middle], data[middle:]]


def table_of(parts: list[list[bytes]]) -> bytes:
    """Return the Basic Offset Table of frames given as lists of fragments."""
    offsets, at = [], 0
    for fragments in parts:
        offsets.append(at)
        at += sum(8 + len(fragment) for fragment in fragments)
    return struct.pack(f"<{len(offsets)}I", *offsets)


def items(parts: list[list[bytes]]) -> bytes:
    return b"".join(item(fragment) for fragments in parts for fragment in fragments)


WHOLE = [[code] for code in coded(IMAGES)]
SPLIT = [halves(code) for code in coded(IMAGES)]
UNEVEN = [SPLIT[0], WHOLE[1], SPLIT[2]]
WRONG_TABLE = struct.pack("<3I", 0, 10, 20)

FRAGMENTS = [
    ("no table, a fragment a frame", item(b"") + items(WHOLE) + END, set()),
    ("table, a fragment a frame", item(table_of(WHOLE)) + items(WHOLE) + END, set()),
    ("table, uneven fragments", item(table_of(UNEVEN)) + items(UNEVEN) + END, set()),
    ("no table, uneven fragments", item(b"") + items(UNEVEN) + END, set()),
    ("broken table", item(WRONG_TABLE) + items(UNEVEN) + END, {"OFFSET_TABLE_BROKEN"}),
    ("table of another length", item(WRONG_TABLE[:8]) + items(WHOLE) + END, {"OFFSET_TABLE_BROKEN"}),
    ("no item for the table", items(WHOLE) + END, {"OFFSET_TABLE_MISSING"}),
    ("no delimiter", item(b"") + items(WHOLE), {"PIXELS_TRUNCATED"}),
    ("rubbish behind the last item", item(b"") + items(WHOLE) + b"rubbish!", {"FRAGMENTS_BROKEN"}),
]  # fmt: skip


@pytest.mark.parametrize(("value", "findings"), [row[1:] for row in FRAGMENTS], ids=[row[0] for row in FRAGMENTS])
@pytest.mark.parametrize("whole", [1 << 26, 1500])
def test_frames_are_told_apart(decoder, value, findings, whole):
    data = encapsulated(value)
    if not value.endswith(END):
        data = data[: data.rindex(value) + len(value)]  # pydicom adds a delimiter
    made, found = frames_of(data, decoder, whole)
    assert found == findings
    assert all(np.array_equal(a, b) for a, b in zip(made, IMAGES, strict=True))


def test_an_extended_offset_table(decoder):
    starts = struct.unpack("<3I", table_of(UNEVEN))
    lengths = [sum(map(len, fragments)) for fragments in UNEVEN]
    data = encapsulated(
        item(b"") + items(UNEVEN) + END,
        ExtendedOffsetTable=struct.pack("<3Q", *starts),
        ExtendedOffsetTableLengths=struct.pack("<3Q", *lengths),
    )
    # Fragments of a frame have item headers between them, so only single fragments may be trimmed (PS3.3 C.7.6.3.1.8).
    made, found = frames_of(data, decoder)
    assert not found and all(np.array_equal(a, b) for a, b in zip(made, IMAGES, strict=True))


@pytest.mark.parametrize(("frames", "finding"), [(4, "FRAMES_MISSING"), (2, "FRAMES_TOO_MANY")])
def test_another_number_of_frames_than_stated(decoder, frames, finding):
    made, found = frames_of(encapsulated(item(b"") + items(WHOLE) + END, frames), decoder)
    assert found == {finding} and len(made) == min(frames, 3)
    assert all(np.array_equal(a, b) for a, b in zip(made, IMAGES, strict=False))


def test_one_broken_frame_costs_that_frame(decoder):
    parts = [WHOLE[0], [b"\xff\xd8\xff\xf7" + bytes(40)], WHOLE[2]]
    made, found = frames_of(encapsulated(item(b"") + items(parts) + END), decoder)
    assert "FRAME_UNDECODABLE" in found and len(made) == 2
    assert np.array_equal(made[1], IMAGES[2])


def test_mislabelled_data_is_read_by_its_bytes(decoder):
    value = item(b"") + items(WHOLE[:1]) + END
    made, found = frames_of(made_file(value, JPEG_BASELINE, rows=8, columns=8, bits_stored=12), decoder)
    assert not found and np.array_equal(made[0], IMAGES[0])


@pytest.mark.parametrize(
    ("syntax", "value", "code"),
    [
        (JPEG_BASELINE, item(b"") + END, "PIXELS_EMPTY"),
        (JPEG_BASELINE, item(b"") + item(b"no image") + END, "FRAME_UNDECODABLE"),
        (RLE, item(b"") + item(bytes(8)) + END, "FRAME_UNDECODABLE"),
        ("1.2.840.10008.1.2.4.102", item(b"") + item(b"\0\0\0\x18ftypmp42") + END, "TRANSFER_SYNTAX_UNSUPPORTED"),
        ("1.2.3.4", item(b"") + item(b"of nobody's kind") + END, "TRANSFER_SYNTAX_UNSUPPORTED"),
    ],
)
def test_what_cannot_be_decoded_has_a_code(decoder, syntax, value, code):
    with pytest.raises(EntryError) as fault:
        frames_of(made_file(value, syntax, rows=8, columns=8), decoder)
    assert fault.value.code == code


def test_cut_native_pixels_give_the_rows_that_are_there(decoder):
    pixels = np.arange(80, dtype=np.uint16).reshape(2, 8, 5)
    data = made_file(pixels, frames=2)
    made, found = frames_of(data[: -2 * 5 * 3 - 1], decoder)
    assert found == {"PIXELS_TRUNCATED"}
    assert np.array_equal(made[0], pixels[0]) and np.array_equal(made[1], pixels[1, :4])


def test_cut_rle_gives_what_is_there(decoder):
    pixels = np.random.default_rng(5).integers(0, 65535, (16, 16), np.uint16)

    high, low = (pixels >> 8).astype(np.uint8), (pixels & 255).astype(np.uint8)
    segments = [bytes(_encode_segment(plane.tobytes(), 16)) for plane in (high, low)]
    frame = struct.pack("<16I", 2, 64, 64 + len(segments[0]), *[0] * 13) + segments[0] + segments[1][:100]
    made, found = frames_of(made_file(item(b"") + item(frame) + END, RLE, rows=16, columns=16), decoder)
    assert found == {"PIXELS_TRUNCATED"}
    assert np.array_equal(made[0] >> 8, high) and made[0][0, 0] == pixels[0, 0]


def test_a_cut_jpeg_is_told(decoder):
    image = np.random.default_rng(6).integers(0, 256, (32, 32), np.uint8)
    code = imagecodecs.jpeg8_encode(image, level=95)
    value = item(b"") + item(even(code[: len(code) // 2])) + END
    made, found = frames_of(made_file(value, JPEG_BASELINE, rows=32, columns=32, bits_allocated=8), decoder)
    assert found == {"PIXELS_TRUNCATED"} and made[0].shape == (32, 32)
    assert (
        np.abs(made[0][:8].astype(int) - image[:8]).mean() < 16 < np.abs(made[0][-8:].astype(int) - image[-8:]).mean()
    )


@pytest.mark.parametrize("way", ["_jpeg_turbo", "_jpeg_lossless", "_gdcm"])
def test_every_reader_of_lossless_jpeg_gives_the_same(way):
    image = np.random.default_rng(7).integers(0, 4096, (16, 24), np.uint16)
    form = codecs.FrameForm(16, 24, 1, 16, 12, False, "MONOCHROME2", "1.2.840.10008.1.2.4.70")
    assert np.array_equal(getattr(codecs, way)(imagecodecs.jpeg8_encode(image, lossless=True), form), image)


def test_the_next_decoder_is_asked(monkeypatch):
    def refuse(data, form):
        raise codecs.DecodeError("FRAME_UNDECODABLE")

    image = np.arange(64, dtype=np.uint8).reshape(8, 8)
    form = codecs.FrameForm(8, 8, 1, 8, 8, False, "MONOCHROME2", JPEG_LS)
    monkeypatch.setitem(codecs._WAYS, codecs.JPEG_LS, (refuse, codecs._char_ls))
    assert np.array_equal(codecs.decode_frame(imagecodecs.jpegls_encode(image), form), image)


def test_encapsulated_pixels_under_a_native_transfer_syntax(decoder):
    value = item(b"") + items(WHOLE[:1]) + END
    data = bytearray(made_file(value, JPEG_LS, rows=8, columns=8, bits_stored=12))
    at = data.index(JPEG_LS.encode())
    data[at : at + len(JPEG_LS)] = NATIVE_LE.encode().ljust(len(JPEG_LS), b"\0")
    made, found = frames_of(bytes(data), decoder)
    assert found == {"PIXELS_ENCAPSULATED"} and np.array_equal(made[0], IMAGES[0])


def test_pixels_behind_the_last_frame_are_told(decoder):
    made, found = frames_of(made_file(bytes(100), rows=4, columns=4), decoder)
    assert found == {"PIXELS_TOO_LONG"} and made[0].shape == (4, 4)


@pytest.mark.parametrize(("value", "limit"), [(10, 20), (20, 10)])
def test_padding_is_a_range_in_either_order(value, limit):
    data = made_file(bytes(32), rows=4, columns=4, PixelPaddingValue=value, PixelPaddingRangeLimit=limit)
    described = describe(np.frombuffer(data, np.uint8))
    assert described is not None and described.padding == (10, 20)


@pytest.mark.parametrize(("transform", "is_rgb"), [(0, True), (1, False)])
def test_adobes_word_on_colours_goes_before_the_header(transform, is_rgb):
    app = b"\xff\xee\x00\x0eAdobe\x00\x64\0\0\0\0" + bytes([transform])
    frame = b"\xff\xc0\x00\x11\x08\x00\x08\x00\x08\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00"
    header = codecs.jpeg_header(b"\xff\xd8" + app + frame)
    assert header is not None
    assert header.is_rgb("RGB") == header.is_rgb("YBR_FULL") == is_rgb
