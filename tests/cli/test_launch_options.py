"""The command line taken apart, the job files read, and the command that comes out."""

from __future__ import annotations

import os
import shlex
import tarfile
import zipfile
from pathlib import Path
from urllib.request import url2pathname

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.errors import CairnError
from cairn.launch.environment import Home
from cairn.launch.jobs import find_job, listing, read_job
from cairn.launch.options import SPARK_FLAGS, SPARK_VALUES, deployment, read_properties, split
from cairn.launch.shipping import environment_tar, package_zip
from cairn.launch.submit import plain_command, spark_command

ROOT = Path(__file__).resolve().parents[2]

WORDS = st.text("abc -=*'\" /é", max_size=8).filter(lambda text: not text.startswith("--"))
PIECES = st.one_of(
    WORDS.map(lambda word: ("job", [word])),
    st.sampled_from(["--warehouse", "--json", "--set=a.b=c"]).map(lambda word: ("job", [word])),
    st.tuples(st.sampled_from(sorted(SPARK_VALUES)), WORDS).map(lambda pair: ("spark", list(pair))),
    st.tuples(st.sampled_from(sorted(SPARK_VALUES)), WORDS).map(lambda pair: ("spark=", ["=".join(pair)])),
    st.sampled_from(sorted(SPARK_FLAGS)).map(lambda word: ("flag", [word])),
)


@given(st.lists(PIECES))
def test_every_word_goes_to_exactly_one_side_in_its_order(pieces):
    line = split([word for _, words in pieces for word in words])
    assert line.job == [word for kind, words in pieces if kind == "job" for word in words]
    expected = {
        "spark": lambda words: (words[0], words[1]),
        "spark=": lambda words: tuple(words[0].split("=", 1)),
        "flag": lambda words: (words[0], None),
    }
    assert line.spark == [expected[kind](words) for kind, words in pieces if kind != "job"]


def test_options_stand_anywhere():
    line = split(["--master", "local[2]", "demo", "--conf=a=b=c", "x", "--ship-environment", "--warehouse", "w"])
    assert line.job == ["demo", "x", "--warehouse", "w"]
    assert line.spark == [("--master", "local[2]"), ("--conf", "a=b=c")]
    assert line.ship
    assert line.conf == {"spark.master": "local[2]", "a": "b=c"}


def test_everything_behind_two_hyphens_is_the_jobs():
    assert split(["sql", "--", "--master", "x", "--"]).job == ["sql", "--", "--master", "x", "--"]


def test_an_option_of_the_job_wins_over_sparks():
    line = split(["synthesise", "--files", "5", "--name=x"], frozenset({"--files"}))
    assert line.job == ["synthesise", "--files", "5"]
    assert line.spark == [("--name", "x")]


def test_spark_options_are_those_of_spark():
    """Every long option in the help of Spark's own launcher is known here, so that an upgrade cannot add one unseen."""
    pyspark = pytest.importorskip("pyspark")
    parser = next(Path(pyspark.__file__).parent.glob("jars/spark-launcher_*.jar"))
    with zipfile.ZipFile(parser) as jar:
        code = jar.read("org/apache/spark/launcher/SparkSubmitOptionParser.class")
    found = {word.decode() for word in _constants(code) if word.startswith(b"--") and len(word) > 3}
    ours = {"--help", "--version", "--kill", "--status", "--usage-error", "--remote"}
    assert found - SPARK_VALUES - SPARK_FLAGS <= ours


def _constants(code: bytes) -> list[bytes]:
    """UTF-8 constants of a class file (JVMS 4.4.7: tag 1, two bytes of length, bytes)."""
    words = []
    for place in range(len(code) - 3):
        if code[place] == 1:
            length = int.from_bytes(code[place + 1 : place + 3], "big")
            if code[place + 3 : place + 5] == b"--" and length < 40:
                words.append(code[place + 3 : place + 3 + length])
    return words


