"""Scottish records beside the hospital's: register, prescribing, deaths, laboratory, radiology reports."""

from cairn.tables.ehr_columns import date, flag, moment, number, records, text, texts, whole

# fmt: off
EHR_CHI_REGISTER = records("chi_register", "one record of a person at a health board", "CHI register; a number that was replaced points to the current one.",
    flag("current_record", "Whether this is the record in force."),
    text("chi_status", "Status of the record."),
    text("current_chi", "The number that replaced this one, cleaned; NULL where none did.", "drop"),
    text("sex", "M, F; NULL unknown."),
    date("birth_date", "Date of birth."),
    date("death_date", "Date of death as the register knows it; that of NRS goes first."),
    text("death_source", "C register, G registrar, GC both."),
    text("board", "Health board."),
    text("practice", "General practice.", "drop"),
    text("postcode", "Postcode.", "drop"),
    date("address_changed", "Date of the latest change of address."),
    date("registered_from", "Start of registration."),
    date("registered_to", "End of registration; NULL while registered."),
    whole("simd_quintile", "SIMD quintile of Scotland, 1 most deprived; the mapping names the version."),
    flag("opted_out", "Whether the person opted out of research: linkage leaves them."),
    clustered_by=("birth_date",))

EHR_LOCAL_NUMBER = records("local_number", "one local number of a person", "Local patient numbers with the CHI that they belong to.",
    text("issuer", "Who issued the number.", "drop"),
    text("local_number", "The number, upper case.", "drop"),
    date("valid_from", "From when it is theirs."),
    date("valid_to", "Until when; NULL still."))

EHR_PRESCRIBING = records("prescribing", "one dispensed item", "Community prescribing (PIS) by person, from April 2009; nothing given in hospital.",
    date("prescribed_date", "Date of the prescription; NULL where only the payment is known."),
    date("dispensed_date", "Date of dispensing."),
    date("paid_date", "Month end of payment."),
    date("event_date", "Prescribed, else dispensed, else paid date: the one to use in time relations."),
    text("event_date_basis", "prescribed, dispensed or paid."),
    text("bnf_code", "BNF item code: 7 characters of hierarchy, 8 of product; 11 digits for appliances."),
    text("bnf_description", "What the item is called."),
    text("approved_name", "Approved name of the drug."),
    text("strength", "Strength."),
    text("formulation", "Formulation."),
    number("quantity", "Dispensed quantity; its unit, where it was glued to it, is in quantity_unit."),
    text("quantity_unit", "Unit out of the quantity: ML, OP …"),
    number("paid_items", "Items paid."),
    number("cost", "Gross ingredient cost, pounds."),
    clustered_by=("event_date",))

EHR_DEATHS = records("deaths", "one registered death", "Deaths registered in Scotland (NRS); causes in ICD-10 from 2000.",
    text("link_no", "National linkage number of the person, without leading zeros.", "drop"),
    date("death_date", "Date of death."),
    date("registration_date", "Date of registration; published years are often by it."),
    text("registration_entry", "District, entry and year of the registration.", "drop"),
    text("underlying_cause", "Underlying cause, ICD-10 without dot."),
    texts("other_causes", "Other causes in order, each once."),
    text("country_of_residence", "XS is Scotland."),
    clustered_by=("death_date",))

EHR_LABORATORY = records("laboratory", "one result of one test", "Laboratory results of the boards' systems; each keeps its own codes and units.",
    moment("sampled", "When the sample was taken."),
    text("test_code", "Local test code."),
    text("read_code", "Read v2 code, five characters, case matters; NULL where the board has none."),
    text("test_name", "What the test is called."),
    text("comparator", "<, >, <=, >=, ~ before the number, wherever it stood."),
    number("value", "The number, without its operator."),
    text("value_text", "The result as text, when it is no number.", "text"),
    text("unit", "Unit as written; several may stand under one test."),
    number("range_low", "Lower limit of the reference range."),
    number("range_high", "Upper limit of the reference range."),
    text("interpretation", "Flag of the laboratory: high, low …"),
    text("comment", "Comment of the laboratory.", "text"),
    text("board", "Health board."),
    clustered_by=("sampled",))

EHR_RADIOLOGY_REPORT = records("radiology_report", "one report", "Reports of radiology systems; the text is scrubbed on its way down.",
    text("accession_number", "Number of the order, as in the images.", "drop"),
    moment("examined", "When the examination was made."),
    moment("reported", "When the report was verified."),
    text("examination_code", "NICIP or local code of the examination."),
    text("examination_name", "Name of the examination."),
    text("modality", "Modality of the examination, as in DICOM."),
    text("report", "Text of the report.", "text"),
    text("status", "Preliminary, final, addendum …"),
    text("board", "Health board."),
    clustered_by=("examined",))
# fmt: on
