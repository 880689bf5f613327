"""The demo: a made-up archive through every stage that exists, a summary, and three questions with their answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cairn.spark.store import Store


@dataclass(frozen=True)
class Question:
    """A question that a researcher asks, and the query that answers it."""

    title: str
    sql: str


QUESTIONS = (
    Question(
        "What does the archive hold?",
        """select modality, count(*) as series, sum(instances) as instances, min(study_date) as first, max(study_date) as last
from identifiable.series group by modality order by series desc, modality limit 8""",
    ),
    Question(
        "Which axial CT series are regular volumes of slices under 3 mm, with contrast?",
        """select series_description, manufacturer, instances, round(slice_spacing, 2) as spacing_mm, missing_slices as missing
from identifiable.series
where modality = 'CT' and orientation = 'axial' and regular and contrast and not localizer and slice_spacing < 3
order by instances desc, series_description limit 5""",
    ),
    Question(
        "Which reconstruction kernels do the makers use? (any element of the header, by its keyword)",
        """select manufacturer, variant_get(header, '$.ConvolutionKernel', 'string') as kernel, count(*) as images
from identifiable.instance where modality = 'CT' and is_primary
group by all order by images desc, manufacturer, kernel limit 5""",
    ),
)


def answers(store: Store) -> Iterator[tuple[Question, str]]:
    """Yield each question with its answer as a table in text."""
    for question in QUESTIONS:
        yield question, store.spark.sql(question.sql)._show_string(20, 48, False)
