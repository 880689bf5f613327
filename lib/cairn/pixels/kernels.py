"""Compiled loops over a frame, its histogram and a header: everything that would cost a pass of numpy's otherwise.

All of them stand in this one module, because numba's cache looks at one file (see :mod:`cairn.dicom.compiled`).
"""

from __future__ import annotations

import math

import numba
import numpy as np

from cairn.dicom.compiled import compiled
from cairn.dicom.dictionary import VR
from cairn.dicom.scan import _sequence_end
from cairn.dicom.tokenise import OK, UNDEFINED, _tag, locate, read_element, undefined_value_end

# The order of additions may change, nothing else: sums of integers below 2**53 stay exact.
_reordered = numba.njit(cache=True, fastmath={"reassoc", "contract", "nsz"})

_SQ, _UN = VR["SQ"], VR["UN"]
_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
SUBBINS = 16
"""Bins per octave of the fixed histogram."""
_OCTAVES_BELOW_ONE = 40
FOUND, NO_PIXELS, BROKEN, REFUSED = 0, 1, 2, 3


@compiled
def find_elements(buf, form, wanted, uids, vr_of_bytes, vr_is_long, at_out, length_out):  # type: ignore[no-untyped-def]
    """Find elements at the top level of a dataset.

    Parameters
    ----------
    buf : numpy.ndarray of uint8
        The entry from its beginning.
    form : int
        See :func:`cairn.dicom.tokenise.locate`.
    wanted : numpy.ndarray of int64
        Tags, ascending.
    uids, vr_of_bytes, vr_is_long
        As for :func:`cairn.dicom.tokenise.locate`.
    at_out, length_out : numpy.ndarray of int64
        Are given the place and length of each value; -1 where there is none. The last one of a repeated tag counts.

    Returns
    -------
    tuple
        (status, where the pixel data element begins or the walk ended, implicit, big endian, dataset's start, refusal).
    """
    at_out[:] = -1
    length_out[:] = 0
    end = buf.size
    located, meta, p, implicit, big = locate(buf, 0, end, form, vr_of_bytes, vr_is_long, uids)
    if located != OK:
        return REFUSED, p, implicit, big, p, located
    start = p
    q = meta
    while q + 8 <= start:
        tag, code, length, size = read_element(buf, q, start, False, False, vr_of_bytes, vr_is_long)
        if size == 0:
            break
        slot = np.searchsorted(wanted, tag)
        if slot < wanted.size and wanted[slot] == tag:
            at_out[slot] = q + size
            length_out[slot] = length
        q += size + length
    while p < end:
        tag, code, length, size = read_element(buf, p, end, implicit, big, vr_of_bytes, vr_is_long)
        if size == 0:
            return BROKEN, p, implicit, big, start, OK
        if tag == 0x7FE00010 or tag == 0x7FE00008 or tag == 0x7FE00009:
            return FOUND, p, implicit, big, start, OK
        if tag >> 16 == 0xFFFE:
            return BROKEN, p, implicit, big, start, OK
        value = p + size
        slot = np.searchsorted(wanted, tag)
        if slot < wanted.size and wanted[slot] == tag:
            at_out[slot] = value
            length_out[slot] = length
        if length == UNDEFINED and (size != 8 or code == -1):
            if value + 8 > end:
                return BROKEN, p, implicit, big, start, OK
            if code == _SQ or code == _UN or _tag(buf, value, big) == _ITEM or _tag(buf, value, big) == _SEQUENCE_END:
                status, p = _sequence_end(buf, value, end, implicit, big, vr_of_bytes, vr_is_long)
                if status != 0:
                    return BROKEN, p, implicit, big, start, OK
            else:
                stop = undefined_value_end(buf, value, end, big)
                if stop < 0:
                    return BROKEN, p, implicit, big, start, OK
                p = stop + 8
        else:
            p = value + length
    if p > end:
        return BROKEN, p, implicit, big, start, OK
    return NO_PIXELS, p, implicit, big, start, OK


@compiled
def extremes(values):  # type: ignore[no-untyped-def]
    """Return the smallest and the largest of a flat array of integers."""
    low = values[0]
    high = values[0]
    for i in range(values.size):
        value = values[i]
        low = min(low, value)
        high = max(high, value)
    return np.int64(low), np.int64(high)


