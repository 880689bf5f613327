"""Typed columns: for each column of a projection, one value per header, as Arrow arrays gathered from the tokens.

All columns of one kind are cast in one compiled call over a (columns x rows) matrix of tokens; no Python object is
made for a value. A value that its column cannot hold becomes NULL and a fault: (row, column, code).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from cairn.dicom.compiled import compiled
from cairn.dicom.projection import Projection
from cairn.dicom.values import BAD, GOOD, SLOW, parse_date, parse_datetime, parse_double, parse_integer, parse_time
from cairn.dicom.variant import KIND, pixel_representation, read_number, read_unsigned, strip
from cairn.tables.contract import Column

FAULT_CODES = (
    "VALUE_NOT_DS",
    "VALUE_NOT_IS",
    "VALUE_NOT_DA",
    "VALUE_NOT_DT",
    "VALUE_NOT_TM",
    "VALUE_TOO_MANY",
    "VALUE_WRONG_VR",
)
NOT_DS, NOT_IS, NOT_DA, NOT_DT, NOT_TM, TOO_MANY, WRONG_VR = range(7)

_REAL, _INTEGER, _DATE, _DATETIME, _TEXT, _TIME = range(6)
_SCALAR_KIND = {pa.float64(): _REAL, pa.int64(): _INTEGER, pa.date32(): _DATE, pa.string(): _TEXT}
_TEXT_KIND, _SINGLE_KIND, _NUMBER_KIND, _FLOAT_KIND, _TAG_KIND, _BYTES_KIND, _SQ_KIND, _US_SS_KIND, _US_OW_KIND = range(
    9
)
_HEX = np.frombuffer(b"0123456789ABCDEF", np.uint8)


def kind_of(column: Column, vr: str) -> tuple[int, bool]:
    """Return the kind of a column's values and whether it is a list.

    Parameters
    ----------
    column : Column
        A typed column.
    vr : str
        VR of its element in the dictionary; a TM becomes a normalised time although its Arrow type is string.
    """
    is_list = pa.types.is_list(column.type)
    item = column.type.value_type if is_list else column.type
    if pa.types.is_timestamp(item):
        return _DATETIME, is_list
    kind = _SCALAR_KIND[item]
    return (_TIME if kind == _TEXT and vr == "TM" else kind), is_list


@dataclass
class Tokens:
    """The arrays of one batch that a cast reads (see :func:`cairn.dicom.tokenise.tokenise`)."""

    buf: np.ndarray
    starts: np.ndarray
    dataset: np.ndarray
    big: np.ndarray
    root_pixels: np.ndarray
    vr: np.ndarray
    at: np.ndarray
    length: np.ndarray
    parent: np.ndarray
    pixels: np.ndarray
    digest: np.ndarray
    width_of: np.ndarray
    signed_of: np.ndarray
    left_of: np.ndarray


@dataclass
class Faults:
    """Values that their columns cannot hold."""

    rows: list[np.ndarray] = field(default_factory=list)
    tokens: list[np.ndarray] = field(default_factory=list)
    codes: list[np.ndarray] = field(default_factory=list)

    def add(self, fault: np.ndarray, chosen: np.ndarray) -> None:
        """Take the non-negative codes of a (columns x rows) matrix."""
        where = np.nonzero(fault >= 0)
        self.rows.append(where[1])
        self.tokens.append(chosen[where])
        self.codes.append(fault[where])

    def table(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (rows, tokens, codes), one entry per fault, without repeats."""
        if not self.rows:
            none = np.empty(0, np.int64)
            return none, none, none
        joined = np.stack(
            [np.concatenate(part).astype(np.int64) for part in (self.rows, self.tokens, self.codes)], axis=1
        )
        joined = np.unique(joined, axis=0)
        return joined[:, 0], joined[:, 1], joined[:, 2]


