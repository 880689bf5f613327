"""`extract`, `release`, `withdraw`: what leaves, that it adds up, is the same again, and shares nothing with others."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import errno
import hashlib
import io
import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import gdcm
import matplotlib.image
import nbformat
import pyarrow.parquet as pq
import pydicom
import pytest
from cohort_zone import full
from made_world import World
from nbclient import NotebookClient

from cairn.cohort.codelists import load_all
from cairn.cohort.reading import parse
from cairn.cohort.sql import compiled
from cairn.deid.keys import SIGNING, make_key, read_key
from cairn.errors import CairnError
from cairn.extract import manifest
from cairn.extract.project import Project, load
from cairn.pipelines import extract_task
from cairn.pipelines.cohort_definition import Definition
from cairn.pipelines.cohort_freeze import Frozen, freeze
from cairn.pipelines.deidentify import deidentify
from cairn.pipelines.deidentify_task import Terms
from cairn.pipelines.extract import extract
from cairn.pipelines.extract_collect import items_of
from cairn.pipelines.extract_request import ACCOUNT, Made, Request, report_folder
from cairn.pipelines.job import Job
from cairn.pipelines.pixels import device_rules
from cairn.pipelines.release import Released, release, withdraw
from cairn.settings import Pixels
from cairn.spark.delta_log import Token
from cairn.tables.cohort import COHORT_MEMBER
from cairn.tables.crossing import CROSSING
from cairn.tables.deidentified import DEIDENTIFIED_INSTANCE, DEIDENTIFIED_SERIES, RECORD_TWINS
from cairn.tables.instance import INSTANCE
from cairn.tables.person import PERSON

ROOT = Path(__file__).resolve().parents[2]
LISTS = load_all(ROOT / "conf" / "codelists")
TODAY = dt.date(2026, 6, 1)
COHORT = """cohort: scans
version: 1
title: Scans of the made-up archive
sets:
  scans: {from: series, where: "MODALITIES"}
persons:
  - having: scans
images: {from: scans}
split: {train: 70, test: 30}
"""
FEW, MANY = "modality = CT", "modality in (CT, MR, US, CR, SC)"
PROJECT = """project: NAME
title: A test
approval: {reference: T-1, by: Tests, expires: 2026-12-31}
cohort: scans@NUMBER
images: {modalities: [CT, MR, CR, US]}
tables:
  instance: [person_id, sop_instance_uid, study_date, modality, rows]
  series: all
  study: all
  pixel_statistics: all
  person: all
  cohort_member: all
reject:
  scouts: {from: series, where: localizer}
"""
numbers = count(1)


@dataclass
class Site:
    """The zone, its keys, and two frozen lists of which the second is larger."""

    world: World
    terms: Terms
    folder: Path

    @property
    def store(self):  # type: ignore[no-untyped-def]
        return self.world.store

    def project(self, name: str, number: int = 1, text: str = PROJECT) -> Project:
        path = self.folder / f"{name}.yaml"
        path.write_text(text.replace("NAME", name).replace("NUMBER", str(number)))
        return load(path, LISTS)

    def request(self, project: Project) -> Request:
        return Request(project, self.terms, device_rules(Pixels()), TODAY)

    def job(self, name: str) -> Job:
        scratch = self.world.job.scratch.child(f"{name} {next(numbers)}").make()
        return Job(self.store, scratch, self.world.job.clock, self.world.job.stream)

    def extract(self, project: Project, dry_run: bool = False, **changes: object) -> Made:
        job = self.job("extract")
        request = replace(self.request(project), **changes)
        return extract(self.store, job.run("extract"), job.folder("extract"), job.stream, request, dry_run)

    def release(self, project: Project, **changes: object) -> Released:
        return release(self.store, self.job("release").run("release"), replace(self.request(project), **changes))

    def staged(self, made: Made) -> Path:
        return Path(self.store.settings.zone_root("ppz"), made.project, "_staging", made.extract)

    def frozen(self, where: str) -> Frozen:
        text = COHORT.replace("MODALITIES", where)
        checked = parse(text, LISTS)
        definition = Definition("definition", text, {}, checked, compiled(checked).steps)
        return freeze(self.store, self.job("cohort").run("cohort"), definition)


@pytest.fixture(scope="module")
def site(world: World, world_terms: Terms, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The world de-identified, its persons known, two lists frozen; a signing key and two projects' keys."""
    made = Site(world, world_terms, tmp_path_factory.mktemp("projects"))
    for name in (SIGNING, "alpha", "beta", "delta"):
        make_key(Path(world_terms.keys), name)
    _deidentified(made)
    store = made.store
    people = store.read(CROSSING).where("outcome = 'crossed' and person rlike '^[0-9]{10}$'").select("person")
    rows = [full(PERSON, {"patient_id": row["person"], "sex": "F", "linked": True, "opted_out": False})
            for row in people.distinct().collect()]  # fmt: skip
    store.ensure(PERSON)
    store.append_rows(PERSON, rows, Token("test/persons", 1), 1)
    _deidentified(made)
    assert [made.frozen(where).number for where in (FEW, MANY)] == [1, 2]
    yield made
    store.spark.sql(f"DELETE FROM delta.`{store.location(PERSON)}`")


