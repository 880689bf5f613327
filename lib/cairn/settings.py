"""Settings: one validated model, file < environment < command line.

The file is YAML with one mapping per section. An environment variable is ``CAIRN_SECTION__NAME``. The command line
gives ``--set section.name=value``. An unknown name is an error that suggests the nearest one. Secrets are no
settings: they come from files or from the environment of their own library, and a setting only names the file.
``python -m cairn.settings`` prints docs/settings.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from cairn.errors import CairnError, nearest

KIB, MIB = 1024, 1024 * 1024
SECRET_WORDS = ("secret", "password", "passwd", "token", "access.key", "account.key", "credential")


class Section(BaseModel):
    """One section: frozen, and closed against unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Warehouse(Section):
    """Where the zones lie. Any Hadoop file system, or a local folder."""

    root: str = Field(
        default="warehouse", description="Folder or URI under which every zone without a root of its own lies."
    )
    identifiable: str = Field(default="", description="Root of the identifiable zone; empty: `<root>/identifiable`.")
    deidentified: str = Field(default="", description="Root of the de-identified zone; empty: `<root>/deidentified`.")
    ppz: str = Field(default="", description="Root of the project zones; empty: `<root>/ppz`.")


class Scratch(Section):
    """Where temporary files lie. They hold real values, so they belong to the identifiable zone."""

    root: str = Field(
        default="", description="Shared scratch (work plans); empty: `_scratch` in the identifiable zone."
    )
    local: str = Field(
        default="",
        description="Folder of each machine for Spark's shuffle, blocks and artifacts; empty: the shared "
        "scratch when that is a local folder. Needed when the zone is an object store.",
    )
    heartbeat_seconds: float = Field(default=10, gt=0, description="How often a run shows that it lives.")
    dead_after_seconds: float = Field(
        default=120,
        gt=0,
        description="A run of another machine without a heartbeat for so long is dead; its leftovers go.",
    )


class Inventory(Section):
    """Listing the archive."""

    archive_depth: int = Field(default=3, ge=0, description="How deep archives within archives are opened.")
    tries: int = Field(default=3, ge=1, description="How often a folder or container is read before it is a fault.")
    timeout_seconds: float = Field(default=60, gt=0, description="Longest wait for one answer of the storage.")
    entries_per_task: int = Field(
        default=50_000, ge=1, description="Entries that one task lists before it gives work back."
    )


class Headers(Section):
    """Reading and parsing headers."""

    value_limit_bytes: int = Field(
        default=16 * KIB, ge=64, description="Longer values are kept by length and hash in VARIANT."
    )
    blob_value_limit_bytes: int = Field(
        default=MIB, ge=64, description="Longer values are left out of `header_blob` (a hole)."
    )
    header_limit_bytes: int = Field(
        default=64 * MIB, ge=1024, description="Larger headers, holes not counted, are faults."
    )
    first_read_bytes: int = Field(default=16 * KIB, ge=256, description="Bytes of the first read of an entry.")
    tries: int = Field(default=3, ge=1, description="How often an entry is read before it is a fault.")
    timeout_seconds: float = Field(default=60, gt=0, description="Longest wait for one read.")
    overlap: int = Field(default=32, ge=1, description="Reads of one task under way at a time (object stores).")
    kernel_rows: int = Field(default=1024, ge=1, description="Headers that the kernel takes at a time.")
    kernel_bytes: int = Field(default=32 * MIB, ge=KIB, description="Header bytes that the kernel takes at a time.")


class Pixels(Section):
    """Decoding and measuring pixels."""

    whole_limit_bytes: int = Field(
        default=64 * MIB, ge=KIB, description="Entries up to this size are held in memory whole; larger are streamed."
    )
    frame_limit_bytes: int = Field(default=1024 * MIB, ge=KIB, description="Largest decoded frame.")
    inflated_limit_bytes: int = Field(default=1024 * MIB, ge=KIB, description="Most bytes of a deflated dataset.")
    decode_timeout_seconds: float = Field(default=60, gt=0, description="How long one compressed frame may take.")
    decoder_memory_bytes: int = Field(
        default=4096 * MIB, ge=256 * MIB, description="Most memory of a worker's decoder process."
    )
    entries_per_task: int = Field(default=5_000, ge=1, description="Entries of one task, about.")
    text: bool = Field(default=True, description="Look for burnt-in text too.")
    text_searched_frames: int = Field(
        default=12, ge=1, description="Frames of one instance that text detection sees whole, at most."
    )
    text_engines: tuple[Literal["ppocr-v4", "tesseract"], ...] = Field(
        default=("ppocr-v4",),
        min_length=1,
        description="What detects and reads text; tesseract in second place reads again what the first doubts.",
    )
    device_rules: str = Field(
        default="", description="Device rules for burnt-in text, a YAML file; empty: `conf/device_rules.yaml`."
    )
    slide_frames: int = Field(default=64, ge=1, description="Frames of a whole-slide image that are measured at most.")
    tries: int = Field(default=3, ge=1, description="How often an entry is read before it is a fault.")
    timeout_seconds: float = Field(default=60, gt=0, description="Longest wait for one read.")