@compiled
def choose(match: np.ndarray, path_first: np.ndarray, slots: np.ndarray, files: np.ndarray, length: np.ndarray,
           digest: np.ndarray) -> np.ndarray:  # fmt: skip
    """Return each column's token in each row: of its first path that leads to a value; else -1.

    Parameters
    ----------
    match : numpy.ndarray of int64, shape (paths, files)
        Token of each path, -1 where there is none.
    path_first : numpy.ndarray of int64, shape (columns + 1,)
        Range of paths of each column, best first.
    slots : numpy.ndarray of int64
        Row of `match` of each path.
    files : numpy.ndarray of int64, shape (rows,)
        The file of each row.
    length, digest : numpy.ndarray
        The tokens: empty values and those kept by hash feed no column.
    """
    columns = path_first.size - 1
    out = np.full((columns, files.size), -1, np.int64)
    for c in range(columns):
        for path in range(path_first[c], path_first[c + 1]):
            for r in range(files.size):
                t = match[slots[path], files[r]]
                if t >= 0 and out[c, r] < 0 and length[t] > 0 and digest[t] < 0:
                    out[c, r] = t
    return out


@compiled
def _bounds(buf, token, vr, at, length, kind, left_of):  # fmt: skip
    """Return the stripped bounds of a text value's first part, and whether there are more."""
    start, end = at[token], at[token] + length[token]
    stop = end
    if kind[vr[token]] == _TEXT_KIND:
        for i in range(start, end):
            if buf[i] == 92:
                stop = i
                break
    a, b = strip(buf, start, stop, left_of[vr[token]] != 0)
    return a, b, stop < end


@compiled
def _number_at(buf, token, i, vr, at, kind, width_of, signed_of, parent, pixels, root, big):  # fmt: skip
    """Return the i-th value of a binary number as (is real, integer, real)."""
    k, width = kind[vr[token]], width_of[vr[token]]
    p = at[token] + i * width
    if k == _FLOAT_KIND:
        bits = np.empty(1, np.uint64)
        bits[0] = read_unsigned(buf, p, width, big)
        if width == 4:
            return True, np.int64(0), np.float64(bits.view(np.float32)[0])
        return True, np.int64(0), bits.view(np.float64)[0]
    signed = signed_of[vr[token]] != 0
    if k == _US_SS_KIND:
        signed = pixel_representation(token, parent, pixels, root) == 1
    value = read_number(buf, p, width, signed, big)
    if width == 8 and not signed and value < 0:  # beyond BIGINT, where an int64 wraps
        return True, np.int64(0), np.float64(np.uint64(value))
    return False, value, 0.0


@compiled
def cast_scalars(kinds, chosen, files, buf, starts, dataset, big_file, root_pixels, vr, at, length, parent, pixels,
                 kind, width_of, signed_of, left_of):  # fmt: skip
    """Cast the scalar numbers and dates of all columns.

    Returns
    -------
    tuple of numpy.ndarray, each (columns, rows)
        Real values, integer values (days, microseconds), validity, fault codes (-1: none), and marks of values that
        need Python's float().
    """
    columns, rows = chosen.shape
    real = np.zeros((columns, rows), np.float64)
    whole = np.zeros((columns, rows), np.int64)
    valid = np.zeros((columns, rows), np.uint8)
    fault = np.full((columns, rows), -1, np.int8)
    slow = np.zeros((columns, rows), np.uint8)
    for c in range(columns):
        wanted = kinds[c]
        for r in range(rows):
            t = chosen[c, r]
            if t < 0:
                continue
            k = kind[vr[t]]
            f = files[r]
            if k == _TEXT_KIND or k == _SINGLE_KIND:
                a, b, more = _bounds(buf, t, vr, at, length, kind, left_of)
                while a < b and buf[a] == 32:
                    a += 1
                if more:
                    fault[c, r] = TOO_MANY
                if a == b:
                    continue
                if wanted == _REAL:
                    status, real[c, r] = parse_double(buf, a, b)
                    slow[c, r] = status == SLOW
                    status = GOOD if status == SLOW else status
                    bad = NOT_DS
                elif wanted == _INTEGER:
                    status, whole[c, r] = parse_integer(buf, a, b)
                    bad = NOT_IS
                elif wanted == _DATE:
                    status, whole[c, r] = parse_date(buf, a, b)
                    bad = NOT_DA
                else:
                    status, whole[c, r] = parse_datetime(buf, a, b)
                    bad = NOT_DT
                if status == GOOD:
                    valid[c, r] = 1
                else:
                    fault[c, r] = bad
            elif (k == _NUMBER_KIND or k == _FLOAT_KIND or k == _US_SS_KIND or k == _US_OW_KIND) and (
                wanted == _REAL or wanted == _INTEGER
            ):
                width = width_of[vr[t]]
                if length[t] % width != 0:
                    continue
                big = big_file[f] != 0 and at[t] >= starts[f] + dataset[f]
                is_real, integer, number = _number_at(buf, t, 0, vr, at, kind, width_of, signed_of, parent, pixels,
                                                      root_pixels[f], big)  # fmt: skip
                if length[t] > width:
                    fault[c, r] = TOO_MANY
                valid[c, r] = 1
                if wanted == _REAL:
                    real[c, r] = number if is_real else np.float64(integer)
                elif not is_real:
                    whole[c, r] = integer
                else:
                    valid[c, r] = 0
                    fault[c, r] = WRONG_VR
            else:
                fault[c, r] = WRONG_VR
    return real, whole, valid, fault, slow


