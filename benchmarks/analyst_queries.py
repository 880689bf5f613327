"""Ten analysts' questions on N made instances: seconds, files skipped, and a typed column beside VARIANT and JSON text.

Headers of the mixed corpus are parsed once by the stage's own task; their rows are repeated under other UIDs, patients
and days (2010 to 2024, in no order: the hardest archive to cluster), written by worker processes as the stage writes
them, committed in one transaction, and clustered by OPTIMIZE as `maintain` does. Each question runs twice, the second
time is told. Files are counted by Spark's scans themselves.

    ./spark-submit.sh --python   # prints the environment's Python
    PYTHONPATH=lib PYTHON benchmarks/analyst_queries.py [--rows N] [--corpus M] [--json-rows K] [--file-mb S]
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from cairn.dicom.warm import warm
from cairn.pipelines.header_task import HeaderWork
from cairn.pipelines.job import opened
from cairn.settings import Headers, load
from cairn.spark.accounting import cpu_seconds, peak_memory
from cairn.spark.delta_log import Token
from cairn.spark.storage import Folder
from cairn.spark.upkeep import compact, file_sizes
from cairn.spark.worker_files import write_file
from cairn.synthetic.mixes import synthesise_mix
from cairn.tables.instance import INSTANCE
from headers_job import with_jars
from table_bytes import plan

FIRST_DAY = datetime.date(2010, 1, 1)
DAYS = 15 * 365
STUDY = 40  # images of one study


# What is asked, and whether modality and day narrow it down. {uid}, {patient}: of one that exists.
QUESTIONS = (
    ("CT by slice thickness, one year", True,
     "SELECT round(slice_thickness, 1) AS mm, count(*) FROM {t} "
     "WHERE modality = 'CT' AND study_date BETWEEN '2019-01-01' AND '2019-12-31' GROUP BY 1"),
    ("thin CT with contrast, one quarter", True,
     "SELECT count(DISTINCT series_instance_uid) FROM {t} WHERE modality = 'CT' AND slice_thickness < 1.5 "
     "AND contrast_bolus_agent IS NOT NULL AND study_date BETWEEN '2021-04-01' AND '2021-06-30'"),
    ("MR by field strength and maker, one month", True,
     "SELECT manufacturer, magnetic_field_strength, count(*) FROM {t} "
     "WHERE modality = 'MR' AND study_date BETWEEN '2015-03-01' AND '2015-03-31' GROUP BY 1, 2"),
    ("MR repetition and echo time, half a year", True,
     "SELECT percentile_approx(repetition_time, 0.5), percentile_approx(echo_time, 0.5) FROM {t} "
     "WHERE modality = 'MR' AND study_date BETWEEN '2022-01-01' AND '2022-06-30'"),
    ("tube voltage by protocol, one year", True,
     "SELECT protocol_name, kvp, count(*) FROM {t} "
     "WHERE modality = 'CT' AND study_date BETWEEN '2012-01-01' AND '2012-12-31' GROUP BY 1, 2"),
    ("mammograms by view and side, one year", True,
     "SELECT view_position, image_laterality, count(*) FROM {t} "
     "WHERE modality = 'MG' AND study_date BETWEEN '2018-01-01' AND '2018-12-31' GROUP BY 1, 2"),
    ("one study's images", False, "SELECT * EXCEPT (header) FROM {t} WHERE study_instance_uid = '{study}'"),
    ("one person's studies", False,
     "SELECT study_instance_uid, min(study_date), count(*) FROM {t} WHERE patient_id = '{patient}' GROUP BY 1"),
    ("modality by year, everything", False,
     "SELECT modality, year(study_date), count(*), sum(file_size) FROM {t} GROUP BY 1, 2"),
    ("an element without a column, CT of one month", True,
     "SELECT header:FilterType::string, count(*) FROM {t} "
     "WHERE modality = 'CT' AND study_date BETWEEN '2020-05-01' AND '2020-05-31' GROUP BY 1"),
)  # fmt: skip

# One value three ways.
WAYS = (
    ("typed column", "SELECT count(slice_thickness), sum(slice_thickness) FROM {t} WHERE modality = 'CT'"),
    ("VARIANT", "SELECT count(v), sum(v) FROM (SELECT try_variant_get(header, '$.SliceThickness', 'double') AS v "
     "FROM {t} WHERE modality = 'CT')"),
    ("JSON text", "SELECT count(v), sum(v) FROM (SELECT double(get_json_object(json, '$.SliceThickness')) AS v "
     "FROM {t} WHERE modality = 'CT')"),
)  # fmt: skip

_base: pa.Table | None = None


def parsed(folder: Path, files: int) -> pa.Table:
    """Return the rows of `instance` that the headers stage makes of a mixed corpus, those of a modality together."""
    synthesise_mix(folder / "mix", "benchmark", files, pixels="small")
    made = list(HeaderWork(Headers(), "r")(iter([plan(folder / "mix" / "archive", files)])))
    rows = [item[1] for item in made if not isinstance(item, dict) and item[0] == INSTANCE.name]
    tables = [pa.Table.from_batches([r]) if isinstance(r, pa.RecordBatch) else r for r in rows]
    return pa.concat_tables(tables).sort_by("modality")


def tile(base: pa.Table, number: int) -> pa.Table:
    """Return the rows once more, under UIDs, patients and days of their own."""
    rows = base.num_rows
    draw = np.random.default_rng(number)
    study = np.arange(rows) // STUDY
    studies = int(study[-1]) + 1
    day = (np.datetime64(FIRST_DAY) + draw.integers(0, DAYS, studies))[study]
    patient = draw.integers(0, 1_000_000, studies)[study]
    own = {
        "uri": [f"file:///made/{number}/{row}" for row in range(rows)],
        "study_instance_uid": [f"1.2.826.0.1.3680043.10.1.{number}.{s}" for s in study],
        "series_instance_uid": [f"1.2.826.0.1.3680043.10.1.{number}.{s}.1" for s in study],
        "sop_instance_uid": [f"1.2.826.0.1.3680043.10.1.{number}.{s}.1.{row}" for row, s in enumerate(study)],
        "patient_id": [f"{p:010d}" for p in patient],
        "study_date": day,
    }
    made = base
    for name, values in own.items():
        place = made.schema.get_field_index(name)
        made = made.set_column(place, made.schema.field(place), pa.array(values, made.schema.field(place).type))
    return made


def _keep(base: pa.Table) -> None:
    global _base
    _base = base


def _write(work: tuple[str, int, int]) -> str:
    folder, first, tiles = work
    assert _base is not None
    made = pa.concat_tables([tile(_base, number) for number in range(first, first + tiles)])
    return write_file(INSTANCE, made, Folder(folder), f"part-made-{first:06d}.zstd.parquet", 1_800_000_000_000)


def scans(frame: DataFrame) -> tuple[int, int]:
    """Return files and bytes that the scans of a query have read; the query has run."""
    plan_: Any = frame._jdf.queryExecution().executedPlan()  # type: ignore[operator]
    files = size = 0
    leaves = plan_.collectLeaves()
    for place in range(leaves.size()):
        metrics = leaves.apply(place).metrics()
        if metrics.contains("numFiles"):
            files += metrics.apply("numFiles").value()
            size += metrics.apply("filesSize").value()
    return files, size


def asked(spark: SparkSession, question: str) -> tuple[float, float, int, int]:
    """Return seconds and CPU seconds of a question that was asked before, and files and bytes that it read."""
    spark.sql(question).collect()
    frame = spark.sql(question)
    cpu, start = cpu_seconds(spark) or 0.0, time.monotonic()
    frame.collect()
    seconds = time.monotonic() - start
    return (seconds, (cpu_seconds(spark) or 0.0) - cpu, *scans(frame))


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--corpus", type=int, default=5_000, help="different headers among them")
    parser.add_argument("--json-rows", type=int, default=250_000, help="rows of the comparison with JSON text")
    parser.add_argument(
        "--file-mb", type=int, default=16, help="size of files; of the 256 MB in use, so few rows would fill a dozen"
    )
    options = parser.parse_args()
    with_jars()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warm()
        base = parsed(folder, options.corpus)
        settings = load(None, os.environ, (f"maintain.file_bytes={options.file_mb << 20}",), str(folder / "warehouse"))
        settings.spark.conf["spark.sql.adaptive.enabled"] = "false"  # its plans tell their metrics elsewhere
        with opened("benchmark", settings) as job:
            store, spark = job.store, job.store.spark
            store.ensure(INSTANCE)
            tiles = max(1, options.rows // base.num_rows)
            each = max(1, 20_000 // base.num_rows)
            work = [(store.folder(INSTANCE).uri, n, min(each, tiles - n)) for n in range(0, tiles, each)]
            start = time.monotonic()
            with ProcessPoolExecutor(os.cpu_count(), get_context("spawn"), _keep, (base,)) as pool:
                adds = list(pool.map(_write, work))
            store.commit_files(INSTANCE, adds, Token("made", 1))
            print(f"{tiles * base.num_rows:,} rows written in {time.monotonic() - start:,.0f} s", flush=True)
            wanted = settings.maintain.file_bytes
            print(f"before OPTIMIZE: {file_sizes(store, INSTANCE, wanted)}", flush=True)
            table = store.folder(INSTANCE).uri
            named = f"delta.`{table}`"
            part = spark.sql(f"SELECT study_instance_uid, patient_id FROM {named} LIMIT 1").first()
            assert part is not None
            known = {"study": part[0], "patient": part[1]}
            before = [asked(spark, text.format(t=named, **known)) for _, _, text in QUESTIONS]
            cpu, start = cpu_seconds(spark) or 0.0, time.monotonic()
            compact(store, INSTANCE, wanted)
            used, took = (cpu_seconds(spark) or 0.0) - cpu, time.monotonic() - start
            sizes = file_sizes(store, INSTANCE, wanted)
            print(f"OPTIMIZE: {took:,.0f} s, {used:,.0f} CPU s", flush=True)
            print(f"after OPTIMIZE: {sizes}", flush=True)
            print(f"{'question':46}  seconds  CPU s  files  skipped  MB of files | unclustered: seconds, files")
            for (title, narrowed, text), (slow, _, many, _) in zip(QUESTIONS, before, strict=True):
                seconds, used, files, size = asked(spark, text.format(t=named, **known))
                skipped = 1 - files / sizes.files
                mark = "*" if narrowed else " "
                print(f"{title:46}{mark} {seconds:7.2f} {used:6.2f} {files:6} {skipped:8.1%} {size / 1e6:12,.0f} "
                      f"| {slow:.2f} {many}", flush=True)  # fmt: skip
            print("* narrowed by modality and day")
            compared = f"delta.`{folder / 'warehouse' / 'compared'}`"
            spark.sql(
                f"CREATE TABLE {compared} USING DELTA AS SELECT modality, slice_thickness, header, "
                f"to_json(header) AS json FROM {named} LIMIT {options.json_rows}"
            )
            for title, text in WAYS:
                seconds, used, _, _ = asked(spark, text.format(t=compared))
                answer = spark.sql(text.format(t=compared)).first()
                print(f"{title:14} {seconds:7.2f} s {used:7.2f} CPU s, answer {tuple(answer or ())}", flush=True)
            memory = peak_memory(spark)
            print("peak memory: " + ", ".join(f"{n} {size / 2**20:,.0f} MiB" for n, size in memory.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
