"""`catalogue push`: the catalogue follows `instance` and `series`, by their change feeds, from Spark's workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cairn.catalogue import layout
from cairn.catalogue.connection import Connection
from cairn.catalogue.documents import Document, instance_documents, series_documents
from cairn.catalogue.state import State, begun, read_state, write_state
from cairn.catalogue.writing import WRITTEN, Removal, Writer
from cairn.errors import CairnError
from cairn.spark.changes import changed_keys
from cairn.spark.ledger import Run, recorded
from cairn.spark.locks import stage_lock
from cairn.spark.partitions import count_partitions
from cairn.spark.store import Store
from cairn.tables.contract import Contract
from cairn.tables.instance import INSTANCE
from cairn.tables.series import SERIES

JOB = "catalogue-push"
Documents = Callable[[pa.RecordBatch, Sequence[int], int], Iterator[Document]]


@dataclass(frozen=True)
class Mirror:
    """A table and the documents that are made of it.

    Parameters
    ----------
    contract : Contract
        The table; its key becomes the documents' id.
    documents : callable
        Makes them.
    collections : tuple of str
        Where they lie.
    decides : tuple of str
        Columns that decide in which collection a document lies.
    """

    contract: Contract
    documents: Documents
    collections: tuple[str, ...]
    decides: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The key column."""
        return self.contract.key[0]

    def collection(self) -> Column:
        """Return the collection of a row."""
        if not self.decides:
            return F.lit(self.collections[0])
        modality = F.col(self.decides[0])
        own = F.concat(F.lit(layout.IMAGE_PREFIX), modality)
        return F.when(modality.isin(*layout.MODALITIES), own).otherwise(layout.collection_of(None))


MIRRORS = (
    Mirror(INSTANCE, instance_documents, layout.IMAGE_COLLECTIONS, ("modality",)),
    Mirror(SERIES, series_documents, (layout.SERIES,)),
)


@dataclass(frozen=True)
class Pushed:
    """What a push did with one table.

    Parameters
    ----------
    table : str
        The table.
    before : int or None
        Version that the catalogue had; None: it was made anew.
    version : int
        Version that it has now.
    lag : int
        Versions that the table has got meanwhile.
    counts : dict
        Documents by what became of them, ``deleted``, ``pieces``.
    """

    table: str
    before: int | None
    version: int
    lag: int
    counts: dict[str, int]

    def line(self) -> str:
        """Return it in words."""
        since = "everything" if self.before is None else f"since version {self.before}"
        told = ", ".join(f"{name} {self.counts.get(name, 0):,}" for name in (*WRITTEN, "deleted"))
        pieces = f", in pieces {self.counts['pieces']:,}" if self.counts.get("pieces") else ""
        return f"{self.table} version {self.version} ({since}): {told}{pieces}; behind by {self.lag} versions"


@dataclass(frozen=True)
class PushWork:
    """What a worker does with rows.

    Parameters
    ----------
    connection : Connection
        Where the catalogue is.
    documents : callable
        Makes documents of rows.
    order : int
        Order of the version that is pushed.
    limit_bytes : int
        Larger documents are cut.
    fresh : bool
        Most of the documents are new.
    """

    connection: Connection
    documents: Documents
    order: int
    limit_bytes: int
    fresh: bool

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Mapping[str, int]:
        """Write a partition's documents; count the ``rows``, and what became of each (``WRITTEN``)."""
        given: Counter[str] = Counter()
        return Writer(self.connection).write(self._made(batches, given), self.fresh) + given

    def _made(self, batches: Iterator[pa.RecordBatch], given: Counter[str]) -> Iterator[Document]:
        step = self.connection.settings.documents_per_write
        for batch in batches:
            given["rows"] += batch.num_rows
            for start in range(0, batch.num_rows, step):  # as Python objects a batch is many times its size
                part = batch.slice(start, step)
                yield from self.documents(part, [self.order] * part.num_rows, self.limit_bytes)


@dataclass(frozen=True)
class RemoveWork:
    """What a worker does with documents that are to go (columns ``id`` and ``collection``)."""

    connection: Connection
    order: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Mapping[str, int]:
        """Delete a partition's documents."""
        return Writer(self.connection).remove(
            Removal(row["id"], row["collection"], self.order) for batch in batches for row in batch.to_pylist()
        )


