"""`identifiable.person` and the numbers by which a person is known."""

from cairn.tables.contract import Column, Contract
from cairn.tables.ehr_columns import DATE, FLAG, INT, TEXT

# fmt: off
PERSON = Contract("identifiable", "person", "one person: one current CHI, or one number of an issuer without CHI", ("patient_id",), (
    Column("patient_id", TEXT, "Current CHI, or issuer and number.", "person"),
    Column("sex", TEXT, "M, F; NULL unknown.", "keep"),
    Column("birth_date", DATE, "Date of birth.", "date"),
    Column("death_date", DATE, "Date of death: of NRS, else of the CHI register.", "date"),
    Column("death_basis", TEXT, "nrs, chi_register or omop.", "keep"),
    Column("underlying_cause", TEXT, "Underlying cause of death, ICD-10.", "keep"),
    Column("board", TEXT, "Health board of the current record.", "keep"),
    Column("simd_quintile", INT, "SIMD quintile of Scotland, 1 most deprived.", "keep"),
    Column("registered_from", DATE, "Start of registration: observed from then.", "date"),
    Column("registered_to", DATE, "End of registration; NULL while registered.", "date"),
    Column("linked", FLAG, "Whether it is a CHI; others are known by a local number only.", "keep", nullable=False),
    Column("opted_out", FLAG, "Whether the person opted out of research; such rows do not cross.", "drop", nullable=False),
), "Persons of all sources.", clustered_by=("patient_id",))

PERSON_ALIAS = Contract("identifiable", "person_alias", "one number of a person at an issuer", ("issuer", "number"), (
    Column("issuer", TEXT, "Who issued the number; CHI for numbers that were replaced."),
    Column("number", TEXT, "The number, cleaned."),
    Column("patient_id", TEXT, "Whose it is now.", nullable=False),
    Column("basis", TEXT, "register or local_number.", nullable=False),
), "Numbers that lead to a person: replaced CHIs and local numbers. Never leaves the zone.")
# fmt: on