@compiled
def count_values(values, low, high):  # type: ignore[no-untyped-def]
    """Return how often each integer from `low` to `high` occurs; two counters in turn, as neighbours are often equal."""
    size = high - low + 1
    even = np.zeros(size, np.int32)
    odd = np.zeros(size, np.int32)
    quads = values.size & ~3
    for i in range(0, quads, 4):  # unsigned places: numba looks for negative ones otherwise
        even[np.uint64(np.int64(values[i]) - low)] += 1
        odd[np.uint64(np.int64(values[i + 1]) - low)] += 1
        even[np.uint64(np.int64(values[i + 2]) - low)] += 1
        odd[np.uint64(np.int64(values[i + 3]) - low)] += 1
    for i in range(quads, values.size):
        even[np.uint64(np.int64(values[i]) - low)] += 1
    out = np.empty(size, np.int64)
    for i in range(size):
        out[i] = np.int64(even[i]) + np.int64(odd[i])
    return out


@compiled
def moments(counts, low):  # type: ignore[no-untyped-def]
    """Return count, mean, population variance, entropy in bits, greatest count and Otsu's threshold of a histogram.

    Mean and variance are taken about the middle of the range, so that nothing cancels. Entropy: Shannon 1948, of the
    exact values. Threshold: Otsu 1979, the value up to which the darker class reaches.
    """
    total = np.int64(0)
    first = 0.0
    most = np.int64(0)
    middle = counts.size // 2
    for i in range(counts.size):
        total += counts[i]
        first += np.float64(counts[i]) * (i - middle)
        most = max(most, counts[i])
    mean = first / total
    second = 0.0
    entropy = 0.0
    for i in range(counts.size):
        if counts[i] > 0:
            away = i - middle - mean
            second += counts[i] * away * away
            share = counts[i] / total
            entropy -= share * math.log2(share)
    # Otsu: the cut with the greatest variance between the classes.
    below = 0.0
    below_sum = 0.0
    best = -1.0
    cut = np.int64(0)
    for i in range(counts.size - 1):
        below += counts[i]
        below_sum += np.float64(counts[i]) * (i - middle)
        above = total - below
        if counts[i] > 0 and above > 0:
            gap = below_sum / below - (first - below_sum) / above
            between = below * above * gap * gap
            if between > best:
                best = between
                cut = i
    return total, mean + middle + low, second / total, entropy, most, low + cut


@compiled
def ranks(counts, low, wanted):  # type: ignore[no-untyped-def]
    """Return the values at 1-based ranks (ascending) of a histogram."""
    out = np.empty(wanted.size, np.int64)
    seen = np.int64(0)
    k = 0
    for i in range(counts.size):
        seen += counts[i]
        while k < wanted.size and seen >= wanted[k]:
            out[k] = low + i
            k += 1
    return out


@compiled
def bin_of(value):  # type: ignore[no-untyped-def]
    """Return the fixed bin of a finite value; see :func:`cairn.pixels.histogram.bin_bounds`."""
    size = abs(value)
    if size == 0.0:
        return np.int32(0)
    fraction, exponent = math.frexp(size)
    octave = min(max(exponent - 1 + _OCTAVES_BELOW_ONE, 0), 400)
    sub = min(np.int64((fraction * 2.0 - 1.0) * SUBBINS), SUBBINS - 1)
    number = np.int32(SUBBINS * octave + sub + 1)
    return -number if value < 0.0 else number


@compiled
def fixed_histogram(counts, low, slope, intercept):  # type: ignore[no-untyped-def]
    """Return (bins, counts) of the histogram of ``value * slope + intercept`` on the fixed bins, in order of the walk."""
    bins = np.empty(counts.size, np.int32)
    out = np.empty(counts.size, np.int64)
    used = 0
    for i in range(counts.size):
        if counts[i] == 0:
            continue
        number = bin_of((low + i) * slope + intercept)
        if used > 0 and bins[used - 1] == number:
            out[used - 1] += counts[i]
        else:
            bins[used] = number
            out[used] = counts[i]
            used += 1
    return bins[:used], out[:used]


@compiled
def band_counts(counts, low, slope, intercept, edges, pad_low, pad_high):  # type: ignore[no-untyped-def]
    """Count values by band; padding (stored values from `pad_low` to `pad_high`) is left out.

    Returns
    -------
    tuple
        (counts of ``edges.size + 1`` bands, band k holding ``edges[k-1] <= rescaled < edges[k]``; padding's count).
    """
    out = np.zeros(edges.size + 1, np.int64)
    padding = np.int64(0)
    for i in range(counts.size):
        if counts[i] == 0:
            continue
        stored = low + i
        if pad_low <= stored <= pad_high:
            padding += counts[i]
            continue
        value = stored * slope + intercept
        k = 0
        while k < edges.size and value >= edges[k]:
            k += 1
        out[k] += counts[i]
    return out, padding


