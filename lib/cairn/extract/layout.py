"""Where things lie in a project's zone: released extracts, staged ones, and what is in an extract."""

from __future__ import annotations

IMAGES, VOLUMES, TABLES, README = "images", "nifti", "tables", "README.md"
STAGING = "_staging"
UNDELIVERED = ".dicom"
"""Ending of the folder beside a staged extract with the files that its volumes are made of, when those do not leave."""


def image_path(person: str, study: str, series: str, instance: str) -> str:
    """Return the path of an image below an extract; a file without study or series is in ``none``."""
    return f"{IMAGES}/{person}/{study or 'none'}/{series or 'none'}/{instance}.dcm"


def table_folder(name: str) -> str:
    """Return the folder of a table below an extract."""
    return f"{TABLES}/{name}"


def extract_name(cohort: str, number: int, digest: str) -> str:
    """Return the name of an extract: its frozen list, and a hash of all else that decides what is in it."""
    return f"{cohort}-{number}-{digest[:10]}"
