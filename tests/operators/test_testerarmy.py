from __future__ import annotations

import inspect
import json
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowException, XCom

from airflow_provider_testerarmy.client.http.errors import RequestInvalid
from airflow_provider_testerarmy.operators.base import RunOperator
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyRerunBatchOperator,
    TesterArmyRunGroupOperator,
    TesterArmyRunLink,
    TesterArmyRunPromptOperator,
    TesterArmyRunPullRequestOperator,
    TesterArmyRunTestOperator,
)
from airflow_provider_testerarmy.runs.verdict.gate import GateInvalid, QualityGate
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor

TARGETS = {
    TesterArmyRunTestOperator: {"test_id": catalog.TEST_PASSES},
    TesterArmyRunGroupOperator: {"group_id": catalog.GROUP_NIGHTLY},
    TesterArmyRunPromptOperator: {"prompt": "Look around."},
    TesterArmyRunPullRequestOperator: {
        "project_id": catalog.PROJECT_SHOP,
        "target_url": "https://pr-7.shop.example/",
        "pr_number": 7,
        "title": "Faster checkout",
        "commit_sha": "4f2d1c9",
    },
    TesterArmyRerunBatchOperator: {"batch_id": catalog.UNKNOWN_ID},
    TesterArmyRunSensor: {"run_ids": [catalog.UNKNOWN_ID]},
}
OPERATORS = [each for each in TARGETS if each is not TesterArmyRunSensor]

#: Switches of the DAG's author: how a task waits is not data.
NOT_TEMPLATED = {
    "wait_for_completion",
    "deferrable",
    "cancel_on_kill",
    "copy_screenshots",
    "durable",
    "retry_failed_tests",
    "on_failed",
    "ask_users",
    "ask_timeout",
    "ask_default",
    "ask_notifiers",
    "bisect",
    "poke_interval",  # another name for poll_interval
}


def make(kind, **parameters):
    return kind(task_id="tests", **{**TARGETS[kind], **parameters})


def own_parameters(kind):
    """The parameters of this provider's classes, without those of Airflow."""
    ours = [each for each in kind.__mro__ if each.__module__.startswith("airflow_provider_testerarmy")]
    found = set()
    for each in ours:
        if "__init__" in vars(each):
            # Airflow wraps the method; what it wraps tells the true signature.
            found |= set(inspect.signature(inspect.unwrap(each.__init__)).parameters)
    return found - {"self", "kwargs", "args"}


@pytest.mark.parametrize("kind", TARGETS)
def test_every_field_that_is_data_is_templated(kind):
    """The test fails for a new parameter that is not templated."""
    assert own_parameters(kind) - NOT_TEMPLATED == set(kind.template_fields)


@pytest.mark.parametrize("kind", TARGETS)
def test_every_template_field_is_an_attribute(kind):
    """Airflow reads and writes them by name."""
    task = make(kind)
    assert all(hasattr(task, name) for name in kind.template_fields)


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"gate": {"min_pass_rate": 1.5}}, GateInvalid),
        ({"gate": {"min_pas_rate": 1.0}}, GateInvalid),
        ({"gate": "strict"}, GateInvalid),
        ({"poll_interval": 0}, RequestInvalid),
        ({"timeout": "soon"}, RequestInvalid),
        ({"timeout": timedelta(0)}, RequestInvalid),
        ({"max_outage": -1}, RequestInvalid),
        ({"report_path": "results.pdf"}, RequestInvalid),
        ({"report_path": ["a.xml", ""]}, RequestInvalid),
        ({"cancel_on_kill": "perhaps"}, ValueError),
        ({"no_such_parameter": 1}, (TypeError, AirflowException)),
    ],
)
def test_a_mistake_that_needs_no_rendering_fails_the_dag_file(kind, parameters, error):
    """The mistake is found before any scheduled run."""
    with pytest.raises(error) as caught:
        make(kind, **parameters)
    assert next(iter(parameters)) in str(caught.value) or error is GateInvalid


@pytest.mark.parametrize("kind", TARGETS)
def test_what_is_templated_is_checked_once_it_is_rendered(kind):
    """The DAG file can still be parsed."""
    task = make(
        kind,
        gate={"min_pass_rate": "{{ params.rate }}"},
        poll_interval="{{ params.seconds }}",
        timeout="{{ params.seconds }}",
        max_outage="{{ params.seconds }}",
        report_path="{{ params.path }}",
        testerarmy_conn_id="{{ params.conn }}",
    )
    task.render_template_fields({"params": {"rate": 0.5, "seconds": 30, "path": "a.json", "conn": "ta_eu"}})
    options = task._options()
    assert (options.gate.min_pass_rate, options.poll_interval, options.timeout) == (0.5, 30.0, 30.0)
    assert (options.max_outage, options.report_path, task.hook.conn_id) == (30.0, "a.json", "ta_eu")


