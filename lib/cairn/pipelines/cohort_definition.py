"""A cohort's definition as the job takes it: where it lies, what it reads, what it says in words and SQL. No Spark.

Everything here works without a table: a definition is checked, explained and looked up before anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cairn.cohort import vocabulary
from cairn.cohort.catalogue import sources
from cairn.cohort.checking import Checked
from cairn.cohort.codelists import CodeList, load_all
from cairn.cohort.explain import condition, explain, image_words, rule_words, set_words
from cairn.cohort.reading import parse
from cairn.cohort.sql import Step, compiled
from cairn.errors import CairnError, nearest

JOB = "cohort"
# A text in quotes (its backslashes escape), or a table of the zone: what stands in quotes is no table.
_TABLE = re.compile(r"'(?:\\.|[^'\\])*'|\bdeidentified\.(\w+)")


@dataclass(frozen=True)
class Definition:
    """A checked definition and what it was made of.

    Parameters
    ----------
    path : str
        Where it lies, for messages.
    text : str
        The file's text.
    parameters : dict of str to str
        Those given for this run.
    checked : Checked
        What both engines take.
    steps : tuple of Step
        Its SQL.
    """

    path: str
    text: str
    parameters: dict[str, str]
    checked: Checked
    steps: tuple[Step, ...]

    @property
    def tables(self) -> list[str]:
        """Names within the de-identified zone of the tables that it reads, sorted."""
        return tables_of(step.sql for step in self.steps)

    @property
    def level(self) -> str:
        """What a member is: person, study, series or instance."""
        images = self.checked.cohort.images
        return "person" if images is None else self.checked.sets[images.of].source.level

    @property
    def version(self) -> int:
        """Its own version."""
        return self.checked.cohort.version

    @property
    def name(self) -> str:
        """The cohort's name."""
        return self.checked.cohort.name


def find(name: str, folder: Path) -> Path:
    """Return the file of a definition: a path to YAML, or a name in the folder of definitions.

    Raises
    ------
    CairnError
        BAD_ARGUMENTS with the nearest name.
    """
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return Path(name)
    path = folder / f"{name}.yaml"
    if not path.exists():
        known = [file.stem for file in folder.glob("*.yaml")]
        why = f"there is no definition {name!r} in {folder}"
        raise CairnError("BAD_ARGUMENTS", job=JOB, why=why, nearest=nearest(name, known))
    return path


def given_parameters(texts: Iterable[str]) -> dict[str, str]:
    """Return the parameters of ``NAME=VALUE`` texts.

    Raises
    ------
    CairnError
        BAD_ARGUMENTS for a text without ``=``.
    """
    made = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise CairnError("BAD_ARGUMENTS", job=JOB, why=f"{text!r} is not NAME=VALUE", nearest="")
        made[name.strip()] = value.strip()
    return made


