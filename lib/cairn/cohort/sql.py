"""A checked definition as SQL: one statement, one common table expression a step.

It is written for Spark SQL with functions that a plain engine can be taught; what differs is in :class:`Dialect`.
Existence becomes a semi or anti join, a pick a window function: no person is looked at one by one, and every join is
on person_id. Correlated EXISTS is avoided on purpose: where its condition computes with both sides (datediff), Spark
4.2 makes a nested-loop join over all pairs of days of it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from cairn.cohort import expression as ex
from cairn.cohort.catalogue import DATE, LIST, NUMBER, Source, sources
from cairn.cohort.checking import Checked, CheckedSet
from cairn.cohort.codelists import CodeList
from cairn.cohort.model import Age, AnyOf, Combination, Having, Images, Observed, Rule
from cairn.cohort.window import Window

UIDS = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")
ANCESTORS = "deidentified.ehr_omop_concept_ancestor"


@dataclass(frozen=True)
class Step:
    """One step: the name of its table expression, what it does in words, and how many persons it leaves.

    `kind` is set, persons or members.
    """

    name: str
    kind: str
    sql: str


@dataclass(frozen=True)
class Compiled:
    """SQL of a definition.

    Parameters
    ----------
    steps : tuple of Step
        In order; each names earlier ones only.
    """

    steps: tuple[Step, ...]

    def select(self, text: str, upto: str = "") -> str:
        """Return a statement that selects from the steps; those after `upto` are left out."""
        names = [step.name for step in self.steps]
        steps = self.steps[: names.index(upto) + 1] if upto else self.steps
        return "WITH\n" + ",\n".join(f"{step.name} AS (\n  {step.sql}\n)" for step in steps) + f"\n{text}"

    @property
    def members(self) -> str:
        """The statement whose rows are the members."""
        return self.select("SELECT * FROM members")

    @property
    def attrition(self) -> str:
        """The statement that counts the persons after each step."""
        counted = [step.name for step in self.steps if step.kind != "set"]
        parts = [
            f"SELECT {place} AS step, '{name}' AS name, count(DISTINCT person_id) AS persons FROM {name}"
            for place, name in enumerate(counted)
        ]
        return self.select("\nUNION ALL ".join(parts))


class Dialect:
    """What Spark SQL writes in its own way."""

    def literal(self, value: ex.Value) -> str:
        """Return a value as SQL."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float)):
            return repr(value)
        if isinstance(value, dt.date):
            return f"to_date('{value}')"
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def any_element(self, column: str, test: str) -> str:
        """Return whether a test holds for any element ``x`` of a list."""
        return f"exists({column}, x -> {test})"

    def semi(self, other: str, on: str, negated: bool) -> tuple[str, str]:
        """Return the join and the test by which rows stay that have a partner (or none) in `other`, called ``s``."""
        return f" LEFT {'ANTI' if negated else 'SEMI'} JOIN {other} s ON {on}", ""


def compiled(checked: Checked, dialect: Dialect | None = None) -> Compiled:
    """Return the SQL of a checked definition.

    The last step, ``members``, has a row per selected image, or per person without images: ``person_id``,
    ``index_date``, the UIDs, and ``split`` where the definition splits.
    """
    return _Writer(checked, dialect or Dialect()).write()


