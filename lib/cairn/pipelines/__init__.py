"""One module per job: its readable body, a few named steps."""
