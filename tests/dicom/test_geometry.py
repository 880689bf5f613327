"""Series geometry: specification tables, invariance under rotation and shuffling, real series, the made-up archive."""

import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.dicom.geometry import ORIENTATIONS, STACK_LIMIT, Geometry, Planes, measure, unit_axes

SHARED = Path(os.environ.get("CAIRN_SHARED", Path(__file__).resolve().parents[3] / "shared"))

AXIAL = (1, 0, 0, 0, 1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)
CORONAL = (1, 0, 0, 0, 0, -1)


def cosines(tilt_degrees: float) -> tuple[float, ...]:
    """Axial plane, tilted about the patient's x axis."""
    tilt = np.radians(tilt_degrees)
    return (1, 0, 0, 0, np.cos(tilt), np.sin(tilt))


def stack(orientation, distances, origin=(0.0, 0.0, 0.0)):
    """One (orientation, position) per distance along the normal."""
    row, column = np.array(orientation[:3], float), np.array(orientation[3:], float)
    normal = np.cross(row, column)
    return [(orientation, tuple(np.array(origin) + d * normal)) for d in distances]


def planes(*series, spacing=(0.5, 0.5), size=(512, 512), phases=None) -> Planes:
    flat = [plane for one in series for plane in one]
    count = len(flat)
    return Planes(
        first=np.cumsum([0] + [len(one) for one in series]),
        orientation=np.array([o for o, _ in flat], float).reshape(count, 6),
        position=np.array([p for _, p in flat], float).reshape(count, 3),
        pixel_spacing=np.tile(np.array(spacing, float), (count, 1)),
        size=np.tile(np.array(size, float), (count, 1)),
        phase=np.array(phases if phases is not None else [0] * count, dtype=np.int64),
    )


def described(geometry: Geometry, series: int = 0) -> str:
    """orientation positions spacing regular missing extent, as one line."""
    orientation = ORIENTATIONS[geometry.orientation[series]] if geometry.orientation[series] >= 0 else "-"
    numbers = [geometry.slice_spacing[series], geometry.extent[series]]
    spacing, extent = ("-" if np.isnan(n) else f"{n:g}" for n in np.round(numbers, 6))
    regular = {1: "yes", 0: "no", -1: "-"}[int(geometry.regular[series])]
    count, missing = geometry.slice_positions[series], geometry.missing_slices[series]
    return f"{orientation} {count} {spacing} {regular} {missing} {extent}"


NAN = (np.nan,) * 6


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (stack(AXIAL, [0, 5, 10, 15]), "axial 4 5 yes 0 15"),
        (stack(AXIAL, [15, 0, 10, 5]), "axial 4 5 yes 0 15"),
        (stack(SAGITTAL, [0, 3.3, 6.6]), "sagittal 3 3.3 yes 0 6.6"),
        (stack(CORONAL, [0, 4]), "coronal 2 4 yes 0 4"),
        (stack(cosines(30), [0, 5, 10]), "axial 3 5 yes 0 10"),
        (stack(cosines(45), [0, 5, 10]), "oblique 3 5 yes 0 10"),
        (stack(AXIAL, [0]), "axial 1 - - 0 0"),
        (stack(AXIAL, [0, 5, 15, 20]), "axial 4 5 no 1 20"),
        (stack(AXIAL, [0, 1, 3]), "axial 3 1 no 1 3"),
        (stack(AXIAL, [0, 5, 25]), "axial 3 5 no 3 25"),
        (stack(AXIAL, [0, 5, 11, 18, 26]), "axial 5 6 no 0 26"),
        (stack(AXIAL, [0, 5.015, 10]), "axial 3 4.985 yes 0 10"),
        (stack(AXIAL, [0, 0.6, 1.2, 1.9]), "axial 4 0.6 no 0 1.9"),
        (stack(AXIAL, [0, 0.005, 5]), "axial 2 5 yes 0 5"),
        ([(NAN, (0, 0, 0))] * 3, "- 0 - - 0 -"),
        ([(AXIAL, (np.nan, 0, 0))], "- 0 - - 0 -"),
        ([((0,) * 6, (0, 0, 0))], "- 0 - - 0 -"),
        ([((1, 0, 0, 1, 0, 0), (0, 0, 0))], "- 0 - - 0 -"),
        ([((np.inf,) * 6, (0, 0, 0))], "- 0 - - 0 -"),
        ([], "- 0 - - 0 -"),
    ],
)
def test_one_stack(series, expected):
    assert described(measure(planes(series))) == expected


def test_many_series_at_once_do_not_touch_each_other():
    one, two, three = stack(AXIAL, [0, 5, 10]), [], stack(SAGITTAL, [0, 2, 6])
    geometry = measure(planes(one, two, three))
    assert [described(geometry, i) for i in range(3)] == [
        "axial 3 5 yes 0 10",
        "- 0 - - 0 -",
        "sagittal 3 2 no 1 6",
    ]


def test_nothing_at_all():
    geometry = measure(planes())
    assert all(np.asarray(getattr(geometry, name)).shape[0] == 0 for name in Geometry.__dataclass_fields__)


