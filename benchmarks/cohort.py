"""A cohort with four joins in time over made-up records and series: seconds, memory, plan, at half and at full size.

Each size is made by one process and carried out by another, so that the memory told is that of the cohort alone. The
tables have the columns that the definition reads and few others: Parquet reads no others either.

    ./spark-submit.sh --python   # prints the environment's Python
    PYTHONPATH=lib PYTHON benchmarks/cohort.py [--series 5000000] [--cores 1]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pyspark.sql import SparkSession

from cairn.cohort.codelists import load_all
from cairn.cohort.reading import parse
from cairn.cohort.sql import compiled
from cairn.pipelines.cohort_count import counted
from cairn.pipelines.cohort_definition import Definition
from cairn.pipelines.cohort_run import carried_out
from cairn.settings import load
from cairn.spark import session
from cairn.spark.accounting import cpu_seconds
from cairn.spark.store import Store

ROOT = Path(__file__).resolve().parents[1]
SERIES_PER_PERSON, STAYS, PRESCRIPTIONS = 5, 8, 12
TEXT = """cohort: benchmark
version: 1
sets:
  strokes: {from: smr01, where: main_condition in codes.ischaemic_stroke}
  stays: {from: smr01}
  thinners: {from: prescribing, where: bnf_code in codes.anticoagulants}
  scans: {from: series, where: modality = CT and thin_slice and not contrast and not localizer}
persons:
  - having: {first: strokes}
    as: stroke
  - age_at: stroke
    at_least: 50
  - not_having: stays
    within: 90 days before stroke
  - having: thinners
    within: 365 days before stroke
  - having: scans
    within: 0 to 90 days after stroke
images: {from: scans, within: 90 days after stroke, pick: first per person}
"""
FORBIDDEN = re.compile("CartesianProduct|BroadcastNestedLoopJoin")


def with_jars(cores: int) -> None:
    """Let a plain Python start Spark with the jars that spark-submit.sh has resolved."""
    home = Path(os.environ.get("CAIRN_HOME") or ROOT / ".cairn")
    jars = ",".join(str(path) for path in sorted(home.glob("jars-*/*.jar")))
    properties = f"--properties-file {ROOT / 'conf' / 'spark' / 'local.conf'}"
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"--master local[{cores}] --jars {jars} {properties} pyspark-shell"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"


def tables(people: int) -> dict[str, tuple[int, str]]:
    """Return rows and columns of each table: columns are made of the row's number ``id`` by hashes."""

    def draw(name: str, upto: int) -> str:
        return f"pmod(xxhash64(id, '{name}'), {upto})"

    day = f"date_add(DATE'2012-01-01', CAST({draw('day', 3650)} AS INT))"
    who = f"sha2(CAST({draw('who', people)} AS STRING), 256) AS person_id"
    stroke = f"CASE WHEN {draw('code', 40)} = 0 THEN 'I639' ELSE concat('J', {draw('code', 40)}) END"
    thinner = f"CASE WHEN {draw('bnf', 12)} = 0 THEN '0208020Z0AA' ELSE concat('0501', {draw('bnf', 12)}) END"
    record = "sha2(CAST(id AS STRING), 224) AS record_id"
    series = (
        f"{who}, concat('2.25.', id) AS series_instance_uid, concat('2.25.9', id) AS study_instance_uid, "
        f"{day} AS study_date, element_at(array('CT', 'CT', 'MR', 'CR'), CAST({draw('m', 4)} + 1 AS INT)) AS modality, "
        f"element_at(array(0.75D, 1D, 5D), CAST({draw('t', 3)} + 1 AS INT)) AS slice_thickness, "
        f"CAST(NULL AS DOUBLE) AS slice_spacing, {draw('c', 3)} = 0 AS contrast, {draw('l', 9)} = 0 AS localizer"
    )
    return {
        "person": (
            people,
            "sha2(CAST(id AS STRING), 256) AS person_id, if(" + draw("s", 2) + " = 0, 'F', 'M') AS sex, "
            f"date_add(DATE'1925-01-01', CAST({draw('b', 25000)} AS INT)) AS birth_date",
        ),
        "ehr_smr01": (
            people * STAYS,
            f"{who}, {record}, {day} AS admission_date, {day} AS discharge_date, {stroke} AS main_condition",
        ),
        "ehr_prescribing": (people * PRESCRIPTIONS, f"{who}, {record}, {day} AS event_date, {thinner} AS bnf_code"),
        "series": (people * SERIES_PER_PERSON, series),
    }


def make(spark: SparkSession, root: str, people: int) -> None:
    """Write the tables of so many people."""
    for name, (rows, columns) in tables(people).items():
        spark.range(0, rows, 1, 8).createOrReplaceTempView("numbers")
        frame = spark.sql(f"SELECT {columns} FROM numbers")
        frame.write.format("delta").save(f"{root}/deidentified/{name}")


def measure(store: Store) -> dict[str, object]:
    """Carry the definition out and return what it took."""
    checked = parse(TEXT, load_all(ROOT / "conf" / "codelists"))
    definition = Definition("benchmark", TEXT, {}, checked, compiled(checked).steps)
    began, used = time.perf_counter(), cpu_seconds(store.spark) or 0.0
    with carried_out(store, definition.steps) as resolved:
        counts = counted(resolved, checked)
        seconds = time.perf_counter() - began
        spent = (cpu_seconds(store.spark) or 0.0) - used
        plans = [frame._jdf.queryExecution().toString() for frame in resolved.frames.values()]
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(spent, 1),
        "jvm_peak_mb": jvm_peak(store.spark),
        "pairs_of_all": sum(len(FORBIDDEN.findall(plan)) for plan in plans),
        "joins": sorted(set(re.findall(r"\w*Join(?= |\[)", " ".join(plans)))),
        "attrition": [step.count for step in counts.attrition],
        "members": counts.members,
    }


def jvm_peak(spark: SparkSession) -> int:
    """Return the most resident memory that the JVM has had, MB (proc(5), VmHWM)."""
    pid = spark.sparkContext._jvm.java.lang.ProcessHandle.current().pid()  # type: ignore[union-attr]
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) // 1024 if found else 0


def work(action: str, folder: str, people: int, cores: int) -> None:
    """Do one step in this process and print what it found."""
    with_jars(cores)
    settings = load(warehouse=folder)
    spark = session.build(settings, "cohort benchmark", f"{folder}/scratch")
    spark.sparkContext.setLogLevel("ERROR")
    began = time.perf_counter()
    if action == "make":
        make(spark, folder, people)
        print(json.dumps({"made in seconds": round(time.perf_counter() - began, 1)}))
    else:
        print(json.dumps(measure(Store(spark, settings))))
    spark.stop()


def main() -> None:
    """Make and measure both sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=5_000_000)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--step", nargs=3, metavar=("ACTION", "FOLDER", "PEOPLE"), help="used by itself")
    options = parser.parse_args()
    if options.step:
        work(options.step[0], options.step[1], int(options.step[2]), options.cores)
        return
    for series in (options.series // 2, options.series):
        people = series // SERIES_PER_PERSON
        events = people * (STAYS + PRESCRIPTIONS)
        print(f"{series:,} series, {events:,} events, {people:,} people, {options.cores} cores", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            for action in ("make", "measure"):
                step = [sys.executable, __file__, "--step", action, folder, str(people), "--cores", str(options.cores)]
                done = subprocess.run(step, capture_output=True, text=True, check=False)
                print(f"  {done.stdout.strip() or done.stderr[-2000:]}", flush=True)


if __name__ == "__main__":
    main()
