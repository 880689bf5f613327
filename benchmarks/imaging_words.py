"""The imaging words on real series: the share that they decide, precision and recall on a sample labelled by hand.

    PYTHONPATH=lib PYTHON benchmarks/imaging_words.py [--descriptions CSV] [--index idc_index.parquet] [--misses]

CSV has the columns Modality, text, series and body: descriptions that sites write, and how many series have each. The
index is that of NCI Imaging Data Commons: the file idc_index.parquet in PyPI's idc-index-data (MIT), which is no
dependency of Cairn. Both lack geometry and acquisition parameters, so words are told from texts alone here. Beside the
share decided stands, for the region told from descriptions, how often it agrees with the given Body Part Examined.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow.parquet as pq

from cairn.cohort.saying import says

SAMPLE = Path(__file__).resolve().parents[1] / "tests" / "cohort" / "imaging_words_sample.csv"
WORDS = ("plane", "contrast_given", "mr_weighting", "body_region")
SLICES = {"plane": ("CT", "MR", "PT"), "contrast_given": ("CT", "MR"), "mr_weighting": ("MR",)}
"""Modalities of which a word can be asked; of all where none are named."""
COLUMNS = ("Modality", "SeriesDescription", "StudyDescription", "BodyPartExamined")
Series = tuple[str, str | None, str | None, str | None]


def labelled() -> list[dict[str, str]]:
    """Return the sample: half, modality, description and a column a word, ``?`` where the text leaves it open."""
    with SAMPLE.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))


def score(word: str, sample: Iterable[Mapping[str, str]]) -> tuple[int, int, int, list[str]]:
    """Return right answers, answers and labels of a word on a sample, and the misses in words."""
    right = answers = labels = 0
    misses = []
    for row in sample:
        wanted = set(row[word].split("|")) - {""}
        if "?" in wanted:
            continue
        said = says(word, {"modality": row["modality"], "series_description": row["description"]})
        right, answers, labels = right + (said in wanted), answers + (said is not None), labels + bool(wanted)
        if (said in wanted) != bool(said or wanted):
            misses.append(f"{row['modality']} {row['description']!r}: {said}, not {row[word] or 'nothing'}")
    return right, answers, labels, misses


def columns(series: Series, with_body: bool) -> dict[str, str | None]:
    """Return the columns of `series` that a text says something of."""
    modality, description, study, body = series
    given = body if with_body else None
    return {"modality": modality, "series_description": description, "study_description": study,
            "body_part_examined": given}  # fmt: skip


def shares(counted: Mapping[Series, int]) -> None:
    """Print the share of series of which each word says something, and whether regions agree with the given part."""
    print(f"{sum(counted.values()):,} series, {len(counted):,} different")
    for word in WORDS:
        values: Counter[str] = Counter()
        asked = 0
        for series, count in counted.items():
            if series[0] in SLICES.get(word, (series[0],)):
                asked += count
                values[says(word, columns(series, with_body=True)) or "-"] += count
        decided = asked - values.pop("-", 0)
        top = ", ".join(f"{value} {count / asked:.1%}" for value, count in values.most_common(12))
        print(f"{word}: {decided / asked:.1%} of {asked:,} decided: {top}")
    _agreement(counted)


def _agreement(counted: Mapping[Series, int]) -> None:
    """Compare the region told from descriptions with the one told from Body Part Examined, where both say something."""
    same, told = defaultdict(int), defaultdict(int)
    pairs: Counter[tuple[str, str]] = Counter()
    for series, count in counted.items():
        given = says("body_region", {"modality": "", "body_part_examined": series[3]}) if series[3] else None
        found = says("body_region", columns(series, with_body=False) | {"study_description": None})
        if given and found:
            told[given] += count
            same[given] += count * (given == found)
            pairs[found, given] += count * (given != found)
    total = sum(told.values())
    if total:
        print(
            f"region by description equals that of the given body part: {sum(same.values()) / total:.1%} of {total:,}"
        )
        print(
            "most frequent others: " + ", ".join(f"{a} for {b} {n / total:.1%}" for (a, b), n in pairs.most_common(6))
        )


def from_csv(path: Path) -> Counter[Series]:
    """Return the described series with their numbers."""
    counted: Counter[Series] = Counter()
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            counted[row["Modality"], row["text"], None, row["body"] or None] += int(row["series"])
    return counted


def from_index(path: Path) -> Counter[Series]:
    """Return the series of an index by what their words see."""
    table = pq.read_table(path, columns=list(COLUMNS)).group_by(list(COLUMNS)).aggregate([([], "count_all")])
    rows = zip(*(table[name].to_pylist() for name in (*COLUMNS, "count_all")), strict=True)
    return Counter({(m or "", d, s, b or None): n for m, d, s, b, n in rows})


def main() -> None:
    """Measure."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--descriptions", type=Path)
    options.add_argument("--index", type=Path)
    options.add_argument("--misses", action="store_true", help="print what is wrong in the half used for tuning")
    given = options.parse_args()
    sample = labelled()
    for half in ("tuned", "held"):
        for word in WORDS:
            right, answers, labels, misses = score(word, [row for row in sample if row["half"] == half])
            print(f"{half} {word}: precision {right}/{answers} = {right / max(answers, 1):.3f}, "
                  f"recall {right}/{labels} = {right / max(labels, 1):.3f}")  # fmt: skip
            if given.misses and half == "tuned":
                print("\n".join(f"    {miss}" for miss in misses))
    for path, read in ((given.descriptions, from_csv), (given.index, from_index)):
        if path:
            shares(read(path))


if __name__ == "__main__":
    main()
