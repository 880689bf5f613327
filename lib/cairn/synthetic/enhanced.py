"""Enhanced multi-frame CT and MR, and segmentations: one instance, one functional group a frame (PS3.3 C.7.6.16)."""

from __future__ import annotations

from pydicom.uid import EnhancedCTImageStorage, EnhancedMRImageStorage, SegmentationStorage

from cairn.synthetic.cross_sectional import Plan
from cairn.synthetic.draws import uid
from cairn.synthetic.encoding import Attributes, decimal
from cairn.synthetic.geometry import Stack
from cairn.synthetic.modules import SeriesContext, code, date_text, shared, time_text
from cairn.synthetic.private_blocks import blocks, place
from cairn.synthetic.series import Built, Pixels, own_identity

FRAMES = 60


def _stamp(context: SeriesContext, seconds: float) -> str:
    moment = context.time(seconds)
    return date_text(moment) + time_text(moment)


def _frame(context: SeriesContext, stack: Stack, number: int, distance: float) -> Attributes:
    """Return the per-frame functional groups of one frame."""
    content: Attributes = {
        "FrameAcquisitionDateTime": _stamp(context, number),
        "FrameReferenceDateTime": _stamp(context, number),
        "FrameAcquisitionDuration": 1000.0,
        "FrameAcquisitionNumber": 1,
        "StackID": "1",
        "InStackPositionNumber": number,
        "TemporalPositionIndex": 1,
        "DimensionIndexValues": [1, number, 1],
        "FrameComments": "",
    }
    groups: Attributes = {
        "FrameContentSequence": [content],
        "PlanePositionSequence": [{"ImagePositionPatient": stack.position_values(distance)}],
        "PlaneOrientationSequence": [{"ImageOrientationPatient": stack.orientation_values}],
        "FrameVOILUTSequence": [{"WindowCenter": "450", "WindowWidth": decimal(900 + number)}],
    }
    if context.modality == "MR":
        groups["MRAveragesSequence"] = [{"NumberOfAverages": 1.0}]
        groups["MREchoSequence"] = [{"EffectiveEchoTime": 30.0 + number / 8}]
        groups["MRMetaboliteMapSequence"] = [{"MetaboliteMapDescription": "WATER"}]
        groups["MRDiffusionSequence"] = [{"DiffusionBValue": 0.0, "DiffusionDirectionality": "NONE"}]
    else:
        groups["CTPositionSequence"] = [
            {
                "TablePosition": distance,
                "DataCollectionCenterPatient": [0.0, 0.0, distance],
                "ReconstructionTargetCenterPatient": [0.0, 0.0, distance],
            }
        ]
        groups["CTExposureSequence"] = [
            {"ExposureTimeInms": 500.0, "XRayTubeCurrentInmA": 200.0 + number, "ExposureInmAs": 100.0}
        ]
    private: Attributes = place(
        [(0x2005, "Philips MR Imaging DD 001", [(0x0E, "FL", 4.25), (0x0D, "FL", 0.0), (0x10, "DS", "900")])]
    )
    return {**groups, **private, **_more(context, number)}


def _more(context: SeriesContext, number: int) -> Attributes:
    """Return the further groups that a long frame description holds."""
    if context.modality == "MR":
        return {"IrradiationEventIdentificationSequence": []}
    return {
        "IrradiationEventIdentificationSequence": [
            {"IrradiationEventUID": uid(context.study.seed, "irradiation", context.study.index, number)}
        ]
    }


def _shared_groups(context: SeriesContext, stack: Stack) -> Attributes:
    """Return the functional groups that all frames have in common."""
    measures: Attributes = {
        "PixelSpacing": [decimal(stack.pixel_spacing)] * 2,
        "SliceThickness": decimal(stack.spacing),
        "SpacingBetweenSlices": decimal(stack.spacing),
    }
    transformation: Attributes = {"RescaleIntercept": "-1024", "RescaleSlope": "1", "RescaleType": "HU"}
    groups: Attributes = {
        "PixelMeasuresSequence": [measures],
        "FrameAnatomySequence": [{"FrameLaterality": "U", "AnatomicRegionSequence": [code("T-A0100", "SRT", "Brain")]}],
        "PixelValueTransformationSequence": [transformation],
    }
    if context.modality == "MR":
        timing: Attributes = {
            "RepetitionTime": "4500",
            "FlipAngle": "150",
            "EchoTrainLength": 17,
            "RFEchoTrainLength": 17,
        }
        groups["MRTimingAndRelatedParametersSequence"] = [timing]
        groups["MRImageFrameTypeSequence"] = [{"FrameType": ["ORIGINAL", "PRIMARY", "M", "NONE"]}]
    else:
        groups["CTImageFrameTypeSequence"] = [{"FrameType": ["ORIGINAL", "PRIMARY", "AXIAL", "NONE"]}]
        groups["CTReconstructionSequence"] = [
            {"ReconstructionAlgorithm": "FILTER_BACK_PROJ", "ConvolutionKernel": "B30f"}
        ]
    return groups


