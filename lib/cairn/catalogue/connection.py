"""How the catalogue is reached: a URI that is a secret, options that are not, and errors that tell neither.

The URI may hold a password, so it is no setting: it lies in a file that only its owner reads, or in the environment.
Workers read it themselves; it is never part of a plan, a message or a log.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from bson.codec_options import CodecOptions, DatetimeConversion
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from cairn.errors import CairnError
from cairn.settings import Catalogue

VARIABLE = "CAIRN_MONGODB_URI"
"""Environment variable with the URI, where no file has it."""

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0
_ROOM = 1024  # for the envelope of a document
_LONGEST_COMMAND = 10  # times the time allowed for a connection: a bulk write of many megabytes takes longer
T = TypeVar("T")


@dataclass(frozen=True)
class Connection:
    """Where the catalogue is; small and without the secret, so that it travels to the workers.

    Parameters
    ----------
    settings : Catalogue
        The ``catalogue`` section of the settings.
    """

    settings: Catalogue

    def uri(self, environment: Mapping[str, str] | None = None) -> str:
        """Return the URI.

        Raises
        ------
        CairnError
            CATALOGUE_UNSET, CATALOGUE_SECRET_UNSAFE.
        """
        if not self.settings.uri_file:
            uri = (os.environ if environment is None else environment).get(VARIABLE, "").strip()
            if not uri:
                raise CairnError("CATALOGUE_UNSET", variable=VARIABLE)
            return uri
        path = Path(self.settings.uri_file)
        try:
            mode = path.stat().st_mode
            text = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise CairnError("CATALOGUE_SECRET_UNSAFE", path=path, why="it cannot be read") from None
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise CairnError("CATALOGUE_SECRET_UNSAFE", path=path, why="others than its owner may read it")
        if not text:
            raise CairnError("CATALOGUE_SECRET_UNSAFE", path=path, why="it is empty")
        return text

    def client(self) -> MongoClient:
        """Return this process's client; one serves all threads and tasks.

        Raises
        ------
        CairnError
            CATALOGUE_OPTIONS, and as :meth:`uri`.
        """
        return _client(self.uri(), tuple(sorted(self.settings.options.items())), self.settings.timeout_seconds)

    def database(self) -> Database:
        """Return the catalogue's database; documents come as the bytes that the server holds."""
        options = CodecOptions(RawBSONDocument, datetime_conversion=DatetimeConversion.DATETIME_MS)
        return self.client().get_database(self.settings.database, codec_options=options)

    @property
    def attempts(self) -> Attempts:
        """How often something is tried."""
        return Attempts(self.settings.tries)

    def limit_bytes(self) -> int:
        """Return the largest document that is written whole: the server's limit, or a lower one of the settings.

        Raises
        ------
        CairnError
            CATALOGUE_UNREACHABLE at the first try: a job asks this before it begins.
        """
        with told_errors():
            server = int(self.client().admin.command("hello")["maxBsonObjectSize"])
        return min(self.settings.document_limit_bytes or server, server) - _ROOM


@lru_cache(maxsize=4)
def _client(uri: str, options: tuple[tuple[str, str], ...], timeout: float) -> MongoClient:
    waits = {name: int(timeout * 1000) for name in ("serverSelectionTimeoutMS", "connectTimeoutMS")}
    waits["socketTimeoutMS"] = int(timeout * 1000) * _LONGEST_COMMAND
    given = {name: _typed(value) for name, value in options}
    try:
        return MongoClient(uri, appname="cairn", **{**waits, **given})
    except (PyMongoError, ValueError, TypeError, OSError) as fault:  # its text may quote the URI
        raise CairnError("CATALOGUE_OPTIONS", kind=type(fault).__name__) from None


def _typed(value: str) -> Any:
    """Return an option's text as the driver wants it."""
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    return int(value) if value.isdigit() else value


@contextmanager
def told_errors() -> Iterator[None]:
    """Turn the driver's errors into Cairn's, without their text: it quotes hosts, users and values.

    Raises
    ------
    CairnError
        CATALOGUE_UNREACHABLE, CATALOGUE_REFUSED.
    """
    try:
        yield
    except OperationFailure as fault:  # a BulkWriteError is one, too
        codes = sorted({int(error["code"]) for error in (fault.details or {}).get("writeErrors", ())})
        told = ", ".join(map(str, codes)) or str(fault.code)
        raise CairnError("CATALOGUE_REFUSED", number=told) from None
    except ConnectionFailure as fault:
        raise CairnError("CATALOGUE_UNREACHABLE", kind=type(fault).__name__) from None
    except PyMongoError as fault:
        raise CairnError("CATALOGUE_REFUSED", number=type(fault).__name__) from None


@dataclass(frozen=True)
class Attempts:
    """Does something again while the server is away; what is done must be safe to do twice.

    Parameters
    ----------
    tries : int
        How often at most.
    wait : callable
        Waits so many seconds.
    """

    tries: int
    wait: Callable[[float], None] = field(default=time.sleep)

    def __call__(self, action: Callable[[], T]) -> T:
        """Return what `action` returns; the last failure passes."""
        pause = _FIRST_WAIT
        for _ in range(self.tries - 1):
            try:
                return action()
            except ConnectionFailure:
                self.wait(pause)
                pause = min(2 * pause, _LONGEST_WAIT)
        return action()