class Stage(Section):
    """Batches of every resumable stage."""

    entries_per_batch: int = Field(
        default=1_000_000, ge=1, description="Entries between two commits: what a kill costs at most."
    )
    entries_per_task: int = Field(default=50_000, ge=1, description="Entries of one task, which writes its own files.")
    rows_per_read: int = Field(default=4096, ge=1, description="Entries that a task takes from the plan at a time.")
    rows_per_file: int = Field(default=100_000, ge=1, description="Rows of one Parquet file at most.")
    file_bytes: int = Field(default=256 * MIB, ge=MIB, description="Uncompressed bytes of one Parquet file, about.")
    row_group_bytes: int = Field(
        default=64 * MIB, ge=64 * KIB, description="Uncompressed bytes of one row group, about."
    )
    progress_seconds: float = Field(default=5, gt=0, description="Time between two progress lines.")
    pause_seconds: float = Field(default=0, ge=0, description="Pause between two batches, to leave others the machine.")


class Reprocess(Section):
    """The full run from the kept headers, and how much of the machine it may take."""

    entries_per_batch: int = Field(default=1_000_000, ge=1, description="Entries between two commits.")
    cores: int = Field(default=0, ge=0, description="Tasks of a batch at most, so cores at a time; 0: all cores.")
    pause_seconds: float = Field(default=0, ge=0, description="Pause between two batches.")
    sample_rows: int = Field(default=2_000, ge=100, description="Headers that `reprocess plan` measures.")
    most_lost: float = Field(
        default=0.0001,
        ge=0,
        le=1,
        description="The swap is refused when a larger share of what was readable before is not any more.",
    )
    verify: bool = Field(default=True, description="Search the new de-identified zone for identifiers before the swap.")


class Spark(Section):
    """The Spark session."""

    shuffle_partitions: int = Field(default=0, ge=0, description="Partitions of a shuffle; 0: Spark's own choice.")
    arrow_batch_rows: int = Field(default=4096, ge=1, description="Rows of one Arrow batch between JVM and Python.")
    encrypt_scratch: bool = Field(default=True, description="Encrypt shuffle and spill files.")
    conf: dict[str, str] = Field(default_factory=dict, description="Further Spark options, by their own names.")

    @field_validator("conf")
    @classmethod
    def _no_secrets(cls, conf: dict[str, str]) -> dict[str, str]:
        for name in conf:
            if any(word in name.lower() for word in SECRET_WORDS):
                raise ValueError("secrets come from files or the environment, never from settings")
        return conf


class Keys(Section):
    """Where secret keys lie (the keys themselves are never settings)."""

    directory: str = Field(default="", description="Folder with the site's and the projects' key files, mode 0600.")


class Deid(Section):
    """De-identification."""

    profile: str = Field(default="", description="Profile, a YAML file; empty: `conf/deid/research.yaml`.")
    opt_outs: str = Field(default="", description="File with the CHIs of who has opted out, one a line.")
    date_shift_days: int = Field(default=364, ge=1, description="Dates move by at most so many days either way.")
    entries_per_task: int = Field(default=20_000, ge=1, description="Entries of one task, about.")


class Maintain(Section):
    """Upkeep of the tables."""

    file_bytes: int = Field(default=256 * MIB, ge=MIB, description="Size to which small files are joined.")
    identifiable_hours: float = Field(
        default=30 * 24, ge=0, description="How long the identifiable zone's earlier versions are kept."
    )
    deidentified_hours: float = Field(
        default=30 * 24,
        ge=0,
        description="How long the de-identified zone's earlier versions are kept; a new opt-out ends them all at once.",
    )
    ledger_days: float = Field(default=730, gt=0, description="How long runs stay in `run` and `run_batch`.")


