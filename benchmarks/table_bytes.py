"""Bytes that one entry takes in each table of the headers and pixel stages, as the workers write them. No Spark.

One task's work on a made mix, into Parquet files by the stages' own writer (zstd, row groups of 64 MiB): bytes a row,
and CPU seconds of reading, parsing and writing in this one process. What Delta adds (its log, statistics) and what
OPTIMIZE saves is not in it. docs/operations.md reckons with these figures. Made headers are much alike, and compress
to almost nothing; a folder of files of many makers, each unlike the others, gives the upper end.

    PYTHONPATH=lib PYTHON benchmarks/table_bytes.py [--corpus DIR] [--files N] [--pixels N]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa

from cairn.dicom.warm import warm
from cairn.pipelines.header_task import HeaderWork
from cairn.pipelines.pixel_task import PARTS, STATISTICS, PixelWork
from cairn.settings import Headers, Pixels
from cairn.spark.storage import Folder
from cairn.spark.worker_files import FileWriter
from cairn.synthetic.mixes import synthesise_mix
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.registry import contracts
from header_kernel import entries

ROW_GROUP = 64 << 20
Rows = tuple[str, pa.Table | pa.RecordBatch]


def plan(corpus: Path, limit: int) -> pa.RecordBatch:
    """Return the files of a corpus as rows of a stage's work list."""
    names = ("uri", "container", "kind", "size", "modified", "compression", "data_offset", "compressed_size",
             "content_version", "checksum")  # fmt: skip
    rows = [{name: getattr(entry, name) for name in names} for entry in entries(corpus)[:limit]]
    schema = ARCHIVE_ENTRY.arrow_schema
    schema = pa.schema([schema.field(name) for name in names if name in schema.names])
    moments = pa.array([row["modified"] for row in rows], pa.timestamp("us", "UTC"))
    batch = pa.RecordBatch.from_pylist([{n: v for n, v in row.items() if n != "modified"} for row in rows], schema)
    return batch.set_column(schema.get_field_index("modified"), schema.field("modified"), moments)


def written(made: Iterable[Rows | Mapping[str, int]], folder: Path) -> tuple[Counter[str], dict[str, int]]:
    """Write what a task makes; return rows and bytes by table."""
    known = {c.name: c for c in contracts().values() if c.zone == "identifiable"}
    writers: dict[str, FileWriter] = {}
    rows: Counter[str] = Counter()
    for item in made:
        name, table = ("", None) if isinstance(item, Mapping) else item  # a mapping holds counts
        if table is not None and table.num_rows:
            if name not in writers:
                (folder / name).mkdir()
                writers[name] = FileWriter(known[name], Folder(str(folder / name)), "part.parquet", 0, ROW_GROUP)
            writers[name].write(table)
            rows[name] += table.num_rows
    sizes: dict[str, int] = defaultdict(int)
    for name, writer in writers.items():
        sizes[name] = json.loads(writer.close())["add"]["size"]
    return rows, sizes


def tell(stage: str, seconds: float, of: int, rows: Counter[str], sizes: dict[str, int]) -> None:
    """Print one stage's figures."""
    print(f"{stage}: {of:,} files, {of / seconds:,.0f} per CPU second, written too")
    for name, size in sizes.items():
        print(f"  {name:18} {rows[name]:7,} rows, {size / rows[name]:8,.0f} bytes a row, {size / of:8,.0f} a file")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, help="files to take in place of made ones")
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--pixels", type=int, default=500, help="so many of the files are measured too")
    options = parser.parse_args()
    warm()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        corpus = options.corpus or folder / "mix" / "archive"
        if not options.corpus:
            synthesise_mix(folder / "mix", "benchmark", options.files, pixels="small")
        for stage, work, limit in (
            ("headers", HeaderWork(Headers(), "r"), options.files),
            ("pixels", PixelWork(Pixels(), (), "r"), options.pixels),
        ):
            batch = plan(corpus, limit)
            if stage == "pixels":
                batch = batch.append_column(PARTS, pa.array([STATISTICS] * batch.num_rows, pa.int32()))
            (folder / stage).mkdir()
            began = time.process_time()
            rows, sizes = written(work(iter([batch])), folder / stage)
            tell(stage, time.process_time() - began, batch.num_rows, rows, sizes)


if __name__ == "__main__":
    main()
