"""Secret keys: 32 bytes in a file of mode 0600, and the sub-keys that everything else is derived from.

A key is never used itself: HKDF-SHA256 (RFC 5869) makes one sub-key per purpose of it, so that a pseudonym tells
nothing about a date shift. A key file that others can read, or that somebody could have typed, is refused before any
work begins.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cairn.errors import CairnError

KEY_BYTES = 32
SITE = "site"
SIGNING = "signing"
"""Name of the key that signs manifests of extracts (Ed25519): a key like any other, but a file of its own."""
_LARGEST_FILE = 128
_FEWEST_DISTINCT = 16
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
"""What projects may be called."""


class Purpose(Enum):
    """What a sub-key is for; the value goes into HKDF's info."""

    PERSON = "person"
    UID = "uid"
    DATE = "date"
    TEXT = "text"
    FINGERPRINT = "fingerprint"


@dataclass(frozen=True, repr=False)
class SubKey:
    """A key for one purpose. Its bytes never show in a representation.

    Parameters
    ----------
    purpose : Purpose
        What it may be used for.
    secret : bytes
        32 bytes.
    """

    purpose: Purpose
    secret: bytes

    def __repr__(self) -> str:
        return f"SubKey({self.purpose.value})"


@dataclass(frozen=True, repr=False)
class MasterKey:
    """The content of one key file.

    Parameters
    ----------
    name : str
        ``site``, or the project's name.
    secret : bytes
        32 bytes.
    """

    name: str
    secret: bytes

    def sub_key(self, purpose: Purpose) -> SubKey:
        """Return the sub-key for `purpose`: HKDF-SHA256 without salt, info ``cairn/1/<purpose>``."""
        info = f"cairn/1/{purpose.value}".encode()
        return SubKey(purpose, HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(self.secret))

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that name the key without telling anything about it."""
        return self.sub_key(Purpose.FINGERPRINT).secret[:8].hex()

    def __repr__(self) -> str:
        return f"MasterKey({self.name}, {self.fingerprint})"


def key_path(folder: Path, name: str) -> Path:
    """Return where the key called `name` lies: ``site.key``, ``signing.key`` or ``project-<name>.key``.

    Raises
    ------
    CairnError
        KEY_NAME if a project's name is anything but lower-case letters, digits, ``-`` and ``_``.
    """
    if name in (SITE, SIGNING):
        return folder / f"{name}.key"
    if not NAME.fullmatch(name):
        raise CairnError("KEY_NAME", name=name)
    return folder / f"project-{name}.key"


def read_key(folder: Path, name: str = SITE) -> MasterKey:
    """Read a key file and refuse whatever is not safe.

    Parameters
    ----------
    folder : pathlib.Path
        The setting ``keys.directory``.
    name : str
        ``site`` or a project's name.

    Raises
    ------
    CairnError
        KEY_MISSING, KEY_UNSAFE (a link, no plain file, a second name, another owner, mode, a folder that others can
        write), KEY_LENGTH, KEY_WEAK.
    """
    path = key_path(folder, name)
    _refuse_open_folder(folder, path)
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as fault:
        if fault.errno == errno.ELOOP:
            raise CairnError("KEY_UNSAFE", path=path, why="it is a symbolic link") from None
        if fault.errno in (errno.ENOENT, errno.ENOTDIR):
            raise CairnError("KEY_MISSING", path=path) from None
        raise CairnError("KEY_UNSAFE", path=path, why=os.strerror(fault.errno or 0)) from None
    try:
        # The checks are made on what was opened, not on the name: nobody can exchange it in between.
        _refuse_unsafe(os.fstat(handle), path)
        content = os.read(handle, _LARGEST_FILE + 1)
    finally:
        os.close(handle)
    return MasterKey(name, _decoded(content, path))


def _refuse_open_folder(folder: Path, path: Path) -> None:
    try:
        found = os.stat(folder)
    except OSError:
        raise CairnError("KEY_MISSING", path=path) from None
    if found.st_mode & 0o022:
        raise CairnError("KEY_UNSAFE", path=path, why="others can write its folder")
    if found.st_uid not in (0, os.geteuid()):
        raise CairnError("KEY_UNSAFE", path=path, why="its folder belongs to another account")


def _refuse_unsafe(found: os.stat_result, path: Path) -> None:
    faults = {
        "it is no plain file": not stat.S_ISREG(found.st_mode),
        "it belongs to another account": found.st_uid not in (0, os.geteuid()),
        f"its mode is {stat.S_IMODE(found.st_mode):04o}, not 0600": bool(found.st_mode & 0o177),
        "it has a second name (hard link)": found.st_nlink != 1,
    }
    for why, found_so in faults.items():
        if found_so:
            raise CairnError("KEY_UNSAFE", path=path, why=why)


def _decoded(content: bytes, path: Path) -> bytes:
    """Return the 32 bytes of a key file: raw, or 64 hexadecimal digits with or without a line's end."""
    text = content.strip(b"\r\n")
    if re.fullmatch(rb"[0-9a-fA-F]{64}", text):
        content = bytes.fromhex(text.decode("ascii"))
    if len(content) != KEY_BYTES:
        raise CairnError("KEY_LENGTH", path=path, length=len(content))
    # Random bytes fail these tests less than once in 10**12; a passphrase or a pattern fails nearly always.
    if len(set(content)) < _FEWEST_DISTINCT or all(32 <= byte < 127 or byte in b"\t\r\n" for byte in content):
        raise CairnError("KEY_WEAK", path=path)
    steps = {(after - before) % 256 for before, after in itertools.pairwise(content)}
    if len(steps) < _FEWEST_DISTINCT // 2:
        raise CairnError("KEY_WEAK", path=path)
    return content


