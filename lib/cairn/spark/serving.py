"""Serving one zone to clients of JDBC (Spark's Thrift server) and Spark Connect, from the session of this process.

Both run in the session in which the zone's tables and views are registered, so that a client finds that zone and no
other by name, and paths are not resolved. A client may still change such settings for itself: what protects a zone
is that the server's user can read no other zone's storage, and can write to none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from cairn.errors import CairnError
from cairn.settings import Settings
from cairn.spark.session import jvm_may_be_gone

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
AUTHENTICATION = "spark.hadoop.hive.server2.authentication"
TOKEN = "SPARK_CONNECT_AUTHENTICATE_TOKEN"


@dataclass(frozen=True)
class Served:
    """Where a zone is served.

    Parameters
    ----------
    host : str
        Address that is listened on.
    jdbc, connect : int
        Ports; 0: not served that way.
    """

    host: str
    jdbc: int
    connect: int

    def lines(self, zone: str) -> list[str]:
        """Return how clients reach it."""
        told = [f"JDBC: jdbc:hive2://{self.host}:{self.jdbc}/{zone}"] if self.jdbc else []
        return told + ([f"Spark Connect: sc://{self.host}:{self.connect}"] if self.connect else [])


def with_servers(settings: Settings, place: Served, scratch: str, environment: Mapping[str, str]) -> Settings:
    """Return settings under which a session can serve.

    Parameters
    ----------
    settings : Settings
        The job's.
    place : Served
        Where to listen.
    scratch : str
        Folder for what Hive's classes write.
    environment : mapping of str to str
        For the token of Spark Connect.

    Raises
    ------
    CairnError
        SERVE_OPEN when others than this machine could reach it, and nobody would be asked who they are.
    """
    conf = settings.spark.conf
    if place.host not in LOOPBACK:
        asks = conf.get(AUTHENTICATION, "NONE").upper() not in ("NONE", "NOSASL")
        if (place.jdbc and not asks) or (place.connect and not environment.get(TOKEN)):
            raise CairnError("SERVE_OPEN", host=place.host)
    chosen = {
        "spark.sql.runSQLOnFiles": "false",
        "spark.hadoop.hive.server2.thrift.port": str(place.jdbc),
        "spark.hadoop.hive.server2.thrift.bind.host": place.host,
        "spark.hadoop.hive.exec.scratchdir": f"{scratch}/hive",
        "spark.hadoop.javax.jdo.option.ConnectionURL": "jdbc:derby:memory:cairn;create=true",
        "spark.connect.grpc.binding.address": place.host,
        "spark.connect.grpc.binding.port": str(place.connect),
    }
    return settings.model_copy(update={"spark": settings.spark.model_copy(update={"conf": chosen | conf})})


class Serving:
    """The servers, while they run.

    Parameters
    ----------
    spark : SparkSession
        Made under :func:`with_servers`.
    place : Served
        Where.
    scratch : str
        Folder for what Hive's classes write.
    """

    def __init__(self, spark: SparkSession, place: Served, scratch: str) -> None:
        jvm: Any = spark.sparkContext._jvm
        self._stops = []
        if place.jdbc:
            jvm.java.lang.System.setProperty("derby.stream.error.file", os.path.join(scratch, "derby.log"))
            server = jvm.org.apache.spark.sql.hive.thriftserver.HiveThriftServer2
            self._stops.append(server.startWithSparkSession(spark._jsparkSession, False).stop)
        if place.connect:
            module = getattr(getattr(jvm.org.apache.spark.sql.connect.service, "SparkConnectService$"), "MODULE$")
            module.start(spark.sparkContext._jsc.sc())
            nothing = getattr(getattr(jvm.scala, "None$"), "MODULE$")
            self._stops.append(lambda: module.stop(nothing, nothing))

    def stop(self) -> None:
        """Stop; clients at work are cut off. Nothing happens when the JVM is gone already."""
        for stop in self._stops:
            with jvm_may_be_gone():
                stop()
