"""Small tables and a catalogue for tests of the pipelines: rows of `instance` from made headers, a database."""

from __future__ import annotations

import io
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bson
import pyarrow as pa
from catalogue_server import Server
from spark_support import forget, made_settings

sys.path.append(str(Path(__file__).resolve().parents[1] / "dicom"))

from made_headers import element, small_file
from made_world import clock

from cairn.catalogue.connection import Connection
from cairn.dicom.kernel import HeaderKernel
from cairn.pipelines.job import Job
from cairn.spark.delta_log import Token
from cairn.spark.storage import Folder
from cairn.spark.store import Store
from cairn.spark.worker_files import write_file
from cairn.tables.instance import INSTANCE

NUMBERS = itertools.count()
KERNEL = HeaderKernel(INSTANCE.columns)


def header(number: int, modality: str = "CT", text: str = "a", extra: bytes = b"") -> bytes:
    """Return the bytes of a small header."""
    body = element(0x00080060, "CS", modality.encode().ljust(2)) + element(0x0008103E, "LO", text.encode().ljust(2))
    return small_file(body + extra, sop_instance_uid=f"1.2.{number + 100}".encode())


def rows(headers: Sequence[bytes], first: int = 0, version: str = "v1") -> pa.Table:
    """Return rows of `instance`, one a header; their addresses count from `first`."""
    parsed = KERNEL.parse(list(headers)).table
    n = parsed.num_rows
    assert n == len(headers)
    given: dict[str, list[Any]] = {
        "uri": [f"file:///a/{first + i:05d}.dcm" for i in range(n)],
        "content_version": [version] * n,
        "run": ["r"] * n,
        "file_size": [1000] * n,
        "header_bytes": [len(one) for one in headers],
        "pixel_offset": [None] * n,
        "is_primary": [True] * n,
        "parser": ["kernel"] * n,
        "parser_version": ["kernel 1"] * n,
    }
    columns = {name: parsed.column(name) for name in parsed.column_names}
    columns |= {name: pa.array(values, INSTANCE.column(name).type) for name, values in given.items()}
    return pa.Table.from_arrays([columns[c.name] for c in INSTANCE.columns], schema=INSTANCE.arrow_schema)


class CatalogueWorld:
    """A warehouse and a database that belong to one test."""

    def __init__(self, spark, folder: Path, server: Server, **changes: Any) -> None:  # type: ignore[no-untyped-def]
        given = {"uri_file": server.secret(), "database": f"world{next(NUMBERS)}", "timeout_seconds": 10,
                 "documents_per_write": 20, "documents_per_read": 20}  # fmt: skip
        forget(spark)
        self.folder = folder
        self.settings = made_settings(folder / "warehouse", catalogue={**given, **changes})
        self.store = Store(spark, self.settings)
        self.job = Job(self.store, Folder(str(folder / "scratch")).make(), clock(), io.StringIO())
        self.connection = Connection(self.settings.catalogue)

    def add(self, table: pa.Table) -> None:
        """Append rows to `instance` in one commit."""
        self.store.ensure(INSTANCE)
        number = next(NUMBERS)
        add = write_file(INSTANCE, table, self.store.folder(INSTANCE), f"part-{number}.zstd.parquet", 1)
        self.store.commit_files(INSTANCE, [add], Token("test", number))

    def change(self, table: pa.Table) -> None:
        """Put rows in the place of those with the same address."""
        self.drop(*table.column("uri").to_pylist())
        self.add(table)

    def drop(self, *uris: str) -> None:
        wanted = ", ".join(f"'{uri}'" for uri in uris)
        self.store.spark.sql(f"DELETE FROM delta.`{self.store.location(INSTANCE)}` WHERE uri IN ({wanted})")

    def database(self) -> Any:
        return self.connection.database()

    def held(self) -> dict[str, dict[Any, dict]]:
        """Return all documents of images, by collection and id."""
        names = [name for name in self.database().list_collection_names() if name.startswith("image_")]
        every = {n: {one["_id"]: bson.decode(one.raw) for one in self.database()[n].find()} for n in names}
        return {name: found for name, found in every.items() if found}

    def descriptions(self) -> dict[str, str]:
        """Return the series description of every document, by collection and number of its address."""
        return {
            f"{name} {key[-9:-4]}": one["dicom"]["SeriesDescription"]
            for name, found in self.held().items()
            for key, one in found.items()
        }
