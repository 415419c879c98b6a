"""The section of Airflow's configuration, read through Airflow's own `conf`."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from inspect import signature, unwrap
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import DAG, Connection

from airflow_provider_testerarmy import configuration
from airflow_provider_testerarmy.airflow_compat import ASSET_STATE_STORE, UI_TAB
from airflow_provider_testerarmy.airflow_compat.hint_variable import are_hints_on
from airflow_provider_testerarmy.configuration import OPTIONS, UNSET, ConfigurationInvalid
from airflow_provider_testerarmy.exceptions import RequestRefused
from airflow_provider_testerarmy.get_provider_info import get_provider_info
from airflow_provider_testerarmy.hooks.base import MAX_REQUESTS_PER_SECOND
from airflow_provider_testerarmy.hooks.docket import DocketHook
from airflow_provider_testerarmy.operators.base import RunOperator
from airflow_provider_testerarmy.operators.testerarmy import (
    TesterArmyDeleteAppOperator,
    TesterArmyRunGroupOperator,
    TesterArmyRunTestOperator,
)
from airflow_provider_testerarmy.sandbox.testerarmy import catalog
from airflow_provider_testerarmy.sensors.testerarmy import TesterArmyRunSensor
from tests.docs.blocks import REPOSITORY
from tests.lifecycle.conftest import connections, tries
from tests.lifecycle.tries import single, started

__all__ = ["connections", "tries"]

INFO = get_provider_info()["config"]["testerarmy"]["options"]
DURATIONS = ("poll_interval", "timeout", "max_outage")
#: What a task takes over, by the key.
OF_A_TASK = (*DURATIONS, "cancel_on_kill", "report_path", "memory_path")


@pytest.fixture(autouse=True)
def _nothing_read():
    """As in a new process, before and after a test."""
    configuration.setting.cache_clear()
    yield
    configuration.setting.cache_clear()


@pytest.fixture
def configured(monkeypatch):
    """Sets keys of the section."""

    def configure(**values):
        for name, value in values.items():
            monkeypatch.setenv(f"AIRFLOW__TESTERARMY__{name.upper()}", value)

    return configure


def sensor(**parameters):
    return TesterArmyRunSensor(task_id="tests", run_ids=[catalog.UNKNOWN_ID], **parameters)


@pytest.mark.parametrize("name", OPTIONS)
def test_provider_info_and_code_agree(name):
    """The default that Airflow shows is the one that applies without a configuration."""
    option, shown = OPTIONS[name], INFO[name]
    assert configuration.setting(name) == option.built_in
    assert shown["version_added"] == "0.1.0"
    assert option.default == shown["default"]
    assert (option.built_in is None) == (shown["default"] is None)
    if shown["default"] is not None:
        assert option.read(shown["default"]) == option.built_in
    assert option.read(shown["example"]) not in (None, option.built_in)


def test_every_key_is_in_the_info():
    """And no other."""
    assert list(INFO) == list(OPTIONS)


def test_operators_and_the_section_have_the_same_parameters():
    """A key without effect, or a parameter without a key, fails here."""
    parameters = signature(unwrap(RunOperator.__init__)).parameters.values()
    assert {each.name for each in parameters if each.default is UNSET} == set(OF_A_TASK)


def test_without_a_configuration_all_defaults_are_the_built_in_ones():
    """They are those of earlier versions, in the same types."""
    task = single(poll_interval=UNSET)
    expected = [10.0, timedelta(hours=3), timedelta(minutes=10), True, None, None]
    assert [getattr(task, name) for name in OF_A_TASK] == expected
    assert [type(getattr(task, name)) for name in DURATIONS] == [float, timedelta, timedelta]
    assert [getattr(sensor(), name) for name in OF_A_TASK] == [*expected[:3], False, None, None]
    assert DocketHook("docket_default").default_base_url
    assert not are_hints_on()


def test_the_configuration_comes_before_the_built_in_default(configured):
    configured(poll_interval="30", timeout="none", max_outage="1800", cancel_on_kill="False")
    configured(report_path="/reports/{{ run_id }}.html", memory_path="/memory")
    task = single(poll_interval=UNSET)
    values = [30.0, None, timedelta(minutes=30), False, "/reports/{{ run_id }}.html", "/memory"]
    assert [getattr(task, name) for name in OF_A_TASK] == values
    # A sensor has started nothing that it could cancel, and has no memory.
    assert [getattr(sensor(), name) for name in OF_A_TASK] == [*values[:3], False, values[4], None]
    assert TesterArmyDeleteAppOperator(
        task_id="delete", project_id=catalog.PROJECT_SHOP, app_id=catalog.UNKNOWN_ID
    ).max_outage == timedelta(minutes=30)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("poll_interval", 5),
        ("poll_interval", "{{ params.x }}"),
        ("timeout", 60),
        ("timeout", None),
        ("max_outage", timedelta(minutes=1)),
        ("cancel_on_kill", True),
        ("report_path", None),
        ("report_path", "a.html"),
        ("memory_path", None),
        ("memory_path", "/other"),
    ],
)
def test_a_parameter_comes_before_the_configuration(configured, name, value):
    """None is a value, where a parameter knows it. A wrong key that nobody needs does not matter."""
    configured(
        **dict.fromkeys(DURATIONS, "30"), cancel_on_kill="False", report_path="/r.html", memory_path="/m"
    )
    configured(**({name: "abc"} if name in DURATIONS else {}))
    task = single(**{"poll_interval": UNSET, name: value})
    assert getattr(task, name) == value
    with DAG("dag", schedule=None, default_args={name: value}):
        assert getattr(single(poll_interval=UNSET) if name != "poll_interval" else group(), name) == value


def group(**parameters):
    return TesterArmyRunGroupOperator(task_id="tests", group_id=catalog.GROUP_NIGHTLY, **parameters)


def test_a_duration_that_renders_to_nothing_is_not_given(configured):
    configured(poll_interval="30", timeout="none", max_outage="900")
    task = single(poll_interval="{{ params.x }}", timeout="{{ params.x }}", max_outage="{{ params.x }}")
    task.poll_interval = task.timeout = task.max_outage = "None"
    options = task._options()
    assert (options.poll_interval, options.timeout, options.max_outage) == (30.0, None, 900.0)


def test_a_mapped_task_takes_the_defaults_when_it_is_expanded(configured):
    configured(poll_interval="30", max_outage="900")
    with DAG("dag", schedule=None):
        mapped = TesterArmyRunTestOperator.partial(task_id="tests", max_outage=60).expand(
            test_id=[catalog.TEST_PASSES]
        )
    assert not {"poll_interval", "timeout"} & set(mapped.partial_kwargs)
    task = mapped.unmap({"test_id": catalog.TEST_PASSES})
    assert (task.poll_interval, task.max_outage) == (30.0, 60)


def test_a_configured_memory_needs_no_store_of_airflow(configured):
    """A gate that remembers is accepted on every version."""
    configured(memory_path="/memory")
    gate = {"fail_on": "new"}
    assert single(gate=gate).inlets == []
    with DAG("dag", schedule=None):
        mapped = TesterArmyRunTestOperator.partial(task_id="tests", gate=gate).expand(test_id=["a"])
    assert not mapped.partial_kwargs.get("inlets")
    if ASSET_STATE_STORE.available:
        assert single(gate=gate, memory_path=None).inlets


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("poll_interval", "abc", "must be a positive number of seconds, not 'abc'"),
        ("poll_interval", "-1", "must be a positive number of seconds, not '-1'"),
        ("poll_interval", "1e400", "must be a positive number of seconds"),
        ("timeout", "3h", "must be a positive number of seconds, or none for no limit, not '3h'"),
        ("max_outage", "0", "must be a positive number of seconds, not '0'"),
        ("cancel_on_kill", "flase", "must be True or False, not 'flase'"),
        ("max_requests_per_second", "many", "must be a positive number, not 'many'"),
        ("report_path", "night.pdf", "report_path 'night.pdf' must end in"),
    ],
)
def test_a_wrong_value_fails_the_task_and_not_the_dag(configured, service, tries, name, value, words):
    """The message has section, key and value. Nothing is started, and Airflow does not retry it."""
    configured(**{name: value})
    error = tries.execute(single(poll_interval=UNSET))
    assert isinstance(error, RequestRefused)
    assert f"{name} in the section [testerarmy] of Airflow's configuration" in str(error)
    assert words in str(error)
    assert started(service) == []


def test_a_wrong_value_fails_a_task_that_starts_no_runs(configured, connections):
    configured(max_outage="abc")
    task = TesterArmyDeleteAppOperator(
        task_id="delete", project_id=catalog.PROJECT_SHOP, app_id=catalog.UNKNOWN_ID
    )
    with pytest.raises(RequestRefused, match=r"max_outage in the section \[testerarmy\] .* not 'abc'"):
        task.execute({"ti": SimpleNamespace(xcom_push=lambda **_: None)})


def test_a_value_is_read_once(configured):
    """A poll costs nothing. A change needs a new process."""
    configured(poll_interval="30")
    assert configuration.setting("poll_interval") == 30.0
    configured(poll_interval="60")
    assert configuration.setting("poll_interval") == 30.0


@pytest.mark.parametrize(
    ("extra", "key", "limit", "grows"),
    [
        ({}, None, MAX_REQUESTS_PER_SECOND, True),
        ({}, "5", 5.0, False),
        ({"max_requests_per_second": 7}, "5", 7.0, False),
        ({"max_requests_per_second": 7}, None, 7.0, False),
    ],
)
def test_the_rate_limit_of_all_connections(configured, extra, key, limit, grows):
    """The connection comes first."""
    configured(**({"max_requests_per_second": key} if key else {}))
    hook = DocketHook("docket_default")
    hook.use(Connection(conn_id="docket_default", conn_type="docket", extra=json.dumps(extra)))
    assert (hook.max_requests_per_second, hook.rate_grows) == (limit, grows)


@pytest.mark.skipif(not UI_TAB.available, reason="webhooks need Airflow 3.1")
def test_the_switch_of_the_webhooks(configured):
    configured(push_hints="True")
    assert are_hints_on()


PROBE = """
import json
from airflow.configuration import conf
from airflow.providers.common.compat.sdk import conf as read_by_tasks
from airflow_provider_testerarmy import configuration
from airflow_provider_testerarmy.operators.testerarmy import TesterArmyRunTestOperator
from airflow.providers_manager import ProvidersManager

