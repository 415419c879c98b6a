"""The Grafana dashboard queries what Airflow sends by OpenTelemetry, under its names in Prometheus."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_testerarmy import metrics
from tests.metrics.receivers import OtlpReceiver

pytest.importorskip("airflow.observability.metrics.otel_logger")
DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana" / "testerarmy.json"
UNITS = {"ms": "_milliseconds", "": ""}
RECORD = """
from airflow.observability.metrics.otel_logger import get_otel_logger
from airflow_provider_testerarmy import metrics

methods = {"counter": "incr", "timer": "timing", "gauge": "gauge"}
client = get_otel_logger()
for metric in metrics.ALL:
    getattr(client, methods[metric.kind])(metric.name, 1, tags=dict.fromkeys(metric.tags, "x"))
"""
_METRIC = re.compile(r"\bairflow_\w+")
_SELECTED = re.compile(r"(\w+)\s*(?:=~|!=|=)\s*\"")
_GROUPED = re.compile(r"\bby \(([^)]*)\)")


@pytest.fixture(scope="module")
def labels():
    """Of each metric the name in Prometheus, and its labels, after each was recorded once."""
    receiver = OtlpReceiver()
    env = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    # A process of its own: the exporter is global, and sends when the process ends.
    subprocess.run([sys.executable, "-c", RECORD], env=env, check=True, timeout=60)
    receiver.close()
    return {prometheus_name(metric): labels_of(metric) for metric in receiver.metrics.values()}


def prometheus_name(metric):
    """The name that Prometheus's receiver of OTLP gives: with the unit, and `_total` for a counter."""
    name = re.sub(r"\W", "_", metric.name) + UNITS[metric.unit]
    return f"{name}_total" if metric.WhichOneof("data") == "sum" and metric.sum.is_monotonic else name


def labels_of(metric):
    points = getattr(metric, metric.WhichOneof("data")).data_points
    return {attribute.key for point in points for attribute in point.attributes}


def queries():
    board = json.loads(DASHBOARD.read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_each_metric_exists_with_its_labels(labels):
    for query in queries():
        (name,) = _METRIC.findall(query)
        assert name in labels, query
        grouped = {label.strip() for found in _GROUPED.findall(query) for label in found.split(",")}
        assert grouped | set(_SELECTED.findall(query)) <= labels[name], query


def test_each_metric_has_a_panel(labels):
    ours = {name for name in labels if name.startswith("airflow_testerarmy_")}
    assert len(ours) == len(metrics.ALL)
    assert {name for query in queries() for name in _METRIC.findall(query)} == ours


def test_the_choice_of_services_exists(labels):
    variables = json.loads(DASHBOARD.read_text())["templating"]["list"]
    (query,) = [each["query"] for each in variables if each["type"] == "query"]
    (name,) = _METRIC.findall(query)
    assert "service" in labels[name]
