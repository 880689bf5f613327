"""What the pages say is there: files that links lead to, codes, tests, jobs, settings, and lines of conf/spark."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from cairn.errors import CONDITIONS
from cairn.launch.jobs import job_files
from cairn.launch.options import read_properties
from cairn.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
CODE = re.compile(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`")
CALL = re.compile(r"spark-submit\.sh\s+([A-Za-z][\w-]*)")
SETTING = re.compile(r"`([a-z]+)\.([a-z_]+)`")
OF_OTHERS = re.compile(r"(ARROW|AWS|AZURE|CAIRN|GOOGLE|HADOOP|JAVA|NUMBA|PYSPARK|SPARK)_")
"""Environment variables, which look like codes."""
PLACEHOLDERS = {"JOB"}
"""Words that stand for any job."""
OF_THE_STANDARD = {"YBR_FULL", "YBR_FULL_422"}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@cache
def text_of(page: Path) -> str:
    return page.read_text("utf-8")


@cache
def prose_of(page: Path) -> str:
    """The page without its blocks of code, in which brackets are no links."""
    return re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)


@cache
def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@cache
def constants_of_the_package() -> frozenset[str]:
    """Names of constants in the package: pages speak of some of them."""
    found = set()
    for file in (ROOT / "lib" / "cairn").rglob("*.py"):
        found.update(re.findall(r"^([A-Z][A-Z0-9_]+)\b[^=\n]*=", file.read_text("utf-8"), re.MULTILINE))
    return frozenset(found)


@cache
def functions_of(file: Path) -> frozenset[str]:
    """Names of a file's test functions, read and not run."""
    tree = ast.parse(file.read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@each_page
def test_every_link_leads_somewhere(page):
    broken = []
    for link in LINK.findall(prose_of(page)):
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (page.parent / path).resolve() if path else page
        missing = not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors_of(target))
        broken += [link] if missing else []
    assert broken == []


@each_page
def test_every_code_is_a_condition(page):
    named = {code for code in CODE.findall(text_of(page)) if not OF_OTHERS.match(code)}
    assert named - CONDITIONS.keys() - constants_of_the_package() - OF_THE_STANDARD == set()


@each_page
def test_every_job_is_there(page):
    named = set(CALL.findall(text_of(page))) - PLACEHOLDERS
    assert named - job_files(ROOT / "jobs").keys() == set()


@each_page
def test_every_test_that_is_named_is_there(page):
    named = set(TEST.findall(text_of(page)))
    missing = [f"{file}::{test}" for file, test in named if not has_test(ROOT / file, test)]
    assert missing == []
    files = set(re.findall(r"`(tests/[\w/]+\.py)`", text_of(page)))
    assert [file for file in files if not (ROOT / file).is_file()] == []


def has_test(file: Path, name: str) -> bool:
    return file.is_file() and name in functions_of(file)


@each_page
def test_every_setting_of_a_section_is_there(page):
    known = {name: set(section.annotation.model_fields) for name, section in Settings.model_fields.items()}
    named = {pair for pair in SETTING.findall(text_of(page)) if pair[0] in known and pair[0] != "spark"}
    tables = {"py", "md", "txt", "csv", "yaml", "conf"}
    assert [pair for pair in named if pair[1] not in known[pair[0]] | tables] == []


def test_the_threats_name_tests_that_show_their_answers():
    assert len(set(TEST.findall(text_of(ROOT / "docs" / "threats.md")))) > 60


def test_these_tests_see_what_is_not_there(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A head, with: signs\n[x](page.md#a-head-with-signs) [y](gone.md) [z](page.md#gone)\n`NO_SUCH_CODE`\n"
    )
    with pytest.raises(AssertionError, match=r"gone\.md.*page\.md#gone"):
        test_every_link_leads_somewhere(page)
    with pytest.raises(AssertionError, match="NO_SUCH_CODE"):
        test_every_code_is_a_condition(page)
    assert not has_test(Path(__file__), "test_that_is_not_there")


@pytest.mark.parametrize("kind", ["local", "standalone", "yarn", "kubernetes"])
def test_every_cluster_writes_no_event_log_and_redacts_what_is_asked_for(kind):
    lines = read_properties(ROOT / "conf" / "spark" / f"{kind}.conf")
    assert (lines["spark.eventLog.enabled"], lines["spark.ui.enabled"]) == ("false", "false")
    assert lines["spark.sql.event.truncate.length"] == "0"
    # Java's Properties, which read the file when it is given by --properties-file, would take a backslash away.
    text, secret = lines["spark.redaction.string.regex"], lines["spark.redaction.regex"]
    assert "\\" not in text + secret
    assert re.sub(text, "*", "chi = 0101701233, uid = 1.2.840.10008.5.1.4") == "chi = *, uid = *"
    assert re.sub(text, "*", "slice_thickness = 1.25, year = 2019") == "slice_thickness = 1.25, year = 2019"
    names = """fs.azure.account.key.site.dfs.core.windows.net spark.authenticate.secret fs.s3a.access.key
        AWS_SECRET_ACCESS_KEY AZURE_STORAGE_ACCOUNT_KEY fs.gs.auth.service.account.private.key"""
    for name in names.split():
        assert re.search(secret, name), name
    assert not re.search(secret, "spark.cairn.shipEnvironment")
