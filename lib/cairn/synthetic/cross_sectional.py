"""CT, MR and PET slices (PS3.3 A.3, A.4, A.21)."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.uid import CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage

from cairn.synthetic.draws import uid
from cairn.synthetic.encoding import Attributes, Typed, decimal
from cairn.synthetic.geometry import Stack
from cairn.synthetic.modules import SeriesContext, code, date_text, shared, time_text
from cairn.synthetic.private_blocks import blocks, place
from cairn.synthetic.series import Built, Pixels, own_identity


@dataclass(frozen=True)
class Plan:
    """What is special about a series of slices.

    Parameters
    ----------
    orientation : str
        See :data:`cairn.synthetic.geometry.DIRECTIONS`.
    missing : tuple of int
        Places without a slice.
    irregular : bool
        Whether the spacing changes.
    localizer, contrast, derived : bool
        What the series is.
    weighting : str
        MR: T1, T2, FLAIR, DWI or TOF.
    """

    orientation: str = "AXIAL"
    missing: tuple[int, ...] = ()
    irregular: bool = False
    localizer: bool = False
    contrast: bool = False
    derived: bool = False
    weighting: str = "T1"


def _stack(context: SeriesContext, plan: Plan, spacing: float, field_of_view: float) -> Stack:
    size = context.study.pixel_size
    return Stack(
        orientation=plan.orientation,
        slices=context.count,
        spacing=spacing,
        pixel_spacing=float(decimal(field_of_view / size)),
        rows=size,
        columns=size,
        missing=plan.missing,
        irregular=plan.irregular,
    )


def _image(stack: Stack, plan: Plan, frame_of_reference: str, kind: str) -> Attributes:
    """Image plane, pixel and frame of reference modules (C.7.6.2, C.7.6.3, C.7.4.1)."""
    origin = ["DERIVED", "SECONDARY", "REFORMATTED"] if plan.derived else ["ORIGINAL", "PRIMARY", kind]
    if plan.localizer:
        origin = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    return {
        "ImageType": origin,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": stack.rows,
        "Columns": stack.columns,
        "PixelSpacing": [decimal(stack.pixel_spacing)] * 2,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "FrameOfReferenceUID": frame_of_reference,
        "PositionReferenceIndicator": "",
        "ImageOrientationPatient": stack.orientation_values,
        "PatientPosition": "HFS",
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
    }


def _own(context: SeriesContext, stack: Stack, seconds: float) -> list[Attributes]:
    own = []
    for number, distance in enumerate(stack.distances(), 1):
        moment = context.time(seconds * number)
        own.append(
            {
                **own_identity(context, number, seconds * number),
                "AcquisitionDate": date_text(moment),
                "AcquisitionTime": time_text(moment),
                "ImagePositionPatient": stack.position_values(distance),
                "SliceLocation": decimal(distance),
            }
        )
    return own


def _truth(context: SeriesContext, stack: Stack, plan: Plan) -> dict[str, object]:
    return {
        **stack.truth(),
        "localizer": plan.localizer,
        "contrast": plan.contrast,
        "original": not plan.derived,
        "weighting": plan.weighting if context.modality == "MR" else None,
        "rows": stack.rows,
        "columns": stack.columns,
    }


def _private(context: SeriesContext) -> Attributes:
    return place(blocks(context.model.maker, context.modality, context.draws("private")))


def _frame_of_reference(context: SeriesContext) -> str:
    return uid(context.study.seed, "frame of reference", context.study.index)


def _contrast(context: SeriesContext, agent: str) -> Attributes:
    """Contrast/bolus module (C.7.6.4)."""
    return {
        "ContrastBolusAgent": agent,
        "ContrastBolusRoute": "IV",
        "ContrastBolusVolume": "100",
        "ContrastBolusStartTime": time_text(context.time(-40)),
        "ContrastBolusTotalDose": "100",
        "ContrastBolusIngredient": "IODINE" if context.modality == "CT" else "GADOLINIUM",
    }


def ct(context: SeriesContext, plan: Plan) -> Built:
    """Return a CT series: Hounsfield units by rescale, the maker's private blocks, about 155 elements."""
    draws = context.draws("ct")
    spacing = draws.choice([0.625, 1.0, 1.25, 2.5, 3.0, 5.0])
    stack = _stack(context, plan, spacing, 350.0)
    current = draws.integer(40, 600)
    common: Attributes = {
        **shared(context, CTImageStorage),
        **_image(stack, plan, _frame_of_reference(context), "AXIAL"),
        "AcquisitionNumber": context.number,
        "SliceThickness": decimal(spacing),
        "SpacingBetweenSlices": decimal(spacing),
        "ScanOptions": "SCOUT MODE" if plan.localizer else "HELICAL MODE",
        "KVP": draws.choice(["80", "100", "120", "140"]),
        "DataCollectionDiameter": "500.000000",
        "ReconstructionDiameter": "350.000000",
        "DistanceSourceToDetector": "949.075012",
        "DistanceSourceToPatient": "541.000000",
        "GantryDetectorTilt": draws.choice(["0.000000", "0", "-12.5"]),
        "TableHeight": decimal(draws.number(100, 220)),
        "RotationDirection": "CW",
        "ExposureTime": draws.integer(300, 1200),
        "XRayTubeCurrent": current,
        "Exposure": current // 2,
        "FilterType": "BODY FILTER",
        "GeneratorPower": current * 12 // 100,
        "FocalSpots": "1.200000",
        "ConvolutionKernel": draws.choice(["STANDARD", "BONE", "LUNG", "B30f", "Br40d\\2", "FC08"]),
        "SingleCollimationWidth": 0.625,
        "TotalCollimationWidth": 40.0,
        "TableSpeed": 55.0,
        "TableFeedPerRotation": 39.375,
        "SpiralPitchFactor": draws.choice([0.984375, 0.6, 1.375]),
        "CTDIvol": draws.number(1, 40),
        "CTDIPhantomTypeCodeSequence": [code("113691", "DCM", "IEC Body Dosimetry Phantom")],
        "ExposureModulationType": draws.choice(["XYZ_EC", "NONE", "SMART_MA"]),
        "WindowCenter": draws.choice(["40", "40\\-600", "50"]),
        "WindowWidth": draws.choice(["400", "400\\1500", "350"]),
        "RescaleIntercept": "-1024",
        "RescaleSlope": "1",
        "RescaleType": "HU",
        "PixelPaddingValue": 0,
        **_private(context),
    }
    if plan.contrast:
        common.update(_contrast(context, draws.choice(["OMNIPAQUE 300", "Iomeron 350", "CONTRAST"])))
    size = context.study.pixel_size
    own = _own(context, stack, 0.4)
    return Built(context, CTImageStorage, common, own, Pixels("ct", size, size), _truth(context, stack, plan))


