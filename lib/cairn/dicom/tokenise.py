"""The compiled tokeniser: the bytes of many headers in one buffer become flat arrays of tokens.

One token is one element or one item of a sequence, in the order of the file (parents before children). Nothing is
copied and no Python object is made: a token is numbers that point into the buffer. The rules of PS3.5 chapter 7 hold;
where files break them the tokeniser does what pydicom does, or gives the file up as `ODD` for pydicom itself to read.
"""

from __future__ import annotations

import numpy as np

from cairn.dicom.compiled import compiled
from cairn.dicom.dictionary import VR, find, fnv1a, private_vr, public_vr

# What became of a file.
OK, NOT_DICOM, ODD, TRUNCATED, TOO_DEEP, EMPTY, DEFLATED = 0, 1, 2, 3, 4, 5, 6
NEED_ROOM = -1
"""Returned in place of the token count when the arrays are too small."""

AS_STORED, INFLATED, CANONICAL = 0, 1, 2
"""Form of a file's bytes: as stored; a deflated dataset already inflated; explicit little endian made by pydicom's reading."""

ITEM_VR = 255
"""VR code of an item token."""
CHARSET_TAG, PIXEL_REPRESENTATION_TAG, SOP_INSTANCE_UID_TAG = 0x00080005, 0x00280103, 0x00080018

_UN, _SQ, _LO, _UL = VR["UN"], VR["SQ"], VR["LO"], VR["UL"]
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
UNDEFINED = 0xFFFFFFFF
_DEPTH_ARRAY = 256

TEXT_CODES = frozenset(
    VR[v] for v in ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT")
)  # fmt: skip
IS_TEXT = np.array([code in TEXT_CODES for code in range(256)], np.uint8)
CHARSET_CODES = frozenset(VR[v] for v in ("LO", "LT", "PN", "SH", "ST", "UC", "UT"))

