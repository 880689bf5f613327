"""Documents of Cairn's own layout back as rows: exactly those that were pushed, and header bytes that say the same."""

from __future__ import annotations

import sys
from pathlib import Path

import bson
import pyarrow as pa
import pytest
from bson.raw_bson import RawBSONDocument
from catalogue_world import rows

sys.path.append(str(Path(__file__).resolve().parents[1] / "dicom"))

import pydicom
from made_headers import element, small_file
from variant_decoder import decoded

from cairn.catalogue.documents import PLAIN, blocks_of, instance_documents
from cairn.catalogue.rows import Made, Wanted, own_rows, scottish_rows
from cairn.deid.profile import load_profile
from cairn.dicom.kernel import HeaderKernel, Hole
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE

PACKAGED = Path(pydicom.__file__).parent / "data" / "test_files"
PROFILE = Path(__file__).resolve().parents[2] / "conf" / "deid" / "research.yaml"
KERNEL = HeaderKernel(INSTANCE.columns)
OF_THE_BYTES = ("TransferSyntaxUID", "FileMetaInformationGroupLength")


NOT_AGAIN = {
    "UN_sequence.dcm": "a fragment of private elements only",
    "priv_SQ.dcm": "the same",
    "meta_missing_tsyntax.dcm": "bytes of odd length, which get one more",
    "nested_priv_SQ.dcm": "the same",
    "waveform_ecg.dcm": "a long value within a sequence is known by its hash only",
}
"""Files whose header bytes, put together from a document, say something else, and why."""


def files() -> list[Path]:
    """Return packaged files that the kernel parses."""
    found = [path for path in sorted(PACKAGED.glob("*.dcm")) if path.stat().st_size < 300_000]
    return [found[i] for i in KERNEL.parse([path.read_bytes() for path in found]).rows]


def headers() -> list[bytes]:
    return [path.read_bytes() for path in files()]


def through(table: pa.Table, run: str = "later") -> Made:
    (batch,) = table.combine_chunks().to_batches()
    found = [
        (Wanted(made.id, "v1", 1000), blocks_of(stored(made.raw)))
        for made in instance_documents(batch, [1] * table.num_rows, 1 << 24)
    ]
    return own_rows(found, run)


def stored(document: RawBSONDocument) -> RawBSONDocument:
    return RawBSONDocument(bson.encode(bson.decode(document.raw, PLAIN)))


def without_run(table: pa.Table) -> list[dict]:
    return [{name: repr(value) for name, value in row.items() if name != "run"} for row in table.to_pylist()]


def test_rows_come_back_as_they_were() -> None:
    table = rows(headers())
    made = through(table)
    tables = dict(made.tables)
    assert made.failures == [] and table.num_rows > 60
    assert tables["instance"].schema.equals(INSTANCE.arrow_schema)
    assert without_run(tables["instance"]) == without_run(table)
    assert set(tables["instance"].column("run").to_pylist()) == {"later"}


def test_the_header_bytes_say_what_the_header_says() -> None:
    table = rows(headers())
    blobs = dict(through(table).tables)["header_blob"]
    assert blobs.schema.equals(HEADER_BLOB.arrow_schema)
    batch = KERNEL.parse(
        blobs.column("header").to_pylist(), [kept(holes) for holes in blobs.column("holes").to_pylist()]
    )
    again = {int(i): row for i, row in zip(batch.rows, batch.table.column("header").to_pylist(), strict=True)}
    different = {}
    for i, (path, row) in enumerate(zip(files(), table.column("header").to_pylist(), strict=True)):
        true = {k: v for k, v in decoded(**row).items() if k not in OF_THE_BYTES and not k.endswith("0000")}
        said = decoded(**again[i]) if i in again else {}
        if keys := {k for k in {*true, *said} if plain(true.get(k)) != plain(said.get(k))}:
            different[path.name] = keys
    assert set(different) == set(NOT_AGAIN), different


def kept(holes: list[dict]) -> list[Hole]:
    """Return holes by their offset in the kept bytes."""
    shift, out = 0, []
    for hole in holes:
        out.append(Hole(hole["offset"] - shift, hole["length"], bytes.fromhex(hole["sha256"])))
        shift += hole["length"]
    return out


def plain(value: object) -> object:
    """Return a value without group lengths, which are of the bytes and not of what they say."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: repr(plain(one)) for key, one in value.items() if not key.endswith("0000")}
    return value


def test_long_values_become_holes_that_the_kernel_knows() -> None:
    long = element(0x00104000, "LT", b"x" * 40_000)
    table = rows([small_file(element(0x00080060, "CS", b"CT") + long)])
    (blob,) = dict(through(table).tables)["header_blob"].to_pylist()
    (hole,) = blob["holes"]
    assert hole["length"] == 40_000 and len(blob["header"]) < 500
    assert blob["header_bytes"] == len(blob["header"]) + 40_000


@pytest.mark.parametrize("change", [{"instance": {"study_date": "text"}}, {"instance": {"is_primary": None}},
                                    {"dicom": {"NoKeyword": 1}}, {"dicom": {"Rows": 1 << 70}}])  # fmt: skip
def test_one_wrong_document_takes_no_other_along(change: dict) -> None:
    (batch,) = rows([headers()[0], headers()[1]]).combine_chunks().to_batches()
    found = []
    for number, made in enumerate(instance_documents(batch, [1, 1], 1 << 24)):
        blocks = {name: bson.decode(raw, PLAIN) for name, raw in blocks_of(made.raw).items()}
        if number == 0:
            for name, values in change.items():
                blocks[name] |= {k: bson.Decimal128(str(v)) if v == 1 << 70 else v for k, v in values.items()}
        found.append((Wanted(made.id, "v1", 1), {name: bson.encode(block) for name, block in blocks.items()}))
    made = own_rows(found, "r")
    assert [code for _, code in made.failures] == ["CATALOGUE_DOCUMENT"]
    assert all(table.num_rows == 1 for _, table in made.tables)


def test_header_bytes_of_a_document_pass_de_identification(tmp_path: Path) -> None:
    from cairn.deid.keys import make_key
    from cairn.deid.rewrite import Kept
    from cairn.pipelines.deidentify_task import Terms

    tmp_path.chmod(0o700)
    make_key(tmp_path)
    rewriter = Terms(load_profile(PROFILE), str(tmp_path)).rewriter()
    document = {"header": {"DicomFilePath": "a"}, "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "SOPInstanceUID": "1.2.3",
                "StudyInstanceUID": "1.2.4", "SeriesInstanceUID": "1.2.5", "Modality": "CT", "PatientID": "0101336489",
                "PatientName": "Smith^John", "StudyDate": "20200102", "Rows": [512]}  # fmt: skip
    made = scottish_rows([(Wanted("u", "v", 1), document)], "r", KERNEL)
    (blob,) = dict(made.tables)["header_blob"].to_pylist()
    out = rewriter(blob["header"])
    assert isinstance(out, Kept)
    assert b"Smith" not in out.tobytes() and b"0101336489" not in out.tobytes()