def load(path: Path, codelists: Mapping[str, CodeList], parameters: Mapping[str, str]) -> Definition:
    """Return the definition in a file, checked.

    Raises
    ------
    CairnError
        COHORT_UNREADABLE, or COHORT_RULE with file, line, place and the nearest right name.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise CairnError("COHORT_UNREADABLE", path=path, why=why) from error
    checked = parse(text, codelists, str(path), parameters)
    return Definition(str(path), text, dict(parameters), checked, compiled(checked).steps)


def load_lists(folder: Path) -> dict[str, CodeList]:
    """Return the code lists of a folder.

    Raises
    ------
    CairnError
        SOURCE_MISSING without the folder; CODELIST_UNREADABLE.
    """
    if not folder.is_dir():
        raise CairnError("SOURCE_MISSING", path=folder)
    return load_all(folder)


def tables_of(statements: Iterable[str]) -> list[str]:
    """Return the tables of the de-identified zone that statements read, sorted."""
    return sorted({found for text in statements for found in _TABLE.findall(text) if found})


def pinned(statement: str, versions: Mapping[str, int]) -> str:
    """Return a statement that reads each table as it was at a version (Delta's time travel)."""

    def at(found: re.Match[str]) -> str:
        return f"{found[0]} VERSION AS OF {versions[found[1]]}" if found[1] else found[0]

    return _TABLE.sub(at, statement)


def step_words(checked: Checked) -> list[str]:
    """Return each step of the attrition in words, as many as the SQL counts: persons at first, rules, members."""
    cohort = checked.cohort
    rules = [rule_words(rule) for rule in cohort.persons]
    last = "all" if cohort.images is None else f"with images: {image_words(cohort.images)}"
    return ["persons", *rules, last]


def summary(definition: Definition) -> dict[str, object]:
    """Return what a definition is, for people and machines."""
    checked = definition.checked
    return {
        "cohort": definition.name,
        "version": definition.version,
        "hash": checked.hash,
        "members": definition.level,
        "sets": len(checked.sets),
        "rules": len(checked.persons),
        "tables": [f"deidentified.{name}" for name in definition.tables],
        "codelists": {name: codes.version for name, codes in checked.codelists.items()},
        "parameters": definition.parameters,
    }


def check_lines(definition: Definition) -> Iterator[str]:
    """Yield what `check` says of a definition that is right."""
    told = summary(definition)
    lists = ", ".join(f"{name} version {codes.version}" for name, codes in definition.checked.codelists.items())
    yield f"{definition.path}: {told['cohort']} version {told['version']} can be carried out"
    yield f"  {told['sets']} sets, {told['rules']} rules, members are of the level {told['members']}"
    yield f"  reads {', '.join(f'deidentified.{name}' for name in definition.tables)}"
    yield f"  code lists: {lists or 'none'}"
    yield f"  hash {told['hash']}"


def explain_lines(definition: Definition) -> Iterator[str]:
    """Yield the steps in words, and as one statement of Spark SQL, a table expression a step."""
    yield from explain(definition.checked.cohort)
    yield ""
    yield "WITH"
    for step in definition.steps:
        yield f"-- {' '.join(_heading(definition.checked, step).split())}"
        yield f"{step.name} AS ("
        yield f"  {step.sql}"
        yield ")" if step is definition.steps[-1] else "),"
    yield "SELECT * FROM members"


def _heading(checked: Checked, step: Step) -> str:
    if step.kind == "set":
        name = step.name.removeprefix("set_")
        return f"set {set_words(name, checked.cohort.sets[name])}"
    words = step_words(checked)
    return words[-1] if step.kind == "members" else words[int(step.name.removeprefix("persons_"))]


def definition_lines(folder: Path, lists: Mapping[str, CodeList]) -> Iterator[str]:
    """Yield each definition of a folder with its version and title, or what is wrong with it."""
    for path in sorted(folder.glob("*.yaml")):
        try:
            cohort = load(path, lists, {}).checked.cohort
            yield f"{path.stem}, version {cohort.version}: {cohort.title}"
        except CairnError as fault:
            yield f"{path.stem}: {fault}"


def word_lines(name: str | None) -> Iterator[str]:
    """Yield the imaging words with their meaning, or one word with the condition of each value.

    Raises
    ------
    CairnError
        BAD_ARGUMENTS with the nearest word.
    """
    words = vocabulary.words()
    if name is None:
        for word in words.values():
            values = "yes or no" if word.flag else ", ".join(value for value, _ in word.values)
            yield f"{word.name} ({values}): {word.means}"
        return
    if name not in words:
        why = f"there is no imaging word {name!r}"
        raise CairnError("BAD_ARGUMENTS", job=JOB, why=why, nearest=nearest(name, words))
    yield f"{name}: {words[name].means}"
    for value, test in words[name].values:
        yield f"  {value}: {condition(test)}"


def tables_lines() -> Iterator[str]:
    """Yield the tables that sets are made from, with grain, time and number of columns."""
    for one in sources().values():
        time = f", in time by {one.starts}" if one.starts else ""
        yield f"{one.name}: {one.level}{time}, {len(one.columns)} columns"


def table_lines(cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows of text in columns; the last column is not padded, all others but the first to the right."""
    widths = [max(len(row[place]) for row in cells) for place in range(len(cells[0]))] if cells else []
    for row in cells:
        padded = [cell.rjust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        yield "  ".join([*padded, row[-1]]).rstrip()
