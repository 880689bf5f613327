"""Rows of `series` and `study` from hand-made instances."""

import datetime
import json

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from cairn.pipelines.series_aggregate import series_rows, study_rows
from cairn.pipelines.series_geometry import DESCRIBED, PLANES, describe_series
from cairn.spark.schema import sql_type
from cairn.tables.instance import INSTANCE
from cairn.tables.series import SERIES
from cairn.tables.study import STUDY_TABLE

PLAIN = [column for column in INSTANCE.columns if not column.is_variant]
AXIAL = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
SAGITTAL = [0.0, 1.0, 0.0, 0.0, 0.0, -1.0]


@pytest.fixture(scope="module")
def session(spark):
    """The session, with batches that cut through series."""
    option = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(option)
    spark.conf.set(option, "7")
    yield spark
    spark.conf.set(option, before)


def instance(uid: str, **values) -> dict:
    """One row: a CT slice of series s1 in study t1 unless said otherwise."""
    return {
        "uri": f"file:/{uid}", "content_version": "v", "run": "r", "is_primary": True, "file_size": 1000,
        "sop_instance_uid": uid, "series_instance_uid": "s1", "study_instance_uid": "t1", "patient_id": "p1",
        "modality": "CT", "rows": 512, "columns": 512, "pixel_spacing": [0.5, 0.5], "sop_class_uid": "ct",
        "image_type": ["ORIGINAL", "PRIMARY", "AXIAL"], "header": {}, "study_date": datetime.date(2020, 3, 1),
    } | values  # fmt: skip


def slices(count: int, spacing: float = 5.0, **values) -> list[dict]:
    series = values.get("series_instance_uid", "s1")
    return [
        instance(
            f"{series}.{n}", image_orientation_patient=AXIAL, image_position_patient=[0.0, 0.0, spacing * n], **values
        )
        for n in range(count)
    ]


def frame(session, rows: list[dict]):
    """The rows as Spark holds `instance`."""
    schema = ", ".join(f"`{column.name}` {sql_type(column.type)}" for column in PLAIN)
    data = [(*(row.get(column.name) for column in PLAIN), json.dumps(row["header"])) for row in rows]
    made = session.createDataFrame(data, f"{schema}, header_json STRING")
    made = made.withColumn("header", F.parse_json("header_json"))
    return made.select(*(column.name for column in INSTANCE.columns))


def series_of(session, rows) -> dict[str, dict]:
    return {row.series_instance_uid: row.asDict() for row in series_rows(frame(session, rows)).coalesce(1).collect()}


def study_of(session, rows) -> dict[str, dict]:
    return {row.study_instance_uid: row.asDict() for row in study_rows(frame(session, rows)).coalesce(1).collect()}


def test_columns_are_those_of_the_contract(session):
    empty = frame(session, [instance("x")]).limit(0)
    for rows, contract in ((series_rows(empty), SERIES), (study_rows(empty), STUDY_TABLE)):
        assert rows.columns == [column.name for column in contract.columns]
        assert [field.dataType.simpleString().upper() for field in rows.schema] == [
            sql_type(column.type).upper().replace("`", "") for column in contract.columns
        ]


def test_geometry_and_counts_of_many_series(session):
    rows = [row for n in range(1, 9) for row in slices(n, spacing=float(n), series_instance_uid=f"s{n}")]
    found = series_of(session, rows)
    assert sorted(found) == [f"s{n}" for n in range(1, 9)]
    for n in range(1, 9):
        one = found[f"s{n}"]
        assert (one["instances"], one["images"], one["frames"], one["bytes"]) == (n, n, n, 1000 * n)
        assert (one["orientation"], one["slice_positions"]) == ("axial", n)
        assert one["slice_spacing"] == (None if n == 1 else pytest.approx(n))
        assert one["regular"] is (None if n == 1 else True)
        assert one["extent"] == pytest.approx(n * (n - 1))
        assert one["normal"] == [0, 0, 1]
        assert (one["field_of_view_row"], one["square_pixels"]) == (256, True)
        assert one["disagreements"] == []


def test_only_primary_instances_count(session):
    rows = [*slices(3), instance("copy", is_primary=False, patient_id="p2", series_description="other")]
    found = series_of(session, rows)["s1"]
    assert (found["instances"], found["patients"], found["disagreements"]) == (3, 1, [])


def test_a_series_without_geometry_has_counts(session):
    report = instance("r", modality="SR", rows=None, columns=None, image_type=None, pixel_spacing=None)
    found = series_of(session, [report])["s1"]
    assert (found["images"], found["frames"], found["planes"], found["slice_positions"]) == (0, 0, 0, 0)
    assert [found[name] for name in ("orientation", "slice_spacing", "regular", "contrast", "original")] == [None] * 5