@pytest.mark.parametrize(
    ("text", "properties"),
    [
        ("spark.a b", {"spark.a": "b"}),
        ("spark.a=b\nspark.c: d\n", {"spark.a": "b", "spark.c": "d"}),
        ("  # no\n! no\n\nspark.a   b c  # stays\n", {"spark.a": "b c  # stays"}),
        ("spark.a  x \\\n  y", {"spark.a": "x   y"}),
        ("spark.a", {"spark.a": ""}),
        ("spark.a = b=c:d", {"spark.a": "b=c:d"}),
    ],
)
def test_properties_as_java_reads_them(tmp_path, text, properties):
    (tmp_path / "p").write_text(text)
    assert read_properties(tmp_path / "p") == properties


@pytest.mark.parametrize(
    ("master", "kind"),
    [
        ("local", "local"),
        ("local[*]", "local"),
        ("local[4,2]", "local"),
        ("local-cluster[2,1,1024]", "standalone"),
        ("spark://h:7077", "standalone"),
        ("yarn", "yarn"),
        ("k8s://https://h:6443", "kubernetes"),
    ],
)
def test_master_decides_the_defaults(master, kind):
    assert deployment(split(["--master", master]), {}).kind == kind
    assert (ROOT / "conf" / "spark" / f"{kind}.conf").is_file()


def test_the_nearer_setting_of_the_master_wins(tmp_path):
    (tmp_path / "spark-defaults.conf").write_text("spark.master yarn\nspark.x site\n")
    (tmp_path / "mine.conf").write_text("spark.master spark://mine:1\n")
    site = {"SPARK_CONF_DIR": str(tmp_path)}
    mine = ["--properties-file", str(tmp_path / "mine.conf")]
    assert deployment(split([]), {}).master == "local[*]"
    assert deployment(split([]), site).master == "yarn"
    assert deployment(split(mine), site).master == "spark://mine:1"
    assert "spark.x" not in deployment(split(mine), site).given
    assert deployment(split([*mine, "--load-spark-defaults"]), site).given["spark.x"] == "site"
    assert deployment(split([*mine, "--conf", "spark.master=local[1]"]), site).master == "local[1]"
    assert deployment(split([*mine, "--conf", "spark.master=local[1]", "--master", "yarn"]), site).master == "yarn"


JOB = '"""Count.\n\nMore."""\nimport no_such_module\n{flag}\nparser.add_argument("-n", "--name", "--files")\n'


def test_jobs_are_read_and_not_run(tmp_path):
    (tmp_path / "count_all.py").write_text(JOB.format(flag="SPARK = False"))
    (tmp_path / "_shared.py").write_text("raise SystemExit(9)")
    job = read_job(tmp_path / "count_all.py")
    assert (job.name, job.summary, job.needs_spark) == ("count-all", "Count.", False)
    assert job.options == {"--name", "--files"} and job.extras == ()
    (tmp_path / "with_more.py").write_text(JOB.format(flag='EXTRAS = ("one", "two")'))
    assert read_job(tmp_path / "with_more.py").extras == ("one", "two")
    assert "_shared" not in listing(tmp_path)
    (tmp_path / "count_all.py").write_text(JOB.format(flag=""))
    assert find_job(tmp_path, "count_all").needs_spark


def test_a_job_that_is_no_python(tmp_path):
    (tmp_path / "bad.py").write_text("def (")
    with pytest.raises(CairnError, match="JOB_UNREADABLE"):
        find_job(tmp_path, "bad")


def test_every_job_of_the_repository_has_its_line():
    jobs = [read_job(path) for path in sorted((ROOT / "jobs").glob("[!_]*.py"))]
    assert jobs
    for job in jobs:
        assert 10 < len(job.summary) <= 120, f"{job.name}: the first line of its docstring is its line in the list"


@pytest.fixture
def home(tmp_path):
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    (requirements / "runtime.txt").write_text("")
    (requirements / "jars.txt").write_text("")
    made = Home(tmp_path / "ho me", requirements)
    (made.environment / "bin").mkdir(parents=True)
    made.python.symlink_to("/usr/bin/python3")
    (made.environment / "bin" / "pip").write_text("#!/a path that holds here only\n")
    for place in ("lib/site-packages/numpy/a.py", "lib/site-packages/pyspark/jars/b.jar", "lib/__pycache__/c.pyc"):
        (made.environment / place).parent.mkdir(parents=True, exist_ok=True)
        (made.environment / place).write_text("")
    return made


