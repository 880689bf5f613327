"""What stands beside images and tables: the researcher's page, a dictionary of columns, the data controller's page."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from cairn.extract.project import Project, offered


def text(project: Project, extract: str, tables: Mapping[str, int]) -> str:
    """Return the researcher's page: what there is and how to load it.

    Parameters
    ----------
    project : Project
        Whose extract it is.
    extract : str
        Its name.
    tables : mapping of str to int
        Rows by table.
    """
    cohort, number = project.cohort
    kinds, loading = _images_told(project)
    listed = "\n".join(f"| `tables/{name}` | {rows:,} | {offered()[name].grain} |" for name, rows in tables.items())
    return f"""# {project.file.title}

Extract `{extract}` for project `{project.id}`: cohort `{cohort}`, list {number}.

People, studies, series and images bear pseudonyms of this project alone; dates of one person are all moved by the same
number of days, in images and tables alike. Do not try to find out who anybody is; report what seems to tell it.

## What is here
| where | rows | one row is |
|---|---|---|
{kinds}{listed}

`tables/dictionary.csv` says what each column means. Measures of pixels were made before text was blanked in an image.

## Loading it
```python
import pandas
series = pandas.read_parquet("tables/series")
{loading}```
The folders of tables are Delta tables too: `spark.read.format("delta").load("tables/series")`.

## Checking it
`./spark-submit.sh verify-extract FOLDER --public-key signing.pub`, or by hand: `manifest.sig` is the Ed25519 signature
(base64) of `manifest.json`, which holds the SHA-256 of `files.csv`, which holds size and SHA-256 of every file.
"""


def _images_told(project: Project) -> tuple[str, str]:
    """Return the lines of the table that tell of images, and how to load one."""
    images = project.file.images
    told, loading = "", ""
    if images.files:
        path = "images/<person_id>/<study>/<series>/<instance>.dcm"
        told += f"| `{path}` | | a DICOM file; folders are called like columns of the tables |\n"
        loading += f'import pydicom\nimage = pydicom.dcmread("{path}")\n'
    if images.volumes:
        path = "nifti/<person_id>/<study>/<series>/volume.nii.gz"
        told += f"| `{path}` | | a volume of a series (NIfTI-1); `volume.json` tells how it was taken (BIDS) |\n"
        loading += f'import nibabel\nvolume = nibabel.load("{path}")\n'
    return told, loading


def dictionary(project: Project, tables: Mapping[str, int]) -> str:
    """Return the columns of the tables as CSV: table, column, type, meaning."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("table", "column", "type", "meaning"))
    for name in tables:
        made = offered()[name]
        writer.writerows((name, column, made.column(column).type, made.column(column).comment)
                         for column in project.columns(made))  # fmt: skip
    return out.getvalue()


def report(project: Project, extract: str, lines: Sequence[str]) -> str:
    """Return the data controller's page."""
    approval = project.file.approval
    told = "\n".join(f"- {line.strip()}" for line in lines)
    return f"""# {project.id}: {extract}

{project.file.title}. Approval {approval.reference} by {approval.by}, until {approval.expires}.

{told}

`items.csv` has a line for every entry: its address, what became of it, the code or the rule. It stays in this zone.
"""