def test_instances_without_uids_are_in_no_series(session):
    assert series_of(session, [instance("x", series_instance_uid=None)]) == {}
    assert study_of(session, [instance("x", study_instance_uid=None)]) == {}


def test_disagreements_name_columns_and_the_smallest_value_stands(session):
    rows = [
        *slices(2, patient_id="p1", series_description="B", software_versions=["1", "2"]),
        instance("x", patient_id="p2", series_description="A", software_versions=["1", "3"], study_time=None),
        instance("y", patient_id=None, series_description=None),
    ]
    found = series_of(session, rows)["s1"]
    assert found["disagreements"] == ["patient_id", "series_description", "software_versions"]
    assert (found["patient_id"], found["series_description"], found["patients"]) == ("p1", "A", 2)


def test_several_patients_in_a_study(session):
    rows = [*slices(2), *slices(2, series_instance_uid="s2", patient_id="p2")]
    assert series_of(session, rows)["s1"]["disagreements"] == []
    found = study_of(session, rows)["t1"]
    assert (found["patients"], found["series"], found["disagreements"]) == (2, 2, ["patient_id"])


def test_a_series_in_several_studies(session):
    rows = [*slices(2), instance("x", study_instance_uid="t2")]
    found = series_of(session, rows)["s1"]
    assert (found["studies"], found["study_instance_uid"], found["disagreements"]) == (2, "t1", ["study_instance_uid"])
    assert {uid: row["instances"] for uid, row in study_of(session, rows).items()} == {"t1": 2, "t2": 1}


def test_a_report_that_shares_its_images_series(session):
    report = instance("r", modality="AU", rows=None, columns=None, image_type=None, sop_class_uid="sr")
    found = series_of(session, [*slices(3), report])["s1"]
    assert (found["modality"], found["modalities"]) == ("CT", ["AU", "CT"])
    assert (found["instances"], found["images"], found["disagreements"]) == (4, 3, ["modality"])
    assert found["sop_class_uids"] == ["ct", "sr"]


def test_study_modality_is_that_of_most_images(session):
    reports = [instance(f"r{n}", modality="SR", rows=None, columns=None, series_instance_uid="s9") for n in range(5)]
    rows = [*slices(3, modality="PT", series_instance_uid="s2"), *slices(2), *reports]
    found = study_of(session, rows)["t1"]
    assert (found["modality"], found["modalities"], found["images"]) == ("PT", ["CT", "PT", "SR"], 5)


LOCALIZERS = [
    ({}, False, None),
    ({"image_type": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, True, "header"),
    ({"series_description": "Topogram 1.0"}, True, "header"),
    ({"image_orientation_patient": SAGITTAL}, True, "geometry"),
    ({"image_orientation_patient": SAGITTAL, "modality": "MR"}, False, None),
    ({"image_orientation_patient": SAGITTAL, "image_type": ["DERIVED", "SECONDARY"]}, False, None),
]


def test_localizer(session):
    placed = {"image_orientation_patient": AXIAL, "image_position_patient": [0.0, 0.0, 0.0]}
    rows = [
        instance(f"x{n}", **{**placed, "series_instance_uid": f"s{n}", **case[0]}) for n, case in enumerate(LOCALIZERS)
    ]
    found = series_of(session, rows)
    got = [(found[f"s{n}"]["localizer"], found[f"s{n}"]["localizer_basis"]) for n in range(len(LOCALIZERS))]
    assert got == [case[1:] for case in LOCALIZERS]


CONTRASTS = [
    ({}, False),
    ({"contrast_bolus_agent": "OMNIPAQUE"}, True),
    ({"contrast_bolus_agent": "NONE"}, False),
    ({"contrast_bolus_agent": "x", "contrast_bolus_agent_administered": "NO"}, False),
    ({"contrast_bolus_agent_sequence_code_value": "C-B0322"}, True),
]


def test_contrast(session):
    rows = [
        instance(f"{n}{letter}", series_instance_uid=f"s{n}", study_instance_uid=f"t{n}", **said)
        for n, (values, _) in enumerate(CONTRASTS)
        for letter, said in (("a", {}), ("b", values))
    ]
    series, studies = series_of(session, rows), study_of(session, rows)
    for n, (_, contrast) in enumerate(CONTRASTS):
        assert (series[f"s{n}"]["contrast"], series[f"s{n}"]["contrast_images"]) == (contrast, int(contrast))
        assert studies[f"t{n}"]["contrast"] is contrast


def test_counts_by_type_and_findings(session):
    rows = [
        instance("a", findings=[("CHARSET_BROKEN", "(0008,1030)")]),
        instance("b", image_type=["DERIVED", "SECONDARY"], burned_in_annotation="YES", number_of_frames=30),
        instance("c", image_type=None, file_size=None),
    ]
    found = series_of(session, rows)["s1"]
    names = ("original_images", "derived_images", "primary_images", "secondary_images", "burned_in_images")
    assert [found[name] for name in names] == [1, 1, 1, 1, 1]
    assert (found["original"], found["faulty_instances"], found["frames"], found["bytes"]) == (False, 1, 32, 2000)


def test_acquisition_times(session):
    utc = datetime.UTC
    day = datetime.date(2020, 3, 1)
    rows = [
        instance("a", acquisition_date=day, acquisition_time="101500.123"),
        instance("b", acquisition_date=day, acquisition_time="09:30"),
        instance("c", acquisition_date=day, acquisition_time="99"),
        instance("d", acquisition_date_time=datetime.datetime(2020, 3, 1, 11, tzinfo=utc)),
    ]
    made = series_rows(frame(session, rows)).selectExpr(
        "date_format(first_acquisition, 'HHmmss') AS first", "date_format(last_acquisition, 'HHmmss') AS last"
    )
    assert made.first().asDict() == {"first": "093000", "last": "110000"}


def enhanced(uid: str, positions, shared_spacing=True, **values) -> dict:
    """An enhanced multi-frame CT: orientation shared, position per frame."""
    measures = {"PixelMeasuresSequence": [{"PixelSpacing": ["0.5", "0.6"], "SliceThickness": "1"}]}
    orientation = {"PlaneOrientationSequence": [{"ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"]}]}
    frames = [
        {
            "PlanePositionSequence": [{"ImagePositionPatient": ["0", "0", str(z)]}],
            "FrameContentSequence": [{"TemporalPositionIndex": time, "StackID": "1"}],
        }
        for z, time in positions
    ]
    header = {
        "SharedFunctionalGroupsSequence": [measures | orientation],
        "PerFrameFunctionalGroupsSequence": frames,
        "PatientID": "x",
    }
    return instance(uid, number_of_frames=len(frames), header=header, **values)


