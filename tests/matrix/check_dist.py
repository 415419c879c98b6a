"""Checks the files in the wheel and in the sdist. The argument is the folder that contains both."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGE = "airflow_provider_testerarmy"
REPOSITORY = Path(__file__).resolve().parents[2]


def main(folder: str) -> None:
    """Check both archives.

    :raises AssertionError: for missing files, and for files that do not belong there.
    """
    (wheel,) = Path(folder).glob("*.whl")
    (sdist,) = Path(folder).glob("*.tar.gz")
    check_wheel(set(zipfile.ZipFile(wheel).namelist()))
    with tarfile.open(sdist) as archive:
        root = sdist.name.removesuffix(".tar.gz")
        check_sdist({name.removeprefix(f"{root}/") for name in archive.getnames()})
    print(f"{wheel.name} and {sdist.name} contain the expected files.")


def check_wheel(names: set[str]) -> None:
    """Check that the wheel contains the whole package with its assets, and no file of another package."""
    tops = {name.split("/")[0] for name in names}
    assert not any(top == "airflow" for top in tops), "the wheel puts files into Airflow's own package"
    strange = sorted(top for top in tops if top != PACKAGE and not top.endswith(".dist-info"))
    assert not strange, f"the wheel has files of other packages: {strange}"
    missing = sorted(tracked(PACKAGE) - names)
    assert not missing, f"missing in the wheel: {missing}"


def check_sdist(names: set[str]) -> None:
    """Check that the sdist contains the package, its documentation, its examples and its tests."""
    folders = (PACKAGE, "docs", "example_dags", "skills", "tests", "website")
    missing = sorted({name for folder in folders for name in tracked(folder)} - names)
    assert not missing, f"missing in the sdist: {missing}"


def tracked(folder: str) -> set[str]:
    """The files of a folder of the repository, without bytecode caches."""
    paths = (path for path in (REPOSITORY / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(REPOSITORY)) for path in paths if "__pycache__" not in path.parts}


if __name__ == "__main__":
    main(sys.argv[1])