def test_a_gate_object_is_templated_by_its_fields():
    """Airflow renders templates inside dicts, not inside models."""
    assert make(TesterArmyRunGroupOperator, gate=QualityGate(max_severity=2)).gate["max_severity"] == 2


def test_the_request_of_a_test():
    """The body contains only the given fields."""
    task = make(TesterArmyRunTestOperator, mode="deep", platform="ios", device_model="ipad")
    request = task.build_request()
    assert (request.kind, request.target) == ("test", catalog.TEST_PASSES)
    assert request.body == {"mode": "deep", "platform": "ios", "deviceModel": "ipad"}


def test_the_request_of_a_group():
    """All fields, with the number as rendered text too."""
    task = make(
        TesterArmyRunGroupOperator,
        target_url="https://preview.acme.example/",
        environment="preview",
        commit_sha="4f2d1c9",
        pr_number="17",
        platform="web",
        project_environment_id=catalog.ENVIRONMENT_STAGING,
        mobile={"app_id": catalog.MOBILE_APP},
    )
    assert task.build_request().body == {
        "targetUrl": "https://preview.acme.example/",
        "environment": "preview",
        "commitSha": "4f2d1c9",
        "prNumber": 17,
        "platform": "web",
        "projectEnvironmentId": catalog.ENVIRONMENT_STAGING,
        "mobile": {"appId": catalog.MOBILE_APP},
    }


@pytest.mark.parametrize(
    ("kind", "parameters", "words"),
    [
        (TesterArmyRunTestOperator, {"test_id": ""}, "test_id is empty"),
        (TesterArmyRunTestOperator, {"test_id": "login"}, "test_id 'login' is not a TesterArmy id"),
        (TesterArmyRunTestOperator, {"test_id": None}, "test_id is empty"),
        (TesterArmyRunTestOperator, {"platform": "playstation"}, "platform"),
        (TesterArmyRunTestOperator, {"mode": "slow"}, "mode"),
        (TesterArmyRunTestOperator, {"app_id": "1"}, "app_id"),
        (TesterArmyRunGroupOperator, {"group_id": "../runs"}, "is not a TesterArmy id"),
        (TesterArmyRunGroupOperator, {"target_url": "preview"}, "target_url"),
        (TesterArmyRunGroupOperator, {"target_url": " javascript:x"}, "target_url"),
        (TesterArmyRunGroupOperator, {"environment": "moon"}, "environment"),
        (TesterArmyRunGroupOperator, {"pr_number": "twelve"}, "pr_number"),
        (TesterArmyRunGroupOperator, {"pr_number": 0}, "pr_number"),
        (TesterArmyRunGroupOperator, {"mobile": {"app": "x"}}, "mobile"),
        (TesterArmyRunPromptOperator, {"prompt": " "}, "prompt: is empty"),
        (TesterArmyRunPromptOperator, {"credentials_conn_id": [""]}, "credentials_conn_id is empty"),
        (TesterArmyRunPromptOperator, {"credentials_conn_id": []}, "credentials_conn_id is empty"),
        (TesterArmyRunPromptOperator, {"webhook_url": "slack"}, "webhook_url"),
    ],
)
def test_a_request_that_cannot_be_sent(kind, parameters, words):
    """The message contains the parameter's name."""
    with pytest.raises(RequestInvalid, match=words):
        make(kind, **parameters).build_request()


def test_credentials_come_from_connections(monkeypatch):
    """Their order is kept, and no repr contains a password."""
    for name in ("jane", "joe"):
        fields = {"conn_type": "generic", "login": name, "password": f"of-{name}"}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))
    task = make(TesterArmyRunPromptOperator, credentials_conn_id=["joe", "jane"])
    request = task.build_request()
    assert request.body["credentials"] == [
        {"username": "joe", "password": "of-joe"},
        {"username": "jane", "password": "of-jane"},
    ]
    assert "of-joe" not in repr(request)


