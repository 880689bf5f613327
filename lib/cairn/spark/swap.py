"""Exchanging the rows of several tables at once: from one commit to the next in each, the same set for who pins it.

Delta's transactions span one table. So what is to happen is first written into a journal, ``_reprocess/swap.json`` in
the identifiable zone; then the record of each table's changes is written (:mod:`cairn.spark.feed`), the files are moved
into the live tables' folders, where nobody sees them, and the tables are committed one right after the other. Whoever
finds the journal of a dead process carries it to its end; every step can be made twice. What the tables consisted of
before stays in their history, and going back is the same exchange the other way round.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from urllib.parse import unquote

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from cairn.errors import CairnError
from cairn.spark import delta_log
from cairn.spark.beside import FOLDER, BesideStore
from cairn.spark.delta_log import Token
from cairn.spark.feed import UNTOLD, write_changes
from cairn.spark.ledger import Run, note_done
from cairn.spark.liveness import StageLock
from cairn.spark.locks import stage_lock
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.contract import Contract
from cairn.tables.header_blob import HEADER_BLOB
from cairn.tables.instance import INSTANCE
from cairn.tables.quarantine import QUARANTINE
from cairn.tables.registry import contract as contract_of
from cairn.tables.run import RUN, RUN_BATCH

LOCK = "reprocess"
JOB = "reprocess-swap"
JOURNAL, LAST = "swap.json", "swapped.json"
SWAP, ROLLBACK = "swap", "rollback"
MOVES = 16
"""Files moved at a time: an object store answers each after a while."""


@dataclass
class Exchange:
    """All that an exchange needs to be carried to its end by anybody.

    Parameters
    ----------
    id : str
        The set of tables beside the live ones.
    kind : str
        ``swap``: the tables of that set take the place of the live ones; ``rollback``: earlier versions do.
    moment : int
        When it was decided, milliseconds since the epoch.
    before : dict
        Full table name to the version that is replaced; in this order.
    source : dict
        Full table name to the version, of the set or of the live table, that takes its place.
    stages : list of str
        Stages whose rows of `quarantine` are exchanged too.
    ledger : dict
        Incremental job to the versions that its next run shall take for the last ones it read.
    earlier : dict
        The same as it was before, for a rollback.
    quarantine : list of int
        Versions of `quarantine` before and after the exchange, as far as it has come.
    feed : dict
        Full table name to the actions that record its changes, as far as they are written.
    changed : dict
        Full table name to the number of rows that differ.
    after : dict
        Full table name to its new version, as far as it is committed.
    """

    id: str
    kind: str
    moment: int
    before: dict[str, int]
    source: dict[str, int]
    stages: list[str]
    ledger: dict[str, dict[str, int]]
    earlier: dict[str, dict[str, int]] = field(default_factory=dict)
    quarantine: list[int] = field(default_factory=list)
    feed: dict[str, list[str]] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)

    @property
    def token(self) -> Token:
        """The exchange's token, the same in every table."""
        return Token(f"cairn/reprocess/{self.id}/{self.kind}", 1)

    def manifest(self) -> dict[str, int]:
        """Return the versions, by full table name, that belong together after it."""
        return self.after | ({QUARANTINE.full_name: self.quarantine[-1]} if self.quarantine else {})


def folder(store: Store) -> Folder:
    """Return the folder of the journal and of the identifiable tables beside, in the identifiable zone."""
    return Folder(store.settings.zone_root("identifiable")).child(FOLDER)


def journal(store: Store) -> Exchange | None:
    """Return the exchange that is under way or was cut short, or None."""
    return _read(store, JOURNAL)


def last(store: Store) -> Exchange | None:
    """Return the last exchange that came to its end, or None."""
    return _read(store, LAST)


def _read(store: Store, name: str) -> Exchange | None:
    try:
        return Exchange(**json.loads(folder(store).read(name)))
    except FileNotFoundError:
        return None


def _write(store: Store, name: str, exchange: Exchange) -> None:
    folder(store).make().write(name, json.dumps(asdict(exchange)).encode())


def lock(store: Store, run: Run) -> StageLock:
    """Return the lock under which exchanges are made."""
    return stage_lock(store.settings, LOCK, run)


