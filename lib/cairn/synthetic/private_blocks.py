"""Private elements as makers write them: creators, VRs and plausible contents.

The element numbers and VRs of the GE, Siemens and Philips blocks are those of pydicom's private dictionary; the
contents are invented. ``UNKNOWN`` blocks are in nobody's dictionary.
"""

from __future__ import annotations

import struct
from typing import Any

from cairn.synthetic.draws import Draws
from cairn.synthetic.encoding import Attributes, Typed

Element = tuple[int, str, Any]
Block = tuple[int, str, list[Element]]

_GE_ACQUISITION: list[Element] = [
    (0x02, "SL", 912), (0x03, "DS", "373.750000"), (0x04, "DS", "1.016600"), (0x0F, "DS", "955.799988"),
    (0x11, "SS", 2), (0x13, "SS", 0), (0x14, "SS", 0), (0x15, "SS", 0), (0x16, "SS", 0), (0x17, "SS", 2),
    (0x18, "LO", "S"), (0x19, "DS", "7.791870"), (0x1A, "LO", "I"), (0x1B, "DS", "-320.197968"),
    (0x1E, "DS", "360.000000"), (0x23, "DS", "5.000000"), (0x24, "DS", "17.784578"), (0x25, "SS", 1),
    (0x26, "SL", 0), (0x27, "DS", "1.000000"), (0x2A, "DS", "178.079926"), (0x2B, "DS", "3994.299316"),
    (0x2C, "SL", 10431), (0x2E, "DS", "-718.079956"), (0x2F, "DS", "984.000000"), (0x39, "SS", 16),
    (0x42, "SS", 0), (0x43, "SS", 0), (0x44, "DS", "1.000000"), (0x47, "SS", 1),
]  # fmt: skip
_GE_IDENTIFICATION: list[Element] = [
    (0x01, "LO", "GE_GENESIS_FF"), (0x02, "SH", "CT01"), (0x04, "SH", "LightSpeed VCT"),
    (0x27, "SL", 862399669), (0x30, "SH", ""), (0x31, "SH", ""), (0xE6, "SH", "05"), (0xE7, "UL", 973283917),
    (0xE9, "SL", 862399669),
]  # fmt: skip
_GE_PARAMETERS: list[Element] = [
    (0x10, "US", 400), (0x11, "US", 10431), (0x12, "SS", [14, 2, 3]), (0x13, "SS", [107, 21, 4, 2, 20]),
    (0x14, "SS", [4, 4, 5]), (0x16, "SS", 0), (0x17, "DS", "0.095000"), (0x18, "DS", ["0.085", "1.102", "0.095"]),
    (0x1A, "SL", 7), (0x1B, "SS", [0, 0, 0, 0, 0]), (0x1D, "SS", 40), (0x1E, "DS", "2.000000"), (0x27, "SH", "/1.0:1"),
    (0x28, "OB", bytes(80)), (0x29, "OB", bytes(range(256)) * 2), (0x2A, "OB", bytes(40)),
    (0x31, "DS", ["-11.2", "9.7"]),
    (0x40, "FL", 178.0799), (0x41, "FL", 3816.2195), (0x4D, "FL", 0.0), (0x4E, "FL", 10.6006),
]  # fmt: skip
_GE_SERIES: list[Element] = [
    (0x06, "SS", 0), (0x07, "SL", 44), (0x10, "SL", 0), (0x11, "SS", 0), (0x17, "SL", 0), (0x18, "SL", 0),
    (0x19, "SL", 4), (0x1A, "SH", ""),
]  # fmt: skip
_SIEMENS_MR: list[Element] = [
    (0x08, "CS", "IMAGE NUM 4"), (0x09, "LO", "1.0"), (0x0B, "DS", "30.5"), (0x0F, "SH", "Fast"),
    (0x11, "SH", "No"), (0x12, "SL", [0, 0, -1158]), (0x13, "SL", [0, 0, -1158]), (0x14, "IS", ["0", "0", "0"]),
    (0x15, "FD", [-120.5, -98.25, 33.0]), (0x16, "DS", "1.79"), (0x17, "DS", "1"), (0x18, "IS", "3800"),
]  # fmt: skip
_SIEMENS_MR_TEXT: list[Element] = [
    (0x08, "CS", "IMAGE NUM 4"), (0x09, "LO", "1.0"), (0x0B, "SH", "256p*256"), (0x0C, "SH", "FoV 240*240"),
    (0x0E, "SH", "Tra"), (0x0F, "LO", "HEA;HEP"), (0x11, "LO", "p2"), (0x12, "SH", "TP 0"), (0x13, "SH", "+LPH"),
    (0x16, "LO", "p2 M/DIS2D"), (0x17, "SH", "SL 5.0"), (0x19, "LO", "A1/PFP"),
]  # fmt: skip
_PHILIPS_IMAGING: list[Element] = [
    (0x01, "FL", 0.0), (0x02, "IS", "0"), (0x03, "FL", 0.0), (0x04, "CS", "NO"), (0x05, "SS", 0), (0x06, "CS", "N"),
    (0x07, "CS", "N"), (0x08, "IS", "1"), (0x09, "FL", 0.0), (0x0A, "IS", "12"), (0x0B, "CS", "TRANSVERSAL"),
    (0x0C, "CS", "N"), (0x0E, "CS", "M"), (0x10, "CS", "N"), (0x11, "FL", 0.0), (0x12, "CS", "N"), (0x13, "SL", 1),
    (0x14, "SL", 1), (0x15, "SS", 4), (0x16, "SS", 0), (0x17, "SL", 1), (0x18, "SL", 24), (0x1B, "FL", 0.0),
    (0x1F, "CS", "N"), (0x20, "LO", "TSE"), (0x21, "CS", "N"),
]  # fmt: skip