class _Writer:
    def __init__(self, checked: Checked, dialect: Dialect) -> None:
        self._checked = checked
        self._dialect = dialect
        self._steps: list[Step] = []

    def write(self) -> Compiled:
        for name, made in self._checked.sets.items():
            self._steps.append(Step(f"set_{name}", "set", self._set(made)))
        birth_year = "CASE WHEN birth_date IS NULL THEN NULL ELSE year(birth_date) END AS birth_year"
        self._steps.append(Step("persons_0", "persons", f"SELECT p.*, {birth_year} FROM {sources()['person'].table} p"))
        for number, rule in enumerate(self._checked.persons, 1):
            self._steps.append(Step(f"persons_{number}", "persons", self._rule(rule, f"persons_{number - 1}")))
        last = f"persons_{len(self._checked.persons)}"
        self._steps.append(Step("members", "members", self.members(last)))
        return Compiled(tuple(self._steps))

    # Conditions on one row -------------------------------------------------------------------------------------

    def condition(self, where: ex.Expression, source: Source, alias: str) -> str:
        """Return a condition on the row that an alias stands for."""
        if isinstance(where, ex.Not):
            return f"NOT ({self.condition(where.of, source, alias)})"
        if isinstance(where, ex.Known):
            return f"coalesce({self.condition(where.of, source, alias)}, false)"
        if isinstance(where, (ex.All, ex.Any)):
            word, empty = (" AND ", "true") if isinstance(where, ex.All) else (" OR ", "false")
            return word.join(f"({self.condition(part, source, alias)})" for part in where.of) or empty
        column = f"{alias}.`{where.column}`"
        kind = source.columns.get(where.column, "")
        if isinstance(where, ex.IsNull):
            return f"{column} IS NULL"
        if kind == LIST:
            inner = f"coalesce({self._test(where, 'x', kind)}, false)"
            return f"CASE WHEN {column} IS NULL THEN NULL ELSE {self._dialect.any_element(column, inner)} END"
        return self._test(where, f"to_date({column})" if kind == DATE else column, kind)

    def _test(self, test: ex.Expression, column: str, kind: str) -> str:
        literal = self._dialect.literal
        if isinstance(test, ex.Compare):
            if test.operator == "matches":
                return f"regexp_like({column}, {literal(test.value)})"
            return f"{column} {test.operator.upper()} {literal(test.value)}"
        if isinstance(test, ex.Between):
            return f"{column} BETWEEN {literal(test.low)} AND {literal(test.high)}"
        if isinstance(test, ex.In):
            return f"{column} IN ({', '.join(literal(value) for value in test.values)})"
        if isinstance(test, ex.InCodes):
            return self._codes(column, self._checked.codelists[test.codes], kind == NUMBER)
        return column

    def _codes(self, column: str, codes: CodeList, numbers: bool) -> str:
        literal = self._dialect.literal
        parts = []
        if codes.exact:
            exact = [int(code) for code in codes.exact] if numbers else codes.exact
            parts.append(f"{column} IN ({', '.join(literal(code) for code in exact)})")
        # starts with, not LIKE: a code may hold a character that LIKE takes for a wildcard
        parts += [f"substring({column}, 1, {len(prefix)}) = {literal(prefix)}" for prefix in codes.prefixes]
        if codes.ancestors:
            inner = ", ".join(map(str, codes.ancestors))
            below = f"SELECT descendant_concept_id FROM {ANCESTORS} WHERE ancestor_concept_id IN ({inner})"
            parts.append(f"{column} IN ({below})")
        return " OR ".join(parts)

    # Sets ------------------------------------------------------------------------------------------------------

    def _set(self, made: CheckedSet) -> str:
        definition = made.definition
        if isinstance(definition, Combination):
            return self._combination(definition, made.source)
        named = definition.source in self._checked.sets
        table = f"set_{definition.source}" if named else made.source.table
        tests = ["t.person_id IS NOT NULL"]
        if definition.where != ex.NOTHING:
            tests.append(self.condition(made.where, made.source, "t"))
        join = ""
        if definition.within is not None:
            starts = "t._starts" if named else f"to_date(t.`{made.source.starts}`)"
            inside = _inside(definition.within, starts, "s._starts", "s._ends")
            other = f"set_{definition.within.anchor}"
            join, test = self._dialect.semi(other, f"s.person_id = t.person_id AND {inside}", False)
            tests += [test] if test else []
        where = " AND ".join(f"({test})" for test in tests)
        return f"SELECT t.*{'' if named else _times(made.source)} FROM {table} t{join} WHERE {where}"

    @staticmethod
    def _combination(definition: Combination, source: Source) -> str:
        first, *others = (f"set_{name}" for name in definition.sets)
        key = f"`{source.key}`"
        if definition.operator == "union":
            text = f"SELECT * FROM {first}"
            done = [first]
            for other in others:
                absent = " AND ".join(f"NOT EXISTS (SELECT 1 FROM {d} d WHERE d.{key} = t.{key})" for d in done)
                text += f"\n  UNION ALL SELECT * FROM {other} t WHERE {absent}"
                done.append(other)
            return text
        word = "EXISTS" if definition.operator == "intersect" else "NOT EXISTS"
        tests = " AND ".join(f"{word} (SELECT 1 FROM {other} o WHERE o.{key} = t.{key})" for other in others)
        return f"SELECT t.* FROM {first} t WHERE {tests}"

    # Persons ---------------------------------------------------------------------------------------------------

    def _rule(self, rule: Rule, before: str) -> str:
        if isinstance(rule, Having) and rule.anchor:
            return self._anchored(rule, before)
        return self._kept(rule, before, "p.*")

    def _anchored(self, rule: Having, before: str) -> str:
        """Return persons with one row of a set as anchor, chosen by a window function."""
        key = self._checked.sets[rule.of].source.key
        order = "s._starts DESC, s.`{0}` DESC" if rule.pick < 0 else "s._starts, s.`{0}`"
        inside = f" AND {_anchored_at(rule.within)}" if rule.within else ""
        name, own = rule.anchor, "OVER (PARTITION BY p.person_id"
        rows = (
            f"SELECT p.*, s._starts AS `{name}`, s._ends AS `{name}_end`, "
            f"row_number() {own} ORDER BY {order.format(key)}) AS `_place_{name}`, count(*) {own}) AS `_rows_{name}` "
            f"FROM {before} p JOIN set_{rule.of} s ON s.person_id = p.person_id{inside} WHERE s._starts IS NOT NULL"
        )
        place = max(abs(rule.pick), 1)
        return f"SELECT * FROM ({rows}) r WHERE `_place_{name}` = {place} AND `_rows_{name}` >= {rule.at_least}"

    def _kept(self, rule: Rule, before: str, columns: str) -> str:
        """Return the persons that a rule keeps, each once."""
        if isinstance(rule, AnyOf):
            parts = " UNION ALL ".join(self._kept(part, before, "p.person_id") for part in rule.rules)
            return self._semi(before, columns, f"({parts})", "s.person_id = p.person_id", False)
        if isinstance(rule, Having):
            return self._having(rule, before, columns)
        if isinstance(rule, Age):
            test = _age_between(rule)
        elif isinstance(rule, Observed):
            test = _observed(rule.window)
        else:
            test = self.condition(rule.where, sources()["person"], "p")
        return f"SELECT {columns} FROM {before} p WHERE {test}"

    def _semi(self, before: str, columns: str, other: str, on: str, negated: bool) -> str:
        join, test = self._dialect.semi(other, on, negated)
        return f"SELECT {columns} FROM {before} p{join}{f' WHERE {test}' if test else ''}"

    def _having(self, rule: Having, before: str, columns: str) -> str:
        inside = f" AND {_anchored_at(rule.within)}" if rule.within else ""
        same = "s.person_id = p.person_id"
        if rule.at_least == 1:
            return self._semi(before, columns, f"set_{rule.of}", f"{same}{inside}", rule.negated)
        anchored = f" JOIN {before} p ON {same}{inside}" if rule.within else ""
        many = f"GROUP BY s.person_id HAVING count(*) >= {rule.at_least}"
        counted = f"SELECT s.person_id FROM set_{rule.of} s{anchored} {many}"
        return self._semi(before, columns, f"({counted})", same, rule.negated)

    # Members ---------------------------------------------------------------------------------------------------

    def members(self, last: str) -> str:
        cohort = self._checked.cohort
        index = f"p.`{cohort.index_anchor}`" if cohort.index_anchor else "to_date(NULL)"
        # A balanced split needs everybody at once: it is made of the members, not by this statement.
        split = f", {self._split()} AS split" if cohort.split and not cohort.balanced_by else ""
        if cohort.images is None:
            return f"SELECT p.person_id, {index} AS index_date{split} FROM {last} p"
        source = self._checked.sets[cohort.images.of].source
        uids = [uid for uid in UIDS if uid in source.columns]
        named = ", ".join(f"i.`{uid}`" for uid in uids)
        within = cohort.images.within
        inside = f" WHERE {_inside(within, 'i._starts', *_ends(within))}" if within else ""
        rows = f"set_{cohort.images.of} i JOIN {last} p ON p.person_id = i.person_id{inside}"
        select = f"SELECT p.person_id, {index} AS index_date, i._starts AS image_date, {named}{split}"
        if cohort.images.pick == "all":
            return f"{select} FROM {rows}"
        place = (
            f"row_number() OVER (PARTITION BY {_per(cohort.images)} ORDER BY {_order(cohort.images, source, index)})"
        )
        return f"SELECT * FROM ({select}, {place} AS _place FROM {rows}) m WHERE m._place = 1"

    def _split(self) -> str:
        """Return the part of a person: by a hash, so that it stays when the cohort grows."""
        salt = self._dialect.literal(f"{self._checked.cohort.name}/")
        draw = f"CAST(conv(substring(sha2(concat({salt}, p.person_id), 256), 1, 8), 16, 10) AS BIGINT) % 100"
        cases, upto = [], 0
        for part, share in self._checked.cohort.split.items():
            upto += share
            cases.append(f"WHEN {draw} < {upto} THEN {self._dialect.literal(part)}")
        return f"CASE {' '.join(cases)} END"


