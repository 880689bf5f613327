"""Settings: layers, unknown names, types, digest, and the page made from the model."""

from pathlib import Path

import pytest

from cairn.errors import CairnError
from cairn.settings import Settings, load, page

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_later_layer_wins(tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text("headers: {tries: 5, overlap: 8, value_limit_bytes: 100}\nwarehouse: {root: /data/from file}\n")
    environment = {"CAIRN_HEADERS__TRIES": "6", "CAIRN_HEADERS__OVERLAP": "9", "CAIRN_HOME": "/not/a/setting"}
    made = load(file, environment, ["headers.tries=7"], warehouse="/data/cli")
    assert (made.headers.tries, made.headers.overlap, made.headers.value_limit_bytes) == (7, 9, 100)
    assert made.warehouse.root == "/data/cli"
    assert made.headers.first_read_bytes == Settings().headers.first_read_bytes


def test_zone_roots_lie_under_the_warehouse_unless_given():
    made = load(assignments=["warehouse.root=s3a://bucket/w/", "warehouse.deidentified=/elsewhere"])
    assert made.zone_root("identifiable") == "s3a://bucket/w/identifiable"
    assert made.zone_root("deidentified") == "/elsewhere"
    assert made.scratch_root == "s3a://bucket/w/identifiable/_scratch"
    with pytest.raises(KeyError):
        made.zone_root("private")


@pytest.mark.parametrize(
    ("given", "near"),
    [("headers.tris=3", "headers.tries"), ("header.tries=3", "header"), ("spark.confg=3", "spark.conf")],
)
def test_an_unknown_name_suggests_the_nearest(given, near):
    with pytest.raises(CairnError) as caught:
        load(assignments=[given])
    assert caught.value.code == "UNKNOWN_SETTING"
    assert caught.value.exit_code == 2
    assert f"Did you mean '{near}" in str(caught.value)
    assert "--set " + given.split("=")[0] in str(caught.value)


def test_an_unknown_variable_is_named():
    with pytest.raises(CairnError, match="CAIRN_HEADERS__TRYS"):
        load(environment={"CAIRN_HEADERS__TRYS": "1"})


@pytest.mark.parametrize("given", ["headers.tries=none", "headers.tries=0", "headers.tries=", "headers=3", "tries=3"])
def test_a_bad_value_is_refused(given):
    with pytest.raises(CairnError) as caught:
        load(assignments=[given])
    assert caught.value.code == "BAD_SETTING"


@pytest.mark.parametrize("text", ["- a list", "key: [unclosed", "\x00"])
def test_a_file_that_is_no_settings_file(tmp_path, text):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(CairnError) as caught:
        load(file)
    assert caught.value.code == "SETTINGS_UNREADABLE"


def test_a_missing_file(tmp_path):
    with pytest.raises(CairnError, match="No such file"):
        load(tmp_path / "absent.yaml")


def test_spark_options_keep_their_dotted_names_and_refuse_secrets():
    made = load(assignments=["spark.conf.spark.sql.ansi.enabled=false", "spark.conf.spark.cores.max=2"])
    assert made.spark.conf == {"spark.sql.ansi.enabled": "false", "spark.cores.max": "2"}
    with pytest.raises(CairnError) as caught:
        load(assignments=["spark.conf.spark.hadoop.fs.s3a.secret.key=abc123"])
    assert caught.value.code == "BAD_SETTING"
    assert "abc123" not in str(caught.value)


def test_the_digest_follows_the_values_and_not_their_order(tmp_path):
    one, two = tmp_path / "1.yaml", tmp_path / "2.yaml"
    one.write_text("headers: {tries: 2, overlap: 3}\nkeys: {directory: k}\n")
    two.write_text("keys: {directory: k}\nheaders: {overlap: 3, tries: 2}\n")
    assert load(one).digest == load(two).digest != load().digest


def test_the_page_is_current():
    assert (DOCS / "settings.md").read_text() == page(), "run python -m cairn.settings > docs/settings.md"
