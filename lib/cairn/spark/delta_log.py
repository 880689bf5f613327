"""Delta's own transaction, reached through py4j: one commit of files that workers wrote.

Only :mod:`cairn.spark.store` uses this. The JVM classes are Delta's public-in-fact API of the pinned version (4.4.0);
tests/spark/test_delta_log.py fails first when an upgrade changes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pyspark.sql import DataFrame, SparkSession

WRITE_OPTIONS = 8
"""Options of DeltaOperations.Write after the save mode, all left at None."""


@dataclass(frozen=True)
class Token:
    """What makes a write idempotent: Delta keeps the last version of each application id in its log.

    Parameters
    ----------
    application : str
        Who writes, e.g. stage and run.
    version : int
        Rises with each write of that application; a write whose version is not above the last one is known already.
    """

    application: str
    version: int


def last_version(spark: SparkSession, uri: str, application: str) -> int:
    """Return the last committed token version of an application id in a table; -1 when there is none."""
    return int(_transaction(spark, uri).txnVersion(application))


def commit(
    spark: SparkSession, uri: str, adds: Sequence[str], token: Token, removed: Mapping[str, int] | None = None
) -> int | None:
    """Commit files in one transaction, with the token.

    Parameters
    ----------
    spark : SparkSession
        The session.
    uri : str
        The table's root as Hadoop takes it.
    adds : sequence of str
        ``add`` actions as JSON, as :mod:`cairn.spark.worker_files` returns them.
    token : Token
        Recognises a commit that was made already, also by a run that was killed right after it.
    removed : dict of str to int, optional
        Files (names relative to the root, without deletion vectors), with their bytes, that leave the table in the same
        transaction. Without the bytes Delta would count the whole table's anew.

    Returns
    -------
    int or None
        The table's new version, or None when the token was committed before and nothing is done.
    """
    transaction = _transaction(spark, uri)
    if transaction.txnVersion(token.application) >= token.version:
        return None
    moment = max((json.loads(add)["add"]["modificationTime"] for add in adds), default=0)
    mark = {"txn": {"appId": token.application, "version": token.version, "lastUpdated": moment}}
    gone: list[dict[str, object]] = [
        {"remove": {"path": quote(name), "deletionTimestamp": moment, "dataChange": True, "extendedFileMetadata": True,
                    "partitionValues": {}, "size": size}}
        for name, size in (removed or {}).items()
    ]  # fmt: skip
    others = [json.dumps(action) for action in (*gone, mark)]
    return int(transaction.commit(_actions(spark, [*adds, *others]), _write(spark, "Append")))


def files(spark: SparkSession, uri: str, version: int | None = None) -> list[str]:
    """Return the ``add`` actions, as JSON, of the files that a table consists of, now or at a version."""
    snapshot = (
        _snapshot(spark, uri)
        if version is None
        else _log(spark, uri).getSnapshotAt(version, *[_none(spark)] * 2, False)
    )
    return [file.json() for file in snapshot.allFiles().collectAsList()]


def replace(
    spark: SparkSession, uri: str, adds: Sequence[str], feed: Sequence[str], token: Token, moment: int, expected: int
) -> int | None:
    """Have a table consist of other files from one commit to the next; schema, comments and clustering stay.

    Parameters
    ----------
    spark : SparkSession
        The session.
    uri : str
        The table's root as Hadoop takes it.
    adds : sequence of str
        ``add`` actions as JSON of all files that it shall consist of.
    feed : sequence of str
        ``cdc`` actions as JSON: what the commit changes for readers of the change data feed. At least one, of an empty
        file where nothing changed; without any the feed would tell of all rows twice.
    token : Token
        Recognises the commit.
    moment : int
        Milliseconds since the epoch.
    expected : int
        The version that is replaced.

    Returns
    -------
    int or None
        The new version; None when the token was committed before. -1 when the table is not at the expected version any
        more, and nothing was done.
    """
    transaction = _transaction(spark, uri)
    if transaction.txnVersion(token.application) >= token.version:
        return None
    if int(transaction.readVersion()) != expected:
        return -1
    transaction.readWholeTable()  # whatever another writer commits meanwhile is a conflict
    gone = [file.removeWithTimestamp(moment, True).json() for file in transaction.snapshot().allFiles().collectAsList()]
    new = [json.dumps({"add": {**json.loads(add)["add"], "dataChange": True}}) for add in adds]
    mark = json.dumps({"txn": {"appId": token.application, "version": token.version, "lastUpdated": moment}})
    return int(transaction.commit(_actions(spark, [*gone, *new, *feed, mark]), _write(spark, "Overwrite")))


def table_version(spark: SparkSession, uri: str) -> int:
    """Return the current version of a table."""
    return int(_snapshot(spark, uri).version())


def table_id(spark: SparkSession, uri: str) -> str:
    """Return the id that Delta gave to a table when it was made; a table made anew has another one."""
    return str(_snapshot(spark, uri).metadata().id())


def table_size(spark: SparkSession, uri: str) -> int | None:
    """Return the bytes of a table's files, or None when its log does not say without being read whole."""
    return _told(spark, uri, "tableSizeBytes")


