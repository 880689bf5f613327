"""A made text set: images with text burnt in, and the truth of where every drop of ink is.

Each image is a whole DICOM file of a made-up person, so that the search can be measured from file to box. The groups
are the ways in which text hides: small, faint, turned, dark on bright, at values that the file's own window does not
show, in colours, in overlays, in the unused bits of the pixel words, in one frame of sixty, in large images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from cairn.synthetic import phantoms
from cairn.synthetic.draws import Draws, uid
from cairn.synthetic.encoding import EXPLICIT, Attributes, Typed, encode, part10
from cairn.synthetic.modules import date_text
from cairn.synthetic.people import Person, person
from cairn.synthetic.text_ink import PACKAGED, Ink, ink

GROUPS = (
    "plain", "bright", "turned", "quarter", "faint", "small", "outside_window", "above_window", "colour", "palette",
    "overlay", "high_bits", "one_of_sixty", "large", "ultrasound", "scanned", "none",
)  # fmt: skip
UPRIGHT = tuple(group for group in GROUPS if group not in ("turned", "quarter", "faint", "none"))
"""Groups whose text stands upright at full contrast."""

INK = 96
"""Coverage from which a pixel is ink."""


@dataclass(frozen=True)
class Planted:
    """One line of text in an image.

    Parameters
    ----------
    text : str
        What it says.
    identifying : bool
        Whether it is a value of the person, not an annotation of the device.
    frame : int
        DICOM's frame number, from 1; 0: in an overlay.
    x, y : int
        Upper left corner in the stored image, pixels.
    ink : numpy.ndarray of bool
        Shape (height, width): which pixels are ink.
    """

    text: str
    identifying: bool
    frame: int
    x: int
    y: int
    ink: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TextImage:
    """One file and its truth."""

    name: str
    group: str
    modality: str
    data: bytes
    planted: tuple[Planted, ...]


@dataclass
class _Scene:
    """What is drawn on: frames of shape (frames, rows, columns) or with three samples, and how they are stored."""

    modality: str
    frames: npt.NDArray[np.int64]
    stored: int
    sop_class: str
    window: tuple[float, float] | None = None
    photometric: str = "MONOCHROME2"
    rescale: tuple[float, float] | None = None


CT, MR, CR, US = (
    "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.1",
    "1.2.840.10008.5.1.4.1.1.6.1",
)
SC, XA = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.12.1"


def _ct(draws: Draws) -> _Scene:
    pixels = phantoms.ct_slice(512, draws.integer(0, phantoms.VARIANTS - 1)).astype(np.int64)
    return _Scene("CT", pixels[None], 12, CT, (40, 400), rescale=(1, -1024))


def _mr(draws: Draws) -> _Scene:
    size = draws.choice((256, 320, 512))
    pixels = phantoms.mr_slice(size, draws.integer(0, phantoms.VARIANTS - 1)).astype(np.int64)
    return _Scene("MR", pixels[None], 12, MR, (float(pixels.mean()) + 200, 1600))


def _radiograph(draws: Draws, rows: int = 880, columns: int = 720) -> _Scene:
    pixels = phantoms.projection(rows, columns, 12).astype(np.int64)
    noise = np.frombuffer(draws.raw_bytes(rows * columns), np.uint8).reshape(rows, columns) // 16
    return _Scene(draws.choice(("CR", "DX")), np.clip(pixels + noise, 0, 4095)[None], 12, CR, (2048, 4096))


def _grey_screen(draws: Draws) -> _Scene:
    pixels = np.full((480, 640), draws.choice((0, 16, 90, 235)), np.int64)
    return _Scene("OT", pixels[None], 8, SC)


def _colour_screen(draws: Draws) -> _Scene:
    scene = _ultrasound(draws)
    frame = phantoms.colour_frame(256, draws.integer(0, phantoms.VARIANTS - 1)).astype(np.int64)
    canvas = np.zeros((1, 480, 640, 3), np.int64)
    canvas[0] = [draws.integer(0, 60) for _ in range(3)]
    canvas[0, 120:376, 200:456] = frame
    return _Scene("SC", canvas, 8, SC, photometric=scene.photometric)


def _ultrasound(draws: Draws) -> _Scene:
    rows, columns = draws.choice(((480, 640), (600, 800), (768, 1024)))
    y, x = np.mgrid[0:rows, 0:columns]
    radius = np.hypot(y - 40, x - columns / 2)
    sector = (radius < rows * 0.85) & (radius > 60) & (np.abs(x - columns / 2) < (y - 30) * 0.8)
    noise = np.frombuffer(draws.raw_bytes(rows * columns), np.uint8).reshape(rows, columns)
    speckle = np.asarray(cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 1.2), np.float32)
    speckle = (speckle - speckle.mean()) * 2 + 60
    grey = np.where(sector, np.clip(speckle, 0, 255), 0).astype(np.int64)
    return _Scene("US", np.repeat(grey[None, :, :, None], 3, 3), 8, US, photometric="RGB")


def _cine(draws: Draws) -> _Scene:
    base = phantoms.projection(256, 256, 8).astype(np.int64)
    noise = np.frombuffer(draws.raw_bytes(60 * 256 * 256), np.uint8).reshape(60, 256, 256) // 24
    return _Scene("XA", np.clip(base[None] * 7 // 10 + noise, 0, 190), 8, XA)


@dataclass
class _Hand:
    """Writes into a scene and keeps the truth."""

    draws: Draws
    scene: _Scene
    who: Person
    fonts: Sequence[str]
    planted: list[Planted]

    def words(self) -> tuple[str, bool]:
        who, draws = self.who, self.draws
        year = self.who.birth_date.year
        own = (
            f"{who.family_name.upper()}, {who.given_name}", f"{who.given_name} {who.family_name}", who.chi,
            f"CHI {who.chi[:6]} {who.chi[6:]}", f"DOB: {who.birth_date:%d/%m/%Y}", f"{who.birth_date:%d-%b-%Y}",
            f"ID: {who.local_number}", who.hospital_name, f"Acc {draws.digits(8)}",
            f"{who.sex} {2023 - year}Y {who.family_name}",
        )  # fmt: skip
        other = (
            "kV 120 mA 250", "W 400 L 40", "FR 33Hz", "MI 1.2 TIs 0.4", "SE: 3", "Im: 27/120", "Zoom 1.5", "5 cm",
            "ECHO 2D 68%", "FOV 320 mm", "TE 90.0 ms", "Thk 1.25 mm",
        )  # fmt: skip
        return (draws.choice(own), True) if draws.chance(0.7) else (draws.choice(other), False)

    def written(self, height: int) -> tuple[Ink, str, bool]:
        """Return the ink of a line that fits the scene."""
        while True:
            text, own = self.words()
            plain = text.encode("ascii", "ignore").decode().strip(" ,")
            if sum(c.isalnum() for c in plain) < 3:
                continue  # a name in another script: the fonts have none
            drawn = ink(plain, self.draws.choice(self.fonts), height)
            if drawn.shape[1] < self.scene.frames.shape[2] - 8 and drawn.shape[1] < self.scene.frames.shape[1] - 8:
                return drawn, plain, own

    def place(self, drawn: Ink, edge: bool = False) -> tuple[int, int] | None:
        rows, columns = self.scene.frames.shape[1:3]
        for _ in range(40):
            y = self.draws.integer(2, rows - drawn.shape[0] - 3)
            x = self.draws.integer(2, columns - drawn.shape[1] - 3)
            if edge:
                y = self.draws.choice((self.draws.integer(2, 12), rows - drawn.shape[0] - self.draws.integer(3, 12)))
            gap = 8
            if all(
                y + drawn.shape[0] + gap < p.y or p.y + p.ink.shape[0] + gap < y
                or x + drawn.shape[1] + gap < p.x or p.x + p.ink.shape[1] + gap < x
                for p in self.planted
            ):  # fmt: skip
                return y, x
        return None

    def plant(
        self, height: int, colour: Callable[[np.ndarray], object], frame: int = 0, turn: int = 0, edge: bool = False
    ) -> None:
        """Write one line in the colour that `colour` gives for what lies under it."""
        drawn, text, own = self.written(height)
        drawn = np.ascontiguousarray(np.rot90(drawn, turn))
        at = self.place(drawn, edge)
        if at is None:
            return
        y, x = at
        under = self.scene.frames[frame, y : y + drawn.shape[0], x : x + drawn.shape[1]]
        share = drawn[..., None] / 255.0 if under.ndim == 3 else drawn / 255.0
        under[...] = np.rint(under * (1 - share) + np.asarray(colour(under)) * share).astype(np.int64)
        self.planted.append(Planted(text, own, frame + 1, x, y, drawn >= INK))

    def lines(self, low: int, high: int, colour: Callable[[np.ndarray], object], **options: object) -> None:
        """Write one to four lines, with capitals of `low` to `high` pixels."""
        for _ in range(self.draws.integer(1, 4)):
            self.plant(self.draws.integer(low, high), colour, **options)  # type: ignore[arg-type]


def _full(scene: _Scene) -> int:
    return (1 << scene.stored) - 1


def _away(scene: _Scene, share: float) -> Callable[[np.ndarray], object]:
    """Return a colour that differs from the middle of what lies under it by a share of the full range."""
    top = _full(scene)

    def colour(under: np.ndarray) -> object:
        middle = float(np.median(under))
        return middle + share * top if middle + share * top <= top else middle - share * top

    return colour


def _draw(group: str, draws: Draws, who: Person, fonts: Sequence[str]) -> tuple[_Scene, list[Planted], Attributes]:
    """Return the scene of a group with its text, the truth, and further attributes."""
    kinds: dict[str, Callable[[Draws], _Scene]] = {
        "colour": _colour_screen, "palette": _grey_screen, "one_of_sixty": _cine, "ultrasound": _ultrasound,
        "outside_window": _ct, "above_window": _ct, "overlay": _mr, "high_bits": _mr, "faint": _grey_screen,
        "large": lambda draws: _radiograph(draws, 2400, 2000), "scanned": _grey_screen,
    }  # fmt: skip
    scene = kinds.get(group, draws.choice((_ct, _mr, _radiograph)))(draws)
    hand = _Hand(draws, scene, who, fonts, [])
    top = _full(scene)
    more: Attributes = {}
    if group in ("plain", "small"):
        hand.lines(*((8, 8) if group == "small" else (9, 28)), lambda under: top)
    elif group == "bright":
        scene.frames[...] = np.clip(top - scene.frames, 0, top)
        hand.lines(9, 28, lambda under: 0)
    elif group == "turned":
        hand.lines(9, 24, lambda under: top, turn=draws.integer(1, 3))
    elif group == "quarter":
        hand.lines(9, 28, _away(scene, 0.25))
    elif group == "faint":
        scene.frames[...] = draws.integer(3, top - 3)
        level = int(scene.frames[0, 0, 0]) + draws.choice((-1, 1))
        for _ in range(draws.integer(1, 4)):
            hand.plant(draws.integer(12, 28), lambda under: level)
    elif group == "outside_window":
        hand.lines(12, 24, lambda under: draws.choice((40, 120)) + int(np.median(under)) * 0)
    elif group == "above_window":
        scene.frames[...] = np.where(scene.frames > 900, scene.frames + 900, scene.frames)
        hand.lines(12, 24, lambda under: top)
    elif group == "colour":
        hue = draws.choice(((255, 255, 0), (0, 255, 0), (255, 80, 80), (80, 120, 255), (0, 255, 255), (255, 255, 255)))
        hand.lines(9, 24, lambda under: hue)
    elif group == "palette":
        hand.lines(9, 24, lambda under: 0 if under.mean() > 128 else 255)
        more = _palette(draws)
        scene.photometric = "PALETTE COLOR"
    elif group == "ultrasound":
        hand.lines(10, 22, lambda under: 255, edge=True)
        hand.lines(9, 16, lambda under: 255)
    elif group == "scanned":
        scene.frames[...] = 240
        for _ in range(draws.integer(4, 10)):
            hand.plant(draws.integer(9, 16), lambda under: 20)
    elif group == "one_of_sixty":
        hand.lines(10, 20, lambda under: 255, frame=draws.integer(0, 59))
    elif group == "large":
        hand.lines(14, 60, lambda under: top)
    elif group in ("overlay", "high_bits"):
        more = _overlay(hand, group)
    return scene, hand.planted, more


def _palette(draws: Draws) -> Attributes:
    """Return a palette of 256 greys."""
    ramp = (np.arange(256, dtype="<u2") * 257).tobytes()
    made: Attributes = {}
    for colour in ("Red", "Green", "Blue"):
        made[f"{colour}PaletteColorLookupTableDescriptor"] = Typed("US", [256, 0, 16])
        made[f"{colour}PaletteColorLookupTableData"] = Typed("OW", ramp)
    return made


def _overlay(hand: _Hand, group: str) -> Attributes:
    """Write into an overlay plane (PS3.3 C.9.2), in an element of its own or in bit 15 of the pixels."""
    pixels, scene = hand.scene.frames, hand.scene
    rows, columns = pixels.shape[1:3]
    scene.frames = np.zeros_like(pixels)
    hand.lines(9, 24, lambda under: 255)
    plane = scene.frames[0] >= INK
    scene.frames = pixels
    hand.planted[:] = [Planted(p.text, p.identifying, 0, p.x, p.y, p.ink) for p in hand.planted]
    at: Attributes = {0x60000010: Typed("US", rows), 0x60000011: Typed("US", columns), 0x60000040: Typed("CS", "G")}
    at |= {0x60000050: Typed("SS", [1, 1])}
    if group == "overlay":
        bits = np.packbits(plane.ravel(), bitorder="little").tobytes()
        return at | {0x60000100: Typed("US", 1), 0x60000102: Typed("US", 0), 0x60003000: Typed("OW", bits)}
    scene.frames[0] |= plane.astype(np.int64) << 15
    return at | {0x60000100: Typed("US", 16), 0x60000102: Typed("US", 15)}


def _file(scene: _Scene, who: Person, more: Attributes, seed: int, name: str) -> bytes:
    frames, rows, columns = scene.frames.shape[:3]
    samples = 3 if scene.frames.ndim == 4 else 1
    allocated = 8 if scene.stored <= 8 else 16
    header: Attributes = {
        "SOPClassUID": scene.sop_class,
        "SOPInstanceUID": uid(seed, "text", name),
        "StudyInstanceUID": uid(seed, "text study", name),
        "SeriesInstanceUID": uid(seed, "text series", name),
        "Modality": scene.modality,
        "PatientName": f"{who.family_name}^{who.given_name}",
        "PatientID": who.chi,
        "PatientBirthDate": date_text(who.birth_date),
        "PatientSex": who.sex,
        "OtherPatientIDs": who.local_number,
        "InstitutionName": who.hospital_name,
        "SpecificCharacterSet": who.character_set or "ISO_IR 100",
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": scene.photometric,
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": allocated,
        "BitsStored": scene.stored,
        "HighBit": scene.stored - 1,
        "PixelRepresentation": 0,
        **more,
    }
    if samples == 3:
        header["PlanarConfiguration"] = 0
    if frames > 1:
        header["NumberOfFrames"] = frames
    if scene.window:
        header |= {"WindowCenter": str(round(scene.window[0])), "WindowWidth": str(round(scene.window[1]))}
    if scene.rescale:
        header |= {"RescaleSlope": str(scene.rescale[0]), "RescaleIntercept": str(scene.rescale[1])}
    pixels = np.ascontiguousarray(scene.frames.astype("<u1" if allocated == 8 else "<u2")).tobytes()
    header["PixelData"] = Typed("OB" if allocated == 8 else "OW", pixels)
    return part10(scene.sop_class, str(header["SOPInstanceUID"]), encode(header, EXPLICIT), EXPLICIT)


def made_text_image(seed: int, group: str, number: int, fonts: Sequence[str] = PACKAGED) -> TextImage:
    """Return one image.

    Parameters
    ----------
    seed : int
        The set's seed.
    group : str
        One of :data:`GROUPS`.
    number : int
        Which one of the group.
    fonts : sequence of str
        As :func:`cairn.synthetic.text_ink.ink` takes them.
    """
    draws = Draws(seed, "text set", group, number)
    who = person(seed, draws.integer(0, 9999))
    scene, planted, more = _draw(group, draws, who, fonts)
    name = f"{group}-{number}"
    return TextImage(name, group, scene.modality, _file(scene, who, more, seed, name), tuple(planted))


def made_text_images(
    seed: int, each: int, groups: Sequence[str] = GROUPS, fonts: Sequence[str] = PACKAGED
) -> Iterator[TextImage]:
    """Yield `each` images of every group."""
    for group in groups:
        for number in range(each):
            yield made_text_image(seed, group, number, fonts)