_MR_TIMES = {  # repetition, echo, inversion time (ms), flip angle
    "T1": ("500", "10", None, "90"),
    "T2": ("4500", "95", None, "150"),
    "FLAIR": ("9000", "110", "2500", "150"),
    "DWI": ("6200", "78", None, "90"),
    "TOF": ("22", "3.69", None, "18"),
}


def mr(context: SeriesContext, plan: Plan) -> Built:
    """Return an MR series of one weighting."""
    draws = context.draws("mr")
    spacing = draws.choice([1.0, 3.3, 5.5, 6.0])
    stack = _stack(context, plan, spacing, 240.0)
    repetition, echo, inversion, flip = _MR_TIMES[plan.weighting]
    common: Attributes = {
        **shared(context, MRImageStorage),
        **_image(stack, plan, _frame_of_reference(context), "M"),
        "AcquisitionNumber": 1,
        "ScanningSequence": {"T1": "SE", "T2": "SE", "FLAIR": ["SE", "IR"], "DWI": "EP", "TOF": "GR"}[plan.weighting],
        "SequenceVariant": ["SK", "SP"],
        "ScanOptions": draws.choice(["PFP", "FS", "", "SAT_GEMS"]),
        "MRAcquisitionType": "3D" if plan.weighting == "TOF" else "2D",
        "SequenceName": {
            "T1": "*se2d1",
            "T2": "*tse2d1_17",
            "FLAIR": "*tir2d1_16",
            "DWI": "*ep_b1000t",
            "TOF": "*fl3d1r",
        }[plan.weighting],
        "AngioFlag": "Y" if plan.weighting == "TOF" else "N",
        "SliceThickness": decimal(spacing / 1.1),
        "SpacingBetweenSlices": decimal(spacing),
        "RepetitionTime": repetition,
        "EchoTime": echo,
        "InversionTime": inversion or "",
        "NumberOfAverages": "1",
        "ImagingFrequency": "63.676016",
        "ImagedNucleus": "1H",
        "EchoNumbers": 1,
        "MagneticFieldStrength": draws.choice(["1.5", "3", "1.494"]),
        "NumberOfPhaseEncodingSteps": draws.integer(120, 400),
        "EchoTrainLength": 17 if plan.weighting == "T2" else 1,
        "PercentSampling": "100",
        "PercentPhaseFieldOfView": "87.5",
        "PixelBandwidth": "130",
        "TransmitCoilName": "Body",
        "ReceiveCoilName": "HeadMatrix",
        "AcquisitionMatrix": [0, 256, 224, 0],
        "InPlanePhaseEncodingDirection": "ROW",
        "FlipAngle": flip,
        "VariableFlipAngleFlag": "N",
        "SAR": "0.6215",
        "dBdt": "0",
        "WindowCenter": "450",
        "WindowWidth": "900",
        "SmallestImagePixelValue": 0,
        "LargestImagePixelValue": 1023,
        **_private(context),
    }
    if plan.weighting == "DWI":
        common["DiffusionBValue"] = 1000.0
    if plan.contrast:
        common.update(_contrast(context, "DOTAREM"))
    size = context.study.pixel_size
    own = _own(context, stack, 1.7)
    return Built(context, MRImageStorage, common, own, Pixels("mr", size, size), _truth(context, stack, plan))


