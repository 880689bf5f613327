"""The manifest of an extract: every file with size and SHA-256, what it was made of, and an Ed25519 signature.

`manifest.json` names `files.csv` (path, size, sha256; sorted by path) with its hash; `manifest.sig` is the signature of
`manifest.json` (RFC 8032, base64). Neither holds a time or anything of the machine: equal extracts have equal bytes.
The receiving side checks all of it with the public key alone.
"""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from cairn.deid.keys import MasterKey
from cairn.errors import CairnError

FORMAT = "cairn-extract/1"
MANIFEST, SIGNATURE, FILES = "manifest.json", "manifest.sig", "files.csv"
OWN = frozenset({MANIFEST, SIGNATURE, FILES})
_HEADER = ("path", "size", "sha256")


@dataclass(frozen=True, order=True)
class Delivered:
    """One file of an extract.

    Parameters
    ----------
    path : str
        Below the extract's folder, with slashes.
    size : int
        Bytes.
    sha256 : str
        Hexadecimal.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Difference:
    """Something that is not as the manifest says.

    Parameters
    ----------
    what : str
        missing, added, changed.
    path : str
        Of which file.
    """

    what: str
    path: str


def files_csv(files: Iterable[Delivered]) -> bytes:
    """Return files as CSV, sorted by path."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows((one.path, one.size, one.sha256) for one in sorted(files))
    return text.getvalue().encode("utf-8")


def manifest_json(told: Mapping[str, Any], listed: bytes, files: int, size: int) -> bytes:
    """Return the manifest.

    Parameters
    ----------
    told : mapping
        What the extract was made of and what it holds.
    listed : bytes
        From :func:`files_csv`.
    files, size : int
        How many files that names, and their bytes.
    """
    own = {"name": FILES, "sha256": hashlib.sha256(listed).hexdigest(), "count": files, "bytes": size}
    document = {"format": FORMAT, "files": own, **told}
    return (json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def sign(manifest: bytes, key: MasterKey) -> bytes:
    """Return the signature of a manifest, base64 with a line's end."""
    return base64.b64encode(_private(key).sign(manifest)) + b"\n"


def public_key(key: MasterKey) -> bytes:
    """Return the public half of a signing key as PEM."""
    return signing_public(key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def signing_public(key: MasterKey) -> Ed25519PublicKey:
    """Return the public half of a signing key."""
    return _private(key).public_key()


def _private(key: MasterKey) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(key.secret)


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Read a PEM file.

    Raises
    ------
    CairnError
        PUBLIC_KEY_UNREADABLE.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as fault:
        why = getattr(fault, "strerror", None) or "it is no PEM"
        raise CairnError("PUBLIC_KEY_UNREADABLE", path=path, why=why) from None
    if not isinstance(key, Ed25519PublicKey):
        raise CairnError("PUBLIC_KEY_UNREADABLE", path=path, why="it is no Ed25519 key")
    return key


def signed_manifest(folder: Path, key: Ed25519PublicKey) -> dict[str, Any]:
    """Return the manifest of an extract after its signature was checked; nothing else is read before.

    Raises
    ------
    CairnError
        MANIFEST_MISSING, SIGNATURE_WRONG, MANIFEST_UNKNOWN.
    """
    try:
        manifest, signature = ((folder / name).read_bytes() for name in (MANIFEST, SIGNATURE))
    except OSError as fault:
        raise CairnError("MANIFEST_MISSING", path=folder, why=fault.strerror) from None
    try:
        key.verify(base64.b64decode(signature.strip(), validate=True), manifest)
    except (InvalidSignature, binascii.Error):
        raise CairnError("SIGNATURE_WRONG", path=folder) from None
    document = json.loads(manifest)
    if document.get("format") != FORMAT:
        raise CairnError("MANIFEST_UNKNOWN", path=folder, format=str(document.get("format")))
    return dict(document)


def differences(folder: Path, key: Ed25519PublicKey) -> Iterator[Difference]:
    """Yield what of a folder is not as its signed manifest says.

    Parameters
    ----------
    folder : pathlib.Path
        The extract.
    key : Ed25519PublicKey
        Of who signed it.

    Raises
    ------
    CairnError
        As :func:`signed_manifest`; MANIFEST_BROKEN when the list of files is not the signed one.
    """
    document = signed_manifest(folder, key)
    try:
        listed = (folder / FILES).read_bytes()
    except OSError:
        raise CairnError("MANIFEST_BROKEN", path=folder) from None
    if hashlib.sha256(listed).hexdigest() != document["files"]["sha256"]:
        raise CairnError("MANIFEST_BROKEN", path=folder)
    rows = csv.DictReader(io.StringIO(listed.decode("utf-8"), newline=""))
    told = {row["path"]: (int(row["size"]), row["sha256"]) for row in rows}
    there = set(_paths(folder)) - OWN
    yield from (Difference("added", path) for path in sorted(there - told.keys()))
    for path, (size, digest) in sorted(told.items()):
        if path not in there:
            yield Difference("missing", path)
        elif not _is(folder / path, size, digest):
            yield Difference("changed", path)


def _paths(folder: Path) -> Iterator[str]:
    """Yield whatever is no folder: a link counts as a file, and as an added one."""
    for above, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(above, name))]
        for name in (*names, *links):
            yield os.path.relpath(os.path.join(above, name), folder).replace(os.sep, "/")


def _is(path: Path, size: int, digest: str) -> bool:
    if path.is_symlink() or path.stat().st_size != size:
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == digest