def csa_header(draws: Draws, count: int = 30) -> bytes:
    """Return a CSA2 header (Siemens ``SV10``): named tags with one text item each, many of them empty."""
    names = ["EchoLinePosition", "UsedChannelMask", "Actual3DImaPartNumber", "ICE_Dims", "B_value", "SlicePosition_PCS"]
    out = [b"SV10\4\3\2\1", struct.pack("<II", count, 77)]
    for number in range(count):
        name = f"{names[number % len(names)]}{number // len(names) or ''}"
        text = draws.digits(6) if number % 3 else ""
        out.append(struct.pack("<64si4siii", name.encode(), 1, b"IS\0\0", 6, 6 if text else 0, 77))
        length = len(text) + 1 if text else 0
        for item in range(6):
            size = length if item == 0 else 0
            out.append(struct.pack("<iiii", size, size, 77, size))
            out.append((text.encode() + b"\0").ljust(-(-size // 4) * 4, b"\0") if size else b"")
    return b"".join(out)


def blocks(maker: str, modality: str, draws: Draws) -> list[Block]:
    """Return the private blocks that a maker adds to the images of a modality."""
    if maker == "GE":
        found: list[Block] = [(0x0009, "GEMS_IDEN_01", _GE_IDENTIFICATION), (0x0025, "GEMS_SERS_01", _GE_SERIES)]
        if modality == "CT":
            found += [(0x0019, "GEMS_ACQU_01", _GE_ACQUISITION)]
        return [*found, (0x0043, "GEMS_PARM_01", _GE_PARAMETERS)]
    if maker == "SIEMENS":
        csa: list[Element] = [
            (0x08, "CS", "IMAGE NUM 4"), (0x09, "LO", "20090815"), (0x10, "OB", csa_header(draws)),
            (0x18, "CS", "MR"), (0x19, "LO", "20090815"), (0x20, "OB", csa_header(draws, 12)),
        ]  # fmt: skip
        header: Block = (0x0029, "SIEMENS CSA HEADER", csa)
        return (
            [
                (0x0019, "SIEMENS MR HEADER", _SIEMENS_MR),
                header,
                (0x0051, "SIEMENS MR HEADER", _SIEMENS_MR_TEXT),
            ]
            if modality == "MR"
            else [header]
        )
    if maker == "PHILIPS":
        return [(0x2001, "Philips Imaging DD 001", _PHILIPS_IMAGING)]
    if maker in ("TOSHIBA", "CANON"):
        return [(0x7005, "TOSHIBA_MEC_CT3", [(0x00, "OB", bytes(16)), (0x03, "SH", "NORM"), (0x0B, "SH", "FC08")])]
    return [
        (
            0x0031,
            "CAIRN UNKNOWN 1.0",
            [(0x01, "UN", draws.raw_bytes(24)), (0x02, "UN", b"free text "), (0x10, "LO", "v1")],
        )
    ]


def place(found: list[Block], first: int = 0x10) -> Attributes:
    """Return blocks as elements: the creator reserves a block of its group (PS3.5 7.8.1)."""
    attributes: Attributes = {}
    for group, creator, elements in found:
        reserved = first
        while (group << 16 | reserved) in attributes:
            reserved += 1
        attributes[group << 16 | reserved] = Typed("LO", creator)
        for number, vr, value in elements:
            attributes[group << 16 | reserved << 8 | number] = Typed(vr, value)
    return attributes