@compiled
def text_spans(chosen, is_time, buf, vr, at, length, kind, left_of):  # fmt: skip
    """Find the text of scalar text and time columns.

    Returns
    -------
    tuple of numpy.ndarray, each (columns, rows)
        Start in the buffer, length (-1: NULL; a time's length is that of its normal form) and fault code.
    """
    columns, rows = chosen.shape
    begin = np.zeros((columns, rows), np.int64)
    size = np.full((columns, rows), -1, np.int32)
    fault = np.full((columns, rows), -1, np.int8)
    for c in range(columns):
        for r in range(rows):
            t = chosen[c, r]
            if t < 0:
                continue
            k = kind[vr[t]]
            if k == _TAG_KIND and not is_time[c]:
                if length[t] % 4 == 0:  # otherwise VALUE_LENGTH, which the VARIANT's encoder tells
                    begin[c, r], size[c, r] = at[t], 8
                continue
            if k != _TEXT_KIND and k != _SINGLE_KIND:
                fault[c, r] = WRONG_VR
                continue
            a, b, more = _bounds(buf, t, vr, at, length, kind, left_of)
            if more:
                fault[c, r] = TOO_MANY
            if a == b:
                continue
            begin[c, r], size[c, r] = a, b - a
            if is_time[c]:
                while a < b and buf[a] == 32:
                    a += 1
                begin[c, r] = a
                status, _, _, _, _, width = parse_time(buf, a, b)
                if status != GOOD:
                    size[c, r] = -1
                    fault[c, r] = NOT_TM
                else:
                    size[c, r] = 8 + (width + 1 if width else 0)
    return begin, size, fault


@compiled
def _put_time(out, p, buf, a, b):  # fmt: skip
    """Write ``HH:MM:SS[.f]``."""
    _, hour, minute, second, micro, width = parse_time(buf, a, b)
    for i, number in enumerate((hour, minute, second)):
        out[p + 3 * i] = 48 + number // 10
        out[p + 3 * i + 1] = 48 + number % 10
        if i < 2:
            out[p + 3 * i + 2] = 58
    if width:
        out[p + 8] = 46
        for i in range(6):
            if i < width:
                out[p + 9 + i] = 48 + micro // 10 ** (5 - i) % 10


@compiled
def _put_tag(out, p, buf, start, big):  # fmt: skip
    """Write an attribute tag as eight hexadecimal digits."""
    tag = (read_number(buf, start, 2, False, big) << 16) | read_number(buf, start + 2, 2, False, big)
    for digit in range(8):
        out[p + digit] = _HEX[(tag >> (28 - 4 * digit)) & 15]


