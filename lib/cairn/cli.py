"""What every job's command line shares: common options, usage errors, exit codes, and the last line for machines.

A job in ``jobs/`` is::

    def main(arguments: list[str] | None = None) -> int:
        options = cli.job_parser("headers", __doc__).parse_args(arguments)
        settings = cli.load_settings(options, os.environ)
        ...
        cli.report(options, counts)
        return EXIT_DONE

    if __name__ == "__main__":
        sys.exit(cli.main_guard(main))

No Spark here.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from cairn.errors import EXIT_DONE, EXIT_OTHER, CairnError, nearest

if TYPE_CHECKING:
    from cairn.settings import Settings

EXIT_INTERRUPTED = 130
"""128 + SIGINT, as shells count."""

FULL = (errno.ENOSPC, errno.EDQUOT)
DEBUG = "CAIRN_DEBUG"


class JobParser(argparse.ArgumentParser):
    """An argument parser whose errors name the nearest right word and end with exit code 2.

    Abbreviations are off: an option that is added later must not change what a script means.
    """

    def __init__(self, job: str, description: str | None) -> None:
        super().__init__(prog=job, description=description, allow_abbrev=False)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as :class:`argparse.ArgumentParser` does; an unknown option names the nearest right one."""
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self._end(self._unknown(unknown))
        return options

    def error(self, message: str) -> NoReturn:
        """End with exit code 2 and one sentence."""
        choice = re.match(r"argument (.+): invalid choice: '(.*)' \(choose from (.+)\)", message)
        near = nearest(choice[2], re.findall(r"[^\s,']+", choice[3])) if choice else ""
        self._end(CairnError("BAD_ARGUMENTS", job=self.prog, why=message, nearest=near))

    def _unknown(self, words: list[str]) -> CairnError:
        option = next((word.partition("=")[0] for word in words if word.startswith("-")), "")
        if not option:
            return CairnError("BAD_ARGUMENTS", job=self.prog, why=f"{words[0]!r} is one word too many", nearest="")
        known = [text for action in self._actions for text in action.option_strings]
        return CairnError("UNKNOWN_OPTION", job=self.prog, name=option, nearest=nearest(option, known))

    def _end(self, fault: CairnError) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(fault.exit_code, f"{fault}\n")


def job_parser(job: str, description: str | None) -> JobParser:
    """Return the parser of a job, with the options that all jobs have (architecture, section 8).

    Parameters
    ----------
    job : str
        The job's name as typed.
    description : str, optional
        The job's docstring.

    Returns
    -------
    JobParser
        Parses to ``warehouse``, ``settings``, ``keys``, ``json`` and ``set`` beside what the job adds.
    """
    parser = JobParser(job, description)
    common = parser.add_argument_group("options of every job")
    common.add_argument("--warehouse", metavar="DIR", help="folder or URI under which the zones lie")
    common.add_argument("--settings", metavar="FILE", type=Path, help="YAML file of settings")
    common.add_argument("--keys", metavar="DIR", help="folder of the key files")
    common.add_argument(
        "--set",
        metavar="SECTION.NAME=VALUE",
        action="append",
        default=[],
        help="one setting, stronger than file and environment; repeatable",
    )
    common.add_argument("--json", action="store_true", help="last line of standard output: the counts as a JSON object")
    return parser


def load_settings(options: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """Return the settings that the common options and the environment ask for.

    Raises
    ------
    CairnError
        UNKNOWN_SETTING, BAD_SETTING, SETTINGS_UNREADABLE.
    """
    from cairn.settings import load  # here, so that --help does not wait for pydantic

    # A folder of keys is a setting like any other; as the last assignment it is the strongest.
    keys = [f"keys.directory={json.dumps(options.keys)}"] if options.keys else []
    return load(options.settings, environment, [*options.set, *keys], options.warehouse)


def report(options: argparse.Namespace, counts: Mapping[str, object], out: TextIO | None = None) -> None:
    """Print the counts as one line of JSON when ``--json`` was given. Must be the last thing that a job prints.

    Parameters
    ----------
    options : argparse.Namespace
        From :func:`job_parser`.
    counts : mapping of str to object
        The run's counts; keys are sorted.
    out : text stream, optional
        Standard output unless given.
    """
    if options.json:
        print(json.dumps(dict(counts), sort_keys=True), file=out or sys.stdout, flush=True)


def main_guard(
    main: Callable[[list[str] | None], int],
    arguments: list[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Run a job's main function and turn whatever ends it into an exit code and one sentence on standard error.

    Parameters
    ----------
    main : callable
        Takes the arguments, returns the exit code.
    arguments : list of str, optional
        ``sys.argv`` unless given.
    environment : mapping of str to str, optional
        ``os.environ`` unless given; ``CAIRN_DEBUG=1`` in it shows messages of unforeseen faults, which may hold
        values out of headers.

    Returns
    -------
    int
        Exit code (architecture, section 8): the job's own; that of a :class:`CairnError`; 4 for a full disk; 130 for an
        interrupt; 1 for anything else, with the frames but not the message.
    """
    variables = os.environ if environment is None else environment
    try:
        return main(arguments)
    except CairnError as fault:
        print(fault, file=sys.stderr)
        return fault.exit_code
    except KeyboardInterrupt:
        print("Interrupted. What was committed stays; run again to go on.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does; Python must not complain while it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_DONE
    except Exception as fault:  # noqa: BLE001 - the outermost frame of a process; nothing above it could act
        if isinstance(fault, OSError) and fault.errno in FULL:
            full = CairnError("NO_DISK", path=_disk(fault))
            print(full, file=sys.stderr)
            return full.exit_code
        if variables.get(DEBUG) == "1":
            traceback.print_exception(fault)
        else:
            print(unforeseen(fault), file=sys.stderr)
        return EXIT_OTHER


def _disk(fault: OSError) -> str:
    """Where the full disk is mounted: that helps most, and names of files and folders may hold identifiers."""
    if not isinstance(fault.filename, (str, bytes)):
        return "the disk"
    path = Path(os.fsdecode(fault.filename)).absolute()
    return str(next((above for above in path.parents if above.is_mount()), path.anchor))


def unforeseen(fault: BaseException) -> str:
    """Return an exception's type and frames, without its message, its causes' messages or any source line.

    Messages of foreign code quote values, and values may be identifiers (architecture, section 4, rule 5).
    """
    lines = [str(CairnError("UNFORESEEN", kind=type(fault).__name__, switch=DEBUG))]
    link: BaseException | None = fault
    while link is not None:
        frames = traceback.extract_tb(link.__traceback__)
        lines += [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
        if link is not None:
            lines.append(f"from {type(link).__name__}")
    return "\n".join(lines)
