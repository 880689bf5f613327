"""Cohorts: a definition in YAML or Python, its checks, its meaning in words and in SQL, and a slow obvious engine.

Start with :func:`cairn.cohort.reading.read`; docs/cohorts.md tells the language. No Spark.
"""
