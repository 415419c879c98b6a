"""Metrics and spans fail nothing, and count what they say; tests/metrics/ has a real Airflow."""

from __future__ import annotations

import pytest

from airflow_provider_testerarmy import airflow_compat, metrics
from airflow_provider_testerarmy.client.http.errors import (
    AnswerLost,
    NotFound,
    NotSent,
    ResponseInfo,
    ServerError,
)
from airflow_provider_testerarmy.hooks.meter import Meter


class Recorder:
    """What Airflow's metrics are told."""

    def __init__(self):
        self.told = []

    def incr(self, name, number, *, tags):
        self.told.append((name, number, tags))

    timing = gauge = incr

    def of(self, metric):
        return [(value, tags) for name, value, tags in self.told if name == metric.name]


@pytest.fixture
def recorder(monkeypatch):
    found = Recorder()
    monkeypatch.setattr(airflow_compat, "stats", lambda: found)
    return found


def test_airflow_has_metrics_in_this_process():
    assert all(callable(getattr(airflow_compat.stats(), name)) for name in ("incr", "gauge", "timing"))


def test_a_metric_that_fails_fails_nothing(monkeypatch):
    asked = []

    def broken():
        asked.append("stats")
        raise OSError("no such host")

    monkeypatch.setattr(airflow_compat, "stats", broken)
    metrics.count(metrics.RUNS_STARTED, service="a")
    metrics.took(metrics.OUTAGE, 1.0, service="a")
    metrics.set_to(metrics.RUNS_WAITING, 1, service="a")
    assert len(asked) == 3


def test_a_span_that_fails_fails_nothing(monkeypatch):
    def broken(*_):
        raise RuntimeError("no tracer")

    monkeypatch.setattr(airflow_compat, "open_span", broken)
    with metrics.span("testerarmy.wait", run_ids=["a"]) as describe:
        describe(batch_id="b")
    with pytest.raises(KeyError), metrics.span("testerarmy.wait"):
        raise KeyError


def test_names_and_tags_fit_every_backend():
    """OpenTelemetry allows 63 characters with Airflow's prefix; tags of Influx have no blanks and commas."""
    assert len({each.name for each in metrics.ALL}) == len(metrics.ALL)
    assert all(len(f"airflow.{each.name}") <= 63 for each in metrics.ALL)
    assert metrics._clean({"operation": "Get run, x"}) == {"operation": "get_run__x"}
    assert not {"run_id", "test_id", "group_id"} & {tag for each in metrics.ALL for tag in each.tags}


def test_durations_are_milliseconds(recorder):
    metrics.took(metrics.OUTAGE, 1.5, service="Docket")
    metrics.took(metrics.OUTAGE, -1.0, service="Docket")
    assert recorder.of(metrics.OUTAGE) == [(1500.0, {"service": "docket"}), (0.0, {"service": "docket"})]


def test_requests_have_their_status(recorder):
    meter = Meter("TesterArmy")
    meter.end("get run", meter.begin())
    meter.end("get run", meter.begin(), NotFound("x", response=ResponseInfo(404)))
    meter.end("get run", meter.begin(), NotSent("x"))
    assert [tags["status"] for _, tags in recorder.of(metrics.REQUESTS)] == ["ok", "404", "notsent"]
    assert len(recorder.of(metrics.REQUEST_DURATION)) == 3
    assert recorder.of(metrics.CANCELS) == []
    meter.end("cancel run", meter.begin())
    assert recorder.of(metrics.CANCELS) == [(1, {"service": "testerarmy", "status": "ok"})]


def test_an_outage_lasts_from_the_first_failure_to_the_next_answer(recorder, monkeypatch):
    """A refusal is an answer of the service; a missing answer and a broken service are none."""
    now = [100.0]
    monkeypatch.setattr("airflow_provider_testerarmy.hooks.meter.time.monotonic", lambda: now[0])
    meter = Meter("TesterArmy")
    for error in (None, NotSent("x"), AnswerLost("x"), ServerError("x", response=ResponseInfo(503))):
        began = meter.begin()
        now[0] += 10
        meter.end("get run", began, error)
    assert recorder.of(metrics.OUTAGE) == []
    meter.end("get run", meter.begin(), NotFound("x", response=ResponseInfo(404)))
    meter.end("get run", meter.begin())
    assert recorder.of(metrics.OUTAGE) == [(30_000.0, {"service": "testerarmy"})]
