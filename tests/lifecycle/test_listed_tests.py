"""The tests that get a task each: lists, files, names of tasks, and mistakes."""

from __future__ import annotations

import json

import pytest

from airflow_provider_testerarmy.lifecycle.listed_tests import listed_tests

ONE, TWO, THREE = (f"20000000-0000-4000-8000-00000000000{number}" for number in (1, 2, 3))
START = ("start", "other_tests")


def names(tests, dag_file=""):
    return [(test.test_id, test.title, test.task_id) for test in listed_tests(tests, [dag_file], START)]


def test_a_list_of_ids_or_entries():
    assert names([{"id": ONE, "title": "Gast-Kasse, 2. Schritt: Größe"}, TWO.upper()]) == [
        (ONE, "Gast-Kasse, 2. Schritt: Größe", "gast_kasse_2_schritt_grosse"),
        (TWO, "", f"test_{TWO.replace('-', '')}"),
    ]


def test_names_do_not_depend_on_the_order():
    """A task that got another name would lose its history."""
    entries = [{"id": ONE, "title": "Cart"}, {"id": TWO, "title": "cart!"}, {"id": THREE, "title": "Start"}]
    forward, backward = names(entries), names(entries[::-1])
    assert forward == backward[::-1]
    assert [name for _, _, name in forward] == [
        f"cart_{ONE.replace('-', '')}",
        f"cart_{TWO.replace('-', '')}",
        f"start_{THREE.replace('-', '')}",
    ]


def test_a_task_keeps_its_name_when_its_title_changes():
    entries = [{"id": ONE, "title": "Cart, new", "task_id": "cart"}, {"id": TWO, "title": "Cart"}]
    assert [name for _, _, name in names(entries)] == ["cart", f"cart_{TWO.replace('-', '')}"]


@pytest.mark.parametrize("name", ["tests.yaml", "lists/tests.yml", "tests.json"])
def test_a_file_beside_the_dag(tmp_path, name):
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    entries = [{"id": ONE, "title": "On"}, {"id": TWO, "title": "012"}]
    yaml = f"- id: {ONE}\n  title: On\n- {{id: {TWO}, title: 012}}\n"
    place.write_text(json.dumps(entries) if name.endswith("json") else yaml)
    assert names(name, str(tmp_path / "dag.py")) == [(ONE, "On", "on"), (TWO, "012", "012")]


def test_a_file_beside_the_module_that_makes_the_group(tmp_path):
    """A DAG file may call a function of another module."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "tests.yaml").write_text(f"- id: {ONE}\n")
    files = [str(tmp_path / "dag.py"), str(tmp_path / "shared" / "groups.py")]
    assert [test.test_id for test in listed_tests("tests.yaml", files, START)] == [ONE]
    (tmp_path / "tests.yaml").write_text(f"- id: {TWO}\n")
    assert [test.test_id for test in listed_tests("tests.yaml", files, START)] == [TWO]


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ([], "is not a list of at least one test"),
        ({ONE: "Cart"}, "is not a list"),
        (["cart"], "no test id (UUID): 'cart'"),
        ([None], "no test id"),
        ([ONE, {"id": ONE.upper()}], "has a test twice"),
        ([{"id": ONE, "tittle": "Cart"}], "unknown field 'tittle'"),
        ([{"id": ONE, "task_id": "a b"}], "has the task_id 'a b'"),
        ([{"id": ONE, "task_id": "start"}], "has a task_id twice, or one of other_tests, start"),
        ([{"id": ONE, "task_id": "a"}, {"id": TWO, "task_id": "a"}], "has a task_id twice"),
    ],
)
def test_mistakes_are_named(tests, said):
    with pytest.raises(ValueError, match="The list of tests") as error:
        names(tests)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("- id: [", "is not valid. It is no YAML"),
        ("id: a\n", "is not a list"),
        ("- id: a\n  id: b\n", "An entry has a field twice."),
        ("x" * 300_000, "It has more than 262144 bytes."),
    ],
)
def test_mistakes_in_a_file_name_it(tmp_path, text, said):
    if text is not None:
        (tmp_path / "tests.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"The list of tests tests\.yaml") as error:
        names("tests.yaml", str(tmp_path / "dag.py"))
    assert said in str(error.value)
