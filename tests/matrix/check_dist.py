"""What is in the wheel and in the sdist, beside what other tools look at; called with their folder."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGE = "airflow_provider_testerarmy"
REPOSITORY = Path(__file__).resolve().parents[2]


def main(folder: str) -> None:
    """Raise for the first thing that is missing, or that should not be there."""
    (wheel,) = Path(folder).glob("*.whl")
    (sdist,) = Path(folder).glob("*.tar.gz")
    check_wheel(set(zipfile.ZipFile(wheel).namelist()))
    with tarfile.open(sdist) as archive:
        root = sdist.name.removesuffix(".tar.gz")
        check_sdist({name.removeprefix(f"{root}/") for name in archive.getnames()})
    print(f"{wheel.name} and {sdist.name} have what they need, and nothing else")


def check_wheel(names: set[str]) -> None:
    """The whole package with its assets, and only that: nothing of Airflow's own is overlaid."""
    tops = {name.split("/")[0] for name in names}
    assert not any(top == "airflow" for top in tops), "the wheel puts files into Airflow's own package"
    strange = sorted(top for top in tops if top != PACKAGE and not top.endswith(".dist-info"))
    assert not strange, f"not of this package: {strange}"
    missing = sorted(tracked(PACKAGE) - names)
    assert not missing, f"not in the wheel: {missing}"


def check_sdist(names: set[str]) -> None:
    """Whoever has only the sdist can read the examples and run the tests."""
    folders = (PACKAGE, "docs", "example_dags", "tests")
    missing = sorted({name for folder in folders for name in tracked(folder)} - names)
    assert not missing, f"not in the sdist: {missing}"


def tracked(folder: str) -> set[str]:
    """The files of a folder of the repository, less what running it leaves behind."""
    paths = (path for path in (REPOSITORY / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(REPOSITORY)) for path in paths if "__pycache__" not in path.parts}


if __name__ == "__main__":
    main(sys.argv[1])
