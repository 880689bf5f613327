"""Quality gates: what an expectation counts, great-expectations' judgement of it, and the pages. No Spark here."""
