"""Persons and health records on their way into the de-identified zone, under the pseudonyms and shifts of the images.

A column's rule in its contract says what happens to it. A replaced CHI or a local number counts as the person that it
leads to now (`person_alias`), in images and records alike; who opted out stays behind with all numbers. A table that
nobody has changed since the last run is left alone, one that was changed is followed by its change feed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from cairn.deid.free_text import DESCRIPTOR, PROSE
from cairn.pipelines.deidentify_task import Terms
from cairn.spark.changes import changed_keys, is_unchanged
from cairn.spark.fixed import fixed
from cairn.spark.ledger import Run, recorded, versions_read
from cairn.spark.locks import stage_lock
from cairn.spark.store import Store
from cairn.spark.udfs import days_udf, person_udf, scrub_udf, uid_udf
from cairn.tables.contract import Column as ContractColumn
from cairn.tables.contract import Contract
from cairn.tables.deidentified import RECORD_TWINS, RECORDS, VOCABULARIES, VOCABULARY_TWINS
from cairn.tables.person import PERSON, PERSON_ALIAS

JOB = "deidentify-records"
PROSE_COLUMNS = frozenset({"report", "note_text", "comment"})
"""Texts of sentences; others are short descriptors."""

_CHI = r"^(\d{6})[ -]?(\d{4})$"


def number_key(number: Column, issuer: Column) -> Column:
    """Return a person's number as `crossing` and the records name it: ten digits, else issuer, NUL and number.

    The same as :func:`cairn.deid.identity.person_of`, but that the check digit is left to whoever has the number in a
    list.
    """
    plain = F.trim(number)
    return F.when(plain.rlike(_CHI), F.regexp_replace(plain, _CHI, "$1$2")).otherwise(local_key(number, issuer))


def local_key(number: Column, issuer: Column) -> Column:
    """Return issuer, NUL and number, upper case."""
    return F.concat(F.upper(F.trim(F.coalesce(issuer, F.lit("")))), F.lit("\0"), F.upper(F.trim(number)))


def owners(store: Store) -> DataFrame | None:
    """Return whom each number leads to that is not a person's own: ``number_key`` and ``owner``; None without any.

    A local number counts without its issuer too where all issuers that know it mean one person.
    """
    if not store.exists(PERSON_ALIAS) or store.read(PERSON_ALIAS).isEmpty():
        return None
    aliases = store.read(PERSON_ALIAS)
    issuer = F.when(F.col("issuer") != "CHI", F.col("issuer"))
    rows = aliases.select(number_key(F.col("number"), issuer).alias("number_key"), "patient_id")
    anywhere = aliases.where("issuer <> 'CHI'").select(
        number_key(F.col("number"), F.lit("")).alias("number_key"), "patient_id"
    )
    every = rows.unionByName(anywhere).distinct().groupBy("number_key").agg(F.collect_set("patient_id").alias("_of"))
    return every.where(F.size("_of") == 1).select("number_key", F.get("_of", F.lit(0)).alias("owner"))


def with_register(store: Store, terms: Terms) -> Terms:
    """Return the terms with the opt-outs that the register holds, and with those of the list under their number now."""
    out = set(terms.opt_outs)
    known = owners(store)
    if known is not None and out:
        listed = store.spark.createDataFrame([(one,) for one in sorted(out)], "number_key STRING")
        out |= {row["owner"] for row in known.join(F.broadcast(listed), "number_key").select("owner").collect()}
    if store.exists(PERSON):
        out |= {row[0] for row in store.read(PERSON).where("opted_out").select("patient_id").collect()}
    return replace(terms, opt_outs=frozenset(out))


def opted_out(store: Store, terms: Terms) -> DataFrame:
    """Return the persons who opted out, as a frame with ``person``."""
    return store.spark.createDataFrame([(one,) for one in sorted(terms.opt_outs)], "person STRING")


def cross_records(store: Store, run: Run, terms: Terms) -> dict[str, int]:
    """Bring the twins of persons and records up to date.

    Parameters
    ----------
    store : Store
        The tables.
    run : Run
        The run of `deidentify`; the records have a line of their own in the ledger.
    terms : Terms
        Rules, keys, and the opt-outs of list and register (:func:`with_register`).

    Returns
    -------
    dict
        Rows of each twin; empty where no records were loaded.

    Raises
    ------
    CairnError
        CONTRACT_BROKEN.
    """
    present = [source for source in (*RECORDS, *VOCABULARIES) if store.exists(source)]
    if not present:
        return {}
    twins = RECORD_TWINS | VOCABULARY_TWINS
    own = Run(f"{run.id}-records", JOB, run.clock)
    before = versions_read(store, JOB)
    links = [contract for contract in (PERSON, PERSON_ALIAS) if store.exists(contract)]
    under = terms_told(terms)
    lost = {contract.full_name for contract in (PERSON, PERSON_ALIAS) if contract not in links} & before.keys()
    same = under in before and not lost
    same = same and all(is_unchanged(store, contract, before.get(contract.full_name)) for contract in links)
    crossing = Crossing(terms, owners(store), opted_out(store, terms))
    with stage_lock(store.settings, own.job, own), recorded(store, own):
        own.reads(under, 0)
        for contract in links:
            own.reads(contract.full_name, store.version(contract))
        for source in present:
            made, version = twins[source.name], store.version(source)
            assert version is not None  # it exists
            _cross(store, source, made, crossing, before.get(source.full_name) if same else None, version)
            own.reads(source.full_name, version)
            own.writes(made.full_name, store.version(made))
    return {source.name: store.read(twins[source.name]).count() for source in present}


def terms_told(terms: Terms) -> str:
    """Return a name for the terms in the ledger, which tells nobody who opted out."""
    listed = "\n".join(sorted(terms.opt_outs)).encode("utf-8", "surrogateescape")
    fingerprint = terms.pseudonyms().uid(hashlib.sha256(listed).hexdigest())  # under the key: lists can be guessed
    return f"terms {terms.version()} {fingerprint.rpartition('.')[2][:16]}"


def _cross(store: Store, source: Contract, made: Contract, crossing: Crossing, since: int | None, version: int) -> None:
    """Bring one twin up to date: by the changes after version `since`, or as a whole when that is None."""
    store.ensure(made)
    if since == version:
        return
    if source in VOCABULARIES:
        store.replace(made, store.read(source), unique=True)
        return
    key, beyond = source.key[0], made.key[0]
    changed = changed_keys(store, source, since, key)
    if changed is None:
        store.replace(made, crossing.rows(source, made, store.read(source)), unique=True)
        return
    rows = fixed(crossing.rows(source, made, store.read(source).join(changed, key, "left_semi")))
    pseudonym = (person_udf if source is PERSON else uid_udf)(crossing.terms)
    lost = changed.select(pseudonym(key).alias(beyond)).join(rows.select(beyond), beyond, "left_anti")
    store.merge(made, rows, lost)


@dataclass(frozen=True)
class Crossing:
    """How rows of records cross.

    Parameters
    ----------
    terms : Terms
        Rules and keys.
    known : DataFrame or None
        Whom numbers lead to (:func:`owners`).
    out : DataFrame
        Who opted out (:func:`opted_out`).
    """

    terms: Terms
    known: DataFrame | None
    out: DataFrame

    def rows(self, source: Contract, made: Contract, rows: DataFrame) -> DataFrame:
        """Return rows of a table as they stand beyond, without those of persons who opted out."""
        owned = rows.withColumn("person", F.col("patient_id"))
        if self.known is not None:
            lookup = self.known.withColumnRenamed("number_key", "patient_id")
            owned = rows.join(lookup, "patient_id", "left").withColumn("person", F.coalesce("owner", "patient_id"))
        owned = owned.join(F.broadcast(self.out), "person", "left_anti")
        if source is PERSON:
            owned = owned.where("NOT opted_out")
        moved = owned.withColumn("_days", days_udf(self.terms)("person"))
        ruled = (_as_ruled(column, F.col("_days"), self.terms).alias(column.name) for column in made.columns[1:])
        return moved.select(person_udf(self.terms)("person").alias("person_id"), *ruled)


def _as_ruled(column: ContractColumn, days: Column, terms: Terms) -> Column:
    value = F.col(column.name)
    if column.rule == "uid":
        return uid_udf(terms)(value)
    if column.rule == "date":
        is_date = pa.types.is_date(column.type)
        return F.date_add(value, days) if is_date else F.timestamp_add("DAY", days, value)
    if column.rule == "text":
        return scrub_udf(PROSE if column.name in PROSE_COLUMNS else DESCRIPTOR)(value)
    return value
