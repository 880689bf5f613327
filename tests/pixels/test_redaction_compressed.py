"""Redaction of compressed images: same syntax where that is lossless, other frames byte for byte, by other decoders."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import openjpeg.utils
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_fragmented_frames, parse_basic_offsets
from pydicom.pixels.encoders.native import _encode_frame
from redaction_sample import EXPLICIT, coded_file, dataset_of, decoded, inside, read

from cairn.errors import EntryError
from cairn.pixels.redaction import compressed, encoders
from cairn.pixels.redaction.boxes import EVERY_FRAME, Areas, Box
from cairn.pixels.redaction.redactor import Redacted, Redactor

ROWS, COLUMNS = 40, 48
J = "1.2.840.10008.1.2.4."
RLE = "1.2.840.10008.1.2.5"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
BOXES = ((2, 2, 4, 3, 15, 12), (2, 3, 30, 20, 8, 9))


@pytest.fixture(scope="module")
def redactor() -> Iterator[Redactor]:
    with Redactor() as made:
        yield made


def scene(frames: int, bits: int, colours: bool, signed: bool = False) -> np.ndarray:
    """Return smooth frames with some noise: encoders take them as they take images."""
    draw = np.random.default_rng(bits)
    y, x = np.mgrid[:ROWS, :COLUMNS]
    top = (1 << bits) - 1
    planes = [
        (np.sin(x / 9 + f) + np.cos(y / 7 + c) + 2) / 4 * top for f in range(frames) for c in range(2 * colours + 1)
    ]
    made = np.stack(planes).reshape(frames, -1, ROWS, COLUMNS).transpose(0, 2, 3, 1)
    made = np.clip(made + draw.integers(-3, 4, made.shape), 1, top).astype(np.int64)
    if signed:
        made -= 1 << bits - 1
    dtype = f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}"
    return np.ascontiguousarray(made.astype(dtype) if colours else made[..., 0].astype(dtype))


def rle(frame: np.ndarray, bits: int, photometric: str) -> bytes:
    options = {
        "samples_per_pixel": 3 if frame.ndim == 3 else 1, "bits_allocated": 8 * frame.itemsize, "rows": ROWS,
        "columns": COLUMNS, "byteorder": "<", "number_of_frames": 1, "planar_configuration": 0,
        "photometric_interpretation": photometric, "bits_stored": bits, "pixel_representation": 0,
    }  # fmt: skip
    from pydicom.pixels.encoders.base import EncodeRunner
    from pydicom.uid import RLELossless

    runner = EncodeRunner(RLELossless)
    runner._opts.update(options)
    return bytes(_encode_frame(frame.tobytes(), runner))


def unsigned(frame: np.ndarray, bits: int) -> np.ndarray:
    return frame.view(f"u{frame.itemsize}") & np.array((1 << bits) - 1, f"u{frame.itemsize}")


Encode = Callable[[np.ndarray, int, str], bytes]
ENCODERS: dict[str, Encode] = {
    RLE: rle,
    J + "57": lambda frame, bits, _: imagecodecs.ljpeg_encode(unsigned(frame, bits), bitspersample=bits),
    J + "70": lambda frame, bits, _: imagecodecs.ljpeg_encode(unsigned(frame, bits), bitspersample=bits),
    J + "80": lambda frame, bits, _: imagecodecs.jpegls_encode(unsigned(frame, bits)),
    J + "81": lambda frame, bits, _: imagecodecs.jpegls_encode(unsigned(frame, bits), level=2),
    J + "90": lambda frame, bits, ph: openjpeg.utils.encode_array(
        frame, bits_stored=bits, photometric_interpretation=int(ph == "YBR_RCT"), use_mct=ph == "YBR_RCT"
    ),
    J + "91": lambda frame, bits, _: imagecodecs.jpeg2k_encode(
        frame, level=45, codecformat="J2K", reversible=False, mct=False
    ),
    J + "201": lambda frame, bits, ph: imagecodecs.htj2k_encode(frame, reversible=True, rgb=ph == "YBR_RCT"),
    J + "202": lambda frame, bits, ph: imagecodecs.htj2k_encode(frame, reversible=True, rgb=ph == "YBR_RCT", tlm=True),
    J + "203": lambda frame, bits, _: imagecodecs.htj2k_encode(frame, reversible=False, rgb=False),
}
LOSSY = {J + "81", J + "91", J + "203"}
CASES = [
    (syntax, photometric, bits, signed)
    for syntax in ENCODERS
    for photometric, bits, signed in (
        ("MONOCHROME2", 8, False), ("MONOCHROME1", 12, False), ("MONOCHROME2", 16, False), ("MONOCHROME2", 16, True),
        ("RGB", 8, False), ("YBR_FULL", 8, False), ("YBR_RCT", 8, False),
    )
    if not (photometric == "YBR_RCT" and syntax not in (J + "90", J + "201", J + "202"))
    and not (photometric in ("RGB", "YBR_FULL") and syntax in (J + "57", J + "70"))  # that encoder takes grey alone
]  # fmt: skip
BLACK = {"MONOCHROME2": (0,), "RGB": (0, 0, 0), "YBR_FULL": (0, 128, 128), "YBR_RCT": (0, 0, 0)}


def made_case(syntax: str, photometric: str, bits: int, signed: bool, frames: int, table: str = "basic") -> bytes:
    values = scene(frames, bits, photometric[0] in "RY", signed)
    header = dataset_of(frames, ROWS, COLUMNS, photometric, bits, PixelRepresentation=int(signed))
    if syntax in LOSSY:
        header.LossyImageCompression, header.LossyImageCompressionRatio = "01", "7.5"
    return coded_file(header, [bytes(ENCODERS[syntax](frame, bits, photometric)) for frame in values], syntax, table)


def check(data: bytes, made: Redacted, boxes: tuple[tuple[int, ...], ...], black: tuple[float, ...]) -> None:
    before, after = decoded(data), decoded(made.data)
    assert after.shape == before.shape and after.dtype == before.dtype
    mask = inside(before.shape, boxes)
    assert np.array_equal(after[~mask], before[~mask])
    assert np.all(after[mask] == np.array(black, np.int64).astype(after.dtype))


def fragments(data: bytes) -> list[tuple[bytes, ...]]:
    out = read(data)
    return list(generate_fragmented_frames(out.PixelData, number_of_frames=int(out.get("NumberOfFrames", 1))))


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize(("syntax", "photometric", "bits", "signed"), CASES)
def test_a_syntax_without_loss_stays(
    redactor: Redactor, syntax: str, photometric: str, bits: int, signed: bool, frames: int
) -> None:
    data = made_case(syntax, photometric, bits, signed, frames)
    boxes = BOXES if frames == 3 else tuple((1, 1, *rest) for _, _, *rest in BOXES)
    made = redactor(data, [Box(*rest, first, last) for first, last, *rest in boxes])
    if signed:
        black: tuple[float, ...] = (int(decoded(data)[boxes[0][0] - 1].min()),)
    else:
        black = BLACK.get(photometric, ((1 << bits) - 1,))
    check(data, made, boxes, black)
    out = read(made.data)
    assert out.file_meta.TransferSyntaxUID == syntax == made.transfer_syntax_uid
    assert made.lossless == (syntax not in LOSSY) and not made.findings
    assert out.PhotometricInterpretation == photometric
    if syntax in LOSSY:
        assert out.LossyImageCompression == "01" and out.LossyImageCompressionRatio == 7.5
    else:
        assert "LossyImageCompression" not in out
    if frames == 3:
        old, new = fragments(data), fragments(made.data)
        assert new[0] == old[0] and new[1] != old[1] and new[2] != old[2]


@pytest.mark.parametrize("quality", [60, 95])
@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("frames", [1, 2])
def test_jpeg_is_stored_without_loss(redactor: Redactor, colour: bool, frames: int, quality: int) -> None:
    values = scene(frames, 8, colour)
    header = dataset_of(frames, ROWS, COLUMNS, "YBR_FULL_422" if colour else "MONOCHROME2", 8)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    coded = [cv2.imencode(".jpg", frame, options)[1].tobytes() for frame in values]
    data = coded_file(header, coded, J + "50")
    made = redactor(data, [Box(4, 3, 15, 12, EVERY_FRAME)])
    # OpenCV and pydicom's Pillow have the same DCT of libjpeg-turbo, which is not the decoder in use.
    before = np.stack([cv2.imdecode(np.frombuffer(c, np.uint8), cv2.IMREAD_UNCHANGED) for c in coded])
    before = before[..., ::-1] if colour else before[..., None]
    after = decoded(made.data)
    mask = inside(after.shape, ((1, frames, 4, 3, 15, 12),))
    assert np.array_equal(after[~mask], before[~mask]) and not after[mask].any()
    out = read(made.data)
    assert out.file_meta.TransferSyntaxUID == J + "80" == made.transfer_syntax_uid and not made.lossless
    assert out.PhotometricInterpretation == ("RGB" if colour else "MONOCHROME2")
    assert out.LossyImageCompression == "01" and out.LossyImageCompressionMethod == "ISO_10918_1"
    size = sum(len(c) + len(c) % 2 for c in coded)
    assert float(out.LossyImageCompressionRatio) == pytest.approx(values.size / size, rel=1e-3)
    assert [finding.code for finding in made.findings] == ["REDACTION_SYNTAX_CHANGED"]


def test_irreversible_colours_are_stored_without_loss(redactor: Redactor) -> None:
    values = scene(2, 8, True)
    header = dataset_of(2, ROWS, COLUMNS, "YBR_ICT", 8)
    coded = [imagecodecs.jpeg2k_encode(v, level=40, codecformat="J2K", reversible=False, mct=True) for v in values]
    data = coded_file(header, [bytes(c) for c in coded], J + "91")
    made = redactor(data, [Box(4, 3, 15, 12, 2)])
    before, after = np.stack([openjpeg.utils.decode(c) for c in coded]), decoded(made.data)
    mask = inside(after.shape, ((2, 2, 4, 3, 15, 12),))
    assert np.array_equal(after[~mask], before[~mask]) and not after[mask].any()
    assert read(made.data).PhotometricInterpretation == "RGB" and made.transfer_syntax_uid == J + "80"


@pytest.mark.parametrize("name", ["JPGExtended.dcm", "JPEG-lossy.dcm"])
def test_twelve_bit_jpeg(redactor: Redactor, name: str) -> None:
    gdcm = pytest.importorskip("gdcm")
    path = get_testdata_file(name, download=False)
    assert path is not None
    data = Path(path).read_bytes()
    made = redactor(data, [Box(100, 100, 60, 40)])
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        pytest.skip("GDCM does not read the original")
    raw = reader.GetImage().GetBuffer().encode("utf-8", errors="surrogateescape")
    before = np.frombuffer(raw, "<u2").reshape(1024, 256, 1) if len(raw) == 1024 * 256 * 2 else None
    after = decoded(made.data)
    assert before is not None
    mask = inside(after.shape, ((1, 1, 100, 100, 60, 40),))
    assert np.abs(after[~mask].astype(int) - before[None][~mask].astype(int)).max() <= 1  # two implementations of a DCT
    assert len(np.unique(after[mask])) == 1


def test_jpeg_xl_and_deflated_frames(redactor: Redactor) -> None:
    values = scene(2, 8, True)
    data = coded_file(
        dataset_of(2, ROWS, COLUMNS, "RGB", 8), [bytes(imagecodecs.jpegxl_encode(v, lossless=True)) for v in values],
        J + "110",
    )  # fmt: skip
    made = redactor(data, [Box(4, 3, 15, 12, 2)])
    assert read(made.data).file_meta.TransferSyntaxUID == J + "110"
    after = np.stack([imagecodecs.jpegxl_decode(b"".join(group)) for group in fragments(made.data)])
    mask = inside(values.shape, ((2, 2, 4, 3, 15, 12),))
    assert np.array_equal(after[~mask], values[~mask]) and not after[mask].any()
    grey = scene(1, 12, False)
    raw = imagecodecs.deflate_encode(grey.tobytes(), raw=True)
    data = coded_file(dataset_of(1, ROWS, COLUMNS, "MONOCHROME2", 12), [bytes(raw)], DEFLATED_FRAMES)
    ((frame,),) = fragments(redactor(data, [Box(4, 3, 15, 12)]).data)
    again = np.frombuffer(imagecodecs.deflate_decode(frame, raw=True, out=grey.nbytes), "<u2").reshape(grey.shape)
    mask = inside(grey.shape, ((1, 1, 4, 3, 15, 12),))
    assert np.array_equal(again, np.where(mask, 0, grey))


def test_extended_offsets_are_written_anew(redactor: Redactor) -> None:
    data = made_case(J + "80", "MONOCHROME2", 8, False, 3, "extended")
    made = redactor(data, [Box(4, 3, 15, 12, 2)])
    out = read(made.data)
    offsets = np.frombuffer(out.ExtendedOffsetTable, "<u8")
    lengths = np.frombuffer(out.ExtendedOffsetTableLengths, "<u8")
    assert offsets[0] == 0 and not parse_basic_offsets(out.PixelData)
    for offset, length, (fragment,) in zip(offsets, lengths, fragments(made.data), strict=True):
        at = 8 + int(offset)
        assert out.PixelData[at : at + 4] == b"\xfe\xff\x00\xe0"
        assert out.PixelData[at + 8 : at + 8 + int(length)] == fragment[: int(length)]
        imagecodecs.jpegls_decode(fragment[: int(length)])
    raw = redactor(made_case(J + "201", "MONOCHROME2", 16, False, 2, "extended"), [Box(0, 0, 9, 9, 1)])
    assert len(np.frombuffer(read(raw.data).ExtendedOffsetTable, "<u8")) == 2


def test_basic_offsets_are_written_anew_and_fragments_stay_apart(redactor: Redactor) -> None:
    coded = [bytes(imagecodecs.jpegls_encode(frame)) for frame in scene(3, 8, False)]
    halves = [[c[:200], c[200:]] for c in coded]
    header = dataset_of(3, ROWS, COLUMNS, "MONOCHROME2", 8)
    data = coded_file(header, halves, J + "80", "none")
    made = redactor(data, [Box(4, 3, 15, 12, 2)])
    check(data, made, ((2, 2, 4, 3, 15, 12),), (0,))
    assert [len(group) for group in fragments(made.data)] == [2, 1, 2]
    offsets = parse_basic_offsets(read(made.data).PixelData)
    sizes = [sum(8 + len(piece) for piece in group) for group in fragments(made.data)]
    assert offsets == [0, sizes[0], sizes[0] + sizes[1]]


def test_when_no_encoder_gives_the_frame_back(redactor: Redactor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raw pixels hold everything; a wrong encoder is found out and not believed."""
    data = made_case(J + "80", "MONOCHROME2", 12, False, 2)

    def wrong(values, stream, precision, photometric):  # type: ignore[no-untyped-def]
        return encoders.encode_frame(
            values ^ values.dtype.type(values[:, ::-1] > values), stream, precision, photometric
        )

    monkeypatch.setattr(compressed, "encode_frame", wrong)
    made = redactor(data, [Box(4, 3, 15, 12, 2)])
    assert made.transfer_syntax_uid == EXPLICIT == read(made.data).file_meta.TransferSyntaxUID
    check(data, made, ((2, 2, 4, 3, 15, 12),), (0,))


