"""Rules of rejection: named sets in the language of cohorts; what is in one of them does not leave.

A rule is a set of instances, series, studies, persons or events, such as
``{from: series, where: localizer}``; of an event the person is rejected. The first rule that holds is the one
reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from cairn.cohort.catalogue import IMAGE_LEVELS
from cairn.cohort.checking import Checked
from cairn.cohort.codelists import CodeList
from cairn.cohort.reading import parse

WITHDRAWN, OPTED_OUT, BLOCKED, OTHER_MODALITY = "withdrawn", "opted-out", "blocked", "other-modality"
"""Rules that hold for every project, in this order before its own."""

_KEYS = {"study": "study_instance_uid", "series": "series_instance_uid", "instance": "sop_instance_uid"}


def rules_of(reject: Mapping[str, Any], codelists: Mapping[str, CodeList], path: str) -> Checked | None:
    """Return rules as a checked definition of sets; None of no rules.

    Parameters
    ----------
    reject : mapping
        Set by name of rule, as in a cohort's definition.
    codelists : mapping of str to CodeList
        Lists that the conditions may use.
    path : str
        For messages.

    Raises
    ------
    CairnError
        COHORT_RULE, with place and the nearest right name.
    """
    if not reject:
        return None
    definition = {"cohort": "rejection", "version": 1, "title": "Rules of rejection", "sets": dict(reject)}
    return parse(yaml.safe_dump(definition, sort_keys=False), codelists, path)


def key_of(checked: Checked, rule: str) -> str:
    """Return the column by which the rows of a rule's set meet the members: a UID, or ``person_id``."""
    level = checked.sets[rule].source.level
    return _KEYS[level] if level in IMAGE_LEVELS else "person_id"
