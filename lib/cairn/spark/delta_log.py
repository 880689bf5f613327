"""Delta's own transaction, reached through py4j: one commit of files that workers wrote.

Only :mod:`cairn.spark.store` uses this. The JVM classes are Delta's public-in-fact API of the pinned version (4.4.0);
tests/spark/test_delta_log.py fails first when an upgrade changes them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pyspark.sql import SparkSession

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


def commit(spark: SparkSession, uri: str, adds: Sequence[str], token: Token, removed: Sequence[str] = ()) -> int | None:
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
    removed : sequence of str
        Files (names relative to the root, without deletion vectors) that leave the table in the same transaction.

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
    gone = [{"remove": {"path": quote(name), "deletionTimestamp": moment, "dataChange": True}} for name in removed]
    others = [json.dumps(action) for action in (*gone, mark)]
    return int(transaction.commit(_actions(spark, [*adds, *others]), _append(spark)))


def table_version(spark: SparkSession, uri: str) -> int:
    """Return the current version of a table."""
    return int(_snapshot(spark, uri).version())


def table_size(spark: SparkSession, uri: str) -> int | None:
    """Return the bytes of a table's files, or None when its log does not say without being read whole."""
    known = _snapshot(spark, uri).sizeInBytesIfKnown()
    return None if known.isEmpty() else int(known.get())


def table_property(spark: SparkSession, uri: str, name: str) -> str | None:
    """Return a property of a table, or None when it is not set."""
    found = _snapshot(spark, uri).metadata().configuration().get(name)
    return None if found.isEmpty() else str(found.get())


def _snapshot(spark: SparkSession, uri: str) -> Any:
    log = _jvm(spark).org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, uri)
    return log.update(False, _none(spark), _none(spark))


def _jvm(spark: SparkSession) -> Any:
    return spark.sparkContext._jvm


def _none(spark: SparkSession) -> Any:
    return getattr(getattr(_jvm(spark), "scala.None$"), "MODULE$")


def _transaction(spark: SparkSession, uri: str) -> Any:
    log = _jvm(spark).org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, uri)
    return log.startTransaction(_none(spark), _none(spark))


def _actions(spark: SparkSession, texts: Sequence[str]) -> Any:
    jvm = _jvm(spark)
    listed = jvm.java.util.ArrayList()
    for text in texts:
        listed.add(jvm.org.apache.spark.sql.delta.actions.Action.fromJson(text))
    return jvm.scala.jdk.javaapi.CollectionConverters.asScala(listed).toSeq()


def _append(spark: SparkSession) -> Any:
    jvm = _jvm(spark)
    write = getattr(jvm.org.apache.spark.sql.delta, "DeltaOperations$Write")
    return write(jvm.org.apache.spark.sql.SaveMode.Append, *[_none(spark)] * WRITE_OPTIONS)
