"""Check a received extract with the public key alone: signature, and size and hash of every file."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE, EXIT_GATE

SPARK = False
MOST_TOLD = 20


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("verify-extract", __doc__)
    parser.add_argument("folder", metavar="DIR", type=Path, help="the extract, as it was received")
    parser.add_argument("--public-key", metavar="FILE", type=Path, required=True, help="PEM, from who signs extracts")
    options = parser.parse_args(arguments)
    from cairn.extract.manifest import differences, read_public_key, signed_manifest

    key = read_public_key(options.public_key)
    document = signed_manifest(options.folder, key)
    found = list(differences(options.folder, key))
    for one in found[:MOST_TOLD]:
        print(f"{one.what}: {one.path}")
    counts = Counter(one.what for one in found)
    told = ", ".join(f"{count:,} {what}" for what, count in sorted(counts.items())) or "all as signed"
    print(f"{document['project']}, {document['extract']}: {document['files']['count']:,} files, {told}")
    cli.report(options, {"extract": document["extract"], "files": document["files"]["count"], **counts})
    return EXIT_GATE if found else EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
