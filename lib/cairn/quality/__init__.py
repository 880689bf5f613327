"""Quality gates: what an expectation counts, great-expectations' judgement of the counts, and its pages. No Spark here."""
