"""Listing folders: one at a time, sub-folders handed back as new work, so that many tasks can share it.

Links are followed to files. A link to a folder is followed unless that would list something twice or without end:

- it leads to a folder above itself (or to one that holds a root): row with LINK_LOOP;
- it leads into a root, or into a folder that a link on the way has led to: that folder is listed at its own place; row
  with LINK_REPEATED;
- it leads nowhere: row with LINK_BROKEN.

Two links to one folder outside the roots are two places, listed both. Devices, sockets and pipes are never opened.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cairn.archive.address import Location, locate, quote
from cairn.archive.entry import Entry, faulty_entry, file_entry
from cairn.archive.faults import STORAGE_FAULTS, code_of, is_transient
from cairn.archive.sources import stamp_of
from cairn.archive.stores import Options, open_store
from cairn.errors import CairnError

_MOST_LINKS = 8


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder to list.

    Attributes
    ----------
    uri, root : str
        Its address, and the root under which it was found.
    real : str
        Local: the folder that it really is, links resolved. Otherwise empty.
    links : tuple of str
        Real folders that the links on the way led to, outermost first.
    """

    uri: str
    root: str
    real: str = ""
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FolderFault:
    """A folder that could not be listed, or only in part: nothing under it may be taken for gone."""

    entry: Entry


def open_roots(
    addresses: Sequence[str],
    working_folder: str,
    options: Options | None = None,
    timeout_seconds: float = 60.0,
) -> list[Folder | Entry]:
    """Return what to start from.

    Parameters
    ----------
    addresses : sequence of str
        Roots as given: URIs, or local paths. A file is allowed. One within another is left out.
    working_folder : str
        What a relative path starts from.
    options, timeout_seconds
        As in :func:`cairn.archive.reader.read_entries`.

    Raises
    ------
    CairnError
        SOURCE_MISSING.
    """
    places = (_without_end(locate(address, working_folder)) for address in addresses)
    locations = {location.uri: location for location in places}
    # One within another is left out, but must be there all the same: it may be a slip of the pen.
    opened = {uri: _open_root(place, options, timeout_seconds) for uri, place in sorted(locations.items())}
    identities = {uri: _identity(place) for uri, place in locations.items()}
    return [root for uri, root in opened.items() if not _is_covered(uri, identities)]


def _is_covered(uri: str, identities: Mapping[str, str]) -> bool:
    """Return whether a root lies in another one; of two names for one folder the first in order stays."""
    own = identities[uri]
    others = (identity for other, identity in identities.items() if identity != own or other < uri)
    return any(_within(own, identity) for identity in others)


def _without_end(location: Location) -> Location:
    """Return a root without trailing slashes; only the local file system's top keeps its one."""
    return replace(location, path=location.path.rstrip("/") or ("/" if location.is_local else ""))


def _identity(location: Location) -> str:
    if location.is_local:
        return os.path.realpath(location.path)
    return replace(location, scheme=location.protocol).uri


def _within(path: str, folder: str) -> bool:
    """Return whether a path lies in a folder, or is it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _open_root(location: Location, options: Options | None, timeout_seconds: float) -> Folder | Entry:
    uri = location.uri
    try:
        if location.is_local:
            status = os.stat(location.path)
            if stat.S_ISDIR(status.st_mode):
                return Folder(uri, uri, os.path.realpath(location.path))
            return file_entry(uri, uri, stamp_of(status))
        store = open_store(location, options, timeout_seconds)
        if not location.path or store.is_folder(location):
            return Folder(uri, uri)
        return file_entry(uri, uri, store.stamp(location))
    except STORAGE_FAULTS as fault:
        raise CairnError("SOURCE_MISSING", path=uri) from fault


def real_roots(roots: Sequence[Folder | Entry]) -> tuple[str, ...]:
    """Return the roots' real local folders: what links are held against."""
    return tuple(root.real for root in roots if isinstance(root, Folder) and root.real)


