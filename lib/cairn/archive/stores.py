"""Object stores and other remote file systems, through fsspec: range reads and listing page by page."""

from __future__ import annotations

import datetime as dt
import errno
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import fsspec
from fsspec.asyn import AsyncFileSystem, FSTimeoutError, sync

from cairn.archive.address import Location, quote
from cairn.archive.entry import Stamp

T = TypeVar("T")
Options = Mapping[str, Mapping[str, Any]]
"""fsspec's options of each store, by fsspec's name of it: ``{"s3": {"endpoint_url": …}}``."""

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """What a listing says of one name: a folder, or a file with its stamp."""

    name: str
    is_folder: bool
    stamp: Stamp


def seconds_only(moment: object) -> int | None:
    """Return a store's modification time in microseconds, cut to whole seconds as in the header of a range read."""
    if isinstance(moment, dt.datetime):
        aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        return int(aware.timestamp()) * 1_000_000
    return int(moment) * 1_000_000 if isinstance(moment, int | float) else None


def _tag(etag: object) -> str | None:
    return "etag:" + str(etag).strip('"') if etag else None


def _stamp(info: Mapping[str, Any]) -> Stamp:
    moment = next(
        (info[k] for k in ("LastModified", "last_modified", "updated", "mtime", "created") if k in info), None
    )
    return Stamp(info.get("size") or 0, seconds_only(moment), _tag(info.get("ETag") or info.get("etag")))


class Store:
    """One bucket, container or host.

    Parameters
    ----------
    filesystem : fsspec.AbstractFileSystem
        fsspec's object for it.
    base : str
        fsspec's path of its top.
    timeout_seconds : float
        How long one request may take, for the stores that fsspec reaches asynchronously.
    """

    def __init__(self, filesystem: fsspec.AbstractFileSystem, base: str, timeout_seconds: float) -> None:
        self._filesystem = filesystem
        self._base = base.rstrip("/")
        self._timeout = timeout_seconds
        self._is_s3 = hasattr(filesystem, "_call_s3")

    def _path(self, location: Location) -> str:
        return self._base + location.path

    def _run(self, function: Callable[..., Coroutine[Any, Any, T]], *arguments: object) -> T:
        try:
            return sync(self._filesystem.loop, function, *arguments, timeout=self._timeout)
        except (TimeoutError, FSTimeoutError) as fault:
            raise TimeoutError(errno.ETIMEDOUT, "the store did not answer in time") from fault

    def stamp(self, location: Location) -> Stamp:
        """Return what the store says of a file now; OSError when it says nothing."""
        path = self._path(location)
        if isinstance(self._filesystem, AsyncFileSystem):
            self._filesystem.invalidate_cache(self._filesystem._parent(path))
            return _stamp(self._run(self._filesystem._info, path))
        return _stamp(self._filesystem.info(path))

    def is_folder(self, location: Location) -> bool:
        """Return whether something lies under this path."""
        return bool(self._filesystem.isdir(self._path(location)))

    def read(self, location: Location, offset: int, length: int) -> tuple[bytes, Stamp | None]:
        """Return a range, and the file's stamp where it comes with the range (S3); OSError when it cannot be read."""
        path = self._path(location)
        if self._is_s3:
            return self._run(_read_s3, self._filesystem, self._base, location.path[1:], offset, length)
        if isinstance(self._filesystem, AsyncFileSystem):
            return self._run(_read_range, self._filesystem, path, offset, length), None
        return self._filesystem.cat_file(path, start=offset, end=offset + length), None

    def list_folder(self, location: Location) -> Iterator[Found]:
        """Yield what lies in a folder, page by page where the store has pages."""
        if self._is_s3:
            yield from self._list_s3(location.path[1:])
            return
        path = self._path(location)
        for info in self._filesystem.ls(path, detail=True, refresh=True):
            name = info["name"].rstrip("/").rsplit("/", 1)[-1]
            if info["name"].rstrip("/") != path.rstrip("/"):
                yield Found(name, info["type"] == "directory", _stamp(info))

    def _list_s3(self, key: str) -> Iterator[Found]:
        prefix = f"{key}/" if key else ""
        pages = self._filesystem._iterdir(self._base, prefix=prefix)
        while page := self._run(_page, pages):
            for info in page:
                name = info["Key"][len(self._base) + 1 + len(prefix) :]
                found = Found(name, info["type"] == "directory", _stamp(info))
                # An object of the folder's own key and zero bytes only marks the folder.
                if name or found.is_folder or found.stamp.size:
                    yield found


async def _page(items: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    page: list[dict[str, Any]] = []
    async for item in items:
        page.append(item)
        if len(page) >= _PAGE:
            break
    return page


async def _read_range(filesystem: Any, path: str, offset: int, length: int) -> bytes:
    return await filesystem._cat_file(path, start=offset, end=offset + length)


async def _read_s3(filesystem: Any, bucket: str, key: str, offset: int, length: int) -> tuple[bytes, Stamp | None]:
    """Read a range with one request: its answer tells size, time and ETag, so that a change is seen for nothing."""
    answer = await filesystem._call_s3(
        "get_object", Bucket=bucket, Key=key, Range=f"bytes={offset}-{offset + length - 1}"
    )
    try:
        data = await answer["Body"].read()
    finally:
        answer["Body"].close()
    size = int(answer["ContentRange"].rpartition("/")[2]) if answer.get("ContentRange") else answer["ContentLength"]
    return data, Stamp(size, seconds_only(answer.get("LastModified")), _tag(answer.get("ETag")))


@lru_cache(maxsize=64)
def _store(protocol: str, authority: str, options: tuple[tuple[str, Any], ...], timeout_seconds: float) -> Store:
    filesystem, base = fsspec.core.url_to_fs(f"{protocol}://{quote(authority)}", **dict(options))
    return Store(filesystem, base, timeout_seconds)


def open_store(location: Location, options: Options | None, timeout_seconds: float) -> Store:
    """Return the store of a location.

    Parameters
    ----------
    location : Location
        Something in it; not a local file.
    options : mapping or None
        fsspec's options by store; fsspec's own settings (``FSSPEC_S3_…``) hold as well.
    timeout_seconds : float
        How long one request may take.
    """
    chosen = (options or {}).get(location.protocol, {})
    frozen = tuple(sorted((name, _frozen(value)) for name, value in chosen.items()))
    return _store(location.protocol, location.authority, frozen, timeout_seconds)


class _Frozen(dict[str, Any]):
    """A dict among the options, hashable by its content."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted((key, repr(value)) for key, value in self.items())))


def _frozen(value: object) -> object:
    return _Frozen(value) if isinstance(value, dict) else value


class RemoteSource:
    """A remote file as a source: one request a read.

    Parameters
    ----------
    store : Store
        Where it lies.
    location : Location
        What to read.
    size : int or None
        Its size, when known.
    """

    def __init__(self, store: Store, location: Location, size: int | None) -> None:
        self._store = store
        self._location = location
        self.size = size
        self.seen: Stamp | None = None

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes at `offset`; fewer only at the end."""
        if self.size is not None:
            length = min(length, self.size - offset)
        if length <= 0:
            return b""
        data, stamp = self._store.read(self._location, offset, length)
        if stamp is not None:
            self.seen = stamp
            self.size = stamp.size
        return data

    def current_stamp(self) -> Stamp:
        """Return the file's stamp: of the last range where the store gave it along, else asked for now."""
        return self.seen or self._store.stamp(self._location)
