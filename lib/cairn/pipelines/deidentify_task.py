"""What one task of `deidentify` does: kept headers in, rows of the twins out.

Each header is rewritten by the engine that rewrites files, and the new bytes are parsed by the kernel that parses the
archive's: tables and files agree by construction. No Spark in here. Keys are read from their file in the worker; they
are never part of a task.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from cairn.deid.free_text import own_values, packaged_scrubber
from cairn.deid.keys import SITE, read_key
from cairn.deid.profile import Profile
from cairn.deid.pseudonyms import Pseudonyms
from cairn.deid.report_text import REPORTS, report_items
from cairn.deid.rewrite import ENGINE_RELEASE, Kept, Refused, Rewriter
from cairn.deid.rules import RuleSet
from cairn.dicom.kernel import Hole, ParsedBatch
from cairn.errors import CONDITIONS, CairnError
from cairn.pipelines.entry_rows import table_of
from cairn.pipelines.header_rows import header_kernel, holes_in_header
from cairn.settings import Headers
from cairn.tables.crossing import CROSSING
from cairn.tables.deidentified import DEIDENTIFIED_INSTANCE, REPORT_TEXT
from cairn.tables.quarantine import QUARANTINE
from cairn.verify import VERSION
from cairn.verify.known import known_of
from cairn.verify.search import check_file

STAGE = "deidentify"
CROSSED, OPTED_OUT, REFUSED = "crossed", "opted_out", "refused"
HEADERS_AT_A_TIME = 1024

Row = dict[str, Any]


@dataclass(frozen=True)
class Terms:
    """Under what entries cross: the same terms and bytes give the same rows on every machine.

    Parameters
    ----------
    profile : Profile
        The de-identification profile.
    keys : str
        Folder of the key files, the same on every machine.
    date_shift_days : int
        Largest shift of a date.
    opt_outs : frozenset of str
        CHIs of those whose data stays.
    key_names : tuple of str
        Which keys of the folder: the site's; for an extract the project's on top of it.
    """

    profile: Profile
    keys: str
    date_shift_days: int = 364
    opt_outs: frozenset[str] = field(default=frozenset(), repr=False)
    key_names: tuple[str, ...] = (SITE,)

    def pseudonyms(self) -> Pseudonyms:
        """Return the pseudonyms under the keys, which are read here and now.

        Raises
        ------
        CairnError
            As :func:`cairn.deid.keys.read_key`.
        """
        return Pseudonyms([read_key(Path(self.keys), name) for name in self.key_names], self.date_shift_days)

    def rewriter(self) -> Rewriter:
        """Return the engine."""
        return Rewriter(RuleSet(self.profile), self.pseudonyms(), packaged_scrubber(), own_values)

    def version(self) -> str:
        """Return what the result depends on beside bytes: rules, keys (fingerprints), shift, words, releases."""
        keys = "+".join(self.pseudonyms().fingerprints)
        words = packaged_scrubber().digest[:8]
        return f"{RuleSet(self.profile).digest[:16]}.{keys}.{self.date_shift_days}.{words}.v{VERSION}.e{ENGINE_RELEASE}"


class Stayed(NamedTuple):
    """An entry that did not cross.

    Parameters
    ----------
    row : dict
        What the plan says of it.
    outcome : str
        opted_out or refused.
    code : str or None
        Why it was refused.
    made : Kept or None
        What was made of it, of one that opted out.
    places : str
        Where the verifier found what: rules and places, never values.
    """

    row: Row
    outcome: str
    code: str | None = None
    made: Kept | None = None
    places: str = ""


@dataclass
class _Chunk:
    """What crossed, on its way to the kernel, and what did not."""

    kept: list[tuple[Row, Kept, bytes]] = field(default_factory=list)
    stayed: list[Stayed] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.kept) + len(self.stayed)


@dataclass(frozen=True)
class DeidentifyWork:
    """The stage's work, as the stage runner sends it to the workers.

    Parameters
    ----------
    terms : Terms
        Rules, keys, opt-outs.
    version : str
        ``terms.version()``, as the driver found it; a worker with another key file stops.
    headers : Headers
        Limits of the kernel.
    run : str
        Run that writes the rows.
    """

    terms: Terms
    version: str
    headers: Headers
    run: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, pa.Table]]:
        """Turn batches of kept headers into rows of the twins, of `crossing` and of `quarantine`.

        Raises
        ------
        CairnError
            WORKER_DIFFERS when this worker's keys or rules are not the driver's.
        """
        if self.terms.version() != self.version:
            raise CairnError("WORKER_DIFFERS", stage=STAGE)
        rewriter = self.terms.rewriter()
        chunk = _Chunk()
        for row in itertools.chain.from_iterable(batch.to_pylist() for batch in batches):
            self._rewrite(row, rewriter, chunk)
            if len(chunk) >= HEADERS_AT_A_TIME:
                yield from self._tables(chunk)
                chunk = _Chunk()
        yield from self._tables(chunk)

    def _rewrite(self, row: Row, rewriter: Rewriter, chunk: _Chunk) -> None:
        made: Kept | Refused = Refused("DEID_UID_CLASH")
        if not row["repeated"]:
            made = rewriter(row["header"], row["person"], holes_in_header(row["holes"] or ()))
        if isinstance(made, Refused):
            chunk.stayed.append(Stayed(row, REFUSED, made.code))
        elif made.person in self.terms.opt_outs:
            chunk.stayed.append(Stayed(row, OPTED_OUT, made=made))
        else:
            data = made.tobytes()
            code, places = verified(row["header"], holes_in_header(row["holes"] or ()), data, made.holes)
            if code:
                chunk.stayed.append(Stayed(row, REFUSED, code, places=places))
            else:
                chunk.kept.append((row, made, data))

    def _tables(self, chunk: _Chunk) -> Iterator[tuple[str, pa.Table]]:
        stayed = list(chunk.stayed)
        if chunk.kept:
            batch = header_kernel(self.headers).parse(
                [data for _, _, data in chunk.kept], [made.holes for _, made, _ in chunk.kept]
            )
            stayed += [Stayed(chunk.kept[i][0], REFUSED, code) for i, code in batch.failures]
            crossed = [chunk.kept[i] for i in batch.rows]
            if crossed:
                yield DEIDENTIFIED_INSTANCE.name, _instances(batch, crossed)
                yield from _report_texts(crossed)
                yield CROSSING.name, self._crossings([(row, CROSSED, None, made) for row, made, _ in crossed])
        if stayed:
            yield CROSSING.name, self._crossings([(one.row, one.outcome, one.code, one.made) for one in stayed])
        refused = [one for one in stayed if one.code]
        if refused:
            yield QUARANTINE.name, self._quarantined(refused)

    def _crossings(self, entries: Sequence[tuple[Row, str, str | None, Kept | None]]) -> pa.Table:
        rows = [
            {
                "uri": row["uri"],
                "content_version": row["content_version"],
                "instance": made.instance if made else None,
                "person": made.person if made else None,
                "outcome": outcome,
                "code": code,
                "version": self.version,
                "parser_version": row["parser_version"],
                "run": self.run,
            }
            for row, outcome, code, made in entries
        ]
        return pa.Table.from_pylist(rows, schema=CROSSING.arrow_schema)

    def _quarantined(self, refused: Sequence[Stayed]) -> pa.Table:
        rows = [
            {
                "uri": one.row["uri"],
                "stage": STAGE,
                "content_version": one.row["content_version"],
                "code": one.code,
                "message": CONDITIONS[one.code or ""].message,
                "detail": one.places or CONDITIONS[one.code or ""].remedy,
                "file_size": one.row["file_size"],
                "algorithm_version": self.version,
                "run": self.run,
            }
            for one in refused
        ]
        return pa.Table.from_pylist(rows, schema=QUARANTINE.arrow_schema)


def verified(original: bytes, holes: Sequence[Hole], made: bytes, new_holes: Sequence[Hole]) -> tuple[str | None, str]:
    """Have the verifier compare a header with what was made of it.

    Returns
    -------
    tuple of (str or None) and str
        Why it must stay, None when nothing was found; and places with rules.
    """
    try:
        known = known_of(filled(original, holes))
    except ValueError:
        return "DEID_UNVERIFIABLE", ""
    places = check_file(known, filled(made, new_holes))
    if not places:
        return None, ""
    return "DEID_LEAK", "; ".join(f"{place.rule} at {place.where}" for place in places[:_MOST_PLACES])


_MOST_PLACES = 12


def filled(header: bytes, holes: Sequence[Hole]) -> bytes:
    """Return a header with zeros where long values were left out: other readers know nothing of holes."""
    parts, at = [], 0
    for hole in holes:
        parts += [header[at : hole.offset], bytes(hole.length)]
        at = hole.offset
    return b"".join([*parts, header[at:]]) if parts else header


def _instances(batch: ParsedBatch, crossed: Sequence[tuple[Row, Kept, bytes]]) -> pa.Table:
    columns = {name: batch.table.column(name) for name in batch.table.column_names}
    # The engine's own answer, as the files have it; the parsed one is the same unless the header is odd.
    columns["sop_instance_uid"] = pa.array([made.sop_instance_uid for _, made, _ in crossed], pa.string())
    columns["person_id"] = pa.array([made.person_id for _, made, _ in crossed], pa.string())
    columns["file_size"] = pa.array([row["file_size"] for row, _, _ in crossed], pa.int64())
    columns["parser"] = pa.array(batch.parsers, pa.string())
    return table_of(DEIDENTIFIED_INSTANCE, columns)


def _report_texts(crossed: Sequence[tuple[Row, Kept, bytes]]) -> Iterator[tuple[str, pa.Table]]:
    rows = []
    for row, made, data in crossed:
        if (row["sop_class_uid"] or "").startswith(REPORTS):
            own = {
                "person_id": made.person_id,
                "study_instance_uid": made.study_instance_uid or None,
                "series_instance_uid": made.series_instance_uid or None,
                "sop_instance_uid": made.sop_instance_uid,
            }
            rows += [own | item for item in report_items(data)]
    if rows:
        yield REPORT_TEXT.name, pa.Table.from_pylist(rows, schema=REPORT_TEXT.arrow_schema)
