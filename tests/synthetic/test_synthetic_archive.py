"""The made-up archive: the same bytes each time, and a truth that pydicom, zipfile and tarfile confirm."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import tarfile
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pydicom
import pytest

from cairn.errors import ENTRY_CONDITIONS, CairnError
from cairn.synthetic import pitfall_values
from cairn.synthetic.archive import make_study, plan, synthesise
from cairn.synthetic.bench import PEOPLE
from cairn.synthetic.geometry import DIRECTIONS
from cairn.synthetic.people import person
from cairn.synthetic.phantoms import SMALL
from cairn.synthetic.recipes import SYNTAXES, examine
from cairn.synthetic.series import write

SCALE, SEED = 0.02, 11

FILE_LABELS = {
    "zero_bytes", "text_file", "pdf_file", "random_bytes", "truncated_header_early", "truncated_header_late",
    "truncated_pixels", "no_preamble", "no_meta_implicit", "no_meta_explicit", "meta_says_implicit",
    "meta_says_explicit", "big_endian", "deflated", "deflate_corrupt", "undefined_length_sequences", "dicomdir",
    "zip_encrypted", "zip_cut", "tar_cut", "tar_gz_cut", "link_loop", "link_broken", "duplicate_in_two_archives",
    "name_no_extension", "name_spaces", "name_not_utf8", "name_hidden_folder", "zip_odd_members",
    "nested_three_deep", "nested_too_deep", "zip_unsupported_method", "length_4_gib_late", "nesting_10000",
    "duplicate_tag",
}  # fmt: skip
IDENTITY_LABELS = {
    "patient_id_absent", "patient_id_blank", "patient_id_twice_same", "patient_id_twice_different",
    "patient_id_nul_prefix", "patient_id_too_long", "chi_changed_old", "chi_changed_new", "chi_in_accession_number",
    "chi_in_study_id", "chi_in_description", "chi_in_private_tag", "chi_in_file_name", "chi_in_sequence",
    "several_patients_in_study", "sop_instance_uid_two_contents", "sr_shares_series", "study_tags_disagree",
}  # fmt: skip


def digest(folder: Path) -> str:
    """Return a hash of every name, kind, content and modification time below a folder."""
    total = hashlib.sha256()
    for where, folders, files in os.walk(os.fsencode(folder)):
        folders.sort()
        for name in sorted([*files, *(f for f in folders if os.path.islink(os.path.join(where, f)))]):
            path = os.path.join(where, name)
            total.update(os.path.relpath(path, os.fsencode(folder)))
            if os.path.islink(path):
                total.update(os.readlink(path))
                continue
            archived = b"archive" in path.split(b"/")
            total.update(str(int(os.stat(path).st_mtime)).encode() if archived else b"")
            with open(path, "rb") as source:
                total.update(source.read())
    return total.hexdigest()


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small archive for all tests of this module."""
    folder = tmp_path_factory.mktemp("synthetic")
    synthesise(folder, SCALE, SEED)
    return folder


@pytest.fixture(scope="module")
def entries(out: Path) -> list[dict[str, Any]]:
    """The truth about every entry."""
    return pq.read_table(out / "truth" / "entries.parquet").to_pylist()