@compiled
def gather_text(chosen, is_time, begin, size, buf, vr, at, length, kind, big_file, files):  # fmt: skip
    """Copy the spans of :func:`text_spans` into Arrow's layout.

    Returns
    -------
    tuple of numpy.ndarray
        Data of all columns (uint8), where each column's data begins (columns + 1), offsets (columns, rows + 1),
        validity (columns, rows).
    """
    columns, rows = chosen.shape
    offsets = np.zeros((columns, rows + 1), np.int32)
    column_at = np.zeros(columns + 1, np.int64)
    valid = np.zeros((columns, rows), np.uint8)
    for c in range(columns):
        total = 0
        for r in range(rows):
            if size[c, r] >= 0:
                valid[c, r] = 1
                total += size[c, r]
            offsets[c, r + 1] = total
        column_at[c + 1] = column_at[c] + total
    data = np.empty(column_at[columns], np.uint8)
    for c in range(columns):
        for r in range(rows):
            n = size[c, r]
            if n <= 0:
                continue
            p = column_at[c] + offsets[c, r]
            t = chosen[c, r]
            if is_time[c]:
                stop = at[t] + length[t]
                for i in range(begin[c, r], stop):
                    if buf[i] == 92:
                        stop = i
                        break
                _, stop = strip(buf, begin[c, r], stop, False)
                _put_time(data, p, buf, begin[c, r], stop)
            elif kind[vr[t]] == _TAG_KIND:
                _put_tag(data, p, buf, begin[c, r], big_file[files[r]] != 0)
            else:
                for i in range(n):
                    data[p + i] = buf[begin[c, r] + i]
    return data, column_at, offsets, valid


