"""Tokens become VARIANT bytes, without a Python object in between.

Encoding: Parquet's Variant Binary Encoding, version 1 (``VariantEncoding.md``), as Spark's VARIANT reads it. What
an element becomes is said in ``docs/header.md``. Two compiled passes: every value on its own (:func:`encode_values`),
then each header's keys and its tree of objects and arrays (:func:`encode_trees`).
"""

from __future__ import annotations

import numpy as np

from cairn.dicom.compiled import compiled
from cairn.dicom.dictionary import VR, find
from cairn.dicom.tokenise import ITEM_VR

NEED_ROOM = -1

_NULL, _STRING, _BINARY, _FLOAT, _DOUBLE = 0x00, 16 << 2, 15 << 2, 14 << 2, 7 << 2
_INT8, _INT16, _INT32, _INT64, _DECIMAL16 = 3 << 2, 4 << 2, 5 << 2, 6 << 2, 10 << 2

# What a VR's value is, by VR code.
_TEXT, _TEXT_SINGLE, _NUMBER, _REAL, _TAGS, _BYTES, _SEQUENCE, _US_SS, _US_OW = range(9)
_KIND_OF = {
    _TEXT: "AE AS CS DA DS DT IS LO PN SH TM UC UI",
    _TEXT_SINGLE: "LT ST UT UR",
    _NUMBER: "US UL UV SS SL SV",
    _REAL: "FL FD",
    _TAGS: "AT",
    _BYTES: "OB OD OF OL OV OW UN",
    _SEQUENCE: "SQ",
}
KIND = np.full(256, _BYTES, np.uint8)
for _kind, _names in _KIND_OF.items():
    for _name in _names.split():
        KIND[VR[_name]] = _kind
KIND[VR["US or SS"]] = _US_SS
KIND[VR["US or OW"]] = _US_OW

WIDTH = np.ones(256, np.int64)
"""Bytes of one value of a binary number, by VR code."""
for _width, _names in ((2, "US SS"), (4, "UL SL FL AT"), (8, "UV SV FD")):
    for _name in _names.split():
        WIDTH[VR[_name]] = _width
WIDTH[VR["US or SS"]] = WIDTH[VR["US or OW"]] = 2
SIGNED = np.zeros(256, np.uint8)
for _name in ("SS", "SL", "SV"):
    SIGNED[VR[_name]] = 1
STRIPS_LEFT = np.zeros(256, np.uint8)
for _name in ("AE", "DS", "IS"):
    STRIPS_LEFT[VR[_name]] = 1
_LUT_DESCRIPTORS = (0x00281101, 0x00281102, 0x00281103, 0x00283002)
_HEX = np.frombuffer(b"0123456789ABCDEF", np.uint8)
VALUE_LENGTH_FINDING = 1
_SQ_CODE = VR["SQ"]


@compiled
def _put(out: np.ndarray, p: int, value: int, width: int) -> int:
    """Write `value` little endian in `width` bytes; return the place behind it."""
    for i in range(width):
        out[p + i] = (value >> (8 * i)) & 0xFF
    return p + width


@compiled
def _copy(out: np.ndarray, p: int, source: np.ndarray, start: int, length: int) -> int:
    for i in range(length):
        out[p + i] = source[start + i]
    return p + length


@compiled
def _offset_width(total: int) -> int:
    if total < 1 << 8:
        return 1
    if total < 1 << 16:
        return 2
    return 3 if total < 1 << 24 else 4


@compiled
def strip(buf: np.ndarray, start: int, end: int, left: bool) -> tuple[int, int]:
    """Return the bounds of a text part without trailing spaces and NULs, and leading spaces when `left`."""
    while end > start and (buf[end - 1] == 32 or buf[end - 1] == 0):
        end -= 1
    if left:
        while start < end and buf[start] == 32:
            start += 1
    return start, end


@compiled
def _string_size(length: int) -> int:
    return 1 + length if length < 64 else 5 + length


@compiled
def _put_string(out: np.ndarray, p: int, buf: np.ndarray, start: int, length: int) -> int:
    if length < 64:
        out[p] = length << 2 | 1
        return _copy(out, p + 1, buf, start, length)
    out[p] = _STRING
    return _copy(out, _put(out, p + 1, length, 4), buf, start, length)


