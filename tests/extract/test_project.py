"""Project files: what is right, and the message of each thing that is wrong."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
import yaml

from cairn.cohort.codelists import load_all
from cairn.errors import CairnError
from cairn.extract.project import find, load, offered, refuse_expired

ROOT = Path(__file__).resolve().parents[2]
LISTS = load_all(ROOT / "conf" / "codelists")
RIGHT = {
    "project": "hearts",
    "title": "Hearts",
    "approval": {"reference": "A-1", "by": "A committee", "expires": datetime.date(2027, 1, 31)},
    "cohort": "coronary-ct@3",
    "images": {"modalities": ["CT"]},
    "tables": {"series": "all", "person": ["person_id", "sex"]},
    "reject": {"scouts": {"from": "series", "where": "localizer"}},
}


def loaded(tmp_path: Path, name: str = "hearts", **changes: object):  # type: ignore[no-untyped-def]
    """Return the project of a file with some fields changed; None takes one away."""
    tree = {key: value for key, value in (RIGHT | changes).items() if value is not None}
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump(tree))
    return load(path, LISTS)


def test_a_right_one(tmp_path: Path) -> None:
    project = loaded(tmp_path)
    assert project.cohort == ("coronary-ct", 3)
    assert project.columns(offered()["person"]) == ("person_id", "sex")
    series = project.columns(offered()["series"])
    assert len(series) > 50 and "header" not in series
    assert project.columns(offered()["smr01"]) == ()
    assert project.rejection is not None and list(project.rejection.sets) == ["scouts"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"tittle": "x"}, r"wrong at tittle: there is no such field.*'title'"),
        ({"approval": None}, "wrong at approval: Field required"),
        ({"approval": {"reference": "A", "by": "B", "expires": "soon"}}, "wrong at approval.expires"),
        ({"approval": {"reference": "", "by": "B", "expires": "2027-01-31"}}, "wrong at approval.reference"),
        ({"approval": RIGHT["approval"] | {"expire": 1}}, r"approval.expire: there is no such field.*'expires'"),
        ({"cohort": "coronary-ct"}, "wrong at cohort: .*NAME@NUMBER"),
        ({"cohort": "coronary-ct@0"}, "wrong at cohort"),
        ({"images": {"form": "png"}}, "wrong at images.form"),
        ({"tables": {"serie": "all"}}, r"wrong at tables: no table is called serie.*'series'"),
        ({"tables": {"series": ["modalty"]}}, r"tables.series: it has no column modalty.*'modality'"),
        ({"tables": {"instance": ["header"]}}, "header is in no table of an extract"),
        ({"tables": {"crossing": "all"}}, "no table is called crossing"),
        ({"project": "heart"}, "wrong at project: the file is called hearts"),
    ],
)  # fmt: skip
def test_wrong_ones(tmp_path: Path, changes: dict[str, object], told: str) -> None:
    with pytest.raises(CairnError, match=rf"(?s)^\[PROJECT_WRONG\].*{told}") as fault:
        loaded(tmp_path, **changes)
    assert fault.value.exit_code == 2


@pytest.mark.parametrize("name", ["site", "signing", "Hearts", "a b", "../x"])
def test_names_that_no_project_may_have(tmp_path: Path, name: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(RIGHT | {"project": name}))
    with pytest.raises(CairnError, match=r"PROJECT_WRONG.*wrong at project"):
        load(path, LISTS)


def test_a_rule_of_rejection_that_is_none_names_the_nearest_word(tmp_path: Path) -> None:
    with pytest.raises(CairnError, match=r"(?s)COHORT_RULE.*localizer"):
        loaded(tmp_path, reject={"scouts": {"from": "series", "where": "localiser"}})


def test_the_approval_ends_with_its_last_day(tmp_path: Path) -> None:
    project = loaded(tmp_path)
    refuse_expired(project, datetime.date(2027, 1, 31))
    with pytest.raises(CairnError, match="A-1 of project hearts ended on 2027-01-31") as fault:
        refuse_expired(project, datetime.date(2027, 2, 1))
    assert fault.value.exit_code == 3


def test_the_hash_is_of_what_decides_the_content(tmp_path: Path) -> None:
    same = loaded(tmp_path, title="Other", approval=RIGHT["approval"] | {"expires": datetime.date(2028, 1, 1)})
    assert same.hash == loaded(tmp_path).hash
    for changes in ({"cohort": "coronary-ct@4"}, {"reject": None}, {"block": ["2.25.1"]}, {"tables": None}):
        assert loaded(tmp_path, **changes).hash != same.hash


def test_a_name_is_found_or_the_nearest_told(tmp_path: Path) -> None:
    loaded(tmp_path)
    assert find("hearts", tmp_path) == tmp_path / "hearts.yaml"
    with pytest.raises(CairnError, match=r"PROJECT_MISSING.*'hearts'"):
        find("heart", tmp_path)


def test_the_projects_that_come_along_are_right() -> None:
    for path in sorted((ROOT / "conf" / "projects").glob("*.yaml")):
        assert load(path, LISTS).id == path.stem
