"""pydicom warns and logs with the values that it stumbles over; where real files are read nobody may hear it."""

from __future__ import annotations

import logging
import warnings


def silence_pydicom() -> None:
    """Keep pydicom from telling of values, in this process and from now on."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    warnings.simplefilter("ignore")
