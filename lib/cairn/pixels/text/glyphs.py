"""Compiled loops of the triage: what each component holds, and which components stand in a line.

All of them stand in this one module, because numba's cache looks at one file (see :mod:`cairn.dicom.compiled`).
"""

from __future__ import annotations

import numba
import numpy as np

_compiled = numba.njit(cache=True)
ALIGNED = 0.16
"""Glyphs of a line have their feet or their heads at one height, within this share of the glyph's height."""
APART = 1.3
"""Largest gap between neighbours in a line, in glyph heights."""
TALLER = 1.9
"""Capitals and ascenders are this many times as high as the lowest letters, at most."""


@_compiled
def _root(parent, i):  # type: ignore[no-untyped-def]
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@_compiled
def components(hat, around, plane, times, least):  # type: ignore[no-untyped-def]
    """Return the 8-connected components of the pixels that stand out.

    Parameters
    ----------
    hat : numpy.ndarray
        How far each pixel stands out of its neighbourhood, (rows, columns).
    around : numpy.ndarray of float32
        How far its surroundings do on average.
    plane : numpy.ndarray
        The pixels.
    times, least : float32
        A pixel stands out when its hat exceeds `times` its surroundings', and `least`.

    Returns
    -------
    tuple
        Boxes (components, 4): x, y, width, height; areas; peaks: the largest hat; colours: the plane's value there.
    """
    rows, columns = hat.shape
    room = rows * (columns // 2 + 1)
    start, stop = np.empty(room, np.int32), np.empty(room, np.int32)
    line, parent = np.empty(room, np.int32), np.empty(room, np.int32)
    peak, colour = np.empty(room, np.float32), np.empty(room, np.float32)
    count, above, above_end = 0, 0, 0
    for y in range(rows):
        first = count
        x = 0
        while x < columns:
            if not (hat[y, x] > around[y, x] * times and hat[y, x] > least):
                x += 1
                continue
            start[count], line[count], parent[count], peak[count] = x, y, count, 0
            while x < columns and hat[y, x] > around[y, x] * times and hat[y, x] > least:
                if hat[y, x] > peak[count]:
                    peak[count], colour[count] = hat[y, x], plane[y, x]
                x += 1
            stop[count] = x
            while above < above_end and stop[above] < start[count]:
                above += 1
            other = above
            while other < above_end and start[other] <= stop[count]:
                one, two = _root(parent, other), _root(parent, count)
                parent[max(one, two)] = min(one, two)
                other += 1
            count += 1
        above, above_end = first, count
    number = np.full(count, -1, np.int32)
    made = 0
    for i in range(count):
        if _root(parent, i) == i:
            number[i] = made
            made += 1
    boxes = np.empty((made, 4), np.int32)
    areas = np.zeros(made, np.int32)
    peaks, colours = np.zeros(made, np.float32), np.zeros(made, np.float32)
    boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3] = columns, rows, 0, 0
    for i in range(count):
        k = number[_root(parent, i)]
        boxes[k, 0], boxes[k, 1] = min(boxes[k, 0], start[i]), min(boxes[k, 1], line[i])
        boxes[k, 2], boxes[k, 3] = max(boxes[k, 2], stop[i]), max(boxes[k, 3], line[i] + 1)
        areas[k] += stop[i] - start[i]
        if peak[i] > peaks[k]:
            peaks[k], colours[k] = peak[i], colour[i]
    boxes[:, 2] -= boxes[:, 0]
    boxes[:, 3] -= boxes[:, 1]
    return boxes, areas, peaks, colours


@_compiled
def _could_be_glyph(width, height, area, lowest, highest):  # type: ignore[no-untyped-def]
    return lowest <= height <= highest and width <= 2 * height + 2 and area >= height // 2 + 1


@_compiled
def _neighbours(a, b):  # type: ignore[no-untyped-def]
    """Whether box b, whose left edge is not left of a's, could be the next glyph of a's line."""
    high, low = max(a[3], b[3]), min(a[3], b[3])
    slack = max(1.0, ALIGNED * high)
    feet, heads = abs(a[1] + a[3] - b[1] - b[3]), abs(a[1] - b[1])
    return (feet <= slack or heads <= slack) and high <= TALLER * low + 1 and b[0] - a[0] - a[2] >= -2


@_compiled
def chained(boxes, areas, peaks, colours, lowest, highest, least):  # type: ignore[no-untyped-def]
    """Join components to lines along x.

    Parameters
    ----------
    boxes : numpy.ndarray of int32, shape (components, 4)
        x, y, width, height of each.
    areas : numpy.ndarray of int32
        Pixels of each.
    peaks : numpy.ndarray of float32
        How far each stands out.
    colours : numpy.ndarray of float32
        The value of each.
    lowest, highest : int
        Heights of glyphs.
    least : int
        Fewest glyphs of a line.

    Returns
    -------
    numpy.ndarray of float64, shape (lines, 9)
        x, y, width, height, glyphs, spread of the colours, spread of the heights, mean peak, median colour.
    """
    order = np.argsort(boxes[:, 0])
    kept = np.empty(order.size, np.int64)
    count = 0
    for i in order:
        if _could_be_glyph(boxes[i, 2], boxes[i, 3], areas[i], lowest, highest):
            kept[count] = i
            count += 1
    after = np.full(count, -1, np.int64)
    before = np.full(count, -1, np.int64)
    for i in range(count):
        a = boxes[kept[i]]
        for j in range(i + 1, count):
            b = boxes[kept[j]]
            if b[0] - a[0] - a[2] > APART * max(a[3], 8):
                if b[0] - a[0] - a[2] > APART * highest:
                    break
                continue
            if before[j] < 0 and _neighbours(a, b):
                after[i], before[j] = j, i
                break
    lines = np.empty((count, 9), np.float64)
    made = 0
    for i in range(count):
        if before[i] >= 0:
            continue
        n, j = 0, i
        left, top, right, bottom = 1 << 30, 1 << 30, 0, 0
        while j >= 0:
            b = boxes[kept[j]]
            left, top = min(left, b[0]), min(top, b[1])
            right, bottom = max(right, b[0] + b[2]), max(bottom, b[1] + b[3])
            n += 1
            j = after[j]
        if n < least:
            continue
        own = np.empty(n, np.float32)
        stands = 0.0
        tall = np.empty(n, np.float32)
        j = i
        for k in range(n):
            own[k], tall[k] = colours[kept[j]], boxes[kept[j], 3]
            stands += peaks[kept[j]]
            j = after[j]
        own.sort()
        tall.sort()
        lines[made, 0], lines[made, 1], lines[made, 2], lines[made, 3] = left, top, right - left, bottom - top
        lines[made, 4] = n
        lines[made, 5] = (own[n - 1 - n // 8] - own[n // 8]) / max(stands / n, 1e-12)
        lines[made, 6] = (tall[n - 1 - n // 8] - tall[n // 8]) / tall.mean()
        lines[made, 7] = stands / n
        lines[made, 8] = own[n // 2]
        made += 1
    return lines[:made]
