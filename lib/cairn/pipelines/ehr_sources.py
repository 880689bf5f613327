"""Files of health records: where they lie, when they were delivered, and which of them were loaded as they are.

A nightly run is given all deliveries that there are, and reads those that are new: a file counts as loaded when
`record_load` has its content under the same mapping, read by the same release of the reader.
"""

from __future__ import annotations

import datetime
import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow as pa
from pyspark.sql import Row
from pyspark.sql import functions as F

from cairn.ehr.mapping import Mapping
from cairn.ehr.rows import READER_RELEASE
from cairn.errors import CairnError
from cairn.spark.delta_log import Token
from cairn.spark.ledger import Run
from cairn.spark.partitions import map_partitions, told_failures
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.tables.record_load import RECORD_LOAD

STAGE = "ehr"
_DATE = re.compile(r"(?<!\d)(\d{4})-?(\d{2})-?(\d{2})(?!\d)")


@dataclass(frozen=True)
class Source:
    """One file to load.

    Parameters
    ----------
    mapping : Mapping
        What its columns are.
    folder, name : str
        Where it lies.
    delivered_on : datetime.date
        When it was delivered.
    """

    mapping: Mapping
    folder: str
    name: str
    delivered_on: datetime.date

    @property
    def uri(self) -> str:
        """Its address."""
        return f"{self.folder.rstrip('/')}/{self.name}"

    @property
    def delivery(self) -> str:
        """Its name among deliveries, with the layout's: several fill one table, and all may name files by the day."""
        return f"{self.mapping.mapping}/{self.name}"

    @property
    def of(self) -> tuple[str, datetime.date]:
        """Name and date of the delivery: files that share them, wherever they lie, replace each other."""
        return self.delivery, self.delivered_on

    @property
    def reading(self) -> str:
        """What its rows depend on beside its bytes."""
        return f"{self.mapping.version_hash}.r{READER_RELEASE}"

    def sha256(self) -> str:
        """Return the SHA-256 (hex) of its bytes."""
        folder = Folder(self.folder)
        with folder.filesystem.open_input_file(folder.file(self.name)) as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


def sources_of(mapping: Mapping, places: Sequence[str], delivered_on: datetime.date | None) -> list[Source]:
    """Return the files of some places, each with its date.

    Parameters
    ----------
    mapping : Mapping
        What they are.
    places : sequence of str
        Files, or folders of which every file is taken.
    delivered_on : datetime.date or None
        When; otherwise the date in a file's name.

    Raises
    ------
    CairnError
        SOURCE_MISSING, EHR_UNDATED.
    """
    found = []
    for place in places:
        parent, _, name = place.rstrip("/").rpartition("/")
        folder = Folder(place)
        if folder.exists() and folder.filesystem.get_file_info(folder.path).is_file:
            names, where = [name], parent or ("/" if place.startswith("/") else ".")
        elif folder.exists():
            names, where = [n for n in sorted(folder.names()) if not n.startswith((".", "_"))], place
        else:
            raise CairnError("SOURCE_MISSING", path=place)
        found += [Source(mapping, where, n, delivered_on or _dated(n)) for n in names]
    return found


def _dated(name: str) -> datetime.date:
    for part in _DATE.findall(PurePosixPath(name).name):
        try:
            return datetime.date(*map(int, part))
        except ValueError:
            continue
    raise CairnError("EHR_UNDATED", name=name)


def unread(store: Store, sources: Sequence[Source]) -> list[Source]:
    """Return those of some files of one mapping that have to be read.

    They are the ones that were not loaded before. Where one that was loaded is another file now, they are all: rows of
    other deliveries that it had replaced may have to come back.

    Parameters
    ----------
    store : Store
        The tables.
    sources : sequence of Source
        Files of one mapping.
    """
    known = _loaded(store, sources[0])
    seen = [source for source in sources if source.of in known]
    if not seen:
        return list(sources)
    digests = {row["uri"]: row["sha256"] for row in by_workers(store, seen, _digest_row, "uri STRING, sha256 STRING")}
    now = defaultdict(set)
    for source in seen:
        now[source.of].add(digests[source.uri])
    if any(known[delivery] != now[delivery] for delivery in now):
        return list(sources)
    return [source for source in sources if source.of not in known]


def _loaded(store: Store, source: Source) -> dict[tuple[str, datetime.date], set[str]]:
    """Return each delivery of a mapping to the digests of its last load, as far as that is still good."""
    contract = source.mapping.contract
    if not store.exists(RECORD_LOAD):
        return {}
    version = store.version(contract) or 0
    told = store.read(RECORD_LOAD).where(F.col("delivery").startswith(f"{source.mapping.mapping}/"))
    latest: dict[tuple[str, datetime.date], list[Row]] = {}
    for row in told.orderBy("loaded", "run").collect():
        delivery = (row["delivery"], row["delivered_on"])
        before = latest.get(delivery, [])
        latest[delivery] = [*(one for one in before if one["run"] == row["run"]), row]
    # A table younger than the load was made anew, or brought back from before it.
    return {
        delivery: {row["sha256"] for row in rows}
        for delivery, rows in latest.items()
        if all(row["reading"] == source.reading and row["table_version"] <= version for row in rows)
    }


def _digest_row(number: int, source: Source) -> dict[str, object]:
    return {"uri": source.uri, "sha256": source.sha256()}


def by_workers(
    store: Store, sources: Sequence[Source], work: Callable[[int, Source], dict[str, object]], columns: str
) -> list[Row]:
    """Return what workers make of files, one row each.

    Parameters
    ----------
    store : Store
        The tables.
    sources : sequence of Source
        The files.
    work : callable
        Makes the row of a file, given its place among the files and itself.
    columns : str
        The rows' columns, in Spark's DDL.

    Raises
    ------
    CairnError
        As `work`; STAGE_FAILED for any other fault, without what the file holds.
    """
    given = list(sources)

    def rows(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                yield pa.RecordBatch.from_pylist([work(number, given[number])])

    with told_failures(STAGE):
        return map_partitions(store.spark.range(0, len(given), 1, len(given)), rows, columns).collect()


def note_loads(store: Store, run: Run, read: Sequence[tuple[Source, dict[str, int], str]]) -> None:
    """Note files as loaded, once their rows are in the tables.

    Parameters
    ----------
    store : Store
        The tables.
    run : Run
        The run that loaded them.
    read : sequence of (Source, dict, str)
        Files of one mapping with their counts (read, typed, quarantined) and digests.
    """
    contract, moment = read[0][0].mapping.contract, run.moment()
    version = store.version(contract)
    rows: list[dict[str, object]] = [
        {
            "uri": source.uri,
            "delivered_on": source.delivered_on,
            "run": run.id,
            "delivery": source.delivery,
            "table_name": contract.full_name,
            "table_version": version,
            "sha256": sha256,
            "reading": source.reading,
            "rows": counts.get("read", 0),
            "typed": counts.get("typed", 0),
            "quarantined": counts.get("quarantined", 0),
            "loaded": moment,
        }
        for source, counts, sha256 in read
    ]
    store.ensure(RECORD_LOAD)
    store.append_rows(RECORD_LOAD, rows, Token(f"cairn/load/{run.id}", 1), int(moment.timestamp() * 1000))
