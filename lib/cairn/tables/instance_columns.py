"""How a line of the `instance` column lists becomes a :class:`~cairn.tables.contract.Column`.

The lists themselves are in the ``instance_columns_*`` modules, one line per column, grouped by the module of
PS3.3 that defines the attribute. Types are written out rather than looked up, so that a new edition of the
data dictionary cannot change a table; the tests hold them against pydicom's dictionary.
"""

from __future__ import annotations

import re

import pyarrow as pa

from cairn.tables.contract import Column

TEXT = pa.string()
TEXTS = pa.list_(pa.string())
INT = pa.int64()
INTS = pa.list_(pa.int64())
NUM = pa.float64()
NUMS = pa.list_(pa.float64())
DATE = pa.date32()
DATES = pa.list_(pa.date32())
WHEN = pa.timestamp("us", tz="UTC")

EXCEPTIONS = {
    "CTDIvol": "ctdi_vol",
    "ExposureInmAs": "exposure_in_mas",
    "ExposureInuAs": "exposure_in_uas",
    "ExposureTimeInms": "exposure_time_in_ms",
    "ExposureTimeInuS": "exposure_time_in_us",
    "VOILUTFunction": "voi_lut_function",
    "XRayTubeCurrentInmA": "xray_tube_current_in_ma",
    "XRayTubeCurrentInuA": "xray_tube_current_in_ua",
}
"""Keywords whose words the capital letters do not show."""

_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

FUNCTIONAL_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


def column_name(keyword: str) -> str:
    """Return the column name of a DICOM keyword.

    A word starts at a capital after a small letter or digit, and at the last capital of a run that a small
    letter follows: ``SOPInstanceUID`` → ``sop_instance_uid``, ``KVP`` → ``kvp``. ``XRay`` is one word:
    ``xray_tube_current``. :data:`EXCEPTIONS` lists the keywords for which that reads badly. An element ``B``
    lifted out of a sequence ``A`` is ``A_B`` and becomes ``a_b``, each part by itself; the parts of the
    columns that Cairn offers drop the word Sequence except for code sequences
    (``view_code_sequence_code_value``).

    Parameters
    ----------
    keyword : str
        A keyword of PS3.6, or several joined by ``_``.

    Returns
    -------
    str
        snake_case.
    """
    return "_".join(_snake(part) for part in keyword.split("_"))


def _snake(keyword: str) -> str:
    if keyword in EXCEPTIONS:
        return EXCEPTIONS[keyword]
    return _WORD_STARTS.sub("_", keyword.replace("XRay", "Xray").replace("IDs", "Ids")).lower()


def element(keyword: str, type_: pa.DataType, comment: str, *also: str) -> Column:
    """Return the column of one DICOM element.

    Parameters
    ----------
    keyword : str
        The keyword, itself the best path; or ``A_B`` for an element ``B`` lifted out of a sequence, whose
        paths are then in `also` only.
    type_ : pyarrow.DataType
        Scalar where the VM is 1, else a list.
    comment : str
        One sentence, with the unit; :func:`module` adds the module.
    *also : str
        Further paths, best first. One that ends in a dot is completed with the keyword. One that starts with
        ``*.`` lies in a functional group of an enhanced multi-frame image (PS3.3 C.7.6.16) and stands for
        two: the shared groups, then those of the first frame.

    Returns
    -------
    Column
        With rule ``header``.
    """
    *lifted, last = keyword.split("_")
    paths = [] if lifted else [keyword]
    for path in also:
        full = path + last if path.endswith(".") else path
        paths += [full.replace("*", group, 1) for group in FUNCTIONAL_GROUPS] if full.startswith("*.") else [full]
    return Column(column_name(keyword), type_, comment, "header", tuple(paths))


def code(sequence: str, comment: str, *also: str) -> tuple[Column, Column, Column]:
    """Return the three columns of a code sequence: value, meaning, scheme (PS3.3 section 8, first item).

    Parameters
    ----------
    sequence : str
        Keyword of the sequence, or ``A_B`` for one within a sequence, whose paths are then in `also` only.
    comment : str
        What the code says, as the first half of a sentence.
    *also : str
        Paths of the sequence as in :func:`element`.

    Returns
    -------
    tuple of Column
        ``…_code_value``, ``…_code_meaning``, ``…_coding_scheme_designator``.
    """
    *lifted, last = sequence.split("_")
    parents = ([] if lifted else [sequence]) + [path + last if path.endswith(".") else path for path in also]
    value = [f"{parent}.{keyword}" for parent in parents for keyword in ("CodeValue", "LongCodeValue")]
    return (
        element(f"{sequence}_CodeValue", TEXT, f"{comment}: code.", *value),
        element(f"{sequence}_CodeMeaning", TEXT, f"{comment}: meaning in words.", *(f"{p}." for p in parents)),
        element(f"{sequence}_CodingSchemeDesignator", TEXT, f"{comment}: coding scheme.", *(f"{p}." for p in parents)),
    )


def module(name: str, section: str, *rows: Column | tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns of one module of PS3.3, with the module named in each comment.

    Parameters
    ----------
    name, section : str
        The module's name and its section in PS3.3, or part and section (``PS3.10 7.1``).
    *rows : Column or tuple of Column
        From :func:`element` and :func:`code`.

    Returns
    -------
    tuple of Column
        In the same order.
    """
    flat = [column for row in rows for column in (row if isinstance(row, tuple) else (row,))]
    place = section if section.startswith("PS3") else f"PS3.3 {section}"
    return tuple(Column(c.name, c.type, f"{c.comment} [{name}, {place}]", c.rule, c.paths, c.nullable) for c in flat)
