"""Reading a catalogue in shares that workers take: ranges of ``_id``, each read forward and resumed where it broke.

Comparisons in MongoDB stay within one type, so a range of text never finds an ObjectId. Every type that a sample
shows has ranges of its own, and one more share takes whatever is of none of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bson.raw_bson import RawBSONDocument
from pymongo.errors import ConnectionFailure

from cairn.catalogue import layout
from cairn.catalogue.connection import Connection, told_errors

_SAMPLED_PER_SHARE = 20
_LARGEST_SAMPLE = 20_000


@dataclass(frozen=True)
class Share:
    """A part of one collection.

    Parameters
    ----------
    collection : str
        Its name.
    condition : mapping
        What ``_id`` must fulfil.
    ordered : bool
        All ids are of one type, so that reading can go on behind the last one.
    """

    collection: str
    condition: Mapping[str, Any]
    ordered: bool


class Reader:
    """Reads one database.

    Parameters
    ----------
    connection : Connection
        Where the catalogue is.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._database = connection.database()

    def collections(self, series: bool = False) -> list[str]:
        """Return the collections of images that there are, and with `series` that of series."""
        with told_errors():
            names = self._connection.attempts(self._database.list_collection_names)
        return sorted(n for n in names if n.startswith(layout.IMAGE_PREFIX) or (series and n == layout.SERIES))

    def shares(self, collection: str) -> list[Share]:
        """Return a collection cut into parts of about ``catalogue.documents_per_task`` documents."""
        source = self._database[collection]
        with told_errors():
            count = int(self._connection.attempts(source.estimated_document_count))
            wanted = math.ceil(count / self._connection.settings.documents_per_task)
            size = min(_SAMPLED_PER_SHARE * wanted, _LARGEST_SAMPLE)
            sample = [{"$sample": {"size": size}}, {"$project": {"_id": 1}}]
            found = self._connection.attempts(lambda: list(source.aggregate(sample))) if wanted > 1 else []
        conditions = list(ranges([one["_id"] for one in found], wanted))
        others = Share(collection, {"$not": {"$type": list(TYPES)}}, False)
        return [*(Share(collection, condition, True) for condition in conditions), others]

    def documents(self, share: Share, fields: Sequence[str] = ()) -> Iterator[RawBSONDocument]:
        """Yield a share's documents; a connection that breaks is taken up behind the last one.

        Parameters
        ----------
        share : Share
            Which.
        fields : sequence of str
            Only these; empty: all.

        Raises
        ------
        CairnError
            CATALOGUE_UNREACHABLE when the server stays away; CATALOGUE_REFUSED.
        """
        condition, failures = dict(share.condition), 0
        with told_errors():
            while True:
                try:
                    for document in self._opened(share, condition, fields):
                        yield document
                        condition.pop("$gte", None)
                        condition["$gt"], failures = document["_id"], 0
                    return
                except ConnectionFailure:
                    failures += 1
                    if not share.ordered or failures >= self._connection.settings.tries:
                        raise
                    self._connection.attempts.wait(failures)

    def _opened(self, share: Share, condition: dict[str, Any], fields: Sequence[str]) -> Iterator[RawBSONDocument]:
        found = self._database[share.collection].find({"_id": condition}, dict.fromkeys(fields, 1) or None)
        ordered = found.sort("_id", 1) if share.ordered else found
        return iter(ordered.batch_size(self._connection.settings.documents_per_read))

    def fetch(self, collection: str, ids: Sequence[Any]) -> dict[Any, RawBSONDocument]:
        """Return documents by their ids; one that is gone is missing."""
        wanted = {"_id": {"$in": list(ids)}}
        with told_errors():
            found = self._connection.attempts(lambda: list(self._database[collection].find(wanted)))
        return {document["_id"]: document for document in found}

    def pieces(self, documents: Sequence[RawBSONDocument]) -> dict[str, list[bytes]]:
        """Return the pieces, in order, of those documents that have any."""
        cut = {one["_id"]: one[layout.CAIRN].get("digest") for one in documents if _parts(one)}
        found: dict[str, list[bytes]] = {}
        for entry, digest in cut.items():  # one entry at a time: pieces are large
            wanted = {"entry": entry, "_id.digest": digest}
            with told_errors():
                own = self._connection.attempts(lambda wanted=wanted: list(self._database[layout.PARTS].find(wanted)))  # type: ignore[misc]
            own.sort(key=lambda piece: piece["_id"]["part"])
            found[entry] = [bytes(piece["bytes"]) for piece in own]
        return found


def _parts(document: RawBSONDocument) -> bool:
    cairn = document.get(layout.CAIRN)
    return isinstance(cairn, Mapping) and bool(cairn.get("parts"))


TYPES = ("string", "objectId")
"""Types of ids that are cut into ranges: addresses, and what MongoDB gives to documents without an id."""


def ranges(sample: Sequence[Any], wanted: int) -> Iterator[dict[str, Any]]:
    """Yield conditions on ``_id``: each id of :data:`TYPES` fulfils exactly one.

    Parameters
    ----------
    sample : sequence
        Ids of any type.
    wanted : int
        How many conditions, about.
    """
    by_type: dict[str, list[Any]] = {name: [] for name in TYPES}
    for key in sample:
        name = "string" if isinstance(key, str) else "objectId" if type(key).__name__ == "ObjectId" else ""
        if name:
            by_type[name].append(key)
    for name, keys in by_type.items():
        count = max(1, round(wanted * len(keys) / max(1, len(sample))))
        keys.sort()
        bounds = sorted({keys[len(keys) * i // count] for i in range(1, count)})
        for low, high in zip([None, *bounds], [*bounds, None], strict=True):
            condition: dict[str, Any] = {"$type": name}
            condition |= {} if low is None else {"$gte": low}
            condition |= {} if high is None else {"$lt": high}
            yield condition
