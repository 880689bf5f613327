"""The store: the only code that writes Delta.

Two ways in: DataFrames (:meth:`Store.append`, :meth:`Store.upsert`, :meth:`Store.delete_keys`), and Parquet files that
workers wrote from Arrow, committed in one transaction (:meth:`Store.commit_files`). Both refuse what breaks the
contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from cairn.errors import CairnError
from cairn.settings import Settings
from cairn.spark import delta_log, evolution
from cairn.spark.checks import guarded_column, has_repeated_keys, schema_fault
from cairn.spark.delta_log import Token
from cairn.spark.schema import (
    FINGERPRINT,
    create_schema_sql,
    create_table_sql,
    fingerprint,
    is_required,
    literal,
    quoted,
    schema_sql,
)
from cairn.spark.storage import Folder
from cairn.spark.worker_files import write_file
from cairn.tables.contract import Contract

MAKER = {
    "archive_entry": "inventory",
    "instance": "headers",
    "header_blob": "headers",
    "series": "series",
    "study": "series",
    "pixel_statistics": "pixels",
    "text_search": "pixels",
    "burned_in_text": "pixels",
    "crossing": "deidentify",
    "person": "ehr",
    "person_alias": "ehr",
    "cohort": "cohort",
    "cohort_member": "cohort",
    "attrition": "cohort",
    "quality": "quality",
    "extract": "extract",
    "extract_item": "extract",
    "withdrawal": "withdraw",
}
"""Job that makes each table."""


GONE = "_gone"


def maker(zone: str, table: str) -> str:
    """Return the job, or jobs, that make a table: what to run when it is missing."""
    job = MAKER.get(table) or ("ehr" if table.startswith("ehr_") else "the job that makes it")
    if zone == "deidentified" and job not in ("cohort", "quality"):
        return "ehr and deidentify" if job == "ehr" else "deidentify"
    return job


class Store:
    """Tables of all zones, by their contracts.

    Parameters
    ----------
    spark : SparkSession
        A session made by :func:`cairn.spark.session.build`.
    settings : Settings
        Says where the zones lie.
    """

    def __init__(self, spark: SparkSession, settings: Settings) -> None:
        self.spark = spark
        self.settings = settings

    def folder(self, contract: Contract) -> Folder:
        """Return the root folder of a table."""
        return Folder(self.settings.zone_root(contract.zone)).child(contract.name)

    def location(self, contract: Contract) -> str:
        """Return the root of a table as Hadoop takes it."""
        return self.folder(contract).hadoop_uri

    def exists(self, contract: Contract) -> bool:
        """Whether the table has been created."""
        return self.folder(contract).exists("_delta_log")

    def ensure(self, *contracts: Contract) -> None:
        """Create the tables that are missing and bring the others up to their contracts.

        New columns are added (a column new to an old table is nullable in Delta; the writers still refuse NULL in it);
        comments, clustering and properties follow the contract. A column that changed its type is refused.

        Raises
        ------
        CairnError
            CONTRACT_BROKEN when a table cannot follow its contract.
        """
        for contract in contracts:
            Folder(self.settings.zone_root(contract.zone)).make()
            if not self.spark.catalog.databaseExists(contract.zone):
                self.spark.sql(create_schema_sql(contract.zone))
            if self.exists(contract):
                self.register(contract)
                followed = delta_log.table_property(self.spark, self.location(contract), FINGERPRINT)
                if followed != fingerprint(contract):
                    evolution.follow(self.spark, contract)
            else:
                self.spark.sql(create_table_sql(contract, self.location(contract)))

    def register(self, contract: Contract) -> None:
        """Make an existing table known to this session's catalog as ``zone.name``."""
        if not self.spark.catalog.tableExists(contract.full_name):
            self.spark.sql(f"CREATE TABLE {contract.full_name} USING DELTA LOCATION {literal(self.location(contract))}")

    def read(self, contract: Contract, version: int | None = None) -> DataFrame:
        """Return a table, as it is now or as it was at a version.

        Raises
        ------
        CairnError
            TABLE_MISSING.
        """
        if not self.exists(contract):
            raise CairnError("TABLE_MISSING", table=contract.full_name, job=maker(contract.zone, contract.name))
        reader = self.spark.read.format("delta")
        if version is not None:
            reader = reader.option("versionAsOf", version)
        return reader.load(self.location(contract))

    def changes(self, contract: Contract, since: int) -> DataFrame:
        """Return the table's change data feed from version `since` on (inclusive)."""
        reader = self.spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", since)
        return reader.load(self.location(contract))

    def version(self, contract: Contract) -> int | None:
        """Return the table's current version, or None when it does not exist."""
        if not self.exists(contract):
            return None
        return delta_log.table_version(self.spark, self.location(contract))

    def table_id(self, contract: Contract) -> str:
        """Return the id of an existing table: the same for all of its versions, another one when it is made anew."""
        return delta_log.table_id(self.spark, self.location(contract))

    def size(self, contract: Contract) -> int | None:
        """Return the bytes of a table's files, as far as its log tells at once."""
        return delta_log.table_size(self.spark, self.location(contract))

    def is_empty(self, contract: Contract) -> bool:
        """Whether an existing table has no files, as its log tells at once; False also where it does not."""
        return delta_log.file_count(self.spark, self.location(contract)) == 0

    def append(self, contract: Contract, frame: DataFrame, token: Token | None = None, unique: bool = False) -> None:
        """Append rows.

        Parameters
        ----------
        contract : Contract
            The table; it must exist (:meth:`ensure`).
        frame : DataFrame
            Columns of the contract, in any order.
        token : Token, optional
            With it, a write that was made already is skipped.
        unique : bool
            The caller guarantees that the frame's keys are unique; otherwise that is checked, at the cost of a shuffle.
            Keys against the table are the caller's part (:meth:`upsert` looks at them).

        Raises
        ------
        CairnError
            CONTRACT_BROKEN; nothing is written.
        """
        self._write(contract, self._checked(contract, frame, unique), "append", token)

    def upsert(self, contract: Contract, frame: DataFrame, unique: bool = False, ignore: Sequence[str] = ()) -> None:
        """Insert rows whose key is new and update those that differ; equal rows are not touched.

        Parameters
        ----------
        contract : Contract
            The table.
        frame : DataFrame
            Columns of the contract, in any order.
        unique : bool
            The caller guarantees unique keys.
        ignore : sequence of str
            Columns whose difference alone is no change, e.g. ``run``. VARIANT and MAP columns cannot be compared and
            never count as a difference: let a hash or version column speak for them.
        """
        checked = self._checked(contract, frame, unique)
        if self.is_empty(contract):
            self._write(contract, checked, "append")
            return
        columns = [c.name for c in contract.columns if c.name not in contract.key]
        compared = [name for name in columns if name not in ignore and _comparable(contract, name)]
        differs = " OR ".join(f"NOT (t.{quoted(n)} <=> s.{quoted(n)})" for n in compared) or "false"
        merge = self._merge_into(contract, checked)
        if columns:
            merge = merge.whenMatchedUpdate(condition=differs, set={quoted(n): f"s.{quoted(n)}" for n in columns})
        values = {quoted(c.name): f"s.{quoted(c.name)}" for c in contract.columns}
        self._guarded(contract, lambda: merge.whenNotMatchedInsert(values=values).execute())

    def update(self, contract: Contract, frame: DataFrame) -> None:
        """Set some columns of rows that are there; a key that the table lacks changes nothing.

        Parameters
        ----------
        contract : Contract
            The table.
        frame : DataFrame
            The key columns, unique, and those to set.
        """
        columns = {quoted(name): f"s.{quoted(name)}" for name in frame.columns if name not in contract.key}
        merge = self._merge_into(contract, frame).whenMatchedUpdate(set=columns)
        self._guarded(contract, lambda: merge.execute())

    def merge(self, contract: Contract, rows: DataFrame, gone: DataFrame, ignore: Sequence[str] = ()) -> None:
        """Insert or update some rows and delete others, in one commit; doing it twice changes nothing.

        Parameters
        ----------
        contract : Contract
            The table.
        rows : DataFrame
            Columns of the contract, in any order; unique keys. Equal rows are not touched; VARIANT and MAP count by
            their JSON.
        gone : DataFrame
            Keys of the rows to be deleted, none of them among `rows`.
        ignore : sequence of str
            Columns whose difference alone is no change.
        """
        checked = self._checked(contract, rows, unique=True)
        if self.is_empty(contract):
            self._write(contract, checked, "append")
            return
        marked = checked.withColumn(GONE, F.lit(False))
        deleted = gone.select(*contract.key).distinct().withColumn(GONE, F.lit(True))
        columns = [c.name for c in contract.columns if c.name not in contract.key]
        differs = " OR ".join(
            f"NOT ({_compared(contract, 't', n)} <=> {_compared(contract, 's', n)})" for n in columns if n not in ignore
        )
        values = {quoted(c.name): f"s.{quoted(c.name)}" for c in contract.columns}
        changed = {quoted(name): f"s.{quoted(name)}" for name in columns}
        merge = self._merge_into(contract, marked.unionByName(deleted, allowMissingColumns=True))
        merge = merge.whenMatchedDelete(f"s.{GONE}").whenMatchedUpdate(condition=differs, set=changed)
        self._guarded(contract, lambda: merge.whenNotMatchedInsert(f"NOT s.{GONE}", values=values).execute())

    def replace_files(
        self, contract: Contract, adds: Sequence[str], feed: Sequence[str], token: Token, moment: int, expected: int
    ) -> int | None:
        """Have a table consist of other files from one commit to the next (:func:`cairn.spark.delta_log.replace`).

        Raises
        ------
        CairnError
            TABLE_MOVED when another writer was quicker; nothing was done.
        """
        version = delta_log.replace(self.spark, self.location(contract), adds, feed, token, moment, expected)
        if version == -1:
            raise CairnError("TABLE_MOVED", table=contract.full_name)
        return version

    def delete_keys(self, contract: Contract, keys: DataFrame, on: Sequence[str] = ()) -> None:
        """Delete the rows whose `on` columns (the key unless given) occur in `keys`; doing it twice changes nothing."""
        if self.is_empty(contract):
            return
        names = list(on or contract.key)
        merge = self._merge_into(contract, keys.select(*names).distinct(), names)
        merge.whenMatchedDelete().execute()

    def replace(self, contract: Contract, frame: DataFrame, token: Token | None = None, unique: bool = False) -> None:
        """Replace all rows of a table in one commit; earlier versions stay reachable."""
        checked = self._checked(contract, frame, unique)
        if self.is_empty(contract):
            self._write(contract, checked, "append", token)
            return
        self._write(contract, checked, "overwrite", token)
        self.cluster(contract)  # Delta 4.4 takes the clustering off a table that is overwritten, in every way to do it

    def cluster(self, contract: Contract) -> None:
        """Cluster a table by its contract's columns, when it is not: what is written from now on, and by OPTIMIZE."""
        if contract.clustered_by:
            evolution.follow_clustering(self.spark, f"delta.{quoted(self.location(contract))}", contract)

    def commit_files(self, contract: Contract, adds: Sequence[str], token: Token) -> int | None:
        """Commit Parquet files that lie in the table's folder, in one transaction.

        Parameters
        ----------
        contract : Contract
            The table.
        adds : sequence of str
            What :func:`cairn.spark.worker_files.write_file` returned.
        token : Token
            A commit with a token that the table has seen is skipped.

        Returns
        -------
        int or None
            The new version; None when the token was there already.
        """
        return delta_log.commit(self.spark, self.location(contract), adds, token)

    def append_rows(
        self,
        contract: Contract,
        rows: Sequence[dict[str, object]],
        token: Token,
        modified: int,
        instead_of: Token | None = None,
    ) -> int | None:
        """Append a few rows from the driver, without a Spark job.

        Parameters
        ----------
        contract : Contract
            The table.
        rows : sequence of dict
            Column name to value.
        token : Token
            As in :meth:`commit_files`; its application id and version must be unique in the table.
        modified : int
            Milliseconds since the epoch.
        instead_of : Token, optional
            The rows that were appended with this token leave the table in the same transaction. Their file must still
            be in the table as it was written (:meth:`is_untouched`).
        """
        as_pairs = [{n: list(v.items()) if isinstance(v, dict) else v for n, v in row.items()} for row in rows]
        table = pa.Table.from_pylist(as_pairs, schema=contract.arrow_schema)
        add = write_file(contract, table, self.folder(contract), _file_of(token), modified)
        gone = _file_of(instead_of) if instead_of else ""
        removed = {gone: self.folder(contract).size(gone)} if gone else {}
        return delta_log.commit(self.spark, self.location(contract), [add], token, removed)

    def is_untouched(self, contract: Contract, token: Token, version: int) -> bool:
        """Whether the file that :meth:`append_rows` wrote with a token, as a version, still is in the table as it was.

        Told by what the log says since, without a query: no commit names the file. False also where the log does not
        reach back any more.
        """
        log, name = self.folder(contract).child("_delta_log"), quote(_file_of(token)).encode()
        for later in range(version + 1, (self.version(contract) or 0) + 1):
            try:
                entry = log.read(f"{later:020d}.json")
            except FileNotFoundError:
                return False
            if name in entry:
                return False
        return True

    def _write(self, contract: Contract, checked: DataFrame, mode: str, token: Token | None = None) -> None:
        writer = checked.write.format("delta").mode(mode)
        if token is not None:
            writer = writer.option("txnAppId", token.application).option("txnVersion", token.version)
        self._guarded(contract, lambda: writer.save(self.location(contract)))

    def _checked(self, contract: Contract, frame: DataFrame, unique: bool) -> DataFrame:
        if why := schema_fault(frame.schema, spark_schema(contract)):
            raise CairnError("CONTRACT_BROKEN", table=contract.full_name, why=why)
        ordered = frame.select(*[quoted(c.name) for c in contract.columns])
        if not unique and has_repeated_keys(ordered, contract.key):
            raise CairnError(
                "CONTRACT_BROKEN", table=contract.full_name, why=f"({', '.join(contract.key)}) is not unique"
            )
        # In one projection: each further one has Spark analyse the whole plan again.
        return ordered.select(*(guarded_column(c.name, is_required(contract, c)) for c in contract.columns))

    def _merge_into(self, contract: Contract, source: DataFrame, on: Sequence[str] = ()):  # type: ignore[no-untyped-def]
        from delta.tables import DeltaTable

        condition = " AND ".join(f"t.{quoted(n)} = s.{quoted(n)}" for n in on or contract.key)
        target = DeltaTable.forPath(self.spark, self.location(contract)).alias("t")
        return target.merge(source.alias("s"), condition)

    def _guarded(self, contract: Contract, write) -> None:  # type: ignore[no-untyped-def]
        """Run a write; a refusal that Spark raised while writing becomes CONTRACT_BROKEN."""
        from py4j.protocol import Py4JJavaError
        from pyspark.errors import PySparkException

        try:
            write()
        except (Py4JJavaError, PySparkException) as fault:
            text = str(fault)
            if "[CONTRACT_BROKEN] NULL in column " in text:
                column = text.split("[CONTRACT_BROKEN] NULL in column ")[1].split()[0].strip("'\".")
                raise CairnError("CONTRACT_BROKEN", table=contract.full_name, why=f"NULL in column {column}") from None
            raise


def spark_schema(contract: Contract) -> StructType:
    """Return the contract's schema as Spark has it."""
    schema = StructType.fromDDL(schema_sql(contract))
    assert isinstance(schema, StructType)
    return schema


def _file_of(token: Token) -> str:
    return f"part-{token.application.replace('/', '-')}-{token.version}.zstd.parquet"


def _comparable(contract: Contract, name: str) -> bool:
    column = contract.column(name)
    return not (column.is_variant or pa.types.is_map(column.type))


def _compared(contract: Contract, side: str, name: str) -> str:
    value = f"{side}.{quoted(name)}"
    return value if _comparable(contract, name) else f"to_json({value})"
