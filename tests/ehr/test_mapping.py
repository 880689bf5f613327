"""Mapping files: those that come with Cairn are right, and wrong ones say where and what was meant."""

from pathlib import Path

import pytest

from cairn.ehr.mapping import load, load_all, parse
from cairn.ehr.persons import PersonResolver, resolve_aliases
from cairn.errors import CairnError

CONF = Path(__file__).resolve().parents[2] / "conf" / "ehr"
LAYOUTS = "chi_register smr00 smr01 smr02 smr04 smr06 prescribing deaths radiology_report local_number omop_person"


def test_every_layout_is_there():
    made = load_all(CONF)
    assert set(LAYOUTS.split()) <= made.keys()
    assert {name for name in made if name.startswith("laboratory_")} == {
        f"laboratory_{region}" for region in ("tayside_fife", "glasgow", "lothian", "grampian")
    }
    assert len({mapping.version_hash for mapping in made.values()}) == len(made)


GOOD = {
    "mapping": "m",
    "version": 1,
    "title": "t",
    "table": "ehr_smr01",
    "fields": {"patient_id": {"from": "CHI", "kind": "chi"}, "uri": "URI"},
}
# what is wrong, place, nearest right name
WRONG = [
    ({"tabel": "x"}, "tabel", "'table'"),
    ({"table": "ehr_smr1"}, "table", "'ehr_smr01'"),
    ({"fields": {"patient_id": {"from": "CHI", "kind": "chy"}}}, "fields.patient_id.kind", "'chi'"),
    ({"fields": {"patient_id": {"frm": "CHI"}}}, "fields.patient_id", ""),
    ({"fields": {**GOOD["fields"], "admision_date": "A"}}, "fields.admision_date", "'admission_date'"),  # type: ignore[dict-item]
    ({"fields": {**GOOD["fields"], "admission_date": "A"}}, "fields.admission_date.kind", ""),  # type: ignore[dict-item]
    ({"fields": {**GOOD["fields"], "other_conditions": "A"}}, "fields.other_conditions", ""),  # type: ignore[dict-item]
    ({"fields": {"uri": "URI"}}, "fields", ""),
    ({"key": ["urii"]}, "key", "'uri'"),
    ({"delimiter": ""}, "delimiter", ""),
    ({"version": 0}, "version", ""),
]


@pytest.mark.parametrize(("change", "place", "near"), WRONG)
def test_wrong_mappings(change: dict[str, object], place: str, near: str):
    parse(dict(GOOD), "good.yaml")
    with pytest.raises(CairnError) as refused:
        parse({**GOOD, **change}, "m.yaml")
    assert refused.value.code == "MAPPING_RULE" and refused.value.exit_code == 2
    assert f"m.yaml is wrong at {place}" in str(refused.value) and near in str(refused.value)


def test_files_that_are_no_mapping(tmp_path: Path):
    for text in ("a: [", "- a list", "\x00"):
        path = tmp_path / "m.yaml"
        path.write_text(text)
        with pytest.raises(CairnError, match="MAPPING_UNREADABLE"):
            load(path)
    with pytest.raises(CairnError, match="MAPPING_UNREADABLE"):
        load(tmp_path / "none.yaml")


# pairs, resolved, in a circle
ALIASES = [
    ([("a", "b"), ("b", "c")], {"a": "c", "b": "c"}, []),
    ([("b", "c"), ("a", "b")], {"a": "c", "b": "c"}, []),
    ([("a", "a")], {}, []),
    ([("a", "b"), ("b", "a")], {}, ["a", "b"]),
    ([("x", "a"), ("a", "b"), ("b", "a"), ("y", "z")], {"y": "z"}, ["a", "b", "x"]),
    ([("a", "c"), ("a", "b")], {"a": "b"}, []),
]


@pytest.mark.parametrize(("pairs", "resolved", "circle"), ALIASES)
def test_replaced_numbers(pairs, resolved, circle):
    assert resolve_aliases(pairs) == (resolved, circle)


def test_local_numbers_need_their_issuer_where_two_people_share_one():
    resolver = PersonResolver({"old": "new"}, {("N", "7"): "old", ("T", "7"): "other", ("T", "8"): "other"})
    assert resolver.local(" n", "7 ") == "new"
    assert resolver.local("", "7") is None
    assert resolver.local("", "8") == "other"
    assert resolver.local("Z", "8") is None