def push(store: Store, run: Run, take_over: bool = False) -> list[Pushed]:
    """Bring the catalogue up to date with the tables.

    Parameters
    ----------
    store : Store
        The tables.
    run : Run
        Id and clock; gets the counts and versions.
    take_over : bool
        Whether this warehouse may take the place of another one in the catalogue.

    Returns
    -------
    list of Pushed
        One a table that there is.

    Raises
    ------
    CairnError
        TABLE_MISSING before the headers stage; STAGE_BUSY; CATALOGUE_OF_ANOTHER; CATALOGUE_UNREACHABLE and the like:
        what was written stays, and the same push again goes on.
    """
    connection = Connection(store.settings.catalogue)
    limit = connection.limit_bytes()
    store.read(INSTANCE)
    with stage_lock(store.settings, JOB, run), recorded(store, run):
        there = [mirror for mirror in MIRRORS if store.exists(mirror.contract)]
        states = {m.contract.name: _begun(store, connection, m, take_over) for m in there}
        Writer(connection).make_indexes()
        done = []
        for mirror in there:
            done.append(_pushed(store, connection, limit, mirror, states[mirror.contract.name]))
            run.reads(mirror.contract.full_name, done[-1].version)
            run.count({f"{mirror.contract.name}_{name}": number for name, number in done[-1].counts.items()})
    return done


def _begun(store: Store, connection: Connection, mirror: Mirror, take_over: bool) -> State:
    return begun(connection, mirror.contract.name, store.table_id(mirror.contract), take_over)


def _pushed(store: Store, connection: Connection, limit: int, mirror: Mirror, state: State) -> Pushed:
    contract = mirror.contract
    version = store.version(contract)
    assert version is not None
    changed = changed_keys(store, contract, state.version, mirror.key, *mirror.decides)
    if changed is not None and version == state.version:
        return Pushed(contract.name, state.version, version, 0, {})
    order = state.order(version)
    work = PushWork(connection, mirror.documents, order, limit, fresh=changed is None)
    rows = store.read(contract, version)
    if changed is None:
        counts = _written(rows, mirror, work)
        counts["deleted"] += Writer(connection).sweep(mirror.collections, order)
    else:
        keys = changed.select(mirror.key).distinct()
        counts = _written(rows.join(keys, mirror.key, "left_semi"), mirror, work)
        gone = _gone(mirror, rows, changed)
        counts.update(count_partitions(gone, RemoveWork(connection, order), JOB))
    write_state(connection, contract.name, state.reached(version))
    if state.version is not None:
        Writer(connection).forget_deletions(state.order(state.version))
    before = state.version if changed is not None else None
    return Pushed(contract.name, before, version, (store.version(contract) or version) - version, dict(counts))


def _written(rows: DataFrame, mirror: Mirror, work: PushWork) -> Counter[str]:
    """Push rows, and see that none got lost on the way."""
    counts = count_partitions(rows.select(*[column.name for column in mirror.contract.columns]), work, JOB)
    given, accounted = counts.pop("rows", 0), sum(counts[name] for name in WRITTEN)
    if given != accounted:
        raise CairnError("ENTRIES_LOST", stage=JOB, given=given, accounted=accounted)
    return counts


def _gone(mirror: Mirror, rows: DataFrame, changed: DataFrame) -> DataFrame:
    """Return where the changed documents lay and now do not: deleted, or in another collection."""
    places = [F.col(mirror.key).alias("id"), mirror.collection().alias("collection")]
    here = rows.join(changed.select(mirror.key).distinct(), mirror.key, "left_semi").select(*places)
    return changed.select(*places).distinct().join(here, ["id", "collection"], "left_anti")


def pending(store: Store, connection: Connection) -> dict[str, dict[str, int | None]]:
    """Return for each table its version, the catalogue's, and how many rows changed in between (None: not known).

    Parameters
    ----------
    store : Store
        The tables.
    connection : Connection
        Where the catalogue is.
    """
    out: dict[str, dict[str, int | None]] = {}
    for mirror in MIRRORS:
        contract = mirror.contract
        if not store.exists(contract):
            continue
        state = read_state(connection, contract.name)
        pushed = state.version if state is not None and state.table == store.table_id(contract) else None
        changed = changed_keys(store, contract, pushed, mirror.key)
        rows = None if changed is None else changed.distinct().count()
        out[contract.name] = {"version": store.version(contract), "pushed": pushed, "rows": rows}
    return out
