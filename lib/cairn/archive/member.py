"""What an archive's directory says of one member, whatever the archive's format."""

from __future__ import annotations

from dataclasses import dataclass

from cairn.archive.steps import Step


@dataclass(slots=True, frozen=True)
class Member:
    """One member.

    Attributes
    ----------
    name : bytes
        As the archive holds it.
    step : Step or None
        Its range within the archive; None when it has none.
    size : int or None
        Bytes, uncompressed; None when the archive does not say.
    modified : int or None
        Microseconds since 1970-01-01 UTC. A zip's local time without zone is taken as UTC.
    checksum : str or None
        ``crc32:…``.
    code : str or None
        What is wrong with it.
    """

    name: bytes
    step: Step | None
    size: int | None = None
    modified: int | None = None
    checksum: str | None = None
    code: str | None = None