@_reordered
def stencils(image):  # type: ignore[no-untyped-def]
    """Return sum and sum of squares of the Laplacian, and the sum of Immerkær's absolute differences.

    The Laplacian is OpenCV's ``Laplacian(ksize=1)``: 0 1 0 / 1 -4 1 / 0 1 0 with the border reflected without its edge.
    Immerkær's mask 1 -2 1 / -2 4 -2 / 1 -2 1 is taken on the interior alone.
    """
    rows, columns = image.shape
    total = 0.0
    squares = 0.0
    noise = 0.0
    for y in range(rows):
        up = image[y - 1 if y > 0 else min(1, rows - 1)]
        row = image[y]
        down = image[y + 1 if y < rows - 1 else max(rows - 2, 0)]
        inner = 0 < y < rows - 1
        for x in (0, columns - 1):
            left = row[x - 1] if x > 0 else row[min(1, columns - 1)]
            right = row[x + 1] if x < columns - 1 else row[max(columns - 2, 0)]
            edge = np.float64(left) + np.float64(right) + np.float64(up[x]) + np.float64(down[x]) - 4.0 * row[x]
            total += edge
            squares += edge * edge
            if columns == 1:
                break
        row_total = np.int64(0)
        row_noise = np.int64(0)
        for x in range(1, columns - 1):
            cross = np.int32(row[x - 1]) + np.int32(row[x + 1]) + np.int32(up[x]) + np.int32(down[x])
            centre = np.int32(4) * np.int32(row[x])
            laplacian = np.int32(cross - centre)
            row_total += laplacian
            squares += np.float64(laplacian) * np.float64(laplacian)
            corners = np.int32(up[x - 1]) + np.int32(up[x + 1]) + np.int32(down[x - 1]) + np.int32(down[x + 1])
            row_noise += abs(np.int32(corners - np.int32(2) * cross + centre))
        total += row_total
        if inner:
            noise += row_noise
    return total, squares, noise


@compiled
def survey(image, threshold, darker, grid, row_counts, column_counts):  # type: ignore[no-untyped-def]
    """Count foreground by row and column, and sum the image over a grid, in one pass.

    Parameters
    ----------
    image : numpy.ndarray, shape (rows, columns)
        Integers.
    threshold : int
        Foreground is above it; up to it when `darker`.
    darker : bool
        MONOCHROME1: low values are bright.
    grid : numpy.ndarray of float64, shape (n, n)
        Is given the mean of each cell; rows and columns must reach `n`.
    row_counts, column_counts : numpy.ndarray of int32
        Are given the numbers of foreground pixels.
    """
    rows, columns = image.shape
    n = grid.shape[0]
    sums = np.zeros(columns, np.int64)
    column_counts[:] = 0
    limit = image.dtype.type(threshold)
    cell_row = 0
    first = 0
    for y in range(rows):
        row = image[y]
        count = np.int32(0)
        for x in range(columns):
            inside = np.int32(row[x] > limit)
            column_counts[x] += inside
            count += inside
            sums[x] += row[x]
        row_counts[y] = count
        if n > 0 and y + 1 == (cell_row + 1) * rows // n:
            for k in range(n):
                left, right = k * columns // n, (k + 1) * columns // n
                cell = np.int64(0)
                for x in range(left, right):
                    cell += sums[x]
                grid[cell_row, k] = cell / ((right - left) * (y + 1 - first))
            sums[:] = 0
            first = y + 1
            cell_row += 1
    if darker:
        for y in range(rows):
            row_counts[y] = columns - row_counts[y]
        for x in range(columns):
            column_counts[x] = rows - column_counts[x]


@compiled
def unpack_runs(data, start, end, out):  # type: ignore[no-untyped-def]
    """Decode one RLE segment (PackBits, PS3.5 G.3.2) into `out`; return the bytes that it gave."""
    p = start
    written = 0
    size = out.size
    while p < end and written < size:
        control = data[p]
        p += 1
        if control < 128:
            count = min(np.int64(control) + 1, end - p, size - written)
            for i in range(count):
                out[written + i] = data[p + i]
            p += np.int64(control) + 1
            written += count
        elif control > 128:
            if p >= end:
                break
            count = min(257 - np.int64(control), size - written)
            value = data[p]
            for i in range(count):
                out[written + i] = value
            p += 1
            written += count
    return written
