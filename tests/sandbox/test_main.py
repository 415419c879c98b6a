from __future__ import annotations

import subprocess
import sys

WITHOUT = """
import sys
sys.modules[{name!r}] = None
import runpy
runpy.run_module("airflow_provider_testerarmy.sandbox", run_name="__main__", alter_sys=True)
"""


def test_without_its_extra_the_sandbox_says_what_to_install():
    """If a package is missing, the command prints one line and exits with code 1, without a traceback."""
    for name in ("fastapi", "uvicorn"):
        command = [sys.executable, "-c", WITHOUT.format(name=name)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 1
        assert "Traceback" not in ended.stderr
        assert 'pip install "airflow-provider-testerarmy[sandbox]"' in ended.stderr.splitlines()[-1]
