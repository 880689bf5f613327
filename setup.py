"""Installs the package: ``pip install .`` or ``pip install '.[s3,test]'``. Jobs run by ``spark-submit.sh`` instead."""

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent


def version() -> str:
    """Return the version in cairn/__init__.py, read as text: importing it would need what is not installed yet."""
    text = (HERE / "lib" / "cairn" / "__init__.py").read_text("utf-8")
    found = re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE)
    if found is None:
        raise ValueError("lib/cairn/__init__.py states no __version__")
    return found.group(1)


def requirements(name: str) -> list[str]:
    """Return the requirements of requirements/NAME.in, which the lock is made from, without its constraints."""
    lines = (HERE / "requirements" / f"{name}.in").read_text("utf-8").splitlines()
    wanted = (line.partition("#")[0].strip() for line in lines)
    return [line for line in wanted if line and not line.startswith("-")]


class BuildWithProfiles(build_py):
    """Puts the profiles of conf/deid beside the package's data: conf itself stays behind in the repository."""

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        target = Path(self.build_lib, "cairn", "deid", "data", "profiles")
        self.mkpath(str(target))
        for profile in sorted((HERE / "conf" / "deid").glob("*.yaml")):
            self.copy_file(str(profile), str(target / profile.name))


setup(
    name="cairn",
    version=version(),
    description="A national archive of clinical images as research cohorts: DICOM, Apache Spark and Delta tables",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    package_dir={"": "lib"},
    packages=find_packages("lib"),
    package_data={
        "cairn": ["py.typed"],
        **{f"cairn.{name}": ["data/*"] for name in ("cohort", "deid", "quality", "synthetic")},
    },
    cmdclass={"build_py": BuildWithProfiles},
    install_requires=requirements("runtime"),
    extras_require={
        "s3": requirements("s3"),
        "azure": requirements("azure"),
        "gcs": requirements("gcs"),
        "demo": requirements("demo"),
        "notebook": requirements("notebook"),
        "test": [line for line in requirements("dev") if line.startswith(("pytest", "hypothesis", "moto", "s3fs"))],
        "dev": requirements("dev"),
    },
    classifiers=[
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Medical Science Apps.",
    ],
)