# As Airflow's commands do. Some versions show the options of providers only then.
load = getattr(ProvidersManager(), "initialize_providers_configuration", None)
if load:
    load()

def wrong(name):
    try:
        configuration.setting(name)
    except ValueError as error:
        return str(error)

task = TesterArmyRunTestOperator(task_id="tests", test_id="20000000-0000-4000-8000-000000000001")
shown = conf.as_dict(display_source=True, display_sensitive=True)["testerarmy"]
errors = [wrong("max_outage")]
read_by_tasks.read_string("[testerarmy]\\nmax_outage = 50%")
errors.append(wrong("max_outage"))
values = [task.poll_interval, task.report_path, str(task.timeout), task.cancel_on_kill, task.memory_path]
print("FOUND", json.dumps([*values, configuration.setting("max_requests_per_second"), errors, shown]))
"""


def test_a_real_configuration(tmp_path):
    """A file and an environment variable, in a process of their own; and what Airflow's page shows of them."""
    path = "/r/{{ dag.dag_id }}/{{ ti.map_index }}.html"
    lines = ["[testerarmy]", "poll_interval = 42", f"report_path = {path}", "max_outage = abc"]
    (tmp_path / "airflow.cfg").write_text("\n".join(lines))
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "PYTHONPATH": str(REPOSITORY),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__TESTERARMY__TIMEOUT": "60",
    }
    command = [sys.executable, "-W", "ignore", "-c", PROBE]
    ended = subprocess.run(
        command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    found = [line for line in ended.stdout.splitlines() if line.startswith("FOUND ")]
    assert found, ended.stderr[-3000:]
    *values, errors, shown = json.loads(found[0].removeprefix("FOUND "))
    assert values == [42.0, path, "0:01:00", True, None, None]
    where = "max_outage in the section [testerarmy] of Airflow's configuration"
    assert errors[0] == f"{where} must be a positive number of seconds, not 'abc'."
    # Airflow expands "%", so this is not even text.
    assert errors[1].startswith(f"{where} cannot be read: ")
    assert shown["poll_interval"] == ["42", "airflow.cfg"]
    assert shown["timeout"] == ["60", "env var"]
    # Versions of Airflow differ in what they call the source.
    assert shown["cancel_on_kill"][0] == "True"


def test_stopping_early_cancels_whatever_the_configuration_says(configured):
    """The DAG asks for it, and its file stays valid."""
    configured(cancel_on_kill="False")
    assert group(stop_after_failures=2).cancel_on_kill
    assert not group().cancel_on_kill
    with pytest.raises(ValueError, match="stop_after_failures needs cancel_on_kill=True"):
        group(stop_after_failures=2, cancel_on_kill=False)


def test_every_kind_of_switch():
    """As Airflow reads its own, and as YAML does."""
    read = OPTIONS["cancel_on_kill"].read
    assert [read(text) for text in ("True", "t", "1", "yes", "ON")] == [True] * 5
    assert [read(text) for text in ("False", "f", "0", "no", "off")] == [False] * 5


def test_an_unreadable_value_has_a_message_of_its_own(configured):
    configured(timeout="soon")
    with pytest.raises(ConfigurationInvalid, match="timeout in the section"):
        configuration.setting("timeout")
    assert configuration.usable("timeout") == timedelta(hours=3)


@pytest.mark.parametrize(
    "value",
    ["http://git.example/shop", "javascript:alert(1)", "git@github.com:acme/shop", "https://a@evil.example"],
)
def test_a_repository_is_an_https_address(configured, value):
    """Commits become links to it. A wrong one makes no links, and says why where it is checked."""
    configured(repository_url=value)
    with pytest.raises(
        ConfigurationInvalid, match=r"repository_url in the section .* must be an https address"
    ):
        configuration.setting("repository_url")
    assert configuration.usable("repository_url") is None
    configured(repository_url="https://git.example/shop/{commit}")
    assert configuration.usable("repository_url") == "https://git.example/shop/{commit}"
