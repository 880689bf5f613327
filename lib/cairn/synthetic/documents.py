"""Objects without pixels of their own: reports, key objects, presentation states, contours, curves, PDF, spectra."""

from __future__ import annotations

import struct

from pydicom.uid import (
    BasicTextSRStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    MRSpectroscopyStorage,
    RTStructureSetStorage,
    TwelveLeadECGWaveformStorage,
)

from cairn.synthetic.encoding import Attributes, Typed, decimal
from cairn.synthetic.modules import SeriesContext, code, date_text, shared, time_text
from cairn.synthetic.series import Built, own_identity

NOT_AN_IMAGE: dict[str, object] = {"localizer": False, "contrast": False, "original": None}


def reference_to(source: Built, number: int) -> Attributes:
    """Return a SOP instance reference (C.17.1) to the `number`-th instance of a series."""
    return {
        "ReferencedSOPClassUID": source.sop_class_uid,
        "ReferencedSOPInstanceUID": source.own[number]["SOPInstanceUID"],
    }


def _evidence(source: Built) -> Attributes:
    """Return a hierarchical reference to a whole series (C.17.2.1)."""
    return {
        "StudyInstanceUID": source.context.study.uid,
        "ReferencedSeriesSequence": [
            {
                "SeriesInstanceUID": source.common["SeriesInstanceUID"],
                "ReferencedSOPSequence": [reference_to(source, number) for number in range(len(source.own))],
            }
        ],
    }


def _built(context: SeriesContext, sop_class: str, attributes: Attributes) -> Built:
    common: Attributes = {**shared(context, sop_class), **attributes}
    return Built(context, sop_class, common, [own_identity(context, 1, 60)], None, dict(NOT_AN_IMAGE))


def _text(relation: str, meaning: str, text: str) -> Attributes:
    return {
        "RelationshipType": relation,
        "ValueType": "TEXT",
        "ConceptNameCodeSequence": [code(f"9{len(meaning):04d}", "99CAIRN", meaning)],
        "TextValue": text,
    }


def _container(meaning: str, content: list[Attributes]) -> Attributes:
    return {
        "RelationshipType": "CONTAINS",
        "ValueType": "CONTAINER",
        "ConceptNameCodeSequence": [code("121070", "DCM", meaning)],
        "ContinuityOfContent": "SEPARATE",
        "ContentSequence": content,
    }


def report(context: SeriesContext, source: Built) -> Built:
    """Return a text report whose content tree is four deep and names the patient as reports do."""
    study, draws = context.study, context.draws("report")
    finding = draws.choice(
        [
            "No acute intracranial haemorrhage. Mild small vessel change.",
            "Consolidation in the right lower lobe. Follow-up film in 6 weeks is advised.",
            "Circle of Willis unremarkable. No Parkinsonian pattern on DaT.",
            "<p>Normal heart size.&nbsp;Lungs clear &amp; no effusion.</p>",
        ]
    )
    measurement: Attributes = {
        "RelationshipType": "CONTAINS",
        "ValueType": "NUM",
        "ConceptNameCodeSequence": [code("G-D705", "SRT", "Volume")],
        "MeasuredValueSequence": [
            {
                "NumericValue": decimal(draws.number(1, 90, 1)),
                "MeasurementUnitsCodeSequence": [code("cm3", "UCUM", "cubic centimetre")],
            }
        ],
    }
    image: Attributes = {
        "RelationshipType": "INFERRED FROM",
        "ValueType": "IMAGE",
        "ReferencedSOPSequence": [reference_to(source, 0)],
    }
    who = f"{study.person.given_name} {study.person.family_name}"
    history = f"{who}, born {study.person.birth_date:%d/%m/%Y}. {study.description}"
    tree = [
        {
            "RelationshipType": "HAS OBS CONTEXT",
            "ValueType": "PNAME",
            "ConceptNameCodeSequence": [code("121008", "DCM", "Person Observer Name")],
            "PersonName": "Reid^Ailsa^^Dr",
        },
        _container("History", [_text("CONTAINS", "Clinical history", history)]),
        _container("Findings", [{**_text("CONTAINS", "Finding", finding), "ContentSequence": [image]}, measurement]),
        _container("Impression", [_text("CONTAINS", "Impression", finding)]),
    ]
    return _built(
        context,
        BasicTextSRStorage,
        {
            "CompletionFlag": "COMPLETE",
            "VerificationFlag": "VERIFIED",
            "VerifyingObserverSequence": [
                {
                    "VerifyingOrganization": study.person.hospital_name,
                    "VerificationDateTime": date_text(study.start) + time_text(study.start),
                    "VerifyingObserverName": "Reid^Ailsa^^Dr",
                    "VerifyingObserverIdentificationCodeSequence": [],
                }
            ],
            "ReferencedPerformedProcedureStepSequence": [],
            "PerformedProcedureCodeSequence": [],
            "CurrentRequestedProcedureEvidenceSequence": [_evidence(source)],
            "ValueType": "CONTAINER",
            "ConceptNameCodeSequence": [code("18748-4", "LN", "Diagnostic Imaging Report")],
            "ContinuityOfContent": "SEPARATE",
            "ContentSequence": tree,
        },
    )


