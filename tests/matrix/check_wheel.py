"""Checks in a cell that Airflow discovers the installed wheel and parses DAG files without our deprecations.

The arguments are paths of DAG files. Only the wheel is installed, without the extras and the test tools.
"""

from __future__ import annotations

import importlib
import runpy
import subprocess
import sys
import traceback
import warnings
from importlib.metadata import files
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

DISTRIBUTION = "airflow-provider-testerarmy"
PACKAGE = "airflow_provider_testerarmy"
#: The names that the output of each `airflow` command must contain.
COMMANDS = {
    ("providers", "list"): (DISTRIBUTION,),
    ("providers", "get", DISTRIBUTION): (DISTRIBUTION,),
    ("providers", "hooks"): ("testerarmy", "docket"),
    ("providers", "links"): ("TesterArmyRunLink", "DocketRunLink"),
}
ASSETS = ("reports/templates/page.html.jinja", "reports/templates/report.css", "py.typed")
#: Modules that forward a call. A warning is attributed to their caller.
PASSING_ON = (
    __file__,
    "importlib",
    "warnings.py",
    "/airflow/providers/common/compat/",
    "/airflow/utils/deprecation_tools.py",
    "/airflow/__init__.py",
)


def main(dags: list[str]) -> None:
    """Run all checks.

    :raises AssertionError, SystemExit: for the first check that fails.
    """
    check_files()
    # Import these first: deprecations inside Airflow's own modules do not count.
    for module in ("airflow.providers.common.compat.sdk", "airflow.models", "airflow.triggers.base"):
        importlib.import_module(module)
    warned = warnings_of(check_modules)
    for dag in dags:
        warned += warnings_of(lambda path=dag: runpy.run_path(path))
    if warned:
        raise SystemExit(
            "The provider or an example uses deprecated features:\n" + "\n".join(dict.fromkeys(warned))
        )
    check_import_errors(dags)
    for command, names in COMMANDS.items():
        check_command(command, names)
    print(f"the wheel alone: {len(dags)} DAG files, {len(COMMANDS)} commands, no deprecation")


def check_files() -> None:
    """Check that all files are in the package's own folder, and that no asset is missing."""
    installed = [str(path) for path in files(DISTRIBUTION) or ()]
    own = (f"{PACKAGE}/", DISTRIBUTION.replace("-", "_"))
    stray = [path for path in installed if not path.startswith(own)]
    assert not stray, f"files outside the package: {stray}"
    missing = [name for name in ASSETS if not resources(PACKAGE).joinpath(name).is_file()]
    assert not missing, f"missing in the wheel: {missing}"
    location = Path(str(resources(PACKAGE)))
    assert "site-packages" in location.parts, (
        f"the package is not imported from the installed wheel: {location}"
    )


def check_modules() -> None:
    """Check that every module in the provider info can be imported without the extras."""
    from airflow_provider_testerarmy.get_provider_info import get_provider_info

    info = get_provider_info()
    for kind in ("operators", "sensors", "hooks", "triggers"):
        for entry in info[kind]:
            for module in entry["python-modules"]:
                importlib.import_module(module)
    importlib.import_module(f"{PACKAGE}.plugin")
    for each in info["connection-types"]:
        module, _, name = each["hook-class-name"].rpartition(".")
        assert getattr(importlib.import_module(module), name).conn_type == each["connection-type"]


def warnings_of(work: Any) -> list[str]:
    """Run ``work``, and return the deprecation warnings that this provider or an example causes.

    A warning counts if it is attributed to one of our files. It also counts if one of our files called Airflow and
    only forwarding modules are between that call and the warning.
    """
    ours = []

    def show(message: Any, category: type, filename: str, lineno: int, *_: Any) -> None:
        if not issubclass(category, DeprecationWarning | PendingDeprecationWarning | FutureWarning):
            return
        stack = [frame.filename for frame in traceback.extract_stack()]
        asking = next((name for name in reversed(stack) if not any(part in name for part in PASSING_ON)), "")
        if is_ours(filename) or is_ours(asking):
            ours.append(f"{filename}:{lineno}: {category.__name__}: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        work()
    return ours


def is_ours(filename: str) -> bool:
    """Whether a file belongs to the provider or to its examples."""
    return f"/{PACKAGE}/" in filename or "/example_dags/" in filename


def check_import_errors(dags: list[str]) -> None:
    """Check that Airflow's own parser imports the files."""
    try:
        from airflow.dag_processing.dagbag import DagBag  # from Airflow 3.2 on
    except ImportError:
        from airflow.models.dagbag import DagBag
    bag = DagBag(str(Path(dags[0]).parent))
    assert not bag.import_errors, bag.import_errors
    parsed = {Path(dag.fileloc).name for dag in bag.dags.values()}
    assert parsed == {Path(dag).name for dag in dags}, sorted(bag.dags)


def check_command(words: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Check that `airflow ...` succeeds and that its output contains the names."""
    command = [str(Path(sys.executable).with_name("airflow")), *words, "--output", "plain"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    missing = [name for name in names if name not in ended.stdout]
    assert not missing, (
        f"The output of {' '.join(words)} does not contain {missing}:\n{ended.stdout}\n{ended.stderr[-3000:]}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
