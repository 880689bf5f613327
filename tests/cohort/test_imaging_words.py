"""Imaging words on 200 real descriptions labelled by hand: precision and recall stay above a floor.

How the sample was drawn and labelled stands at the top of imaging_words_sample.csv.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from cairn.cohort.saying import says
from cairn.cohort.vocabulary import words

SAMPLE = Path(__file__).with_name("imaging_words_sample.csv")
# word, least precision, least recall, least number of labels in either half
FLOORS = [
    ("plane", 0.97, 0.95, 40),
    ("contrast_given", 0.95, 0.85, 30),
    ("mr_weighting", 0.95, 0.88, 25),
    ("body_region", 0.95, 0.90, 30),
]


def labelled(half: str) -> list[dict[str, str]]:
    with SAMPLE.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(line for line in stream if not line.startswith("#")))
    assert len(rows) == 200
    return [row for row in rows if row["half"] == half]


@pytest.mark.parametrize("half", ["tuned", "held"])
@pytest.mark.parametrize(("word", "precision", "recall", "least"), FLOORS)
def test_precision_and_recall(half: str, word: str, precision: float, recall: float, least: int):
    right = answers = labels = 0
    for row in labelled(half):
        wanted = set(row[word].split("|")) - {""}
        if "?" in wanted:
            continue
        said = says(word, {"modality": row["modality"], "series_description": row["description"]})
        right, answers, labels = right + (said in wanted), answers + (said is not None), labels + bool(wanted)
    assert labels >= least
    assert right >= precision * answers
    assert right >= recall * labels


@pytest.mark.parametrize("word", [floor[0] for floor in FLOORS])
def test_labels_are_values_of_the_word(word: str):
    known = {value for value, _ in words()[word].values} | {"", "?"}
    assert all(set(row[word].split("|")) <= known for half in ("tuned", "held") for row in labelled(half))
