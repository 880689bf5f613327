"""Writing documents in bulk: idempotent, in the order of the table's content, safe to do again at any moment.

A document carries the order of the table's version that it mirrors. What is there is replaced only by something at
least as late, and what was deleted is brought back only by something later (:data:`~cairn.catalogue.layout.DELETED`),
so that a push that was taken for dead and goes on does no harm. Pieces of a large document are written before it and
removed after it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from cairn.catalogue import layout
from cairn.catalogue.connection import Attempts, Connection, told_errors
from cairn.catalogue.documents import Document

_DUPLICATE_KEY = 11000
WRITTEN = ("inserted", "replaced", "touched", "unchanged", "overtaken")
"""What becomes of a document: each is counted as exactly one of these. Touched: only its order was raised."""


@dataclass(frozen=True)
class Removal:
    """One document that is to go.

    Parameters
    ----------
    id : str
        Its ``_id``.
    collection : str
        Where it lies.
    order : int
        Order of the table's version that no longer has it.
    """

    id: str
    collection: str
    order: int


class Writer:
    """Writes to one database.

    Parameters
    ----------
    connection : Connection
        Where the catalogue is; its settings say how much is written at a time.
    """

    def __init__(self, connection: Connection) -> None:
        self._database: Database = connection.database()
        self._settings = connection.settings
        self._attempts: Attempts = connection.attempts

    def write(self, documents: Iterable[Document], fresh: bool) -> Counter[str]:
        """Write documents and return what became of them (:data:`WRITTEN`), and ``pieces``.

        Parameters
        ----------
        documents : iterable of Document
            Any number; they are taken in bulks.
        fresh : bool
            Most of them are not there yet: insert first, look afterwards. Only a matter of speed.

        Raises
        ------
        CairnError
            CATALOGUE_UNREACHABLE, CATALOGUE_REFUSED. What was written stays; doing it again is safe.
        """
        counts: Counter[str] = Counter()
        for bulk in self._bulks(documents):
            by_collection: dict[str, list[Document]] = defaultdict(list)
            for document in bulk:
                by_collection[document.collection].append(document)
            with told_errors():
                for name, some in by_collection.items():
                    counts.update(self._write(self._database[name], some, fresh))
        return counts

    def _bulks(self, documents: Iterable[Document]) -> Iterator[list[Document]]:
        bulk: list[Document] = []
        size = 0
        for document in documents:
            bulk.append(document)
            size += len(document.raw.raw)
            if len(bulk) >= self._settings.documents_per_write or size >= self._settings.bytes_per_write:
                yield bulk
                bulk, size = [], 0
        if bulk:
            yield bulk

    def _write(self, collection: Collection, documents: list[Document], fresh: bool) -> Counter[str]:
        counts: Counter[str] = Counter()
        gone = self._deleted(collection.name, documents)
        alive = [document for document in documents if document.order >= gone.get(document.id, document.order)]
        counts["overtaken"] += len(documents) - len(alive)
        counts["pieces"] += self._write_pieces(alive)
        there = self._insert(collection, alive) if fresh else alive
        counts["inserted"] += len(alive) - len(there)
        if there:
            counts.update(self._renew(collection, there))
        return counts

    def _insert(self, collection: Collection, documents: list[Document]) -> list[Document]:
        """Insert what is not there; return what is."""

        def insert() -> list[Document]:
            try:
                collection.bulk_write([InsertOne(document.raw) for document in documents], ordered=False)
            except BulkWriteError as fault:
                return [documents[i] for i in _duplicates(fault)]
            return []

        # After a lost answer the second try finds its own documents there, and they turn out to be unchanged.
        return self._attempts(insert) if documents else []

    def _renew(self, collection: Collection, documents: list[Document]) -> Counter[str]:
        """Bring documents up to date that are there already, and insert those that are not."""
        counts: Counter[str] = Counter()
        stored = self._stored(collection, documents)
        missing = [document for document in documents if document.id not in stored]
        raced = self._insert(collection, missing)
        counts["inserted"] += len(missing) - len(raced)
        counts["overtaken"] += len(raced)
        replaced, touched = [], []
        for document in documents:
            if (known := stored.get(document.id)) is None:
                continue
            if known.get("order", -1) > document.order:
                counts["overtaken"] += 1
            elif known.get("digest") != document.digest:
                replaced.append(document)
            elif known["order"] < document.order:
                touched.append(document)
            else:
                counts["unchanged"] += 1
        done = self._replace(collection, replaced)
        counts["replaced"] += done
        raised = self._touch(collection, touched)
        counts["touched"] += raised
        counts["overtaken"] += len(replaced) - done + len(touched) - raised
        self._remove_pieces(document for document in replaced if stored[document.id].get("parts"))
        return counts

    def _stored(self, collection: Collection, documents: Sequence[Document]) -> dict[str, Mapping[str, Any]]:
        wanted = {"_id": {"$in": [document.id for document in documents]}}
        found = self._attempts(lambda: list(collection.find(wanted, {layout.CAIRN: 1})))
        return {document["_id"]: document.get(layout.CAIRN, {}) for document in found}

    def _replace(self, collection: Collection, documents: list[Document]) -> int:
        operations: list[Any] = [ReplaceOne(_not_later(document), document.raw) for document in documents]
        return self._matched(collection, operations)

    def _touch(self, collection: Collection, documents: list[Document]) -> int:
        raised = [(document, {"$set": {layout.ORDER: document.order}}) for document in documents]
        return self._matched(collection, [UpdateOne(_not_later(document), change) for document, change in raised])

    def _matched(self, collection: Collection, operations: list[Any]) -> int:
        if not operations:
            return 0
        return int(self._attempts(lambda: collection.bulk_write(operations, ordered=False)).matched_count)

    def _deleted(self, name: str, documents: Sequence[Document]) -> dict[str, int]:
        """Return by which order those of the documents were deleted that were."""
        deleted = self._database[layout.DELETED]
        if self._attempts(deleted.find_one) is None:
            return {}
        wanted = {"_id": {"$in": [{"collection": name, "id": document.id} for document in documents]}}
        return {found["_id"]["id"]: int(found["order"]) for found in self._attempts(lambda: list(deleted.find(wanted)))}

    def _write_pieces(self, documents: Sequence[Document]) -> int:
        parts, count = self._database[layout.PARTS], 0
        for document in documents:
            for piece in document.pieces:  # one at a time: each is as large as a document may be
                operation: Any = ReplaceOne({"_id": piece["_id"]}, piece, upsert=True)
                self._attempts(lambda operation=operation: parts.bulk_write([operation]))  # type: ignore[misc]
                count += 1
        return count

    def _remove_pieces(self, documents: Iterable[Document | Removal]) -> None:
        for document in documents:
            earlier = {"entry": document.id, "order": {"$lt": document.order}}
            self._attempts(lambda earlier=earlier: self._database[layout.PARTS].delete_many(earlier))  # type: ignore[misc]

    def remove(self, removals: Iterable[Removal]) -> Counter[str]:
        """Delete documents, unless they are later than the order of their removal; return ``deleted`` and ``kept``."""
        counts: Counter[str] = Counter()
        pending: list[Removal] = []
        for removal in removals:
            pending.append(removal)
            if len(pending) >= self._settings.documents_per_write:
                counts.update(self._remove(pending))
                pending = []
        return counts + self._remove(pending) if pending else counts

    def _remove(self, removals: Sequence[Removal]) -> Counter[str]:
        marks = [
            UpdateOne(
                {"_id": {"collection": removal.collection, "id": removal.id}},
                {"$max": {"order": removal.order}},
                upsert=True,
            )
            for removal in removals
        ]
        counts: Counter[str] = Counter()
        with told_errors():
            self._attempts(lambda: self._database[layout.DELETED].bulk_write(marks, ordered=False))
            by_collection: dict[str, list[Removal]] = defaultdict(list)
            for removal in removals:
                by_collection[removal.collection].append(removal)
            for name, some in by_collection.items():
                gone = [DeleteOne({"_id": one.id, layout.ORDER: {"$lt": one.order}}) for one in some]
                done = self._attempts(lambda name=name, gone=gone: self._database[name].bulk_write(gone, ordered=False))  # type: ignore[misc]
                counts.update({"deleted": done.deleted_count, "kept": len(some) - done.deleted_count})
            self._remove_pieces(removals)
        return counts

    def sweep(self, collections: Iterable[str], order: int) -> int:
        """Delete Cairn's documents that a push of everything, of this order, did not come upon; return how many."""
        earlier = {layout.ORDER: {"$lt": order}}
        count = 0
        with told_errors():
            for name in collections:
                count += int(
                    self._attempts(lambda name=name: self._database[name].delete_many(earlier)).deleted_count  # type: ignore[misc]
                )
        return count

    def forget_deletions(self, order: int) -> None:
        """Forget what was deleted before `order`: no push that old is still at work."""
        with told_errors():
            self._attempts(lambda: self._database[layout.DELETED].delete_many({"order": {"$lt": order}}))

    def make_indexes(self) -> None:
        """Make the indexes of all collections; those that are there stay."""
        wanted: dict[str, layout.Indexes] = dict.fromkeys(layout.IMAGE_COLLECTIONS, layout.IMAGE_INDEXES)
        wanted |= {layout.SERIES: layout.SERIES_INDEXES, layout.PARTS: layout.PARTS_INDEXES}
        with told_errors():
            for name, indexes in wanted.items():
                for fields in indexes:
                    keys = [(field, 1) for field in fields]
                    self._attempts(lambda name=name, keys=keys: self._database[name].create_index(keys))  # type: ignore[misc]


def _not_later(document: Document) -> dict[str, Any]:
    return {"_id": document.id, layout.ORDER: {"$lte": document.order}}


def _duplicates(fault: Any) -> list[int]:
    """Return the places of the documents that were there already; any other fault passes."""
    errors = fault.details.get("writeErrors", [])
    if fault.details.get("writeConcernErrors") or any(error["code"] != _DUPLICATE_KEY for error in errors):
        raise fault
    return [error["index"] for error in errors]
