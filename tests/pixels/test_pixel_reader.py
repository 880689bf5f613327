"""One entry in, rows out: streaming, hashes, archive members, sampling, findings, the table."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from archive_sample import listed
from pixel_sample import END, InMemory, item, made_file
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from cairn.archive.entry import address_of
from cairn.archive.reader import read_entries
from cairn.errors import EntryError
from cairn.pixels import kernels
from cairn.pixels.reader import WHOLE_SLIDE, PixelLimits, PixelReader, PixelResult
from cairn.pixels.rows import table_of
from cairn.pixels.series_features import series_features
from cairn.pixels.warm import smallest_image, warm
from cairn.tables.pixel_statistics import PIXEL_STATISTICS

FRAMES = np.random.default_rng(1).integers(0, 4096, (40, 32, 48), np.uint16)


@pytest.fixture(scope="module")
def reader():
    with PixelReader() as made:
        yield made


def tabled(result: PixelResult, uri: str = "file:///x") -> list[dict]:
    for row in result.rows:
        row.update(uri=uri, content_version="1", run="r")
    return table_of(result.rows).to_pylist()


def without_place(rows: list[dict]) -> list[dict]:
    return [{**row, "uri": None} for row in rows]


def test_the_rows_keep_their_contract(reader):
    rows = tabled(reader(InMemory(made_file(FRAMES, frames=40))))
    assert [row["frame"] for row in rows] == list(range(41))
    table = table_of(reader(InMemory(made_file(FRAMES, frames=40))).rows)
    assert table.schema.equals(PIXEL_STATISTICS.arrow_schema)
    assert rows[0]["pixel_sha256"] == hashlib.sha256(FRAMES.tobytes()).hexdigest()
    assert rows[7]["pixel_sha256"] is None and rows[7]["mean"] == pytest.approx(FRAMES[6].mean())


@pytest.mark.parametrize("tail", [b"", bytes(3000)])
def test_a_streamed_object_gives_the_same_rows_from_small_reads(tail, monkeypatch):
    monkeypatch.setattr("cairn.pixels.source.CHUNK", 10_000)
    data = made_file(FRAMES, frames=40) + tail
    with PixelReader() as whole, PixelReader(PixelLimits(whole_limit_bytes=5_000)) as streaming:
        expected = without_place(tabled(whole(InMemory(data))))
        entry = InMemory(data)
        assert without_place(tabled(streaming(entry))) == expected
        assert entry.largest_read <= 10_000
        assert without_place(tabled(streaming(InMemory(data, size=None)))) == expected, "a .gz does not say its size"


def test_streamed_fragments_give_the_same_rows(monkeypatch):
    import imagecodecs

    monkeypatch.setattr("cairn.pixels.source.CHUNK", 1_000)
    codes = [imagecodecs.jpegls_encode(frame) for frame in FRAMES[:5]]
    value = item(b"") + b"".join(item(code + b"\0" * (len(code) % 2)) for code in codes) + END
    data = made_file(value, "1.2.840.10008.1.2.4.80", rows=32, columns=48, frames=5, bits_stored=12)
    with PixelReader(PixelLimits(whole_limit_bytes=1_500)) as streaming:
        first = tabled(streaming(InMemory(data)))[0]
    assert first["pixel_sha256"] == hashlib.sha256(FRAMES[:5].tobytes()).hexdigest()
    assert first["file_sha256"] == hashlib.sha256(data).hexdigest()
    assert first["findings"] == []


def test_an_archive_member_is_read_in_place(reader, tmp_path: Path):
    data = made_file(FRAMES[0])
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("one.dcm", data)
        archive.writestr("two.txt", b"no image" * 100)
    found = [entry for entry in listed(tmp_path / "a.zip") if entry.kind == "member"]
    outcomes = read_entries([address_of(entry) for entry in found], reader, overlap=1, tries=1, timeout_seconds=60)
    made = {entry.uri.rpartition("!")[2]: outcome for entry, outcome in outcomes}
    assert made["/one.dcm"].rows[0]["file_sha256"] == hashlib.sha256(data).hexdigest()
    assert isinstance(made["/two.txt"], EntryError) and made["/two.txt"].code == "NOT_DICOM"


def test_an_entry_without_pixels_has_a_row(reader):
    dataset = pydicom.dcmread(io.BytesIO(made_file(FRAMES[0])))
    del dataset.PixelData
    out = io.BytesIO()
    dataset.save_as(out)
    (row,) = tabled(reader(InMemory(out.getvalue())))
    assert row["pixels"] is False and row["minimum"] is None
    assert row["file_sha256"] == hashlib.sha256(out.getvalue()).hexdigest()


def test_whole_slides_are_sampled(reader):
    small = PixelReader(PixelLimits(slide_frames=7))
    rows = tabled(small(InMemory(made_file(FRAMES, frames=40, SOPClassUID=WHOLE_SLIDE))))
    assert [row["frame"] for row in rows] == [0, 1, 7, 13, 19, 25, 31, 37]
    assert rows[0]["frames_measured"] == 7 and rows[0]["pixel_sha256"] is None
    assert [finding["code"] for finding in rows[0]["findings"]] == ["FRAMES_SAMPLED"]


def test_a_watcher_sees_every_frame():
    seen = []

    class Watcher:
        def begin(self, described, buf, form):
            seen.append((described.frames, bytes(buf[128:132])))

        def frame(self, frame):
            seen.append((frame.number, frame.values.sum()))

    for statistics in (True, False):
        seen.clear()
        with PixelReader(watcher=Watcher(), statistics=statistics) as watching:
            result = watching(InMemory(made_file(FRAMES[:3], frames=3)))
        assert seen.pop(0) == (3, b"DICM")
        assert len(result.rows) == (4 if statistics else 0)
        assert seen == [(k + 1, FRAMES[k].sum()) for k in range(3)]


def test_frames_of_an_enhanced_object_have_lines_of_their_own(reader):
    def group(slope: int) -> Dataset:
        line, out = Dataset(), Dataset()
        line.RescaleSlope, line.RescaleIntercept, line.RescaleType = str(slope), "5", "US"
        out.PixelValueTransformationSequence = [line]
        return out

    data = made_file(FRAMES[:2], frames=2, PerFrameFunctionalGroupsSequence=[group(2), group(3)])
    rows = tabled(reader(InMemory(data)))
    assert [row["rescale_slope"] for row in rows] == [None, 2.0, 3.0]
    assert rows[2]["rescaled_mean"] == pytest.approx(FRAMES[1].mean() * 3 + 5)
    assert sum(entry["count"] for entry in rows[0]["rescaled_histogram"]) == FRAMES[:2].size
    shared = made_file(FRAMES[:2], frames=2, SharedFunctionalGroupsSequence=[group(4)])
    assert [row["rescale_slope"] for row in tabled(reader(InMemory(shared)))] == [4.0, 4.0, 4.0]


def test_a_deflated_dataset_that_swells_is_refused():
    plain = made_file(np.zeros((512, 512), np.uint16))
    dataset = pydicom.dcmread(io.BytesIO(plain))
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    with PixelReader(PixelLimits(inflated_limit_bytes=100_000)) as small, pytest.raises(EntryError) as fault:
        small(InMemory(out.getvalue()))
    assert fault.value.code == "FRAME_TOO_LARGE"
    with PixelReader() as reader:
        assert tabled(reader(InMemory(out.getvalue())))[0]["constant"]


def test_a_frame_beyond_the_limit_is_refused():
    with PixelReader(PixelLimits(frame_limit_bytes=1000)) as small, pytest.raises(EntryError) as fault:
        small(InMemory(made_file(FRAMES[0])))
    assert fault.value.code == "FRAME_TOO_LARGE"


def test_storage_faults_are_left_to_who_retries(reader):
    class Faltering(InMemory):
        def read(self, offset: int, length: int) -> bytes:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        reader(Faltering(made_file(FRAMES[0])))


def test_equal_pixels_in_other_encodings_have_equal_hashes(reader):
    big = tabled(reader(InMemory(made_file(FRAMES[0], "1.2.840.10008.1.2.2"))))[0]
    little = tabled(reader(InMemory(made_file(FRAMES[0]))))[0]
    assert big["pixel_sha256"] == little["pixel_sha256"] and big["file_sha256"] != little["file_sha256"]
    assert big["perceptual_hash"] == little["perceptual_hash"]


def test_warming_compiles_what_reading_needs():
    assert warm() > 0
    compiled = len(kernels.stencils.signatures)
    with PixelReader() as reader:
        reader(InMemory(smallest_image(16, 1)))
        reader(InMemory(made_file(FRAMES[0].astype(np.int16))))
    assert len(kernels.stencils.signatures) == compiled


def series() -> list[dict]:
    rng = np.random.default_rng(2)
    images = [rng.normal(1024, 10, (64, 64)).clip(0).astype(np.uint16) for _ in range(8)]
    images[5] = np.full((64, 64), 3000, np.uint16)  # stands out
    images.append(images[0])
    rows = []
    with PixelReader() as reader:
        for number, image in enumerate(images):
            data = made_file(image, Modality="CT", RescaleSlope="1", RescaleIntercept="-1024", RescaleType="HU")
            rows += tabled(reader(InMemory(data)), f"file:///{number}")
    return rows


def test_features_of_a_series():
    rows = series()
    made = series_features(rows, pixel_area=0.5, slice_spacing=2.0)
    assert (made.images, made.frames, made.rescaled) == (9, 9, True)
    assert made.maximum == 3000 - 1024
    assert ("file:///5", 0) in made.outlier_frames and len(made.outlier_frames) < 5
    assert (made.blank_frames, made.duplicate_frames) == (1, 1)
    assert made.volumes["hu_bone"] == pytest.approx(64 * 64 * 0.5 * 2 / 1000)
    assert made == series_features(rows[::-1], pixel_area=0.5, slice_spacing=2.0)
    assert series_features(rows).volumes == {}
    assert series_features([]).mean is None


def test_functional_groups_of_a_deflated_entry_are_read(reader):
    """Its bytes are inflated once; the file meta, which says that they are deflated, must not have it done again."""
    ct = pydicom.dcmread(get_testdata_file("CT_small.dcm", download=False))
    del ct.RescaleSlope, ct.RescaleIntercept
    line = Dataset()
    line.RescaleSlope, line.RescaleIntercept, line.RescaleType = "2", "-5", "HU"
    shared = Dataset()
    shared.PixelValueTransformationSequence = [line]
    ct.SharedFunctionalGroupsSequence = [shared]
    ct.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    written = io.BytesIO()
    ct.save_as(written)
    row = reader(InMemory(written.getvalue())).rows[0]
    assert (row["rescale_slope"], row["rescale_intercept"]) == (2.0, -5.0)