JARS = [Path("/j ars/delta.jar"), Path("/j ars/mongo.jar")]


def submitted(home: Home, arguments: list[str], **inherited: str):
    """Words and environment of the command, Spark's options as pairs and the ``--conf`` ones as a mapping."""
    job = read_job(ROOT / "jobs" / "series.py")
    line = split(arguments)
    command = spark_command(ROOT, home, job, line, deployment(line, inherited), JARS, inherited)
    words = shlex.split(command.environment.get("PYSPARK_SUBMIT_ARGS", ""))[:-1] or list(command.words[1:])
    conf = [words[place + 1] for place, word in enumerate(words) if word == "--conf"]
    return command, words, dict(pair.split("=", 1) for pair in conf)


def test_local_job_is_python_with_sparks_options_beside_it(home):
    command, words, conf = submitted(home, ["series", "--json", "--driver-memory", "2g", "--conf", "spark.x=a b"])
    assert command.words == (str(home.python), str(ROOT / "jobs" / "series.py"), "--json")
    assert words[:2] == ["--master", "local[*]"]
    assert conf["spark.driver.extraClassPath"] == "/j ars/*"
    assert conf["spark.sql.extensions"] == "io.delta.sql.DeltaSparkSessionExtension"
    assert conf["spark.sql.session.timeZone"] == "UTC"
    assert conf["spark.x"] == "a b"
    assert "spark.driver.memory" not in conf and words[words.index("--driver-memory") + 1] == "2g"
    assert "--jars" not in words and "spark.jars" not in conf
    assert command.environment["SPARK_LOCAL_IP"] == "127.0.0.1"
    assert command.environment["PYTHONPATH"] == str(ROOT / "lib")
    assert command.environment["PYSPARK_PYTHON"] == str(home.python)


def test_what_the_user_sets_is_not_set_again(home, tmp_path):
    (tmp_path / "p.conf").write_text("spark.ui.enabled true\n")
    arguments = ["series", "--properties-file", str(tmp_path / "p.conf"), "--conf", "spark.sql.session.timeZone=GMT"]
    _, words, conf = submitted(home, arguments)
    assert "spark.ui.enabled" not in conf, "the user's file says it"
    assert words.count("--properties-file") == 1
    assert conf["spark.sql.session.timeZone"] == "GMT"
    assert " ".join(words).count("spark.sql.session.timeZone") == 1


@pytest.mark.parametrize("way", [["--driver-class-path", "/mine"], ["--conf", "spark.driver.extraClassPath=/mine"]])
def test_the_users_class_path_is_kept_beside_ours(home, way):
    _, words, conf = submitted(home, ["series", *way])
    assert conf["spark.driver.extraClassPath"] == "/j ars/*:/mine"
    assert " ".join(words).count("/mine") == 1


def test_another_spark_or_python_of_the_user_is_kept_out(home):
    inherited = {"SPARK_HOME": "/old", "PYTHONPATH": "/mine", "PYSPARK_SUBMIT_ARGS": "x", "JAVA_HOME": "/j", "A": "b"}
    command, _, _ = submitted(home, ["series"], **inherited)
    assert command.environment["SPARK_HOME"] == str(home.spark)
    assert "/mine" not in command.environment["PYTHONPATH"]
    assert (command.environment["JAVA_HOME"], command.environment["A"]) == ("/j", "b")
    plain = plain_command(ROOT, home, read_job(ROOT / "jobs" / "series.py"), ["--help"], inherited)
    assert plain.words[1:] == (str(ROOT / "jobs" / "series.py"), "--help")
    assert "PYSPARK_SUBMIT_ARGS" not in plain.environment


