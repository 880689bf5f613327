"""Health records: the CHI, the layouts of their sources, and typed rows made of them. No Spark.

Start with :func:`cairn.ehr.mapping.load` and :func:`cairn.ehr.rows.typed`; docs/health-records.md tells the rest.
"""
