"""Quality checks: count what the suites ask for, let great-expectations judge it, keep the verdicts for trends.

A table is not judged again while nothing that its suite reads has changed: its last verdicts stand.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from pyspark.sql import Row
from pyspark.sql import functions as F

from cairn.errors import CairnError, nearest
from cairn.quality.conditions import pass_of
from cairn.quality.judging import judge, judge_zone
from cairn.quality.measures import Measures
from cairn.quality.verdict import Baseline, Limits, Verdict
from cairn.settings import ZONES
from cairn.spark.delta_log import Token
from cairn.spark.ledger import Run, recorded
from cairn.spark.locks import stage_lock
from cairn.spark.measuring import measured
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.contract import Contract
from cairn.tables.quality import ERROR, Related, Suite
from cairn.tables.quality_result import DEIDENTIFIED_QUALITY, QUALITY
from cairn.tables.quality_suites import suites
from cairn.tables.registry import contracts

JOB = "quality"
RESULTS = {"identifiable": QUALITY, "deidentified": DEIDENTIFIED_QUALITY}
SHOWN = 5


@dataclass(frozen=True)
class Checked:
    """The verdicts of one check.

    Attributes
    ----------
    verdicts : tuple of Verdict
        All of them, those that stand from an earlier run too.
    judged, standing : int
        Tables that were judged now, and those whose verdicts stand.
    """

    verdicts: tuple[Verdict, ...]
    judged: int
    standing: int

    @property
    def closing(self) -> list[Verdict]:
        """Failures that keep data from crossing."""
        return [one for one in self.verdicts if one.closes]

    @property
    def failed(self) -> list[Verdict]:
        """All failures."""
        return [one for one in self.verdicts if not one.success]

    def counts(self) -> dict[str, int]:
        """Return all of it for a JSON line."""
        return {
            "tables": self.judged + self.standing,
            "standing": self.standing,
            "expectations": len(self.verdicts),
            "errors": len(self.closing),
            "warnings": len(self.failed) - len(self.closing),
        }

    def lines(self) -> list[str]:
        """Return it in words: the failures, and a line of counts."""
        told = [f"{one.severity}: {one.table}: {one.told}" for one in self.failed]
        counts = self.counts()
        return [
            *told,
            f"{counts['expectations']:,} expectations of {counts['tables']} tables "
            f"({counts['standing']} unchanged since they were judged): {counts['errors']} errors, "
            f"{counts['warnings']} warnings",
        ]


def refuse_closed(checked: Checked, stage: str) -> None:
    """Raise QUALITY_GATE_CLOSED when an expectation failed whose severity is ``error``."""
    closing = checked.closing
    if closing:
        told = [f"{one.table} {one.expectation} {one.column or one.scope}".rstrip() for one in closing[:SHOWN]]
        more = [f"{len(closing) - SHOWN} more"] if len(closing) > SHOWN else []
        raise CairnError("QUALITY_GATE_CLOSED", stage=stage, count=len(closing), told="; ".join(told + more))


def named(tables: Sequence[str], zone: str = "") -> tuple[str, ...]:
    """Return full names of tables with a suite.

    Parameters
    ----------
    tables : sequence of str
        Names, with or without their zone; empty: every table.
    zone : str
        Only those of one zone.

    Raises
    ------
    CairnError
        QUALITY_NO_SUITE.
    """
    of_zone = [name for name in suites() if not zone or name.startswith(f"{zone}.")]
    for table in tables:
        if not any(_is(name, table) for name in of_zone):
            raise CairnError("QUALITY_NO_SUITE", name=table, nearest=nearest(table, of_zone))
    return tuple(name for name in of_zone if not tables or any(_is(name, table) for table in tables))


def _is(name: str, given: str) -> bool:
    return given in (name, name.partition(".")[2])


def check(
    store: Store,
    run: Run,
    names: Sequence[str],
    zones: Sequence[str] = (),
    accept: bool = False,
    against: Store | None = None,
) -> Checked:
    """Check tables.

    Parameters
    ----------
    store : Store
        The tables; those that do not exist are passed over.
    run : Run
        Id, clock and counts.
    names : sequence of str
        Full names of tables with a suite.
    zones : sequence of str
        Zones that must hold no table without a contract.
    accept : bool
        The tables as they are become what later runs are compared with: drift is recorded, not judged.
    against : Store, optional
        Whose last good run drift is measured against, when not these tables' own: tables made beside others.

    Returns
    -------
    Checked
        The verdicts.

    Raises
    ------
    CairnError
        STAGE_BUSY while another check is at work.
    """
    with stage_lock(store.settings, run.job, run), recorded(store, run):
        checking = _Check(store, run, [suites()[name] for name in names], accept, against or store)
        checked = checking.carried_out(zones)
        run.count(checked.counts())
    return checked


class _Check:
    """One check while it runs."""

    def __init__(self, store: Store, run: Run, wanted: Sequence[Suite], accept: bool, against: Store) -> None:
        self._store, self._run, self._accept, self._against = store, run, accept, against
        tables = {name for suite in wanted for name in _read_by(suite)}
        known = contracts()
        self._versions = {name: v for name in sorted(tables) if (v := store.version(known[name])) is not None}
        self._suites = [suite for suite in wanted if suite.contract.full_name in self._versions]
        self._today = run.moment().date()
        for name, version in self._versions.items():
            run.reads(name, version)

    def carried_out(self, zones: Sequence[str]) -> Checked:
        concerned = sorted({suite.contract.zone for suite in self._suites} | set(zones))
        self._store.ensure(*(RESULTS[zone] for zone in concerned))
        standing, baselines = self._history(concerned)
        todo = [suite for suite in self._suites if suite.contract.full_name not in standing]
        measures = self._measures(todo)
        fresh = []
        for suite in todo:
            name = suite.contract.full_name
            fresh += judge(suite, measures[name], baselines.get(name, {}), self._limits(), self._today)
        fresh += [judge_zone(zone, strange_tables(self._store, zone)) for zone in zones]
        for zone in concerned:
            self._keep(zone, [one for one in fresh if one.table.startswith(f"{zone}.")])
        kept = [verdict for verdicts in standing.values() for verdict in verdicts]
        return Checked((*kept, *fresh), len(todo), len(standing))

    def _limits(self) -> Limits:
        given = self._store.settings.quality
        return Limits(given.rows_fall, given.share_moves, given.nulls_move, given.slice_rows)

    def _measures(self, todo: Sequence[Suite]) -> Mapping[str, Measures]:
        columns = {name: self._store.read(contracts()[name]).columns for name in self._versions}
        passes = [pass_of(suite, columns[suite.contract.full_name], self._today) for suite in todo]
        related = [one for suite in todo for one in suite.related if _can_be_related(one, columns)]
        return measured(self._store, passes, related)

    def _basis(self, suite: Suite) -> str:
        """Return a hash of all that a suite's verdicts follow from, but for the run that they are compared with."""
        versions = [(name, self._versions.get(name)) for name in sorted(_read_by(suite))]
        limits = self._store.settings.quality.model_dump(mode="json")
        text = json.dumps([suite.digest, versions, limits], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _history(self, zones: Iterable[str]) -> tuple[dict[str, list[Verdict]], dict[str, Baseline]]:
        """Return the verdicts that stand, and what drift is measured against, by table."""
        standing: dict[str, list[Verdict]] = {}
        baselines: dict[str, Baseline] = {}
        if self._accept:
            return standing, baselines
        for zone in zones:
            if not self._against.exists(RESULTS[zone]):
                continue
            last, good = _last_runs(self._against, RESULTS[zone])
            rows = _rows_of(self._against, RESULTS[zone], {*last.items(), *good.items()})
            for suite in self._suites:
                name = suite.contract.full_name
                found = rows.get((name, last.get(name, "")), [])
                if self._against is self._store and found and found[0]["basis"] == self._basis(suite):
                    standing[name] = [_verdict(row) for row in found]
                passed = rows.get((name, good.get(name, "")), [])
                baselines[name] = baselines.get(name) or {
                    (row["expectation"], row["column"], row["scope"]): row["observed"] for row in passed
                }
        return standing, baselines

    def _keep(self, zone: str, verdicts: Sequence[Verdict]) -> None:
        basis = {suite.contract.full_name: self._basis(suite) for suite in self._suites}
        now = self._run.moment()
        rows = [
            {
                **{field.name: getattr(one, field.name) for field in fields(Verdict)},
                "run": self._run.id,
                "table_version": self._versions.get(one.table, 0),
                "basis": basis.get(one.table, ""),
                "judged": now,
            }
            for one in verdicts
        ]
        if rows:
            token = Token(f"cairn/quality/{self._run.id}", 1)
            self._store.append_rows(RESULTS[zone], rows, token, int(now.timestamp() * 1000))
            self._run.writes(RESULTS[zone].full_name, self._store.version(RESULTS[zone]))


def strange_tables(store: Store, zone: str) -> list[str]:
    """Return the tables of a zone that no contract knows."""
    root = Folder(store.settings.zone_root(zone))
    if zone not in ZONES[:2] or not root.exists():
        return []
    names = (name for name in root.names(folders=True) if not name.startswith(("_", ".")))
    return sorted(n for n in names if f"{zone}.{n}" not in contracts() and root.child(n).exists("_delta_log"))


def _read_by(suite: Suite) -> set[str]:
    return {suite.contract.full_name, *(name for one in suite.related for name in one.tables)}


def _can_be_related(one: Related, columns: Mapping[str, Sequence[str]]) -> bool:
    sides = (one.left, *one.right)
    return all(side.table in columns and set(side.columns) <= set(columns[side.table]) for side in sides)


def _last_runs(store: Store, results: Contract) -> tuple[dict[str, str], dict[str, str]]:
    """Return the last run of each table, and the last one in which no error failed."""
    if store.version(results) == 0:
        return {}, {}
    passed = F.bool_and(F.col("success") | (F.col("severity") != ERROR))
    runs = store.read(results).groupBy("table", "run").agg(F.max("judged").alias("judged"), passed.alias("passed"))
    last = F.max_by("run", "judged").alias("last")
    good = F.max_by(F.when(F.col("passed"), F.col("run")), F.when(F.col("passed"), F.col("judged"))).alias("good")
    rows = runs.groupBy("table").agg(last, good).collect()
    return {row["table"]: row["last"] for row in rows}, {row["table"]: row["good"] for row in rows if row["good"]}


def _rows_of(store: Store, results: Contract, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], list[Row]]:
    """Return the rows of some tables' runs."""
    found: dict[tuple[str, str], list[Row]] = {}
    if wanted:
        runs = sorted({run for _, run in wanted})
        for row in store.read(results).where(F.col("run").isin(runs)).collect():
            if (row["table"], row["run"]) in wanted:
                found.setdefault((row["table"], row["run"]), []).append(row)
    return found


def _verdict(row: Row) -> Verdict:
    return Verdict(**{field.name: row[field.name] for field in fields(Verdict)})


def latest(store: Store, zones: Iterable[str]) -> dict[str, list[Row]]:
    """Return the rows of each table's last check, by full name: what the pages show."""
    shown: dict[str, list[Row]] = {}
    for zone in zones:
        results = RESULTS[zone]
        if store.exists(results):
            last, _ = _last_runs(store, results)
            for (table, _run), rows in _rows_of(store, results, set(last.items())).items():
                shown[table] = rows
    return dict(sorted(shown.items()))