def test_unused_bits_in_run_lengths_are_blanked(redactor: Redactor) -> None:
    words = scene(1, 12, False)[0] | np.uint16(0x8000)
    header = dataset_of(1, ROWS, COLUMNS, "MONOCHROME2", 12)
    data = coded_file(header, [rle(words, 16, "MONOCHROME2")], RLE)
    made = redactor(data, [Box(4, 3, 15, 12), Box(30, 20, 5, 5, plane="bit 15")])
    again = redactor(made.data, [Box(0, 0, 0, 0, plane="bit 15")])
    for out, expected in ((made, words.copy()), (again, words & 0x0FFF)):
        expected[3:15, 4:19] = 0
        expected[20:25, 30:35] &= 0x0FFF
        ((frame,),) = fragments(out.data)
        planes = [np.frombuffer(_unpacked(frame, k), np.uint8) for k in (0, 1)]
        assert np.array_equal(planes[0].astype(int) << 8 | planes[1], expected.reshape(-1))


def _unpacked(frame: bytes, segment: int) -> bytes:
    starts = [*np.frombuffer(frame, "<u4", 3)[1:].tolist(), len(frame)]
    return bytes(imagecodecs.packbits_decode(frame[starts[segment] : starts[segment + 1]]))[: ROWS * COLUMNS]