def _times(source: Source) -> str:
    if not source.starts:
        return ""
    starts, ends = f"t.`{source.starts}`", f"coalesce(t.`{source.ends}`, t.`{source.starts}`)"
    return f", to_date({starts}) AS _starts, to_date({ends}) AS _ends"


def _inside(window: Window, day: str, starts: str, ends: str) -> str:
    """Return whether a day lies in a window around a span."""
    if window.during:
        return f"{day} BETWEEN {starts} AND {ends}"
    distance = f"datediff({day}, {starts})"
    if window.low is None:
        return f"{distance} <= {window.high}"
    if window.high is None:
        return f"{distance} >= {window.low}"
    return f"{distance} BETWEEN {window.low} AND {window.high}"


def _ends(window: Window | None) -> tuple[str, str]:
    anchor = window.anchor if window else ""
    return f"p.`{anchor}`", f"p.`{anchor}_end`"


def _anchored_at(window: Window) -> str:
    return _inside(window, "s._starts", *_ends(window))


def _age_between(rule: Age) -> str:
    day, born = f"p.`{rule.anchor}`", "p.birth_date"
    unfinished = f"CASE WHEN date_format({day}, 'MMdd') < date_format({born}, 'MMdd') THEN 1 ELSE 0 END"
    age = f"(year({day}) - year({born}) - {unfinished})"
    low, high = rule.at_least or 0, 130 if rule.at_most is None else rule.at_most
    return f"{age} BETWEEN {low} AND {high}"


