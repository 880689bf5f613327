"""`identifiable.burned_in_text` and `identifiable.text_search`: text in the pixels, and who was looked at.

An image without rows in `burned_in_text` holds no text only when `text_search` says that it was looked at. Words are
read by machine and may be identifying: they never cross; places, categories and confidences do.
"""

import pyarrow as pa

from cairn.tables.contract import Column, Contract

_INT, _TEXT, _FLAG = pa.int32(), pa.string(), pa.bool_()
REGION = pa.struct([pa.field(name, pa.int32()) for name in ("x", "y", "width", "height")])

# fmt: off
_IDENTITY = (
    Column("content_version", _TEXT, "Version of the content that was read, as in archive_entry.", nullable=False),
    Column("algorithm_version", _INT, "Version of the search; a new one has every image searched again.", "keep", nullable=False),
    Column("sop_instance_uid", _TEXT, "SOP Instance UID.", "uid"),
    Column("series_instance_uid", _TEXT, "Series Instance UID.", "uid"),
    Column("modality", _TEXT, "Modality.", "keep"),
)

BURNED_IN_TEXT = Contract(
    zone="identifiable",
    name="burned_in_text",
    grain="one line of text in the pixels of an instance",
    key=("uri", "frame", "box"),
    comment="Text found in pixels, overlays and unused bits: where, what it says, how sure, and whose value it is.",
    columns=(
        Column("uri", _TEXT, "Address of the entry, as in archive_entry."),
        Column("frame", _INT, "First frame that it stands in, DICOM's number, from 1.", "keep"),
        Column("box", _INT, "Number of the box within the instance, from 1.", "keep"),
        Column("last_frame", _INT, "Last frame that it stands in.", "keep", nullable=False),
        Column("x", _INT, "Left edge in the stored image, pixels from 0.", "keep", nullable=False),
        Column("y", _INT, "Upper edge, pixels from 0.", "keep", nullable=False),
        Column("width", _INT, "Width, pixels; a margin for soft edges is in it.", "keep", nullable=False),
        Column("height", _INT, "Height, pixels.", "keep", nullable=False),
        Column("text", _TEXT, "What it says, as it was read; empty when it could hardly be read.", nullable=False),
        Column("confidence", pa.float64(), "The reader's confidence, 0 to 1.", "keep", nullable=False),
        Column("engine", _TEXT, "Who read it: ppocr-v4, tesseract.", "keep", nullable=False),
        Column("category", _TEXT, "own_value (of the file's own header), date, number, laterality, measurement, annotation, other.", "keep", nullable=False),
        Column("plane", _TEXT, "Where it stands: pixels, overlay 6000 …, bit 15 … (an unused bit of the pixels).", "keep", nullable=False),
        Column("in_ultrasound_region", _FLAG, "Whether it stands in a region that the header calls echoes, trace or spectrum (0018,6011); NULL: it names none.", "keep"),
        *_IDENTITY,
        Column("run", _TEXT, "Run that wrote the row.", nullable=False),
    ),
    statistics=("uri", "frame", "category", "run"),
)

TEXT_SEARCH = Contract(
    zone="identifiable",
    name="text_search",
    grain="one instance that was looked at for text",
    key=("uri",),
    comment="What the search for text in the pixels of each instance did and why: no row, not looked at.",
    columns=(
        Column("uri", _TEXT, "Address of the entry, as in archive_entry."),
        Column("pixels", _FLAG, "Whether the entry has pixels.", "keep", nullable=False),
        Column("searched", _FLAG, "Whether detection and reading looked at it; otherwise the cheap look at every frame saw nothing like text.", "keep", nullable=False),
        Column("evidence", pa.list_(pa.string()), "Why: burned_in_annotation, modality, sop_class, image_type, conversion_type, device_rule; overlay, unused_bits, triage.", "keep"),
        Column("device_rule", _TEXT, "Label of the device rule that holds.", "keep"),
        Column("device_regions", pa.list_(REGION), "Where that rule says that text stands, pixels.", "keep"),
        Column("frames", _INT, "Number of Frames; NULL without pixels.", "keep"),
        Column("frames_looked", _INT, "Frames that were looked at.", "keep", nullable=False),
        Column("frames_searched", _INT, "Frames that detection saw.", "keep", nullable=False),
        Column("planes_searched", _INT, "Overlay planes and planes of unused bits that detection saw.", "keep", nullable=False),
        Column("boxes", _INT, "Lines of text found.", "keep", nullable=False),
        Column("own_values", _INT, "Lines that hold a value of the file's own header.", "keep", nullable=False),
        *_IDENTITY,
        Column("run", _TEXT, "Run that wrote the row.", nullable=False),
    ),
    statistics=("uri", "boxes", "algorithm_version", "run"),
)
# fmt: on
