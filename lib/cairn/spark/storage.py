"""One way to small and large files on any file system that holds a zone. No pyspark here: workers use it.

Spark knows a zone by its Hadoop URI (``file:``, ``s3a:``, ``abfs:``, ``hdfs:`` …); workers, plans, intents and locks
reach the same place through pyarrow's own file systems, or through fsspec for any other scheme. Credentials come from
the environment of those libraries, never from settings.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

import pyarrow.fs as pafs

from cairn.errors import CairnError

NATIVE = {
    "s3a": "s3",
    "s3n": "s3",
    "s3": "s3",
    "gs": "gs",
    "hdfs": "hdfs",
    "viewfs": "viewfs",
    "abfs": "abfs",
    "abfss": "abfss",
}
"""Hadoop scheme to the scheme that pyarrow opens by itself."""


@dataclass(frozen=True)
class Folder:
    """A folder on some file system.

    Parameters
    ----------
    uri : str
        A local path, or a URI as Hadoop writes it: blanks and percent signs stand for themselves.
    """

    uri: str

    @cached_property
    def _opened(self) -> tuple[pafs.FileSystem, str]:
        scheme, separator, rest = self.uri.partition(":")
        if not separator or "/" in scheme or len(scheme) == 1:
            return pafs.LocalFileSystem(), os.path.abspath(self.uri)
        if scheme == "file":
            return pafs.LocalFileSystem(), "/" + rest.lstrip("/")
        if scheme in NATIVE:
            return pafs.FileSystem.from_uri(f"{NATIVE[scheme]}:{rest}")
        import fsspec  # only for schemes that pyarrow does not open by itself

        system, path = fsspec.core.url_to_fs(self.uri)
        return pafs.PyFileSystem(pafs.FSSpecHandler(system)), path

    @property
    def filesystem(self) -> pafs.FileSystem:
        """The pyarrow file system."""
        return self._opened[0]

    @property
    def path(self) -> str:
        """The folder's path within :attr:`filesystem`."""
        return self._opened[1].rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether it lies on this machine's own file system."""
        return isinstance(self.filesystem, pafs.LocalFileSystem)

    @property
    def hadoop_uri(self) -> str:
        """The folder as Hadoop takes it: a local path becomes a ``file:`` URI."""
        return f"file://{self.path}" if self.is_local else self.uri.rstrip("/")

    def child(self, name: str) -> Folder:
        """Return the folder `name` (may hold slashes) in this one."""
        return Folder(f"{self.uri.rstrip('/')}/{name}")

    def file(self, name: str) -> str:
        """Return the path of file `name` within :attr:`filesystem`."""
        return f"{self.path}/{name}"

    def exists(self, name: str = "") -> bool:
        """Whether the folder, or a file or folder `name` in it, is there."""
        info = self.filesystem.get_file_info(self.file(name) if name else self.path)
        return info.type != pafs.FileType.NotFound

    def make(self) -> Folder:
        """Create the folder when it is missing; returns itself."""
        with disk_faults(self.uri):
            self.filesystem.create_dir(self.path, recursive=True)
        return self

    def names(self, folders: bool = False) -> list[str]:
        """Return the names of the files (or folders) directly in it, sorted; none when it does not exist."""
        wanted = pafs.FileType.Directory if folders else pafs.FileType.File
        selector = pafs.FileSelector(self.path, allow_not_found=True)
        return sorted(info.base_name for info in self.filesystem.get_file_info(selector) if info.type == wanted)

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        with self.filesystem.open_input_stream(self.file(name)) as stream:
            return bytes(stream.readall())

    def size(self, name: str) -> int:
        """Return the bytes of a file.

        Raises
        ------
        FileNotFoundError
            It is not there.
        """
        info = self.filesystem.get_file_info(self.file(name))
        if not info.is_file:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return int(info.size)

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all: readers see the old bytes or the new ones, also after a kill.

        On a local file system the bytes are on the disk before the name shows them; an object store puts a file at
        once.
        """
        with disk_faults(self.uri):
            if self.is_local:
                _write_local(self.file(name), content)
            else:
                with self.filesystem.open_output_stream(self.file(name)) as stream:
                    stream.write(content)

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens when it is gone already."""
        try:
            self.filesystem.delete_file(self.file(name))
        except FileNotFoundError:
            pass

    def remove_folder(self, name: str = "") -> None:
        """Remove a folder with all that is in it; nothing happens when it is gone already."""
        try:
            self.filesystem.delete_dir(self.file(name) if name else self.path)
        except FileNotFoundError:
            pass


def _write_local(path: str, content: bytes) -> None:
    temporary = str(PurePosixPath(path).with_name(f".{PurePosixPath(path).name}.{os.getpid()}"))
    try:
        with open(temporary, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


class disk_faults:
    """Turn "no space left" into NO_DISK, so that every job ends with the same sentence.

    Parameters
    ----------
    place : str
        What to name in the message: a root out of the settings, never an entry's path.
    """

    def __init__(self, place: str) -> None:
        self.place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: object) -> None:
        full = (errno.ENOSPC, errno.EDQUOT)
        if isinstance(fault, OSError) and (fault.errno in full or "No space left" in str(fault)):
            raise CairnError("NO_DISK", path=self.place) from None
