"""How the columns of `series` and `study` are stated: attributes taken from `instance`, and what is counted.

An attribute that the standard keeps constant over a series or a study is *compared*: where its images hold several
values, the smallest stands and the column's name is in `disagreements`. One that may vary from image to image is
*sampled*: the smallest value stands and nothing is said.
"""

from __future__ import annotations

from cairn.tables.contract import Column
from cairn.tables.instance import INSTANCE


def taken(rules: dict[str, str], suffix: str) -> tuple[Column, ...]:
    """Return columns that hold an attribute of the primary instances.

    Parameters
    ----------
    rules : dict of str to str
        Crossing rule by name of the `instance` column.
    suffix : str
        Sentence that says how one value came out of many.

    Returns
    -------
    tuple of Column
        Named, typed and commented as in `instance`.
    """
    columns = (INSTANCE.column(name) for name in rules)
    return tuple(Column(c.name, c.type, f"{c.comment} {suffix}", rules[c.name]) for c in columns)


def same_rule(rule: str, names: str) -> dict[str, str]:
    """Return the same crossing rule for every name in a text of names."""
    return dict.fromkeys(names.split(), rule)


PATIENT = {
    "patient_id": "person",
    **same_rule("drop", "issuer_of_patient_id patient_birth_date"),
    **same_rule("keep", "patient_sex"),
}
STUDY = {
    "study_instance_uid": "uid",
    "study_date": "date",
    "study_time": "keep",
    **same_rule("drop", "study_id accession_number"),
    **same_rule("text", "study_description procedure_code_sequence_code_meaning"),
    **same_rule("keep", "procedure_code_sequence_code_value procedure_code_sequence_coding_scheme_designator"),
}
"""Attributes of the Patient and General Study modules, constant over a study (PS3.3 C.7.1.1, C.7.2.1)."""

STUDY_SAMPLED = {
    **same_rule(
        "keep", "patient_age patient_size patient_weight number_of_study_related_instances modalities_in_study"
    ),
    **same_rule("text", "admitting_diagnoses_description requested_procedure_description"),
    "institution_name": "drop",
}