def key_object(context: SeriesContext, source: Built) -> Built:
    """Return a key object selection that points at the first and last instance of a series (A.35.4)."""
    chosen = sorted({0, len(source.own) - 1})
    content: list[Attributes] = [
        {"RelationshipType": "CONTAINS", "ValueType": "IMAGE", "ReferencedSOPSequence": [reference_to(source, number)]}
        for number in chosen
    ]
    return _built(
        context,
        KeyObjectSelectionDocumentStorage,
        {
            "ValueType": "CONTAINER",
            "ConceptNameCodeSequence": [code("113000", "DCM", "Of Interest")],
            "ContinuityOfContent": "SEPARATE",
            "CurrentRequestedProcedureEvidenceSequence": [_evidence(source)],
            "ReferencedPerformedProcedureStepSequence": [],
            "ContentSequence": [_text("CONTAINS", "Key Object Description", "For discussion at MDT"), *content],
        },
    )


def presentation_state(context: SeriesContext, source: Built) -> Built:
    """Return a greyscale presentation state with a text annotation on one image (A.33.1)."""
    text: Attributes = {
        "UnformattedTextValue": "? nodule",
        "AnchorPoint": [20.0, 30.0],
        "AnchorPointVisibility": "Y",
        "AnchorPointAnnotationUnits": "PIXEL",
    }
    area: Attributes = {
        "DisplayedAreaTopLeftHandCorner": [1, 1],
        "DisplayedAreaBottomRightHandCorner": [source.common["Columns"], source.common["Rows"]],
        "PresentationSizeMode": "SCALE TO FIT",
        "PresentationPixelAspectRatio": [1, 1],
    }
    return _built(
        context,
        GrayscaleSoftcopyPresentationStateStorage,
        {
            "ContentLabel": "ANNOTATED",
            "ContentDescription": "Nodule marked",
            "ContentCreatorName": "Reid^Ailsa",
            "PresentationCreationDate": date_text(context.time()),
            "PresentationCreationTime": time_text(context.time()),
            "ReferencedSeriesSequence": [
                {
                    "SeriesInstanceUID": source.common["SeriesInstanceUID"],
                    "ReferencedImageSequence": [reference_to(source, 0)],
                }
            ],
            "GraphicAnnotationSequence": [
                {
                    "GraphicLayer": "LAYER1",
                    "ReferencedImageSequence": [reference_to(source, 0)],
                    "TextObjectSequence": [text],
                }
            ],
            "GraphicLayerSequence": [{"GraphicLayer": "LAYER1", "GraphicLayerOrder": 1}],
            "DisplayedAreaSelectionSequence": [area],
            "SoftcopyVOILUTSequence": [{"WindowCenter": "40", "WindowWidth": "400"}],
            "PresentationLUTShape": "IDENTITY",
        },
    )


def structure_set(context: SeriesContext, source: Built) -> Built:
    """Return an RT structure set with one contour on every slice of a CT series (A.19)."""
    frame = source.common["FrameOfReferenceUID"]
    images = [reference_to(source, number) for number in range(len(source.own))]
    contours: list[Attributes] = []
    for number, own in enumerate(source.own):
        z = own["ImagePositionPatient"][2]
        points = [f"{x}\\{y}\\{z}" for x, y in ((-20, -20), (20, -20), (20, 20), (-20, 20))]
        contours.append(
            {
                "ContourImageSequence": [reference_to(source, number)],
                "ContourGeometricType": "CLOSED_PLANAR",
                "NumberOfContourPoints": 4,
                "ContourData": "\\".join(points),
            }
        )
    series_reference: Attributes = {
        "SeriesInstanceUID": source.common["SeriesInstanceUID"],
        "ContourImageSequence": images,
    }
    study_reference: Attributes = {
        "ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.1",
        "ReferencedSOPInstanceUID": context.study.uid,
        "RTReferencedSeriesSequence": [series_reference],
    }
    return _built(
        context,
        RTStructureSetStorage,
        {
            "StructureSetLabel": "PLAN1",
            "StructureSetDate": date_text(context.time()),
            "StructureSetTime": time_text(context.time()),
            "ReferencedFrameOfReferenceSequence": [
                {"FrameOfReferenceUID": frame, "RTReferencedStudySequence": [study_reference]}
            ],
            "StructureSetROISequence": [
                {
                    "ROINumber": 1,
                    "ReferencedFrameOfReferenceUID": frame,
                    "ROIName": "GTV",
                    "ROIGenerationAlgorithm": "MANUAL",
                }
            ],
            "ROIContourSequence": [
                {"ROIDisplayColor": ["255", "0", "0"], "ReferencedROINumber": 1, "ContourSequence": contours}
            ],
            "RTROIObservationsSequence": [
                {"ObservationNumber": 1, "ReferencedROINumber": 1, "RTROIInterpretedType": "GTV", "ROIInterpreter": ""}
            ],
            "ApprovalStatus": "UNAPPROVED",
        },
    )


