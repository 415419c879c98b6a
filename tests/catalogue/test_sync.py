"""What a sync does and what it refuses, against the sandbox."""

from __future__ import annotations

import json
import threading

import pytest

from airflow_provider_testerarmy.catalogue.model import CatalogueBusy, CatalogueInvalid
from airflow_provider_testerarmy.client.http.errors import ClientError, CredentialsRejected
from airflow_provider_testerarmy.lifecycle.catalogue_lock import only_one
from tests.catalogue.conftest import PROJECT


def changes(folder):
    """The requests so far that change something."""
    return [entry.operation for entry in folder.service.control.log.entries() if entry.method != "GET"]


def conflicts(folder, **options):
    """What a plan refuses; then apply changes nothing."""
    sync = folder.open()
    state = sync.read()
    plan = sync.plan(state, **options)
    before = changes(folder)
    with pytest.raises(CatalogueInvalid, match="Nothing is changed"):
        sync.apply(state, plan, lambda _action: None)
    assert changes(folder) == before
    return [(each.key, each.reason) for each in plan.conflicts]


def lock(folder):
    return json.loads((folder.path / "tests.lock.json").read_text())


def ids(text):
    """The ids of the two tests of a lock."""
    return [entry["id"] for entry in json.loads(text)["tests"].values()]


def test_a_folder_from_nothing_to_nothing(folder):
    """Created, changed, moved, disabled, deleted; and each time nothing is left to do."""
    folder.write("a.md", "Login", "Open", "assert: It is there", group="Nightly", owner="web", tags="[smoke]")
    folder.write("b.md", "Pay", body="With a card.")
    assert folder.sync() == [
        ("create group", "Nightly"),
        ("create", "a.md"),
        ("create", "b.md"),
        ("add to group", "a.md"),
    ]
    (made,) = folder.titled("Pay")
    assert (made.description, made.enabled) == ("With a card.", True)
    assert folder.sync() == []
    folder.write("b.md", "Pay", "Open", "Pay")
    assert folder.sync() == [("change", "b.md")]
    (changed,) = folder.titled("Pay")
    assert (changed.id, changed.description, len(changed.steps)) == (made.id, "", 2)
    (folder.path / "b.md").rename(folder.path / "c.md")
    assert folder.sync() == [("move", "c.md")]
    folder.write("a.md", "Login", "Open", "assert: It is there")
    assert folder.sync() == [("remove from group", "a.md")]
    (folder.path / "c.md").unlink()
    assert folder.sync() == [("disable", "c.md")]
    assert [test.enabled for test in folder.titled("Pay")] == [False]
    assert folder.sync() == []
    assert folder.sync(delete=True) == [("delete", "c.md")]
    assert folder.titled("Pay") == []
    assert folder.sync(delete=True) == []


def test_a_file_that_comes_back_enables_its_test(folder):
    folder.write("a.md", "Login")
    folder.sync()
    (made,) = folder.titled("Login")
    (folder.path / "a.md").unlink()
    folder.sync()
    folder.write("a.md", "Login")
    assert folder.sync() == [("change", "a.md")]
    assert [(test.id, test.enabled) for test in folder.titled("Login")] == [(made.id, True)]


def test_what_it_does_not_own_stays_as_it_is(folder):
    """Also a test with the title of a file, and a group of which no file speaks."""
    hook = folder.hook
    theirs = hook.create_test(project_id=PROJECT, title="Login", steps=[{"type": "act", "title": "Theirs"}])
    group = hook.create_group(project_id=PROJECT, name="Nightly")
    hook.add_group_test(group.id, theirs.id)
    others = list(hook.list_tests(PROJECT))
    folder.write("a.md", "Login", group="Nightly")
    folder.sync()
    (folder.path / "a.md").unlink()
    folder.sync(delete=True)
    assert list(hook.list_tests(PROJECT)) == others
    assert [test.id for test in hook.list_tests(PROJECT, group_id=group.id)] == [theirs.id]


def test_a_change_on_the_dashboard_is_not_overwritten(folder):
    """Unless that is wanted. Without a change of the file, the dashboard's change is a conflict too."""
    folder.write("a.md", "Login")
    folder.write("b.md", "Pay")
    folder.sync()
    (made,) = folder.titled("Login")
    folder.hook.update_test(made.id, description="Somebody's")
    folder.write("b.md", "Pay", "Pay with a card")
    ((key, reason),) = conflicts(folder)
    assert key == "a.md"
    assert "somebody changed the test" in reason
    assert folder.sync(overwrite=True) == [("change", "a.md"), ("change", "b.md")]
    assert folder.titled("Login")[0].description == ""