@compiled
def list_parts(wanted, chosen, files, buf, starts, dataset, big_file, root_pixels, vr, at, length, parent, pixels,
               kind, width_of, signed_of, left_of):  # fmt: skip
    """Cast one list column.

    Returns
    -------
    tuple of numpy.ndarray
        List offsets (rows + 1), list validity (rows), and per part: real value, integer value, start and length of
        text (length -1: a little endian tag, -2: a big endian one; a time's length is that of its normal form, and its
        integer value is where its text ends), validity, mark for Python's float(); then fault codes (rows).
    """
    rows = chosen.size
    offsets = np.zeros(rows + 1, np.int32)
    valid = np.zeros(rows, np.uint8)
    fault = np.full(rows, -1, np.int8)
    total = 0
    for r in range(rows):
        t = chosen[r]
        if t >= 0:
            k = kind[vr[t]]
            if k == _TEXT_KIND:
                total += 1
                for i in range(at[t], at[t] + length[t]):
                    total += buf[i] == 92
            elif k == _SINGLE_KIND:
                total += 1
            elif k != _BYTES_KIND and k != _SQ_KIND:
                total += length[t] // width_of[vr[t]]
    real = np.zeros(total, np.float64)
    whole = np.zeros(total, np.int64)
    begin = np.zeros(total, np.int64)
    size = np.zeros(total, np.int32)
    good = np.zeros(total, np.uint8)
    slow = np.zeros(total, np.uint8)
    n = 0
    for r in range(rows):
        t = chosen[r]
        offsets[r] = n
        if t < 0:
            continue
        k = kind[vr[t]]
        f = files[r]
        if k == _TEXT_KIND or k == _SINGLE_KIND:
            start, end = at[t], at[t] + length[t]
            a, b = strip(buf, start, end, left_of[vr[t]] != 0)
            if a == b:
                continue
            valid[r] = 1
            part = start
            for i in range(start, end + 1):
                if i < end and (buf[i] != 92 or k == _SINGLE_KIND):
                    continue
                a, b = strip(buf, part, i, left_of[vr[t]] != 0)
                part = i + 1
                begin[n], size[n] = a, b - a
                good[n] = 1
                if wanted != _TEXT:
                    while a < b and buf[a] == 32:
                        a += 1
                    if a == b:
                        good[n] = 0
                    else:
                        status, bad = GOOD, NOT_DS
                        if wanted == _REAL:
                            status, real[n] = parse_double(buf, a, b)
                            begin[n], size[n] = a, b - a
                            slow[n] = status == SLOW
                        elif wanted == _INTEGER:
                            status, whole[n] = parse_integer(buf, a, b)
                            bad = NOT_IS
                        elif wanted == _DATE:
                            status, whole[n] = parse_date(buf, a, b)
                            bad = NOT_DA
                        elif wanted == _DATETIME:
                            status, whole[n] = parse_datetime(buf, a, b)
                            bad = NOT_DT
                        elif wanted == _TIME:
                            status, _, _, _, _, fraction = parse_time(buf, a, b)
                            begin[n], whole[n], size[n] = a, b, 8 + (fraction + 1 if fraction else 0)
                            bad = NOT_TM
                        if status == BAD:
                            good[n] = 0
                            fault[r] = bad
                n += 1
        elif (k == _NUMBER_KIND or k == _FLOAT_KIND or k == _US_SS_KIND or k == _US_OW_KIND) and (
            wanted == _REAL or wanted == _INTEGER
        ):
            width = width_of[vr[t]]
            if length[t] % width != 0:
                continue
            big = big_file[f] != 0 and at[t] >= starts[f] + dataset[f]
            valid[r] = 1
            for i in range(length[t] // width):
                is_real, integer, number = _number_at(buf, t, i, vr, at, kind, width_of, signed_of, parent, pixels,
                                                      root_pixels[f], big)  # fmt: skip
                good[n] = 1
                if wanted == _REAL:
                    real[n] = number if is_real else np.float64(integer)
                elif not is_real:
                    whole[n] = integer
                else:
                    good[n] = 0
                    fault[r] = WRONG_VR
                n += 1
        elif k == _TAG_KIND and wanted == _TEXT:
            if length[t] % 4 != 0:
                continue
            valid[r] = 1
            for i in range(length[t] // 4):
                begin[n], good[n] = at[t] + 4 * i, 1
                size[n] = -2 if big_file[f] != 0 and at[t] >= starts[f] + dataset[f] else -1
                n += 1
        else:
            fault[r] = WRONG_VR
    offsets[rows] = n
    return offsets, valid, real[:n], whole[:n], begin[:n], size[:n], good[:n], slow[:n], fault


@compiled
def _gather_parts(is_time, begin, stop, size, good, buf):  # fmt: skip
    offsets = np.zeros(size.size + 1, np.int32)
    for i in range(size.size):
        offsets[i + 1] = offsets[i] + ((size[i] if size[i] >= 0 else 8) if good[i] else 0)
    data = np.empty(offsets[size.size], np.uint8)
    for i in range(size.size):
        if is_time and good[i]:
            _put_time(data, offsets[i], buf, begin[i], stop[i])
            continue
        if size[i] < 0:
            _put_tag(data, offsets[i], buf, begin[i], size[i] == -2)
            continue
        for j in range(offsets[i + 1] - offsets[i]):
            data[offsets[i] + j] = buf[begin[i] + j]
    return offsets, data


def _bits(valid: np.ndarray) -> np.ndarray:
    """Pack a (…, rows) matrix of 0 and 1 into Arrow's validity bitmaps."""
    return np.packbits(valid, axis=-1, bitorder="little")


def _primitive(type_: pa.DataType, values: np.ndarray, valid: np.ndarray, bits: np.ndarray) -> pa.Array:
    """Return an Arrow array over `values`, cast to the storage that `type_` has."""
    if pa.types.is_date32(type_):
        values = values.astype(np.int32)
    nulls = int(valid.size - np.count_nonzero(valid))
    return pa.Array.from_buffers(type_, valid.size, [pa.py_buffer(bits), pa.py_buffer(values)], nulls)


class ColumnCaster:
    """Casts a projection's columns, batch by batch.

    Parameters
    ----------
    projection : Projection
        The columns that come from the header, and their paths.
    """

    def __init__(self, projection: Projection) -> None:
        self.columns = projection.columns
        self._projection = projection
        kinds = [kind_of(column, vr) for column, vr in zip(projection.columns, projection.vrs, strict=True)]
        self._kind = np.array([kind for kind, _ in kinds], np.int64)
        is_list = np.array([flag for _, flag in kinds], bool)
        is_text = np.isin(self._kind, (_TEXT, _TIME))
        self._scalars = np.flatnonzero(~is_list & ~is_text)
        self._texts = np.flatnonzero(~is_list & is_text)
        self._lists = np.flatnonzero(is_list)

    def cast(self, tokens: Tokens, match: np.ndarray, files: np.ndarray) -> tuple[list[pa.Array], Faults]:
        """Return one Arrow array per column, in order, and the faults.

        Parameters
        ----------
        tokens : Tokens
            The batch.
        match : numpy.ndarray of int64, shape (paths, files)
            From the tokeniser.
        files : numpy.ndarray of int64, shape (rows,)
            File of each row.
        """
        projection = self._projection
        chosen = choose(match, projection.path_first, projection.path_of_slot, files, tokens.length, tokens.digest)
        arrays: list[pa.Array | None] = [None] * len(self.columns)
        faults = Faults()
        self._cast_scalars(tokens, chosen, files, arrays, faults)
        self._cast_texts(tokens, chosen, files, arrays, faults)
        for c in self._lists:
            arrays[c] = self._cast_list(int(c), tokens, chosen[c], files, faults)
        return [array for array in arrays if array is not None], faults

    def _context(self, tokens: Tokens) -> tuple[np.ndarray, ...]:
        return (
            tokens.buf, tokens.starts, tokens.dataset, tokens.big, tokens.root_pixels, tokens.vr, tokens.at,
            tokens.length, tokens.parent, tokens.pixels, KIND, tokens.width_of, tokens.signed_of, tokens.left_of,
        )  # fmt: skip

    def _cast_scalars(self, tokens: Tokens, chosen: np.ndarray, files: np.ndarray, arrays: list[pa.Array | None],
                      faults: Faults) -> None:  # fmt: skip
        mine = chosen[self._scalars]
        kinds = self._kind[self._scalars]
        real, whole, valid, fault, slow = cast_scalars(kinds, mine, files, *self._context(tokens))
        faults.add(fault, mine)
        for i, r in zip(*np.nonzero(slow), strict=True):
            real[i, r] = _python_float(tokens, int(mine[i, r]))
        bits = _bits(valid)
        for i, c in enumerate(self._scalars):
            values = real[i] if kinds[i] == _REAL else whole[i]
            arrays[c] = _primitive(self.columns[c].type, values, valid[i], bits[i])

    def _cast_texts(self, tokens: Tokens, chosen: np.ndarray, files: np.ndarray, arrays: list[pa.Array | None],
                    faults: Faults) -> None:  # fmt: skip
        mine = chosen[self._texts]
        is_time = self._kind[self._texts] == _TIME
        begin, size, fault = text_spans(
            mine, is_time, tokens.buf, tokens.vr, tokens.at, tokens.length, KIND, tokens.left_of
        )
        faults.add(fault, mine)
        data, column_at, offsets, valid = gather_text(
            mine, is_time, begin, size, tokens.buf, tokens.vr, tokens.at, tokens.length, KIND, tokens.big, files
        )
        bits = _bits(valid)
        for i, c in enumerate(self._texts):
            buffers = [
                pa.py_buffer(bits[i]),
                pa.py_buffer(offsets[i]),
                pa.py_buffer(data[column_at[i] : column_at[i + 1]]),
            ]
            arrays[c] = pa.Array.from_buffers(
                pa.string(), files.size, buffers, int(files.size - np.count_nonzero(valid[i]))
            )

    def _cast_list(self, c: int, tokens: Tokens, chosen: np.ndarray, files: np.ndarray, faults: Faults) -> pa.Array:
        kind = int(self._kind[c])
        offsets, valid, real, whole, begin, size, good, slow, fault = list_parts(
            kind, chosen, files, *self._context(tokens)
        )
        faults.add(fault[np.newaxis], chosen[np.newaxis])
        item = self.columns[c].type.value_type
        bits = _bits(good)
        if kind in (_TEXT, _TIME):
            part_offsets, data = _gather_parts(kind == _TIME, begin, whole, size, good, tokens.buf)
            buffers = [pa.py_buffer(bits), pa.py_buffer(part_offsets), pa.py_buffer(data)]
            values = pa.Array.from_buffers(item, size.size, buffers)
        else:
            for i in np.flatnonzero(slow):
                real[i] = float(tokens.buf[begin[i] : begin[i] + size[i]].tobytes())
            values = _primitive(item, real if kind == _REAL else whole, good, bits)
        return pa.Array.from_buffers(
            self.columns[c].type, files.size, [pa.py_buffer(_bits(valid)), pa.py_buffer(offsets)], children=[values]
        )


def _python_float(tokens: Tokens, token: int) -> float:
    """Return Python's own reading of a DS token's first part."""
    start = int(tokens.at[token])
    raw = tokens.buf[start : start + int(tokens.length[token])].tobytes()
    return float(raw.split(b"\\")[0].rstrip(b" \0"))
