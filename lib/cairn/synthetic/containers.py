"""Packs files into zip and tar archives, the same bytes every time, and spoils them on purpose."""

from __future__ import annotations

import datetime as dt
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Sequence

from cairn.synthetic.draws import Draws

Member = tuple[str, bytes]


def pack_zip(members: Sequence[Member], moment: dt.datetime, compress: bool = True) -> bytes:
    """Return a zip of the members, deflated or stored, all modified at `moment` (even seconds, as zip keeps them)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members:
            info = zipfile.ZipInfo(
                name, (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second // 2 * 2)
            )
            info.create_system = 3
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
            archive.writestr(info, data, compresslevel=6)
    return out.getvalue()


def pack_tar(members: Sequence[Member], moment: dt.datetime, compress: bool = False) -> bytes:
    """Return a tar of the members, gzipped or not; names that are no UTF-8 come with surrogate escapes."""
    out = io.BytesIO()
    with tarfile.open(
        fileobj=out, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mtime = int(moment.replace(tzinfo=dt.UTC).timestamp())
            archive.addfile(info, io.BytesIO(data))
    return gzipped(out.getvalue()) if compress else out.getvalue()


def gzipped(data: bytes) -> bytes:
    """Return a gzip file (RFC 1952) without name, time and system: Python's own differs between its versions."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(data) + packer.flush()
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + body + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)


class _ZipCrypto:
    """The traditional PKWARE cipher (APPNOTE 6.1), which Python can read but not write."""

    def __init__(self, password: bytes) -> None:
        self._keys = [0x12345678, 0x23456789, 0x34567890]
        for byte in password:
            self._update(byte)

    @staticmethod
    def _crc(value: int, byte: int) -> int:
        return ~zlib.crc32(bytes([byte]), value ^ 0xFFFFFFFF) & 0xFFFFFFFF

    def _update(self, byte: int) -> None:
        first = self._crc(self._keys[0], byte)
        second = ((self._keys[1] + (first & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        self._keys = [first, second, self._crc(self._keys[2], second >> 24)]

    def encrypt(self, data: bytes) -> bytes:
        """Return the data encrypted, going on from where the last call ended."""
        out = bytearray()
        for byte in data:
            key = self._keys[2] | 2
            out.append(byte ^ (key * (key ^ 1) >> 8 & 0xFF))
            self._update(byte)
        return bytes(out)


def pack_encrypted_zip(members: Sequence[Member], password: bytes, draws: Draws) -> bytes:
    """Return a zip whose members are stored and encrypted with the traditional cipher (APPNOTE 4.3.7, 4.3.12, 6.1)."""
    body, directory = b"", b""
    for name, data in members:
        crc = zlib.crc32(data)
        cipher = _ZipCrypto(password)
        stored = cipher.encrypt(draws.raw_bytes(11) + bytes([crc >> 24])) + cipher.encrypt(data)
        raw = name.encode()
        shared = struct.pack("<HHHHHIIIHH", 20, 1, 0, 0, 0x21, crc, len(stored), len(data), len(raw), 0)
        directory += b"PK\1\2" + struct.pack("<H", 20) + shared
        directory += struct.pack("<HHHII", 0, 0, 0, 0o644 << 16, len(body)) + raw
        body += b"PK\3\4" + shared + raw + stored
    count = len(members)
    return body + directory + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)
