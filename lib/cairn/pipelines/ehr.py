"""`ehr`: deliveries of health records into typed tables, and the persons that they tell of.

Each new file is read by one worker, which writes typed and quarantined rows to scratch; Spark then decides what stands
after all deliveries, and writes what differs. The order of deliveries does not matter, and loading one again changes
nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import BinaryIO, TextIO, cast

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from cairn.ehr.deliveries import load
from cairn.ehr.persons import PERSONS_RELEASE, person_rows, resolve_aliases
from cairn.ehr.rows import QUARANTINED, Delivery
from cairn.errors import CONDITIONS, CairnError
from cairn.pipelines.ehr_sources import STAGE, Source, by_workers, note_loads, unread
from cairn.spark.fixed import fixed
from cairn.spark.ledger import Run, recorded, versions_read
from cairn.spark.locks import stage_lock
from cairn.spark.reconcile import reconcile
from cairn.spark.schema import schema_sql, sql_type
from cairn.spark.storage import Folder
from cairn.spark.store import Store, spark_schema
from cairn.tables.contract import Contract
from cairn.tables.person import PERSON, PERSON_ALIAS
from cairn.tables.quarantine import QUARANTINE
from cairn.tables.registry import contracts

REGISTER, DEATHS, LOCAL_NUMBER = (
    contracts()[f"identifiable.ehr_{n}"] for n in ("chi_register", "deaths", "local_number")
)


def load_records(
    store: Store, run: Run, scratch: Folder, stream: TextIO, sources: Sequence[Source], again: bool = False
) -> Counter[str]:
    """Load deliveries of one mapping.

    Parameters
    ----------
    store : Store
        The tables.
    run : Run
        Id, clock and counts.
    scratch : Folder
        The run's shared scratch folder.
    stream : text stream
        For progress lines.
    sources : sequence of Source
        Files of one mapping.
    again : bool
        Read files too that are as they were loaded last.

    Returns
    -------
    collections.Counter
        ``read`` = ``typed`` + ``quarantined``, rows; ``unchanged``, files that were not read because they are as they
        were loaded last; ``in_force`` afterwards; findings as ``EHR_… field``.

    Raises
    ------
    CairnError
        MAPPING_COLUMNS, ENTRIES_LOST, as the store.
    """
    mapping = sources[0].mapping
    contract = mapping.contract
    store.ensure(contract, QUARANTINE)
    with stage_lock(store.settings, run.job, run), recorded(store, run):
        new = list(sources) if again else unread(store, sources)
        counts: Counter[str] = Counter(read=0, typed=0, quarantined=0, unchanged=len(sources) - len(new))
        if new:
            counts.update(_load(store, run, scratch, stream, new))
        counts["in_force"] = store.read(contract).count()
        run.count(counts)
        run.writes(contract.full_name, store.version(contract))
    return counts


def _load(store: Store, run: Run, scratch: Folder, stream: TextIO, sources: Sequence[Source]) -> Counter[str]:
    """Read files of one mapping and put their rows into the tables."""
    mapping = sources[0].mapping
    read = _read(store, scratch, sources)
    counts: Counter[str] = Counter()
    for _, of_file, _ in read:
        counts.update(of_file)
    print(f"{STAGE}: {mapping.mapping}: {counts['read']:,} rows read", file=stream, flush=True)
    if counts["read"] != counts["typed"] + counts["quarantined"]:
        raise CairnError(
            "ENTRIES_LOST", stage=STAGE, given=counts["read"], accounted=counts["typed"] + counts["quarantined"]
        )
    _put(store, mapping.contract, _typed(store, mapping.contract, scratch), bool(mapping.key))
    _quarantine(store, run, scratch, sources, counts["quarantined"])
    note_loads(store, run, read)  # last: a run that is killed before it reads them again
    return counts


def _read(store: Store, scratch: Folder, sources: Sequence[Source]) -> list[tuple[Source, dict[str, int], str]]:
    """Have every file read by a worker; return each with its counts and its digest."""
    scratch.child("typed").make()
    scratch.child("quarantined").make()

    def read(number: int, source: Source) -> dict[str, object]:
        digest = source.sha256()  # first: a file that changes while it is read is read again
        return {"number": number, "counts": json.dumps(read_file(source, scratch, number)), "sha256": digest}

    rows = by_workers(store, sources, read, "number BIGINT, counts STRING, sha256 STRING")
    return [(sources[row["number"]], json.loads(row["counts"]), row["sha256"]) for row in rows]


def read_file(source: Source, scratch: Folder, number: int) -> Counter[str]:
    """Read one file and write its rows to scratch; return the counts."""
    folder = Folder(source.folder)
    delivery = Delivery(source.delivery, source.delivered_on)
    schema = source.mapping.contract.arrow_schema
    counts: Counter[str] = Counter()
    name = f"part-{number:05d}.parquet"
    typed, refused = scratch.child("typed"), scratch.child("quarantined")
    refusals = pa.schema([("file", pa.string()), *QUARANTINED])
    with (
        folder.filesystem.open_input_file(folder.file(source.name)) as stream,
        typed.filesystem.open_output_stream(typed.file(name)) as out,
        refused.filesystem.open_output_stream(refused.file(name)) as bad,
        pq.ParquetWriter(out, schema, compression="zstd") as rows,
        pq.ParquetWriter(bad, refusals, compression="zstd") as wrong,
    ):
        for piece in load(cast(BinaryIO, stream), source.mapping, delivery):
            rows.write_table(piece.typed)
            where = pa.array([source.uri] * len(piece.quarantined), pa.string())
            wrong.write_table(piece.quarantined.add_column(0, "file", where).cast(refusals))
            counts["typed"] += len(piece.typed)
            counts["quarantined"] += len(piece.quarantined)
            counts["read"] += len(piece.typed) + len(piece.quarantined)
            counts.update({f"{code} {field}": n for (code, field), n in piece.findings.items()})
    return counts


def _typed(store: Store, contract: Contract, scratch: Folder) -> DataFrame:
    return store.spark.read.schema(spark_schema(contract)).parquet(scratch.child("typed").hadoop_uri)


def _put(store: Store, contract: Contract, new: DataFrame, keyed: bool) -> None:
    """Write what stands after the new deliveries, and take away what only their earlier content said."""
    if not keyed:
        new = _numbered(new)
    names = [column.name for column in contract.columns]
    there, given = store.read(contract), new.select("record_id")
    of_these = new.select("delivery", "delivered_on").distinct()
    earlier = there.join(of_these, ["delivery", "delivered_on"], "left_anti")
    touched = earlier.join(given, "record_id", "left_semi")
    latest = Window.partitionBy("record_id").orderBy(
        F.desc("delivered_on"), F.desc("delivery"), F.desc("delivery_row")
    )  # fmt: skip
    said = new.select(*names).unionByName(touched.select(*names))
    standing = said.withColumn("_rank", F.row_number().over(latest)).where("_rank = 1").drop("_rank")
    before = there.join(of_these, ["delivery", "delivered_on"], "left_semi").select("record_id")
    store.merge(contract, standing, before.join(given, "record_id", "left_anti"))


def _numbered(rows: DataFrame) -> DataFrame:
    """Return rows whose ids tell equal rows of one delivery apart, as :func:`cairn.ehr.deliveries.in_force` does."""
    equal = Window.partitionBy("record_id", "delivery").orderBy("delivery_row")
    numbered = rows.withColumn("_repeat", F.row_number().over(equal))
    suffixed = F.concat(F.col("record_id"), F.lit("-"), F.col("_repeat"))
    return numbered.withColumn("record_id", F.when(F.col("_repeat") > 1, suffixed).otherwise(F.col("record_id"))).drop(
        "_repeat"
    )


def _quarantine(store: Store, run: Run, scratch: Folder, sources: Sequence[Source], refusals: int) -> None:
    """Make the quarantined rows of these files those of this load; a row's address is its file's and its number."""
    fields = ", ".join(f"{f.name} {sql_type(f.type)}" for f in [pa.field("file", pa.string()), *QUARANTINED])
    refused = store.spark.read.schema(fields).parquet(scratch.child("quarantined").hadoop_uri)
    told = store.spark.createDataFrame(
        [(code, condition.message) for code, condition in CONDITIONS.items()], "code STRING, message STRING"
    )
    dates = store.spark.createDataFrame(
        [(s.uri, s.delivered_on.isoformat()) for s in sources], "file STRING, on STRING"
    )
    rows = refused.join(F.broadcast(told), "code", "left").join(F.broadcast(dates), "file").select(
        F.concat("file", F.lit("#row="), "row").alias("uri"), F.lit(STAGE).alias("stage"),
        F.col("on").alias("content_version"), "code", "message", F.col("field").alias("detail"),
        F.lit(None).cast("bigint").alias("file_size"), F.lit(None).cast("string").alias("algorithm_version"),
        F.lit(run.id).alias("run"),
    )  # fmt: skip
    of_file = F.regexp_replace("uri", r"#row=\d+$", "")
    there = store.read(QUARANTINE).where(F.col("stage") == STAGE).withColumn("file", of_file)
    stale = there.join(F.broadcast(dates), "file", "left_semi").join(rows.select("uri"), "uri", "left_anti")
    if refusals or not stale.isEmpty():
        store.merge(QUARANTINE, rows, stale.select("uri", "stage"), ignore=("run",))


def refresh_persons(store: Store, run: Run) -> Counter[str]:
    """Make `person` and `person_alias` out of the register, the deaths and the local numbers, if any of them changed.

    Parameters
    ----------
    store : Store
        The tables.
    run : Run
        The run of `ehr`; the persons have a line of their own in the ledger.

    Returns
    -------
    collections.Counter
        ``persons``, ``aliases``, and, when they were made anew, numbers in a circle as ``EHR_ALIAS_LOOP``.
    """
    counts: Counter[str] = Counter()
    if not store.exists(REGISTER):
        return counts
    store.ensure(PERSON, PERSON_ALIAS, DEATHS, LOCAL_NUMBER)
    own = Run(f"{run.id}-persons", f"{STAGE}-persons", run.clock)
    with stage_lock(store.settings, run.job, run), recorded(store, own):
        under = f"persons r{PERSONS_RELEASE}"
        if versions_read(store, own.job) != {under: 0, **_versions(store)}:
            counts.update(_refresh(store))
        counts.update(persons=store.read(PERSON).count(), aliases=store.read(PERSON_ALIAS).count())
        own.count(counts)
        own.versions_read = {under: 0, **_versions(store)}
        for contract in (PERSON, PERSON_ALIAS):
            own.writes(contract.full_name, store.version(contract))
    return counts


def _versions(store: Store) -> dict[str, int]:
    """Return the versions of what persons are made of, and of themselves."""
    involved = (REGISTER, DEATHS, LOCAL_NUMBER, PERSON, PERSON_ALIAS)
    return {contract.full_name: store.version(contract) or 0 for contract in involved}


def _refresh(store: Store) -> dict[str, int]:
    """Make persons and aliases; return the numbers in a circle."""
    register = store.read(REGISTER)
    # Replaced numbers are few among millions; following their chains is no join.
    pairs = register.where("current_chi IS NOT NULL AND current_chi <> patient_id").select("patient_id", "current_chi")
    aliases, loops = resolve_aliases((row[0], row[1]) for row in pairs.distinct().collect())
    owners = store.spark.createDataFrame(list(aliases.items()) or [("", "")], "patient_id STRING, owner STRING")
    reconcile(store, PERSON, fixed(_persons(store, register, store.read(DEATHS), owners)))
    reconcile(store, PERSON_ALIAS, fixed(_aliases(store, owners)))
    return {"EHR_ALIAS_LOOP": len(loops)}


def _owned(rows: DataFrame, owners: DataFrame) -> DataFrame:
    return rows.join(F.broadcast(owners), "patient_id", "left").withColumn("owner", F.coalesce("owner", "patient_id"))


def _persons(store: Store, register: DataFrame, deaths: DataFrame, owners: DataFrame) -> DataFrame:
    told = ("owner", "patient_id", "sex", "birth_date", "board", "simd_quintile", "death_date", "registered_from",
            "registered_to", "opted_out", "current_record", "address_changed")  # fmt: skip
    died = _owned(deaths, owners).select("owner", "patient_id", "death_date", "underlying_cause")
    by_owner = _owned(register, owners).select(*told).groupBy("owner").cogroup(died.groupBy("owner"))
    return by_owner.applyInArrow(_person_of, schema_sql(PERSON).replace(" NOT NULL", ""))


def _person_of(register: pa.Table, deaths: pa.Table) -> pa.Table:
    own = register.to_pylist()
    aliases = {row["patient_id"]: row["owner"] for row in own if row["patient_id"] != row["owner"]}
    dead = deaths.to_pylist()
    aliases |= {row["patient_id"]: row["owner"] for row in dead if row["patient_id"] != row["owner"]}
    schema = pa.schema([pa.field(f.name, f.type) for f in PERSON.arrow_schema])
    return pa.Table.from_pylist(person_rows(own, dead, aliases), schema)


def _aliases(store: Store, owners: DataFrame) -> DataFrame:
    replaced = owners.where("patient_id <> ''").select(
        F.lit("CHI").alias("issuer"), F.col("patient_id").alias("number"), F.col("owner").alias("patient_id"),
        F.lit("register").alias("basis"),
    )  # fmt: skip
    local = _owned(store.read(LOCAL_NUMBER).where("patient_id_verdict = 'VALID'"), owners).select(
        F.upper(F.trim("issuer")).alias("issuer"), F.upper(F.trim("local_number")).alias("number"),
        F.col("owner").alias("patient_id"), F.lit("local_number").alias("basis"),
    )  # fmt: skip
    # A number that an issuer gave to several people is nobody's.
    single = local.groupBy("issuer", "number", "basis").agg(F.collect_set("patient_id").alias("owners"))
    single = single.where(F.size("owners") == 1).select(
        "issuer", "number", F.get("owners", F.lit(0)).alias("patient_id"), "basis"
    )
    return replaced.unionByName(single)
