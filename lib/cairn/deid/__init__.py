"""De-identification: keys, the profile as data, free text, and the rewriting of whole files. No Spark here."""