def _deidentified(made: Site) -> None:
    job = made.job("deidentify")
    deidentify(job.store, job.run("deidentify"), job.folder("deidentify"), job.stream, made.terms)


@pytest.fixture(scope="module")
def alpha(site: Site) -> Made:
    return site.extract(site.project("alpha"))


def tree(folder: Path) -> dict[str, str]:
    """Hash of every file below a folder, by path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def images(folder: Path) -> dict[str, str]:
    return {path: digest for path, digest in tree(folder).items() if path.startswith("images/")}


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def crossed_people(site: Site):  # type: ignore[no-untyped-def]
    """Return the entries that crossed of persons with a CHI."""
    return site.store.read(CROSSING).where("outcome = 'crossed' and person rlike '^[0-9]{10}$'")


def rows(folder: Path, name: str) -> list[dict]:
    return pq.read_table(folder / "tables" / name, filters=None).to_pylist()


def values_of(folder: Path) -> set[str]:
    """UIDs, person ids and dates in the tables and names of an extract."""
    found = {part for path in images(folder) for part in Path(path).with_suffix("").parts[1:]}
    for name in ("series", "study", "instance", "cohort_member"):
        for row in rows(folder, name):
            found |= {f"{row['person_id']} {v}" if isinstance(v, dt.date) else v for k, v in row.items()
                      if v is not None and (k.endswith(("uid", "_id")) or isinstance(v, dt.date))
                      and "class" not in k and "transfer" not in k}  # fmt: skip
    return found


def test_it_adds_up(site: Site, alpha: Made) -> None:
    told = alpha.counts
    assert told["members"] == sum(told[name] for name in ACCOUNT)
    series = site.store.read(DEIDENTIFIED_SERIES).where("modality = 'CT'").select("series_instance_uid", "person_id")
    expected = site.store.read(DEIDENTIFIED_INSTANCE).join(series, ["series_instance_uid", "person_id"])
    expected = expected.join(site.store.read(RECORD_TWINS["person"]).select("person_id"), "person_id").count()
    assert told["members"] == expected > 30
    assert told["delivered"] == len(images(site.staged(alpha))) > 20
    assert sum(alpha.rejected.values()) == told["rejected"] and alpha.rejected.get("scouts", 0) > 0
    items = items_of(site.store, "alpha", alpha.extract).collect()
    assert Counter(row["outcome"] for row in items)["delivered"] == told["delivered"]
    assert {row["sha256"] for row in items} - {None} == set(images(site.staged(alpha)).values())
    told_again = csv_rows(Path(report_folder(site.store, "alpha", alpha.extract).path, "items.csv"))
    assert Counter(row["outcome"] for row in told_again) == {
        name: told[name] for name in ACCOUNT if told[name] and name != "unmatched"
    }


def test_images_of_another_person_in_a_members_series_stay(site: Site, alpha: Made) -> None:
    own = site.request(site.project("alpha")).own.pseudonyms()
    members = {row["person_id"] for row in rows(site.staged(alpha), "cohort_member")}
    assert {Path(path).parts[1] for path in images(site.staged(alpha))} <= members
    everybody = {own.person(row["person"]) for row in crossed_people(site).select("person").distinct().collect()}
    assert members <= everybody


def test_reports_for_review_tell_what_stayed_and_show_what_was_blanked(site: Site, alpha: Made) -> None:
    """In the list of values the rarest come first; what is in a file is in it."""
    folder = Path(report_folder(site.store, "alpha", alpha.extract).path)
    values = csv_rows(folder / "header-values.csv")
    counts = [int(row["persons"]) for row in values]
    assert counts == sorted(counts) and counts[0] == 1
    told = {(row["element"], json.loads(row["value"])) for row in values if row["element"] == "Modality"}
    assert ("Modality", "CT") in told
    sex = {json.loads(row["value"]): int(row["files"]) for row in values if row["element"] == "PatientSex"}
    files = [pydicom.dcmread(site.staged(alpha) / path, stop_before_pixels=True) for path in images(site.staged(alpha))]
    assert sex == Counter(str(file.PatientSex) for file in files if file.get("PatientSex"))
    assert "what was blanked" in (folder / "blanked.html").read_text()
    assert (folder / "isidentifiable.csv").read_text().startswith("Resource,ResourcePrimaryKey,ProblemField")


def test_every_file_opens_in_two_toolkits_and_is_where_its_header_says(site: Site, alpha: Made) -> None:
    folder = site.staged(alpha)
    for path in images(folder):
        data = pydicom.dcmread(folder / path)
        folders = f"{data.PatientID}/{data.StudyInstanceUID}/{data.SeriesInstanceUID}"
        assert path == f"images/{folders}/{data.SOPInstanceUID}.dcm"
        reader = gdcm.Reader()
        reader.SetFileName(str(folder / path))
        assert reader.Read(), path


def test_tables_tell_of_the_files_and_of_allowed_columns_only(site: Site, alpha: Made) -> None:
    folder = site.staged(alpha)
    found = rows(folder, "instance")
    assert set(found[0]) == {"person_id", "sop_instance_uid", "study_date", "modality", "rows"}
    assert {row["sop_instance_uid"] for row in found} == {Path(path).stem for path in images(folder)}
    for row in found:
        path = next(folder.rglob(f"{row['sop_instance_uid']}.dcm"))
        date = pydicom.dcmread(path, stop_before_pixels=True).get("StudyDate") or ""
        assert date == (row["study_date"].strftime("%Y%m%d") if row["study_date"] else "")
    people = {row["person_id"] for row in found}
    assert people <= {row["person_id"] for row in rows(folder, "person")}
    assert people <= {row["person_id"] for row in rows(folder, "cohort_member")}
    assert {row["sop_instance_uid"] for row in rows(folder, "pixel_statistics")} <= {
        row["sop_instance_uid"] for row in found
    }
    assert {row["split"] for row in rows(folder, "cohort_member")} == {"train", "test"}
    # A member's image date is the one in its files.
    series = {row["series_instance_uid"]: row["study_date"] for row in rows(folder, "series")}
    members = [row for row in rows(folder, "cohort_member") if row["member"] in series]
    mixed = site.store.read(DEIDENTIFIED_SERIES).where("array_contains(disagreements, 'study_date')").count()
    assert (
        len(members) > 20 and [row["image_date"] == series[row["member"]] for row in members].count(False) <= mixed < 3
    )
    delta = site.store.spark.read.format("delta").load(str(folder / "tables" / "series"))
    assert delta.count() == len(rows(folder, "series")) == alpha.tables["series"]
    dictionary = csv_rows(folder / "tables" / "dictionary.csv")
    assert {(row["table"], row["column"]) for row in dictionary} == {
        (name, column) for name in alpha.tables for column in rows(folder, name)[0]
    }


def test_nothing_of_the_site_is_in_it(site: Site, alpha: Made) -> None:
    """Neither real values nor the pseudonyms and dates of the de-identified zone."""
    store, folder = site.store, site.staged(alpha)
    members = store.read(COHORT_MEMBER).where("cohort_version = 1").collect()
    known = {value for row in members for value in (row["person_id"], row["member"], row["study_instance_uid"])}
    for row in store.read(INSTANCE).select("sop_instance_uid", "patient_id", "uri").collect():
        known |= {row["sop_instance_uid"], row["patient_id"], row["uri"]}
    assert not {value for value in values_of(folder) if value in known}
    text = b"".join((folder / name).read_bytes() for name in ("manifest.json", "files.csv", "README.md"))
    assert not [value for value in known if value and len(value) > 7 and value.encode() in text]


def test_the_same_again_is_the_same_byte_for_byte(site: Site, alpha: Made) -> None:
    before = tree(site.staged(alpha))
    shutil.rmtree(site.staged(alpha))
    again = site.extract(site.project("alpha"))
    assert again == alpha
    assert tree(site.staged(alpha)) == before


def test_a_larger_list_has_the_old_part_as_it_was_and_another_project_shares_nothing(site: Site, alpha: Made) -> None:
    before, names = images(site.staged(alpha)), values_of(site.staged(alpha))
    other = site.extract(site.project("beta"))
    assert other.counts | {"bytes": 0} == alpha.counts | {"bytes": 0}  # UIDs differ in length
    assert not values_of(site.staged(other)) & names
    assert not set(images(site.staged(other)).values()) & set(before.values())
    larger = site.extract(site.project("alpha", 2))
    after = images(site.staged(larger))
    assert len(after) > len(before) and {path: after[path] for path in before} == before
    assert not site.staged(alpha).exists(), "what is out of date must not be released"
    assert site.extract(site.project("alpha")) == alpha


def test_a_dry_run_writes_nothing_and_tells_what_would_leave(site: Site, alpha: Made) -> None:
    before = tree(site.staged(alpha))
    told = site.extract(site.project("alpha"), dry_run=True)
    would, did = told.counts, alpha.counts
    assert would["delivered"] + would["unreadable"] == did["delivered"] + did["withheld"] + did["unreadable"]
    assert told.rejected == alpha.rejected and told.counts["bytes"] > 0
    assert tree(site.staged(alpha)) == before


def test_killed_again_and_again_it_ends_as_undisturbed(site: Site, alpha: Made, monkeypatch) -> None:
    before = tree(site.staged(alpha))
    shutil.rmtree(site.staged(alpha))
    from cairn.pipelines import extract as module

    every = ("run_stage", "collected", "write_tables", "signed", "record")
    for name in every if "CAIRN_TEST_LONG" in os.environ else every[::2]:
        right = getattr(module, name)

        def dies(*arguments: object, _right=right, _name=name, **named: object) -> object:  # type: ignore[no-untyped-def]
            if _name in ("run_stage", "signed"):
                _right(*arguments, **named)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(module, name, dies)
            site.extract(site.project("alpha"))
    partial = next(site.staged(alpha).glob("images/*/*/*")) / "left.dcm.1.partial"
    partial.write_bytes(b"half")
    strange = partial.with_name("strange.dcm")
    strange.write_bytes(next(site.staged(alpha).rglob("*.dcm")).read_bytes() + b"\0")
    assert site.extract(site.project("alpha")) == alpha
    assert tree(site.staged(alpha)) == before


def test_a_file_that_was_changed_behind_the_runs_back_is_noticed(site: Site, alpha: Made) -> None:
    path = next(site.staged(alpha).rglob("*.dcm"))
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CairnError, match=r"EXTRACT_DIFFERS.*changed images/"):
        site.release(site.project("alpha"))
    with pytest.raises(CairnError, match=r"EXTRACT_SHORT.*1 files are missing or changed"):
        site.extract(site.project("alpha"))
    path.write_bytes(data)
    assert site.extract(site.project("alpha")) == alpha


def test_a_source_that_is_changed_or_gone_costs_its_rows_only(site: Site) -> None:
    delivered = site.extract(site.project("beta"))
    uris = [row["uri"] for row in items_of(site.store, "beta", delivered.extract)
            .where("outcome = 'delivered' and uri not like '%!/%'").orderBy("uri").limit(2).collect()]  # fmt: skip
    paths = [site.world.archive / site.world.path(uri) for uri in uris]
    kept = [(path, path.read_bytes(), path.stat()) for path in paths]
    shutil.rmtree(site.staged(delivered))
    try:
        paths[0].unlink()
        paths[1].write_bytes(kept[1][1] + b"more")
        made = site.extract(site.project("beta"))
    finally:
        for path, data, stat in kept:
            path.write_bytes(data)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert made.counts["unreadable"] == delivered.counts["unreadable"] + 2
    assert made.counts["delivered"] == delivered.counts["delivered"] - 2
    assert made.counts["members"] == delivered.counts["members"] == sum(made.counts[name] for name in ACCOUNT)
    assert site.extract(site.project("beta")) == delivered, "what can be read again is tried again"


def test_volumes_leave_instead_of_files_and_what_is_none_is_told(site: Site, alpha: Made) -> None:
    text = PROJECT.replace("images: {", "images: {form: nifti, ")
    made = site.extract(site.project("beta", text=text))
    folder = site.staged(made)
    assert made.counts["members"] == sum(made.counts[name] for name in ACCOUNT)
    assert not list(folder.rglob("*.dcm")) and made.counts["delivered"] > 0
    files = {str(path.relative_to(folder)) for path in (folder / "nifti").rglob("*") if path.is_file()}
    series = {row["series_instance_uid"] for row in rows(folder, "series")}
    assert {path.split("/")[3] for path in files} == series
    told = csv_rows(report_folder(site.store, "beta", made.extract).path / Path("volumes.csv"))
    assert {row["file"] for row in told if row["file"]} == files
    without = [row["series"] for row in told if row["code"]]
    assert (made.codes.get("EXTRACT_NO_VOLUME", 0) > 0) == bool(without)
    items = csv_rows(report_folder(site.store, "beta", made.extract).path / Path("items.csv"))
    assert Counter(row["outcome"] for row in items)["delivered"] == made.counts["delivered"]
    listed = {line["path"] for line in csv_rows(folder / "files.csv")}
    assert files <= listed
    before = tree(folder)
    assert site.extract(site.project("beta", text=text)) == made
    assert tree(folder) == before
    target = Path(site.release(site.project("beta", text=text)).folder)
    assert tree(target) == before
    assert [path.name for path in (target.parent / "_staging").iterdir()] == []


def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path: Path, monkeypatch) -> None:
    class Kept:
        def write_to(self, handle: int) -> None:
            os.write(handle, b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    from cairn.spark.storage import Folder

    with pytest.raises(CairnError, match="NO_DISK"):
        extract_task.write(Folder(str(tmp_path)), "images/p/st/se/a.dcm", Kept())  # type: ignore[arg-type]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_only_what_is_right_is_released_and_then_for_good(site: Site, alpha: Made) -> None:
    project, staged = site.project("alpha"), site.staged(alpha)
    target = staged.parents[1] / alpha.extract
    with pytest.raises(CairnError, match="PROJECT_EXPIRED"):
        site.release(project, today=dt.date(2027, 1, 1))
    with pytest.raises(CairnError, match="EXTRACT_STALE"):
        gone = site.store.read(CROSSING).where("person is not null").first()["person"]
        site.release(project, site=replace(site.terms, opt_outs=frozenset({gone})))
    signature = (staged / manifest.SIGNATURE).read_bytes()
    (staged / manifest.SIGNATURE).write_bytes(signature[:5] + b"AAAA" + signature[9:])
    with pytest.raises(CairnError, match="SIGNATURE_WRONG"):
        site.release(project)
    (staged / manifest.SIGNATURE).write_bytes(signature)
    # A manifest that is signed, but not the one that the run verified.
    right = (staged / manifest.MANIFEST).read_bytes()
    other = json.dumps(json.loads(right) | {"title": "other"}).encode()
    (staged / manifest.MANIFEST).write_bytes(other)
    key = read_key(Path(site.terms.keys), SIGNING)
    (staged / manifest.SIGNATURE).write_bytes(manifest.sign(other, key))
    with pytest.raises(CairnError, match="SIGNATURE_WRONG"):
        site.release(project)
    (staged / manifest.MANIFEST).write_bytes(right)
    (staged / manifest.SIGNATURE).write_bytes(signature)
    assert not target.exists()
    before = tree(staged)
    done = site.release(project)
    assert done.folder == str(target) and tree(target) == before and not staged.exists()
    assert list(manifest.differences(target, manifest.signing_public(key))) == []
    assert site.extract(project).state.startswith("released")
    with pytest.raises(CairnError, match=r"EXTRACT_MISSING"):
        site.release(project)


def test_who_is_withdrawn_is_in_no_later_extract_and_what_is_to_be_deleted_is_told(site: Site, alpha: Made) -> None:
    """After the release above."""
    released = Path(site.store.settings.zone_root("ppz"), "alpha", alpha.extract)
    own = site.request(site.project("alpha")).own.pseudonyms()
    people = site.store.read(CROSSING).where("outcome = 'crossed' and person rlike '^[0-9]{10}$'").select("person")
    with_files = {
        row["person"]
        for row in people.distinct().collect()
        if (released / "images" / own.person(row["person"])).is_dir()
    }
    chi = min(with_files)
    run = site.job("withdraw").run("withdraw")
    done = withdraw(site.store, run, site.request(site.project("alpha")), [f"{chi[:6]} {chi[6:]}"])
    assert done.persons == 1
    listed = csv_rows(Path(done.notice))
    files = {row["where"] for row in listed if row["what"] == "file"}
    assert files == {path for path in images(released) if f"/{own.person(chi)}/" in path} != set()
    assert chi not in Path(done.notice).read_text()
    made = site.extract(site.project("alpha"))
    assert made.extract != alpha.extract and made.rejected["withdrawn"] >= len(files)
    assert {path for path in images(released) if path not in images(site.staged(made))} == files
    for name in made.tables:
        assert own.person(chi) not in {row["person_id"] for row in rows(site.staged(made), name)}
    other = site.extract(site.project("beta"))
    assert "withdrawn" not in other.rejected


@pytest.mark.slow
def test_the_researchers_notebook_runs_on_it(site: Site, monkeypatch, tmp_path: Path) -> None:
    """Also where images lack what decoding needs, as archives have them: the first of every series, here."""
    made = site.extract(site.project("delta", 2))
    extract = Path(shutil.copytree(site.staged(made), tmp_path / "extract"))
    first = [min(series.glob("*.dcm"), default=None) for series in extract.glob("images/*/*/*")]
    for path in filter(None, first):
        image = pydicom.dcmread(path)
        if image.pop("BitsAllocated", None) is not None:
            path.chmod(0o600)
            image.save_as(path)
    monkeypatch.setenv("CAIRN_EXTRACT", str(extract))
    monkeypatch.setenv("PYTHONPATH", "")
    notebook = nbformat.read(ROOT / "notebooks" / "extract.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    said = "".join(output.get("text", "") for output in outputs)
    assert f"{made.counts['delivered']} images, {len(made.tables)} tables" in said
    assert "an image cannot be shown" in said
    members = pq.read_table(extract / "tables" / "cohort_member", columns=["person_id", "split"]).to_pylist()
    judged = re.search(r"(\d+) images of (\d+) people: (\d+)% right; always \w+: (\d+)%", said)
    assert judged
    images, people, right, often = map(int, judged.groups())
    assert images >= people and 0 < people <= len({m["person_id"] for m in members if m["split"] == "test"})
    assert right >= often, "five measures of pixels tell more than always the same answer"
    drawn = [base64.b64decode(o["data"]["image/png"]) for o in outputs if "image/png" in o.get("data", {})]
    assert len(drawn) == 2
    assert all(matplotlib.image.imread(io.BytesIO(png)).std() > 0.01 for png in drawn)
    if folder := os.environ.get("CAIRN_KEEP_NOTEBOOKS"):
        nbformat.write(notebook, Path(folder) / "extract.ipynb")


def test_nothing_is_made_without_keys_approval_or_a_frozen_list(site: Site, tmp_path: Path) -> None:
    with pytest.raises(CairnError, match="PROJECT_EXPIRED"):
        site.extract(site.project("beta"), today=dt.date(2027, 1, 1))
    with pytest.raises(CairnError, match=r"KEY_MISSING.*project-gamma"):
        site.extract(site.project("gamma"))
    with pytest.raises(CairnError, match="COHORT_NOT_FROZEN"):
        site.extract(site.project("beta", 99))
    empty = tmp_path / "keys"
    empty.mkdir(mode=0o700)
    with pytest.raises(CairnError, match="SIGNING_KEY_UNSET"):
        site.extract(site.project("beta"), site=replace(site.terms, keys=str(empty)))
    for name in ("site", SIGNING, "beta"):
        make_key(empty, name)
    with pytest.raises(CairnError, match="TERMS_DIFFER"):
        site.extract(site.project("beta"), site=replace(site.terms, keys=str(empty)))