@pytest.mark.parametrize("fields", [{"login": "jane"}, {"password": "of-jane"}])
def test_a_connection_that_cannot_sign_in(monkeypatch, fields):
    """The connection needs a login and a password. The message contains neither."""
    monkeypatch.setenv("AIRFLOW_CONN_HALF", json.dumps({"conn_type": "generic", **fields}))
    with pytest.raises(RequestInvalid, match="'half' needs a login and a password") as caught:
        make(TesterArmyRunPromptOperator, credentials_conn_id="half").build_request()
    assert "of-jane" not in str(caught.value)


@pytest.mark.parametrize("kind", TARGETS)
def test_a_mapped_task(kind):
    """`partial` takes the common parameters, `expand` the varying ones."""
    (name, value), *others = TARGETS[kind].items()
    common = {"gate": {"max_severity": 3}, "timeout": timedelta(hours=1), **dict(others)}
    with DAG("mapping", schedule=None):
        mapped = kind.partial(task_id="tests", **common).expand(**{name: [value, value]})
    assert mapped.partial_kwargs["gate"] == {"max_severity": 3}
    assert set(mapped.template_fields) == set(kind.template_fields)


@pytest.mark.parametrize("kind", OPERATORS)
def test_the_operators_share_one_lifecycle(kind):
    """A concrete class only builds its request."""
    assert issubclass(kind, RunOperator)
    for name in ("execute", "execute_complete", "resume_execution", "on_kill"):
        assert name not in vars(kind)


@pytest.mark.parametrize("value", ["https://tester.army/dashboard/acme/projects/shop?run=1", None])
def test_the_link_is_what_the_task_pushed(monkeypatch, value):
    """The link is empty if the task pushed none."""
    asked = {}
    monkeypatch.setattr(XCom, "get_value", lambda *, ti_key, key: asked.update(ti=ti_key, key=key) or value)
    assert TesterArmyRunLink().get_link(None, ti_key="ti") == (value or "")
    assert asked == {"ti": "ti", "key": "testerarmy_url"}


@pytest.mark.parametrize("native", [False, True])
def test_templates_render_to_what_is_meant(native):
    """Numbers, None and text, with and without native rendering."""
    with DAG("d", schedule=None, render_template_as_native_obj=native):
        task = TesterArmyRunGroupOperator(
            task_id="tests",
            group_id="{{ params.group }}",
            commit_sha="{{ params.commit }}",
            pr_number="{{ params.pr }}",
            target_url="{{ params.url }}",
            environment="{{ params.url }}",
            mobile="{{ params.url }}",
            report_path="{{ params.url }}",
            gate="{{ params.gate }}",
            poll_interval="{{ params.pr }}",
            max_outage="{{ params.url }}",
        )
    values = {
        "group": TARGETS[TesterArmyRunGroupOperator]["group_id"].upper(),
        "commit": "1234567",
        "pr": "12",
        "url": None,
        "gate": {"min_pass_rate": 0.9, "non_blocking_tests": ["A"], "max_severity": None},
    }
    task.render_template_fields({"params": values})
    assert task.build_request().body == {"commitSha": "1234567", "prNumber": 12}
    options = task._options()
    assert (options.poll_interval, options.max_outage, options.report_path) == (12.0, 600.0, None)
    assert options.gate == QualityGate(min_pass_rate=0.9, non_blocking_tests={"a"})


@pytest.mark.parametrize("name", ["deferrable", "wait_for_completion", "cancel_on_kill", "durable"])
def test_a_switch_may_be_text(name):
    """Parameters of `expand` are often text, and `bool("False")` is True."""
    assert getattr(make(TesterArmyRunGroupOperator, **{name: "False"}), name) is False


def test_several_logins_as_text_and_none(monkeypatch):
    """A list in any form is accepted. A template that renders to nothing means no login."""
    login = json.dumps({"conn_type": "generic", "login": "jane", "password": "battery-staple"})
    monkeypatch.setenv("AIRFLOW_CONN_A", login)
    monkeypatch.setenv("AIRFLOW_CONN_B", login)
    for given, count in (("a, b", 2), (["a", ["b"]], 2), ("['a']", 1), ("None", 0), ("", 0)):
        body = make(TesterArmyRunPromptOperator, credentials_conn_id=given).build_request().body
        assert len(body.get("credentials", ())) == count


@pytest.mark.parametrize("given", ["None", "", None])
def test_a_connection_that_rendered_to_nothing_is_the_usual_one(given):
    """An empty connection id means the default, as with every optional parameter."""
    task = make(TesterArmyRunGroupOperator, testerarmy_conn_id=given)
    assert task.hook.conn_id == "testerarmy_default"