def test_invalid_orientations_are_counted_and_absent_ones_are_not():
    geometry = measure(planes([((1, 0, 0, 1, 0, 0), (0, 0, 0)), (NAN, (0, 0, 0)), (AXIAL, (0, 0, 0))]))
    assert (geometry.planes[0], geometry.invalid_orientations[0]) == (1, 1)


def test_three_plane_localizer_has_three_stacks_and_is_described_by_the_largest():
    series = stack(SAGITTAL, [0, 10]) + stack(AXIAL, [0, 10, 20]) + stack(CORONAL, [0])
    geometry = measure(planes(series))
    assert (geometry.stacks[0], geometry.named_orientations[0]) == (3, 3)
    assert described(geometry) == "axial 3 10 yes 0 20"


def test_slightly_turned_planes_share_a_stack_and_a_degree_parts_them():
    turned = stack(AXIAL, [0, 5]) + stack(cosines(0.2), [10])
    assert measure(planes(turned)).stacks[0] == 1
    turned = stack(AXIAL, [0, 5]) + stack(cosines(1.0), [10])
    assert measure(planes(turned)).stacks[0] == 2


def test_opposite_normals_are_two_stacks():
    flipped = (-1, 0, 0, 0, 1, 0)
    assert measure(planes(stack(AXIAL, [0, 5]) + stack(flipped, [0]))).stacks[0] == 2


def test_rotating_projections_are_bounded():
    series = [plane for degrees in range(0, 180) for plane in stack(cosines(2 * degrees), [0])]
    assert measure(planes(series)).stacks[0] == 180
    fine = [plane for step in range(400) for plane in stack(cosines(0.9 * step), [0])]
    assert measure(planes(fine)).stacks[0] == STACK_LIMIT


@pytest.mark.parametrize(
    ("distances", "phases", "repeats", "fewest", "volumes", "duplicates"),
    [
        ([0, 5, 10], [0, 0, 0], 1, 1, 1, 0),
        ([0, 5, 0, 5], [0, 0, 1, 1], 2, 2, 2, 0),  # two time points
        ([0, 5, 0, 5], [0, 0, 0, 0], 2, 2, 1, 2),  # the same twice
        ([0, 5, 0, 5, 0], [0, 0, 1, 1, 2], 3, 2, 3, 0),  # third time point cut short
        ([0, 5, 10, 5], [0, 0, 0, 0], 2, 1, 1, 1),
        ([0, 5, 10], [7, 8, 9], 1, 1, 1, 0),  # a number of its own per slice is no time point
        ([0, 0.005, 5, 5], [1, 0, 0, 1], 2, 2, 2, 0),  # order by distance differs from order by phase
        ([0, 0.004, 0.008, 5], [1, 0, 1, 0], 3, 1, 2, 1),
    ],
)
def test_repeated_positions(distances, phases, repeats, fewest, volumes, duplicates):
    geometry = measure(planes(stack(AXIAL, distances), phases=phases))
    found = (geometry.repeats, geometry.repeats_minimum, geometry.volumes, geometry.duplicate_positions)
    assert tuple(int(f[0]) for f in found) == (repeats, fewest, volumes, duplicates)


def test_gantry_tilt_shows_as_shear_and_obliquity():
    """A tilted CT: planes turned by 20 degrees, table moving along z (C.8.2.1, Gantry/Detector Tilt)."""
    series = [(cosines(20), (0.0, 0.0, z)) for z in (0.0, 5.0, 10.0)]
    geometry = measure(planes(series))
    assert geometry.shear[0] == pytest.approx(20)
    assert geometry.obliquity[0] == pytest.approx(20)
    assert geometry.slice_spacing[0] == pytest.approx(5 * np.cos(np.radians(20)))


def test_pixels_that_are_not_square_and_field_of_view():
    geometry = measure(planes(stack(AXIAL, [0, 5]), spacing=(0.5, 0.75), size=(400, 512)))
    assert geometry.square_pixels[0] == 0
    assert (geometry.field_of_view_row[0], geometry.field_of_view_column[0]) == (200, 384)
    assert measure(planes(stack(AXIAL, [0]), spacing=(0.5, 0.5))).square_pixels[0] == 1
    for broken in ((np.nan, np.nan), (0, 0), (-1, 1)):
        geometry = measure(planes(stack(AXIAL, [0]), spacing=broken))
        assert geometry.square_pixels[0] == -1
        assert np.isnan(geometry.field_of_view_row[0])


def test_matrices_are_counted():
    both = planes(stack(AXIAL, [0, 5, 10, 15]))
    both.size[:] = [(512, 512), (512, 512), (256, 512), (np.nan, np.nan)]
    assert measure(both).matrices[0] == 2


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="shape"):
        Planes(
            np.array([0, 2]), np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 2)), np.zeros((2, 2)), np.zeros(2, int)
        )


@st.composite
def rotations(draw):
    """A random rotation, from a quaternion."""
    numbers = draw(st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: np.linalg.norm(q) > 0.1))
    w, x, y, z = np.array(numbers) / np.linalg.norm(numbers)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@settings(max_examples=150, deadline=None)