class Catalogue(Section):
    """The MongoDB catalogue. Its URI is a secret: it stands in a file or in `CAIRN_MONGODB_URI`, never here."""

    uri_file: str = Field(
        default="", description="File with the URI, mode 0600, the same on every machine; empty: `CAIRN_MONGODB_URI`."
    )
    database: str = Field(default="cairn", min_length=1, description="Name of the database.")
    options: dict[str, str] = Field(
        default_factory=dict,
        description="Further options of the driver by their own names: `tls`, `tlsCAFile`, `tlsCertificateKeyFile`, "
        "`authSource`, `authMechanism`, `replicaSet`, `compressors` …",
    )
    archive_root: str = Field(
        default="",
        description="URI that paths in the Scottish service's documents are relative to; needed to pull them.",
    )
    documents_per_write: int = Field(default=500, ge=1, description="Documents of one bulk write, at most.")
    bytes_per_write: int = Field(default=16 * MIB, ge=KIB, description="Bytes of one bulk write, about.")
    documents_per_read: int = Field(default=500, ge=1, description="Documents that a worker fetches at a time.")
    documents_per_task: int = Field(default=50_000, ge=1, description="Documents that one task writes or reads, about.")
    document_limit_bytes: int = Field(
        default=0, ge=0, description="Larger documents are kept in pieces; 0: the server's own limit (16 MiB)."
    )
    tries: int = Field(default=5, ge=1, description="How often a write or read is tried while the server is away.")
    timeout_seconds: float = Field(default=30, gt=0, description="Longest wait for a server that can be written to.")

    @field_validator("options")
    @classmethod
    def _no_secrets(cls, options: dict[str, str]) -> dict[str, str]:
        for name in options:
            if any(word in name.lower() for word in (*SECRET_WORDS, "username")):
                raise ValueError("secrets stand in the URI, never in settings")
        return options


class Quality(Section):
    """Quality gates: what is expected of the tables after each stage and before data crosses into another zone."""

    gates: bool = Field(default=True, description="Check after each stage, and let nothing cross that failed.")
    rows_fall: float = Field(
        default=0.1, ge=0, le=1, description="Share of its rows that a table or a modality may lose from run to run."
    )
    share_moves: float = Field(
        default=0.2, ge=0, le=1, description="By how much a modality's share of the rows may move; beyond, a warning."
    )
    nulls_move: float = Field(
        default=0.05, ge=0, le=1, description="By how much a column's share of NULL may rise; beyond, a warning."
    )
    slice_rows: int = Field(
        default=20, ge=1, description="Rows of a modality, or of it in one year, from which on it is judged by itself."
    )


class Settings(Section):
    """All settings of all jobs."""

    warehouse: Warehouse = Warehouse()
    scratch: Scratch = Scratch()
    inventory: Inventory = Inventory()
    headers: Headers = Headers()
    pixels: Pixels = Pixels()
    stage: Stage = Stage()
    spark: Spark = Spark()
    keys: Keys = Keys()
    deid: Deid = Deid()
    maintain: Maintain = Maintain()
    catalogue: Catalogue = Catalogue()
    reprocess: Reprocess = Reprocess()
    quality: Quality = Quality()

    def zone_root(self, zone: str) -> str:
        """Return the root of a zone: ``identifiable``, ``deidentified`` or ``ppz``.

        Raises
        ------
        KeyError
            If there is no such zone.
        """
        if zone not in ZONES:
            raise KeyError(zone)
        return getattr(self.warehouse, zone) or f"{self.warehouse.root.rstrip('/')}/{zone}"

    @property
    def scratch_root(self) -> str:
        """The shared scratch root, in the identifiable zone unless set."""
        return self.scratch.root or f"{self.zone_root('identifiable').rstrip('/')}/_scratch"

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all settings as canonical JSON: the same settings give the same digest everywhere."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


ZONES = ("identifiable", "deidentified", "ppz")