def finish(store: Store, run: Run) -> Exchange | None:
    """Carry an exchange that was cut short to its end: called by every stage that writes one of the tables, first.

    Returns
    -------
    Exchange or None
        What was finished; None when nothing was left over.

    Raises
    ------
    CairnError
        STAGE_BUSY while a living process makes an exchange.
    """
    if not folder(store).exists(JOURNAL):
        return None
    with lock(store, run):
        left = journal(store)
        return carry_out(store, left, run) if left else None


def pinned(store: Store, contracts: Iterable[Contract]) -> dict[str, int | None]:
    """Return versions of tables that belong together: all before an exchange, or all after it.

    For readers of several tables: ``store.read(contract, pinned(...)[contract.full_name])``.
    """
    wanted = list(contracts)
    while True:
        under_way, mark = journal(store), _mark(store)
        versions = {contract.full_name: store.version(contract) for contract in wanted}
        if under_way is not None:
            return versions | {name: under_way.before[name] for name in versions if name in under_way.before}
        if journal(store) is None and _mark(store) == mark:
            return versions


def _mark(store: Store) -> tuple[str, str] | None:
    done = last(store)
    return (done.id, done.kind) if done else None


def carry_out(store: Store, exchange: Exchange, run: Run) -> Exchange:
    """Make an exchange, from its journal on; the caller holds the lock.

    Parameters
    ----------
    store : Store
        The live tables.
    exchange : Exchange
        What to do, or what is left of it.
    run : Run
        For the ledger's clock.

    Raises
    ------
    CairnError
        TABLE_MOVED when another writer changed `instance` meanwhile; then nothing was exchanged.
    """
    _write(store, JOURNAL, exchange)
    tables = [contract_of(name) for name in exchange.before]
    source = _Source(store, exchange, tables)
    for contract in tables:
        if contract.full_name not in exchange.feed:
            new, old = source.rows(contract), store.read(contract, exchange.before[contract.full_name])
            told, count = write_changes(contract, store.folder(contract), f"{exchange.id}-{exchange.kind}", old, new)
            exchange.feed[contract.full_name], exchange.changed[contract.full_name] = told, count
            _write(store, JOURNAL, exchange)
    tables = [contract for contract in tables if _is_needed(exchange, contract)]
    for contract in tables:
        source.bring(contract)
    try:
        for contract in tables:
            _commit(store, exchange, contract, source.files(contract))
    except CairnError as fault:
        if fault.code == "TABLE_MOVED":  # of the first table: nothing was exchanged
            folder(store).remove(JOURNAL)
        raise
    _exchange_quarantine(store, exchange, source)
    _note(store, exchange, source, run)
    _write(store, LAST, exchange)
    folder(store).remove(JOURNAL)
    source.remove()
    return exchange


def _is_needed(exchange: Exchange, contract: Contract) -> bool:
    """Whether a table says anything else afterwards; if not, its version of before belongs to the set."""
    told = {column.name for column in contract.columns}
    if exchange.changed[contract.full_name] or told & set(UNTOLD):
        return True
    exchange.after[contract.full_name] = exchange.before[contract.full_name]
    return False


def _commit(store: Store, exchange: Exchange, contract: Contract, adds: Sequence[str]) -> None:
    name = contract.full_name
    if name in exchange.after:
        return
    expected = exchange.before[name]
    if contract is not INSTANCE or unchanged_since(store, contract, expected):
        # All but the first table follow from it: what else was written there meanwhile is made again.
        expected = store.version(contract) or 0
    feed = exchange.feed[name]
    version = store.replace_files(contract, adds, feed, exchange.token, exchange.moment, expected)
    exchange.after[name] = store.version(contract) or 0 if version is None else version
    _write(store, JOURNAL, exchange)


def unchanged_since(store: Store, contract: Contract, version: int) -> bool:
    """Whether no row of a table changed after a version; being optimised is no change."""
    return store.version(contract) == version or store.changes(contract, version + 1).isEmpty()


def _exchange_quarantine(store: Store, exchange: Exchange, source: _Source) -> None:
    """Exchange the rows of some stages, row by row: others write the table at any time."""
    if len(exchange.quarantine) == 2:
        return
    if not exchange.quarantine:
        exchange.quarantine = [store.version(QUARANTINE) or 0]
        _write(store, JOURNAL, exchange)
    rows, gone = source.quarantine()
    if not (rows.isEmpty() and gone.isEmpty()):
        store.merge(QUARANTINE, rows, gone)
    exchange.quarantine.append(store.version(QUARANTINE) or 0)
    _write(store, JOURNAL, exchange)