@compiled
def _array_header(out: np.ndarray, p: int, count: int, total: int) -> tuple[int, int, int]:
    """Write an array's header; return (where its offsets go, their width, where its values go)."""
    width = _offset_width(total)
    large = count > 255
    out[p] = 3 | (width - 1) << 2 | (16 if large else 0)
    p = _put(out, p + 1, count, 4 if large else 1)
    return p, width, p + (count + 1) * width


@compiled
def _put_text(out: np.ndarray, p: int, buf: np.ndarray, start: int, end: int, left: bool) -> int:
    """Write a text value that may have several parts."""
    parts, total = 1, 0
    begin = start
    for i in range(start, end + 1):
        if i == end or buf[i] == 92:
            a, b = strip(buf, begin, i, left)
            total += _string_size(b - a)
            begin = i + 1
            if i < end:
                parts += 1
    if parts == 1:
        a, b = strip(buf, start, end, left)
        if a == b:
            out[p] = _NULL
            return p + 1
        return _put_string(out, p, buf, a, b - a)
    offsets, width, values = _array_header(out, p, parts, total)
    begin, q = start, values
    for i in range(start, end + 1):
        if i == end or buf[i] == 92:
            a, b = strip(buf, begin, i, left)
            offsets = _put(out, offsets, q - values, width)
            q = _put_string(out, q, buf, a, b - a)
            begin = i + 1
    _put(out, offsets, q - values, width)
    return q


@compiled
def read_unsigned(buf: np.ndarray, p: int, width: int, big: bool) -> np.uint64:
    """Return the unsigned number of `width` bytes at `p`."""
    value = np.uint64(0)
    for i in range(width):
        shift = np.uint64(8 * (width - 1 - i) if big else 8 * i)
        value |= np.uint64(buf[p + i]) << shift
    return value


@compiled
def read_number(buf: np.ndarray, p: int, width: int, signed: bool, big: bool) -> int:
    """Return the number of `width` bytes at `p` as int64 (unsigned 64-bit ones wrap)."""
    value = np.int64(read_unsigned(buf, p, width, big))
    if signed and width < 8 and value >= np.int64(1) << (8 * width - 1):
        value -= np.int64(1) << (8 * width)
    return value


@compiled
def _integer_size(value: int) -> int:
    if -128 <= value <= 127:
        return 2
    if -32768 <= value <= 32767:
        return 3
    if -2147483648 <= value <= 2147483647:
        return 5
    return 9


@compiled
def _put_integer(out: np.ndarray, p: int, value: int) -> int:
    size = _integer_size(value)
    out[p] = _INT8 if size == 2 else _INT16 if size == 3 else _INT32 if size == 5 else _INT64
    return _put(out, p + 1, value, size - 1)


@compiled
def _put_wide(out: np.ndarray, p: int, value: int) -> int:
    """Write an unsigned 64-bit number, given as the int64 that it wraps to, beyond int64: as a decimal."""
    if value >= 0:
        return _put_integer(out, p, value)
    out[p] = _DECIMAL16
    out[p + 1] = 0
    return _put(out, _put(out, p + 2, value, 8), 0, 8)


@compiled
def _put_numbers(out: np.ndarray, p: int, buf: np.ndarray, start: int, count: int, width: int, signed: bool,
                 big: bool, unsigned_first: bool) -> int:  # fmt: skip
    """Write one binary integer, or an array of them."""
    wide = width == 8 and not signed
    total = 0
    for i in range(count):
        value = read_number(buf, start + i * width, width, signed and not (i == 0 and unsigned_first), big)
        total += 18 if wide and value < 0 else _integer_size(value)
    offsets, offset_width, values = p, 0, p
    if count > 1:
        offsets, offset_width, values = _array_header(out, p, count, total)
    q = values
    for i in range(count):
        if count > 1:
            offsets = _put(out, offsets, q - values, offset_width)
        value = read_number(buf, start + i * width, width, signed and not (i == 0 and unsigned_first), big)
        q = _put_wide(out, q, value) if wide else _put_integer(out, q, value)
    if count > 1:
        _put(out, offsets, q - values, offset_width)
    return q


