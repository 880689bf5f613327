"""Where the slices of a series lie: the truth that the series table must find again."""

from __future__ import annotations

from dataclasses import dataclass

from cairn.synthetic.encoding import decimal

Vector = tuple[float, float, float]

DIRECTIONS: dict[str, tuple[Vector, Vector]] = {
    "AXIAL": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    "SAGITTAL": ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
    "CORONAL": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    "OBLIQUE": ((0.8, 0.6, 0.0), (-0.36, 0.48, -0.8)),
}
"""Direction cosines of rows and columns (PS3.3 C.7.6.2.1.1), unit length and orthogonal to the last digit."""


@dataclass(frozen=True)
class Stack:
    """Parallel slices.

    Parameters
    ----------
    orientation : str
        A key of :data:`DIRECTIONS`.
    slices : int
        Slices that exist.
    spacing : float
        Distance between neighbouring slices along the normal, mm.
    pixel_spacing : float
        Row and column spacing, mm.
    rows, columns : int
        Matrix.
    missing : tuple of int
        Places in the regular grid where a slice is absent.
    irregular : bool
        Whether the distance grows by a tenth from slice to slice.
    """

    orientation: str
    slices: int
    spacing: float
    pixel_spacing: float
    rows: int
    columns: int
    missing: tuple[int, ...] = ()
    irregular: bool = False

    @property
    def orientation_values(self) -> list[str]:
        """ImageOrientationPatient."""
        row, column = DIRECTIONS[self.orientation]
        return [decimal(value) for value in (*row, *column)]

    @property
    def normal(self) -> Vector:
        """Unit vector across the slices: row x column."""
        (a, b, c), (d, e, f) = DIRECTIONS[self.orientation]
        return (b * f - c * e, c * d - a * f, a * e - b * d)

    def distances(self) -> list[float]:
        """Return each slice's distance from the first along the normal, mm."""
        places = [place for place in range(self.slices + len(self.missing)) if place not in self.missing]
        if self.irregular:
            return [self.spacing * place * (1 + place / 20) for place in places]
        return [self.spacing * place for place in places]

    def position_values(self, distance: float) -> list[str]:
        """Return ImagePositionPatient of the slice at that distance: the centre of its first voxel, mm."""
        row, column = DIRECTIONS[self.orientation]
        half_row = self.pixel_spacing * (self.columns - 1) / 2
        half_column = self.pixel_spacing * (self.rows - 1) / 2
        return [
            decimal(n * distance - r * half_row - c * half_column)
            for r, c, n in zip(row, column, self.normal, strict=True)
        ]

    def truth(self) -> dict[str, object]:
        """Return what the series table should say about it."""
        distances = self.distances()
        return {
            "orientation": self.orientation.lower(),
            "slice_spacing": self.spacing if self.slices > 1 else None,
            "regular": None if self.slices < 2 else not (self.irregular or self.missing),
            "missing_slices": len(self.missing),
            "slice_positions": len(distances),
            "extent": round(distances[-1] - distances[0], 6) if distances else None,
        }
