"""The pages: great-expectations' renderings of the last results of each table, and a list of them.

great-expectations' own frame around a page loads style sheets, scripts and pictures from six servers. A page about
identifiable tables asks nobody outside, so the frame is Cairn's (``data/frame.j2``), and what stands in it is
great-expectations': its sections, its words for each expectation, its observed values.
"""

from __future__ import annotations

import datetime
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from great_expectations.core.expectation_validation_result import (
    ExpectationSuiteValidationResult,
    ExpectationValidationResult,
    expectationValidationResultSchema,
)
from great_expectations.render.renderer import ValidationResultsPageRenderer
from great_expectations.render.view import DefaultJinjaPageView

from cairn.quality import measure_expectation  # noqa: F401 - results name Cairn's own expectation
from cairn.quality.verdict import observed_words

DATA = Path(__file__).resolve().parent / "data"


@dataclass(frozen=True)
class Trend:
    """What one run said of a table.

    Parameters
    ----------
    judged : datetime.datetime
        When.
    rows : int
        Rows of the table.
    passed, errors, warnings : int
        Expectations by outcome.
    """

    judged: datetime.datetime
    rows: int
    passed: int
    errors: int
    warnings: int


class FramedView(DefaultJinjaPageView):
    """great-expectations' view of a page, in Cairn's frame."""

    _template: ClassVar[str] = "frame.j2"

    def __init__(self) -> None:
        super().__init__(custom_views_directory=str(DATA))


def write_pages(folder: Path, results: Mapping[str, Sequence[Any]], trends: Mapping[str, Sequence[Trend]]) -> None:
    """Write a page for each table, and ``index.html``.

    Parameters
    ----------
    folder : pathlib.Path
        Made when it is not there. Files of other names in it are left alone.
    results : mapping of str to sequence of row
        Rows of `quality` by the full name of the table.
    trends : mapping of str to sequence of Trend
        Runs of each table, the oldest first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    view = FramedView()
    for table, rows in results.items():
        (folder / file_of(table)).write_text(page(view, table, rows), "utf-8")
    listed = [_listed(table, rows, trends.get(table, ())) for table, rows in results.items()]
    index = view.env.get_template("index.j2").render(tables=listed, style=style())
    (folder / "index.html").write_text(index, "utf-8")


def file_of(table: str) -> str:
    """Return the name of a table's page."""
    return f"{table.replace('*', 'tables')}.html"


def style() -> str:
    """Return the style sheet of all pages."""
    return (DATA / "pages.css").read_text("utf-8")


def page(view: FramedView, table: str, rows: Sequence[Any]) -> str:
    """Return a table's page, HTML.

    Parameters
    ----------
    view : FramedView
        Renders it.
    table : str
        Full name.
    rows : sequence of row
        Its rows of `quality`, of one run.
    """
    ordered = sorted(rows, key=lambda row: (row["success"], row["column"], row["expectation"], row["scope"]))
    passed = sum(row["success"] for row in ordered)
    outcome = {
        "evaluated_expectations": len(ordered),
        "successful_expectations": passed,
        "unsuccessful_expectations": len(ordered) - passed,
        "success_percent": 100 * passed / len(ordered),
    }
    suite = ExpectationSuiteValidationResult(
        success=passed == len(ordered),
        results=[_result(row["result"]) for row in ordered],
        suite_name=table,
        statistics=outcome,
        meta={
            "run_id": {"run_name": ordered[0]["run"], "run_time": ordered[0]["judged"].isoformat()},
            "batch_spec": {"data_asset_name": f"{table}, version {ordered[0]['table_version']}"},
        },
    )
    document = ValidationResultsPageRenderer(run_info_at_end=True).render(suite)
    told = {"style": style(), "table": table, "row": ordered[0], "failed": failures(ordered)}
    return without_outside(view.render(document, **told))


def failures(rows: Sequence[Any]) -> dict[str, list[str]]:
    """Return what failed in words with what was observed, by severity."""
    found: dict[str, list[str]] = {"error": [], "warning": []}
    for row in rows:
        if not row["success"]:
            shown = observed_words(row["expectation"], row["observed"])
            found[row["severity"]].append(f"{row['statement']}: {shown}")
    return found


def _result(text: str) -> ExpectationValidationResult:
    made = expectationValidationResultSchema.load(json.loads(text))
    assert isinstance(made, ExpectationValidationResult)
    return made


def without_outside(text: str) -> str:
    """Return a page without scripts, and without links to pages of great-expectations that are not made here."""
    return re.sub(r' href="\.\.[^"]*"', "", re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL))


def _listed(table: str, rows: Sequence[Any], points: Sequence[Trend]) -> dict[str, Any]:
    failed = failures(rows)
    return {
        "table": table,
        "file": file_of(table),
        "rows": max(row["rows"] for row in rows),
        "version": rows[0]["table_version"],
        "judged": rows[0]["judged"].strftime("%Y-%m-%d %H:%M"),
        "passed": len(rows) - sum(map(len, failed.values())),
        "errors": failed["error"],
        "warnings": failed["warning"],
        "trend": trend_svg(points),
    }


def trend_svg(points: Sequence[Trend]) -> str:
    """Return the runs of a table as a small picture: a bar for its rows, red where an error failed, amber a warning.

    Parameters
    ----------
    points : sequence of Trend
        The oldest first.
    """
    most = max((point.rows for point in points), default=0) or 1
    bars = []
    for place, point in enumerate(points):
        kind = "error" if point.errors else "warning" if point.warnings else "passed"
        height = max(2, round(22 * point.rows / most))
        told = f"{point.judged:%Y-%m-%d %H:%M}: {point.rows:,} rows, {point.errors} errors, {point.warnings} warnings"
        bars.append(
            f'<rect class="{kind}" x="{5 * place}" y="{24 - height}" width="4" height="{height}">'
            f"<title>{html.escape(told)}</title></rect>"
        )
    return f'<svg class="trend" width="{5 * max(len(points), 1)}" height="24" role="img">{"".join(bars)}</svg>'
