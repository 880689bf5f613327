"""Makers, models and descriptions come as often as they do in reality."""

from __future__ import annotations

from collections import Counter

from cairn.synthetic import reference
from cairn.synthetic.bench import MOMENT
from cairn.synthetic.draws import Draws
from cairn.synthetic.modules import Study
from cairn.synthetic.people import person
from cairn.synthetic.phantoms import SMALL
from cairn.synthetic.recipes import BLANK_BODY_PART, CATALOGUE, SYNTAXES, Examination, examine, main_modality

DRAWN = 8000


def test_models_are_drawn_with_their_weight() -> None:
    draws = Draws(1, "weights")
    drawn = Counter(reference.draw_model(draws) for _ in range(DRAWN))
    total = sum(model.series for model in reference.models())
    for model in sorted(reference.models(), key=lambda m: -m.series)[:10]:
        assert abs(drawn[model] / DRAWN - model.series / total) < 0.015, model
    modalities: Counter[str] = Counter()
    for model, count in drawn.items():
        modalities[model.modality] += count
    assert modalities.most_common(2)[0][0] == "MR"
    assert modalities.most_common(2)[1][0] == "CT"


def test_descriptions_are_drawn_with_their_weight() -> None:
    draws = Draws(2, "weights")
    known = reference.series_descriptions("CT")
    drawn = Counter(reference.draw_series_description(draws, "CT") for _ in range(DRAWN))
    total = sum(text.series for text in known)
    heaviest = max(known, key=lambda text: text.series)
    assert abs(drawn[heaviest] / DRAWN - heaviest.series / total) < 0.015
    assert set(drawn) <= set(known)


def test_body_part_is_blank_in_nearly_half_of_ct_series() -> None:
    blank = total = 0
    for index in range(700):
        study = Study(3, index, person(3, index % 50), MOMENT, "CT", "CT HEAD", SMALL)
        exam = Examination(study, reference.models("CT")[0], every=False)
        for _ in range(3):
            blank += exam.next("CT", 1).body_part == ""
            total += 1
    assert abs(blank / total - BLANK_BODY_PART) < 0.04


def test_study_descriptions_are_of_the_modality() -> None:
    draws = Draws(4, "weights")
    known = {text.text for text in reference.study_descriptions("MR")}
    assert {reference.draw_study_description(draws, "MR") for _ in range(50)} <= known
    assert reference.draw_study_description(draws, "ECG") == ""


def test_most_series_are_little_endian_and_native() -> None:
    drawn: Counter[str] = Counter()
    model = reference.models("CT")[0]
    for index in range(60):
        study = Study(5, index, person(5, index % 50), MOMENT, "CT", "CT HEAD", SMALL)
        drawn.update(syntax.uid for _, syntax in examine("CT", study, model, every=False))
    assert drawn["1.2.840.10008.1.2.1"] > 0.5 * drawn.total()
    assert set(drawn) <= {syntax.uid for syntax in SYNTAXES}


def test_every_recipe_has_a_modality() -> None:
    assert {main_modality(recipe) for recipe in CATALOGUE} >= {"CT", "MR", "ECG", "NM"}