def _observed(window: Window) -> str:
    starts, ends = _ends(window)
    first = f"datediff(p.registered_from, {starts}) <= {window.low}"
    last = f"datediff(p.registered_to, {starts}) >= {window.high}"
    if window.during:
        first, last = f"p.registered_from <= {starts}", f"p.registered_to >= {ends}"
    return f"{first} AND (p.registered_to IS NULL OR {last})"


def _per(images: Images) -> str:
    return "p.person_id" if images.per == "person" else "p.person_id, i.study_instance_uid"


def _order(images: Images, source: Source, index: str) -> str:
    """Return the order whose first row is picked; the key ends every tie."""
    key = f"i.`{source.key}`"
    if images.pick == "last":
        return f"i._starts DESC, {key} DESC"
    if images.pick == "nearest":
        return f"abs(datediff(i._starts, {index})), i._starts, {key}"
    if images.pick == "best":
        terms = [f"i.`{column}` IS NULL, i.`{column}`{' DESC' if down else ''}" for column, down in images.order]
        return f"{', '.join(terms)}, {key}"
    return f"i._starts, {key}"


def members_sql(checked: Checked, persons: str) -> str:
    """Return the statement that gives other persons their images: by the rule of the cohort, about their own anchors.

    Parameters
    ----------
    checked : Checked
        The definition.
    persons : str
        View with ``person_id`` and each anchor's date and end, as the last step of persons has them.
    """
    return _Writer(checked, Dialect()).members(persons)


def condition_sql(where: ex.Expression, source: Source, alias: str, checked: Checked) -> str:
    """Return a condition on the row of a table that an alias stands for, as Spark SQL.

    Parameters
    ----------
    where : Expression
        In terms of the table's columns (:attr:`cairn.cohort.checking.CheckedSet.where`).
    source : Source
        The table.
    alias : str
        Its alias in the statement.
    checked : Checked
        A definition with the code lists that the condition may use.
    """
    return _Writer(checked, Dialect()).condition(where, source, alias)
