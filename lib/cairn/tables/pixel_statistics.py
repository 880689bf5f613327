"""`identifiable.pixel_statistics`: what was measured of the pixels of every entry.

Frame 0 is the instance as a whole; frames 1, 2 … (DICOM's frame numbers) have rows only where an instance has more
than one. A query over images takes ``frame = 0``. Formulas and their sources: :mod:`cairn.pixels.measures`.
"""

import pyarrow as pa

from cairn.tables.contract import FINDINGS, Column, Contract

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
HISTOGRAM = pa.list_(pa.struct([pa.field("bin", pa.int32()), pa.field("count", pa.int64())]))
"""Used bins of the fixed histogram, ascending by bin, and how many samples each holds."""

_INT, _REAL, _TEXT, _FLAG = pa.int64(), pa.float64(), pa.string(), pa.bool_()

# fmt: off
_IDENTITY = (
    Column("uri", _TEXT, "Address of the entry, as in archive_entry."),
    Column("frame", pa.int32(), "0: the instance as a whole; from 1: DICOM's frame number, where there is more than one.", "keep"),
    Column("content_version", _TEXT, "Version of the content that was read, as in archive_entry.", nullable=False),
    Column("algorithm_version", pa.int32(), "Version of the measures; a new one has them made again.", "keep", nullable=False),
    Column("sop_instance_uid", _TEXT, "SOP Instance UID.", "uid"),
    Column("series_instance_uid", _TEXT, "Series Instance UID.", "uid"),
    Column("modality", _TEXT, "Modality.", "keep"),
    Column("transfer_syntax_uid", _TEXT, "Transfer syntax of the entry.", "keep"),
    Column("file_sha256", _TEXT, "SHA-256 (hex) of the entry's bytes: equal for exact duplicates. Frame 0 only."),
    Column("pixel_sha256", _TEXT, "SHA-256 (hex) of the decoded stored values, all frames: rows, columns, samples in turn, little endian, in 1, 2, 4 or 8 bytes by Bits Allocated; colours as RGB. NULL when frames were sampled."),
    Column("perceptual_hash", _INT, "64 bits of the reduced image's lowest frequencies: bit_count(a ^ b) is small for images that look alike."),
)

_SHAPE = (
    Column("pixels", _FLAG, "Whether the entry has pixels; without them the columns below are NULL.", "keep", nullable=False),
    Column("frames", _INT, "Number of Frames.", "keep"),
    Column("frames_measured", _INT, "Frames that were decoded and measured.", "keep"),
    Column("rows", _INT, "Rows of the decoded frame.", "keep"),
    Column("columns", _INT, "Columns of the decoded frame.", "keep"),
    Column("samples_per_pixel", _INT, "Samples per Pixel.", "keep"),
    Column("bits_allocated", _INT, "Bits Allocated.", "keep"),
    Column("bits_stored", _INT, "Bits Stored.", "keep"),
    Column("signed", _FLAG, "Whether stored values are signed.", "keep"),
    Column("photometric_interpretation", _TEXT, "Photometric Interpretation as the header has it.", "keep"),
)

_STORED = (
    Column("minimum", _REAL, "Smallest stored value, all samples, padding included.", "keep"),
    Column("maximum", _REAL, "Largest stored value.", "keep"),
    Column("mean", _REAL, "Mean of the stored values.", "keep"),
    Column("standard_deviation", _REAL, "Population standard deviation of the stored values.", "keep"),
    *(Column(f"percentile_{p}", _REAL, f"Percentile {p} of the stored values, nearest rank.", "keep") for p in PERCENTILES),
    Column("histogram", HISTOGRAM, "Stored values on fixed bins, the same for every image: sums are distributions. Bin b > 0 spans 2^(o-40) * [1 + s/16, 1 + (s+1)/16) with o = (b-1) div 16, s = (b-1) mod 16; 0 is 0; negative values mirror.", "keep"),
)

_RESCALED = (
    Column("rescale_slope", _REAL, "Slope to real-world values; NULL without one, or when frames differ.", "keep"),
    Column("rescale_intercept", _REAL, "Intercept to real-world values.", "keep"),
    Column("rescale_type", _TEXT, "Unit of the rescaled values, HU for Hounsfield units.", "keep"),
    Column("rescaled_minimum", _REAL, "Smallest rescaled value.", "keep"),
    Column("rescaled_maximum", _REAL, "Largest rescaled value.", "keep"),
    Column("rescaled_mean", _REAL, "Mean of the rescaled values.", "keep"),
    Column("rescaled_standard_deviation", _REAL, "Population standard deviation of the rescaled values.", "keep"),
    *(Column(f"rescaled_percentile_{p}", _REAL, f"Percentile {p} of the rescaled values, nearest rank.", "keep") for p in PERCENTILES),
    Column("rescaled_histogram", HISTOGRAM, "Rescaled values on the same fixed bins.", "keep"),
    Column("hu_air", _REAL, "CT: share below -900 HU, padding left out.", "keep"),
    Column("hu_lung", _REAL, "CT: share from -900 to below -500 HU.", "keep"),
    Column("hu_fat", _REAL, "CT: share from -190 to below -30 HU.", "keep"),
    Column("hu_soft_tissue", _REAL, "CT: share from -30 to below 150 HU.", "keep"),
    Column("hu_bone", _REAL, "CT: share from 150 to below 3000 HU; contrast agent is in it.", "keep"),
    Column("hu_metal", _REAL, "CT: share from 3000 HU.", "keep"),
)

_QUALITY = (
    Column("padding_fraction", _REAL, "Share of Pixel Padding Value (to its range limit); NULL when the file names none.", "keep"),
    Column("modal_fraction", _REAL, "Share of the most frequent value: near 1 for a blank image.", "keep"),
    Column("saturated_fraction", _REAL, "Share at the ceiling, when the maximum is the largest number of its bits; else 0.", "keep"),
    Column("entropy", _REAL, "Shannon entropy of the stored values, bits a sample.", "keep"),
    Column("sharpness", _REAL, "Variance of the Laplacian of the grey values; mean over frames.", "keep"),
    Column("noise", _REAL, "Noise by Immerkær's method, stored units; median over frames.", "keep"),
    Column("foreground_fraction", _REAL, "Share of pixels brighter than Otsu's threshold (MONOCHROME1: darker).", "keep"),
    Column("foreground_top", _INT, "First row of the foreground, from 0.", "keep"),
    Column("foreground_left", _INT, "First column of the foreground, from 0.", "keep"),
    Column("foreground_bottom", _INT, "Last row of the foreground.", "keep"),
    Column("foreground_right", _INT, "Last column of the foreground.", "keep"),
    Column("laterally_empty", _FLAG, "Whether the left or right half holds less than 1 % of the foreground (all frames).", "keep"),
    Column("constant", _FLAG, "Whether all samples are equal.", "keep"),
    Column("findings", FINDINGS, "What was odd about the pixel data: code, and place (the frame) where there is one.", "keep"),
    Column("run", _TEXT, "Run that wrote the row.", nullable=False),
)
# fmt: on

PIXEL_STATISTICS = Contract(
    zone="identifiable",
    name="pixel_statistics",
    grain="one instance (frame 0), and one of its frames where there is more than one",
    key=("uri", "frame"),
    comment="Measures of the decoded pixels: distribution, quality, extent, hashes for exact and near duplicates.",
    columns=(*_IDENTITY, *_SHAPE, *_STORED, *_RESCALED, *_QUALITY),
    statistics=("uri", "frame", "run", "algorithm_version"),
)
