"""What kind of image it is, from what the header says: localizer, contrast, original or derived.

The rules are patterns and names so that the pipeline can apply them to columns as they are; each pattern means the
same to Python and to Java.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LOCALIZER_WORDS = (
    r"(?i)(?<![a-z])(locali[sz]ers?|locator|loc|scouts?|topograms?|surviews?|scanograms?|scano|surveys?|pilots?"
    r"|3[ _-]?planes?|three[ _-]?planes?)(?![a-z])"
)
"""Words of Series Description that makers give to localizers, as whole words (``LOC`` but not ``LOcontrast``)."""

LOCALIZER_MODALITIES = ("CT", "MR", "PT")
"""Modalities in which those words mean a localizer (a skeletal *survey* is a set of radiographs)."""

LOCALIZER_PLANES = 3
"""An original CT series of no more images than this, sagittal or coronal, is a localizer whatever its name."""

NO_CONTRAST = (
    r"(?i)^[\s.\-_0]*(none|no|n|nil|no[nt]?[ _-]?(iv[ _-]?)?contrast|no agent|n/?a|not applicable|without|w/?o"
    r"|unenhanced|plain|false|unknown|unk)?[\s.]*$"
)
"""Values of Contrast/Bolus Agent that say there was none, or nothing."""


def says_localizer(modality: str | None, image_type: Sequence[str | None] | None, description: str | None) -> bool:
    """Return whether a header calls its image a localizer.

    Parameters
    ----------
    modality : str or None
        Modality.
    image_type : sequence of str or None
        Image Type: value 3 is LOCALIZER (PS3.3 C.8.2.1.1.1, C.8.3.1.1.1); makers also put it, or SCOUT, further on.
    description : str or None
        Series Description.

    Returns
    -------
    bool
        True by Image Type, or by :data:`LOCALIZER_WORDS` in the modalities where they mean it.
    """
    if any((value or "").strip().upper() in ("LOCALIZER", "SCOUT") for value in (image_type or ())[2:]):
        return True
    return modality in LOCALIZER_MODALITIES and re.search(LOCALIZER_WORDS, description or "") is not None


def says_contrast(agent: str | None, agent_code: str | None = None, administered: str | None = None) -> bool:
    """Return whether a header says that a contrast agent was given (PS3.3 C.7.6.4, C.7.6.16.2.12).

    Parameters
    ----------
    agent : str or None
        Contrast/Bolus Agent; values as in :data:`NO_CONTRAST` mean none.
    agent_code : str or None
        Code of the agent.
    administered : str or None
        Contrast/Bolus Agent Administered of an enhanced image: NO overrules the agent.

    Returns
    -------
    bool
        True when an agent is named and not denied.
    """
    if (administered or "").strip().upper() == "NO":
        return False
    named = agent is not None and re.search(NO_CONTRAST, agent) is None
    return named or bool((agent_code or "").strip()) or (administered or "").strip().upper() == "YES"
