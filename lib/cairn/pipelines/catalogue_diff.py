"""`catalogue diff`: what the tables would be as documents, held against the documents as they lie in the server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.catalogue.comparing import Difference
from cairn.catalogue.connection import Connection
from cairn.catalogue.rows import column_digests
from cairn.pipelines.catalogue_pull import shares_of
from cairn.pipelines.catalogue_push import MIRRORS, Documents, Mirror, pending
from cairn.pipelines.catalogue_task import DIGESTED, DIGESTED_SQL, DigestWork
from cairn.spark.partitions import map_partitions, told_failures
from cairn.spark.store import Store
from cairn.tables.instance import INSTANCE

JOB = "catalogue-diff"


@dataclass(frozen=True)
class RowDigestWork:
    """Digests rows as the documents that a push would make of them.

    Parameters
    ----------
    documents : callable
        Makes documents of rows.
    rows_at_a_time : int
        Rows that are Python objects at one time.
    compared : bool
        Whether documents of another layout may stand for the rows.
    """

    documents: Documents
    rows_at_a_time: int
    compared: bool

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield batches of digests."""
        for batch in batches:
            for start in range(0, batch.num_rows, self.rows_at_a_time):
                part = batch.slice(start, self.rows_at_a_time)
                made = list(self.documents(part, [0] * part.num_rows, 1 << 31))
                told = column_digests(part) if self.compared else [None] * part.num_rows
                columns = [
                    [one.id for one in made],
                    [one.collection for one in made],
                    [one.digest for one in made],
                    told,
                ]
                yield pa.RecordBatch.from_arrays(
                    [pa.array(values, field.type) for values, field in zip(columns, DIGESTED, strict=True)],
                    schema=DIGESTED,
                )


def diff(store: Store) -> Difference:
    """Compare the catalogue with the tables, whatever the last push recorded.

    Parameters
    ----------
    store : Store
        The tables.

    Returns
    -------
    Difference
        Counts by collection, and the lag.

    Raises
    ------
    CairnError
        TABLE_MISSING before the headers stage; CATALOGUE_UNREACHABLE and the like.
    """
    connection = Connection(store.settings.catalogue)
    connection.limit_bytes()
    store.read(INSTANCE)
    found: dict[str, dict[str, int]] = defaultdict(dict)
    with told_failures(JOB):
        for row in outcomes(store, connection).groupBy("collection", "outcome").count().collect():
            found[row["collection"]][row["outcome"]] = row["count"]
    return Difference(dict(found), pending(store, connection))


def outcomes(store: Store, connection: Connection) -> DataFrame:
    """Return ``id``, ``collection`` and ``outcome`` of every row and document."""
    shares = shares_of(connection, series=True)
    numbers = store.spark.range(0, len(shares), 1, max(1, len(shares)))
    documents = map_partitions(numbers, DigestWork(connection, store.settings.headers, shares), DIGESTED_SQL)
    told = (F.max("digest").alias("held"), F.max("columns").alias("held_columns"), F.lit(True).alias("_held"))
    held = documents.groupBy("id", "collection").agg(*told)
    rows = [_digests(store, mirror) for mirror in MIRRORS if store.exists(mirror.contract)]
    every = rows[0] if len(rows) == 1 else rows[0].unionByName(rows[1])
    made = every.select("id", "collection", F.col("digest").alias("made"), F.col("columns").alias("made_columns"))
    joined = made.join(held, ["id", "collection"], "full")
    outcome = (
        F.when(F.col("made").isNull(), "only_in_catalogue")
        .when(F.col("_held").isNull(), "only_in_tables")
        .when(F.col("held").isNull() & F.col("held_columns").isNull(), "not_compared")
        .when(F.col("held") == F.col("made"), "same")
        .when(F.col("held").isNull() & (F.col("held_columns") == F.col("made_columns")), "same")
        .otherwise("different")
    )
    return joined.select("id", "collection", outcome.alias("outcome"))


def _digests(store: Store, mirror: Mirror) -> DataFrame:
    rows = store.read(mirror.contract).select(*[column.name for column in mirror.contract.columns])
    work = RowDigestWork(mirror.documents, store.settings.catalogue.documents_per_write, mirror.contract is INSTANCE)
    return map_partitions(rows, work, DIGESTED_SQL)
