"""conf/kubernetes without Docker or a cluster: what its files name is there, its commands are ones that are taken."""

from __future__ import annotations

import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

from cairn.launch.jobs import find_job
from cairn.launch.options import deployment, split

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "conf" / "kubernetes"
OF_SPARK = {
    "SPARK_EXECUTOR_MEMORY": "8g",
    "SPARK_DRIVER_URL": "spark://driver:7078",
    "SPARK_EXECUTOR_ID": "3",
    "SPARK_EXECUTOR_CORES": "4",
    "SPARK_APPLICATION_ID": "spark-1",
    "SPARK_EXECUTOR_POD_IP": "10.0.0.3",
    "SPARK_RESOURCE_PROFILE_ID": "0",
    "SPARK_EXECUTOR_POD_NAME": "exec-3",
    "SPARK_DRIVER_BIND_ADDRESS": "10.0.0.1",
}
"""Variables that Spark gives its pods (4.2, BasicExecutorFeatureStep, BasicDriverFeatureStep)."""


@pytest.fixture
def container(tmp_path):
    """Run entrypoint.sh with programs that print how they were called."""
    spark = tmp_path / "home" / "python" / "lib" / "python3.12" / "site-packages" / "pyspark"
    programs = {
        tmp_path / "bin" / "tini": '[ "$1 $2" = "-s --" ] || exit 9; shift 2; exec "$@"',
        tmp_path / "java" / "bin" / "java": 'printf "%s\\n" java "$@"',
        spark / "bin" / "spark-submit": 'printf "%s\\n" spark-submit "$@"',
    }
    for path, body in programs.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/usr/bin/env bash\n{body}\n")
        path.chmod(0o755)
    own = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "JAVA_HOME": str(tmp_path / "java"),
           "CAIRN_HOME": str(tmp_path / "home")}  # fmt: skip

    def run(*words: str, **variables: str) -> list[str]:
        command = ["bash", str(FOLDER / "entrypoint.sh"), *words]
        done = subprocess.run(command, env=own | OF_SPARK | variables, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    run.spark = str(spark)
    return run


def test_an_executor_is_started_as_spark_asks(container):
    options = {"SPARK_JAVA_OPT_0": "-Dspark.driver.port=7078", "SPARK_JAVA_OPT_1": "-Da=with blanks"}
    options |= {f"SPARK_JAVA_OPT_{n}": f"-Dn={n}" for n in range(2, 12)}
    words = container("executor", **options, SPARK_CONF_DIR="/opt/spark/conf", SPARK_EXTRA_CLASSPATH="/more/*")
    assert words[:3] == ["java", "-Dspark.driver.port=7078", "-Da=with blanks"]
    assert words[3:13] == [f"-Dn={n}" for n in range(2, 12)]
    assert words[13:17] == ["-Xms8g", "-Xmx8g", "-cp", f"/opt/spark/conf:{container.spark}/jars/*:/more/*"]
    assert words[17] == "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend"
    pairs = dict(zip(words[18::2], words[19::2], strict=True))
    assert pairs == {
        "--driver-url": "spark://driver:7078",
        "--executor-id": "3",
        "--cores": "4",
        "--app-id": "spark-1",
        "--hostname": "10.0.0.3",
        "--resourceProfileId": "0",
        "--podName": "exec-3",
    }
    assert container("executor")[:2] == ["java", "-Xms8g"]


def test_options_are_those_that_sparks_executor_knows(container):
    """Each stands in the class that takes it, so that an upgrade of Spark cannot drop one unseen."""
    pyspark = pytest.importorskip("pyspark")
    jar = next(Path(pyspark.__file__).parent.glob("jars/spark-kubernetes_*.jar"))
    with zipfile.ZipFile(jar) as classes:
        code = classes.read("org/apache/spark/scheduler/cluster/k8s/KubernetesExecutorBackend$.class")
    asked = [word for word in container("executor") if word.startswith("--")]
    assert [option for option in asked if option.encode() not in code] == []


def test_a_driver_of_cluster_mode_is_sparks_own(container):
    words = container("driver", "--properties-file", "/opt/spark/conf/spark.properties", "local:///job.py")
    assert words[:5] == ["spark-submit", "--conf", "spark.driver.bindAddress=10.0.0.1", "--deploy-mode", "client"]
    assert words[5:] == ["--properties-file", "/opt/spark/conf/spark.properties", "local:///job.py"]


def documents(name: str) -> list[dict]:
    return list(yaml.safe_load_all((FOLDER / name).read_text("utf-8")))


def test_the_example_is_a_command_line_that_cairn_takes():
    pod = documents("pipeline.yaml")[-1]["spec"]["template"]["spec"]
    arguments = pod["containers"][0]["args"]
    job = find_job(ROOT / "jobs", arguments[0])
    line = split(arguments, job.options)
    assert [word.partition("=")[0] for word in line.job] == ["pipeline", "--archive", "--warehouse", "--keys", "--json"]
    place = deployment(line, {})
    assert (place.kind, place.mode) == ("kubernetes", "client")
    template = documents("executor.yaml")[0]["spec"]
    named = place.given["spark.kubernetes.executor.podTemplateContainerName"]
    assert [container["name"] for container in template["containers"]] == [named]


def test_driver_and_executors_see_the_same_folders():
    driver = documents("pipeline.yaml")[-1]["spec"]["template"]["spec"]
    executor = documents("executor.yaml")[0]["spec"]
    mounts = [{m["name"]: m["mountPath"] for m in pod["containers"][0]["volumeMounts"]} for pod in (driver, executor)]
    assert mounts[0] == mounts[1] | {"template": "/etc/cairn"}
    for pod in (driver, executor):
        volumes = {volume["name"] for volume in pod["volumes"]}
        wanted = {m["name"] for part in pod["containers"] + pod["initContainers"] for m in part["volumeMounts"]}
        assert wanted == volumes
        assert pod["securityContext"]["runAsNonRoot"]
    assert driver["initContainers"][0]["command"] == executor["initContainers"][0]["command"]


def test_the_copied_keys_are_ones_that_cairn_reads(tmp_path):
    """The init container's own command, on a folder as Kubernetes mounts a secret: links, readable by the group."""
    from cairn.deid.keys import make_key, read_key

    made = make_key(tmp_path / "made")
    secret, keys = tmp_path / "secret", tmp_path / "keys"
    (secret / "..data").mkdir(parents=True)
    keys.mkdir(mode=0o777)
    (secret / "..data" / "site.key").write_bytes((tmp_path / "made" / "site.key").read_bytes())
    (secret / "..data" / "site.key").chmod(0o440)
    (secret / "site.key").symlink_to("..data/site.key")
    script = documents("executor.yaml")[0]["spec"]["initContainers"][0]["command"]
    script = [word.replace("/run/secret", str(secret)).replace("/run/keys", str(keys)) for word in script]
    subprocess.run(script, check=True)
    assert read_key(keys / "own").fingerprint == made.fingerprint


def test_what_the_image_takes_is_there():
    text = re.sub(r"\\\n", " ", (FOLDER / "Dockerfile").read_text("utf-8"))
    sources = []
    for line in re.findall(r"^COPY (.+)$", text, re.MULTILINE):
        words = line.split()
        if not any(word.startswith("--from=") for word in words):
            sources += [word for word in words[:-1] if not word.startswith("--")]
    assert sources and [source for source in sources if not (ROOT / source).exists()] == []
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE)[-1] == "10001"
    user = re.search(r"useradd --uid (\d+)", text)
    assert user and user[1] == "10001"
