"""OMOP CDM 5.4: clinical tables as loaded, and the vocabulary that code lists need.

Columns are named as in the CDM (https://ohdsi.github.io/CommonDataModel/cdm54.html); person_id became patient_id,
since it is the person's number. Vocabulary tables have no person.
"""

from cairn.tables.contract import Column, Contract
from cairn.tables.ehr_columns import DATE, INT, TEXT, date, number, records, text, whole


# fmt: off
def _concept(domain: str) -> tuple[Column, ...]:
    return (
        whole(f"{domain}_concept_id", "Standard concept."),
        whole(f"{domain}_type_concept_id", "Where the record came from."),
        text(f"{domain}_source_value", "Code of the source."),
        whole(f"{domain}_source_concept_id", "Concept of the source's code."),
    )


_VISIT = (whole("visit_occurrence_id", "Visit in which it happened."),)

EHR_OMOP_PERSON = records("omop_person", "one person", "OMOP person.",
    whole("gender_concept_id", "8507 male, 8532 female."), whole("year_of_birth", "Year of birth."),
    whole("month_of_birth", "Month of birth."), whole("day_of_birth", "Day of birth."),
    whole("race_concept_id", "Race."), whole("ethnicity_concept_id", "Ethnicity."))
EHR_OMOP_OBSERVATION_PERIOD = records("omop_observation_period", "one period under observation", "OMOP observation_period.",
    Column("observation_period_id", INT, "Number of the record in its source.", "drop"),
    date("observation_period_start_date", "Start."), date("observation_period_end_date", "End."), whole("period_type_concept_id", "Kind."))
EHR_OMOP_VISIT = records("omop_visit_occurrence", "one visit", "OMOP visit_occurrence.",
    *_VISIT, whole("visit_concept_id", "Kind of visit."), date("visit_start_date", "Start."), date("visit_end_date", "End."),
    whole("visit_type_concept_id", "Where the record came from."), text("visit_source_value", "Code of the source."))
EHR_OMOP_CONDITION = records("omop_condition_occurrence", "one condition recorded", "OMOP condition_occurrence.",
    Column("condition_occurrence_id", INT, "Number of the record in its source.", "drop"),
    *_concept("condition"), date("condition_start_date", "Start."), date("condition_end_date", "End."), *_VISIT)
EHR_OMOP_CONDITION_ERA = records("omop_condition_era", "one span of a condition", "OMOP condition_era.",
    Column("condition_era_id", INT, "Number of the record in its source.", "drop"),
    whole("condition_concept_id", "Standard concept."), date("condition_era_start_date", "Start."), date("condition_era_end_date", "End."),
    whole("condition_occurrence_count", "Records in it."))
EHR_OMOP_DRUG = records("omop_drug_exposure", "one drug exposure", "OMOP drug_exposure.",
    Column("drug_exposure_id", INT, "Number of the record in its source.", "drop"),
    *_concept("drug"), date("drug_exposure_start_date", "Start."), date("drug_exposure_end_date", "End."),
    number("quantity", "Quantity."), whole("days_supply", "Days of supply."), *_VISIT)
EHR_OMOP_DRUG_ERA = records("omop_drug_era", "one span of a drug", "OMOP drug_era.",
    Column("drug_era_id", INT, "Number of the record in its source.", "drop"),
    whole("drug_concept_id", "Ingredient."), date("drug_era_start_date", "Start."), date("drug_era_end_date", "End."),
    whole("drug_exposure_count", "Exposures in it."), whole("gap_days", "Days without the drug."))
EHR_OMOP_PROCEDURE = records("omop_procedure_occurrence", "one procedure", "OMOP procedure_occurrence.",
    Column("procedure_occurrence_id", INT, "Number of the record in its source.", "drop"),
    *_concept("procedure"), date("procedure_date", "Date."), *_VISIT)
EHR_OMOP_MEASUREMENT = records("omop_measurement", "one measurement", "OMOP measurement.",
    Column("measurement_id", INT, "Number of the record in its source.", "drop"),
    *_concept("measurement"), date("measurement_date", "Date."), whole("operator_concept_id", "Operator before the number."),
    number("value_as_number", "Number."), whole("value_as_concept_id", "Concept as result."), whole("unit_concept_id", "Unit."),
    number("range_low", "Lower limit."), number("range_high", "Upper limit."), text("unit_source_value", "Unit of the source."),
    text("value_source_value", "Result of the source.", "text"), *_VISIT)
EHR_OMOP_OBSERVATION = records("omop_observation", "one observation", "OMOP observation.",
    Column("observation_id", INT, "Number of the record in its source.", "drop"),
    *_concept("observation"), date("observation_date", "Date."), number("value_as_number", "Number."),
    text("value_as_string", "Text.", "text"), whole("value_as_concept_id", "Concept as result."), *_VISIT)
EHR_OMOP_DEATH = records("omop_death", "one death", "OMOP death.",
    date("death_date", "Date."), whole("death_type_concept_id", "Where the record came from."),
    whole("cause_concept_id", "Cause."), text("cause_source_value", "Cause, code of the source."))

CONCEPT = Contract("identifiable", "ehr_omop_concept", "one concept", ("concept_id",), (
    Column("concept_id", INT, "Number of the concept.", "keep"), Column("concept_name", TEXT, "Name.", "keep"),
    Column("domain_id", TEXT, "Domain.", "keep"), Column("vocabulary_id", TEXT, "Vocabulary.", "keep"),
    Column("concept_class_id", TEXT, "Class.", "keep"), Column("standard_concept", TEXT, "S standard, C classification.", "keep"),
    Column("concept_code", TEXT, "Code in the vocabulary.", "keep"), Column("valid_start_date", DATE, "From when it is valid.", "keep"),
    Column("valid_end_date", DATE, "Until when.", "keep"), Column("invalid_reason", TEXT, "D deleted, U updated.", "keep")),
    "OMOP concept: a vocabulary, no persons.")
CONCEPT_ANCESTOR = Contract("identifiable", "ehr_omop_concept_ancestor", "one concept and one of its ancestors", ("ancestor_concept_id", "descendant_concept_id"), (
    Column("ancestor_concept_id", INT, "The wider concept.", "keep"), Column("descendant_concept_id", INT, "The narrower one, or itself.", "keep"),
    Column("min_levels_of_separation", INT, "Fewest steps between.", "keep"), Column("max_levels_of_separation", INT, "Most steps between.", "keep")),
    "OMOP concept_ancestor: descendants of code lists.")
# fmt: on
