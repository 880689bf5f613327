"""Radiographs, mammograms, angiography, ultrasound, nuclear medicine and secondary captures."""

from __future__ import annotations

import unicodedata

from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    NuclearMedicineImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

from cairn.synthetic.encoding import Attributes, decimal
from cairn.synthetic.modules import SeriesContext, code, date_text, shared, time_text
from cairn.synthetic.phantoms import PAGE, SMALL
from cairn.synthetic.private_blocks import blocks, place
from cairn.synthetic.series import Built, Pixels, own_identity

MAMMOGRAPHY_VIEWS = (("L", "CC"), ("R", "CC"), ("L", "MLO"), ("R", "MLO"))


def _pixel(rows: int, columns: int, bits: int, interpretation: str = "MONOCHROME2") -> Attributes:
    """Image pixel module (C.7.6.3)."""
    colour = interpretation in ("RGB", "YBR_FULL")
    attributes: Attributes = {
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": interpretation,
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": 8 if bits == 8 else 16,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": 0,
    }
    if colour:
        attributes["PlanarConfiguration"] = 0
    return attributes


def _private(context: SeriesContext) -> Attributes:
    return place(blocks(context.model.maker, context.modality, context.draws("private")))


def _acquired(context: SeriesContext) -> Attributes:
    return {"AcquisitionDate": date_text(context.time()), "AcquisitionTime": time_text(context.time())}


def _truth(rows: int, columns: int) -> dict[str, object]:
    return {"localizer": False, "contrast": False, "original": True, "rows": rows, "columns": columns}


def _exposure(context: SeriesContext) -> Attributes:
    """X-ray acquisition (C.8.7.2 and neighbours)."""
    draws = context.draws("exposure")
    return {
        "KVP": draws.choice(["70", "85", "125", "60.5"]),
        "ExposureTime": draws.integer(2, 60),
        "XRayTubeCurrent": draws.integer(100, 500),
        "Exposure": draws.integer(1, 12),
        "ExposureInuAs": draws.integer(1000, 12000),
        "DistanceSourceToDetector": "1800",
        "DistanceSourceToPatient": "1700",
        "ImageAndFluoroscopyAreaDoseProduct": decimal(draws.number(0.1, 9.0, 2)),
        "Grid": draws.choice(["NONE", "IN", "FOCUSED\\RECIPROCATING"]),
    }


