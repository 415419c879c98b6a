"""The format of test files, and hostile ones."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_testerarmy.catalogue.files import (
    FIELDS,
    MODES,
    PLATFORMS,
    STEP_KINDS,
    parse,
    render,
    schema,
)
from airflow_provider_testerarmy.catalogue.model import CatalogueInvalid, TestFile
from airflow_provider_testerarmy.hooks.catalogue_folder import read_files, read_valid_files

UUID = "50000000-0000-4000-8000-000000000001"
MARKDOWN = """\
---
title: Login
group: Nightly
platform: web
mode: deep
owner: "@web"
tags: [smoke, login]
---

The login of the shop.

1. Open the page
2. assert: The form is there,
   and it is empty
- login: Sign in
"""
YAML = f"""\
title: Upload
description: A file.
groups: [Nightly, Weekly]
enabled: false
steps:
  - Open the page
  - assert: The form is there
  - {{login: Sign in, credential_id: {UUID}}}
  - {{files: Choose the file, file_ids: [{UUID}]}}
  - screenshot:
  - {{javascript: "return 1", title: One}}
"""


def test_a_markdown_file():
    """Front matter, description, and steps as a list."""
    test = parse("a.md", MARKDOWN)
    assert (test.title, test.groups, test.platform, test.mode) == ("Login", ("Nightly",), "web", "deep")
    assert (test.owner, test.tags, test.description) == ("@web", ("smoke", "login"), "The login of the shop.")
    assert test.steps == (
        {"type": "act", "title": "Open the page"},
        {"type": "assert", "title": "The form is there, and it is empty"},
        {"type": "login", "title": "Sign in"},
    )


def test_a_yaml_file():
    """All kinds of steps."""
    test = parse("a.yaml", YAML)
    assert (test.title, test.groups, test.enabled) == ("Upload", ("Nightly", "Weekly"), False)
    assert [step["type"] for step in test.steps] == ["act", *list(STEP_KINDS)[1:]]
    assert test.steps[2]["credentialId"] == UUID
    assert test.steps[3]["fileIds"] == [UUID]


WINDOWS = MARKDOWN.replace("\n", "\r\n")


@pytest.mark.parametrize(("key", "text"), [("a.md", MARKDOWN), ("a.yaml", YAML), ("a.md", WINDOWS)])
def test_a_rendered_file_says_the_same(key, text):
    test = parse(key, text)
    assert parse(key, render(test)) == test


CHARACTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"))
WORDS = st.text(CHARACTERS, min_size=1, max_size=40).filter(lambda text: text.strip() == text)
STEPS = st.lists(st.tuples(st.sampled_from(["act", "assert"]), WORDS), min_size=1, max_size=3)


@settings(max_examples=40)
@given(title=WORDS, steps=STEPS, description=WORDS, suffix=st.sampled_from([".md", ".yaml"]))
def test_every_text_is_written_and_read_back(title, steps, description, suffix):
    """Whatever YAML and Markdown mean by it; or it is refused."""
    listed = tuple({"type": kind, "title": text} for kind, text in steps)
    test = TestFile(f"a{suffix}", title, listed, description)
    try:
        text = render(test)
    except CatalogueInvalid:
        return
    assert parse(test.key, text).digest == test.digest


LEVELS = zip("abcdefgh", "bcdefghi", strict=True)
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in LEVELS
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("steps: [a]", "title"),
        ("title: ''\nsteps: [a]", "title"),
        (f"title: {'x' * 501}\nsteps: [a]", "title"),
        ('title: "a\\nb"\nsteps: [a]', "title"),
        ("title: 12\nsteps: [a]", "Write it in quotes"),
        ("title: a", "steps"),
        ("title: a\nsteps: []", "steps"),
        ("title: a\nsteps: a", "steps"),
        (f"title: a\nsteps: [{', '.join(['a'] * 51)}]", "1 to 50"),
        ("title: a\ntitle: b\nsteps: [a]", "twice"),
        ("title: a\nsteps: [a]\n---\ntitle: b\nsteps: [b]", "no YAML"),
        ("title: a\nsteps: [a]\nowners: b", "'owners' is no field"),
        ("title: a\nsteps: [a]\ngroup: b\ngroups: [c]", "exclude each other"),
        ("title: a\nsteps: [a]\nenabled: maybe", "true or false"),
        ("title: a\nsteps: [a]\nplatform: desktop", "web or mobile"),
        ("title: a\nsteps: [a]\nmode: slow", "fast or deep"),
        ("title: a\nsteps: [a]\ntags: smoke", "list of texts"),
        ("title: a\nsteps: [{hover: b}]", "step 1"),
        ("title: a\nsteps: [{act: b, assert: c}]", "exactly one"),
        ("title: a\nsteps: [{act: b, code: c}]", "'code' is no field"),
        ("title: a\nsteps: [{act: }]", "text is missing"),
        ("title: a\nsteps: [{files: b}]", "file_ids"),
        ("title: a\nsteps: [{login: b, credential_id: c}]", "UUID"),
        ("- title", "mapping"),
        ("", "mapping"),
        ("{", "no YAML"),
        ("title: \0", "no YAML"),
        ("? [a, b]\n: c", "name must be text"),
        ("title: !!python/object/apply:os.system ['true']", "no YAML"),
        (BOMB, "alias"),
        ("<<: {title: a}\nsteps: [a]", "no field"),
        ("[" * 5_000, "YAML"),
    ],
)
def test_a_file_that_cannot_be_used(text, said):
    """The message has the file, the field and what is wrong."""
    with pytest.raises(CatalogueInvalid, match=said) as raised:
        parse("a.yaml", text)
    assert str(raised.value).startswith("a.yaml: ")
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title: a", "front matter"),
        ("---\ntitle: a\n", "front matter"),
        ("---\ntitle: a\ndescription: b\n---\n1. c", "below the front matter"),
        ("---\ntitle: a\n---\n1. b\nmore", "below the list"),
    ],
)
def test_a_markdown_file_that_cannot_be_used(text, said):
    with pytest.raises(CatalogueInvalid, match=said):
        parse("a.md", text)


def test_a_folder(tmp_path):
    """Other files are no tests; what is wrong in one file does not hide the others."""
    for name in ("a.md", "deep/b.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(MARKDOWN)
    for name in ("README.md", ".hidden.md", "notes.txt", ".git/x.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("nothing")
    (tmp_path / "latin.md").write_bytes(MARKDOWN.replace("shop", "caf\u00e9").encode("latin-1"))
    (tmp_path / "large.md").write_text("x" * 300_000)
    (tmp_path / "folder.md").mkdir()
    files, faults = read_files(tmp_path)
    assert list(files) == ["a.md", "deep/b.md"]
    assert [fault.partition(":")[0] for fault in faults] == ["large.md", "latin.md"]
    with pytest.raises(CatalogueInvalid, match=r"large.*latin"):
        read_valid_files(tmp_path)
    with pytest.raises(CatalogueInvalid, match="no folder"):
        read_files(tmp_path / "typo")


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    """Its content would be sent to the service. A link inside is followed: Kubernetes mounts files so."""
    secret = tmp_path / "secret.md"
    secret.write_text(MARKDOWN)
    folder = tmp_path / "tests"
    (folder / "..data").mkdir(parents=True)
    (folder / "..data" / "a.md").write_text(MARKDOWN)
    (folder / "a.md").symlink_to(folder / "..data" / "a.md")
    (folder / "b.md").symlink_to(secret)
    (folder / "c").symlink_to(tmp_path)
    (folder / "d.md").symlink_to(folder / "d.md")
    (tmp_path / "linked").symlink_to(folder)
    for root in (folder, tmp_path / "linked"):
        files, faults = read_files(root)
        assert list(files) == ["a.md"]
        assert faults == ["b.md: It is a link out of the folder. Copy the file instead."]


def test_the_schema_describes_the_format():
    """Every field and kind of step, and nothing else."""
    document = json.loads(schema())
    properties = document["properties"]
    assert properties.keys() == FIELDS
    assert (tuple(properties["platform"]["enum"]), tuple(properties["mode"]["enum"])) == (PLATFORMS, MODES)
    kinds = properties["steps"]["items"]["anyOf"][1:]
    assert {kind["required"][0]: kind["properties"].keys() - {kind["required"][0]} for kind in kinds} == {
        name: set(fields) for name, fields in STEP_KINDS.items()
    }
    jsonschema.validate(yaml.safe_load(YAML), document)
    for wrong in (
        "owners: b",
        "platform: desktop",
        "steps: [{hover: b}]",
        "groups: [a]\ngroup: b",
        "title: 1",
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"title": "a", "steps": ["a"], **yaml.safe_load(wrong)}, document)
