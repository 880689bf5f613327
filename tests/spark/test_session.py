"""Who decides a Spark option: settings, then what was submitted, then Cairn."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from cairn.settings import Settings
from cairn.spark.session import unless_submitted

OPTION = "spark.sql.execution.arrow.maxRecordsPerBatch"


@pytest.fixture
def submit(spark) -> Iterator[Callable[[str, str], None]]:  # type: ignore[no-untyped-def]
    """Set options as spark-submit does: properties of the JVM."""
    properties = spark._jvm.System
    before = {OPTION: properties.clearProperty(OPTION)}  # the session of the tests was started with all of Cairn's

    def set_one(option: str, value: str) -> None:
        before.setdefault(option, properties.setProperty(option, value))

    yield set_one
    for option, value in before.items():
        properties.setProperty(option, value) if value else properties.clearProperty(option)


def test_what_is_submitted_wins_over_cairns_choice(submit, settings: Settings) -> None:  # type: ignore[no-untyped-def]
    before = unless_submitted(settings, "cairn headers", "")
    submit(OPTION, "77")
    left = unless_submitted(settings, "cairn headers", "")
    assert before.keys() - left.keys() == {OPTION}


def test_settings_win_over_what_is_submitted(submit, settings: Settings) -> None:  # type: ignore[no-untyped-def]
    submit(OPTION, "77")
    own = settings.spark.model_copy(update={"conf": {**settings.spark.conf, OPTION: "5"}})
    told = settings.model_copy(update={"spark": own})
    assert unless_submitted(told, "cairn headers", "")[OPTION] == "5"


@pytest.mark.parametrize(
    ("submitted", "name"), [("headers.py", "cairn headers"), ("pyspark-shell", "cairn headers"), ("nightly", None)]
)
def test_an_application_keeps_the_name_that_it_was_given(submit, settings, submitted, name) -> None:  # type: ignore[no-untyped-def]
    submit("spark.app.name", submitted)
    assert unless_submitted(settings, "cairn headers", "").get("spark.app.name") == name


def test_what_is_submitted_to_a_jvm_that_is_still_to_start_wins_too(submit, settings, monkeypatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "site.conf"
    file.write_text("spark.python.worker.reuse false\n")
    words = f"--name nightly --conf {OPTION}=78 --properties-file '{file}' pyspark-shell"
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", words)
    submit("spark.app.name", "nightly")
    before = unless_submitted(settings, "cairn headers", "")
    assert not {OPTION, "spark.python.worker.reuse", "spark.app.name"} & before.keys()
