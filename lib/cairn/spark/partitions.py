"""Work on the partitions of a frame that leaves the tables alone: it talks to another system.

For work that writes tables there is :mod:`cairn.spark.stage`. The border is the same: a fault in a worker is told by
types and places, never by a message, because a message may hold a value.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame

from cairn.dicom.quiet import silence_pydicom
from cairn.errors import CairnError
from cairn.spark.stage import as_cairn_error
from cairn.spark.task import TaskFault, told

Counted = Callable[[Iterator[pa.RecordBatch]], Mapping[str, int]]
"""Takes the batches of one partition, returns counts; picklable, safe to do twice."""
Mapped = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def count_partitions(frame: DataFrame, work: Counted, name: str) -> Counter[str]:
    """Do the work on every partition and return the sum of its counts.

    Parameters
    ----------
    frame : DataFrame
        Rows; they reach the workers as Arrow.
    work : callable
        What is done with a partition.
    name : str
        The job's name, for errors.

    Raises
    ------
    CairnError
        What the work raised, or STAGE_FAILED.
    """

    def counted(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pydict({"counts": [json.dumps(dict(work(batches)))]})

    counts: Counter[str] = Counter()
    with told_failures(name):
        for row in map_partitions(frame, counted, "counts STRING").collect():
            counts.update(json.loads(row["counts"]))
    return counts


def map_partitions(frame: DataFrame, work: Mapped, schema: str) -> DataFrame:
    """Return what the work makes of every partition; whoever collects it does so within :func:`told_failures`.

    Parameters
    ----------
    frame : DataFrame
        Rows.
    work : callable
        Batches in, batches of `schema` out.
    schema : str
        Spark's DDL.
    """
    return frame.mapInArrow(_guarded(work), schema)


def _guarded(work: Mapped) -> Mapped:
    def guarded(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        silence_pydicom()
        try:
            yield from work(batches)
        except CairnError:
            raise
        except Exception as fault:  # noqa: BLE001 - the boundary to Spark's log: nothing with a value may pass
            raise TaskFault(told(fault)) from None

    return guarded


@contextmanager
def told_failures(name: str) -> Iterator[None]:
    """Turn Spark's failures into Cairn's errors."""
    try:
        yield
    except (Py4JJavaError, PySparkException) as fault:
        raise as_cairn_error(str(fault), name) from None