def test_cluster_gets_package_and_jars(home):
    command, _, conf = submitted(
        home, ["series", "--master", "spark://h:1", "--jars", "/mine.jar", "--py-files=/a.zip"]
    )
    assert conf["spark.jars"] == "/j ars/delta.jar,/j ars/mongo.jar,/mine.jar"
    package, mine = conf["spark.submit.pyFiles"].split(",")
    assert mine == "/a.zip"
    with zipfile.ZipFile(package) as archive:
        assert {"cairn/__init__.py", "cairn/errors.py", "cairn/tables/instance.py"} <= set(archive.namelist())
        assert not [name for name in archive.namelist() if "__pycache__" in name]
    assert "SPARK_LOCAL_IP" not in command.environment
    assert "spark.archives" not in conf
    assert command.environment["PYSPARK_PYTHON"] == str(home.python)


@pytest.mark.parametrize(
    "arguments", [["--master", "spark://h:1", "--ship-environment"], ["--master", "yarn"], ["--master", "k8s://h"]]
)
def test_shipped_environment(home, arguments):
    command, _, conf = submitted(home, ["series", *arguments])
    tar, _, name = conf["spark.archives"].partition("#")
    assert command.environment["PYSPARK_PYTHON"] == f"./{name}/bin/python"
    assert command.words[0] == str(home.python), "the driver keeps its own"
    assert tar.startswith("file:///") and " " not in tar
    with tarfile.open(url2pathname(tar.removeprefix("file://"))) as archive:
        members = set(archive.getnames())
    assert {"./bin/python", "./lib/site-packages/numpy/a.py"} <= members
    assert not [name for name in members if name.endswith((".jar", "/pip", ".pyc"))]


def test_shipping_can_be_switched_off(home):
    _, _, conf = submitted(home, ["series", "--master", "yarn", "--conf", "spark.cairn.shipEnvironment=false"])
    assert "spark.archives" not in conf


def test_cluster_mode_goes_through_spark_submit(home):
    command, words, _ = submitted(home, ["series", "--json", "--master", "yarn", "--deploy-mode", "cluster"])
    assert command.words[0] == str(home.spark / "bin" / "spark-submit")
    assert command.words[-2:] == (str(ROOT / "jobs" / "series.py"), "--json")
    assert "PYSPARK_SUBMIT_ARGS" not in command.environment
    assert command.environment["PYSPARK_DRIVER_PYTHON"] == "./environment/bin/python"
    assert words[words.index("--deploy-mode") + 1] == "cluster"


def test_zip_is_made_again_only_when_the_source_changes(home, tmp_path):
    source = tmp_path / "lib" / "cairn" / "a.py"
    source.parent.mkdir(parents=True)
    source.write_text("A = 1\n")
    first = package_zip(home, tmp_path / "lib")
    content = first.read_bytes()
    os.utime(source, (0, 0))
    first.unlink()
    assert package_zip(home, tmp_path / "lib").read_bytes() == content
    source.write_text("A = 2\n")
    assert package_zip(home, tmp_path / "lib") != first


def test_environment_is_packed_once(home):
    tar = environment_tar(home)
    before = tar.stat().st_mtime_ns
    assert environment_tar(home).stat().st_mtime_ns == before
    assert not list(tar.parent.glob("*.draft"))


def test_the_log_settings_name_classes_that_exist():
    """A logger whose class an upgrade has moved would let its noise through again."""
    pyspark = pytest.importorskip("pyspark")
    classes = set()
    for pattern in ("spark-sql_*", "spark-core_*", "spark-common-utils_*", "hadoop-client-api-*"):
        for jar in Path(pyspark.__file__).parent.glob(f"jars/{pattern}.jar"):
            with zipfile.ZipFile(jar) as archive:
                classes |= {name.removesuffix(".class").replace("/", ".") for name in archive.namelist()}
    properties = read_properties(ROOT / "conf" / "spark" / "log4j2.properties")
    named = {value for key, value in properties.items() if key.startswith("logger.") and key.endswith(".name")}
    assert named and named <= classes


@pytest.mark.parametrize(("master", "silent"), [("local[2]", True), ("spark://h:1", False)])
def test_the_open_wire_is_warned_of_where_there_is_one(home, master, silent):
    _, _, conf = submitted(home, ["series", "--master", master])
    assert ("-Dcairn.wire.level=error" in conf["spark.driver.defaultJavaOptions"]) == silent
    assert "log4j2.properties" in conf["spark.driver.defaultJavaOptions"]
