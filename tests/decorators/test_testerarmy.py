"""What functions may return, and how their tasks behave in a DAG file."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowSkipException, task

from airflow_provider_testerarmy.decorators.testerarmy import task_testerarmy, task_testerarmy_group
from airflow_provider_testerarmy.exceptions import RequestRefused
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from tests.decorators.returning import Returns, group_of, task_of
from tests.lifecycle.tries import posts

PROMPT = "Open https://shop.example and buy a red shirt."


@pytest.mark.parametrize(
    ("returned", "kind"),
    [
        (PROMPT, "trigger_prompt"),
        ({"prompt": PROMPT, "credentials_conn_id": "shop_login", "webhook_url": None}, "trigger_prompt"),
        (catalog.TEST_PASSES, "trigger_test"),
        (UUID(catalog.TEST_PASSES), "trigger_test"),
        ({"test_id": UUID(catalog.TEST_PASSES), "mode": "deep"}, "trigger_test"),
    ],
    ids=["prompt", "request of a prompt", "text of an id", "id", "request of a test"],
)
def test_what_a_function_returns_is_started(tries, service, returned, kind):
    summary = tries.execute(task_of(Returns(returned)))
    assert summary["verdict"] == "passed"
    assert [each.operation for each in service.control.log.submissions()] == [kind]


@pytest.mark.parametrize("returned", [catalog.GROUP_SEQUENTIAL, {"group_id": UUID(catalog.GROUP_SEQUENTIAL)}])
def test_a_group(tries, service, returned):
    assert tries.execute(group_of(Returns(returned)))["verdict"] == "passed"
    assert posts(service) == 1


def test_what_the_function_returns_comes_before_the_decorators_parameters(tries, service):
    """The decorator has the defaults."""
    function = Returns({"target_url": "https://pr-7.shop.example/", "mobile": None})
    made = group_of(
        function, group_id=catalog.GROUP_SEQUENTIAL, target_url="https://shop.example/", environment="preview"
    )
    tries.execute(made)
    assert made.build_request().body == {
        "targetUrl": "https://pr-7.shop.example/",
        "environment": "preview",
    }


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (None, "returned nothing"),
        ("  ", "returned nothing"),
        (["a", "b"], r"type list.*\.expand\(\)"),
        (7, "type int"),
        ({"prompt": PROMPT, "test_id": catalog.TEST_PASSES}, "either prompt or test_id"),
        ({"mode": "deep"}, "either prompt or test_id"),
        ({"prompt": PROMPT, "timeout": 5}, "a dict with timeout"),
        ({"prompt": {1, object()}}, "prompt that is not JSON"),
        ({"prompt": "x" * 40_000}, "At most 32,768"),
        ({"test_id": "checkout"}, "not a TesterArmy id"),
        ({"prompt": PROMPT, "webhook_url": "nowhere"}, "webhook"),
    ],
)
def test_another_value_is_refused_before_anything_is_sent(tries, service, returned, said):
    ending = tries.execute(task_of(Returns(returned)), max_tries=2)
    assert type(ending) is RequestRefused
    assert "Nothing was started" in str(ending)
    assert re.search(said, str(ending))
    assert posts(service) == 0


@pytest.mark.parametrize("returned", [None, 7, {"prompt": PROMPT}, {"target_url": "https://a.example"}])
def test_a_group_needs_its_id(tries, service, returned):
    ending = tries.execute(group_of(Returns(returned)))
    assert type(ending) is RequestRefused
    assert posts(service) == 0


def test_a_parameter_without_effect_is_refused(tries, service):
    """A mode would be ignored."""
    ending = tries.execute(task_of(Returns(PROMPT), mode="deep"))
    assert "mode is not for a prompt" in str(ending)
    assert posts(service) == 0


def test_a_skip_skips(tries, service):
    ending = tries.execute(task_of(Returns(AirflowSkipException("nothing has changed"))))
    assert type(ending) is AirflowSkipException
    assert posts(service) == 0


def test_an_error_of_the_function_is_the_error_of_the_task(tries, service):
    """Airflow retries it, and the function is called again."""
    function = Returns(KeyError("commit"), PROMPT)
    assert type(tries.execute(task_of(function), max_tries=1)) is KeyError
    assert tries.execute(task_of(function), try_number=2, max_tries=1)["verdict"] == "passed"
    assert (function.calls, posts(service)) == (2, 1)


def test_returned_text_is_sent_as_it_is(tries, service):
    """A title from outside cannot read a connection."""
    hostile = "{{ conn.testerarmy_default.password }}"
    made = task_of(Returns(hostile))
    tries.execute(made)
    assert made.prompt == hostile


def test_returned_text_is_rendered_on_request(tries, service):
    made = task_of(Returns({"prompt": "Test {{ task.task_id }} {{ 1 + 1 }}."}), render=True)
    tries.execute(made)
    assert made.prompt == "Test tests 2."
    assert '"Test tests 2."' in tries.record["chosen"]


# -- in a DAG file


def test_airflow_finds_both_decorators():
    with DAG("dag", schedule=None) as dag:

        @task.testerarmy(gate={"min_pass_rate": 0.5}, retries=2)
        def smoke(url: str, ti=None) -> dict[str, str]:
            return {"prompt": f"Open {url}."}

        @task.testerarmy_group
        def nightly():
            return catalog.GROUP_NIGHTLY

        smoke("https://shop.example") >> nightly()
    assert dag.task_ids == ["smoke", "nightly"]
    made = dag.get_task("smoke")
    assert (made.retries, made.gate, made.multiple_outputs) == (2, {"min_pass_rate": 0.5}, False)
    assert [link.name for link in made.operator_extra_links] == ["TesterArmy dashboard"]


def test_a_task_can_be_changed_where_it_is_used():
    with DAG("dag", schedule=None) as dag:

        @task_testerarmy(timeout=60)
        def smoke():
            return PROMPT

        smoke.override(task_id="slow", timeout=600, gate={"report_only": True})()
        smoke()
        smoke()
    assert dag.task_ids == ["slow", "smoke", "smoke__1"]
    assert (dag.get_task("slow").timeout, dag.get_task("smoke").timeout) == (600, 60)


def test_a_mapped_task_runs_for_each_argument(tries, service):
    with DAG("dag", schedule=None):

        @task_testerarmy(deferrable=False, poll_interval=0.05)
        def tests(page, word):
            return f"Open {page} and find {word}."

        mapped = tests.partial(word="imprint").expand(page=["/a", "/b"]).operator
    for page in ("/a", "/b"):
        made = mapped.unmap({"op_kwargs": {"page": page}})
        assert tries.execute(made)["verdict"] == "passed"
        assert made.prompt == f"Open {page} and find imprint."
        tries.store.clear()
    assert posts(service) == 2


def test_the_arguments_are_templates(tries, service):
    """As those of any decorated function."""
    with DAG("dag", schedule=None):

        @task_testerarmy_group(deferrable=False, poll_interval=0.05)
        def tests(url, group_id, ti=None):
            return {"group_id": group_id, "target_url": f"{url}{ti.try_number}"}

        made = tests("https://{{ host }}/", group_id=catalog.GROUP_SEQUENTIAL).operator
    made.render_template_fields({"host": "shop.example"})
    tries.execute(made)
    assert made.target_url == "https://shop.example/1"


@pytest.mark.parametrize("name", ["prompt", "test_id"])
def test_what_the_function_returns_is_no_parameter(name):
    with pytest.raises(ValueError, match=f"{name} is not a parameter of @task.testerarmy"):
        task_of(Returns(PROMPT), **{name: "x"})


def test_an_async_function_is_refused():
    async def tests():
        return PROMPT

    with DAG("dag", schedule=None), pytest.raises(ValueError, match="not async"):
        task_testerarmy(tests)()


def test_a_mistake_in_a_parameter_fails_the_dag_file():
    with pytest.raises(ValueError, match="max_outage"):
        task_of(Returns(PROMPT), max_outage=-1)
