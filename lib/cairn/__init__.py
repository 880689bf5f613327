"""Cairn: a national archive of clinical images as research cohorts.

Spark jobs parse DICOM headers and pixels into Delta tables, de-identify them, join them to health
records and write one extract per project. See ``docs/`` and the README for the way of the data.
"""

__version__ = "0.1.0"
