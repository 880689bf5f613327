"""The site's terms of de-identification, out of settings and command line; nothing begins without a safe key."""

from __future__ import annotations

from pathlib import Path

from cairn.deid.keys import read_key
from cairn.deid.opt_outs import read_opt_outs
from cairn.deid.profile import load_profile, profile_file
from cairn.errors import CairnError
from cairn.pipelines.deidentify_task import Terms
from cairn.settings import Settings


def site_terms(settings: Settings, profile: str | None = None, opt_outs: str | None = None) -> Terms:
    """Return the terms; the profile is that which Cairn comes with when neither settings nor command line name one.

    Parameters
    ----------
    settings : Settings
        Keys' folder, profile, opt-outs, shift.
    profile, opt_outs : str or None
        From the command line; stronger than the settings.

    Raises
    ------
    CairnError
        KEYS_UNSET, and as the readers of key, profile and opt-outs.
    """
    if not settings.keys.directory:
        raise CairnError("KEYS_UNSET")
    folder = Path(settings.keys.directory).absolute()
    read_key(folder)
    listed = opt_outs or settings.deid.opt_outs
    return Terms(
        load_profile(Path(profile or settings.deid.profile or profile_file())),
        str(folder),
        settings.deid.date_shift_days,
        read_opt_outs(Path(listed)) if listed else frozenset(),
    )