def open_member(data: bytes, path: list[bytes]) -> bytes:
    """Return a member of a container, or of one within it, with the standard library.

    The names decide: a tar whose last member is a stored zip passes for a zip, as the zip's end is near its own.
    """
    for container, name in itertools.pairwise(path):
        if container.endswith(b".zip"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                data = archive.read(name.decode())
        else:
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                found = archive.extractfile(name.decode("utf-8", "surrogateescape"))
                assert found is not None
                data = found.read()
    return data


@pytest.fixture(scope="module")
def contents(out: Path, entries: list[dict[str, Any]]) -> dict[str, bytes]:
    """The bytes of every entry that must be parsed."""
    found = {}
    for entry in entries:
        if entry["outcome"] == "parsed":
            file, *members = entry["raw_path"].split(b"!/")
            data = Path(os.fsdecode(os.fsencode(out / "archive") + b"/" + file)).read_bytes()
            found[entry["path"]] = open_member(data, [file, *members])
    return found


@pytest.fixture(scope="module")
def datasets(contents: dict[str, bytes]) -> dict[str, pydicom.Dataset]:
    """pydicom's reading of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {path: pydicom.dcmread(io.BytesIO(data), force=True) for path, data in contents.items()}


def test_same_bytes_twice_and_with_two_processes(out: Path, tmp_path: Path) -> None:
    synthesise(tmp_path, SCALE, SEED, processes=2)
    assert digest(tmp_path) == digest(out)


def test_other_seed_other_bytes(out: Path, tmp_path: Path) -> None:
    synthesise(tmp_path, SCALE, SEED + 1)
    assert digest(tmp_path) != digest(out)


def test_an_archive_is_never_made_over_another(out: Path) -> None:
    with pytest.raises(CairnError, match="OUTPUT_NOT_EMPTY"):
        synthesise(out, SCALE, SEED)


def test_every_pitfall_is_there_at_the_smallest_scale(entries: list[dict[str, Any]]) -> None:
    tables = (
        pitfall_values.numbers_and_dates(),
        pitfall_values.texts(),
        pitfall_values.structures(),
        pitfall_values.pixel_descriptions(64),
        pitfall_values.names_and_lookalikes(),
    )
    wanted = {label for table in tables for label in table} | FILE_LABELS | IDENTITY_LABELS
    assert wanted <= {entry["label"] for entry in entries}


def test_the_long_value_is_there_on_request(tmp_path: Path) -> None:
    summary = synthesise(tmp_path, SCALE, SEED, long_values=True)
    assert summary["pitfalls"]["value_over_16_mib"] == 1
    (found,) = (tmp_path / "archive").rglob("value_over_16_mib.dcm")
    value = pydicom.dcmread(found)[0x00431029].value
    assert len(value) > 16 * 1024 * 1024


def test_every_file_has_one_entry_and_every_entry_a_file(out: Path, entries: list[dict[str, Any]]) -> None:
    root = os.fsencode(out / "archive")
    files = set()
    for where, folders, names in os.walk(root):
        links = [name for name in folders if os.path.islink(os.path.join(where, name))]
        files |= {os.path.relpath(os.path.join(where, name), root) for name in (*names, *links)}
    assert files == {entry["raw_path"] for entry in entries if b"!/" not in entry["raw_path"]}
    assert max(Counter(entry["raw_path"] for entry in entries).values()) == 1


def test_codes_are_known_and_belong_to_what_is_not_parsed(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        assert entry["code"] is None or entry["code"] in ENTRY_CONDITIONS
        if entry["outcome"] == "quarantined":
            assert entry["code"]
        if entry["outcome"] in ("parsed", "container"):
            assert entry["code"] is None


def test_pydicom_reads_what_the_truth_says(
    entries: list[dict[str, Any]], contents: dict[str, bytes], datasets: dict[str, pydicom.Dataset]
) -> None:
    columns = {
        "sop_instance_uid": "SOPInstanceUID",
        "sop_class_uid": "SOPClassUID",
        "series_instance_uid": "SeriesInstanceUID",
        "study_instance_uid": "StudyInstanceUID",
    }
    checked = 0
    for entry in (entry for entry in entries if entry["outcome"] == "parsed" and entry["label"] != "dicomdir"):
        dataset = datasets[entry["path"]]
        assert entry["size"] == len(contents[entry["path"]])
        for column, keyword in columns.items():
            if entry[column] is not None:
                assert dataset[keyword].value == entry[column], (entry["path"], keyword)
        modality = dataset["Modality"].value
        assert ("\\".join(modality) if not isinstance(modality, str) else modality) == entry["modality"]
        if entry["transfer_syntax_uid"]:
            assert dataset.file_meta.TransferSyntaxUID == entry["transfer_syntax_uid"]
        checked += 1
    assert checked > 250


def elements(dataset: pydicom.Dataset) -> int:
    """Return the number of elements without pixel data, never converting a value that cannot be."""
    total = 0
    for tag in dataset.keys():  # noqa: SIM118 (iterating a Dataset converts its values)
        raw = dataset.get_item(tag)
        if tag != 0x7FE00010:
            nested = dataset[tag].value if raw.VR in ("SQ", None) and dataset[tag].VR == "SQ" else []
            total += 1 + sum(elements(item) for item in nested)
    return total


def test_element_counts_are_those_that_pydicom_finds(
    entries: list[dict[str, Any]], datasets: dict[str, pydicom.Dataset]
) -> None:
    counted = [entry for entry in entries if entry["outcome"] == "parsed" and entry["elements"] is not None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrong = {
            e["path"]: (e["elements"], n) for e in counted if (n := elements(datasets[e["path"]])) != e["elements"]
        }
    assert wrong == {}
    assert len(counted) > 250


def test_sizes_of_headers_are_those_of_real_ones(entries: list[dict[str, Any]]) -> None:
    ct = [
        e["elements"]
        for e in entries
        if e["modality"] == "CT" and not e["label"] and e["sop_class_uid"].endswith(".1.2")
    ]
    assert 110 <= sum(ct) / len(ct) <= 200
    enhanced = [e["elements"] for e in entries if (e["sop_class_uid"] or "").endswith((".1.2.1", ".4.1"))]
    assert enhanced and all(1950 <= count <= 2200 for count in enhanced)


def test_every_modality_syntax_and_layout_is_there(entries: list[dict[str, Any]]) -> None:
    modalities = {entry["modality"] for entry in entries}
    assert {
        "CT",
        "MR",
        "US",
        "CR",
        "DX",
        "MG",
        "PT",
        "NM",
        "XA",
        "RF",
        "SC",
        "SR",
        "PR",
        "KO",
        "RTSTRUCT",
        "SEG",
        "ECG",
        "DOC",
    } <= modalities
    assert {syntax.uid for syntax in SYNTAXES} <= {e["transfer_syntax_uid"] for e in entries if not e["label"]}
    containers = [entry["path"] for entry in entries if entry["kind"] == "container" and not entry["label"]]
    assert any(path.endswith(".tar.gz") for path in containers)
    assert any(path.endswith(".tar!/study.zip") for path in containers)
    assert any(path.endswith(".zip") and "!/" not in path for path in containers)


def references(dataset: pydicom.Dataset) -> Iterator[str]:
    """Yield every instance that an object refers to."""
    for element in dataset.iterall():
        if element.keyword == "ReferencedSOPInstanceUID":
            yield element.value


def test_references_resolve(entries: list[dict[str, Any]], datasets: dict[str, pydicom.Dataset]) -> None:
    known = {entry["sop_instance_uid"] for entry in entries} | {entry["study_instance_uid"] for entry in entries}
    modalities: Counter[str] = Counter()
    for entry in entries:
        if entry["modality"] in ("SR", "KO", "PR", "RTSTRUCT", "SEG") and entry["outcome"] == "parsed":
            found = set(references(datasets[entry["path"]]))
            assert found and found <= known
            modalities[entry["modality"]] += 1
    assert set(modalities) == {"SR", "KO", "PR", "RTSTRUCT", "SEG"}


def test_images_say_whose_they_are(entries: list[dict[str, Any]], datasets: dict[str, pydicom.Dataset]) -> None:
    for entry in entries:
        if entry["outcome"] == "parsed" and not entry["label"]:
            dataset, who = datasets[entry["path"]], person(SEED, entry["person"])
            assert (dataset.PatientID, str(dataset.PatientName), dataset.PatientSex) == (who.chi, who.name, who.sex)
            assert dataset.PatientBirthDate == who.birth_date.strftime("%Y%m%d")
            assert dataset.StudyDate >= dataset.PatientBirthDate


def test_geometry_follows_from_the_positions(
    out: Path, entries: list[dict[str, Any]], datasets: dict[str, pydicom.Dataset]
) -> None:
    truth = pq.read_table(out / "truth" / "series.parquet").to_pylist()
    slices: dict[str, list[pydicom.Dataset]] = {}
    for entry in entries:
        if entry["outcome"] == "parsed" and "ImagePositionPatient" in datasets[entry["path"]]:
            slices.setdefault(entry["series_instance_uid"], []).append(datasets[entry["path"]])
    seen = set()
    for row in truth:
        stack = slices.get(row["series_instance_uid"], [])
        if len(stack) < 2:
            continue
        normal = _normal(stack[0].ImageOrientationPatient)
        along = sorted(sum(n * p for n, p in zip(normal, s.ImagePositionPatient, strict=True)) for s in stack)
        steps = [round(b - a, 3) for a, b in itertools.pairwise(along)]
        assert len(stack) == row["instances"] == row["slice_positions"]
        assert abs(along[-1] - along[0] - row["extent"]) < 0.01
        spread = max(steps) - min(steps)
        assert (spread < 0.01) == row["regular"]
        if row["missing_slices"]:
            assert round(max(steps) / row["slice_spacing"]) == 1 + row["missing_slices"]
        seen.add((row["orientation"], row["regular"]))
    assert {orientation for orientation, _ in seen} == {name.lower() for name in DIRECTIONS}
    assert (("axial", False)) in seen


def _normal(orientation: Any) -> tuple[float, float, float]:
    a, b, c, d, e, f = (float(value) for value in orientation)
    return (b * f - c * e, c * d - a * f, a * e - b * d)


def test_duplicates_are_told(entries: list[dict[str, Any]]) -> None:
    parsed = [entry for entry in entries if entry["outcome"] == "parsed" and entry["sop_instance_uid"]]
    count = Counter(entry["sop_instance_uid"] for entry in parsed)
    for entry in parsed:
        assert (count[entry["sop_instance_uid"]] > 1) == (entry["duplicate"] != ""), entry["path"]
        assert entry["is_primary"] == (None if entry["duplicate"] else True)


def test_people_of_the_truth_are_those_of_the_entries(out: Path, entries: list[dict[str, Any]]) -> None:
    people = {row["index"]: row for row in pq.read_table(out / "truth" / "people.parquet").to_pylist()}
    assert len(people) >= PEOPLE
    for entry in entries:
        if entry["person"] is not None:
            assert people[entry["person"]]["chi"] == entry["chi"]


def test_encrypted_zip_opens_with_its_password_only(out: Path) -> None:
    with zipfile.ZipFile(out / "archive" / "odd" / "archives" / "zip_encrypted.zip") as archive:
        with pytest.raises(RuntimeError, match="password required"):
            archive.read("1.dcm")
        assert archive.read("1.dcm", pwd=b"secret")[128:132] == b"DICM"


def test_cut_archives_do_not_open_whole(out: Path) -> None:
    folder = out / "archive" / "odd" / "archives"
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(folder / "cut.zip")
    with pytest.raises((tarfile.ReadError, EOFError)), tarfile.open(folder / "cut.tar.gz") as archive:
        archive.getmembers()


def test_pixels_decode_where_no_codec_is_needed(
    entries: list[dict[str, Any]], datasets: dict[str, pydicom.Dataset]
) -> None:
    native = {syntax.uid for syntax in SYNTAXES if not syntax.encapsulated} | {"1.2.840.10008.1.2.5"}
    decoded: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        dataset = datasets.get(entry["path"])
        if (
            dataset is not None
            and not entry["label"]
            and "PixelData" in dataset
            and entry["transfer_syntax_uid"] in native
        ) and decoded[entry["modality"], entry["transfer_syntax_uid"]] < 2:
            array = dataset.pixel_array
            assert array.max() > array.min()
            decoded[entry["modality"], entry["transfer_syntax_uid"]] += 1
    assert {modality for modality, _ in decoded} >= {"CT", "MR", "US", "CR", "DX", "MG", "PT", "NM", "XA", "SC"}


def test_same_bytes_on_every_machine() -> None:
    """What other machines and Python versions made of seed 1, deflate aside."""
    first = plan(1, 0, SMALL)
    study, model = make_study(first)
    total, count = hashlib.sha256(), 0
    for built, syntax in examine(first.recipe, study, model, every=True):
        for instance in write(built, syntax):
            if not syntax.deflated:
                total.update(instance.data)
                count += 1
    assert count == 25
    assert total.hexdigest() == "94d18a0c34c4b787188dcf57631818fdaf209145a1eadb5bbf17d9827f649892"