def list_folder(
    folder: Folder,
    roots: Sequence[str],
    options: Options | None = None,
    timeout_seconds: float = 60.0,
    tries: int = 1,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Folder | Entry | FolderFault]:
    """Yield what lies in one folder, in the store's order, in bounded memory.

    Parameters
    ----------
    folder : Folder
        Which.
    roots : sequence of str
        From :func:`real_roots`.
    options, timeout_seconds, sleep
        As in :func:`cairn.archive.reader.read_entries`.
    tries : int
        How often the listing is begun when storage falters; one that breaks off later is a fault, as the names that
        follow may not be the same any more.

    Yields
    ------
    Folder, Entry or FolderFault
        Sub-folders, files (with a code for what cannot be read), and at most one fault of the folder itself.
    """
    for attempt in range(1, tries + 1):
        begun = False
        try:
            for item in _listed(folder, roots, options, timeout_seconds):
                begun = True
                yield item
            return
        except STORAGE_FAULTS as fault:
            if begun or attempt == tries or not is_transient(fault):
                yield FolderFault(faulty_entry(folder.uri, folder.root, code_of(fault)))
                return
        sleep(0.1 * 2**attempt)


def _listed(
    folder: Folder, roots: Sequence[str], options: Options | None, timeout_seconds: float
) -> Iterator[Folder | Entry]:
    location = locate(folder.uri)
    if location.is_local:
        return _list_local(folder, location.path, roots)
    return _list_store(folder, location, options, timeout_seconds)


def _list_store(
    folder: Folder, location: Location, options: Options | None, timeout_seconds: float
) -> Iterator[Folder | Entry]:
    for found in open_store(location, options, timeout_seconds).list_folder(location):
        uri = f"{folder.uri}/{quote(found.name)}"
        if found.is_folder:
            yield Folder(uri, folder.root)
        else:
            yield file_entry(uri, folder.root, found.stamp)


def _list_local(folder: Folder, path: str, roots: Sequence[str]) -> Iterator[Folder | Entry]:
    base = folder.uri if folder.uri.endswith("/") else folder.uri + "/"
    with os.scandir(path) as items:
        for item in items:
            uri = base + quote(item.name)
            if item.is_symlink():
                yield _through_link(folder, item, uri, roots)
            elif item.is_dir(follow_symlinks=False):
                yield _sub_folder(folder, item.name, uri, roots)
            else:
                yield _local_file(item, uri, folder.root)


def _local_file(item: os.DirEntry[str], uri: str, root: str) -> Entry:
    try:
        status = item.stat()
    except OSError as fault:
        return faulty_entry(uri, root, code_of(fault))
    code = None if stat.S_ISREG(status.st_mode) else "NOT_A_FILE"
    return file_entry(uri, root, stamp_of(status), code)


def _sub_folder(folder: Folder, name: str, uri: str, roots: Sequence[str]) -> Folder | Entry:
    real = os.path.join(folder.real, name)
    if folder.links and real in roots:
        return faulty_entry(uri, folder.root, "LINK_REPEATED")
    return replace(folder, uri=uri, real=real)


def _through_link(folder: Folder, item: os.DirEntry[str], uri: str, roots: Sequence[str]) -> Folder | Entry:
    try:
        status = item.stat()
    except OSError as fault:
        fault_code = code_of(fault)
        return faulty_entry(uri, folder.root, "LINK_BROKEN" if fault_code == "ENTRY_GONE" else fault_code)
    if not stat.S_ISDIR(status.st_mode):
        return _local_file(item, uri, folder.root)
    real = os.path.realpath(item.path)
    if code := _refusal(folder, real, roots):
        return faulty_entry(uri, folder.root, code)
    return Folder(uri, folder.root, real, (*folder.links, real))


def _refusal(folder: Folder, real: str, roots: Sequence[str]) -> str | None:
    """Return why a link to a folder is not followed; None when it is."""
    if _within(folder.real, real) or any(_within(root, real) and root != real for root in roots):
        return "LINK_LOOP"
    if any(_within(link, real) and link != real for link in folder.links) or len(folder.links) >= _MOST_LINKS:
        return "LINK_LOOP"
    if any(_within(real, place) for place in (*roots, *folder.links)):
        return "LINK_REPEATED"
    return None
