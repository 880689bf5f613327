"""For human review, in the identifiable zone: which header values stayed and how often, what was read in pixels, and
pictures of what was blanked."""

from __future__ import annotations

import csv
import io

from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from cairn.archive.entry import EntryAddress
from cairn.archive.reader import read_entries
from cairn.errors import EntryError
from cairn.extract.isidentifiable import Failure, Part, write_report
from cairn.extract.thumbnails import Thumbnail, page, thumbnail
from cairn.pipelines.extract_request import Making, report_folder
from cairn.pipelines.extract_task import DELIVERED
from cairn.pipelines.folder import whole
from cairn.spark.storage import Folder
from cairn.tables.archive_entry import ARCHIVE_ENTRY
from cairn.tables.burned_in_text import BURNED_IN_TEXT

MOST_VALUES, MOST_PICTURES = 200_000, 60
LONGEST = 200


def write_review(making: Making, items: DataFrame, images: DataFrame) -> None:
    """Write ``header-values.csv``, ``isidentifiable.csv`` and ``blanked.html`` beside the other reports.

    Parameters
    ----------
    making : Making
        The extract.
    items : DataFrame
        Its rows of `extract_item`.
    images : DataFrame
        Its files as they were read back.
    """
    folder = report_folder(making.store, making.project.id, making.name).make()
    redacted = items.where((F.col("outcome") == DELIVERED) & (F.col("boxes") > 0))
    _header_values(images, folder)
    _texts(making, redacted, folder)
    _pictures(making, redacted, images, folder)


def _header_values(images: DataFrame, folder: Folder) -> None:
    """Values of elements by how many persons have them, the rarest first: what is of one person may tell who it is."""
    told = images.select("person_id", F.col("header")).where("header IS NOT NULL")
    told.createOrReplaceTempView("extract_headers")
    found = images.sparkSession.sql(
        f"SELECT h.key AS element, substr(to_json(h.value), 1, {LONGEST}) AS value, count(*) AS files, "
        "count(DISTINCT person_id) AS persons FROM extract_headers, LATERAL variant_explode(header) h "
        f"GROUP BY 1, 2 ORDER BY persons, files, element, value LIMIT {MOST_VALUES + 1}"
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(found.columns)
    for number, row in enumerate(found.toLocalIterator()):
        writer.writerow(tuple(row) if number < MOST_VALUES else ("(more values than are listed)", "", "", ""))
    images.sparkSession.catalog.dropTempView("extract_headers")
    folder.write("header-values.csv", text.getvalue().encode("utf-8", "surrogateescape"))


def _texts(making: Making, redacted: DataFrame, folder: Folder) -> None:
    """Text that was read in the pixels of delivered files before it was blanked, in IsIdentifiable's form."""
    boxes = (
        making.store.read(BURNED_IN_TEXT)
        .where("text <> ''")
        .select("uri", "content_version", "sop_instance_uid", "text")
    )
    rows = (
        boxes.join(redacted.select("uri", "content_version"), ["uri", "content_version"])
        .orderBy("uri", "text")
        .toLocalIterator()
    )
    failures = (
        Failure(row["uri"], row["sop_instance_uid"] or "", "PixelData", row["text"], (Part(row["text"], "PixelText"),))
        for row in rows
    )
    text = io.StringIO()
    write_report(failures, text)
    folder.write("isidentifiable.csv", text.getvalue().encode("utf-8", "surrogateescape"))


def _pictures(making: Making, redacted: DataFrame, images: DataFrame, folder: Folder) -> None:
    total = redacted.count()
    paths = images.select("sha256", "path")
    entries = making.store.read(ARCHIVE_ENTRY).withColumn("modified", F.unix_micros("modified"))
    boxes = making.store.read(BURNED_IN_TEXT).where("plane = 'pixels'").groupBy("uri", "content_version").agg(
        F.sort_array(F.collect_list(F.struct("frame", "x", "y", "width", "height"))).alias("found")
    )  # fmt: skip
    key = ["uri", "content_version"]
    some = redacted.select(*key, "sha256").orderBy("uri").limit(MOST_PICTURES)
    rows = some.join(paths, "sha256").join(entries, key).join(boxes, key, "left").orderBy("uri").collect()
    made = [(f"blanked-{number:03d}.png", one) for number, row in enumerate(rows, 1) if (one := _picture(making, row))]
    for name, one in made:
        folder.write(name, one.png)
    folder.write("blanked.html", page(making.name, made, total - len(made)).encode("utf-8", "surrogateescape"))


def _picture(making: Making, row: Row) -> Thumbnail | None:
    address = EntryAddress(**{name: row[name] for name in EntryAddress.__slots__})
    limits = making.store.settings.headers
    ((_, data),) = read_entries(
        [address], whole, overlap=1, tries=limits.tries,
        timeout_seconds=limits.timeout_seconds,
    )  # fmt: skip
    if isinstance(data, EntryError):
        return None
    found = row["found"] or []
    frame = found[0]["frame"] if found else 1
    boxes = [(box["x"], box["y"], box["width"], box["height"]) for box in found if box["frame"] == frame]
    with making.files.filesystem.open_input_stream(making.files.file(row["path"])) as stream:
        after = bytes(stream.readall())
    return thumbnail(row["uri"], data, after, frame, boxes)
