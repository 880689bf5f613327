"""Load deliveries of health records into typed tables: ehr --mapping M FILE…, or a folder with one folder a mapping."""

from __future__ import annotations

import datetime
import os
import sys
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE, CairnError, nearest

MAPPINGS = Path(__file__).resolve().parents[1] / "conf" / "ehr"


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("ehr", __doc__)
    parser.add_argument("source", nargs="+", metavar="SOURCE", help="files or folders of deliveries")
    parser.add_argument(
        "--mapping", metavar="M", help="name in conf/ehr, or a YAML file; without it each folder in SOURCE names one"
    )
    parser.add_argument(
        "--delivered-on", metavar="DATE", type=datetime.date.fromisoformat, help="else the date in a file's name"
    )
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.pipelines.ehr import load_records, refresh_persons, sources_of
    from cairn.pipelines.job import opened

    loads = [sources_of(_mapping(name), places, options.delivered_on) for name, places in _asked(options)]
    told: dict[str, dict[str, int]] = {}
    with opened("ehr", settings) as job:
        for number, sources in enumerate(loads):
            if not sources:
                continue
            name = sources[0].mapping.mapping
            counts = load_records(job.store, job.run("ehr"), job.folder(f"ehr-{number}"), job.stream, sources)
            told[name] = dict(counts)
            print(
                f"{name}: {counts['read']:,} rows = {counts['typed']:,} typed + {counts['quarantined']:,} quarantined; "
                f"{counts['in_force']:,} records in force"
            )
        persons = refresh_persons(job.store, job.run("ehr"))
        print(f"{persons['persons']:,} persons, {persons['aliases']:,} other numbers of theirs")
    cli.report(options, {**told, **persons})
    return EXIT_DONE


def _asked(options) -> list[tuple[str, list[str]]]:  # type: ignore[no-untyped-def]
    if options.mapping:
        return [(options.mapping, options.source)]
    return [
        (folder.name, [str(folder)])
        for place in options.source
        for folder in sorted(Path(place).iterdir())
        if folder.is_dir()
    ]


def _mapping(name: str):  # type: ignore[no-untyped-def]
    from cairn.ehr.mapping import load

    path = Path(name) if name.endswith((".yaml", ".yml")) else MAPPINGS / f"{name}.yaml"
    if not path.exists():
        known = [file.stem for file in MAPPINGS.glob("*.yaml")]
        raise CairnError("BAD_ARGUMENTS", job="ehr", why=f"there is no mapping {name!r}", nearest=nearest(name, known))
    return load(path)


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