def _dimensions(context: SeriesContext) -> Attributes:
    """Multi-frame dimension module (C.7.6.17)."""
    organisation = uid(context.study.seed, "dimensions", context.study.index)
    pointers = [0x00209056, 0x00209057, 0x00209128]
    return {
        "DimensionOrganizationSequence": [{"DimensionOrganizationUID": organisation}],
        "DimensionIndexSequence": [
            {
                "DimensionOrganizationUID": organisation,
                "DimensionIndexPointer": pointer,
                "FunctionalGroupPointer": 0x00209111,
            }
            for pointer in pointers
        ],
    }


def enhanced(context: SeriesContext, plan: Plan) -> Built:
    """Return an enhanced CT or MR series of one instance; 60 frames make about 2,083 elements."""
    size, frames = context.study.pixel_size, context.count
    sop_class = EnhancedMRImageStorage if context.modality == "MR" else EnhancedCTImageStorage
    stack = Stack(plan.orientation, frames, 2.5, float(decimal(240.0 / size)), size, size, plan.missing, plan.irregular)
    per_frame = [_frame(context, stack, n, distance) for n, distance in enumerate(stack.distances(), 1)]
    common: Attributes = {
        **shared(context, sop_class),
        "ImageType": ["ORIGINAL", "PRIMARY", "M" if context.modality == "MR" else "AXIAL", "NONE"],
        "AcquisitionDateTime": _stamp(context, 0),
        "AcquisitionDuration": 60.0,
        "NumberOfFrames": frames,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": size,
        "Columns": size,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "PixelPresentation": "MONOCHROME",
        "VolumetricProperties": "VOLUME",
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        "ContentQualification": "PRODUCT",
        "FrameOfReferenceUID": uid(context.study.seed, "frame of reference", context.study.index),
        "SharedFunctionalGroupsSequence": [_shared_groups(context, stack)],
        "PerFrameFunctionalGroupsSequence": per_frame,
        **_dimensions(context),
        **place(blocks(context.model.maker, context.modality, context.draws("private"))),
    }
    truth = {**stack.truth(), "localizer": False, "contrast": False, "original": True, "rows": size, "columns": size}
    kind = "mr" if context.modality == "MR" else "ct"
    return Built(context, sop_class, common, [own_identity(context, 1, 0)], Pixels(kind, size, size, frames), truth)


def segmentation(context: SeriesContext, source: Built) -> Built:
    """Return a segmentation whose frames refer to the instances of a CT or MR series."""
    size = int(source.common["Rows"])
    frames = len(source.own)
    segment: Attributes = {
        "SegmentNumber": 1,
        "SegmentLabel": "Lung",
        "SegmentAlgorithmType": "AUTOMATIC",
        "SegmentAlgorithmName": "threshold",
        "SegmentedPropertyCategoryCodeSequence": [code("T-D0050", "SRT", "Tissue")],
        "SegmentedPropertyTypeCodeSequence": [code("T-28000", "SRT", "Lung")],
    }
    per_frame: list[Attributes] = [
        {
            "FrameContentSequence": [{"DimensionIndexValues": [1, number]}],
            "PlanePositionSequence": [{"ImagePositionPatient": own["ImagePositionPatient"]}],
            "SegmentIdentificationSequence": [{"ReferencedSegmentNumber": 1}],
            "DerivationImageSequence": [
                {
                    "SourceImageSequence": [
                        {
                            "ReferencedSOPClassUID": source.sop_class_uid,
                            "ReferencedSOPInstanceUID": own["SOPInstanceUID"],
                        }
                    ],
                    "DerivationCodeSequence": [code("113076", "DCM", "Segmentation")],
                }
            ],
        }
        for number, own in enumerate(source.own, 1)
    ]
    common: Attributes = {
        **shared(context, SegmentationStorage),
        "ImageType": ["DERIVED", "PRIMARY"],
        "ContentLabel": "LUNG",
        "ContentDescription": "Lung mask",
        "ContentCreatorName": "Algorithm^One",
        "NumberOfFrames": frames,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": size,
        "Columns": size,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "LossyImageCompression": "00",
        "SegmentationType": "FRACTIONAL",
        "SegmentationFractionalType": "OCCUPANCY",
        "MaximumFractionalValue": 255,
        "SegmentSequence": [segment],
        "FrameOfReferenceUID": source.common["FrameOfReferenceUID"],
        "ReferencedSeriesSequence": [
            {
                "SeriesInstanceUID": source.context.uid,
                "ReferencedInstanceSequence": [
                    {"ReferencedSOPClassUID": source.sop_class_uid, "ReferencedSOPInstanceUID": own["SOPInstanceUID"]}
                    for own in source.own
                ],
            }
        ],
        "SharedFunctionalGroupsSequence": [
            {"PlaneOrientationSequence": [{"ImageOrientationPatient": source.common["ImageOrientationPatient"]}]}
        ],
        "PerFrameFunctionalGroupsSequence": per_frame,
    }
    truth: dict[str, object] = {"localizer": False, "contrast": False, "original": False, "rows": size, "columns": size}
    own_one = [own_identity(context, 1, 0)]
    return Built(context, SegmentationStorage, common, own_one, Pixels("grey", size, size, frames), truth)
