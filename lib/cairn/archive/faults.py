"""Faults of storage: which code they get, and whether trying again may help."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

from cairn.errors import EntryError

T = TypeVar("T")

_GONE = frozenset({errno.ENOENT, errno.ENOTDIR})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
_LOOP = frozenset({errno.ELOOP})
_HOPELESS = frozenset({errno.EISDIR, errno.ENXIO, errno.ENODEV, errno.ENAMETOOLONG, errno.EINVAL})
_FIRST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 0.1, 10.0

# What reading a range may raise: OSError covers files, sockets and (through fsspec) the stores' translated errors.
STORAGE_FAULTS = (OSError, EOFError)


def code_of(fault: BaseException) -> str:
    """Return the code of a fault of storage: ENTRY_GONE, READ_FORBIDDEN, LINK_LOOP or READ_FAILED."""
    number = getattr(fault, "errno", None)
    if isinstance(fault, FileNotFoundError) or number in _GONE:
        return "ENTRY_GONE"
    if isinstance(fault, PermissionError) or number in _FORBIDDEN:
        return "READ_FORBIDDEN"
    if number in _LOOP:
        return "LINK_LOOP"
    return "READ_FAILED"


def is_transient(fault: BaseException) -> bool:
    """Return whether the same read may succeed later."""
    return code_of(fault) == "READ_FAILED" and getattr(fault, "errno", None) not in _HOPELESS


def retried(action: Callable[[], T], tries: int, sleep: Callable[[float], None]) -> T:
    """Return what an action gives, trying again after transient faults of storage.

    Parameters
    ----------
    action : callable
        What to do; may be done several times.
    tries : int
        How often at most, at least 1.
    sleep : callable
        Waits the given seconds: 0.1, 0.2, 0.4 … up to 10.

    Raises
    ------
    EntryError
        ENTRY_GONE, READ_FORBIDDEN, LINK_LOOP; READ_FAILED when every try failed.
    """
    delay = _FIRST_DELAY_SECONDS
    for attempt in range(1, tries + 1):
        try:
            return action()
        except STORAGE_FAULTS as fault:
            if attempt >= tries or not is_transient(fault):
                raise EntryError(code_of(fault)) from fault
        sleep(delay)
        delay = min(2 * delay, _LONGEST_DELAY_SECONDS)
    raise ValueError("tries must be at least 1")