def test_what_cannot_be_redacted_is_told_and_gives_no_bytes(redactor: Redactor) -> None:
    whole = made_case(J + "80", "MONOCHROME2", 8, False, 3)
    header = dataset_of(3, ROWS, COLUMNS, "MONOCHROME2", 8)
    two = [bytes(imagecodecs.jpegls_encode(frame)) for frame in scene(2, 8, False)]
    cases = {
        "REDACTION_PIXELS_BROKEN": [coded_file(header, two, J + "80"), whole[: len(whole) * 3 // 4]],
        "REDACTION_UNSUPPORTED": [
            coded_file(dataset_of(1, ROWS, COLUMNS, "YBR_FULL_422", 8), [b"\0\0\1\xb3" + bytes(60)], J + "100"),
            coded_file(dataset_of(1, ROWS, COLUMNS, "MONOCHROME2", 8), [b"nothing known" + bytes(61)], J + "90"),
        ],
        "FRAME_UNDECODABLE": [
            coded_file(dataset_of(1, ROWS, COLUMNS, "MONOCHROME2", 8), [b"\xff\x4f\xff\x51" + bytes(60)], J + "90")
        ],
        "REDACTION_SHAPE": [
            coded_file(dataset_of(1, ROWS + 1, COLUMNS, "MONOCHROME2", 8), two[:1], J + "80"),
            coded_file(dataset_of(1, ROWS, COLUMNS, "RGB", 8), two[:1], J + "80"),
        ],
    }
    for code, files in cases.items():
        for data in files:
            with pytest.raises(EntryError) as fault:
                redactor(data, [Box(1, 1, 5, 5)])
            assert fault.value.code == code


def test_these_tests_see_a_row_that_was_left(redactor: Redactor, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compressed.blank

    def lazy(values, areas, fill, made):  # type: ignore[no-untyped-def]
        whole(values, Areas([(x, y, w, h - 1) for x, y, w, h in areas.pixels], areas.bits), fill, made)

    monkeypatch.setattr(compressed, "blank", lazy)
    for syntax in (RLE, J + "80", J + "90"):
        data = made_case(syntax, "MONOCHROME2", 8, False, 1)
        with pytest.raises(AssertionError):
            check(data, redactor(data, [Box(4, 3, 15, 12)]), ((1, 1, 4, 3, 15, 12),), (0,))


@settings(max_examples=40)
@given(data=st.data())
def test_any_box(redactor: Redactor, data: st.DataObject) -> None:
    syntax = data.draw(st.sampled_from((RLE, J + "70", J + "80", J + "90", J + "201")))
    source = made_case(syntax, "MONOCHROME2", 8, False, 2)
    place, size = st.integers(-9, 60), st.integers(1, 60)
    boxes = data.draw(st.lists(st.tuples(st.integers(1, 2), place, place, size, size), min_size=1, max_size=3))
    made = redactor(source, [Box(x, y, w, h, frame) for frame, x, y, w, h in boxes])
    check(source, made, tuple((frame, frame, *rest) for frame, *rest in boxes), (0,))


@pytest.mark.skipif(shutil.which("dcm2pnm") is None, reason="DCMTK is not installed")
@pytest.mark.parametrize("syntax", [RLE, J + "57", J + "70", J + "80", J + "81"])
def test_dcmtk_decodes_it(redactor: Redactor, syntax: str, tmp_path: Path) -> None:
    bits = 8 if syntax == J + "81" else 12  # near-lossless values may step over the stored bits, which DCMTK cuts off
    data = made_case(syntax, "MONOCHROME2", bits, False, 2)
    made = redactor(data, [Box(4, 3, 15, 12, 2)])
    path, plain = tmp_path / "made.dcm", tmp_path / "plain.dcm"
    path.write_bytes(made.data)
    program = {RLE: "dcmdrle", J + "80": "dcmdjpls", J + "81": "dcmdjpls"}.get(syntax, "dcmdjpeg")
    for command in (["dcmdump", str(path)], [program, str(path), str(plain)]):
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0 and b"E:" not in done.stderr, done.stderr
    assert np.array_equal(decoded(plain.read_bytes()), decoded(made.data))
