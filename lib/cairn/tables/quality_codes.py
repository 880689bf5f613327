"""Code sets that expectations hold columns against."""

_DEFINED = (  # PS3.3 C.7.3.1.1.1, edition 2026c
    "ANN AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM HC HD IO IOL IVOCT"
    " IVUS KER KO LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT PA PLAN POS PR PT PX REG RESP RF RG"
    " RTDOSE RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA"
    " XA XAPROTOCOL XC"
)
_RETIRED = "AS CD CF CP CS DD DF DM DS EC FA FS LP MA MS OPR ST VF"  # old images hold them

MODALITIES = (*_DEFINED.split(), *_RETIRED.split())
"""Modalities that the standard names; what else stands in that column is told as ``other``."""
