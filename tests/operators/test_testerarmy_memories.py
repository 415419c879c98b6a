"""Memories that are set for a run and taken back after it, against the sandbox."""

from __future__ import annotations

import pytest

from airflow_provider_testerarmy.exceptions import RequestRefused, RunInterrupted, ServiceUnavailable
from airflow_provider_testerarmy.hooks.testerarmy import TesterArmyHook
from airflow_provider_testerarmy.lifecycle.resources import ResourceTry
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyCreateMemoryOperator,
    TesterArmyDeleteMemoryOperator,
)
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sandbox.testerarmy.workspace import MOST_MEMORIES
from tests.lifecycle.conftest import no_pauses  # noqa: F401
from tests.lifecycle.tries import TaskInstance
from tests.operators.test_testerarmy import own_parameters

pytestmark = pytest.mark.usefixtures("connections", "no_pauses")

SHOP, TITLE, CONTENT = catalog.PROJECT_SHOP, "Release 4.2", "The basket is now a drawer on the right."


def create(**fields):
    given = {"task_id": "create", "project_id": SHOP, "title": TITLE, "content": CONTENT, **fields}
    return TesterArmyCreateMemoryOperator(**given)


def delete(**fields):
    return TesterArmyDeleteMemoryOperator(task_id="delete", project_id=SHOP, **fields)


def run(task):
    return task.execute({"ti": TaskInstance(lambda: None, 1, 0)})


def listed():
    return [each.id for each in TesterArmyHook().list_memories(SHOP).memories]


def test_a_memory_is_created_once_and_deleted():
    """By its title or by its id; twice, because a retry may follow a lost response."""
    for by_id in (True, False):
        made = run(create())
        assert run(create(content=f" {CONTENT}\n")) == made
        assert listed() == [made]
        for _ in range(2):
            run(delete(memory_id=made) if by_id else delete(title=TITLE))
            assert listed() == []


def test_other_memories_stay():
    """Of another title; and another content of the same title is a memory of its own."""
    other = TesterArmyHook().create_memory(
        SHOP, category="test_insights", title="Kept", content=CONTENT, importance="low"
    )
    assert len({run(create()), run(create(content="Something else."))}) == 2
    run(delete(title=TITLE))
    assert listed() == [other.memory.id]


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "status", "status_after", "garbage", "html"])
def test_a_hiccup_makes_one_memory(service, kind):
    """The memory is found by title and content."""
    service.control.faults.add(kind, "create_memory")
    made = run(create())
    assert listed() == [made]


def test_a_full_project_loses_a_less_important_memory(capsys):
    """The log says so. Without one, the task fails."""
    for number in range(MOST_MEMORIES):
        run(create(title=f"Note {number}", importance="low"))
    made = run(create(importance="high"))
    assert "deleted 1 less important" in capsys.readouterr().out
    assert made in listed()
    with pytest.raises(RequestRefused, match="none of which is less important"):
        run(create(title="One more", importance="low"))


def test_a_killed_task_deletes_what_it_has_created(monkeypatch):
    """The signal arrives while the request is in flight."""
    task, note = create(), ResourceTry._note_sending

    def killed(one_try):
        note(one_try)
        task.on_kill()

    monkeypatch.setattr(ResourceTry, "_note_sending", killed)
    with pytest.raises(RunInterrupted):
        run(task)
    assert listed() == []


def test_a_dead_service_is_retried_by_airflow(service):
    """Also by a teardown."""
    service.control.faults.add("status", "* /projects*", status=503, times=-1)
    for task in (create(max_outage=20), delete(title=TITLE, max_outage=20)):
        with pytest.raises(ServiceUnavailable):
            run(task)


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (create, {"title": ""}),
        (create, {"content": " "}),
        (create, {"category": "gossip"}),
        (create, {"importance": "urgent"}),
        (delete, {}),
        (delete, {"title": "a", "memory_id": "b"}),
    ],
)
def test_a_mistake_fails_the_dag_file(make, wrong):
    """Before any scheduled run."""
    with pytest.raises(ValueError, match=r"\w"):
        make(**wrong)


@pytest.mark.parametrize(
    "task", [create(title="{{ none }}"), create(category="{{ none }}"), delete(title="{{ none }}")]
)
def test_what_rendered_to_nothing_is_refused(service, task):
    """Nothing is sent."""
    task.render_template_fields({})
    with pytest.raises(RequestRefused):
        run(task)
    assert service.control.log.entries() == []


@pytest.mark.parametrize("task", [create(), delete(title=TITLE)])
def test_every_field_that_is_data_is_templated(task):
    """A parameter that is not templated would fail this test."""
    assert own_parameters(type(task)) == set(task.template_fields)