def _matrix(context: SeriesContext, rows: int, columns: int) -> tuple[int, int]:
    """Return the matrix in reality, or a small one of like shape."""
    return (rows, columns) if context.study.pixel_size > SMALL else (SMALL, SMALL * columns // rows // 2 * 2)


def radiograph(context: SeriesContext) -> Built:
    """Return a CR or DX series: one view an instance."""
    dx = context.modality == "DX"
    sop_class = DigitalXRayImageStorageForPresentation if dx else ComputedRadiographyImageStorage
    rows, columns = _matrix(context, 1024, 832)
    draws = context.draws("radiograph")
    common: Attributes = {
        **shared(context, sop_class),
        **_acquired(context),
        **_exposure(context),
        **_pixel(
            rows, columns, 14 if dx else 12, "MONOCHROME2" if dx else draws.choice(["MONOCHROME1", "MONOCHROME2"])
        ),
        "ImageType": ["ORIGINAL", "PRIMARY", ""],
        "PatientOrientation": ["L", "F"],
        "ImagerPixelSpacing": ["0.139", "0.139"],
        "WindowCenter": "2048",
        "WindowWidth": "4096",
        "RescaleIntercept": "0",
        "RescaleSlope": "1",
        "RescaleType": "US",
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        "CollimatorShape": "RECTANGULAR",
        "CollimatorLeftVerticalEdge": 1,
        "CollimatorRightVerticalEdge": columns,
        "CollimatorUpperHorizontalEdge": 1,
        "CollimatorLowerHorizontalEdge": rows,
        "AcquisitionDeviceProcessingDescription": "CHEST PA GROWN-UP",
        **_private(context),
    }
    if dx:
        common.update(
            {
                "PresentationIntentType": "FOR PRESENTATION",
                "DetectorType": "SCINTILLATOR",
                "DetectorID": draws.digits(8),
                "DetectorTemperature": "31.5",
                "PixelIntensityRelationship": "LOG",
                "PixelIntensityRelationshipSign": -1,
                "ViewCodeSequence": [code("R-10214", "SRT", "postero-anterior")],
                "AnatomicRegionSequence": [code("T-D3000", "SRT", "Chest")],
            }
        )
    views = ["PA", "LATERAL", "AP"]
    own = [
        {**own_identity(context, n, 20.0 * n), "ViewPosition": views[(n - 1) % 3]} for n in range(1, context.count + 1)
    ]
    pixels = Pixels("projection", rows, columns, bits=14 if dx else 12)
    return Built(context, sop_class, common, own, pixels, _truth(rows, columns))


def mammogram(context: SeriesContext) -> Built:
    """Return the four standard views, or as many as are wanted."""
    rows, columns = _matrix(context, 1024, 768)
    draws = context.draws("mammogram")
    common: Attributes = {
        **shared(context, DigitalMammographyXRayImageStorageForPresentation),
        **_acquired(context),
        **_exposure(context),
        **_pixel(rows, columns, 12),
        "ImageType": ["DERIVED", "PRIMARY", ""],
        "PresentationIntentType": "FOR PRESENTATION",
        "PositionerType": "MAMMOGRAPHIC",
        "AnodeTargetMaterial": "TUNGSTEN",
        "FilterMaterial": "SILVER",
        "FilterThicknessMinimum": "0.045",
        "FilterThicknessMaximum": "0.055",
        "BodyPartThickness": draws.integer(20, 80),
        "CompressionForce": decimal(draws.number(50, 160, 1)),
        "ExposureInmAs": draws.number(20, 180, 2),
        "DetectorType": "DIRECT",
        "DetectorElementSpacing": ["0.07", "0.07"],
        "PixelIntensityRelationship": "LOG",
        "PixelIntensityRelationshipSign": 1,
        "BreastImplantPresent": "NO",
        "QualityControlImage": "NO",
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        **_private(context),
    }
    own = []
    for number in range(1, context.count + 1):
        side, view = MAMMOGRAPHY_VIEWS[(number - 1) % 4]
        meaning = "cranio-caudal" if view == "CC" else "medio-lateral oblique"
        item: Attributes = {
            **code("R-10242" if view == "CC" else "R-10226", "SRT", meaning),
            "ViewModifierCodeSequence": [],
        }
        own.append(
            {
                **own_identity(context, number, 30.0 * number),
                "ImageLaterality": side,
                "ViewPosition": view,
                "PatientOrientation": ["A" if side == "L" else "P", "F"],
                "ViewCodeSequence": [item],
            }
        )
    truth = {**_truth(rows, columns), "original": False}
    return Built(
        context,
        DigitalMammographyXRayImageStorageForPresentation,
        common,
        own,
        Pixels("projection", rows, columns),
        truth,
    )


def run(context: SeriesContext) -> Built:
    """Return an XA or RF series: each instance a run of several frames."""
    sop_class = XRayAngiographicImageStorage if context.modality == "XA" else XRayRadiofluoroscopicImageStorage
    size, frames = context.study.pixel_size, 8
    contrast = context.modality == "XA"
    common: Attributes = {
        **shared(context, sop_class),
        **_acquired(context),
        **_exposure(context),
        **_pixel(size, size, 8),
        "ImageType": ["ORIGINAL", "PRIMARY", "SINGLE PLANE"],
        "NumberOfFrames": frames,
        "FrameIncrementPointer": 0x00181063,
        "FrameTime": "66.7",
        "CineRate": 15,
        "RadiationSetting": "GR",
        "RadiationMode": "PULSED",
        "PixelIntensityRelationship": "LIN",
        "PositionerMotion": "STATIC",
        "PositionerPrimaryAngle": "30.5",
        "PositionerSecondaryAngle": "-15",
        "IntensifierSize": "230",
        "ImagerPixelSpacing": ["0.2", "0.2"],
        "BurnedInAnnotation": "NO",
        **_private(context),
    }
    if contrast:
        common["ContrastBolusAgent"] = "Iodixanol"
    own = [own_identity(context, number, 60.0 * number) for number in range(1, context.count + 1)]
    truth = {**_truth(size, size), "contrast": contrast}
    return Built(context, sop_class, common, own, Pixels("grey", size, size, frames), truth)


def ultrasound(context: SeriesContext, frames: int = 1) -> Built:
    """Return an ultrasound series: stills, or cine loops when `frames` is more than 1."""
    sop_class = UltrasoundImageStorage if frames == 1 else UltrasoundMultiFrameImageStorage
    size = context.study.pixel_size
    region: Attributes = {
        "RegionSpatialFormat": 1,
        "RegionDataType": 1,
        "RegionFlags": 2,
        "RegionLocationMinX0": 0,
        "RegionLocationMinY0": size // 8,
        "RegionLocationMaxX1": size - 1,
        "RegionLocationMaxY1": size - 1,
        "PhysicalUnitsXDirection": 3,
        "PhysicalUnitsYDirection": 3,
        "PhysicalDeltaX": 0.0375,
        "PhysicalDeltaY": 0.0375,
    }
    common: Attributes = {
        **shared(context, sop_class),
        **_acquired(context),
        **_pixel(size, size, 8, "RGB"),
        "ImageType": ["ORIGINAL", "PRIMARY", "", "0001"],
        "SequenceOfUltrasoundRegions": [region],
        "UltrasoundColorDataPresent": 1,
        "TransducerType": "CURVED LINEAR",
        "TransducerData": "C5-1",
        "MechanicalIndex": "1.2",
        "LossyImageCompression": "00",
        "BurnedInAnnotation": "YES",
        **_private(context),
    }
    if frames > 1:
        common.update({"NumberOfFrames": frames, "FrameTime": "33.3", "FrameIncrementPointer": 0x00181063})
    own = [own_identity(context, number, 15.0 * number) for number in range(1, context.count + 1)]
    return Built(context, sop_class, common, own, Pixels("colour", size, size, frames), _truth(size, size))


def nuclear_medicine(context: SeriesContext) -> Built:
    """Return a whole-body bone scan of two detectors, or a tomogram: one multi-frame instance each."""
    size, frames = SMALL, 16
    detector: Attributes = {
        "CollimatorGridName": "LEHR",
        "CollimatorType": "PARA",
        "FieldOfViewShape": "RECTANGLE",
        "FieldOfViewDimensions": ["540", "400"],
        "ZoomFactor": "1",
        "RadialPosition": ["215.5"] * frames,
    }
    rotation: Attributes = {
        "StartAngle": "180",
        "ScanArc": "180",
        "AngularStep": "11.25",
        "RotationDirection": "CW",
        "NumberOfFramesInRotation": frames,
        "ActualFrameDuration": 20000,
    }
    drug: Attributes = {
        "Radiopharmaceutical": "HDP",
        "RadionuclideTotalDose": "600",
        "RadiopharmaceuticalVolume": "1",
        "RadionuclideCodeSequence": [code("C-163A8", "SRT", "^99m^Technetium")],
    }
    common: Attributes = {
        **shared(context, NuclearMedicineImageStorage),
        **_acquired(context),
        **_pixel(size, size, 12),
        "ImageType": ["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"],
        "NumberOfFrames": frames,
        "FrameIncrementPointer": [0x00540010, 0x00540020],
        "EnergyWindowVector": [1] * frames,
        "NumberOfEnergyWindows": 1,
        "DetectorVector": [1] * frames,
        "NumberOfDetectors": 1,
        "TypeOfDetectorMotion": "STEP AND SHOOT",
        "DetectorInformationSequence": [detector],
        "RotationInformationSequence": [rotation],
        "NumberOfRotations": 1,
        "RadiopharmaceuticalInformationSequence": [drug],
        "EnergyWindowInformationSequence": [
            {"EnergyWindowRangeSequence": [{"EnergyWindowLowerLimit": "126.4", "EnergyWindowUpperLimit": "154.5"}]}
        ],
        "ActualFrameDuration": 20000,
        "PixelSpacing": ["8.8", "8.8"],
        **_private(context),
    }
    own = [own_identity(context, number, 600.0 * number) for number in range(1, context.count + 1)]
    return Built(
        context, NuclearMedicineImageStorage, common, own, Pixels("mr", size, size, frames), _truth(size, size)
    )


def secondary_capture(context: SeriesContext) -> Built:
    """Return secondary captures: dose reports and screen shots (C.8.6), with the patient's particulars burnt in."""
    size = PAGE
    lines = _burnt_in(context)
    common: Attributes = {
        **shared(context, SecondaryCaptureImageStorage),
        **_pixel(size, size, 8, "RGB"),
        "ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"],
        "ConversionType": "WSD",
        "SecondaryCaptureDeviceManufacturer": "CAIRN",
        "SecondaryCaptureDeviceID": "WS1",
        "DateOfSecondaryCapture": date_text(context.time()),
        "TimeOfSecondaryCapture": time_text(context.time()),
        "BurnedInAnnotation": "YES",
        "DerivationDescription": "Screen capture",
    }
    own = [own_identity(context, number, 5.0 * number) for number in range(1, context.count + 1)]
    truth = {**_truth(size, size), "original": False, "burnt_in_text": list(lines)}
    return Built(context, SecondaryCaptureImageStorage, common, own, Pixels("page", size, size, words=lines), truth)


def _burnt_in(context: SeriesContext) -> tuple[str, ...]:
    """Return what a console writes on a screen that it captures."""
    who = context.study.person
    name = unicodedata.normalize("NFKD", f"{who.family_name.upper()}, {who.given_name}")
    return (
        name.encode("ascii", "ignore").decode(),
        f"CHI {who.chi}",
        f"DOB {who.birth_date:%d/%m/%Y}",
        f"Study {context.study.start:%d-%b-%Y}",
        "Dose Report",
        f"CTDIvol {context.draws('dose').number(2.0, 60.0, 1)} mGy",
    )
