from __future__ import annotations

import subprocess
import sys

import pytest

from tests.docs.blocks import REPOSITORY

pytest.importorskip("mypy")


def test_what_authors_write_is_clean_under_mypy_strict():
    """Outputs of other tasks, templates in lists, and ids and paths of every kind."""
    command = [sys.executable, "-m", "mypy", "--strict", "tests/typing_cases.py"]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
