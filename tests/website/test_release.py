"""The release workflow: what must precede what, and who may do what. `make lint` runs the linters on it."""

from __future__ import annotations

import re

import yaml

from tests.docs.blocks import REPOSITORY

JOBS = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "release.yml").read_text())["jobs"]


def test_nothing_is_published_before_the_matrix_has_passed():
    assert {name: job.get("needs") for name, job in JOBS.items()} == {
        "build": None,
        "matrix": "build",
        "publish": "matrix",
        "docs": "publish",
    }


def test_only_publishing_has_an_identity_and_only_the_docs_may_write():
    rights = {name: job["permissions"] for name, job in JOBS.items()}
    assert [name for name in rights if "id-token" in rights[name]] == ["publish"]
    assert [name for name in rights if rights[name].get("contents") == "write"] == ["docs"]


def test_its_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    steps = [step.get("run", "") for job in JOBS.values() for step in job["steps"]]
    used = {
        word
        for run in steps
        for words in re.findall(r"^make ([a-z][a-z -]*)", run, re.MULTILINE)
        for word in words.split()
    }
    assert used == {"dist", "sbom", "test-matrix", "docs-site"}
    assert used <= targets
