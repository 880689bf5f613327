"""A definition in plain English: one sentence a set and a step."""

from __future__ import annotations

from collections.abc import Iterator

from cairn.cohort import expression as ex
from cairn.cohort.catalogue import sources
from cairn.cohort.model import Age, AnyOf, Cohort, Combination, Having, Images, Observed, Rule, SetDefinition

_ORDINALS = {1: "first", 2: "second", 3: "third", -1: "last"}
_SIGNS = {"=": "is", "!=": "is not", "<": "is below", "<=": "is at most", ">": "is above", ">=": "is at least",
          "like": "is like", "matches": "matches"}  # fmt: skip


def condition(test: ex.Expression) -> str:
    """Return a condition in words."""
    if isinstance(test, ex.Not):
        return f"not ({condition(test.of)})"
    if isinstance(test, ex.Known):
        return condition(test.of)
    if isinstance(test, (ex.All, ex.Any)):
        word = " and " if isinstance(test, ex.All) else " or "
        parts = [f"({condition(p)})" if isinstance(p, (ex.All, ex.Any)) else condition(p) for p in test.of]
        return word.join(parts) or "anything"
    name = test.column.replace("_", " ")
    if isinstance(test, ex.Compare):
        return f"{name} {_SIGNS[test.operator]} {test.value}"
    if isinstance(test, ex.Between):
        return f"{name} is from {test.low} to {test.high}"
    if isinstance(test, ex.In):
        return f"{name} is one of {', '.join(map(str, test.values))}"
    if isinstance(test, ex.InCodes):
        return f"{name} is in the code list {test.codes}"
    return f"{name} is empty" if isinstance(test, ex.IsNull) else name


def set_words(name: str, definition: SetDefinition) -> str:
    """Return what a set holds."""
    if isinstance(definition, Combination):
        joined = {"union": " or in ", "intersect": " and in ", "except": " but not in "}[definition.operator]
        return f"{name}: rows in {joined.join(definition.sets)}"
    what = f"rows of {definition.source}" if definition.source in sources() else f"those of {definition.source}"
    where = "" if definition.where == ex.NOTHING else f" where {condition(definition.where)}"
    within = f", {definition.within.words()}" if definition.within else ""
    return f"{name}: {what}{where}{within}"


def rule_words(rule: Rule) -> str:
    """Return what a rule asks of a person."""
    if isinstance(rule, AnyOf):
        return "; or ".join(rule_words(part) for part in rule.rules)
    if isinstance(rule, Age):
        limits = [f"{w} {n}" for w, n in (("at least", rule.at_least), ("at most", rule.at_most)) if n is not None]
        return f"{' and '.join(limits)} years old at {rule.anchor}"
    if isinstance(rule, Observed):
        return f"registered {rule.window.words()}"
    if isinstance(rule, Having):
        return _having_words(rule)
    return condition(rule.where)


def _having_words(rule: Having) -> str:
    within = f" {rule.within.words()}" if rule.within else ""
    if rule.negated:
        count = "no row" if rule.at_least == 1 else f"fewer than {rule.at_least} rows"
        return f"with {count} in {rule.of}{within}"
    count = f"at least {rule.at_least} rows" if rule.at_least > 1 else "a row"
    words = f"with {count} in {rule.of}{within}"
    if rule.anchor:
        words += f"; the {_ORDINALS.get(rule.pick, f'{rule.pick}th')} is called {rule.anchor}"
    return words


def image_words(images: Images) -> str:
    """Return which images are taken."""
    within = f" {images.within.words()}" if images.within else ""
    which = "all" if images.pick == "all" else f"the {images.pick} per {images.per}"
    order = f", by {', '.join(c + (' descending' if down else '') for c, down in images.order)}" if images.order else ""
    return f"{which} of {images.of}{within}{order}"


def explain(cohort: Cohort) -> list[str]:
    """Return the definition in sentences, in the order in which it is carried out."""
    return list(_sentences(cohort))


def _sentences(cohort: Cohort) -> Iterator[str]:
    yield f"{cohort.name}, version {cohort.version}: {cohort.title}"
    for name, definition in cohort.sets.items():
        yield f"Set {set_words(name, definition)}."
    yield "Persons: all."
    for rule in cohort.persons:
        yield f"Of these: persons {rule_words(rule)}."
    if cohort.index_anchor:
        yield f"The index date is that of {cohort.index_anchor}."
    if cohort.images is not None:
        yield f"Images: {image_words(cohort.images)}; persons without one are left out."
    if cohort.controls is not None:
        controls = cohort.controls
        equal = f", equal in {', '.join(controls.exact)}" if controls.exact else ""
        near = "".join(f", {column} within {limit}" for column, limit in controls.caliper.items())
        out = f", none in {', '.join(controls.not_in)}" if controls.not_in else ""
        yield f"Controls: {controls.per_case} for each person{equal}{near}{out}."
    if cohort.split:
        parts = ", ".join(f"{part} {share} %" for part, share in cohort.split.items())
        balanced = f"; each part its share of every {' and '.join(cohort.balanced_by)}" if cohort.balanced_by else ""
        yield f"Split by person: {parts}{balanced}."
