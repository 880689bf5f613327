"""The MongoDB catalogue of the identifiable zone: documents, writing, reading, comparing. No Spark in here."""