def electrocardiogram(context: SeriesContext) -> Built:
    """Return a twelve-lead ECG of one second at 100 Hz (A.34.3)."""
    leads, samples = 12, 100
    triangle = [min(n % 50, 50 - n % 50) * 40 for n in range(samples)]
    data = struct.pack(f"<{leads * samples}h", *(value + lead for value in triangle for lead in range(leads)))
    channels: list[Attributes] = [
        {
            "ChannelSourceSequence": [code(f"2:{number + 1}", "MDC", f"Lead {number + 1}")],
            "ChannelSensitivity": "5",
            "ChannelSensitivityUnitsSequence": [code("uV", "UCUM", "microvolt")],
            "ChannelSensitivityCorrectionFactor": "1",
            "ChannelBaseline": "0",
            "WaveformBitsStored": 16,
        }
        for number in range(leads)
    ]
    waveform: Attributes = {
        "WaveformOriginality": "ORIGINAL",
        "NumberOfWaveformChannels": leads,
        "NumberOfWaveformSamples": samples,
        "SamplingFrequency": "100",
        "ChannelDefinitionSequence": channels,
        "WaveformBitsAllocated": 16,
        "WaveformSampleInterpretation": "SS",
        "WaveformData": Typed("OW", data),
    }
    return _built(
        context,
        TwelveLeadECGWaveformStorage,
        {"AcquisitionDateTime": date_text(context.time()) + time_text(context.time()), "WaveformSequence": [waveform]},
    )


_PDF = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>endobj
trailer<</Root 1 0 R>>
%%EOF
"""


def pdf_bytes() -> bytes:
    """Return a one-page PDF."""
    return _PDF


def encapsulated_pdf(context: SeriesContext) -> Built:
    """Return an encapsulated PDF (A.45.1)."""
    return _built(
        context,
        EncapsulatedPDFStorage,
        {
            "ConversionType": "WSD",
            "BurnedInAnnotation": "YES",
            "DocumentTitle": "Scanned request form",
            "MIMETypeOfEncapsulatedDocument": "application/pdf",
            "EncapsulatedDocument": pdf_bytes(),
            "EncapsulatedDocumentLength": len(pdf_bytes()),
            "ConceptNameCodeSequence": [],
        },
    )


def spectroscopy(context: SeriesContext) -> Built:
    """Return MR spectroscopy: spectra instead of pixels (A.36.3)."""
    points = 512
    return _built(
        context,
        MRSpectroscopyStorage,
        {
            "ImageType": ["ORIGINAL", "PRIMARY", "SPECTROSCOPY", "NONE"],
            "NumberOfFrames": 1,
            "Rows": 1,
            "Columns": 1,
            "DataPointRows": 1,
            "DataPointColumns": points,
            "DataRepresentation": "COMPLEX",
            "SignalDomainColumns": "TIME",
            "MagneticFieldStrength": "3",
            "ResonantNucleus": "1H",
            "SpectralWidth": Typed("FD", [2000.0]),
            "VolumeLocalizationTechnique": "PRESS",
            "SharedFunctionalGroupsSequence": [{"MREchoSequence": [{"EffectiveEchoTime": 135.0}]}],
            "PerFrameFunctionalGroupsSequence": [{"FrameContentSequence": [{"FrameAcquisitionNumber": 1}]}],
            "SpectroscopyData": Typed(
                "OF", struct.pack(f"<{2 * points}f", *(float(n % 64) for n in range(2 * points)))
            ),
        },
    )
