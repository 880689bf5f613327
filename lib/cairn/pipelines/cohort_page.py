"""A cohort on one page for people: counts, flow chart, who and what is in it. Small numbers hidden. HTML, no Spark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from cairn.pipelines.cohort_chart import flow_chart
from cairn.pipelines.cohort_count import NOTE, Shown, number, shown_parts
from cairn.pipelines.cohort_definition import Definition
from cairn.pipelines.cohort_profile import Distribution

STYLE = """
body{font:15px/1.5 system-ui,'Segoe UI',Helvetica,Arial,sans-serif;color:#1b1b1b;max-width:60rem;margin:2rem auto;
padding:0 1rem}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse}
caption{text-align:left;font-weight:600;padding:.4rem 0}td,th{padding:.2rem .8rem .2rem 0;text-align:left;
vertical-align:top}td.n,th.n{text-align:right}tr{border-bottom:1px solid #e3e6ea}.note{color:#555}
.bar{background:#44546a;height:.7rem;display:inline-block}.grid{display:grid;gap:1rem 3rem;
grid-template-columns:repeat(auto-fit,minmax(20rem,1fr))}svg{max-width:100%;height:auto}
"""


def page(definition: Definition, told: Shown, distributions: Sequence[Distribution], origin: str) -> str:
    """Return the page.

    Parameters
    ----------
    definition : Definition
        The cohort.
    told : Shown
        Its counts as they may be shown.
    distributions : sequence of Distribution
        True counts; small ones, and those that a total would give away, are hidden here.
    origin : str
        What the counts are of: a frozen list, or the tables of now.
    """
    cohort = definition.checked.cohort
    heading = f"{cohort.name}, version {cohort.version}"
    tables = "\n".join(_distribution(one, told.steps[-1][1]) for one in distributions)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(heading)}</title><style>{STYLE}</style></head><body>
<h1>{escape(cohort.title)}</h1>
<p class="note">{escape(heading)}. {escape(origin)} Definition {definition.checked.hash[:16]}.</p>
{_counts(definition, told)}
<h2>Who is left after each step</h2>
{flow_chart(cohort.title, told.steps)}
<h2>Who and what is in it</h2>
<div class="grid">
{tables}
</div>
<p class="note">Persons are counted. {NOTE}
Where only one number of a table would be hidden, another one is hidden with it.</p>
</body></html>
"""


def _counts(definition: Definition, told: Shown) -> str:
    rows: list[tuple[str, int | None]] = [("Persons", told.steps[-1][1])]
    if definition.level != "person":
        rows.append((f"Members ({definition.level})", told.members))
    if definition.checked.cohort.controls is not None:
        rows.append(("Matched controls", told.controls))
    rows += [(f"Persons in {part}", count) for part, count in told.split.items()]
    lines = "".join(f'<tr><th>{escape(word)}</th><td class="n">{number(count)}</td></tr>' for word, count in rows)
    return f"<table>{lines}</table>"


def shown_counts(distribution: Distribution, total: int | None) -> dict[str, int | None]:
    """Return a distribution as it may be shown beside the total; nothing of it when that is hidden.

    One value is never hidden alone.
    """
    if total is None:
        return dict.fromkeys(distribution.counts)
    return shown_parts(distribution.counts)


def _distribution(one: Distribution, total: int | None) -> str:
    counts = shown_counts(one, total)
    most = max((n for n in counts.values() if n), default=0)
    rows = "\n".join(_rows(counts, most))
    return f"""<table><caption>{escape(one.title)}</caption>
<tr><th>{escape(one.title)}</th><th class="n">persons</th><th></th></tr>
{rows}
<tr><td colspan="3" class="note">{escape(one.note)}</td></tr></table>"""


def _rows(counts: dict[str, int | None], most: int) -> Iterator[str]:
    for value, count in counts.items():
        bar = f'<span class="bar" style="width:{8 * count / most:.2f}rem"></span>' if count and most else ""
        yield f'<tr><td>{escape(value)}</td><td class="n">{number(count)}</td><td>{bar}</td></tr>'
