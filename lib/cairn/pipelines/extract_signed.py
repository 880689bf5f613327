"""What is beside the images of an extract: pages, manifest and signature, and the data controller's reports."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

import cairn
from cairn.extract import manifest, readme
from cairn.extract.layout import README, TABLES
from cairn.extract.manifest import Delivered
from cairn.pipelines.extract_members import GONE, RULE, Selection
from cairn.pipelines.extract_request import STAGED, Made, Making, report_folder, signing_key
from cairn.pipelines.extract_task import UNREADABLE
from cairn.spark.ledger import Run
from cairn.spark.store import spark_schema
from cairn.tables.extract import EXTRACT
from cairn.verify import VERSION


def signed(making: Making, images: DataFrame, made: Made) -> bytes:
    """Write what is beside images and tables, the manifest and its signature; return the manifest."""
    staging, key = Path(making.staging.path), signing_key(making.request.site)
    (staging / README).write_text(readme.text(making.project, making.name, made.tables), "utf-8")
    (staging / TABLES).mkdir(exist_ok=True)
    (staging / TABLES / "dictionary.csv").write_text(readme.dictionary(making.project, made.tables), "utf-8")
    files = [Delivered(row["path"], row["size"], row["sha256"]) for row in
             images.select("path", "size", "sha256").toLocalIterator()]  # fmt: skip
    files += [_delivered(staging, path) for path in (staging / README, *sorted((staging / TABLES).rglob("*")))
              if path.is_file()]  # fmt: skip
    listed = manifest.files_csv(files)
    told = {
        "project": making.project.id,
        "title": making.project.file.title,
        "extract": making.name,
        "cohort": {"name": making.cohort["cohort"], "version": making.cohort["cohort_version"],
                   "definition_hash": making.cohort["definition_hash"], "list_hash": making.cohort["list_hash"],
                   "table_versions": dict(sorted(making.cohort["table_versions"].items()))},
        "rules": making.request.own.version(),
        "code_version": cairn.__version__,
        "images": {name: made.counts[name] for name in ("delivered", "bytes", "redacted")},
        "tables": made.tables,
        "verification": {"verifier": VERSION, "images": made.counts["delivered"], "findings": 0},
    }  # fmt: skip
    document = manifest.manifest_json(told, listed, len(files), sum(file.size for file in files))
    making.staging.write(manifest.FILES, listed)
    making.staging.write(manifest.MANIFEST, document)
    making.staging.write(manifest.SIGNATURE, manifest.sign(document, key))
    return document


def _delivered(root: Path, path: Path) -> Delivered:
    data = path.read_bytes()
    return Delivered(str(path.relative_to(root)), len(data), hashlib.sha256(data).hexdigest())


def write_report(making: Making, selection: Selection, items: DataFrame, made: Made) -> None:
    """Write the data controller's reports: a page, and a line for every entry with what became of it and why."""
    folder = report_folder(making.store, making.project.id, making.name).make()
    ruled = F.col(RULE).isNotNull()
    stayed = selection.items.where(ruled | F.col(GONE)).select(
        "uri",
        F.when(ruled, "rejected").otherwise(UNREADABLE).alias("outcome"),
        F.when(~ruled, "ENTRY_GONE").alias("code"),
        RULE,
    )
    tried = items.select("uri", "outcome", "code", F.lit(None).cast("string").alias(RULE), "boxes", "places")
    every = tried.unionByName(stayed, allowMissingColumns=True).fillna(0, ["boxes"])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(every.columns)
    writer.writerows(tuple(row) for row in every.orderBy("outcome", "code", "rule", "uri").toLocalIterator())
    folder.write("items.csv", text.getvalue().encode("utf-8", "surrogateescape"))
    folder.write("report.md", readme.report(making.project, made.extract, made.lines()).encode("utf-8"))


def record(making: Making, run: Run, made: Made, document: bytes) -> None:
    """Write the extract's row: staged, with the hash of the manifest that was verified and signed."""
    row: Mapping[str, Any] = {
        "project": made.project,
        "extract": made.extract,
        "cohort": making.cohort["cohort"],
        "cohort_version": making.cohort["cohort_version"],
        "counts": made.counts,
        "manifest_sha256": hashlib.sha256(document).hexdigest(),
        "state": STAGED,
        "staged": run.moment(),
        "released": None,
        "run": run.id,
    }
    making.store.upsert(EXTRACT, making.store.spark.createDataFrame([row], spark_schema(EXTRACT)), unique=True)