def file_count(spark: SparkSession, uri: str) -> int | None:
    """Return the number of a table's files, or None when its log does not say without being read whole."""
    return _told(spark, uri, "numFiles")


def _told(spark: SparkSession, uri: str, name: str) -> int | None:
    """Return what the checksum file of the current version tells; what the snapshot tells takes a query."""
    checksum = _snapshot(spark, uri).checksumOpt()
    return None if checksum.isEmpty() else int(getattr(checksum.get(), name)())


def table_property(spark: SparkSession, uri: str, name: str) -> str | None:
    """Return a property of a table, or None when it is not set."""
    found = _snapshot(spark, uri).metadata().configuration().get(name)
    return None if found.isEmpty() else str(found.get())


def file_rows(spark: SparkSession, uri: str) -> DataFrame:
    """Return the files of a table's current version as its log has them: ``path``, ``size``, ``deletionVector`` …"""
    return DataFrame(_snapshot(spark, uri).allFiles().toDF(), spark)


def forget_entries(spark: SparkSession, uri: str) -> None:
    """Write a checkpoint and remove the entries of the log before it."""
    log, snapshot = _log(spark, uri), _snapshot(spark, uri)
    log.checkpoint(snapshot, _none(spark))
    granularity = getattr(getattr(_jvm(spark).org.apache.spark.sql.delta, "TruncationGranularity$"), "MODULE$").HOUR()
    log.cleanUpExpiredLogs(snapshot, _none(spark), _jvm(spark).scala.Some(KEEP_NOTHING), granularity)


KEEP_NOTHING = -(1 << 40)
"""Milliseconds; 35 years from now on all entries are older than the retention. Smaller numbers reach Java as int."""


def _log(spark: SparkSession, uri: str) -> Any:
    return _jvm(spark).org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, uri)


def _snapshot(spark: SparkSession, uri: str) -> Any:
    return _log(spark, uri).update(False, _none(spark), _none(spark))


def _jvm(spark: SparkSession) -> Any:
    return spark.sparkContext._jvm


def _none(spark: SparkSession) -> Any:
    return getattr(getattr(_jvm(spark), "scala.None$"), "MODULE$")


def _transaction(spark: SparkSession, uri: str) -> Any:
    return _log(spark, uri).startTransaction(_none(spark), _none(spark))


def _actions(spark: SparkSession, texts: Sequence[str]) -> Any:
    jvm = _jvm(spark)
    listed = jvm.java.util.ArrayList()
    for text in texts:
        listed.add(jvm.org.apache.spark.sql.delta.actions.Action.fromJson(text))
    return jvm.scala.jdk.javaapi.CollectionConverters.asScala(listed).toSeq()


def _write(spark: SparkSession, mode: str) -> Any:
    jvm = _jvm(spark)
    write = getattr(jvm.org.apache.spark.sql.delta, "DeltaOperations$Write")
    return write(getattr(jvm.org.apache.spark.sql.SaveMode, mode), *[_none(spark)] * WRITE_OPTIONS)
