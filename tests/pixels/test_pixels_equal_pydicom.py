"""Every file with pixels, decoded and measured, held against pydicom's decoders and numpy.

Files: those packaged with pydicom, and the shared collection when it lies beside the repository. What pydicom cannot
decode is held against the same image in another transfer syntax, or is listed here with the reason.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pixel_sample import InMemory

from cairn.errors import EntryError
from cairn.pixels.reader import PixelReader
from cairn.pixels.rows import table_of

PACKAGED = Path(pydicom.__file__).parent / "data" / "test_files"
SHARED = Path(os.environ.get("CAIRN_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "dicom"
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)

LOSSY = {f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 53, 55)}
# Only these fail, and only in these ways; pydicom reads none of them either.
FAILURES = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "FRAME_UNDECODABLE",  # its one codestream is damaged
    "meta_missing_tsyntax.dcm": "PIXELS_EMPTY",
    "nested_priv_SQ.dcm": "PIXELS_EMPTY",
    "no_meta.dcm": "NOT_DICOM",  # begins in group 0010 behind a preamble of its own
}


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".json", ".csv", ".jpg"))


@pytest.fixture(scope="module")
def reader():
    with PixelReader() as made:
        yield made


def decoded(path: Path) -> tuple[np.ndarray, pydicom.Dataset] | None:
    """Return pydicom's pixels, or None where it has none or cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(path, force=True)
            if not any(keyword in dataset for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
                return None
            return dataset.pixel_array, dataset
        except Exception:  # noqa: BLE001 - whatever the oracle raises: it gives no pixels
            return None


def check_row(row: dict, pixels: np.ndarray, exact: bool) -> None:
    """Hold one row against numpy on the oracle's pixels."""
    values = pixels.astype(np.float64)
    within = {"rel": 1e-9, "abs": 1e-9} if exact else {"rel": 0.01, "abs": 1.0}
    assert row["minimum"] == pytest.approx(values.min(), **within)
    assert row["maximum"] == pytest.approx(values.max(), **within)
    assert row["mean"] == pytest.approx(values.mean(), **within)
    assert row["standard_deviation"] == pytest.approx(values.std(), rel=1e-6 if exact else 0.01, abs=1e-6)
    ranks = np.percentile(values, PERCENTILES, method="inverted_cdf")
    if is_wide(row, values):
        assert row["percentile_50"] is None and row["entropy"] is None
    else:
        assert [row[f"percentile_{p}"] for p in PERCENTILES] == pytest.approx(list(ranks), **within)
    assert sum(entry["count"] for entry in row["histogram"]) == pixels.size
    assert row["constant"] == (values.min() == values.max())
    if pixels.ndim == 2 and min(pixels.shape) > 1 and exact:
        assert row["sharpness"] == pytest.approx(cv2.Laplacian(values, cv2.CV_64F, ksize=1).var(), rel=1e-9, abs=1e-9)
    if exact and not is_wide(row, values):
        _, counts = np.unique(pixels, return_counts=True)
        shares = counts / pixels.size
        assert row["entropy"] == pytest.approx(-(shares * np.log2(shares)).sum(), abs=1e-9)
    if row["rescale_slope"] is not None:
        real = values * row["rescale_slope"] + row["rescale_intercept"]
        assert row["rescaled_minimum"] == pytest.approx(real.min(), **within)
        assert row["rescaled_mean"] == pytest.approx(
            real.mean(), rel=1e-6 if exact else 0.01, abs=1e-6 if exact else 1.0
        )


def is_wide(row: dict, values: np.ndarray) -> bool:
    """Whether it is an instance of several frames whose range is too wide for an exact histogram."""
    integers = bool((values == np.round(values)).all())
    narrow = values.max() - values.min() < 1 << 20 and np.abs(values).max() < 1 << 26
    return row["frame"] == 0 and row["frames"] > 1 and not (integers and narrow)


def check_file(path: Path, reader: PixelReader) -> tuple[str | None, str]:
    """Check one file; return its transfer syntax and what became of it."""
    data = path.read_bytes()
    try:
        result = reader(InMemory(data))
    except EntryError as fault:
        assert FAILURES.get(path.name) == fault.code or fault.code == "NOT_DICOM", path.name
        assert decoded(path) is None, f"{path.name}: pydicom reads it"
        return None, fault.code
    for row in result.rows:
        row.update(uri="x", content_version="x", run="x")
    rows = table_of(result.rows).to_pylist()
    first = rows[0]
    assert first["file_sha256"] == hashlib.sha256(data).hexdigest()
    if not first["pixels"]:
        assert decoded(path) is None, f"{path.name}: pydicom finds pixels"
        return None, "no pixels"
    oracle = decoded(path)
    if oracle is None:
        return first["transfer_syntax_uid"], "measured, no oracle"
    pixels, _ = oracle
    exact = first["transfer_syntax_uid"] not in LOSSY
    if "PIXELS_TOO_LONG" in {finding["code"] for finding in first["findings"]} and pixels.ndim > 2:
        pixels = pixels[: first["frames_measured"]].squeeze(axis=0)  # pydicom takes frames beyond the number stated
    check_row(first, pixels, exact)
    if exact:
        little = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
        assert first["pixel_sha256"] == hashlib.sha256(little.tobytes()).hexdigest()
    if len(rows) > 1:
        assert len(rows) == pixels.shape[0] + 1
        for row in rows[1 :: max(1, len(rows) // 3)]:
            check_row(row, pixels[row["frame"] - 1], exact)
    return first["transfer_syntax_uid"], "equal"


def check_all(folder: Path, reader: PixelReader) -> Counter:
    return Counter(check_file(path, reader) for path in files(folder))


def test_packaged_files(reader):
    table = check_all(PACKAGED, reader)
    show(table)
    assert sum(count for (_, outcome), count in table.items() if outcome == "equal") >= 60


def test_shared_files(reader):
    if not SHARED.is_dir():
        pytest.skip("the real images are not here (set CAIRN_SHARED)")
    table = check_all(SHARED, reader)
    show(table)
    syntaxes = {syntax for (syntax, outcome), _ in table.items() if outcome == "equal"}
    assert len(syntaxes) >= 14
    assert sum(count for (_, outcome), count in table.items() if outcome == "equal") >= 260


def show(table: Counter) -> None:
    """Print transfer syntaxes, counted (pytest -s)."""
    for (syntax, outcome), count in sorted(table.items(), key=str):
        print(f"{count:5} {syntax or '-':28} {outcome}")


CT = SHARED / "cornerstonejs__cornerstoneWADOImageLoader"


@pytest.mark.parametrize("ending", ["51", "53", "55"])
def test_twelve_bit_jpeg_is_close_to_the_same_image_without_loss(reader, ending):
    found = list(CT.glob(f"*4.{ending}.dcm"))
    if not found:
        pytest.skip("the real images are not here (set CAIRN_SHARED)")
    shown = []

    class ShowUnits:
        def begin(self, described, buf, form):
            self.line = described.rescale_of(0)

        def frame(self, frame):
            shown.append(frame.values * self.line.slope + self.line.intercept)

    with PixelReader(watcher=ShowUnits()) as watching:
        for path in (CT / "CTImage.dcm", found[0]):
            watching(InMemory(path.read_bytes()))
    difference = shown[0] - shown[1]
    assert 0 < np.abs(difference).mean() < 5, "Hounsfield units, of 4,400 between the extremes; a step is 2"
