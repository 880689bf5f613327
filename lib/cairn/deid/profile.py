"""A site's de-identification profile: options of PS3.15 E.3 and own rules, each with its reason, in YAML."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cairn.deid.table import CODES, OPTIONS
from cairn.dicom.dictionary import VR_NAMES, keywords
from cairn.errors import CairnError, nearest

_HERE = Path(__file__).resolve().parent
ACTIONS = ("keep", "remove", "empty", "dummy", "uid", "shift", "clean", "person", "pseudonym", "age")
_TAG = re.compile(r"\(?([0-9a-fA-F]{4}),?([0-9a-fA-F]{4})\)?")
_PRIVATE = re.compile(r"\(?([0-9a-fA-F]{3}[13579bdfBDF]),?xx([0-9a-fA-F]{2})\)?")


def parse_tag(text: str) -> int:
    """Return the tag that ``(0010,0010)``, ``00100010`` or ``PatientName`` names.

    Raises
    ------
    CairnError
        UNKNOWN_TAG.
    """
    found = _TAG.fullmatch(text.strip())
    if found:
        return int(found[1] + found[2], 16)
    known = keywords()
    if text.strip() in known:
        return known[text.strip()][0]
    raise CairnError("UNKNOWN_TAG", name=text, nearest=nearest(text, known))


def format_tag(tag: int) -> str:
    """Return ``(gggg,eeee)``."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Override(_Part):
    """One attribute's own rule."""

    tag: str = Field(description="(gggg,eeee), eight digits, or a keyword")
    action: Literal[ACTIONS]  # type: ignore[valid-type]
    reason: str = Field(min_length=10)

    @field_validator("tag")
    @classmethod
    def _known(cls, text: str) -> str:
        try:
            return format_tag(parse_tag(text))
        except CairnError as fault:
            raise ValueError(str(fault)) from None

    @property
    def number(self) -> int:
        """The tag as a number."""
        return parse_tag(self.tag)


class PrivateElement(_Part):
    """A private element that the site knows to be safe."""

    creator: str = Field(min_length=1, max_length=64)
    element: str = Field(pattern=_PRIVATE.pattern, description="(gggg,xxee)")
    vr: Literal[tuple(name for name in VR_NAMES if len(name) == 2)]  # type: ignore[valid-type]
    reason: str = Field(min_length=10)

    @property
    def key(self) -> tuple[str, int, int]:
        """Creator, group, low byte of the element."""
        found = _PRIVATE.fullmatch(self.element)
        assert found is not None
        return self.creator, int(found[1], 16), int(found[2], 16)


class AdmittedDocument(_Part):
    """A media type of encapsulated documents that may leave."""

    media_type: str = Field(pattern=r"[a-z]+/[a-z0-9.+-]+")
    reason: str = Field(min_length=10)


class Profile(_Part):
    """A profile.

    Parameters
    ----------
    name : str
        What reports and rules call it.
    options : frozenset of str
        Of :data:`cairn.deid.table.OPTIONS`.
    overrides : tuple of Override
        Own rules for attributes.
    private : tuple of PrivateElement
        More safe private elements.
    admit_documents : tuple of AdmittedDocument
        Encapsulated documents that are not withheld.
    """

    name: str = Field(pattern=r"[a-z][a-z0-9_-]{0,30}")
    options: frozenset[Literal[tuple(OPTIONS)]] = frozenset()  # type: ignore[valid-type]
    overrides: tuple[Override, ...] = ()
    private: tuple[PrivateElement, ...] = ()
    admit_documents: tuple[AdmittedDocument, ...] = ()

    @field_validator("overrides")
    @classmethod
    def _once(cls, overrides: tuple[Override, ...]) -> tuple[Override, ...]:
        tags = [override.tag for override in overrides]
        for tag in tags:
            if tags.count(tag) > 1:
                raise ValueError(f"{tag} has two rules")
        return overrides

    @cached_property
    def codes(self) -> tuple[tuple[str, str], ...]:
        """Code value and meaning of the Basic Profile and of each option, by code (PS3.16 CID 7050)."""
        return tuple(sorted(CODES[name] for name in ("basic", *self.options)))

    def model_dump(self, **kwargs: Any) -> dict[str, Any]:
        """Dump with the options in order, so that the same profile gives the same text."""
        content = super().model_dump(**kwargs)
        return {**content, "options": sorted(content["options"])}


def profile_file(name: str = "research") -> Path:
    """Return the file of a profile that Cairn comes with: of ``conf/deid`` in the repository, elsewhere of the package.

    Parameters
    ----------
    name : str
        ``research`` or ``basic``.

    Raises
    ------
    CairnError
        PROFILE_UNREADABLE when there is none of that name.
    """
    places = (_HERE.parents[2] / "conf" / "deid", _HERE / "data" / "profiles")
    found = [place / f"{name}.yaml" for place in places if (place / f"{name}.yaml").is_file()]
    if not found:
        raise CairnError("PROFILE_UNREADABLE", path=f"{name}.yaml", why="Cairn comes with no such profile")
    return found[0]


def load_profile(path: Path) -> Profile:
    """Read a profile.

    Raises
    ------
    CairnError
        PROFILE_UNREADABLE, PROFILE_RULE.
    """
    try:
        tree = yaml.safe_load(path.read_text("utf-8"))
    except OSError as fault:
        raise CairnError("PROFILE_UNREADABLE", path=path, why=fault.strerror) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise CairnError("PROFILE_UNREADABLE", path=path, why="it is no YAML") from None
    try:
        return Profile.model_validate(tree)
    except ValidationError as faults:
        first = faults.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "its top"
        near = nearest(str(first["loc"][-1]), Profile.model_fields) if first["type"] == "extra_forbidden" else ""
        raise CairnError("PROFILE_RULE", path=path, place=place, why=first["msg"], nearest=near) from None