def test_the_same_change_on_both_sides_is_no_conflict(folder):
    folder.write("a.md", "Login")
    folder.sync()
    (made,) = folder.titled("Login")
    folder.hook.update_test(made.id, title="Sign in")
    folder.write("a.md", "Sign in")
    assert folder.sync() == [("record", "a.md")]
    assert folder.sync() == []


def test_a_test_that_somebody_deleted_is_not_made_again(folder):
    """Unless that is wanted; and when its file goes too, it is forgotten."""
    folder.write("a.md", "Login")
    folder.sync()
    folder.hook.delete_test(folder.titled("Login")[0].id)
    ((_, reason),) = conflicts(folder)
    assert "somebody deleted the test" in reason
    assert folder.sync(overwrite=True) == [("create", "a.md")]
    folder.hook.delete_test(folder.titled("Login")[0].id)
    (folder.path / "a.md").unlink()
    assert folder.sync() == [("forget", "a.md")]
    assert lock(folder)["tests"] == {}


def test_groups_that_changed_on_the_dashboard(folder):
    """A test that was removed is a conflict; a group that was deleted is made again."""
    folder.write("a.md", "Login", group="Nightly")
    folder.sync()
    (made,) = folder.titled("Login")
    (group,) = [group for group in folder.hook.list_groups(PROJECT) if group.name == "Nightly"]
    folder.hook.remove_group_test(group.id, made.id)
    ((_, reason),) = conflicts(folder)
    assert "somebody removed the test from the group" in reason
    assert folder.sync(overwrite=True) == [("add to group", "a.md")]
    folder.hook.delete_group(group.id)
    assert ("create group", "Nightly") in folder.sync()
    assert folder.sync() == []
    folder.hook.create_group(project_id=PROJECT, name="Nightly")
    ((_, reason),) = conflicts(folder)
    assert "2 groups have the name 'Nightly'" in reason
    folder.write("a.md", "Login", group=group.id)
    assert "the project has no group" in conflicts(folder)[0][1]


def test_the_platform_of_a_test_cannot_change(folder):
    folder.write("a.md", "Login", platform="web")
    folder.sync()
    folder.write("a.md", "Login", platform="mobile")
    assert "the test is for web" in conflicts(folder)[0][1]


@pytest.mark.parametrize("kind", ["reset_after", "status_after", "garbage", "truncated"])
def test_a_test_whose_answer_was_lost_is_adopted(folder, kind):
    """The next sync finds it by what it announced."""
    folder.write("a.md", "Login", group="Nightly")
    folder.service.control.faults.add(kind, "create_test")
    with pytest.raises(ClientError):
        folder.sync()
    assert folder.sync() == [("adopt", "a.md"), ("add to group", "a.md")]
    assert len(folder.titled("Login")) == 1
    assert folder.sync() == []


def test_a_file_that_changes_again_after_a_lost_answer(folder):
    """What the service has by then is the sync's own change, and nobody else's."""
    folder.write("a.md", "Login")
    folder.sync()
    for steps in (["Open another page"], ["Open a third page"]):
        folder.write("a.md", "Login", *steps)
        folder.service.control.faults.add("reset_after", "update_test")
        with pytest.raises(ClientError):
            folder.sync()
    folder.write("a.md", "Login", "Open the last page")
    assert folder.sync() == [("change", "a.md")]
    (folder.path / "a.md").unlink()
    folder.service.control.faults.add("reset_after", "update_test")
    with pytest.raises(ClientError):
        folder.sync()
    folder.write("a.md", "Login", "Open it again")
    assert folder.sync() == [("change", "a.md")]
    assert folder.titled("Login")[0].enabled


def test_a_test_that_shows_late_is_awaited(folder):
    """The service may still be creating it when the next sync reads its list."""
    folder.write("a.md", "Login")
    folder.service.control.faults.add("reset_before", "create_test")
    with pytest.raises(ClientError):
        folder.sync()
    waited = []

    def pause(seconds):
        if seconds < 1:
            return
        if not waited:
            steps = [{"type": "act", "title": "Open it"}]
            folder.hook.create_test(project_id=PROJECT, title="Login", steps=steps, enabled=True)
        waited.append(seconds)

    sync = folder.open(pause=pause)
    plan = sync.plan(sync.read())
    assert [str(action.kind) for action in plan.actions] == ["adopt"]
    assert waited == [1.0]


def test_two_tests_that_may_be_the_lost_one_are_a_conflict(folder):
    folder.write("a.md", "Login")
    folder.service.control.faults.add("reset_after", "create_test")
    with pytest.raises(ClientError):
        folder.sync()
    steps = [{"type": "act", "title": "Open it"}]
    folder.hook.create_test(project_id=PROJECT, title="Login", steps=steps, enabled=True)
    assert "was interrupted while it created this test" in conflicts(folder)[0][1]


