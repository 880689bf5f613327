"""Makes the package data of :mod:`cairn.synthetic` again (see ``data/README.md``).

``python -m cairn.synthetic.make_data reference SOURCE`` reduces the tables of the NCI IDC index;
``python -m cairn.synthetic.make_data fragments`` encodes the compressed pixel fragments, which needs the
packages pylibjpeg-openjpeg, pyjpegls and Pillow that nothing else here needs.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

DATA = Path(__file__).parent / "data"
SERIES_KEPT = 220
STUDIES_KEPT = 90


def _write(name: str, columns: list[str], rows: Iterable[dict[str, str]]) -> None:
    with (DATA / name).open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def _heaviest(path: Path, kept: int) -> list[dict[str, str]]:
    """Return the rows of each modality with the most series."""
    by_modality: dict[str, list[dict[str, str]]] = defaultdict(list)
    with path.open(encoding="utf-8") as source:
        for row in csv.DictReader(source):
            by_modality[row["Modality"]].append(row)
    ranked = (sorted(rows, key=lambda row: (-int(row["series"]), row["text"])) for rows in by_modality.values())
    return [row for rows in ranked for row in rows[:kept]]


def reference(source: Path) -> None:
    """Reduce the tables of real devices and descriptions in folder `source` to package data."""
    with (source / "real_devices.csv").open(encoding="utf-8") as table:
        devices = list(csv.DictReader(table))
    _write("devices.csv", ["Modality", "Manufacturer", "ManufacturerModelName", "series", "instances"], devices)
    series = _heaviest(source / "real_series_descriptions.csv", SERIES_KEPT)
    _write("series_descriptions.csv", ["Modality", "text", "series", "body"], series)
    studies = _heaviest(source / "real_study_descriptions.csv", STUDIES_KEPT)
    _write("study_descriptions.csv", ["Modality", "text", "series"], studies)


def fragments() -> None:
    """Encode the phantoms with every compression that the synthetic archive shows."""
    import jpeg_ls
    import openjpeg
    from PIL import Image

    from cairn.synthetic import phantoms

    for size in (phantoms.SMALL, phantoms.FULL):
        slice_ = phantoms.ct_slice(size, 0)
        (DATA / f"ct_{size}.j2k").write_bytes(bytes(openjpeg.encode(slice_, bits_stored=12)))
        (DATA / f"ct_{size}.jls").write_bytes(bytes(jpeg_ls.encode(slice_)))
        grey = BytesIO()
        Image.fromarray(phantoms.grey_frame(size, 0)).save(grey, "JPEG", quality=85)
        (DATA / f"grey_{size}.jpg").write_bytes(grey.getvalue())
        colour = BytesIO()
        Image.fromarray(phantoms.colour_frame(size, 0)).save(colour, "JPEG", quality=85, subsampling=1)
        (DATA / f"colour_{size}.jpg").write_bytes(colour.getvalue())


if __name__ == "__main__":
    if sys.argv[1:2] == ["reference"]:
        reference(Path(sys.argv[2]))
    elif sys.argv[1:] == ["fragments"]:
        fragments()
    else:
        sys.exit(__doc__)