def pt(context: SeriesContext, plan: Plan) -> Built:
    """Return a PET series (C.8.9)."""
    draws = context.draws("pt")
    stack = _stack(context, plan, draws.choice([3.27, 5.0, 2.0]), 600.0)
    energy: Attributes = {"EnergyWindowLowerLimit": "425", "EnergyWindowUpperLimit": "650"}
    drug: Attributes = {
        "Radiopharmaceutical": "FDG -- fluorodeoxyglucose",
        "RadiopharmaceuticalVolume": "0",
        "RadiopharmaceuticalStartTime": time_text(context.time(-3600)),
        "RadionuclideTotalDose": decimal(draws.number(2.0e8, 4.5e8, 0)),
        "RadionuclideHalfLife": "6588",
        "RadionuclidePositronFraction": "0.97",
        "RadionuclideCodeSequence": [code("C-111A1", "SRT", "^18^Fluorine")],
        "RadiopharmaceuticalCodeSequence": [code("C-B1031", "SRT", "Fluorodeoxyglucose F^18^")],
    }
    image = _image(stack, plan, _frame_of_reference(context), "AXIAL")
    image["ImageType"] = ["ORIGINAL", "PRIMARY"]
    common: Attributes = {
        **shared(context, PositronEmissionTomographyImageStorage),
        **image,
        "SliceThickness": decimal(stack.spacing),
        "ActualFrameDuration": 180000,
        "CorrectedImage": ["DECY", "ATTN", "SCAT", "DTIM", "RAN", "NORM"],
        "RadiopharmaceuticalInformationSequence": [{**drug, "EnergyWindowRangeSequence": []}],
        "EnergyWindowRangeSequence": [energy],
        "SeriesType": ["WHOLE BODY", "IMAGE"],
        "Units": "BQML",
        "CountsSource": "EMISSION",
        "RandomsCorrectionMethod": "DLYD",
        "AttenuationCorrectionMethod": "CT Attenuation Correction",
        "ScatterCorrectionMethod": "Convolution subtraction",
        "DecayCorrection": "START",
        "ReconstructionMethod": draws.choice(["OSEM", "VPFXS", "PSF+TOF 2i21s"]),
        "NumberOfSlices": context.count,
        "FrameReferenceTime": "0",
        "DecayFactor": "1.01",
        "RescaleIntercept": "0",
        "RescaleSlope": "4.37325",
        "NumberOfTimeSlices": Typed("US", 1),
        **_private(context),
    }
    size = context.study.pixel_size
    own = _own(context, stack, 1.0)
    return Built(
        context,
        PositronEmissionTomographyImageStorage,
        common,
        own,
        Pixels("mr", size, size),
        _truth(context, stack, plan),
    )