def _note(store: Store, exchange: Exchange, source: _Source, run: Run) -> None:
    """Write the manifest of versions that belong together, and where the incremental jobs go on."""
    manifest = exchange.manifest()
    source.note_runs()
    for job, versions in exchange.ledger.items():
        going_on = Run(f"{exchange.id}-{exchange.kind}-{job}", job, run.clock)
        going_on.versions_read.update(versions if exchange.kind == ROLLBACK else versions | _known(versions, manifest))
        note_done(store, going_on)
    done = Run(f"{exchange.id}-{exchange.kind}", JOB, run.clock)
    done.versions_read.update(exchange.before)
    done.versions_written.update(manifest)
    done.count({f"changed {name}": count for name, count in exchange.changed.items()})
    note_done(store, done)


def _known(versions: Mapping[str, int], manifest: Mapping[str, int]) -> dict[str, int]:
    return {name: manifest[name] for name in versions if name in manifest}


class _Source:
    """Where the rows of an exchange come from: the set beside, or the live tables' own history."""

    def __init__(self, store: Store, exchange: Exchange, tables: Sequence[Contract]) -> None:
        self._store, self._exchange = store, exchange
        self._beside = None
        if exchange.kind == SWAP:
            self._beside = BesideStore(store, exchange.id, (*tables, QUARANTINE))

    def rows(self, contract: Contract) -> DataFrame:
        where = self._beside or self._store
        return where.read(contract, self._exchange.source[contract.full_name])

    def files(self, contract: Contract) -> list[str]:
        where = self._beside or self._store
        return delta_log.files(where.spark, where.location(contract), self._exchange.source[contract.full_name])

    def bring(self, contract: Contract) -> None:
        """Have the files lie in the live table's folder."""
        root, name = self._store.folder(contract), contract.full_name
        if name in self._exchange.after:
            return
        names = [unquote(json.loads(add)["add"]["path"]) for add in self.files(contract)]
        if self._beside is not None:
            there = self._beside.folder(contract)
            vectors = [file for file in there.names() if file.startswith("deletion_vector_")]
            _move(there, root, [*names, *vectors])
        if not all(info.is_file for info in root.filesystem.get_file_info([root.file(file) for file in names])):
            raise CairnError("ROLLBACK_GONE", table=name)

    def quarantine(self) -> tuple[DataFrame, DataFrame]:
        """Return the rows to be put into `quarantine` and the keys of those to be taken out."""
        store, of_stages = self._store, F.col("stage").isin(self._exchange.stages)
        if self._beside is None:
            before, after = self._exchange.source[QUARANTINE.full_name], self._exchange.quarantine[0]
            rows = store.read(QUARANTINE, before).where(of_stages)
            now = store.read(QUARANTINE, after).where(of_stages)
            return rows, now.join(rows, list(QUARANTINE.key), "left_anti")
        rows = self._beside.read(QUARANTINE).where(of_stages)
        kept = store.read(HEADER_BLOB).select("uri")
        mine = store.read(QUARANTINE).where(of_stages).join(kept, "uri", "left_semi")
        return rows, mine.join(rows, list(QUARANTINE.key), "left_anti")

    def note_runs(self) -> None:
        """Take what the set cost into the live ledger, under names of its own."""
        if self._beside is None:
            return
        for contract in (RUN, RUN_BATCH):
            if self._beside.exists(contract):
                self._store.ensure(contract)
                named = F.concat(F.lit("reprocess-"), "job")
                self._store.upsert(contract, self._beside.read(contract).withColumn("job", named), unique=True)

    def remove(self) -> None:
        if self._beside is not None:
            self._beside.remove()


def _move(there: Folder, here: Folder, names: Sequence[str]) -> None:
    """Move files from folder to folder; those that were moved before count as moved."""

    def move(name: str) -> None:
        try:
            there.filesystem.move(there.file(name), here.file(name))
        except FileNotFoundError:
            if not here.exists(name):
                raise CairnError("INTENT_BROKEN", stage=LOCK, run="of the swap", batch=0) from None

    with ThreadPoolExecutor(MOVES) as pool:
        list(pool.map(move, names))
