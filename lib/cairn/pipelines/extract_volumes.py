"""Series of an extract as NIfTI: tasks convert one series after the other, and the verifier looks at what they say."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cairn.errors import EntryError
from cairn.extract.layout import IMAGES, VOLUMES
from cairn.extract.volumes import Volume, header_texts, volumes_of
from cairn.pipelines.extract_request import Making
from cairn.pipelines.extract_task import DELIVERED, WITHHELD
from cairn.spark.fixed import fixed
from cairn.spark.storage import Folder, disk_faults
from cairn.verify.delivered import NOBODY
from cairn.verify.search import check_text

_SQL = "folder string, path string, size bigint, sha256 string, code string"
_SCHEMA = pa.schema([("folder", pa.string()), ("path", pa.string()), ("size", pa.int64()),
                     ("sha256", pa.string()), ("code", pa.string())])  # fmt: skip


@dataclass(frozen=True)
class Volumes:
    """What became of the series.

    Attributes
    ----------
    rows : DataFrame
        ``folder`` of a series' images, and ``path``, ``size``, ``sha256`` of each file of its volumes, or the ``code``
        why there are none.
    """

    rows: DataFrame

    @property
    def files(self) -> DataFrame:
        """The volumes' files."""
        return self.rows.where("code IS NULL")

    @property
    def kept_back(self) -> DataFrame:
        """``folder`` and ``code`` of the series that stay."""
        return self.rows.where("code IS NOT NULL").select("folder", "code")

    def within(self, images: DataFrame) -> DataFrame:
        """Return the images that volumes were made of."""
        made = self.files.select(F.col("folder").alias("_folder")).distinct()
        return images.join(made, series_folder("path") == F.col("_folder"), "left_semi")

    def judged(self, images: DataFrame, items: DataFrame) -> DataFrame:
        """Return the rows of `extract_item` with those withheld whose series has no volume."""
        stayed = images.select("sha256", series_folder("path").alias("folder")).join(self.kept_back, "folder")
        stayed = stayed.select("sha256", F.col("code").alias("_code")).distinct()
        told = items.join(stayed, "sha256", "left")
        without = F.col("_code").isNotNull() & (F.col("outcome") == DELIVERED)
        told = told.withColumns({"outcome": F.when(without, WITHHELD).otherwise(F.col("outcome")),
                                 "code": F.when(without, F.col("_code")).otherwise(F.col("code"))})  # fmt: skip
        return told.select(*items.columns).persist()


def series_folder(path: str) -> Column:
    """Return the folder of a column of paths: one series."""
    return F.regexp_replace(path, "/[^/]*$", "")


def write_account(volumes: Volumes, folder: Folder) -> None:
    """Write which series have volumes, and why others have none, for the data controller: ``volumes.csv``."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("series", "file", "code"))
    writer.writerows(tuple(row) for row in volumes.rows.select("folder", "path", "code").orderBy("folder", "path")
                     .toLocalIterator())  # fmt: skip
    folder.write("volumes.csv", text.getvalue().encode("utf-8"))


def made_volumes(making: Making, images: DataFrame, scratch: Folder) -> Volumes:
    """Write the volumes of the staged series into the extract.

    Parameters
    ----------
    making : Making
        The extract; its folder of volumes is made anew.
    images : DataFrame
        Its staged files: ``path``.
    scratch : Folder
        The run's scratch folder.
    """
    making.staging.remove_folder(VOLUMES)
    local = scratch.child("volumes").make()
    series = images.groupBy(series_folder("path").alias("folder")).agg(F.sort_array(F.collect_list("path")).alias("f"))
    spread = max(1, making.store.spark.sparkContext.defaultParallelism * 4)
    work = _converter(Path(making.files.path), Path(making.staging.path), Path(local.path))
    rows = series.repartition(spread, "folder").mapInArrow(work, _SQL)
    return Volumes(fixed(rows))


def _converter(
    given: Path, staging: Path, scratch: Path
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:  # fmt: skip
    def convert(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                told = converted(row["folder"], [given / name for name in row["f"]], staging, scratch)
                yield pa.RecordBatch.from_pylist(told, schema=_SCHEMA)

    return convert


def converted(folder: str, files: Sequence[Path], staging: Path, scratch: Path) -> list[dict[str, object]]:
    """Convert one series; return a row for each file that was written, or one with the reason why none was.

    Parameters
    ----------
    folder : str
        The series' folder below an extract, ``images/<person>/<study>/<series>``.
    files : sequence of pathlib.Path
        Its images.
    staging, scratch : pathlib.Path
        The extract's folder, and one for temporary files.
    """
    try:
        made = volumes_of(files, scratch)
        if any(map(_tells, made)):
            raise EntryError("EXTRACT_VOLUME_LEAK")
    except EntryError as fault:
        return [{"folder": folder, "code": fault.code}]
    target = f"{VOLUMES}/{PurePosixPath(folder).relative_to(IMAGES)}"
    with disk_faults(str(staging)):
        _written(staging / target, made)
    return [{"folder": folder, "path": f"{target}/{one.name}", "size": len(one.content),
             "sha256": hashlib.sha256(one.content).hexdigest()} for one in made]  # fmt: skip


def _tells(volume: Volume) -> bool:
    """Whether the verifier finds a pattern in what a volume's file says; its images' own values were looked for."""
    if volume.name.endswith(".json"):
        texts = [value for value in _leaves(json.loads(volume.content)) if isinstance(value, str)]
    else:
        texts = header_texts(volume.content) if volume.name.endswith(".nii.gz") else []
    return any(check_text(NOBODY, text) for text in texts)


def _leaves(tree: object) -> Iterator[object]:
    if isinstance(tree, dict | list):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from _leaves(part)
    else:
        yield tree


def _written(target: Path, made: Sequence[Volume]) -> None:
    """Write a series' files; they are there together, or not at all."""
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for one in made:
        (partial / one.name).write_bytes(one.content)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