def test_an_outage_at_any_request(folder):
    """It goes on when the service is back; the end is the same, and nothing is made twice."""
    folder.write("a.md", "Login", group="Nightly")
    folder.write("b.md", "Pay", group="Nightly")
    folder.sync()
    expected, count = folder.state(), len(changes(folder))
    for number in range(count):
        folder.service.control.reset()
        (folder.path / "tests.lock.json").unlink()
        folder.service.control.faults.add("status", "[PD]* *", after=number, status=503, times=-1)
        with pytest.raises(ClientError):
            folder.sync()
        folder.service.control.faults.clear()
        folder.sync()
        assert folder.state() == expected
        assert folder.sync() == []


def test_a_key_without_rights_changes_nothing(folder):
    folder.write("a.md", "Login")
    folder.service.control.faults.add("status", "create_test", status=403, times=-1)
    with pytest.raises(CredentialsRejected):
        folder.sync()
    folder.service.control.faults.clear()
    assert folder.sync() == [("create", "a.md")]


def test_two_syncs_at_once(folder):
    """On one machine the second one is refused; on several, the one that comes later to the lock."""
    folder.write("a.md", "Login")
    with only_one(str(folder.path / "tests.lock.json"), str(folder.path)), pytest.raises(CatalogueBusy):
        folder.sync()
    late = folder.open()
    state = late.read()
    plan = late.plan(state)
    folder.sync()
    with pytest.raises(CatalogueBusy, match="Another sync has changed the lock"):
        late.apply(state, plan, lambda _action: None)
    assert len(folder.titled("Login")) == 1


def test_syncs_at_once_make_each_test_once(folder):
    for number in range(8):
        folder.write(f"{number}.md", f"Test {number}")
    refused = []

    def sync():
        try:
            folder.sync()
        except CatalogueBusy as error:
            refused.append(error)

    threads = [threading.Thread(target=sync) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folder.sync()
    assert [len(folder.titled(f"Test {number}")) for number in range(8)] == [1] * 8


def test_a_change_during_a_sync(folder):
    """Between plan and request."""
    folder.write("a.md", "Login")
    folder.sync()
    folder.write("a.md", "Login", "Open another page")
    sync = folder.open()
    state = sync.read()
    plan = sync.plan(state)
    folder.hook.update_test(folder.titled("Login")[0].id, description="Somebody's")
    with pytest.raises(CatalogueBusy, match="somebody changed the test"):
        sync.apply(state, plan, lambda _action: None)
    assert folder.titled("Login")[0].description == "Somebody's"


def test_a_service_that_stores_another_text(folder):
    """What it made of a text is no change by somebody, and is not sent again and again."""
    folder.write("a.md", "Login")
    folder.service.control.faults.add("edit", "create_test", put={"test.description": "By the service"})
    folder.sync()
    (made,) = folder.titled("Login")
    folder.hook.update_test(made.id, description="By the service")
    assert folder.sync() == []
    folder.write("a.md", "Login", "Open another page")
    assert folder.sync() == [("change", "a.md")]


def test_a_thousand_tests(folder):
    """A lock of their size is written at most twice for each of them."""
    for number in range(1000):
        folder.write(f"{number:04}.md", f"Test {number}")
    sync = folder.open()
    state = sync.read()
    plan = sync.plan(state)
    assert len(plan.actions) == 1000
    assert [action.key for action in plan.actions] == sorted(state.files)


def test_the_lock_belongs_to_one_project(folder):
    folder.write("a.md", "Login")
    folder.sync()
    path = folder.path / "tests.lock.json"
    whole = path.read_text()
    path.write_text(whole.replace(PROJECT, "10000000-0000-4000-8000-000000000009"))
    with pytest.raises(CatalogueInvalid, match="belongs to the project"):
        folder.open()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: "", "cannot be read"),
        (lambda text: text[:40], "cannot be read"),
        (lambda text: "<<<<<<< HEAD\n" + text, "cannot be read"),
        (lambda text: "[" * 100_000, "cannot be read"),
        (lambda text: text.replace('"schema": 1', '"schema": 2'), "has the schema 2"),
        (lambda text: text.replace(*ids(text)), "twice"),
    ],
)
def test_a_lock_that_cannot_be_used_stops_everything(folder, change, said):
    """Without it every test would be created again."""
    folder.write("a.md", "Login")
    folder.write("b.md", "Pay")
    folder.sync()
    path = folder.path / "tests.lock.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(CatalogueInvalid, match=said):
        folder.open()