UIDS = tuple(
    np.frombuffer(bytearray(uid), np.uint8)
    for uid in (b"1.2.840.10008.1.2", b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.1.99")
)
"""Transfer syntaxes that change how a dataset is read: implicit, big endian, deflated."""


@compiled
def _u16(buf: np.ndarray, p: int, big: bool) -> int:
    if big:
        return (np.int64(buf[p]) << 8) | np.int64(buf[p + 1])
    return np.int64(buf[p]) | (np.int64(buf[p + 1]) << 8)


@compiled
def _u32(buf: np.ndarray, p: int, big: bool) -> int:
    if big:
        return (_u16(buf, p, True) << 16) | _u16(buf, p + 2, True)
    return _u16(buf, p, False) | (_u16(buf, p + 2, False) << 16)


@compiled
def _tag(buf: np.ndarray, p: int, big: bool) -> int:
    return (_u16(buf, p, big) << 16) | _u16(buf, p + 2, big)


@compiled
def read_element(buf: np.ndarray, p: int, end: int, implicit: bool, big: bool, vr_of_bytes: np.ndarray,
                 vr_is_long: np.ndarray) -> tuple[int, int, int, int]:  # fmt: skip
    """Read one element's tag, VR and length at `p`.

    Returns
    -------
    tuple of int
        (tag, VR code, length, bytes of the element's own header). VR code -1: implicit, look it up; -2: a VR that the
        standard does not know (pydicom gives it a 16-bit length). Header bytes 0: the buffer ends first.
    """
    if p + 8 > end:
        return 0, -1, 0, 0
    tag = _tag(buf, p, big)
    if implicit:
        return tag, -1, _u32(buf, p + 4, big), 8
    first, second = np.int64(buf[p + 4]), np.int64(buf[p + 5])
    code = np.int64(vr_of_bytes[first << 8 | second])
    if code >= 0:
        if vr_is_long[code]:
            if p + 12 > end:
                return tag, code, 0, 0
            return tag, code, _u32(buf, p + 8, big), 12
        return tag, code, _u16(buf, p + 6, big), 8
    pair = first << 8 | second
    if 0x4141 <= pair <= 0x5A5A:
        return tag, -2, _u16(buf, p + 6, big), 8
    return tag, -1, _u32(buf, p + 4, big), 8


@compiled
def _looks_explicit(buf: np.ndarray, p: int, end: int) -> bool:
    """Whether the two bytes after the tag at `p` are capital letters (pydicom's test)."""
    return p + 6 <= end and 0x40 < buf[p + 4] < 0x5B and 0x40 < buf[p + 5] < 0x5B


@compiled
def _uid_is(buf: np.ndarray, start: int, length: int, uid: np.ndarray) -> bool:
    while length > 0 and (buf[start + length - 1] == 0 or buf[start + length - 1] == 32):
        length -= 1
    if length != uid.size:
        return False
    for i in range(length):
        if buf[start + i] != uid[i]:
            return False
    return True


@compiled
def _plausible_start(buf: np.ndarray, p: int, end: int, vr_of_bytes: np.ndarray) -> bool:
    """Whether a file without the DICM prefix may begin with a dataset at `p`.

    The first element has a low even group and either a VR that the standard knows, or an implicit length that fits.
    """
    if p + 8 > end:
        return False
    for big in (False, True):
        group = _u16(buf, p, big)
        code = vr_of_bytes[np.int64(buf[p + 4]) << 8 | np.int64(buf[p + 5])]
        if 0 < group <= 0x0018 and group & 1 == 0 and (code >= 0 or (not big and _u32(buf, p + 4, big) <= end - p - 8)):
            return True
    return False


@compiled
def locate(buf: np.ndarray, start: int, end: int, form: int, vr_of_bytes: np.ndarray, vr_is_long: np.ndarray,
           uids: tuple) -> tuple[int, int, int, bool, bool]:  # fmt: skip
    """Find where the dataset begins and how it is encoded.

    Parameters
    ----------
    buf : numpy.ndarray of uint8
        The batch's bytes; the file is ``buf[start:end]``.
    start, end : int
        Where the file lies.
    form : int
        :data:`AS_STORED`, :data:`INFLATED` or :data:`CANONICAL`.
    uids : tuple of numpy.ndarray
        Bytes of the UIDs of implicit little endian, explicit big endian and deflated explicit little endian.
    vr_of_bytes, vr_is_long : numpy.ndarray
        From :class:`cairn.dicom.dictionary.Dictionary`.

    Returns
    -------
    tuple
        (status, start of the meta group, start of the dataset, implicit, big endian).
    """
    if end - start == 0:
        return EMPTY, start, start, True, False
    meta = start
    prefixed = end - start >= 132 and buf[start + 128] == 68 and buf[start + 129] == 73 and buf[start + 130] == 67 \
        and buf[start + 131] == 77  # fmt: skip
    if prefixed:
        meta = start + 132
    elif not _plausible_start(buf, start, end, vr_of_bytes):
        return NOT_DICOM, start, start, True, False
    p = meta
    syntax_at, syntax_length = -1, 0
    while p + 8 <= end and _u16(buf, p, False) == 2:
        tag, code, length, size = read_element(buf, p, end, False, False, vr_of_bytes, vr_is_long)
        if code < 0 or (size > 0 and length == UNDEFINED):
            return ODD, meta, p, False, False
        if size == 0 or p + size + length > end:
            return TRUNCATED, meta, end, False, False
        if tag == 0x00020010:
            syntax_at, syntax_length = p + size, length
        p += size + length
    if p + 2 <= end and _u16(buf, p, False) == 0 and p + 8 <= end:
        return ODD, meta, p, False, False  # a command set comes first
    if form == CANONICAL:
        return OK, meta, p, False, False
    implicit, big = True, False
    if syntax_at < 0:
        if p + 6 <= end and vr_of_bytes[np.int64(buf[p + 4]) << 8 | np.int64(buf[p + 5])] >= 0:
            implicit = False
            big = _u16(buf, p, False) >= 1024
    elif _uid_is(buf, syntax_at, syntax_length, uids[2]) and form == AS_STORED:
        return DEFLATED, meta, p, False, False
    else:
        implicit = _uid_is(buf, syntax_at, syntax_length, uids[0])
        big = _uid_is(buf, syntax_at, syntax_length, uids[1])
    if p + 6 <= end:
        # Believe the bytes rather than the meta group, as pydicom does.
        implicit = not _looks_explicit(buf, p, end)
        if syntax_at >= 0 and not implicit and big and _u16(buf, p, False) < _u16(buf, p, True):
            big = False  # says big endian, but the first group only makes sense as little endian
    return OK, meta, p, implicit, big


@compiled
def undefined_value_end(buf: np.ndarray, p: int, end: int, big: bool) -> int:
    """Return where the sequence delimiter stands that ends an undefined-length value at `p`, or -1.

    Fragments are walked; when they do not add up the delimiter's bytes are searched for, as pydicom does.
    """
    q = p
    while q + 8 <= end:
        tag = _tag(buf, q, big)
        if tag == _SEQUENCE_END:
            return q
        length = _u32(buf, q + 4, big)
        if tag != _ITEM or length == UNDEFINED:
            break
        q += 8 + length
    for i in range(p, end - 3):
        if _tag(buf, i, big) == _SEQUENCE_END:
            return i
    return -1


@compiled
def _creator_of(buf: np.ndarray, start: int, length: int, creator_keys: np.ndarray, creator_ids: np.ndarray) -> int:
    end = start + length
    while end > start and (buf[end - 1] == 32 or buf[end - 1] == 0):
        end -= 1
    if end == start:
        return -1
    slot = find(creator_keys, fnv1a(buf, start, end))
    return np.int64(creator_ids[slot]) if slot >= 0 else -1


@compiled
def _needs_decoding(buf: np.ndarray, start: int, end: int) -> bool:
    for i in range(start, end):
        if buf[i] >= 128 or buf[i] == 27:
            return True
    return False


@compiled
def tokenise(buf, starts, ends, forms, uids, hole_first, hole_at, hole_length, max_depth, value_limit,
             tables, is_text, path_keys, path_nodes, node_path,
             tag_out, vr_out, at_out, length_out, parent_out, tail_out, pixels_out, file_out, match_out,
             status_out, pixel_offset_out, dataset_out, big_out, first_out, decode_out, long_out):  # fmt: skip
    """Tokenise a batch of headers.

    Parameters
    ----------
    buf : numpy.ndarray of uint8
        All headers, one after the other.
    starts, ends : numpy.ndarray of int64, shape (files,)
        Where each lies.
    forms : numpy.ndarray of uint8, shape (files,)
        Of each file: :data:`AS_STORED`, :data:`INFLATED` or :data:`CANONICAL`.
    uids, is_text
        :data:`UIDS`, :data:`IS_TEXT`.
    hole_first : numpy.ndarray of int64, shape (files + 1,)
        Range of each file's holes: long values that were left out of the buffer.
    hole_at, hole_length : numpy.ndarray of int64
        Offset in the file's compact bytes at which each hole's value would begin, and its length.
    max_depth : int
        Deepest nesting of sequences, at most 250.
    value_limit : int
        Values longer than this are reported in `long_out`.
    tables : tuple
        :meth:`cairn.dicom.dictionary.Dictionary.tables`.
    path_keys, path_nodes, node_path : numpy.ndarray
        The projection's trie: table from ``parent node << 32 | tag`` to node; path of each node or -1.
    tag_out, vr_out, at_out, length_out, parent_out, tail_out, pixels_out : numpy.ndarray
        Tokens: tag (int64), VR code (uint8), offset and length of the value (int64; offset -1 - h for hole h),
        token of the enclosing element or -1 (int64), first token behind the last descendant (int64), and for items
        the Pixel Representation (int8, -1 when it has none).
    file_out : numpy.ndarray of int64, shape (files + 1,)
        First token of each file.
    match_out : numpy.ndarray of int64, shape (paths, files)
        Token that each path of the projection leads to; must come in as -1.
    status_out, pixel_offset_out, dataset_out, big_out, first_out : numpy.ndarray, shape (files,)
        Status; offset of the pixel data element (or of the end); offset of the dataset; big endian; Pixel
        Representation of the root (-1: none).
    decode_out, long_out : numpy.ndarray
        decode_out, shape (n, 2), int32: text tokens that hold bytes other than ASCII, and the token of the character set
        that governs each (-1: none). long_out, shape (n,): tokens longer than `value_limit`.

    Returns
    -------
    tuple of int
        (tokens, rows of decode_out, rows of long_out), or ``(NEED_ROOM, 0, 0)``.
    """
    (keys, vrs, mask_value, mask_bits, mask_vr, creator_keys, creator_ids, private_keys, private_vrs, vr_of_bytes,
     vr_is_long) = tables  # fmt: skip
    room = tag_out.size
    n = decodes = longs = 0
    # The open sequences (kind 0) and datasets (kind 1: item, 2: root), innermost last.
    kind = np.zeros(_DEPTH_ARRAY * 2 + 2, np.uint8)
    owner = np.zeros(_DEPTH_ARRAY * 2 + 2, np.int64)
    until = np.zeros(_DEPTH_ARRAY * 2 + 2, np.int64)
    hard = np.zeros(_DEPTH_ARRAY * 2 + 2, np.int64)
    plain = np.zeros(_DEPTH_ARRAY * 2 + 2, np.uint8)
    charset = np.zeros(_DEPTH_ARRAY * 2 + 2, np.int64)
    node = np.zeros(_DEPTH_ARRAY * 2 + 2, np.int64)
    block_from = np.zeros(_DEPTH_ARRAY * 2 + 2, np.int64)
    items = np.zeros(_DEPTH_ARRAY * 2 + 2, np.int64)
    highest = np.zeros(_DEPTH_ARRAY * 2 + 2, np.int64)
    decodes_before = np.zeros(_DEPTH_ARRAY * 2 + 2, np.int64)
    block_key = np.zeros(4096, np.int64)
    block_creator = np.zeros(4096, np.int64)

    for f in range(starts.size):
        file_out[f] = n
        start, end = starts[f], ends[f]
        status, p, dataset, implicit, big = locate(buf, start, end, forms[f], vr_of_bytes, vr_is_long, uids)
        dataset_out[f] = dataset - start
        pixel_offset_out[f] = end - start
        first_out[f] = -1
        big_out[f] = big
        status_out[f] = status
        if status != OK:
            continue
        hole, hole_end = hole_first[f], hole_first[f + 1]
        top = 0
        kind[0], owner[0], until[0], hard[0], charset[0], node[0], block_from[0] = 2, -1, -1, end, -1, 0, 0
        blocks = 0
        highest[0], decodes_before[0] = 0, decodes
        in_meta = p < dataset
        plain[0] = 0 if in_meta else implicit
        while True:
            if n + 2 >= room or decodes + 1 >= decode_out.shape[0] or longs + 1 >= long_out.size:
                return NEED_ROOM, 0, 0
            if in_meta and p >= dataset:
                in_meta = False
                plain[0] = implicit
            if kind[top] == 0:  # ---- in a sequence: the next item, or its end
                if until[top] >= 0 and p >= until[top]:
                    if p > until[top]:
                        status = ODD
                        break
                    tail_out[owner[top]] = n
                    top -= 1
                    continue
                if p + 8 > hard[top]:
                    status = TRUNCATED if hard[top] == end else ODD
                    break
                tag, length = _tag(buf, p, big), _u32(buf, p + 4, big)
                if tag == _SEQUENCE_END:
                    p = until[top] if until[top] >= 0 else p + 8
                    tail_out[owner[top]] = n
                    top -= 1
                    continue
                if tag != _ITEM:
                    status = ODD
                    break
                p += 8
                tag_out[n], vr_out[n], at_out[n], length_out[n], parent_out[n] = _ITEM, ITEM_VR, p, 0, owner[top]
                pixels_out[n] = -1
                top += 1
                kind[top], owner[top] = 1, n
                n += 1
                hard[top] = hard[top - 1]
                until[top] = -1
                if length != UNDEFINED:
                    until[top] = p + length
                    if p + length > hard[top]:
                        if hard[top] != end:
                            status = ODD
                            break
                    else:
                        hard[top] = p + length
                charset[top] = charset[top - 1]
                node[top] = node[top - 1] if items[top - 1] == 0 else -1
                items[top - 1] += 1
                block_from[top] = blocks
                highest[top], decodes_before[top] = 0, decodes
                plain[top] = plain[top - 1] or not _looks_explicit(buf, p, end)
                continue

            # ---- in a dataset: the next element, or its end
            if until[top] >= 0 and p >= until[top]:
                if p > until[top]:
                    status = ODD
                    break
                tail_out[owner[top]] = n
                blocks = block_from[top]
                top -= 1
                continue
            if p == end and kind[top] == 2:
                break
            was_in_meta = in_meta
            big_here = big and not was_in_meta
            tag, code, length, size = read_element(
                buf, p, hard[top], plain[top] != 0, big_here, vr_of_bytes, vr_is_long
            )
            if size == 0:
                status = TRUNCATED if hard[top] == end else ODD
                break
            if tag == _ITEM_END:
                if kind[top] != 1 or until[top] >= 0:
                    status = ODD
                    break
                p += 8
                tail_out[owner[top]] = n
                blocks = block_from[top]
                top -= 1
                continue
            if tag >> 16 == 0xFFFE:
                status = ODD
                break
            if kind[top] == 2 and (tag == 0x7FE00010 or tag == 0x7FE00008 or tag == 0x7FE00009):
                pixel_offset_out[f] = p - start
                break

            # The effective VR (docs/header.md).
            undefined = (length == UNDEFINED and size != 8) or (length == UNDEFINED and code == -1)
            odd_group = (tag >> 16) & 1 == 1
            element = tag & 0xFFFF
            if code == -2:
                code = _UN
            elif code == -1 or (code == _UN and not undefined and (odd_group or length < 0xFFFF)):
                looked = -1
                if odd_group:
                    if 0x10 <= element < 0x100:
                        looked = _LO
                    elif element >= 0x100:
                        wanted = (tag >> 16) << 8 | element >> 8
                        for b in range(blocks - 1, block_from[top] - 1, -1):
                            if block_key[b] == wanted:
                                if block_creator[b] >= 0:
                                    looked = private_vr(tag, block_creator[b], private_keys, private_vrs)
                                break
                else:
                    looked = public_vr(tag, keys, vrs, mask_value, mask_bits, mask_vr)
                    if looked < 0 and code == -1 and element == 0:
                        looked = _UL
                if code == -1 and undefined:
                    if odd_group or looked < 0:
                        looked = -1
                        if p + size + 4 <= hard[top] and _tag(buf, p + size, big_here) == _ITEM:
                            looked = _SQ
                code = looked if looked >= 0 else _UN
            elif code == _UN and undefined:
                code = _SQ
            value = p + size
            highest[top] = max(tag, highest[top])

            slot = -1
            if node[top] >= 0:
                slot = find(path_keys, np.uint64(node[top]) << np.uint64(32) | np.uint64(tag))

            tag_out[n], vr_out[n], at_out[n], parent_out[n] = tag, code, value, owner[top]
            pixels_out[n] = -1

            if code == _SQ and not (hole < hole_end and hole_at[hole] == value - start):
                if not undefined and length > 0 and value + 4 <= hard[top] and _tag(buf, value, big_here) != _ITEM \
                        and _tag(buf, value, big_here) != _SEQUENCE_END:  # fmt: skip
                    status = ODD
                    break
                if top + 2 >= 2 * max_depth:
                    status = TOO_DEEP
                    break
                length_out[n] = 0 if undefined else min(length, end - value)
                top += 1
                kind[top], owner[top], hard[top], items[top] = 0, n, hard[top - 1], 0
                until[top] = -1
                charset[top], plain[top] = charset[top - 1], plain[top - 1]
                node[top] = path_nodes[slot] if slot >= 0 else -1
                block_from[top] = blocks
                if not undefined:
                    until[top] = value + length
                    if value + length > hard[top]:
                        if hard[top] != end:
                            status = ODD
                            break
                    else:
                        hard[top] = value + length
                n += 1
                p = value
                continue

            if undefined:
                stop = undefined_value_end(buf, value, hard[top], big_here)
                if stop < 0:
                    status = TRUNCATED if hard[top] == end else ODD
                    break
                length = stop - value
                p = stop + 8
            elif hole < hole_end and hole_at[hole] == value - start:
                at_out[n] = -1 - hole
                if hole_length[hole] < length:
                    status = TRUNCATED  # the entry ended within the value
                length = hole_length[hole]
                hole += 1
                p = value
            else:
                if value + length > hard[top]:
                    if hard[top] != end:
                        status = ODD
                        break
                    status = TRUNCATED
                    length = end - value
                p = value + length
            if status == TRUNCATED and length > value_limit:
                break  # its length and hash would be those of a part: the finding alone tells of it
            length_out[n] = length
            tail_out[n] = n + 1

            if tag == CHARSET_TAG and at_out[n] >= 0:  # an empty one too: it takes the outer set away, as in pydicom
                if decodes > decodes_before[top]:
                    status = ODD  # it governs text that was passed already
                    break
                charset[top] = n
            if at_out[n] >= 0 and length > 0:
                if odd_group and 0x10 <= element < 0x100:
                    owned = (tag >> 16) << 16 | element << 8
                    if highest[top] >= owned or blocks == block_key.size:
                        status = ODD  # it may own elements that were passed already
                        break
                    block_key[blocks] = (tag >> 16) << 8 | element
                    block_creator[blocks] = _creator_of(buf, value, length, creator_keys, creator_ids)
                    blocks += 1
                elif tag == PIXEL_REPRESENTATION_TAG and length >= 2:
                    signed = np.int8(min(_u16(buf, value, big_here), 1))
                    if kind[top] == 2:
                        first_out[f] = signed
                    else:
                        pixels_out[owner[top]] = signed
                if length > value_limit:
                    long_out[longs] = n
                    longs += 1
                elif is_text[code] and _needs_decoding(buf, value, value + length):
                    decode_out[decodes, 0] = n
                    decode_out[decodes, 1] = charset[top]
                    decodes += 1
            if status != TRUNCATED and slot >= 0 and node_path[path_nodes[slot]] >= 0:  # half a value is none
                match_out[node_path[path_nodes[slot]], f] = n
            n += 1
            if status == TRUNCATED:
                break
        # Whatever is still open ends here.
        while top > 0:
            tail_out[owner[top]] = n
            top -= 1
        status_out[f] = status
    file_out[starts.size] = n
    return n, decodes, longs
