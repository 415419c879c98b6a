"""A whole Airflow that sends its metrics to StatsD, and one that sends metrics and spans to OpenTelemetry."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_testerarmy import metrics
from airflow_provider_testerarmy.sandbox.core.clock import SandboxClock
from airflow_provider_testerarmy.sandbox.server import SandboxServer
from airflow_provider_testerarmy.sandbox.state import Sandbox
from tests.metrics.receivers import OtlpReceiver, StatsdReceiver
from tests.rig.airflow import LocalAirflow
from tests.rig.api import FINISHED_TASK
from tests.rig.sandbox import sandbox_connection
from tests.rig.waiting import eventually

pytestmark = pytest.mark.integration
DAG = Path(__file__).with_name("dags") / "measured.py"
TESTERARMY = {"service": "testerarmy"}


def run_measured(home, env):
    """Run the DAG to its end."""
    with SandboxServer(Sandbox(SandboxClock(speed=2))) as sandbox:
        # The poll of a deferred run meets a broken service once.
        connections = {"testerarmy_default": sandbox_connection(sandbox.url)}
        with LocalAirflow([DAG], home=home, connections=connections, parallelism=3, env=env) as airflow:
            run_id = airflow.trigger_dag("measured")

            def ended():
                tasks = airflow.task_instances("measured", run_id)
                return len(tasks) == 3 and all(task["state"] in FINISHED_TASK for task in tasks)

            eventually(ended, 180, "the end", state=lambda: airflow.describe_run("measured", run_id))


@pytest.fixture(scope="module")
def statsd(tmp_path_factory):
    receiver = StatsdReceiver()
    env = {
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(receiver.port),
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
    }
    run_measured(tmp_path_factory.mktemp("statsd"), env)
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def otlp(tmp_path_factory):
    receiver = OtlpReceiver()
    env = {
        "AIRFLOW__METRICS__OTEL_ON": "True",
        "AIRFLOW__TRACES__OTEL_ON": "True",
        "OTEL_TRACES_EXPORTER": "otlp_proto_http",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "AIRFLOW__METRICS__OTEL_INTERVAL_MILLISECONDS": "1000",
    }
    run_measured(tmp_path_factory.mktemp("otlp"), env)
    yield receiver
    receiver.close()


def test_runs_and_verdicts_are_counted(statsd):
    """Of the worker; four runs of the group, one and its confirmation, and one that never ends."""
    assert statsd.total("airflow.testerarmy.runs_started", **TESTERARMY) == 7
    assert statsd.total("airflow.testerarmy.reruns", **TESTERARMY) == 1
    assert statsd.total("airflow.testerarmy.runs_finished", outcome="passed") == 4
    assert statsd.total("airflow.testerarmy.runs_finished", outcome="failed") == 2
    assert statsd.total("airflow.testerarmy.runs_finished", outcome="cancelled") == 1
    assert statsd.total("airflow.testerarmy.verdicts", verdict="passed", task_id="passed") == 1
    assert (
        statsd.total("airflow.testerarmy.verdicts", verdict="failed", task_id="failed", dag_id="measured")
        == 1
    )
    assert statsd.total("airflow.testerarmy.verdicts") == 3


def test_requests_are_counted_by_operation_and_status(statsd):
    assert statsd.total("airflow.testerarmy.requests", operation="trigger_test_run", status="ok") == 3
    assert statsd.total("airflow.testerarmy.requests", operation="trigger_group_run", status="ok") == 1
    assert statsd.total("airflow.testerarmy.cancels", status="ok") == 1
    assert len(statsd.all_of("airflow.testerarmy.request_duration")) == statsd.total(
        "airflow.testerarmy.requests"
    )
    assert all(0 < each < 60_000 for each in statsd.all_of("airflow.testerarmy.run_duration"))


def test_the_triggerer_measures_too(statsd):
    """It waits for one run, twice."""
    waiting = statsd.all_of("airflow.testerarmy.runs_waiting")
    assert waiting.count(1.0) == 2
    assert waiting[-1] == 0.0
    assert statsd.all_of("airflow.testerarmy.poll_lag")


def test_no_tag_has_an_id(statsd):
    """Each value would be a time series of its own."""
    tags = {tag for name, tags in (*statsd.counters, *statsd.values) if "testerarmy" in name for tag in tags}
    assert {tag.partition("=")[0] for tag in tags} <= {tag for each in metrics.ALL for tag in each.tags}
    assert not [tag for tag in tags if len(tag) > 40]


def test_opentelemetry_receives_the_same(otlp):
    names = {name.removeprefix("airflow.") for name in otlp.metrics}
    assert {metrics.RUNS_STARTED.name, metrics.VERDICTS.name, metrics.REQUESTS.name} <= names
    assert metrics.RUNS_WAITING.name in names


def test_spans_are_below_those_of_the_task(otlp):
    by_id = {span.span_id: span for span in otlp.spans}
    ours = [span for span in otlp.spans if span.name.startswith("testerarmy.")]
    assert {span.name for span in ours} == set(metrics.SPANS)

    def above(span):
        while span is not None:
            yield span.name
            span = by_id.get(span.parent_span_id)

    for span in ours:
        assert [name for name in above(span) if name.startswith(("worker.", "trigger."))], list(above(span))
    reports = [list(above(span)) for span in ours if span.name == "testerarmy.report"]
    assert all("testerarmy.judge" in names for names in reports)
    waits = [span for span in ours if span.name == "testerarmy.wait"]
    assert all(any(each.key == "testerarmy.run_ids" for each in span.attributes) for span in waits)
