"""All suites, and which of them are looked at when: after a stage, and before data crosses into another zone."""

from __future__ import annotations

from functools import cache

from cairn.tables.quality import Suite
from cairn.tables.quality_deidentified import COHORT_SUITES, DEIDENTIFIED_SUITES
from cairn.tables.quality_image import IMAGE_SUITES
from cairn.tables.quality_records import RECORD_SUITES

_IDENTIFIABLE = tuple(suite.contract.full_name for suite in (*IMAGE_SUITES, *RECORD_SUITES))
_DEIDENTIFIED = tuple(suite.contract.full_name for suite in DEIDENTIFIED_SUITES)
_COHORTS = tuple(suite.contract.full_name for suite in COHORT_SUITES)

AFTER: dict[str, tuple[str, ...]] = {
    "inventory": ("identifiable.archive_entry",),
    "headers": ("identifiable.header_blob", "identifiable.instance", "identifiable.quarantine"),
    "pixels": ("identifiable.pixel_statistics", "identifiable.text_search", "identifiable.burned_in_text"),
    "series": ("identifiable.series", "identifiable.study"),
    "ehr": tuple(suite.contract.full_name for suite in RECORD_SUITES),
    "deidentify": ("identifiable.crossing", *_DEIDENTIFIED),
    "cohort": _COHORTS,
}
"""Tables that a stage makes, by stage."""

BEFORE: dict[str, tuple[str, ...]] = {
    "deidentify": tuple(name for name in _IDENTIFIABLE if name != "identifiable.crossing"),
    "cohort": _DEIDENTIFIED,
    "extract": (*_DEIDENTIFIED, *_COHORTS),
}
"""Tables that a crossing reads, by the stage that crosses. What `deidentify` itself makes is not asked before it."""


@cache
def suites() -> dict[str, Suite]:
    """Return every suite by the full name of its table."""
    every = (*IMAGE_SUITES, *RECORD_SUITES, *DEIDENTIFIED_SUITES, *COHORT_SUITES)
    return {suite.contract.full_name: suite for suite in every}
