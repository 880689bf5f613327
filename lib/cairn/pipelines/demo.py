"""The demo: a made-up archive and its people's records through every stage, questions, a cohort, two extracts."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame

from cairn.deid.keys import SIGNING, SITE, key_path, make_key
from cairn.extract import project as projects
from cairn.pipelines import cohort_definition as definitions
from cairn.pipelines.archive_to_tables import Done, run_stages
from cairn.pipelines.catalogue_demo import catalogue_lines
from cairn.pipelines.cohort_count import count_lines
from cairn.pipelines.cohort_export import count
from cairn.pipelines.cohort_freeze import freeze
from cairn.pipelines.deidentify_task import Terms
from cairn.pipelines.ehr_deliveries import loads_in
from cairn.pipelines.extract import extract
from cairn.pipelines.extract_request import ACCOUNT, STAGED, requested, staging_of
from cairn.pipelines.job import Job, opened
from cairn.pipelines.pixels import device_rules
from cairn.pipelines.quality_gates import before
from cairn.pipelines.release import release
from cairn.pipelines.terms import site_terms
from cairn.settings import Settings
from cairn.spark.store import Store
from cairn.synthetic.archive import synthesise

COHORT = "imaged-twice"


@dataclass(frozen=True)
class Question:
    """A question that a researcher asks, and the query that answers it."""

    title: str
    sql: str


QUESTIONS = (
    Question(
        "What does the archive hold?",
        """select modality, count(*) as series, sum(instances) as instances,
  min(study_date) as first, max(study_date) as last
from identifiable.series group by modality order by series desc, modality limit 8""",
    ),
    Question(
        "Which axial CT series are regular volumes of slices under 3 mm, with contrast?",
        """select series_description, manufacturer, instances, round(slice_spacing, 2) as spacing_mm,
  missing_slices as missing
from identifiable.series
where modality = 'CT' and orientation = 'axial' and regular and contrast and not localizer and slice_spacing < 3
order by instances desc, series_description limit 5""",
    ),
    Question(
        "Which reconstruction kernels do the makers use? (any element of the header, by its keyword)",
        """select manufacturer, variant_get(header, '$.ConvolutionKernel', 'string') as kernel, count(*) as images
from identifiable.instance where modality = 'CT' and is_primary
group by all order by images desc, manufacturer, kernel limit 5""",
    ),
    Question(
        "What may an analyst see of a person? (pseudonym, shifted dates, what the pixels say)",
        """select person_id, study_date, patient_age, manufacturer, instances, round(pixel_mean) as mean_hu,
  round(volume_bone) as bone_ml
from deidentified.series where modality = 'CT' and regular order by instances desc, series_instance_uid limit 4""",
    ),
)


def answers(store: Store) -> Iterator[tuple[Question, str]]:
    """Yield each question with its answer as a table in text."""
    for question in QUESTIONS:
        yield question, _text(store.spark.sql(question.sql))


def _text(frame: DataFrame) -> str:
    """Return a small frame as Spark shows it."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        frame.show(20, 48)
    return printed.getvalue()


def demo_terms(settings: Settings, folder: Path) -> Terms:
    """Return the demo's terms, with a key of its own unless settings name one."""
    if not settings.keys.directory:
        settings = settings.model_copy(update={"keys": settings.keys.model_copy(update={"directory": str(folder)})})
        if not key_path(folder, SITE).exists():
            make_key(folder)
            print(f"Made a key for the demo in {folder}.")
    return site_terms(settings)


def cohort_lines(store: Store, conf: Path) -> list[str]:
    """Return a cohort of linked images and records in words: its steps and how many are left."""
    definition = definitions.load(conf / "cohorts" / f"{COHORT}.yaml", definitions.load_lists(conf / "codelists"), {})
    lines = list(count_lines(count(store, definition, {}), definition))
    return [f"A cohort out of images and records: ./spark-submit.sh cohort count {COHORT}", *lines]


def deliveries(job: Job, terms: Terms, conf: Path) -> list[str]:
    """Freeze the cohort, make and release the extract of every project in `conf`; return the account in words."""
    lists = definitions.load_lists(conf / "codelists")
    definition = definitions.load(conf / "cohorts" / f"{COHORT}.yaml", lists, {})
    before(job, "cohort")
    frozen = freeze(job.store, job.run("cohort"), definition)
    before(job, "extract")
    told = [f"Two projects get an extract of it, list {frozen.number}, each under a key of its own:"]
    told.append(f"  {'project':<20}" + "".join(f"{name:>12}" for name in ("members", *ACCOUNT)))
    folders = []
    for path in sorted((conf / "projects").glob("*.yaml")):
        project = projects.load(path, lists)
        request = requested(project, terms, job, device_rules(job.store.settings.pixels))
        made = extract(job.store, job.run("extract"), job.folder(f"extract-{project.id}"), job.stream, request)
        if made.state == STAGED:
            release(job.store, job.run("release"), request, made.extract)
        told.append(f"  {project.id:<20}" + "".join(f"{made.counts[name]:>12,}" for name in ("members", *ACCOUNT)))
        folders.append(f"  {staging_of(job.store, project.id).path.rpartition('/')[0]}/{made.extract}")
    return [*told, "Released to:", *folders]


def demo_keys(folder: Path, conf: Path) -> None:
    """Make the keys that the demo's extracts need, unless they are there."""
    for name in (SIGNING, *(path.stem for path in (conf / "projects").glob("*.yaml"))):
        if not key_path(folder, name).exists():
            make_key(folder, name)


def run_demo(settings: Settings, home: Path, scale: float, seed: int, conf: Path) -> Done:
    """Make up an archive unless it is there, run every stage, print the account, the answers and a cohort.

    Parameters
    ----------
    settings : Settings
        Validated settings; they say where the tables go.
    home : pathlib.Path
        Folder of the demo's archives, one per scale and seed.
    scale : float
        1.0 is about 2,000 entries.
    seed : int
        The same seed makes the same archive.
    conf : pathlib.Path
        Folder of mappings, code lists and cohorts.

    Returns
    -------
    Done
        The counts.
    """
    made = home / f"made-up-{scale:g}-{seed}"
    if (made / "truth" / "summary.json").exists():
        print(f"The made-up archive is in {made}/archive already.")
    else:
        print(f"Making up an archive in {made} ...", flush=True)
        synthesise(made, scale, seed, progress=sys.stderr)
    terms = demo_terms(settings, home / "keys")
    records = loads_in([str(made / "ehr")], conf / "ehr")
    with opened("demo", settings) as job:
        done = run_stages(job, [str(made / "archive")], terms, records)
        print("\n" + "\n".join(done.lines()))
        for question, answer in answers(job.store):
            print(f"\n{question.title}\n{question.sql}\n{answer}", end="")
        print("\n" + "\n".join(cohort_lines(job.store, conf)))
        demo_keys(Path(terms.keys), conf)
        print("\n" + "\n".join(deliveries(job, terms, conf)))
        print("\n" + "\n".join(catalogue_lines(job, home, os.environ)))
    print(f"\nAsk more: ./spark-submit.sh sql --warehouse {settings.warehouse.root}")
    return done
