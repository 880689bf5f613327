"""Scottish hospital records: outpatients, inpatients and day cases, maternity, mental health, cancer (SMR00 to SMR06)."""

from cairn.tables.ehr_columns import date, flag, number, records, text, texts, whole

_CODE = "ICD-10 without dot, filler X and dagger or asterisk; ICD-9 keeps its leading minus."

# fmt: off
PLACE = (
    text("specialty", "Specialty code."),
    text("location", "Hospital: cipher, three digits, letter."),
    text("board_of_treatment", "Health board of treatment; today's code in warehouse exports."),
    text("board_of_residence", "Health board of residence.", "drop"),
    text("postcode", "Postcode of residence.", "drop"),
    text("ethnic_group", "Ethnic group code."),
    whole("age_in_years", "Age as the source states it; may differ from the one by date of birth."),
)
DIAGNOSES = (
    text("main_condition", f"Main condition. {_CODE}"),
    text("main_condition_suffix", "D dagger or A asterisk of the main condition."),
    texts("other_conditions", f"Other conditions in the source's order. {_CODE}"),
)
OPERATIONS = (
    text("main_operation", "Main operation, OPCS-4 without dot; four digits are OPCS-3."),
    text("main_operation_pair", "Second code of the main operation's pair, OPCS-4."),
    date("main_operation_date", "Date of the main operation."),
    texts("other_operations", "Other operations, OPCS-4, pairs taken apart."),
)
STAY = (
    text("link_no", "National linkage number of the person, without leading zeros.", "drop"),
    text("cis_marker", "Number of the continuous inpatient stay within the person."),
    text("uri", "The record's number in the warehouse; orders episodes of one day.", "drop"),
    date("admission_date", "Admission to the episode."),
    date("discharge_date", "Discharge from the episode; NULL while the patient is still in."),
    text("admission_type", "How the patient was admitted: 10-19 elective, 20-39 emergency."),
    text("admission_transfer_from", "Where the patient came from."),
    text("discharge_type", "How the episode ended; 40 to 43 death."),
)

EHR_SMR00 = records("smr00", "one outpatient appointment", "Outpatient appointments; those not kept are rows too.",
    date("clinic_date", "Date of the clinic."),
    text("clinic_type", "1 consultant, 2 dentist …"),
    text("attendance", "1 the patient attended; other codes are appointments not kept."),
    flag("attended", "Whether the patient was seen."),
    text("referral_type", "Kind of referral; 3 return."),
    text("mode_of_contact", "Face to face, telephone, video …"),
    *PLACE, *DIAGNOSES, *OPERATIONS, clustered_by=("clinic_date",))

EHR_SMR01 = records("smr01", "one inpatient or day-case episode", "Hospital episodes; a stay is all of one patient_id and cis_marker.",
    *STAY, text("record_type", "Record type, 01B."), text("inpatient_daycase", "I inpatient, D day case."),
    *PLACE, *DIAGNOSES, *OPERATIONS, clustered_by=("admission_date",))

EHR_SMR02 = records("smr02", "one obstetric episode of the mother", "Maternity episodes; babies stand in the lists, in order.",
    *STAY,
    text("condition_on_discharge", "1 antenatal, 2 aborted, 3 delivered, 4 postnatal …"),
    date("delivery_date", "Date of delivery; NULL in antenatal episodes."),
    date("last_menstrual_period", "First day of the last menstrual period."),
    whole("gestation_weeks", "Estimated gestation, weeks; 99 is NULL."),
    whole("births", "Births of this pregnancy."),
    texts("outcomes", "Outcome by baby."),
    texts("birth_weights", "Birth weight by baby, grams, as text."),
    texts("baby_sexes", "Sex by baby: M, F."),
    texts("baby_chis", "CHI by baby.", "drop"),
    *PLACE, *DIAGNOSES, *OPERATIONS, clustered_by=("admission_date",))

EHR_SMR04 = records("smr04", "one mental-health inpatient or day-case episode", "Mental-health episodes.",
    *STAY,
    text("management", "Management of patient: 1, 3, 5, 7, A are inpatients."),
    flag("inpatient", "Whether the episode was inpatient care."),
    text("status_on_admission", "Legal status on admission."),
    texts("admission_conditions", f"Diagnoses on admission. {_CODE}"),
    flag("duplicate", "Whether the source marks the record as a duplicate."),
    *PLACE, *DIAGNOSES, clustered_by=("admission_date",))

EHR_SMR06 = records("smr06", "one tumour of a person", "Cancer registry; in situ, uncertain and benign brain tumours are in it.",
    text("tumour_no", "Number of the tumour within the person."),
    date("incidence_date", "Date of incidence."),
    text("site", "Site, ICD-10 without dot; C44 (skin, not melanoma) is usually left out of studies."),
    text("site_icd9", "Site, ICD-9."),
    text("morphology", "Morphology, ICD-O."),
    text("histologically_verified", "Basis of the diagnosis."),
    text("method_of_detection", "Method of first detection; screening has codes of its own."),
    text("stage", "Stage as registered; only from 1997 and for breast, cervix, colorectum."),
    text("grade", "Grade."),
    number("tumour_size", "Size, mm."),
    flag("death_certificate_only", "Whether a death certificate is the only source."),
    flag("out_of_scotland", "Whether the person lived outside Scotland."),
    clustered_by=("incidence_date",))
# fmt: on
