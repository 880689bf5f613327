"""Addresses of entries: one URI per file or archive member, and back to the bytes of its name.

An entry's URI is the URI of its file, then ``!/`` and the member's name for each archive around it::

    file:///data/a.dcm        s3a://bucket/2019/b.zip!/series/c.dcm        file:///d.zip!/e.tar!/f.dcm

Names are byte strings. Text stays readable; every other byte, and every character that has a meaning in a URI or
here (``%``, ``!``, ``#``, ``?``, the backslash, blanks, controls), is percent-encoded (RFC 3986, section 2.1), so that
``!/`` separates members and nothing else. The second and later members of one name in one archive are told apart by
``#2``, ``#3`` … in the archive's own order: a ``#`` of the name itself is always written ``%23``.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

MEMBER = "!/"
"""What separates a member's name from its archive's URI."""

_PLAIN = re.compile(r"[A-Za-z0-9/._~$&'()*+,;=:@-]*")
_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._~$&'()*+,;=:@-")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)(.*)", re.DOTALL)
_ORDINAL = re.compile(r"#\d+\Z")

# Spark and Hadoop name some stores differently from fsspec.
_PROTOCOLS = {
    "s3a": "s3",
    "s3n": "s3",
    "abfss": "abfs",
    "wasb": "abfs",
    "wasbs": "abfs",
    "gcs": "gs",
    "viewfs": "hdfs",
    "local": "file",
}


def quote(name: bytes | str) -> str:
    """Return a name as part of a URI.

    Parameters
    ----------
    name : bytes or str
        The name's bytes, or the text that Python's file functions give for them (surrogate escapes, PEP 383).

    Returns
    -------
    str
        Valid UTF-8 text without blanks, controls or ``!``; :func:`unquote` gives the bytes back.
    """
    text = name.decode("utf-8", "surrogateescape") if isinstance(name, bytes) else name
    if _PLAIN.fullmatch(text):
        return text
    return "".join(c if c in _SAFE or (c > "\x7f" and c.isprintable()) else _escape(c) for c in text)


def _escape(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogateescape"))


def unquote(part: str) -> bytes:
    """Return the bytes of a name from its part of a URI; an ordinal (``#2``) is no part of the name."""
    return unquote_to_bytes(_ORDINAL.sub("", part))


def member_uri(container: str, name: bytes, ordinal: int = 1) -> str:
    """Return the URI of an archive's member.

    Parameters
    ----------
    container : str
        The archive's URI.
    name : bytes
        The member's name as the archive holds it; ``../`` and a leading ``/`` are only parts of the name.
    ordinal : int
        Which of the members of that name, from 1.
    """
    return f"{container}{MEMBER}{quote(name)}" + (f"#{ordinal}" if ordinal > 1 else "")


def split_uri(uri: str) -> tuple[str, tuple[str, ...]]:
    """Return a URI's file and its members' names (quoted, outermost first)."""
    outermost, *members = uri.split(MEMBER)
    return outermost, tuple(members)


def local_uri(path: str | bytes) -> str:
    """Return the ``file:`` URI of an absolute local path."""
    return "file://" + quote(path)


def local_path(uri: str) -> str | None:
    """Return the local path of a file's URI, with surrogate escapes; None for a URI of another store."""
    if not uri.startswith("file:///"):
        return None
    path = uri[7:]
    return os.fsdecode(unquote_to_bytes(path)) if "%" in path else path


@dataclass(frozen=True, slots=True)
class Location:
    """A file or folder of some store.

    Attributes
    ----------
    scheme : str
        As given: ``file``, ``s3a`` …
    authority : str
        Bucket, container or host; empty for local files.
    path : str
        Decoded path, with surrogate escapes for bytes that are no UTF-8; begins with ``/`` unless empty.
    """

    scheme: str
    authority: str
    path: str

    @property
    def protocol(self) -> str:
        """The store's name in fsspec."""
        return _PROTOCOLS.get(self.scheme.lower(), self.scheme.lower())

    @property
    def is_local(self) -> bool:
        """Whether Python's own file functions reach it."""
        return self.protocol == "file"

    @property
    def uri(self) -> str:
        """The address in its one spelling; local files as ``file:///``."""
        if self.is_local:
            return local_uri(self.path)
        return f"{self.scheme}://{self.authority}{quote(self.path)}"

    def child(self, name: str) -> Location:
        """Return what lies in this folder under a (decoded) name."""
        return Location(self.scheme, self.authority, f"{self.path.rstrip('/')}/{name}")


def locate(address: str, working_folder: str = "/") -> Location:
    """Return what an address means.

    Parameters
    ----------
    address : str
        A URI (percent-encoded), or a plain local path (taken as it is).
    working_folder : str
        What a relative path starts from.

    Returns
    -------
    Location
        Without ``.``, ``..`` and trailing slashes for local files; other stores' keys are left as they are: in some
        of them ``a//b`` and ``a/`` are keys of their own.
    """
    if found := _SCHEME.match(address):
        scheme, authority, rest = found.groups()
        path = os.fsdecode(unquote_to_bytes(rest))
        if Location(scheme, "", "").protocol != "file":
            return Location(scheme, authority, path)
        return Location("file", "", os.path.normpath(path or "/"))
    if address.startswith("file:"):
        address = os.fsdecode(unquote_to_bytes(address[5:]))
    return Location("file", "", os.path.normpath(os.path.join(working_folder, address)))