@compiled
def _put_reals(out: np.ndarray, p: int, buf: np.ndarray, start: int, count: int, width: int, big: bool) -> int:
    """Write one binary floating-point number, or an array of them."""
    offsets, offset_width, q = p, 0, p
    if count > 1:
        offsets, offset_width, q = _array_header(out, p, count, count * (width + 1))
    for i in range(count):
        if count > 1:
            offsets = _put(out, offsets, i * (width + 1), offset_width)
        out[q] = _FLOAT if width == 4 else _DOUBLE
        q = _put(out, q + 1, np.int64(read_unsigned(buf, start + i * width, width, big)), width)
    if count > 1:
        _put(out, offsets, count * (width + 1), offset_width)
    return q


@compiled
def _put_tags(out: np.ndarray, p: int, buf: np.ndarray, start: int, count: int, big: bool) -> int:
    """Write one attribute tag as eight hexadecimal digits, or an array of them."""
    offsets, offset_width, q = p, 0, p
    if count > 1:
        offsets, offset_width, q = _array_header(out, p, count, count * 9)
    for i in range(count):
        if count > 1:
            offsets = _put(out, offsets, i * 9, offset_width)
        tag = (read_number(buf, start + 4 * i, 2, False, big) << 16) | read_number(
            buf, start + 4 * i + 2, 2, False, big
        )
        out[q] = 8 << 2 | 1
        for digit in range(8):
            out[q + 1 + digit] = _HEX[(tag >> (28 - 4 * digit)) & 15]
        q += 9
    if count > 1:
        _put(out, offsets, count * 9, offset_width)
    return q


@compiled
def _put_binary(out: np.ndarray, p: int, buf: np.ndarray, start: int, length: int) -> int:
    out[p] = _BINARY
    return _copy(out, _put(out, p + 1, length, 4), buf, start, length)


@compiled
def pixel_representation(token: int, parent: np.ndarray, pixels: np.ndarray, root: int) -> int:
    """Return the Pixel Representation that governs a token: of its own dataset, else of the nearest around it, else 0."""
    owner = parent[token]
    while owner >= 0:
        if pixels[owner] >= 0:
            return np.int64(pixels[owner])
        owner = parent[owner]
    return max(np.int64(root), 0)


