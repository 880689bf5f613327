"""ICC profiles without the texts in them (ICC.1, 7.2 and 7.3): colours stay, words and the date of making go."""

from __future__ import annotations

import struct

_SIGNATURE_AT, _DATE_AT, _ID_AT, _HEADER = 36, slice(24, 36), slice(84, 100), 128
_TEXT_TYPES = frozenset({b"text", b"desc", b"mluc", b"dict", b"meta", b"pseq", b"psid", b"ncl2"})
_TEXT_TAGS = frozenset({b"cprt", b"desc", b"dmnd", b"dmdd", b"targ", b"vued", b"scrd", b"meta", b"pseq", b"psid"})
_MOST_TAGS = 200


def without_texts(profile: bytes) -> bytes | None:
    """Return an ICC profile of the same length with its texts blanked; None when it is no profile.

    Parameters
    ----------
    profile : bytes
        Value of ICC Profile (0028,2000).

    Returns
    -------
    bytes or None
        Descriptions, copyright and other texts are blank, the date of making and the checksum are zero, what lies
        between the tags or behind them is zero too.
    """
    if len(profile) < _HEADER + 4 or profile[_SIGNATURE_AT : _SIGNATURE_AT + 4] != b"acsp":
        return None
    count = struct.unpack_from(">I", profile, _HEADER)[0]
    first = _HEADER + 4 + 12 * count
    if count > _MOST_TAGS or first > len(profile):
        return None
    out = bytearray(len(profile))
    out[:first] = profile[:first]
    out[_DATE_AT], out[_ID_AT] = bytes(12), bytes(16)
    out[100:_HEADER] = bytes(_HEADER - 100)  # reserved
    for number in range(count):
        name, start, size = struct.unpack_from(">4sII", profile, _HEADER + 4 + 12 * number)
        if start < first or start + size > len(profile):
            return None
        data = profile[start : start + size]
        out[start : start + size] = _blank(data) if name in _TEXT_TAGS or data[:4] in _TEXT_TYPES else data
    return bytes(out)


def _blank(data: bytes) -> bytes:
    """Return a text tag of the same type and size that says nothing."""
    kind = data[:4]
    if kind == b"text":
        return data[:8] + b" " * (len(data) - 9) + bytes(1) if len(data) > 9 else data[:8] + bytes(len(data) - 8)
    if kind == b"desc" and len(data) >= 12:  # one NUL as its text, no other language
        return data[:8] + struct.pack(">I", 1) + bytes(len(data) - 12)
    if kind == b"mluc" and len(data) >= 16:  # no record at all
        return data[:8] + struct.pack(">II", 0, 12) + bytes(len(data) - 16)
    return data[:4] + bytes(len(data) - 4)