@given(
    rotation=rotations(),
    spacing=st.floats(0.3, 10),
    places=st.sets(st.integers(0, 60), min_size=3, max_size=40),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    volumes=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_rotated_shuffled_grid_is_recovered(rotation, spacing, places, origin, volumes, seed):
    """Values pass through DS's 16 characters, as in a file."""
    steps = np.diff(sorted(places))
    unit = np.sort(steps)[(steps.size - 1) // 2]
    orientation = tuple(float(f"{v:.10g}") for v in np.concatenate([rotation[:, 0], rotation[:, 1]]))
    normal = rotation[:, 2]
    one = [
        (orientation, tuple(float(f"{v:.10g}") for v in np.array(origin) + place * spacing * normal))
        for place in sorted(places)
    ]
    order = np.random.default_rng(seed).permutation(len(one) * volumes)
    phases = np.repeat(np.arange(volumes), len(one))[order]
    geometry = measure(planes([(one * volumes)[i] for i in order], phases=phases))
    assert geometry.stacks[0] == 1
    assert geometry.slice_positions[0] == len(places)
    assert geometry.slice_spacing[0] == pytest.approx(unit * spacing, abs=1e-4)
    assert geometry.volumes[0] == geometry.repeats[0] == geometry.repeats_minimum[0] == volumes
    assert geometry.duplicate_positions[0] == 0
    assert geometry.extent[0] == pytest.approx((max(places) - min(places)) * spacing, abs=1e-4)
    assert geometry.regular[0] == (1 if (steps == unit).all() else 0)
    if unit == 1:
        assert geometry.missing_slices[0] == max(places) - min(places) + 1 - len(places)
    largest = np.abs(normal).max()
    if abs(largest - 0.8) > 1e-6:
        assert (ORIENTATIONS[geometry.orientation[0]] == "oblique") == (largest < 0.8)


@given(st.lists(st.floats(width=64), min_size=6, max_size=6))
def test_any_six_numbers_are_an_orientation_or_not(numbers):
    axes, _, valid = unit_axes(np.array([numbers]))
    if valid[0]:
        frame = axes[0].reshape(3, 3)
        assert np.abs(frame @ frame.T - np.eye(3)).max() < 0.03
    else:
        assert np.isnan(axes).all()


def real_series(folder: Path) -> dict[str, list[pydicom.Dataset]]:
    found = defaultdict(dict)
    for path in sorted(folder.rglob("*")):
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True) if path.is_file() else None
        except pydicom.errors.InvalidDicomError:
            continue
        if header is not None and "ImagePositionPatient" in header and "ImageOrientationPatient" in header:
            found[header.SeriesInstanceUID][header.SOPInstanceUID] = header
    return {uid: list(one.values()) for uid, one in found.items()}


def test_real_series_agree_with_a_plain_calculation():
    folder = SHARED / "dicom" / "DIAGNijmegen__rse-panimg"
    if not folder.is_dir():
        pytest.skip("the real images are not here (set CAIRN_SHARED)")
    several = {uid: headers for uid, headers in real_series(folder).items() if len(headers) > 2}
    assert several
    for headers in several.values():
        series = [
            (tuple(map(float, h.ImageOrientationPatient)), tuple(map(float, h.ImagePositionPatient))) for h in headers
        ]
        geometry = measure(planes(series))
        normal = np.cross(series[0][0][:3], series[0][0][3:])
        distances = sorted({round(float(np.dot(position, normal)), 4) for _, position in series})
        assert geometry.slice_positions[0] == len(distances)
        if len(distances) > 1:
            middle = sorted(np.diff(distances))[(len(distances) - 2) // 2]
            assert geometry.slice_spacing[0] == pytest.approx(middle, abs=1e-3)
            assert geometry.extent[0] == pytest.approx(distances[-1] - distances[0], abs=1e-3)


def test_the_made_up_archives_stacks_are_found_again():
    synthetic = pytest.importorskip("cairn.synthetic.geometry")
    cases = [
        synthetic.Stack(orientation, 12, 2.5, 0.5, 256, 256, missing, irregular)
        for orientation in synthetic.DIRECTIONS
        for missing, irregular in [((), False), ((3, 7, 8), False), ((), True)]
    ]
    series = [
        [
            (tuple(map(float, case.orientation_values)), tuple(map(float, case.position_values(distance))))
            for distance in case.distances()
        ]
        for case in cases
    ]
    geometry = measure(planes(*series))
    for at, case in enumerate(cases):
        truth = case.truth()
        assert ORIENTATIONS[geometry.orientation[at]] == truth["orientation"]
        assert bool(geometry.regular[at]) == truth["regular"]
        assert geometry.missing_slices[at] == truth["missing_slices"]
        assert geometry.slice_positions[at] == truth["slice_positions"]
        assert geometry.extent[at] == pytest.approx(truth["extent"], abs=1e-3)
        if not case.irregular:
            assert geometry.slice_spacing[at] == pytest.approx(truth["slice_spacing"], abs=1e-3)