@compiled
def encode_values(buf, first, starts, dataset, big_file, root_pixels, tag, vr, at, length, parent, pixels, digest,
                  kind, width_of, signed_of, left_of, out, out_at, faults):  # fmt: skip
    """Encode every value of a batch on its own.

    Parameters
    ----------
    buf : numpy.ndarray of uint8
        The batch's bytes; text must be UTF-8 by now.
    first, starts, dataset, big_file, root_pixels : numpy.ndarray
        Of each file: first token (files + 1 long), offset in `buf`, offset of its dataset within the file, big
        endian, Pixel Representation of the root (see :func:`cairn.dicom.tokenise.tokenise`).
    tag, vr, at, length, parent, pixels : numpy.ndarray
        The tokens.
    digest : numpy.ndarray of int64, shape (tokens,)
        0 or more: the value is kept by length and hash, and encoded with the tree; -1: in full.
    kind, width_of, signed_of, left_of : numpy.ndarray
        :data:`KIND`, :data:`WIDTH`, :data:`SIGNED`, :data:`STRIPS_LEFT`.
    out : numpy.ndarray of uint8
        Receives the encoded values.
    out_at : numpy.ndarray of int64, shape (tokens + 1,)
        Receives where each begins.
    faults : numpy.ndarray of uint8, shape (tokens,)
        Receives :data:`VALUE_LENGTH_FINDING` where a binary number's length does not fit its VR.

    Returns
    -------
    int
        Bytes written, or :data:`NEED_ROOM`.
    """
    p = 0
    for f in range(starts.size):
        for t in range(first[f], first[f + 1]):
            out_at[t] = p
            n = np.int64(length[t])
            if vr[t] == ITEM_VR or digest[t] >= 0:
                continue
            k = kind[vr[t]]
            if k == _SEQUENCE:
                continue
            if p + 8 * n + 64 > out.size:
                return NEED_ROOM
            if n == 0:
                out[p] = _NULL
                p += 1
                continue
            start = at[t]
            big = big_file[f] != 0 and start >= starts[f] + dataset[f]
            if k == _TEXT:
                p = _put_text(out, p, buf, start, start + n, left_of[vr[t]] != 0)
                continue
            if k == _TEXT_SINGLE:
                a, b = strip(buf, start, start + n, False)
                if a == b:
                    out[p] = _NULL
                    p += 1
                else:
                    p = _put_string(out, p, buf, a, b - a)
                continue
            width = width_of[vr[t]]
            signed = signed_of[vr[t]] != 0
            if k == _US_OW:
                k = _NUMBER if n == 2 else _BYTES
            elif k == _US_SS:
                k = _NUMBER
                signed = pixel_representation(t, parent, pixels, root_pixels[f]) == 1
            if k != _BYTES and n % width != 0:
                faults[t] = VALUE_LENGTH_FINDING
                k = _BYTES
            if k == _BYTES:
                p = _put_binary(out, p, buf, start, n)
            elif k == _NUMBER:
                lut = n > width and tag[t] in _LUT_DESCRIPTORS
                p = _put_numbers(out, p, buf, start, n // width, width, signed, big, lut)
            elif k == _REAL:
                p = _put_reals(out, p, buf, start, n // width, width, big)
            else:
                p = _put_tags(out, p, buf, start, n // 4, big)
    out_at[first[starts.size]] = p
    return p


@compiled
def _hex_before(tag: int, key_text: np.ndarray, key_start: np.ndarray) -> int:
    """Return how many keywords sort before the eight hexadecimal digits of `tag`."""
    low, high = 0, key_start.size - 1
    while low < high:
        middle = (low + high) // 2
        before = False
        length = key_start[middle + 1] - key_start[middle]
        for i in range(8):
            if i >= length:
                before = True
                break
            a, b = key_text[key_start[middle] + i], _HEX[(tag >> (28 - 4 * i)) & 15]
            if a != b:
                before = a < b
                break
        if before:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _name_keys(first: int, last: int, tag: np.ndarray, vr: np.ndarray, keys: np.ndarray, ranks: np.ndarray,
               digest: np.ndarray, extra: tuple[int, int], key_text: np.ndarray, key_start: np.ndarray, words: np.ndarray,
               unknown: np.ndarray, field: np.ndarray, local_of_rank: np.ndarray, sorted_keys: np.ndarray) -> int:  # fmt: skip
    """Number one header's distinct keys in byte order.

    `field` receives each token's number (from the header's first token on); `sorted_keys` the keys: rank of a keyword,
    or -1 - tag. Returns their count.
    """
    words[:] = 0
    unknowns = 0
    for t in range(first, last):
        if vr[t] == ITEM_VR:
            continue
        slot = find(keys, np.uint64(tag[t]))
        rank = ranks[slot] if slot >= 0 else -1
        field[t - first] = rank
        if rank >= 0:
            words[rank >> 6] |= np.uint64(1) << np.uint64(rank & 63)
        else:
            unknown[unknowns] = tag[t]
            unknowns += 1
        if digest[t] >= 0:
            for rank in extra:
                words[rank >> 6] |= np.uint64(1) << np.uint64(rank & 63)
    strange = np.unique(unknown[:unknowns]) if unknowns else unknown[:0]
    count, u = 0, 0
    before = _hex_before(strange[0], key_text, key_start) if strange.size else 0
    for w in range(words.size):
        word = words[w]
        base = w << 6
        while word != 0:
            low = word & (~word + np.uint64(1))
            bit = _bit_number(low)
            word ^= low
            while u < strange.size and before <= base + bit:
                sorted_keys[count] = -1 - strange[u]
                count += 1
                u += 1
                if u < strange.size:
                    before = _hex_before(strange[u], key_text, key_start)
            sorted_keys[count] = base + bit
            local_of_rank[base + bit] = count
            count += 1
    while u < strange.size:
        sorted_keys[count] = -1 - strange[u]
        count += 1
        u += 1
    if strange.size:
        _number_unknown(first, last, tag, vr, field, local_of_rank, strange, sorted_keys, count)
    else:
        for t in range(first, last):
            if vr[t] != ITEM_VR:
                field[t - first] = local_of_rank[field[t - first]]
    return count


@compiled
def _number_unknown(first, last, tag, vr, field, local_of_rank, strange, sorted_keys, count):  # fmt: skip
    """Give tokens without a keyword the number of their hexadecimal key, and the others that of their keyword."""
    local = np.empty(strange.size, np.int64)
    u = 0
    for i in range(count):
        if sorted_keys[i] < 0:
            local[u] = i
            u += 1
    for t in range(first, last):
        if vr[t] == ITEM_VR:
            continue
        if field[t - first] >= 0:
            field[t - first] = local_of_rank[field[t - first]]
        else:
            field[t - first] = local[np.searchsorted(strange, np.int64(tag[t]))]


@compiled
def _bit_number(single: np.uint64) -> int:
    """Return the place of the only bit that is set."""
    n = 0
    if single >= np.uint64(1) << np.uint64(32):
        single >>= np.uint64(32)
        n += 32
    if single >= np.uint64(1) << np.uint64(16):
        single >>= np.uint64(16)
        n += 16
    if single >= np.uint64(1) << np.uint64(8):
        single >>= np.uint64(8)
        n += 8
    if single >= np.uint64(1) << np.uint64(4):
        single >>= np.uint64(4)
        n += 4
    if single >= np.uint64(1) << np.uint64(2):
        single >>= np.uint64(2)
        n += 2
    return n + (1 if single >= np.uint64(2) else 0)


@compiled
def _put_metadata(out: np.ndarray, p: int, sorted_keys: np.ndarray, count: int, key_text: np.ndarray,
                  key_start: np.ndarray) -> int:  # fmt: skip
    """Write a header's dictionary of keys (they are sorted, and say so)."""
    total = 0
    for i in range(count):
        key = sorted_keys[i]
        total += key_start[key + 1] - key_start[key] if key >= 0 else 8
    width = _offset_width(max(total, count))
    out[p] = 1 | 16 | (width - 1) << 6
    p = _put(out, p + 1, count, width)
    q = p + (count + 1) * width
    begin = q
    for i in range(count):
        p = _put(out, p, q - begin, width)
        key = sorted_keys[i]
        if key >= 0:
            q = _copy(out, q, key_text, key_start[key], key_start[key + 1] - key_start[key])
        else:
            for digit in range(8):
                out[q + digit] = _HEX[((-1 - key) >> (28 - 4 * digit)) & 15]
            q += 8
    _put(out, p, q - begin, width)
    return q


@compiled
def _order_fields(begin: int, stop: int, base: int, tail: np.ndarray, field: np.ndarray, keys: int, bucket: np.ndarray,
                  order: np.ndarray, at: int, dropped: np.ndarray) -> int:  # fmt: skip
    """Write the children of one object in the order of their keys; of equal keys the last stays. Returns their count.

    Children are the tokens from `begin` on that lie directly in the object; `order` counts from the header's first
    token, `base`.
    """
    count = 0
    t = begin
    while t < stop:
        count += 1
        t = tail[t]
    if count * 8 > keys:
        bucket[:keys] = -1
        t = begin
        while t < stop:
            key = field[t - base]
            if bucket[key] >= 0:
                dropped[bucket[key]] = 1
            bucket[key] = t
            t = tail[t]
        kept = 0
        for key in range(keys):
            if bucket[key] >= 0:
                order[at + kept] = bucket[key] - base
                kept += 1
        return kept
    kept = 0
    t = begin
    while t < stop:
        key = field[t - base]
        i = at + kept
        while i > at and field[order[i - 1]] > key:
            i -= 1
        if i > at and field[order[i - 1]] == key:
            dropped[order[i - 1] + base] = 1
            order[i - 1] = t - base
        else:
            for j in range(at + kept, i, -1):
                order[j] = order[j - 1]
            order[i] = t - base
            kept += 1
        t = tail[t]
    return kept


@compiled
def _same_shape(
    a: int, b: int, count: int, tag: np.ndarray, vr: np.ndarray, tail: np.ndarray, digest: np.ndarray
) -> bool:
    """Whether two headers have the same tags in the same tree, so that keys and order of one serve the other."""
    for i in range(count):
        if tag[a + i] != tag[b + i] or tail[a + i] - a != tail[b + i] - b:
            return False
        if (vr[a + i] != vr[b + i] and (_is_tree(vr[a + i]) or _is_tree(vr[b + i]))) or (
            (digest[a + i] >= 0) != (digest[b + i] >= 0)
        ):
            return False
    return True


@compiled
def _is_tree(vr: int) -> bool:
    return vr == ITEM_VR or vr == _SQ_CODE


@compiled
def _container_size(count: int, total: int, id_width: int) -> int:
    """Bytes of an object (`id_width` > 0) or array with `count` values of `total` bytes."""
    return 1 + (4 if count > 255 else 1) + count * id_width + (count + 1) * _offset_width(total) + total


@compiled
def _put_object_header(out: np.ndarray, p: int, count: int, total: int, id_width: int) -> tuple[int, int, int, int]:
    """Write an object's header; return (ids, offsets, offset width, values)."""
    width = _offset_width(total)
    large = count > 255
    out[p] = 2 | (width - 1) << 2 | (id_width - 1) << 4 | (64 if large else 0)
    p = _put(out, p + 1, count, 4 if large else 1)
    return p, p + count * id_width, width, p + count * id_width + (count + 1) * width


@compiled
def _put_digest(
    out: np.ndarray, p: int, length: int, sha256: np.ndarray, fields: tuple[int, int], id_width: int
) -> int:
    """Write ``{"length": n, "sha256": hex}``."""
    total = _integer_size(length) + 69
    ids, offsets, width, q = _put_object_header(out, p, 2, total, id_width)
    _put(out, _put(out, ids, fields[0], id_width), fields[1], id_width)
    offsets = _put(out, _put(out, offsets, 0, width), _integer_size(length), width)
    _put(out, offsets, total, width)
    q = _put_integer(out, q, length)
    out[q] = _STRING
    q = _put(out, q + 1, 64, 4)
    for i in range(32):
        out[q + 2 * i] = _HEX[sha256[i] >> 4] | 32 if sha256[i] >> 4 > 9 else _HEX[sha256[i] >> 4]
        out[q + 2 * i + 1] = _HEX[sha256[i] & 15] | 32 if sha256[i] & 15 > 9 else _HEX[sha256[i] & 15]
    return q + 64


@compiled
def encode_trees(files, first, tag, vr, length, parent, tail, digest, digests, values, values_at, keys, ranks, extra,
                 key_text, key_start, size_limit, value_out, value_at, metadata_out, metadata_at, dropped):  # fmt: skip
    """Join encoded values to one VARIANT per header.

    Parameters
    ----------
    files : numpy.ndarray of int64
        Files to encode, ascending.
    first, tag, vr, length, parent, tail, digest : numpy.ndarray
        Files' first tokens and the tokens.
    digests : numpy.ndarray of uint8, shape (n, 32)
        SHA-256 of the values that are kept by length and hash.
    values, values_at : numpy.ndarray
        From :func:`encode_values`.
    keys, ranks, extra, key_text, key_start : numpy.ndarray, tuple
        The dictionary, and the ranks of ``length`` and ``sha256``.
    size_limit : int
        Largest VARIANT in bytes; a larger one is left empty (its `value_at` does not advance).
    value_out, metadata_out : numpy.ndarray of uint8
        Receive the bytes.
    value_at, metadata_at : numpy.ndarray of int64, shape (len(files) + 1,)
        Receive where each header's begin.
    dropped : numpy.ndarray of uint8, shape (tokens,)
        Receives 1 where a later element with the same tag took the place.

    Returns
    -------
    bool
        False when the arrays are too small.
    """
    longest = 1
    for i in range(files.size):
        longest = max(longest, first[files[i] + 1] - first[files[i]])
    # All of these count from a header's first token, so that they serve the next header of the same shape too.
    field = np.empty(longest, np.int64)
    order = np.empty(longest + 1, np.int64)
    order_at = np.empty(longest, np.int64)
    counts = np.zeros(longest, np.int64)
    size = np.zeros(longest, np.int64)
    place = np.zeros(longest, np.int64)
    bucket = np.empty(longest + 2, np.int64)
    sorted_keys = np.empty(longest + 2, np.int64)
    unknown = np.empty(longest, np.int64)
    words = np.zeros((key_start.size >> 6) + 1, np.uint64)
    local_of_rank = np.zeros(key_start.size, np.int64)
    before, count, kept, root_at, p, m = -1, 0, 0, 0, 0, 0
    for i in range(files.size):
        begin, stop = first[files[i]], first[files[i] + 1]
        n = stop - begin
        value_at[i], metadata_at[i] = p, m
        again = before >= 0 and first[before + 1] - first[before] == n and _same_shape(
            first[before], begin, n, tag, vr, tail, digest)  # fmt: skip
        if not again:
            count = _name_keys(begin, stop, tag, vr, keys, ranks, digest, extra, key_text, key_start, words, unknown,
                               field, local_of_rank, sorted_keys)  # fmt: skip
            root_at = 0
            for t in range(stop - 1, begin - 1, -1):
                if vr[t] == ITEM_VR:
                    order_at[t - begin] = root_at
                    counts[t - begin] = _order_fields(
                        t + 1, tail[t], begin, tail, field, count, bucket, order, root_at, dropped
                    )
                    root_at += counts[t - begin]
                elif vr[t] == _SQ_CODE:
                    counts[t - begin] = 0
                    c = t + 1
                    while c < tail[t]:
                        counts[t - begin] += 1
                        c = tail[c]
            kept = _order_fields(begin, stop, begin, tail, field, count, bucket, order, root_at, dropped)
        else:
            for j in range(n):
                dropped[begin + j] = dropped[first[before] + j]
        before = files[i]
        id_width = 1 if count <= 256 else 2 if count <= 65536 else 3

        # Sizes, children before parents.
        for j in range(n - 1, -1, -1):
            t = begin + j
            if digest[t] >= 0:
                size[j] = _container_size(2, _integer_size(length[t]) + 69, id_width)
            elif vr[t] == ITEM_VR:
                total = 0
                for c in range(order_at[j], order_at[j] + counts[j]):
                    total += size[order[c]]
                size[j] = _container_size(counts[j], total, id_width)
            elif vr[t] == _SQ_CODE:
                total = 0
                c = t + 1
                while c < tail[t]:
                    total += size[c - begin]
                    c = tail[c]
                size[j] = _container_size(counts[j], total, 0)
            else:
                size[j] = values_at[t + 1] - values_at[t]
        total = 0
        for c in range(root_at, root_at + kept):
            total += size[order[c]]
        whole = _container_size(kept, total, id_width)
        if whole > size_limit:
            before = -1
            continue
        if p + whole > value_out.size or m + 64 + 60 * count > metadata_out.size:
            return False
        if again:
            m = _copy(metadata_out, m, metadata_out, metadata_at[i - 1], metadata_at[i] - metadata_at[i - 1])
        else:
            m = _put_metadata(metadata_out, m, sorted_keys, count, key_text, key_start)

        # Values, parents before children.
        place[:n] = -1
        _put_object(value_out, p, order, root_at, kept, size, field, place, id_width, total)
        for j in range(n):
            at, t = place[j], begin + j
            if at < 0:
                continue
            if digest[t] >= 0:
                fields = (local_of_rank[extra[0]], local_of_rank[extra[1]])
                _put_digest(value_out, at, length[t], digests[digest[t]], fields, id_width)
            elif vr[t] == ITEM_VR:
                total = 0
                for c in range(order_at[j], order_at[j] + counts[j]):
                    total += size[order[c]]
                _put_object(value_out, at, order, order_at[j], counts[j], size, field, place, id_width, total)
            elif vr[t] == _SQ_CODE:
                _put_items(value_out, at, t, begin, counts[j], tail, size, place)
            else:
                _copy(value_out, at, values, values_at[t], size[j])
        p += whole
    value_at[files.size], metadata_at[files.size] = p, m
    return True


@compiled
def _put_object(out, p, order, at, count, size, field, place, id_width, total):  # fmt: skip
    """Write an object's header and give its children their places."""
    ids, offsets, width, q = _put_object_header(out, p, count, total, id_width)
    begin = q
    for c in range(at, at + count):
        ids = _put(out, ids, field[order[c]], id_width)
        offsets = _put(out, offsets, q - begin, width)
        place[order[c]] = q
        q += size[order[c]]
    _put(out, offsets, q - begin, width)


@compiled
def _put_items(out, p, token, base, count, tail, size, place):  # fmt: skip
    """Write a sequence's array header and give its items their places."""
    total = 0
    c = token + 1
    while c < tail[token]:
        total += size[c - base]
        c = tail[c]
    offsets, width, q = _array_header(out, p, count, total)
    begin = q
    c = token + 1
    while c < tail[token]:
        offsets = _put(out, offsets, q - begin, width)
        place[c - base] = q
        q += size[c - base]
        c = tail[c]
    _put(out, offsets, q - begin, width)
