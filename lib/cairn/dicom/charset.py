"""Text in its declared character set, as UTF-8.

The tokeniser reports the few text values that hold more than ASCII; only these pass through Python. The decoding itself
is pydicom's (PS3.3 C.12.1.1.2, PS3.5 6.1), with the rules of ``docs/header.md`` for what is broken or undeclared.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np
from pydicom import charset as pydicom_charset
from pydicom.valuerep import TEXT_VR_DELIMS

BROKEN, UNDECLARED, UNDECLARED_UTF8 = "CHARSET_BROKEN", "CHARSET_UNDECLARED", "CHARSET_UNDECLARED_UTF8"
UNKNOWN = "CHARSET_UNKNOWN"
_GB2312_TO_G1 = "\x1b$)A"
_INSTEAD_OF_UNKNOWN = ("iso8859-1",)  # as pydicom does
_DEFAULT = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})


@lru_cache(maxsize=1024)
def encodings_of(declared: bytes) -> tuple[str, ...]:
    """Return Python's encodings for a Specific Character Set value; empty when it declares only the default.

    Parameters
    ----------
    declared : bytes
        The value of (0008,0005) as stored.

    Raises
    ------
    LookupError
        If it names a set that the standard does not have, nor pydicom a near one for.
    """
    parts = [part.strip(" \0") for part in declared.decode("iso8859-1").split("\\")]
    if all(part in _DEFAULT for part in parts):
        return ()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            encodings = tuple(pydicom_charset.convert_encodings(parts))
        except ValueError as fault:  # a NUL in the name
            raise LookupError("not a character set") from fault
    if any(str(warning.message).startswith("Unknown encoding") for warning in told):
        raise LookupError("not a character set")  # pydicom goes on with its default
    return encodings


def decode_text(raw: bytes, declared: bytes, uses_charset: bool) -> tuple[str, str | None]:
    """Return a value's text and the finding that it deserves.

    Parameters
    ----------
    raw : bytes
        The value as stored.
    declared : bytes
        Value of the Specific Character Set that governs it; empty when there is none.
    uses_charset : bool
        Whether the value's VR obeys it (PS3.5 6.1.2.3); for others nothing is declared beyond ASCII.

    Returns
    -------
    tuple of str and (str or None)
        The text, and a code or None.
    """
    known = True
    try:
        encodings = encodings_of(declared) if uses_charset else ()
    except LookupError:
        encodings, known = _INSTEAD_OF_UNKNOWN, False
    if not encodings:
        return (raw.decode("ascii"), None) if raw.isascii() else _guess(raw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            text = pydicom_charset.decode_bytes(raw, list(encodings), TEXT_VR_DELIMS)
        except (UnicodeError, LookupError):
            text = raw.decode("iso8859-1", errors="replace")
            return text, BROKEN
    if b"ISO 2022 IR 58" in declared:
        text = text.replace(_GB2312_TO_G1, "")  # pydicom leaves this escape in the text (PS3.5 K.2)
    if not known:
        return text, UNKNOWN
    return text, BROKEN if "\ufffd" in text else None


def _guess(raw: bytes) -> tuple[str, str]:
    """Read bytes of which nothing is declared: UTF-8 is hardly ever met by chance."""
    try:
        return raw.decode("utf-8"), UNDECLARED_UTF8
    except UnicodeDecodeError:
        return raw.decode("iso8859-1"), UNDECLARED


def decode_values(
    buf: np.ndarray, wanted: np.ndarray, vr: np.ndarray, at: np.ndarray, length: np.ndarray, uses_charset: np.ndarray
) -> tuple[np.ndarray, list[tuple[int, str]]]:
    """Decode the reported values and point their tokens at UTF-8.

    Parameters
    ----------
    buf : numpy.ndarray of uint8
        The batch's bytes.
    wanted : numpy.ndarray of int32, shape (n, 2)
        Tokens to decode, and the token of the governing character set (-1: none).
    vr, at, length : numpy.ndarray
        The tokens; `at` and `length` of decoded ones are changed in place.
    uses_charset : numpy.ndarray of bool, shape (256,)
        By VR code.

    Returns
    -------
    tuple
        The buffer with the decoded text behind the batch's bytes, and (token, code) for each finding.
    """
    findings: list[tuple[int, str]] = []
    made: list[bytes] = []
    end = buf.size
    for token, governing in wanted.tolist():
        start = int(at[token])
        declared = b""
        if governing >= 0:
            begin = int(at[governing])
            declared = buf[begin : begin + int(length[governing])].tobytes()
        text, code = decode_text(
            buf[start : start + int(length[token])].tobytes(), declared, bool(uses_charset[vr[token]])
        )
        if code is not None:
            findings.append((token, code))
        utf8 = text.encode("utf-8", errors="replace")
        at[token], length[token] = end, len(utf8)
        end += len(utf8)
        made.append(utf8)
    if made:
        buf = np.concatenate([buf, np.frombuffer(b"".join(made), np.uint8)])
    return buf, findings