def test_frames_of_enhanced_images_are_planes(session):
    rows = [
        enhanced("e", [(z, t) for t in (1, 2) for z in (0, 2, 4, 8)], series_instance_uid="s2"),
        enhanced("f", [(z, 1) for z in (10, 12)], series_instance_uid="s2"),
        *slices(2),
    ]
    found = series_of(session, rows)
    assert found["s1"]["planes"] == 2
    one = found["s2"]
    assert (one["instances"], one["frames"], one["planes"], one["slice_positions"]) == (2, 10, 10, 6)
    assert (one["volumes"], one["repeats"], one["repeats_minimum"], one["duplicate_positions"]) == (2, 2, 1, 0)
    assert (one["slice_spacing"], one["missing_slices"], one["extent"]) == (2, 1, 12)
    assert (one["spacing_row"], one["spacing_column"], one["square_pixels"]) == (0.5, 0.6, False)


def test_a_multi_frame_image_without_functional_groups_is_one_plane(session):
    rows = [
        instance("a", number_of_frames=3, image_orientation_patient=AXIAL, image_position_patient=[0.0, 0.0, 0.0]),
        instance("b", number_of_frames=3, header={"PerFrameFunctionalGroupsSequence": "odd"}, series_instance_uid="s2"),
    ]
    found = series_of(session, rows)
    assert (found["s1"]["planes"], found["s1"]["frames"]) == (1, 3)
    assert (found["s2"]["planes"], found["s2"]["frames"]) == (0, 3)


def arrow_planes(counts: list[int]) -> pa.Table:
    rows = [
        {
            "series_instance_uid": f"s{at:03}",
            "orientation_values": AXIAL,
            "position_values": [0.0, 0.0, float(z)],
            "spacing_values": [0.5, 0.5],
            "rows": 64,
            "columns": 64,
            "phase": 0,
        }
        for at, count in enumerate(counts)
        for z in range(count)
    ]
    return pa.Table.from_pylist(rows, schema=PLANES)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_batches_may_be_cut_anywhere(size):
    counts = [1, 4, 1, 1, 7, 2]
    batches = arrow_planes(counts).to_batches(max_chunksize=size)
    described = pa.Table.from_batches(describe_series(batches), schema=DESCRIBED)
    assert described["series_instance_uid"].to_pylist() == [f"s{at:03}" for at in range(len(counts))]
    assert described["slice_positions"].to_pylist() == counts


def test_no_batches_no_rows():
    assert list(describe_series([])) == []
    assert list(describe_series(arrow_planes([]).to_batches())) == []


def test_lists_of_the_wrong_length_are_no_geometry():
    table = arrow_planes([2]).to_pylist()
    table[0]["position_values"] = [1.0, 2.0]
    table[1]["orientation_values"] = [1.0, None, 0.0, 0.0, 1.0, 0.0]
    described = list(describe_series(pa.Table.from_pylist(table, schema=PLANES).to_batches()))
    assert described[0]["planes"].to_pylist() == [0]