def make_key(folder: Path, name: str = SITE, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> MasterKey:
    """Make a new key file, mode 0600, and return its key. An existing one is never overwritten.

    Parameters
    ----------
    folder : pathlib.Path
        Made with mode 0700 when it is missing.
    name : str
        ``site`` or a project's name.
    random_bytes : callable
        Source of randomness.

    Raises
    ------
    CairnError
        KEY_EXISTS, KEY_NAME, KEY_UNSAFE.
    """
    path = key_path(folder, name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_open_folder(folder, path)
    try:
        _write_new(path, random_bytes(KEY_BYTES))
    except FileExistsError:
        raise CairnError("KEY_EXISTS", path=path) from None
    return read_key(folder, name)


def rotate_key(folder: Path, name: str = SITE, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> MasterKey:
    """Put a new key in the place of the present one, which stays beside it as ``….key.<fingerprint>``.

    The retired key is kept because pseudonyms that were given out can only be traced back with it.

    Raises
    ------
    CairnError
        As :func:`read_key`; KEY_EXISTS if that retired key is there already.
    """
    old = read_key(folder, name)
    path = key_path(folder, name)
    retired, fresh = path.with_name(f"{path.name}.{old.fingerprint}"), path.with_name(f"{path.name}.new")
    try:
        _write_new(retired, old.secret)
        _write_new(fresh, random_bytes(KEY_BYTES))
    except FileExistsError as fault:
        raise CairnError("KEY_EXISTS", path=fault.filename) from None
    os.replace(fresh, path)  # at every moment there is one whole key under the name
    _sync(folder)
    return read_key(folder, name)


def _write_new(path: Path, secret: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(handle, 0o600)  # whatever the umask says
        os.write(handle, secret.hex().encode() + b"\n")
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def key_names(folder: Path) -> list[str]:
    """Return the names of the keys in `folder`, the site's first, then the signing key; retired ones are left out."""
    try:
        found = sorted(path.name for path in folder.iterdir() if path.suffix == ".key")
    except OSError:
        raise CairnError("KEY_MISSING", path=folder) from None
    projects = [name[len("project-") : -len(".key")] for name in found if name.startswith("project-")]
    return [name for name in (SITE, SIGNING) if f"{name}.key" in found] + projects