def load(
    file: str | Path | None = None,
    environment: Mapping[str, str] | None = None,
    assignments: Sequence[str] = (),
    warehouse: str | None = None,
) -> Settings:
    """Return the settings of one job: defaults < file < environment < command line.

    Parameters
    ----------
    file : path, optional
        YAML file, one mapping per section.
    environment : mapping, optional
        Usually ``os.environ``; variables named ``CAIRN_SECTION__NAME`` count, all others do not.
    assignments : sequence of str
        ``section.name=value`` as given with ``--set``; values are YAML scalars.
    warehouse : str, optional
        ``--warehouse``, the same as ``warehouse.root``.

    Raises
    ------
    CairnError
        UNKNOWN_SETTING, BAD_SETTING, SETTINGS_UNREADABLE.
    """
    layers = [(f"the file {file}", _read_file(file))] if file else []
    layers += [(f"the environment variable {name}", tree) for name, tree in _environment(environment or {})]
    layers += [(f"--set {text.partition('=')[0]}", _assignment(text)) for text in assignments]
    if warehouse:
        layers.append(("--warehouse", {"warehouse": {"root": warehouse}}))
    merged: dict[str, Any] = {}
    settings = Settings()
    for where, tree in layers:
        merged = _merge(merged, tree)
        settings = _validated(merged, where)  # layer by layer, so that a fault names the layer it came with
    return settings


def _validated(tree: dict[str, Any], where: str) -> Settings:
    try:
        return Settings.model_validate(tree)
    except ValidationError as fault:
        raise _as_cairn_error(fault.errors()[0], where) from None


def _as_cairn_error(detail: ErrorDetails, where: str) -> CairnError:
    name = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return CairnError("UNKNOWN_SETTING", name=name, where=where, nearest=nearest(name, names()))
    shown = "a mapping" if isinstance(detail["input"], dict) else detail["input"]
    return CairnError("BAD_SETTING", name=name, value=shown, why=detail["msg"], where=where)


def _read_file(file: str | Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(Path(file).read_text("utf-8")) or {}
    except OSError as fault:
        raise CairnError("SETTINGS_UNREADABLE", path=file, why=fault.strerror) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise CairnError("SETTINGS_UNREADABLE", path=file, why="it is no YAML") from None
    if not isinstance(tree, dict):
        raise CairnError("SETTINGS_UNREADABLE", path=file, why="it holds no sections")
    return tree


def _environment(environment: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for variable in sorted(environment):
        section, separator, name = variable.removeprefix("CAIRN_").partition("__")
        if variable.startswith("CAIRN_") and separator:
            yield (variable, {section.lower(): {name.lower(): _scalar(environment[variable])}})


def _assignment(text: str) -> dict[str, Any]:
    left, equals, value = text.partition("=")
    section, dot, name = left.strip().partition(".")
    if not (equals and dot and name):
        raise CairnError("BAD_SETTING", name=text, value=value, why="it is not section.name=value", where="--set")
    head, dot, rest = name.partition(".")  # spark.conf.<Spark's own dotted name>
    return {section: {head: {rest: value} if dot else _scalar(value)}}


def _scalar(text: str) -> Any:
    try:
        return yaml.safe_load(text) if text.strip() else ""
    except yaml.YAMLError:
        return text


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(name), dict)
        merged[name] = _merge(merged[name], value) if both else value
    return merged


def names() -> Iterable[str]:
    """Return every setting's dotted name, and the sections' names."""
    for section, field in Settings.model_fields.items():
        yield section
        yield from (f"{section}.{name}" for name in _section(field.annotation).model_fields)


def _section(annotation: Any) -> type[Section]:
    assert issubclass(annotation, Section)
    return annotation


def page() -> str:
    """Return docs/settings.md: every setting with its type, default and meaning."""
    lines = [
        "# Settings",
        "",
        "Made from `lib/cairn/settings.py` by `python -m cairn.settings > docs/settings.md`; do not edit.",
        "",
        "A value comes from, the later the stronger: the default; the file of `--settings FILE` (YAML, one mapping per",
        "section); an environment variable `CAIRN_SECTION__NAME`; `--set section.name=value`; `--warehouse DIR` for",
        "`warehouse.root`. An unknown name ends the job with exit code 2. Secrets are never settings.",
    ]
    for section, field in Settings.model_fields.items():
        model = _section(field.annotation)
        lines += [
            "",
            f"## {section}",
            "",
            str(model.__doc__).strip(),
            "",
            "| name | type | default | meaning |",
            "|---|---|---|---|",
        ]
        for name, entry in model.model_fields.items():
            default = entry.get_default(call_default_factory=True)
            kind = getattr(entry.annotation, "__name__", str(entry.annotation))
            lines.append(f"| `{section}.{name}` | {kind} | `{json.dumps(default)}` | {entry.description} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
