"""Volumes: what nibabel and pydicom say of them, and that a series goes whole or stays."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from cairn.errors import EntryError
from cairn.extract.volumes import header_texts, volumes_of
from cairn.pipelines.extract_volumes import converted

ROWS, COLUMNS, SLICES, SPACING, THICKNESS = 6, 4, 5, (0.7, 0.9), 2.5


def write_slice(folder: Path, number: int, **changed: object) -> Path:
    """Write one axial CT slice of a made-up series; its pixels name slice, row and column."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"2.25.{1000 + number}"
    image = FileDataset(None, Dataset(), file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    image.Modality, image.SeriesInstanceUID, image.StudyInstanceUID = "CT", "2.25.7", "2.25.8"
    image.SeriesNumber, image.InstanceNumber, image.AcquisitionNumber = 3, number + 1, 1
    image.PatientPosition, image.Manufacturer = "HFS", "Maker"
    image.ImagePositionPatient = [-10, -20, 30 + THICKNESS * number]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.PixelSpacing, image.SliceThickness = list(SPACING), THICKNESS
    image.Rows, image.Columns = ROWS, COLUMNS
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
    image.RescaleSlope, image.RescaleIntercept = 1, -1024
    pixels = 100 * number + 10 * np.arange(ROWS)[:, None] + np.arange(COLUMNS)[None, :]
    image.PixelData = pixels.astype("<i2").tobytes()
    for keyword, value in changed.items():
        setattr(image, keyword, value)
    path = folder / f"{number}.dcm"
    image.save_as(path)
    return path


@pytest.fixture
def series(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "a series"
    folder.mkdir()
    return [write_slice(folder, number) for number in range(SLICES)]


def test_a_volume_has_the_pixels_and_the_place_of_its_slices(series: list[Path], tmp_path: Path) -> None:
    made = {one.name: one.content for one in volumes_of(series, tmp_path)}
    assert made.keys() == {"volume.nii.gz", "volume.json"}
    (tmp_path / "v.nii.gz").write_bytes(made["volume.nii.gz"])
    volume = nibabel.load(tmp_path / "v.nii.gz")
    values = np.asarray(volume.dataobj)
    assert volume.shape == (COLUMNS, ROWS, SLICES)
    for path in series:
        image = pydicom.dcmread(path)
        row, column = 4, 1
        # PS3.3 C.7.6.2.1.1: a voxel's place in the patient; NIfTI has x and y the other way round.
        x, y, z = map(float, image.ImagePositionPatient)
        place = [-(x + column * SPACING[1]), -(y + row * SPACING[0]), z, 1]
        i, j, k = np.rint(np.linalg.solve(volume.affine, place)[:3]).astype(int)
        assert values[i, j, k] == image.pixel_array[row, column] - 1024
    told = json.loads(made["volume.json"])
    assert told["SliceThickness"] == THICKNESS
    assert told["Modality"] == "CT"


def test_made_again_the_bytes_are_the_same_whatever_the_order(series: list[Path], tmp_path: Path) -> None:
    assert volumes_of(series, tmp_path) == volumes_of(series[::-1], tmp_path)
    assert list(tmp_path.iterdir()) == [series[0].parent], "no temporary file stays"


def test_values_with_backslashes_and_quotes_are_json(tmp_path: Path) -> None:
    files = [write_slice(tmp_path, 0, ConvolutionKernel=["Br40d", "2"], ProtocolName='neck "soft"\tC:\\x')]
    (told,) = [json.loads(one.content) for one in volumes_of(files, tmp_path) if one.name.endswith(".json")]
    assert told["ConvolutionKernel"] == "Br40d\\2"
    assert "soft" in told["ProtocolName"]


@pytest.mark.parametrize("between", ["\x0c", "\x0b\x1c", "\x85", "\u2028", "\x1b$B", "\r"])
def test_control_characters_in_a_value_are_json(between: str, tmp_path: Path) -> None:
    files = [write_slice(tmp_path, 0, SpecificCharacterSet="ISO_IR 192", SeriesDescription=f'a{between}"b"\\c')]
    (told,) = [json.loads(one.content) for one in volumes_of(files, tmp_path) if one.name.endswith(".json")]
    assert told["Modality"] == "CT"


def test_a_series_that_is_no_volume_stays_whole(series: list[Path], tmp_path: Path) -> None:
    series[2].write_bytes(series[2].read_bytes()[:300])
    with pytest.raises(EntryError, match="EXTRACT_NO_VOLUME"):
        volumes_of(series, tmp_path)
    staging = tmp_path / "staging"
    (row,) = converted("images/p/s/r", series, staging, tmp_path)
    assert row == {"folder": "images/p/s/r", "code": "EXTRACT_NO_VOLUME"}
    assert not staging.exists()


def test_volumes_stand_beside_where_the_images_would_and_what_they_say_is_looked_through(tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    (tmp_path / "not").mkdir()
    staging = tmp_path / "staging"
    rows = converted("images/p/s/r", [write_slice(tmp_path / "clean", 0)], staging, tmp_path)
    assert {row["path"] for row in rows} == {"nifti/p/s/r/volume.json", "nifti/p/s/r/volume.nii.gz"}
    assert {row["path"]: row["size"] for row in rows} == {
        str(path.relative_to(staging)): path.stat().st_size for path in staging.rglob("*") if path.is_file()
    }
    leak = write_slice(tmp_path / "not", 0, ProtocolName="0101011237 Head")  # a CHI
    (row,) = converted("images/p/s/q", [leak], staging, tmp_path)
    assert row["code"] == "EXTRACT_VOLUME_LEAK"
    assert not (staging / "nifti/p/s/q").exists()


def test_texts_of_a_header_are_all_five(series: list[Path], tmp_path: Path) -> None:
    content = next(one.content for one in volumes_of(series, tmp_path) if one.name.endswith(".nii.gz"))
    (tmp_path / "v.nii.gz").write_bytes(content)
    header = nibabel.load(tmp_path / "v.nii.gz").header
    fields = ("data_type", "db_name", "descrip", "aux_file", "intent_name")
    assert header_texts(content) == [bytes(header[name].item()).decode() for name in fields]
