"""What a notebook needs beside SQL: a session on a warehouse, and the pixels behind a row of the tables.

For the identifiable zone only: pixels are read from the archive itself.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from cairn.archive.entry import EntryAddress
from cairn.archive.reader import read_entries
from cairn.errors import EntryError
from cairn.pixels.description import PixelDescription
from cairn.pixels.frames import Frame
from cairn.pixels.reader import PixelReader
from cairn.settings import load
from cairn.spark.session import build, register_views
from cairn.tables.archive_entry import ARCHIVE_ENTRY

ROOT = Path(__file__).resolve().parents[3]


def session(warehouse: str) -> SparkSession:
    """Return a session that knows a warehouse's tables and views; environment variables set it as they set jobs.

    Parameters
    ----------
    warehouse : str
        As every job's ``--warehouse``.
    """
    base = load(warehouse=warehouse, environment=os.environ).model_dump()
    home = Path(os.environ.get("CAIRN_HOME", ROOT / ".cairn"))
    jars = sorted(home.glob("jars-*/*.jar"))
    own = {"spark.master": "local[*]", "spark.ui.enabled": "false", "spark.log.level": "ERROR"}
    own["spark.sql.shuffle.partitions"] = "4"
    own["spark.databricks.delta.snapshotPartitions"] = "4"  # 50 tasks for each look at a small table's log otherwise
    if jars:
        own["spark.jars"] = ",".join(str(jar) for jar in {jar.name: jar for jar in jars}.values())
    base["spark"]["conf"] = own | base["spark"]["conf"]
    settings = load(warehouse=warehouse).model_validate(base)
    spark = build(settings, "notebook")
    register_views(spark, settings)
    return spark


class _Keeping:
    """Keeps the frames that it is shown."""

    def __init__(self, most: int) -> None:
        self.most, self.frames = most, list[np.ndarray]()

    def begin(self, described: PixelDescription, buf: np.ndarray, form: int) -> None:
        """Begin an instance."""

    def frame(self, frame: Frame) -> None:
        """Keep a frame."""
        if len(self.frames) < self.most:
            self.frames.append(frame.values)


def frames(spark: SparkSession, uri: str, most: int = 1) -> list[np.ndarray]:
    """Return the first frames of an entry of the archive as stored values.

    Parameters
    ----------
    spark : SparkSession
        From :func:`session`.
    uri : str
        The entry, as in `archive_entry`.
    most : int
        Frames to keep.

    Raises
    ------
    EntryError
        As :class:`cairn.pixels.reader.PixelReader` raises; ENTRY_GONE for an unknown entry.
    """
    names = list(EntryAddress.__slots__)
    modified = F.unix_micros("modified").alias("modified")
    columns = [modified if name == "modified" else F.col(name) for name in names]
    row = spark.table(ARCHIVE_ENTRY.full_name).where(F.col("uri") == uri).select(*columns).first()
    if row is None:
        raise EntryError("ENTRY_GONE")
    keeping = _Keeping(most)
    with PixelReader(watcher=keeping, statistics=False) as reader:
        ((_, outcome),) = read_entries([EntryAddress(*row)], reader, overlap=1, tries=1, timeout_seconds=60)
    if isinstance(outcome, EntryError):
        raise outcome
    return keeping.frames
