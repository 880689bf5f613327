"""`cohort vocabulary --counts`: how many series each imaging word holds for, in one pass over `series`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pyspark.errors import PySparkException

from cairn.cohort import expression as ex
from cairn.cohort.checking import check
from cairn.cohort.model import Cohort, Rows
from cairn.cohort.sql import condition_sql
from cairn.cohort.vocabulary import LEVEL, words
from cairn.pipelines.cohort_count import NOTE, number, shown_of, shown_parts
from cairn.pipelines.cohort_definition import pinned, table_lines
from cairn.pipelines.cohort_run import Persons, coded, current_versions, ready
from cairn.spark.store import Store

NONE = "(none)"


@dataclass(frozen=True)
class WordCount:
    """How many series and persons a value of a word holds for: true counts.

    Parameters
    ----------
    word, value : str
        A yes-or-no word has the values ``yes`` and ``(none)``, no or unknown; others have ``(none)`` beside their own.
    series : int
        Series.
    persons : Persons
        Who has such a series.
    """

    word: str
    value: str
    series: int
    persons: Persons


def conditions(names: list[str]) -> dict[tuple[str, str], str]:
    """Return the condition of each value of some words on a row ``t`` of `series`, as SQL."""
    tests: dict[tuple[str, str], ex.Expression] = {}
    for name in names:
        word = words()[name]
        tests |= {(name, value): word.is_value(value) for value, _ in word.values}
        tests[name, NONE] = ex.Not(word.known())
    sets = {f"s{place}": Rows(LEVEL, test) for place, test in enumerate(tests.values())}
    checked = check(Cohort("words", 1, "words", sets), {})
    made = [condition_sql(one.where, one.source, "t", checked) for one in checked.sets.values()]
    return dict(zip(tests, made, strict=True))


def word_counts(store: Store, name: str | None = None) -> list[WordCount]:
    """Return the counts of every value of all words, or of one.

    Parameters
    ----------
    store : Store
        The tables.
    name : str, optional
        The word.

    Raises
    ------
    CairnError
        TABLE_MISSING, COHORT_COLUMN.
    """
    asked = conditions([name] if name else list(words()))
    inner = ", ".join(f"count_if({test}) AS n{place}" for place, test in enumerate(asked.values()))
    outer = ", ".join(
        f"sum(n{n}) AS s{n}, count_if(n{n} > 0) AS p{n}, bit_xor(if(n{n} > 0, xxhash64(person_id), 0)) AS k{n}"
        for n in range(len(asked))
    )
    # By person first: counting distinct persons for each value would copy every row as many times as there are values.
    table = f"deidentified.{LEVEL}"
    text = f"SELECT {outer} FROM (SELECT person_id, {inner} FROM {table} t GROUP BY person_id) q"
    versions = current_versions(store, [LEVEL])
    ready(store)
    try:
        (row,) = store.spark.sql(pinned(text, versions)).collect()
    except PySparkException as fault:
        raise coded(fault) or fault from None
    made = []
    for n, (word, value) in enumerate(asked):
        persons = Persons(row[f"p{n}"], str(row[f"k{n}"] or 0))
        made.append(WordCount(word, value, row[f"s{n}"] or 0, persons))
    return made


def shown_words(counts: list[WordCount]) -> dict[str, dict[str, int | None]]:
    """Return series by word and value as they may be shown: hidden where few persons have them, never one alone."""
    made: dict[str, dict[str, int | None]] = {}
    for word in dict.fromkeys(count.word for count in counts):
        own = {count.value: count for count in counts if count.word == word}
        persons = shown_parts({value: count.persons for value, count in own.items()})
        made[word] = {
            value: shown_of(count.series, None if persons[value] is None else count.persons.key, "series")
            for value, count in own.items()
        }
    return made


def word_count_lines(told: dict[str, dict[str, int | None]]) -> Iterator[str]:
    """Yield each word with its values and the series that they hold for."""
    for word, values in told.items():
        yield f"{word}: {words()[word].means}"
        yield from (f"  {line}" for line in table_lines([[number(n), value] for value, n in values.items()]))
    yield f"Series are counted. {NOTE}"
