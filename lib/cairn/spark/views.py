"""Views for the questions that are asked most: named SQL over one zone, known to every session that registers it.

They lie in the session's catalog, not in the warehouse: nothing has to be brought up to date.
"""

from __future__ import annotations

from dataclasses import dataclass

from cairn.spark.schema import literal, quoted


@dataclass(frozen=True)
class View:
    """One view.

    Parameters
    ----------
    name : str
        In the zone's schema.
    comment : str
        What one row is.
    tables : tuple of str
        Tables of the zone that it reads; it is there when all of them are.
    query : str
        SQL; tables without a schema.
    zones : tuple of str
        Zones that have it.
    """

    name: str
    comment: str
    tables: tuple[str, ...]
    query: str
    zones: tuple[str, ...] = ("identifiable", "deidentified")

    def sql(self, zone: str) -> str:
        """Return the statement that makes the view known."""
        query = self.query
        for table in self.tables:
            query = query.replace(f"{{{table}}}", f"{quoted(zone)}.{quoted(table)}")
        return f"CREATE OR REPLACE VIEW {quoted(zone)}.{quoted(self.name)} COMMENT {literal(self.comment)} AS {query}"


VIEWS = (
    View(
        "v_modality_year",
        "One modality in one year: series, studies, images, gigabytes.",
        ("series",),
        """SELECT modality, year(study_date) AS year, count(*) AS series, count(DISTINCT study_instance_uid) AS studies,
                  sum(images) AS images, round(sum(bytes) / 1e9, 3) AS gigabytes
           FROM {series} GROUP BY modality, year(study_date)""",
    ),
    View(
        "v_scanner",
        "One kind of scanner with one software: series, first and last day.",
        ("series",),
        """SELECT modality, manufacturer, manufacturer_model_name, array_join(software_versions, ' ') AS software,
                  count(*) AS series, min(study_date) AS first_day, max(study_date) AS last_day
           FROM {series} GROUP BY ALL""",
    ),
    View(
        "v_protocol",
        "One protocol of one modality: series, first and last day, usual slice thickness (mm).",
        ("series",),
        """SELECT modality, protocol_name, count(*) AS series, min(study_date) AS first_day,
                  max(study_date) AS last_day, percentile_approx(slice_thickness, 0.5) AS slice_thickness
           FROM {series} WHERE protocol_name IS NOT NULL GROUP BY modality, protocol_name""",
    ),
    View(
        "v_thin_ct",
        "One CT series of original slices below 1.5 mm without gaps: what three-dimensional analysis needs.",
        ("series",),
        """SELECT * FROM {series}
           WHERE modality = 'CT' AND slice_thickness < 1.5 AND regular AND missing_slices = 0 AND NOT localizer
             AND original AND images >= 20""",
    ),
    View(
        "v_pixel_month",
        "One modality in one month: how noisy, sharp and dark its images are (medians), and how many are empty.",
        ("pixel_statistics", "series"),
        """SELECT s.modality, date_trunc('month', s.study_date) AS month, count(*) AS images,
                  percentile_approx(p.noise, 0.5) AS noise, percentile_approx(p.sharpness, 0.5) AS sharpness,
                  percentile_approx(p.mean, 0.5) AS mean, count_if(p.constant) AS constant_images
           FROM {pixel_statistics} p JOIN {series} s USING (series_instance_uid)
           WHERE p.frame = 0 GROUP BY s.modality, date_trunc('month', s.study_date)""",
    ),
    View(
        "v_quarantine",
        "One code of one stage: entries that could not be read.",
        ("quarantine",),
        "SELECT stage, code, count(*) AS entries FROM {quarantine} GROUP BY stage, code",
        ("identifiable",),
    ),
    View(
        "v_run",
        "One run: job, state, minutes, CPU minutes.",
        ("run",),
        """SELECT run, job, status, code, started, round(cpu_seconds / 60, 2) AS cpu_minutes,
                  round((unix_millis(ended) - unix_millis(started)) / 60000, 2) AS minutes FROM {run}""",
        ("identifiable",),
    ),
)


def views_of(zone: str, tables: set[str]) -> list[str]:
    """Return the statements for the views of a zone whose tables are there."""
    return [view.sql(zone) for view in VIEWS if zone in view.zones and tables.issuperset(view.tables)]
