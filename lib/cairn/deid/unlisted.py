"""Attributes that Table E.1-1 does not list and that can identify all the same.

The table grows with every edition; what it has not got to yet is caught by what the attribute's name says and by what
its VR can hold. The lists are patterns over keywords of the data dictionary, so that new attributes of the same kind
are caught too.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pydicom._dicom_dict import DicomDictionary

_IDENTIFYING = re.compile(
    r"(Birth|Death)DateInAlternativeCalendar|OrderNumber|Originator|^HangingProtocolCreator$|UserGroupName|^OwnerID$"
    r"|^Printer|^PrintQueueID$|^PrintJobID$|ContactDisplayName|WelderIDs|BreedRegistration|RecordedSound|SourceAddress"
    r"|Itinerary|^RouteID|RouteSegment|BoardingPass|^CarrierID$|AssignedLocation|FileSetID|DeletionLock|LotIdentifier"
    r"|RadiationMachineName|^AuthorizationEquipment|^Encrypted|^Signature$|RecordKey$|^Selector(OL|OV)Value$"
    r"|(Physician|Asserter|Author|Observer|User|Organization|Placer|Filler|Group|GroupOfPatients)Identif\w*Sequence"
    r"|^(HumanPerformerCode|AssessmentRequester|ReferencedVisit|PertinentDocuments)Sequence"
    r"|(Document|Documenting)\w*IdentifierCodeSequence|^IssuerOf\w*Sequence$"
)
_DESCRIBING = re.compile(
    r"(Explanation|Description|Comments?|Notes|InstructionText|Label|DataSetName|BeamName|BlockName|RTImageName"
    r"|SelectorUCValue|AdditionalInformation)(Trial)?$"
)
_CODED = frozenset({"DimensionDescriptionLabel"})
"""Look like free text, and hold keywords of the standard."""

_SHORT_TEXT = frozenset({"LO", "SH", "UC"})


@lru_cache(maxsize=1)
def identifying() -> frozenset[int]:
    """Return the tags of attributes that name persons, places, orders or systems by what their keywords say."""
    return frozenset(tag for tag, entry in DicomDictionary.items() if _IDENTIFYING.search(entry[4]))


@lru_cache(maxsize=1)
def describing() -> frozenset[int]:
    """Return the tags of short texts that somebody may have typed freely."""
    return frozenset(
        tag
        for tag, entry in DicomDictionary.items()
        if entry[0] in _SHORT_TEXT and _DESCRIBING.search(entry[4]) and entry[4] not in _CODED
    )
