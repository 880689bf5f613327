"""Make, check or rotate the secret keys of the site and of its projects."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cairn import cli
from cairn.errors import EXIT_DONE, CairnError

SPARK = False


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    parser = cli.job_parser("keys", __doc__)
    parser.add_argument("action", choices=("make", "check", "rotate"))
    parser.add_argument("--project", action="append", default=[], metavar="NAME", help="a project's key; repeatable")
    parser.add_argument("--signing", action="store_true", help="the key that signs extracts; prints its public half")
    options = parser.parse_args(arguments)
    settings = cli.load_settings(options, os.environ)
    from cairn.deid import keys

    if not settings.keys.directory:
        raise CairnError("BAD_ARGUMENTS", job="keys", why="no folder of keys is named", nearest="Give --keys DIR.")
    folder = Path(settings.keys.directory)
    given = [*options.project, *([keys.SIGNING] if options.signing else [])]
    names = given or ([keys.SITE] if options.action != "check" else keys.key_names(folder) or [keys.SITE])
    act = {"make": keys.make_key, "check": keys.read_key, "rotate": keys.rotate_key}[options.action]
    fingerprints = {}
    for name in names:
        fingerprints[name] = act(folder, name).fingerprint
        print(f"{name}: {fingerprints[name]}")
    if keys.SIGNING in fingerprints:
        from cairn.extract.manifest import public_key

        public = folder / "signing.pub"
        public.write_bytes(public_key(keys.read_key(folder, keys.SIGNING)))
        print(f"Receivers check extracts with {public}.")
    cli.report(options, {"action": options.action, "keys": fingerprints})
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(cli.main_guard(main))
